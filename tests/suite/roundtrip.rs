//! What real servers wrote comes back: trees byte for byte with all metadata, databases row for
//! row.

use std::path::Path;

use super::support::*;

/// What is never captured of an instance in the official container's layout.
fn left_out(path: &[u8]) -> bool {
    let text = String::from_utf8_lossy(path);
    ["data/backups", "data/SQLiteBackups", "cache", "log"].contains(&text.as_ref())
        || text.starts_with("data/jellyfin.db")
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
    assert_eq!(
        (report["restored"]["files"].as_u64(), report["restored"]["metadata"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn the_own_fixture_comes_back_with_what_was_only_in_its_wal() {
    let dir = temp();
    let data = dir.path().join("attic");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let rows = rows(&data.join("data/jellyfin.db"));
    assert!(
        rows.iter().any(|row| row.starts_with("Users: ") && row.contains("guest")),
        "the user `guest` is only in the WAL"
    );
    comes_back(&data, &rows);
}

#[test]
fn every_day_and_version_of_real_servers_comes_back() {
    let servers = servers("attic-servers");
    let_settle();
    let day3 = rows(&servers.join("day3/data/data/jellyfin.db"));
    for name in ["day1", "day2", "day3", "10.11.6", "10.11.11", "12.0"] {
        let data = servers.join(name).join("data");
        let expected =
            if name == "day2" { day3.clone() } else { rows(&data.join("data/jellyfin.db")) };
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
fn a_repository_of_each_format_opens_for_ever_and_is_written_on_as_it_is() {
    for (format, labels) in
        [(1, ["first", "second"].as_slice()), (2, &["first", "second", "third"])]
    {
        let program = Program::new();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/repository-format-{format}"));
        copy_tree(&fixture, &program.repo);
        let (list, code) = program.json(&["list"]);
        let found: Vec<_> = list["snapshots"]
            .as_array()
            .unwrap()
            .iter()
            .map(|snapshot| snapshot["label"].as_str().unwrap())
            .collect();
        assert_eq!((code, found.as_slice()), (0, labels));
        let text = "text that is compressed, text that is compressed\n";
        assert_eq!(program.ok(&["cat", "first:a.txt"]), text);
        assert_eq!(program.ok(&["cat", "second:a.txt"]), format!("{text}more\n"));
        let out = program.home.path().join("out");
        program.ok(&["restore", "second", "--to", out.to_str().unwrap()]);
        let large: String = (1..=200_000).map(|n| format!("{n}\n")).collect();
        assert_eq!(std::fs::read_to_string(out.join("large.txt")).unwrap(), large);
        assert_eq!(
            std::fs::read(out.join("folder/poster.jpg")).unwrap(),
            b"\xff\xd8\xffnot much of a picture"
        );
        assert_eq!(std::fs::read_link(out.join("link")).unwrap(), Path::new("a.txt"));
        assert_eq!(std::fs::metadata(out.join("empty")).unwrap().len(), 0);
        // What is added to it is of its own format, and all of it stays readable.
        write(out.join("new.txt"), "n".repeat(5000));
        let_settle();
        let later =
            program.run(&["snapshot", "--plain", out.to_str().unwrap(), "--label", "later"]);
        // The repository of format 1 is older than the list of snapshots, and is told so.
        assert_eq!(
            later.status.code(),
            Some(if format == 1 { 3 } else { 0 }),
            "{}",
            String::from_utf8_lossy(&later.stderr)
        );
        let packs = walkdir::WalkDir::new(program.repo.join("packs"))
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file());
        let versions: Vec<u8> = packs.map(|pack| std::fs::read(pack.path()).unwrap()[6]).collect();
        assert!(
            versions.len() > labels.len() - 1 && versions.iter().all(|version| *version == format),
            "{versions:?}"
        );
        if format > 1 {
            program.ok(&["check", "--read-data"]);
        }
        assert_eq!(
            (
                program.ok(&["cat", "first:a.txt"]).as_str(),
                program.ok(&["cat", "later:new.txt"]).len()
            ),
            (text, 5000)
        );
    }
}
