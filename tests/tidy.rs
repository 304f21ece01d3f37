//! The house rules that no compiler holds: imports go one way, files stay small, only the command line prints.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

/// Rooms from the top down: each may know those behind it, none before it (`docs/architecture.md`).
const ROOMS: [(&str, &[&str]); 9] = [
    ("cli", &["ops", "archive", "database", "source", "manifest", "store", "chunk", "backend"]),
    ("ops", &["archive", "database", "source", "manifest", "store", "chunk", "backend"]),
    ("archive", &["manifest", "store", "chunk", "backend"]),
    ("database", &["store", "chunk", "backend"]),
    ("source", &["manifest", "store", "chunk", "backend"]),
    ("manifest", &["store", "chunk", "backend"]),
    ("store", &["chunk", "backend"]),
    ("chunk", &[]),
    ("backend", &[]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.path().extension().is_some_and(|kind| kind == "rs"))
        .map(|entry| (entry.path().to_path_buf(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn room_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    (below.components().count() > 1).then(|| below.components().next().unwrap().as_os_str().to_str().unwrap().to_owned())
}

#[test]
fn imports_go_one_way() {
    let mut seen = 0;
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        let (_, may_know) = ROOMS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room} is no known room"));
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let known: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if known != room && ROOMS.iter().any(|(name, _)| *name == known) {
                    seen += 1;
                    assert!(may_know.contains(&known.as_str()), "{}:{}: {room} must not know {known}", path.display(), number + 1);
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} imports were seen: the check sees nothing");
}

#[test]
fn a_file_is_small_enough_to_be_one_noun() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
    }
}

#[test]
fn only_the_command_line_prints_exits_and_reads_the_environment() {
    for (path, text) in sources() {
        if room_of(&path).as_deref() == Some("cli") {
            continue;
        }
        for word in ["println!", "eprintln!", "process::exit", "env::var", "env::args"] {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn bincode_is_used_in_one_file() {
    let users: Vec<_> = sources().into_iter().filter(|(_, text)| text.contains("bincode::")).map(|(path, _)| path).collect();
    assert_eq!(users.len(), 1, "{users:?}");
}

#[test]
fn every_released_format_has_a_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for format in 1..=1 {
        assert!(fixtures.join(format!("repository-format-{format}/repo.toml")).exists(), "format {format} has no fixture");
    }
}
