//! Addresses without what lets one in: users' words, parameters, and paths that only the owner knows.

use super::secrets::{HIDDEN, is_secret};

/// A text without what lets one in through an address in it: `//user:word@host`, and parameters
/// whose names say that they are secret.
pub fn without_secrets_in_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let end = after
            .find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(after.len());
        let (address, behind) = after.split_at(end);
        out.push_str(&address_without_secrets(address));
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn address_without_secrets(address: &str) -> String {
    let (host, path) = address.split_at(address.find(['/', '?', '#']).unwrap_or(address.len()));
    let host = host
        .rsplit_once('@')
        .map_or_else(|| host.to_owned(), |(_, host)| format!("{HIDDEN}@{host}"));
    if let Some(open) = open_part(&host, path) {
        return format!("{host}{open}{HIDDEN}");
    }
    let mut out = host;
    for (number, part) in path.split(['?', '&', ';']).enumerate() {
        if number > 0 {
            // The separator stood right before this part.
            let at = out_len(path, number);
            out.push_str(path.get(at..at + 1).unwrap_or("&"));
        }
        match part.split_once('=') {
            Some((name, _))
                if is_secret(name)
                    || ["username", "user", "key"]
                        .contains(&name.to_ascii_lowercase().as_str()) =>
            {
                out.push_str(&format!("{name}={HIDDEN}"))
            }
            _ => out.push_str(part),
        }
    }
    out
}

/// What may be shown of the path of an address that lets in whoever knows it; nothing where it is
/// no such address.
fn open_part<'p>(host: &str, path: &'p str) -> Option<&'p str> {
    let host = host.split(':').next().unwrap_or(host).to_ascii_lowercase();
    let begins =
        |start: &str| path.get(..start.len()).filter(|head| head.eq_ignore_ascii_case(start));
    let is_at = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    if is_at("discord.com") || is_at("discordapp.com") {
        return begins("/api/webhooks/");
    }
    if is_at("slack.com") {
        return begins("/services/")
            .or_else(|| begins("/workflows/"))
            .or_else(|| begins("/triggers/"));
    }
    // Whoever knows such an address can report for the owner, or send to the owner's store of logs.
    if is_at("hc-ping.com") {
        return begins("/").filter(|_| path.len() > 1);
    }
    for start in ["/ping/", "/api/push/", "/receiver/"] {
        if let Some(shown) = begins(start) {
            return Some(shown);
        }
    }
    if is_at("telegram.org") {
        return begins("/bot");
    }
    if is_at("office.com")
        || is_at("ntfy.sh")
        || is_at("pushover.net")
        || is_at("maker.ifttt.com")
        || is_at("chat.googleapis.com")
    {
        return begins("/").filter(|_| path.len() > 1);
    }
    // ntfy, gotify and Xtream servers of one's own.
    let is_streams = |start: &&str| begins(start).is_some() && path.split('/').count() >= 4;
    if let Some(start) =
        ["/live/", "/movie/", "/series/", "/timeshift/"].into_iter().find(is_streams)
    {
        return begins(start);
    }
    // Playlists and streams of providers, and logs that are sent away.
    for start in ["/playlist/", "/player_api.php/", "/xmltv.php/", "/inputs/"] {
        if let Some(shown) = begins(start).filter(|_| path.len() > start.len()) {
            return Some(shown);
        }
    }
    let parts: Vec<&str> = path.split('/').collect();
    if let ["", _, _, number] = parts.as_slice() {
        let number = number.split('.').next().unwrap_or(number);
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return begins("/");
        }
    }
    if host.starts_with("ntfy")
        || host.starts_with("gotify")
        || path.to_ascii_lowercase().contains("webhook")
        || path.to_ascii_lowercase().contains("/hooks/")
    {
        return begins("/").filter(|_| path.len() > 1);
    }
    None
}

/// Where the separator before part `number` stands.
fn out_len(path: &str, number: usize) -> usize {
    path.match_indices(['?', '&', ';']).nth(number.saturating_sub(1)).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_all_but_what_lets_one_in() {
        assert_eq!(
            without_secrets_in_addresses("see http://u:pw@host:80/x?a=1 and b"),
            "see http://(secret)@host:80/x?a=1 and b"
        );
        assert_eq!(
            without_secrets_in_addresses("http://h/get.php?username=u&password=p&type=m3u"),
            "http://h/get.php?username=(secret)&password=(secret)&type=m3u"
        );
        assert_eq!(
            without_secrets_in_addresses("\"u\":\"http://h/?api_key=S&x=1\""),
            "\"u\":\"http://h/?api_key=(secret)&x=1\""
        );
        assert_eq!(without_secrets_in_addresses("no address: a=b"), "no address: a=b");
        for (address, shown) in [
            (
                "https://discord.com/api/webhooks/123/abcDEF",
                "https://discord.com/api/webhooks/(secret)",
            ),
            (
                "https://hooks.slack.com/services/T0/B0/xyz",
                "https://hooks.slack.com/services/(secret)",
            ),
            (
                "https://api.telegram.org/bot12:AA-x/sendMessage",
                "https://api.telegram.org/bot(secret)",
            ),
            ("https://ntfy.sh/my-topic", "https://ntfy.sh/(secret)"),
            ("http://tv.example:8080/live/user/word/1.ts", "http://tv.example:8080/live/(secret)"),
            ("https://ha.local/api/webhook/abc", "https://ha.local/(secret)"),
            ("https://jellyfin.org/docs/general", "https://jellyfin.org/docs/general"),
        ] {
            assert_eq!(without_secrets_in_addresses(address), shown);
        }
    }
}
