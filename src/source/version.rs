//! Which version is the server? It stands nowhere in its data; the log, the installed files, the
//! running server and the migration history tell, from exact to lower bound.

use std::path::Path;
use std::time::Duration;

use crate::manifest::Learnt;

use super::live_file::open_regular_of_others;

/// Logs that are read for the version, the newest first, and how much of each and of all, in bytes:
/// the line is written at each start.
const LOGS_READ: usize = 20;
const LOG_BYTES_MAX: u64 = 32 << 20;
const LOGS_BYTES_MAX: u64 = 128 << 20;
/// Longest path before the server's own, and longest answer to a question for its version.
const BASE_CHARS_MAX: usize = 200;
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// A version's numbers; parts that are no numbers count as 0, missing ones too.
pub fn parse(version: &str) -> [u32; 4] {
    let mut numbers = [0; 4];
    for (slot, part) in numbers.iter_mut().zip(version.trim().split(['.', '-', '+'])) {
        *slot = part.parse().unwrap_or(0);
    }
    numbers
}

/// A version as people write it: a trailing fourth part of 0 is left out (`10.11.6.0` is 10.11.6).
pub fn display(version: &str) -> &str {
    version.strip_suffix(".0").filter(|rest| rest.split('.').count() == 3).unwrap_or(version)
}

/// From the newest log that names one ("Jellyfin version: 10.11.6", written at each start).
pub fn from_logs(folder: &Path) -> Option<Learnt> {
    let mut logs: Vec<_> =
        std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("log_") && name.ends_with(".log"))
    });
    logs.sort();
    let mut left = LOGS_BYTES_MAX;
    for path in logs.iter().rev().take(LOGS_READ) {
        let Ok(text) = read_head(path, LOG_BYTES_MAX.min(left)) else { continue };
        left -= text.len() as u64;
        let text = String::from_utf8_lossy(&text);
        if let Some((_, after)) = text.rsplit_once("Jellyfin version: ") {
            // Its settings of logging decide whether the server quotes the number.
            let value: String = after
                .trim_start_matches(['"', '\''])
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            if is_version(value.trim_end_matches('.')) {
                return Some(Learnt {
                    value: display(value.trim_end_matches('.')).to_owned(),
                    how: format!("its log {}", path.display()),
                    exact: true,
                });
            }
        }
    }
    None
}

/// The beginning of a file, which is a regular one: a pipe in its place would be waited for.
fn read_head(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    open_regular_of_others(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a text is a version as servers have them, and nothing else: `10.11.6`, `12.0.0.0`,
/// `12.0.0-rc5`.
pub fn is_version(text: &str) -> bool {
    let (numbers, rest) =
        text.split_once(['-', '+']).map_or((text, None), |(numbers, rest)| (numbers, Some(rest)));
    let is_number = |part: &str| {
        (1..=6).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_word = |rest: &str| {
        (1..=20).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
    };
    (2..=4).contains(&numbers.split('.').count())
        && numbers.split('.').all(is_number)
        && rest.is_none_or(is_word)
}

/// Whether this is the path of a server's own address and nothing else: it must not lead to another
/// host.
fn is_base(base: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte))
    };
    base.len() <= BASE_CHARS_MAX
        && base.strip_prefix('/').is_none_or(|rest| rest.split('/').all(is_part))
        && (base.is_empty() || base.starts_with('/'))
}

/// Where packages put the server.
pub const INSTALL_FOLDERS: [&str; 6] = [
    "/usr/lib/jellyfin/bin",
    "/usr/share/jellyfin/bin",
    "/usr/lib64/jellyfin",
    "/usr/lib/jellyfin",
    "/jellyfin",
    "/opt/jellyfin",
];

/// From the installed files (`jellyfin.deps.json` names the server's own assembly with its
/// version).
pub fn from_install(folder: &Path) -> Option<Learnt> {
    let path = folder.join("jellyfin.deps.json");
    let deps: serde_json::Value = serde_json::from_slice(&read_head(&path, 16 << 20).ok()?).ok()?;
    let value = deps
        .get("libraries")?
        .as_object()?
        .keys()
        .find_map(|key| key.strip_prefix("jellyfin/"))?
        .to_owned();
    if !is_version(&value) {
        return None;
    }
    Some(Learnt {
        value: display(&value).to_owned(),
        how: format!("the installed files in {}", folder.display()),
        exact: true,
    })
}

/// From a server that answers on this machine, if it is the one with this id.
pub fn from_server(port: u16, base_url: &str, server_id: &str) -> Option<Learnt> {
    let base = base_url.trim_end_matches('/');
    // The setting may lack its slash, as the server itself allows.
    let base =
        if base.is_empty() || base.starts_with('/') { base.to_owned() } else { format!("/{base}") };
    if !is_base(&base) {
        return None;
    }
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(800)))
        .proxy(None)
        .max_redirects(0)
        .max_redirects_will_error(true);
    let agent: ureq::Agent = config.build().into();
    let url = format!("http://127.0.0.1:{port}{base}/System/Info/Public");
    let mut answer = agent.get(&url).call().ok().filter(|answer| answer.status() == 200)?;
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec().ok()?;
    let info: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let is_it = info.get("Id")?.as_str()?.eq_ignore_ascii_case(server_id);
    let version = info.get("Version")?.as_str().filter(|version| is_version(version))?;
    is_it.then(|| {
        Some(Learnt {
            value: display(version).to_owned(),
            how: "the running server's answer".to_owned(),
            exact: true,
        })
    })?
}

/// From the migration history.
pub fn from_history(code_migration: &(String, String)) -> Learnt {
    let (id, version) = code_migration;
    // Anybody can write a row.
    let version = if is_version(version) { version } else { "0.0" };
    let id: String =
        id.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(100).collect();
    Learnt {
        value: display(version).to_owned(),
        how: format!("the database's newest code migration {id}: this version or a later one"),
        exact: false,
    }
}

/// The first version with a schema before 10.11, by the newest migration: jellyfin/jellyfin,
/// `Jellyfin.Server.Implementations/Migrations`.
const BEFORE_10_11: [(&str, &str); 4] = [
    ("20210320181425", "10.8.0"),
    ("20221022080052", "10.9.0"),
    ("20240729140605", "10.10.0"),
    ("20241020103111", ""),
];

/// From the newest migration of a server before 10.11, which has no code migrations in its history.
pub fn from_schema(newest: &str) -> Option<Learnt> {
    let (_, first) = BEFORE_10_11.iter().rev().find(|(id, _)| newest >= *id)?;
    let how = format!("the database's newest migration {newest}: this version or a later one");
    (!first.is_empty()).then(|| Learnt { value: (*first).to_owned(), how, exact: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse("10.9.11") < parse("10.11.6.0"));
        assert!(parse("10.11.11") < parse("12.0"));
        assert_eq!(display("10.11.6.0"), "10.11.6");
        assert_eq!(display("12.0.0"), "12.0.0");
    }

    #[test]
    fn only_a_version_is_one_and_only_a_path_is_asked() {
        for version in ["10.11.6", "12.0", "12.0.0.0", "12.0.0-rc5", "10.11.0+abc.1"] {
            assert!(is_version(version), "{version}");
        }
        for text in [
            "",
            "12",
            "12.",
            ".12",
            "12.0\u{1b}[2J",
            "12.0 ",
            "12.0\n",
            "1.2.3.4.5",
            "12.0-",
            "12.0.0-rc 5",
            "1234567.0",
            "v12.0",
        ] {
            assert!(!is_version(text), "{text:?}");
        }
        for base in ["", "/jellyfin", "/a/b-c_d.e~f"] {
            assert!(is_base(base), "{base}");
        }
        for base in [
            "@evil.example/x",
            "/@",
            "//evil",
            "/a//b",
            ":80/x",
            "/x?y=",
            "/x#",
            "/\u{1b}",
            "/é",
            "/%2f",
            "jellyfin",
            &format!("/{}", "a".repeat(300)),
        ] {
            assert!(!is_base(base), "{base}");
        }
    }

    #[test]
    fn a_schema_before_10_11_names_its_first_version() {
        let first = |id| from_schema(id).map(|learnt| learnt.value);
        assert_eq!(
            first("20240928082930_MarkSegmentProviderIdNonNullable").as_deref(),
            Some("10.10.0")
        );
        assert_eq!(first("20230923170422_UserCastReceiver").as_deref(), Some("10.9.0"));
        assert_eq!(first("20210814002109_AddDevices").as_deref(), Some("10.8.0"));
        assert_eq!(first("20200514181226_AddActivityLog"), None);
        assert_eq!(first("20241020103111_LibraryDbMigration"), None);
    }

    #[test]
    fn the_newest_log_names_the_version() {
        let dir = tempfile::tempdir().unwrap();
        let log = |name: &str, text: &str| {
            #[expect(clippy::disallowed_methods, reason = "a test makes its input")]
            std::fs::write(dir.path().join(name), text).unwrap();
        };
        log("log_20260101.log", "[INF] [1] Main: Jellyfin version: 10.11.5\n");
        log(
            "log_20260102.log",
            "[INF] Main: Jellyfin version: 10.11.6\nfoo\n[INF] Main: Jellyfin version: \"10.11.7\"\nbar",
        );
        log("log_20260103.log", "nothing here");
        assert_eq!(from_logs(dir.path()).map(|learnt| learnt.value), Some("10.11.7".to_owned()));
    }
}
