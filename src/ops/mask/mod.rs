//! Texts without their secrets: as the parser of their format finds them, line by line where there
//! is none.

mod json;
mod lines;
mod xml;

pub(super) use xml::{is_name, is_value};

use std::ops::Range;

use super::addresses::without_secrets_in_addresses;
use super::secrets::HIDDEN;

/// The lines of a text with every secret replaced; as many as the text has. `name` is the file's,
/// by which its format is known.
pub fn lines_without_secrets(name: &str, text: &str) -> Vec<String> {
    // Which values of a plugin's are secret its author alone knows: only what is plainly none is
    // shown.
    let is_strict = !is_known(name);
    let is = |ending: &str| name.to_ascii_lowercase().ends_with(ending);
    let begins = text.trim_start_matches('\u{feff}').trim_start();
    let found = if is(".xml") || is(".nfo") || is(".opf") || begins.starts_with('<') {
        xml::secrets(text, is_strict)
    } else if is(".json") || is(".js") || begins.starts_with(['{', '[']) {
        json::secrets(text, is_strict)
    } else {
        None
    };
    let masked = match found {
        Some(ranges) => replaced(text, ranges),
        // Of no format that is known, or broken: names and what stands behind them.
        None if is_strict => lines::masked_but_plain(text),
        None => lines::masked(text),
    };
    lines::without_keys(&masked).iter().map(|line| without_secrets_in_addresses(line)).collect()
}

/// Whether a file is one of the server's own, whose secrets are known by their names. Other files in
/// its folders are somebody else's.
pub(super) fn is_known(name: &str) -> bool {
    let own = |folder: &str| name.strip_prefix(folder).filter(|rest| !rest.contains('/'));
    match (own("config/"), own("data/")) {
        (Some(file), _) => {
            let is_log = file.starts_with("logging") && file.ends_with(".json");
            is_log || SETTINGS.contains(&file)
        }
        (_, Some(file)) => file == "device.txt",
        _ => !name.starts_with("plugins/"),
    }
}

/// Settings files of Jellyfin's own, right in its configuration directory.
const SETTINGS: [&str; 12] = [
    "system.xml",
    "network.xml",
    "encoding.xml",
    "branding.xml",
    "livetv.xml",
    "metadata.xml",
    "xbmcmetadata.xml",
    "migrations.xml",
    "database.xml",
    "dlna.xml",
    "notifications.xml",
    "pluginconfigurations.xml",
];

/// Whether a value has a secret in it, as lines of another format, JSON or XML would have one.
fn holds_secret(value: &str) -> bool {
    let is_structured =
        value.contains([':', '=', '{', '<', '\n']) || value.contains("--") || value.contains(' ');
    is_structured && (lines::masked(value) != value || without_secrets_in_addresses(value) != value)
}

/// Replaces ranges; the line breaks in them stay, so that lines keep their numbers.
fn replaced(text: &str, mut ranges: Vec<Range<usize>>) -> String {
    ranges.sort_by_key(|range| range.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for range in ranges {
        let start = range.start.max(at);
        if range.end <= start {
            continue;
        }
        out.push_str(text.get(at..start).unwrap_or_default());
        let secret = text.get(start..range.end).unwrap_or_default();
        if !secret.trim().is_empty() {
            out.push_str(HIDDEN);
        }
        out.extend(secret.chars().filter(|c| *c == '\n'));
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every planted word `S3CRET` must be gone, and the lines must keep their numbers.
    fn check(name: &str, text: &str) {
        let masked = lines_without_secrets(name, text);
        assert_eq!(masked.len(), text.split('\n').count(), "{text:?}");
        assert!(!masked.join("\n").contains("S3CRET"), "{text:?} became {masked:?}");
    }

    #[test]
    fn secrets_are_hidden_in_xml_however_it_is_laid_out() {
        for text in [
            "<C><Name>x</Name><ApiKey>S3CRET</ApiKey><B>y</B></C>",
            "<C>\n<ApiKey>\n S3CRET\n</ApiKey>\n</C>",
            "<C><Password\n>S3CRET</Password></C>",
            "<C><Item><Key>ApiKey</Key><Value>S3CRET</Value></Item></C>",
            "<C><Setting name=\"Password\">S3CRET</Setting></C>",
            "<C><add key=\"ApiKey\" value=\"S3CRET\"/></C>",
            "<C><A Token=\"S3CRET\"/></C>",
            "<C><Tokens><string>S3CRET</string><string>S3CRET2</string></Tokens></C>",
            "<C><Password><![CDATA[S3CRET]]></Password></C>",
            "<C><Url>http://u:S3CRET@h/x?token=S3CRET</Url></C>",
            "<C><Value>{\"password\":\"S3CRET\"}</Value></C>",
            "<C><Data>&lt;Login Password=\"S3CRET\"/&gt;</Data></C>",
            "<C><!-- the password: S3CRET --><A>1</A></C>",
            "<C><Args>--user x --password S3CRET</Args></C>",
            "<C><LdapBindPw>S3CRET</LdapBindPw><SmtpPass>S3CRET</SmtpPass></C>",
            "<C><Url>https://discord.com/api/webhooks/1/S3CRET</Url></C>",
            "<?conf password=\"S3CRET\"?><C/>",
            "<!DOCTYPE P [<!ENTITY pw \"password=S3CRET\">]><C>x</C>",
            "<!DOCTYPE P [<!ENTITY pw \"]>password=S3CRET\">] ><C>x</C>",
            "<C><A>http://h/playlist/joe/S3CRET/m3u_plus</A><B>http://h:80/joe/S3CRET/12.ts</B></C>",
            "<C><A>http://h/player_api.php/joe/S3CRET</A><B>/usr/bin/x --key S3CRET</B></C>",
            "<C><A>https://logs-01.loggly.com/inputs/S3CRET/tag/http/</A></C>",
            "<C><Cert>-----BEGIN RSA PRIVATE KEY-----\nS3CRET\n-----END RSA PRIVATE KEY-----</Cert></C>",
        ] {
            check("a.xml", text);
        }
        assert_eq!(
            lines_without_secrets("a.xml", "<C><Days>5</Days></C>"),
            ["<C><Days>5</Days></C>"]
        );
    }

    #[test]
    fn secrets_are_hidden_in_json_however_it_is_laid_out() {
        for text in [
            "{\"Name\":\"x\",\"ApiKey\":\"S3CRET\",\"Days\":3}",
            "{\"password\":\n \"S3CRET\"}",
            "{\"tokens\":[\"a\",\"S3CRET\",{\"x\":\"S3CRET\"}]}",
            "{\"apiKey\":\"ab\\\"S3CRET\"}",
            "{\"Key\":\"ApiKey\",\"Value\":\"S3CRET\"}",
            "[{\"value\":\"S3CRET\",\"name\":\"password\"}]",
            "{\"u\":\"http://h/?api_key=S3CRET&x=1\"}",
            "{\"config\":\"{\\\"apiKey\\\":\\\"S3CRET\\\"}\"}",
            "{\"args\":\"--token S3CRET\"}",
            "{\"\\u0061piKey\":\"S3CRET\"}",
            "{\"\\ud800\":\"S3CRET\"}",
            "{\"Key\":\"Api\\u004bey\",\"Value\":\"S3CRET\"}",
            // No text that Unicode has: a half of a pair, alone.
            "{\"config\":\"\\ud800{\\\"apiKey\\\":\\\"S3CRET\\\"}\"}",
        ] {
            check("a.json", text);
        }
        assert_eq!(
            lines_without_secrets("a.json", "{\"Days\":3,\"b\":[1,2]}"),
            ["{\"Days\":3,\"b\":[1,2]}"]
        );
        assert_eq!(
            lines_without_secrets("a.json", "{\"ApiKey\":null,\"x\":1}"),
            ["{\"ApiKey\":(secret),\"x\":1}"]
        );
    }

    #[test]
    fn of_a_plugins_file_only_what_is_plainly_harmless_is_shown() {
        for (name, text) in [
            (
                "plugins/configurations/x.xml",
                "<C a=\"S3CRET\"><Mystery>S3CRET</Mystery><L><string>S3CRET</string></L><!-- S3CRET --><N>S3CRET12345678</N></C>",
            ),
            ("plugins/configurations/x.json", "{\"mystery\":\"S3CRET\",\"l\":[\"S3CRET\"]}"),
            ("plugins/configurations/x.ini", "mystery = S3CRET\nS3CRET\n# S3CRET\n[section]\n"),
            // A key may be a token itself, and a number may open a door.
            (
                "plugins/configurations/x.json",
                "{\"by\":{\"S3CRETa81f30cc9d\":true,\"S3CRET81f30cc9d00\":{\"on\":true}}}",
            ),
        ] {
            check(name, text);
        }
        let shown = "<C><On>true</On><Days>5</Days><At>2026-01-02T03:04:05Z</At><SortMode>Ascending</SortMode></C>";
        assert_eq!(lines_without_secrets("plugins/configurations/x.xml", shown), [shown]);
        assert_eq!(
            lines_without_secrets(
                "plugins/x.json",
                "{\"entry\":4711,\"port\":8096,\"users\":{\"Anna-Maria Bergmann\":true}}"
            ),
            ["{\"entry\":(secret),\"port\":8096,\"users\":{\"Anna-Maria Bergmann\":true}}"]
        );
        assert_eq!(
            lines_without_secrets("plugins/x.ini", "days = 5\nname = x"),
            ["days = 5", "name = (secret)"]
        );
    }

    #[test]
    fn secrets_are_hidden_in_lines_of_any_other_kind() {
        for text in [
            "password = correct S3CRET staple",
            "passwd=a,S3CRET",
            "token: 'x S3CRET'",
            "token=\"\"S3CRET",
            "password = true S3CRET",
            "token=password=averyveryveryverylongS3CRET",
            "password: >\n  S3CRET\n  S3CRET\nnext: 1",
            "tokens:\n  - S3CRET\n  - S3CRET\nnext: 1",
            "Authorization: Bearer S3CRET",
            "-----BEGIN PRIVATE KEY-----\nS3CRET\nS3CRET\n-----END PRIVATE KEY-----",
            "url http://u:S3CRET@host/",
            "machine h login u password S3CRET",
            "curl --api-key S3CRET http://h/",
            "X-Emby-Token: S3CRET",
            "Kennwort=S3CRET",
            "<broken><ApiKey>S3CRET</ApiKey>",
            "{\"broken\": [\"ApiKey\": \"S3CRET\"",
        ] {
            check("a.conf", text);
        }
        assert_eq!(lines_without_secrets("a.conf", "days = 5\nname = x"), ["days = 5", "name = x"]);
        assert_eq!(
            lines_without_secrets("a.yaml", "password: >\n  x\nnext: 1").last().unwrap(),
            "next: 1"
        );
    }
}
