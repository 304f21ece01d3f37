//! The house rules that no compiler holds: imports go one way, files stay small, only the command
//! line prints.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

/// Rooms from the top down: each may know those behind it, none before it (`docs/architecture.md`).
const ROOMS: [(&str, &[&str]); 12] = [
    (
        "cli",
        &[
            "web", "service", "server", "ops", "archive", "database", "source", "manifest",
            "store", "chunk", "backend",
        ],
    ),
    ("web", &["service", "server", "ops", "source", "manifest", "backend"]),
    ("service", &["server", "ops", "source", "manifest", "backend"]),
    ("server", &["ops", "source", "manifest", "store"]),
    ("ops", &["archive", "database", "source", "manifest", "store", "chunk", "backend"]),
    ("archive", &["manifest", "store", "chunk", "backend"]),
    ("database", &["store", "chunk", "backend"]),
    ("source", &["manifest", "store", "chunk", "backend"]),
    ("manifest", &["store", "chunk", "backend"]),
    ("store", &["chunk", "backend"]),
    ("chunk", &[]),
    ("backend", &[]),
];

/// The files of a folder with one of these endings, and their text.
fn texts(folder: &str, endings: &[&str]) -> Vec<(PathBuf, String)> {
    walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|kind| endings.iter().any(|ending| kind == *ending))
        })
        .map(|entry| (entry.path().to_path_buf(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

fn sources() -> Vec<(PathBuf, String)> {
    texts("src", &["rs"])
}

/// Is it this file, which names what it looks for?
fn is_this(path: &Path) -> bool {
    path.ends_with("tests/tidy.rs")
}

fn room_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    (below.components().count() > 1)
        .then(|| below.components().next().unwrap().as_os_str().to_str().unwrap().to_owned())
}

#[test]
fn imports_go_one_way() {
    let mut seen = 0;
    for (path, text) in sources() {
        let Some(room) = room_of(&path) else { continue };
        let (_, may_know) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is no known room"));
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                let known: String =
                    part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if known != room && ROOMS.iter().any(|(name, _)| *name == known) {
                    seen += 1;
                    assert!(
                        may_know.contains(&known.as_str()),
                        "{}:{}: {room} must not know {known}",
                        path.display(),
                        number + 1
                    );
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

/// Functions that may be longer: each goes through one format from its beginning to its end.
const LONG: [(&str, &str); 2] =
    [("src/store/cells/map.rs", "bytes"), ("src/archive/reader.rs", "open")];
const FUNCTION_LINES_MAX: usize = 80;

#[test]
fn a_function_is_short_enough_to_be_seen_whole() {
    let mut seen = 0;
    for (path, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let indent = &line[..line.len() - line.trim_start().len()];
            let Some((before, name)) = line.trim_start().split_once("fn ") else { continue };
            let is_function = before.split_whitespace().all(|word| {
                word.starts_with("pub")
                    || word.ends_with(')')
                    || ["const", "unsafe", "in"].contains(&word)
            });
            // What a trait asks for has no body.
            let has_body = lines
                .iter()
                .skip(at)
                .find(|line| line.ends_with(['{', ';', '}']))
                .is_some_and(|line| line.ends_with('{'));
            if !is_function || !has_body {
                continue;
            }
            let name: String =
                name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let end = lines
                .iter()
                .skip(at)
                .position(|line| *line == format!("{indent}}}"))
                .unwrap_or_else(|| panic!("{}: {name} has no end", path.display()));
            seen += 1;
            let is_long = end + 1 > FUNCTION_LINES_MAX;
            let may_be_long = LONG.iter().any(|(file, long)| path.ends_with(file) && *long == name);
            assert!(!is_long || may_be_long, "{}: {name} has {} lines", path.display(), end + 1);
        }
    }
    assert!(seen > 2000, "only {seen} functions were seen: the check sees nothing");
}

#[test]
fn only_the_command_line_prints_exits_and_reads_the_environment() {
    for (path, text) in sources() {
        // That file is not in the program that people get: the tests' environment asks for what it
        // has.
        if room_of(&path).as_deref() == Some("cli")
            || path.ends_with("store/encryption/for_tests.rs")
        {
            continue;
        }
        for word in ["println!", "eprintln!", "process::exit", "env::var", "env::args"] {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn bincode_is_used_in_one_file() {
    let users: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| text.contains("bincode::"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(users.len(), 1, "{users:?}");
}

#[test]
fn every_released_format_has_a_fixture() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    for format in 1..=2 {
        assert!(
            fixtures.join(format!("repository-format-{format}/repo.toml")).exists(),
            "format {format} has no fixture"
        );
    }
}

#[test]
fn tests_and_benches_need_nothing_beside_the_checkout() {
    for (path, text) in texts("tests", &["rs"])
        .into_iter()
        .chain(texts("benches", &["rs", "py", "sh"]))
        .filter(|(path, _)| !is_this(path))
    {
        for word in ["../shared", "\"shared\"", "gen_corpus"] {
            assert!(!text.contains(word), "{} uses {word}, which no clone has", path.display());
        }
    }
}

#[test]
fn the_fixtures_stay_small() {
    let fixtures =
        walkdir::WalkDir::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"));
    let bytes: u64 = fixtures
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(|facts| facts.is_file())
        .map(|facts| facts.len())
        .sum();
    assert!(bytes <= 40_000_000, "{bytes} bytes of fixtures");
}

/// The lines of each test of a file, with their numbers.
fn tests_in(text: &str) -> Vec<Vec<(usize, &str)>> {
    let lines: Vec<(usize, &str)> =
        text.lines().enumerate().map(|(at, line)| (at + 1, line)).collect();
    let starts = lines.iter().filter(|(_, line)| line.trim() == "#[test]");
    starts
        .map(|(number, line)| {
            let end = line.replace("#[test]", "}");
            lines[*number..].iter().take_while(|(_, line)| *line != end).copied().collect()
        })
        .collect()
}

#[test]
fn a_test_that_cannot_run_is_ignored_and_not_passed() {
    let mut seen = 0;
    for (path, text) in
        sources().into_iter().chain(texts("tests", &["rs"])).filter(|(path, _)| !is_this(path))
    {
        for word in ["NOT TRIED", "not_tried"] {
            assert!(
                !text.contains(word),
                "{}: {word}. Say what the test needs with #[needs] (tests/needs)",
                path.display()
            );
        }
        for test in tests_in(&text) {
            seen += 1;
            // What another test starts in a process of its own is never counted as passed.
            if test.iter().any(|(_, line)| line.starts_with("#[ignore = \"not a test by itself")) {
                continue;
            }
            for (number, line) in test {
                let ends_early = line.contains("return;") || line.contains("return }");
                assert!(
                    !ends_early,
                    "{}:{number}: a test that ends early counts as passed. Say what it needs with #[needs] (tests/needs)",
                    path.display()
                );
            }
        }
    }
    assert!(seen > 400, "only {seen} tests were seen: the check sees nothing");
}

/// Nothing above `backend` opens the repository's files by a path: a repository may be in memory,
/// or on another machine.
#[test]
fn only_the_backend_touches_the_files_of_a_repository() {
    // The folder itself, its locks, and what is derived or private to this machine.
    const LOCAL: [&str; 8] = [
        "fresh.rs",
        "index_file.rs",
        "local_cache.rs",
        "lock.rs",
        "making.rs",
        "questions.rs",
        "repository.rs",
        "run_file.rs",
    ];
    let rooms = ["manifest", "store", "ops/check", "ops/prune", "ops/reach", "ops/repair"];
    let mut looked = 0;
    for (path, text) in sources() {
        let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let is_local = below.starts_with("store") && LOCAL.iter().any(|name| below.ends_with(name));
        if is_local
            || !rooms.iter().any(|room| below.starts_with(room))
            || below.to_str().unwrap().ends_with("_tests.rs")
        {
            continue;
        }
        looked += 1;
        let shipped = text.split("#[cfg(test)]").next().unwrap();
        assert!(!shipped.contains("std::fs"), "{} uses std::fs", path.display());
    }
    assert!(looked > 50, "only {looked} files were looked at");
}
