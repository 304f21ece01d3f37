//! A known server whose data is gone or whose disk is not mounted, and how a server is found in the
//! repository.

use std::path::{Path, PathBuf};

use super::support::*;

/// A program with a snapshot of a server in `srv`.
fn with_server() -> (Program, PathBuf) {
    let program = Program::new();
    let data = std::fs::canonicalize(program.home.path()).unwrap().join("srv");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    (program, data)
}

fn empty(data: &Path) {
    std::fs::remove_dir_all(data).unwrap();
    std::fs::create_dir(data).unwrap();
}

fn snapshots(program: &Program) -> Vec<serde_json::Value> {
    program.json(&["list"]).0["snapshots"].as_array().unwrap().clone()
}

#[test]
fn a_known_server_of_which_only_the_marker_is_left_is_told_and_takes_no_complete_ones_place() {
    let _alone = alone();
    let (program, data) = with_server();
    let first = snapshots(&program)[0]["id"].as_str().unwrap().to_owned();
    // What came last is a part: it is not what the rest is compared with.
    program.ok(&["snapshot", data.to_str().unwrap(), "--only", "plugins"]);
    for markers in [vec![".jellyfin-data"], vec![".jellyfin-data", "data/.jellyfin-data"]] {
        empty(&data);
        markers.iter().for_each(|marker| write(data.join(marker), ""));
        for args in [vec!["snapshot", data.to_str().unwrap()], vec!["snapshot"]] {
            let (taken, code) = program.json(&args);
            assert_eq!(code, 3, "{taken}");
            let problems = taken["problems"].as_array().unwrap_or_else(|| panic!("{taken}"));
            let what = problems[0]["what"].as_str().unwrap();
            assert!(
                problems.len() == 1
                    && what.contains("is not mounted, or the data is gone")
                    && what.contains(&first),
                "{taken}"
            );
            assert!(what.contains("87 files") && what.contains("jellyvault restore"), "{what}");
        }
    }
    // All are of one server, and the complete one stays.
    let (kept, _) = program.json(&["forget", "--keep-last", "1"]);
    assert!(
        kept["kept"].as_array().unwrap().iter().any(|kept| kept["id"].as_str() == Some(&first)),
        "{kept}"
    );
    assert!(snapshots(&program).iter().any(|snapshot| snapshot["id"].as_str() == Some(&first)));
}

#[test]
fn a_snapshot_of_markers_alone_deletes_nothing_when_it_is_restored() {
    let _alone = alone();
    let (program, data) = with_server();
    let elsewhere = program.home.path().join("mounted");
    std::fs::rename(&data, &elsewhere).unwrap();
    write(data.join(".jellyfin-data"), "");
    assert_eq!(program.json(&["snapshot", data.to_str().unwrap()]).1, 3);
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&elsewhere, &data).unwrap();
    let before = facts(&data, &|_| false).len();
    program.run(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--delete",
        "--yes",
    ]);
    assert_eq!(facts(&data, &|_| false).len(), before);
}

#[test]
fn a_known_server_of_which_nothing_is_left_is_refused_with_the_way_back_which_works() {
    let _alone = alone();
    let (program, data) = with_server();
    let expected = facts(&data, &|path| {
        path.starts_with(b"log") || path.ends_with(b"-wal") || path.ends_with(b"-shm")
    });
    for is_there in [true, false] {
        if is_there {
            empty(&data);
        } else {
            std::fs::remove_dir_all(&data).unwrap();
        }
        for args in [
            vec!["snapshot", data.to_str().unwrap()],
            vec!["snapshot"],
            vec!["snapshot", "srv"],
            vec!["source"],
        ] {
            let output = program
                .command(&["--json"])
                .args(&args)
                .current_dir(program.home.path())
                .output()
                .unwrap();
            let refused: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(1), "{refused}");
            let message = refused["error"]["message"].as_str().unwrap();
            assert!(
                message.contains(data.to_str().unwrap())
                    && message.contains("87 files")
                    && message.contains("no snapshot was taken"),
                "{message}"
            );
            assert!(
                refused["error"]["hint"].as_str().unwrap().contains("not mounted"),
                "{refused}"
            );
        }
        assert_eq!(snapshots(&program).len(), 1);
    }
    let refused = program.json(&["snapshot", data.to_str().unwrap()]).0;
    let hint = refused["error"]["hint"].as_str().unwrap().to_owned();
    let command = hint.split_once("jellyvault ").unwrap().1;
    program.ok(&command.split_whitespace().collect::<Vec<_>>());
    let found = facts(&data, &|_| false);
    assert!(expected.keys().all(|path| found.contains_key(path)), "not all is back");
    // A directory that no snapshot was taken of is none of these.
    let other = program.home.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let (refused, code) = program.json(&["snapshot", other.to_str().unwrap()]);
    assert!(
        code == 1 && refused["error"]["message"].as_str().unwrap().contains("does not look like"),
        "{refused}"
    );
}

#[test]
fn a_server_is_found_by_its_name_after_a_snapshot_of_a_part_and_by_a_relative_path() {
    let _alone = alone();
    let (program, data) = with_server();
    let other = program.home.path().join("other");
    copy_tree(&own_fixture(), &other);
    write(other.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    let settings = std::fs::read_to_string(other.join("config/system.xml")).unwrap();
    let renamed =
        settings.replace("<ServerName>attic</ServerName>", "<ServerName>cellar</ServerName>");
    assert_ne!(settings, renamed);
    write(other.join("config/system.xml"), renamed);
    program.ok(&["snapshot", other.to_str().unwrap()]);
    for dir in [&data, &other] {
        program.ok(&["snapshot", dir.to_str().unwrap(), "--only", "database"]);
    }
    for (name, dir) in [
        ("attic", "srv"),
        ("cellar", "other"),
        ("./srv", "srv"),
        ("other/", "other"),
        ("../other", "other"),
    ] {
        let at = program.home.path().join(if name.starts_with("..") { "srv" } else { "" });
        let output = program
            .command(&["--json", "--server", name, "list"])
            .current_dir(at)
            .output()
            .unwrap();
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {list}");
        let found = list["snapshots"].as_array().unwrap();
        assert_eq!(found.len(), 2, "{name}: {list}");
        assert!(
            found.iter().all(|one| one.to_string().contains(&format!("/{dir}\""))),
            "{name}: {list}"
        );
    }
}
