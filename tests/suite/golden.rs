//! What a user reads, as a whole: a session of common commands and mistakes, held against
//! `tests/golden/session.txt`. Whoever changes a message changes that file
//! (`JELLYVAULT_BLESS=1 cargo test --test suite golden`), and reads it as English.

use std::path::Path;

use super::support::*;

/// What differs from run to run becomes a word: ids, dates, times, sizes, durations, this test's
/// folder.
fn settled(text: &str, home: &str) -> String {
    let mut out = String::new();
    for line in text.replace(home, "HOME").lines() {
        let mut words: Vec<String> = Vec::new();
        for word in line.split_whitespace() {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let is_number = |text: &str| {
                !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',')
            };
            let shape: String =
                bare.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
            let is_id = bare.len() >= 12
                && bare.chars().all(|c| c.is_ascii_hexdigit())
                && bare.chars().any(|c| c.is_ascii_digit());
            let becomes = match shape.as_str() {
                "9999-99-99" => Some("DATE"),
                "99:99:99" | "99:99" => Some("TIME"),
                _ if is_id => Some("ID"),
                "B" | "KiB" | "MiB" | "GiB" | "ms" | "s"
                    if words.last().is_some_and(|last| is_number(last.trim_start_matches('('))) =>
                {
                    let last = words.pop().unwrap_or_default();
                    let bracket = if last.starts_with('(') { "(" } else { "" };
                    let unit = if shape == "ms" || shape == "s" { "DURATION" } else { "SIZE" };
                    words.push(format!("{bracket}{}", word.replace(bare, unit)));
                    continue;
                }
                _ => None,
            };
            words.push(
                becomes.map_or_else(|| word.to_owned(), |becomes| word.replace(bare, becomes)),
            );
        }
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        out.push_str(&format!("{indent}{}\n", words.join(" ")).replace(" \n", "\n"));
    }
    out
}

#[test]
fn a_session_reads_as_it_was_reviewed() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let home = program.home.path().to_str().unwrap().to_owned();
    let mut transcript = String::new();
    let mut run = |args: &[&str]| {
        let output = program.command(args).current_dir(&home).output().unwrap();
        let shown: Vec<String> = args
            .iter()
            .map(|arg| if arg.contains(' ') { format!("{arg:?}") } else { (*arg).to_owned() })
            .collect();
        transcript.push_str(&format!("$ jellyvault {}\n", shown.join(" ")));
        transcript.push_str(&String::from_utf8_lossy(&output.stdout));
        transcript.push_str(&String::from_utf8_lossy(&output.stderr));
        if output.status.code() != Some(0) {
            transcript.push_str(&format!("(exit code {})\n", output.status.code().unwrap()));
        }
        transcript.push('\n');
    };
    run(&["list"]);
    run(&["source", "jellyfin"]);
    run(&["snapshot", "jellyfin", "--label", "before 12.0"]);
    run(&["snapshot", "jellyfin"]);
    run(&["snapshot", "jellyfin", "--label", "a:b"]);
    run(&["list"]);
    run(&["show", "latest"]);
    run(&["ls", "latest:config"]);
    run(&["cat", "latest:config/nothing.xml"]);
    run(&["show", "monday"]);
    write(
        data.join("config/network.xml"),
        "<NetworkConfiguration><EnableHttps>true</EnableHttps></NetworkConfiguration>",
    );
    std::fs::remove_file(data.join("config/branding.xml")).unwrap();
    let_settle();
    run(&["diff"]);
    run(&["restore", "latest", "--in-place", "--data-dir", "jellyfin", "--dry-run"]);
    run(&["restore", "latest", "--in-place", "--data-dir", "jellyfin"]);
    run(&["restore", "latest", "--to", "out", "--only", "config"]);
    run(&["restore", "latest", "--to", "out", "--delete"]);
    run(&["find", "network.xml"]);
    run(&["history", "config/network.xml"]);
    run(&["export", "latest", "server.zip"]);
    run(&["export", "latest", "server.zip"]);
    run(&["stats"]);
    run(&["forget"]);
    run(&["forget", "--keep-last", "1"]);
    run(&["prune"]);
    run(&["check"]);
    run(&["check", "--read-data"]);
    run(&["keep", "before 12.0"]);
    run(&["snapshot", "nothing-here"]);
    run(&["--repo", "s3:bucket", "list"]);
    run(&["--repo", "elsewhere", "list"]);
    std::fs::remove_file(data.join("config/system.xml")).unwrap();
    write(data.join("data/jellyfin.db"), "");
    for end in ["-wal", "-shm"] {
        // Where the fixture has none there is nothing to remove.
        drop(std::fs::remove_file(data.join(format!("data/jellyfin.db{end}"))));
    }
    let_settle();
    run(&["snapshot", "jellyfin"]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let transcript = transcript.replace(&format!("  {}\n", host.trim()), "  HOSTNAME\n");
    let settled = settled(&transcript, &home);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/session.txt");
    if std::env::var_os("JELLYVAULT_BLESS").is_some() {
        std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
        write(&golden, &settled);
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (number, (found, expected)) in settled.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found, expected, "line {} of tests/golden/session.txt", number + 1);
    }
    assert_eq!(settled.lines().count(), expected.lines().count());
}
