//! What was left of the testers' lists: what is unknown is not gone, what was emptied is told, and
//! each refusal names the way that works.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use needs::needs;

use super::security::{Stage, USER, sh};
use super::support::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The words of a command that fails, and its exit code.
fn failure(program: &Program, args: &[&str]) -> (String, Option<i32>) {
    let output = program.run(args);
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

#[test]
fn files_below_what_could_not_be_listed_are_unknown_and_not_gone() {
    let dir = temp();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let source = dir.path().join("source");
    for name in ["fine", "going", "shut/one", "shut/below/two", "shut/below/three"] {
        write(source.join(name), name);
    }
    let repo = dir.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    let program = dir.path().join("jellyvault");
    std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &program).unwrap();
    if rustix::process::geteuid().is_root() {
        sh("chown -R 65534:65534 \"$1\"", &source);
        sh("chown -R 65534:65534 \"$1\"", &repo);
    }
    // Not as root, whom nothing stops.
    let snapshot = |more: &[&str]| -> (serde_json::Value, Option<i32>, String) {
        let args = ["--repo", text(&repo), "snapshot", "--plain", text(&source)];
        let run = |json: &[&str], dry: &[&str]| {
            let mut command = Command::new(&program);
            command.env_clear().env("HOME", &repo).args(json).args(args).args(more).args(dry);
            if rustix::process::geteuid().is_root() {
                use std::os::unix::process::CommandExt;
                command.uid(65_534).gid(65_534);
            }
            command.output().unwrap()
        };
        // What it would be, in words, then what it is.
        let words = String::from_utf8(run(&[], &["--dry-run"]).stdout).unwrap();
        let output = run(&["--json"], &[]);
        (serde_json::from_slice(&output.stdout).unwrap(), output.status.code(), words)
    };
    assert_eq!(snapshot(&["--init"]).1, Some(0));
    std::fs::remove_file(source.join("going")).unwrap();
    std::fs::set_permissions(source.join("shut"), std::fs::Permissions::from_mode(0o000)).unwrap();
    let (taken, code, words) = snapshot(&[]);
    std::fs::set_permissions(source.join("shut"), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(code, Some(3), "{taken}");
    assert_eq!(
        (&taken["files"]["gone"], &taken["files_unknown"]),
        (&1.into(), &3.into()),
        "{taken}"
    );
    assert!(words.contains("1 gone, 3 unknown: in directories that could not be read"), "{words}");
    // They are back.
    let (taken, code, words) = snapshot(&[]);
    assert_eq!((code, &taken["files_unknown"]), (Some(0), &0.into()), "{taken}");
    assert!(!words.contains("unknown"), "{words}");
}

#[needs(root)]
#[test]
fn files_behind_a_link_that_root_does_not_follow_are_unknown_and_not_gone() {
    let stage = Stage::new();
    let (first, code) = stage.program.json(&["snapshot", stage.at()]);
    assert_eq!(code, 0, "{first}");
    let files = first["snapshot"]["categories"]["plugins"]["files"].as_u64().unwrap();
    assert!(files > 0);
    let (plugins, away) = (stage.data.join("plugins"), stage.program.home.path().join("away"));
    std::fs::rename(&plugins, &away).unwrap();
    std::os::unix::fs::symlink(&stage.etc, &plugins).unwrap();
    sh(&format!("chown -h {USER}:{USER} \"$1\""), &plugins);
    let (taken, code) = stage.program.json(&["snapshot", stage.at()]);
    assert_eq!(code, 3);
    assert_eq!((&taken["files"]["gone"], &taken["files_unknown"]), (&0.into(), &files.into()));
}

#[test]
fn emptied_folders_of_users_and_lists_are_told() {
    for (folder, files) in
        [("config/users", 12), ("config/users", 2), ("data/attachments", 30), ("data/playlists", 1)]
    {
        let program = Program::new();
        let data = program.home.path().join("jf");
        copy_tree(&own_fixture(), &data);
        let place = data.join(folder);
        if place.exists() {
            std::fs::remove_dir_all(&place).unwrap();
        }
        for number in 0..files {
            write(place.join(format!("{number}/profile.png")), format!("picture {number}"));
        }
        assert_eq!(program.json(&["snapshot", text(&data)]).1, 0, "{folder}");
        // One of several is a day's work.
        if files > 1 {
            std::fs::remove_dir_all(place.join("0")).unwrap();
            let (taken, code) = program.json(&["snapshot", text(&data)]);
            assert_eq!((code, &taken["remarks"]), (0, &serde_json::json!([])), "{folder}");
        }
        std::fs::remove_dir_all(&place).unwrap();
        std::fs::create_dir(&place).unwrap();
        let (taken, code) = program.json(&["snapshot", text(&data)]);
        let (problems, remarks) = (taken["problems"].to_string(), taken["remarks"].to_string());
        if files >= 10 {
            assert!(code == 3 && problems.contains(folder), "{folder}: {taken}");
            let purpose = program.json(&["snapshot", text(&data), "--accept-loss"]);
            assert_eq!(purpose.1, 0, "{folder}: {}", purpose.0);
        } else {
            assert!(code == 0 && remarks.contains(folder), "{folder}: {taken}");
        }
        let (again, code) = program.json(&["snapshot", text(&data)]);
        assert!(code == 0 && !again["remarks"].to_string().contains(folder), "{folder}: {again}");
    }
}

#[test]
fn who_has_no_server_yet_is_told_how_a_snapshot_becomes_one() {
    let _alone = alone();
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", text(&data)]);
    std::fs::remove_dir_all(&data).unwrap();
    let (words, code) = failure(&program, &["restore", "latest", "--in-place"]);
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains("no Jellyfin instance was found"), "{words}");
    assert!(words.contains("restore latest --in-place --data-dir DIR"), "{words}");
    assert!(words.contains("docker") && words.contains("--layout"), "{words}");
    let new = program.home.path().join("new");
    program.ok(&["restore", "latest", "--in-place", "--data-dir", text(&new)]);
    assert!(new.join("data/jellyfin.db").is_file());
}

#[test]
fn a_copy_to_another_machine_is_refused_with_what_works() {
    let program = Program::new();
    program.ok(&["snapshot", text(&own_fixture())]);
    for place in ["sftp:nas:/backup", "s3:bucket", "user@nas:/backup"] {
        let (words, code) = failure(&program, &["copy", "--to", place]);
        assert_eq!(code, Some(2), "{words}");
        assert!(!words.contains("init"), "{words}");
        let (of_sync, _) = failure(&program, &["sync", "--to", place]);
        let hint =
            |words: &str| words.lines().find(|line| line.starts_with("Hint")).map(str::to_owned);
        assert_eq!(hint(&words), hint(&of_sync));
    }
}
