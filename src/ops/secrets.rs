//! What is never shown: whoever has it can sign in.

/// Parts of names that say so.
const WORDS: [&str; 36] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "privatekey",
    "sharedkey",
    "credential",
    "pincode",
    "authkey",
    "cookie",
    "bearer",
    "sessionid",
    "sessionkey",
    "authorization",
    "pwhash",
    "webhook",
    "presharedkey",
    "encryptionkey",
    "signingkey",
    // The same in other languages that servers are set up in.
    "passwort",
    "kennwort",
    "motdepasse",
    "contraseña",
    "contrasena",
    "senha",
    "wachtwoord",
    "lösenord",
    "hasło",
    "heslo",
    "пароль",
    "密码",
    "パスワード",
];
/// Names that say so as a whole, being part of harmless ones (`Blurhash`, `Compass`).
const NAMES: [&str; 14] = [
    "pass",
    "pwd",
    "pw",
    "pin",
    "hash",
    "salt",
    "auth",
    "otp",
    "totp",
    "sig",
    "signature",
    "refresh",
    "hashpw",
    "jwt",
];
/// Last words of names in one piece that say so: `LdapBindPw`, `SmtpPass`, `AdminPin`.
const LAST_WORDS: [&str; 9] = ["Pass", "Pwd", "Pw", "Pin", "Otp", "Psk", "Pat", "PW", "PIN"];
/// Names with such parts that say which provider or whether, not what.
const HARMLESS: [&str; 4] =
    ["passwordresetproviderid", "mustupdatepassword", "enablelocalpassword", "haspassword"];

/// What stands in place of a secret.
pub const HIDDEN: &str = "(secret)";

/// Whether values of a column, an element or a key are secret by its name.
pub fn is_secret(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    // `db.pass`, `ldap_pw`: the last part of a name counts as a name.
    let last = name.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or(name);
    let ends_in_word = LAST_WORDS.iter().any(|word| {
        last.strip_suffix(word).is_some_and(|before| {
            before.ends_with(|c: char| c.is_lowercase() || c.is_ascii_digit())
        })
    });
    let last = last.to_lowercase();
    let says_so = WORDS.iter().any(|word| plain.contains(word))
        || NAMES.contains(&plain.as_str())
        || NAMES.contains(&last.as_str())
        || ends_in_word;
    says_so && !HARMLESS.contains(&plain.as_str())
}

/// Whether a value of a file that nobody knows is plainly harmless: a switch, a small number, a
/// date, a choice.
pub fn is_plain(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty()
        || ["true", "false", "null"].iter().any(|word| value.eq_ignore_ascii_case(word))
    {
        return true;
    }
    let is_number = value.len() <= 6
        && value.bytes().all(|byte| byte.is_ascii_digit() || b".-".contains(&byte));
    let begins_like_a_date = value.len() >= 10
        && value
            .bytes()
            .zip("0000-00-00".bytes())
            .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form });
    let is_date = begins_like_a_date
        && value.len() <= 40
        && value.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ ".contains(&byte));
    let plain = name.to_ascii_lowercase();
    let is_choice = CHOICES.iter().any(|end| plain.ends_with(end))
        && value.len() <= 24
        && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    let names_none = !is_secret(name) || is_harmless(name, value);
    names_none && (is_number || is_date || is_choice)
}

/// Ends of names whose values are choices from a list.
const CHOICES: [&str; 20] = [
    "mode",
    "type",
    "policy",
    "level",
    "kind",
    "provider",
    "method",
    "algorithm",
    "scheme",
    "strength",
    "state",
    "status",
    "format",
    "version",
    "scope",
    "strategy",
    "behavior",
    "behaviour",
    "requirement",
    "option",
];

/// Whether a value is no secret though its name sounds so: a switch lets nobody in, nor does a
/// number or a choice whose name only begins like that (`PasswordMinLength`, `TokenType`). Why
/// clients cannot log in may be just such a one.
pub fn is_harmless(name: &str, value: &str) -> bool {
    let value = value.trim();
    if value.is_empty() || ["true", "false"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
        return true;
    }
    let plain = name.to_ascii_lowercase();
    let names_it = WORDS.iter().chain(&NAMES).any(|word| plain.ends_with(word));
    // With a sign (-1 for "no limit"), a fraction, or as a time span (00:30:00).
    let is_number = value.len() <= 12
        && value
            .strip_prefix('-')
            .unwrap_or(value)
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b".:".contains(&byte));
    let is_choice = CHOICES.iter().any(|end| plain.ends_with(end))
        && value.len() <= 40
        && value.bytes().all(|byte| byte.is_ascii_alphabetic());
    !names_it && (is_number || is_choice)
}

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
    fn switches_numbers_and_choices_are_shown_and_pins_are_not() {
        for (name, value) in [
            ("EnableLegacyAuthorization", "false"),
            ("RequirePassword", "True"),
            ("PasswordMinLength", "8"),
            ("TokenLifetime", "3600"),
            ("TokenType", "Opaque"),
            ("PasswordStrength", "Medium"),
            ("TokenLimit", "-1"),
            ("TokenLifetime", "00:30:00"),
            ("Password", ""),
        ] {
            assert!(is_harmless(name, value), "{name}");
        }
        for (name, value) in [
            ("Pin", "1234"),
            ("Password", "1234"),
            ("EasyPassword", "0000"),
            ("TokenType", "eyJhb.x1"),
            ("ApiKey", "12"),
            ("Secret", "word"),
        ] {
            assert!(!is_harmless(name, value), "{name}");
        }
    }

    #[test]
    fn of_a_plugins_settings_numbers_and_choices_that_only_sound_secret_are_shown() {
        for (name, value) in
            [("TokenExpiryHours", "24"), ("PasswordResetMode", "Pin"), ("PasswordMinLength", "8")]
        {
            assert!(is_plain(name, value), "{name}");
        }
        for (name, value) in [
            ("Pin", "1234"),
            ("LdapPassword", "2024"),
            ("TokenMode", "eyJhb.x1"),
            ("ServerName", "attic"),
        ] {
            assert!(!is_plain(name, value), "{name}");
        }
    }

    #[test]
    fn what_lets_one_sign_in_is_secret_and_the_rest_is_not() {
        for name in [
            "Password",
            "EasyPassword",
            "AccessToken",
            "CertificatePassword",
            "TmdbApiKey",
            "api_key",
            "client-secret",
            "RefreshToken",
            "pwd",
            "db.pass",
            "Set-Cookie",
            "hash",
            "session_key",
            "salt",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "LdapBindPw",
            "SmtpPass",
            "AdminPin",
            "Passwort",
            "motDePasse",
            "contraseña",
            "Пароль",
            "DiscordWebhookUrl",
            "wifiPsk",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "PasswordResetProviderId",
            "MustUpdatePassword",
            "Name",
            "CustomDataKey",
            "Key",
            "PresentationUniqueKey",
            "Blurhash",
            "Compass",
            "Passage",
            "DateLastRefreshed",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

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
