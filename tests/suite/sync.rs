//! A second copy of a repository: complete at every moment, with a retention of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use super::support::*;

fn instance(program: &Program) -> PathBuf {
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    data
}

fn sync(program: &Program, to: &Path, more: &[&str]) -> (Value, i32) {
    program.json(&[&["sync", "--to", to.to_str().unwrap()], more].concat())
}

fn of_copy(program: &Program, copy: &Path, args: &[&str]) -> (Value, i32) {
    program.json(&[&["--repo", copy.to_str().unwrap()], args].concat())
}

fn ids(document: &Value) -> Vec<String> {
    document["snapshots"]
        .as_array()
        .unwrap_or_else(|| panic!("{document}"))
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Each snapshot of the copy gives what the one of the original gives.
fn gives_the_same(program: &Program, copy: &Path, ids: &[String]) {
    for id in ids {
        let (a, b) = (
            program.home.path().join(format!("a-{id}")),
            program.home.path().join(format!("b-{id}")),
        );
        assert_eq!(program.json(&["restore", id, "--to", a.to_str().unwrap()]).1, 0);
        let (report, code) = of_copy(program, copy, &["restore", id, "--to", b.to_str().unwrap()]);
        assert_eq!(code, 0, "{report}");
        assert_same_trees(&facts(&a, &|_| false), &facts(&b, &|_| false));
        std::fs::remove_dir_all(a).unwrap();
        std::fs::remove_dir_all(b).unwrap();
    }
}

fn packs_of(repo: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let files = walkdir::WalkDir::new(repo.join("packs"))
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| (entry.path().to_path_buf(), entry.metadata().unwrap().modified().unwrap()))
        .collect()
}

#[test]
fn a_copy_follows_and_keeps_what_it_keeps() {
    follows_and_keeps(&Program::new());
}

#[test]
fn a_copy_of_an_encrypted_repository_follows_and_keeps_what_it_keeps() {
    let program = Program::plain();
    let file = program.home.path().join("passphrase");
    write(&file, "four random words here");
    write(
        program.home.path().join(".config/jellyvault/config.toml"),
        format!("[encryption]\npassphrase_file = {file:?}\n"),
    );
    program.ok(&["-q", "init", "--encrypt", "--no-recovery-key"]);
    follows_and_keeps(&program);
}

fn follows_and_keeps(program: &Program) {
    let (data, copy) = (instance(program), program.home.path().join("usb/copy"));
    let snapshot = |n: usize| {
        write(data.join(format!("config/{n}.xml")), format!("<n>{n}</n>"));
        write(data.join("data/device-notes.bin"), noise(&n.to_string(), 300_000));
        rusqlite::Connection::open(data.join("data/jellyfin.db"))
            .unwrap()
            .execute_batch(&format!("CREATE TABLE t{n} (x); INSERT INTO t{n} VALUES ({n})"))
            .unwrap();
        let_settle();
        let (taken, code) = program.json(&["snapshot", data.to_str().unwrap()]);
        assert_eq!(code, 0, "{taken}");
    };
    snapshot(1);
    snapshot(2);
    let (planned, _) = sync(program, &copy, &["--dry-run"]);
    assert!(planned["snapshots"].as_array().unwrap().len() == 2 && !copy.exists(), "{planned}");
    let (report, code) = sync(program, &copy, &[]);
    assert_eq!((code, report["in_copy"].as_u64()), (0, Some(2)), "{report}");
    let both = ids(&program.json(&["list"]).0);
    assert_eq!(ids(&of_copy(program, &copy, &["list"]).0), both);
    gives_the_same(program, &copy, &both);
    // Nothing new: no pack is touched.
    let before = packs_of(&copy);
    assert_eq!(sync(program, &copy, &[]).0["packs"], 0);
    assert_eq!(packs_of(&copy), before);

    // Each has a retention of its own: here the first goes, there the second. Both are pruned,
    // which writes packs anew.
    assert_eq!(program.json(&["forget", &both[0]]).1, 0);
    assert_eq!(program.json(&["prune", "--max-unused", "0%"]).1, 0);
    assert_eq!(of_copy(program, &copy, &["forget", &both[1]]).1, 0);
    assert_eq!(of_copy(program, &copy, &["prune", "--max-unused", "0%"]).1, 0);
    snapshot(3);
    snapshot(4);
    let (report, code) = sync(program, &copy, &[]);
    assert_eq!(
        (code, report["snapshots"].as_array().unwrap().len(), report["forgotten_there"].as_u64()),
        (0, 2, Some(1)),
        "{report}"
    );
    let there = ids(&of_copy(program, &copy, &["list"]).0);
    assert!(there.len() == 3 && there.contains(&both[0]) && !there.contains(&both[1]), "{there:?}");
    gives_the_same(program, &copy, &there[1..]);
    for found in [
        of_copy(program, &copy, &["check", "--read-data"]),
        program.json(&["check", "--read-data"]),
    ] {
        assert_eq!(found.1, 0, "{}", found.0);
    }
    // It comes back where that is asked for.
    assert_eq!(sync(program, &copy, &["--again"]).0["in_copy"], 4);
    gives_the_same(program, &copy, &both[1..]);
    assert_eq!(of_copy(program, &copy, &["check", "--read-data"]).1, 0);
}

#[test]
fn what_is_no_copy_of_this_repository_is_left_alone() {
    let program = Program::new();
    let data = instance(&program);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let other = program.home.path().join("other");
    assert_eq!(of_copy(&program, &other, &["snapshot", data.to_str().unwrap()]).1, 0);
    let full = program.home.path().join("full");
    write(full.join("holiday.jpg"), "not a repository");
    for (to, kind) in [(&other, "refused"), (&full, "not-empty"), (&program.repo, "refused")] {
        let before = facts(to, &|path| path.ends_with(b"index.redb") || path.starts_with(b"lock"));
        let (refused, code) = sync(&program, to, &[]);
        assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some(kind)), "{refused}");
        assert_same_trees(
            &before,
            &facts(to, &|path| path.ends_with(b"index.redb") || path.starts_with(b"lock")),
        );
    }
    // A disk that is not mounted is no wish for a new copy.
    let copy = program.home.path().join("copy");
    assert_eq!(sync(&program, &copy, &[]).1, 0);
    std::fs::rename(&copy, program.home.path().join("away")).unwrap();
    let (refused, code) = sync(&program, &copy, &[]);
    assert!(
        code == 1
            && refused["error"]["message"].as_str().unwrap().contains("is missing")
            && !copy.exists(),
        "{refused}"
    );
}

#[test]
fn damage_does_not_reach_the_copy() {
    let program = Program::new();
    let (data, copy) = (instance(&program), program.home.path().join("copy"));
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let (pack, _) = packs_of(&program.repo)
        .into_iter()
        .find(|(path, _)| path.extension().is_some_and(|end| end == "pack"))
        .unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&pack, bytes).unwrap();
    let (refused, code) = sync(&program, &copy, &[]);
    assert!(code != 0 && refused.to_string().contains("damaged"), "{refused}");
    assert!(packs_of(&copy).is_empty() && ids(&of_copy(&program, &copy, &["list"]).0).is_empty());
}

#[test]
fn a_copy_that_is_killed_again_and_again_is_whole_each_time_and_comes_to_its_end() {
    let program = Program::new();
    let (data, copy) = (instance(&program), program.home.path().join("copy"));
    for n in 0..12 {
        write(
            data.join(format!("metadata/library/{n}/poster.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 400_000)].concat(),
        );
        let_settle();
        program.ok(&["snapshot", data.to_str().unwrap()]);
    }
    let all = ids(&program.json(&["list"]).0);
    let (mut kills, mut seen) = (0, std::collections::BTreeSet::new());
    for round in 0u64.. {
        let mut running = program
            .command(&["-q", "sync", "--to", copy.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 2 + round * round / 8));
        if running.try_wait().unwrap().is_some_and(|status| status.success()) {
            break;
        }
        running.kill().unwrap();
        running.wait().unwrap();
        kills += 1;
        // Until its first snapshot comes a copy may lack the second file of its settings, which the
        // next sync writes.
        if copy.join("repo.copy.toml").exists() {
            let (found, code) = of_copy(&program, &copy, &["check", "--read-data"]);
            // As after a capture that was cut off at the very end.
            let is_unlisted = found["files"].as_array().unwrap().iter().all(|file| {
                file["what"].as_str().unwrap().contains("the snapshot is not in the list")
            });
            assert!(code == 0 || is_unlisted, "after {kills} kills: {found}");
            seen.insert(ids(&of_copy(&program, &copy, &["list"]).0).len());
        }
    }
    assert!(kills > 3, "it was never cut off");
    assert_eq!(ids(&of_copy(&program, &copy, &["list"]).0), all, "{seen:?}");
    assert_eq!(of_copy(&program, &copy, &["check", "--read-data"]).1, 0);
    gives_the_same(&program, &copy, &all[10..]);
}
