//! What real servers wrote comes back: trees byte for byte with all metadata, databases row for row.

use std::path::Path;
use std::process::Command;

use super::support::*;

/// What is never captured of an instance in the official container's layout.
fn left_out(path: &[u8]) -> bool {
    let text = String::from_utf8_lossy(path);
    ["data/backups", "data/SQLiteBackups", "cache", "log"].contains(&text.as_ref()) || text.starts_with("data/jellyfin.db")
}

fn comes_back(data: &Path, expected_rows: &[String]) {
    let program = Program::new();
    let out = program.home.path().join("out");
    let before = facts(data, &|_| false);
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!((code, report["problem_count"].as_u64()), (0, Some(0)), "{report}");
    assert_eq!(facts(data, &|_| false), before, "the source was changed");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(rows(&out.join("data/jellyfin.db")), expected_rows);
    let mut expected = facts(data, &left_out);
    // What lies directly in the data directory comes back under `programdata`.
    let marker = expected.remove(b".jellyfin-data".as_slice()).unwrap();
    let mut found = facts(&out, &left_out);
    assert_eq!(found.remove(b"programdata/.jellyfin-data".as_slice()), Some(marker));
    found.remove(b"programdata".as_slice()).unwrap();
    assert_same_trees(&expected, &found);
    // A second restore finds everything right.
    let (report, _) = program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!((report["restored"]["files"].as_u64(), report["restored"]["metadata"].as_u64()), (Some(0), Some(0)));
}

#[test]
fn the_own_fixture_comes_back_with_what_was_only_in_its_wal() {
    let dir = temp();
    let data = dir.path().join("attic");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let rows = rows(&data.join("data/jellyfin.db"));
    assert!(rows.iter().any(|row| row.starts_with("Users: ") && row.contains("guest")), "the user `guest` is only in the WAL");
    comes_back(&data, &rows);
}

#[test]
fn every_day_and_version_of_the_shared_fixtures_comes_back() {
    let Some(fixtures) = shared_fixtures() else {
        // A clone alone: the own fixture's test above stands for them.
        return;
    };
    let dir = temp();
    for archive in ["attic-12.0/days.tar.zst", "attic-upgrade/versions.tar.zst"] {
        assert!(Command::new("tar").arg("--zstd").arg("-xf").arg(fixtures.join(archive)).arg("-C").arg(dir.path()).status().unwrap().success());
    }
    let_settle();
    let day3 = rows(&dir.path().join("day3/data/data/jellyfin.db"));
    for name in ["day1", "day2", "day3", "10.11.6", "10.11.11", "12.0"] {
        let data = dir.path().join(name).join("data");
        let expected = if name == "day2" { day3.clone() } else { rows(&data.join("data/jellyfin.db")) };
        comes_back(&data, &expected);
    }
}

#[test]
fn what_was_learnt_of_the_server_stands_in_the_snapshot() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let (shown, _) = program.json(&["show", "latest"]);
    let snapshot = &shown["snapshot"];
    assert_eq!(snapshot["server_version"], "12.0.0");
    assert_eq!(snapshot["server_version_exact"], false);
    assert_eq!(snapshot["schema"], "20260728182152_AddPeopleItemMapCoveringIndex");
    assert_eq!(snapshot["source"]["seen_by_server"]["config"], "/config/config");
    assert_eq!(snapshot["source"]["seen_by_server"]["metadata"], "/config/metadata");
    assert_eq!(snapshot["server_id"].as_str().unwrap().len(), 32);
}

#[test]
fn a_repository_of_format_1_opens_for_ever() {
    let program = Program::new();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/repository-format-1");
    copy_tree(&fixture, &program.repo);
    let (list, code) = program.json(&["list"]);
    assert_eq!((code, list["snapshots"][0]["label"].as_str(), list["snapshots"][1]["label"].as_str()), (0, Some("first"), Some("second")));
    let text = "text that is compressed, text that is compressed\n";
    assert_eq!(program.ok(&["cat", "first:a.txt"]), text);
    assert_eq!(program.ok(&["cat", "second:a.txt"]), format!("{text}more\n"));
    let out = program.home.path().join("out");
    program.ok(&["restore", "second", "--to", out.to_str().unwrap()]);
    let large: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(std::fs::read_to_string(out.join("large.txt")).unwrap(), large);
    assert_eq!(std::fs::read(out.join("folder/poster.jpg")).unwrap(), b"\xff\xd8\xffnot much of a picture");
    assert_eq!(std::fs::read_link(out.join("link")).unwrap(), Path::new("a.txt"));
    assert_eq!(std::fs::metadata(out.join("empty")).unwrap().len(), 0);
}
