//! Restoring over what is there: only what differs is written, nothing escapes, and nothing that
//! runs is harmed.

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use needs::needs;

use super::old_systems::failing;
use super::support::*;

fn instance(home: &Path) -> PathBuf {
    let data = home.join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    data
}

#[test]
fn only_what_differs_is_written() {
    let program = Program::new();
    let source = program.home.path().join("source");
    for n in 0..20 {
        write(source.join(format!("{n}")), format!("file {n}"));
    }
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    let inode = |name: &str| std::fs::metadata(out.join(name)).unwrap().ino();
    let (kept, touched) = (inode("3"), inode("4"));
    write(out.join("5"), "FILE 5");
    std::fs::remove_file(out.join("6")).unwrap();
    write(out.join("4"), "file 4");
    write(out.join("extra"), "stays without --delete");
    let (report, code) = program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert_eq!(
        (
            report["restored"]["files"].as_u64(),
            report["restored"]["unchanged"].as_u64(),
            report["restored"]["metadata"].as_u64()
        ),
        (Some(2), Some(18), Some(1))
    );
    assert_eq!((inode("3"), inode("4")), (kept, touched));
    assert!(out.join("extra").exists());
    let (report, _) = program.json(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--delete",
        "--dry-run",
    ]);
    assert_eq!(
        (&report["restored"]["deleted"], &report["deleted_paths"]),
        (&1.into(), &serde_json::json!(["extra"]))
    );
    assert!(
        program
            .ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--delete", "--dry-run"])
            .starts_with("extra would be deleted\n")
    );
    assert!(out.join("extra").exists());
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--delete"]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
}

#[test]
fn a_link_planted_in_the_target_is_never_written_through() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("folder/file"), "from the snapshot");
    write(source.join("direct"), "from the snapshot");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let (out, elsewhere) = (program.home.path().join("out"), program.home.path().join("elsewhere"));
    write(elsewhere.join("file"), "precious");
    write(elsewhere.join("direct"), "precious");
    std::fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("folder")).unwrap();
    std::os::unix::fs::symlink(elsewhere.join("direct"), out.join("direct")).unwrap();
    let (report, code) = program.json(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(std::fs::read_to_string(elsewhere.join("file")).unwrap(), "precious");
    assert_eq!(std::fs::read_to_string(elsewhere.join("direct")).unwrap(), "precious");
    // A link in a file's own place is replaced, not followed.
    assert_eq!(std::fs::read_to_string(out.join("direct")).unwrap(), "from the snapshot");
    assert!(report["problems"].to_string().contains("nothing was written through it"), "{report}");
}

#[test]
fn in_place_brings_everything_back_and_leaves_no_log_and_no_migration_lock() {
    let program = Program::new();
    let data = instance(program.home.path());
    let database = data.join("data/jellyfin.db");
    let before = rows(&database);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    // A day goes wrong.
    let db = rusqlite::Connection::open(&database).unwrap();
    db.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM Users; INSERT INTO __EFMigrationsLock VALUES(1, 'now');").unwrap();
    drop(db);
    std::fs::remove_dir_all(data.join("metadata/People")).unwrap();
    write(data.join("config/system.xml"), "broken");
    write(data.join("data/jellyfin.db-wal"), "a stale log");
    let (report, code) =
        program.json(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    for ending in ["-wal", "-shm", "-journal"] {
        assert!(!data.join(format!("data/jellyfin.db{ending}")).exists());
    }
    assert_eq!(rows(&database), before);
    assert_ne!(std::fs::read_to_string(data.join("config/system.xml")).unwrap(), "broken");
    assert!(data.join("metadata/People").exists());
}

#[test]
fn a_migration_lock_in_the_snapshot_does_not_come_back_in_place() {
    let program = Program::new();
    let data = instance(program.home.path());
    let database = data.join("data/jellyfin.db");
    let db = rusqlite::Connection::open(&database).unwrap();
    db.execute("INSERT INTO __EFMigrationsLock VALUES(1, 'cut off')", []).unwrap();
    drop(db);
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--only",
        "database",
    ]);
    assert!(!rows(&database).iter().any(|row| row.starts_with("__EFMigrationsLock")));
}

#[test]
fn a_running_server_is_not_restored_into_but_its_pictures_can_be() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let held = std::process::Command::new("sleep")
        .arg("60")
        .stdin(std::fs::File::open(data.join("data/jellyfin.db")).unwrap())
        .spawn();
    let mut held = held.unwrap();
    std::fs::remove_dir_all(data.join("metadata/People")).unwrap();
    let refused =
        program.run(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text.starts_with("Error: sleep (process ") && text.contains("\nHint: Stop Jellyfin first"),
        "{text}"
    );
    assert!(!data.join("metadata/People").exists());
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--only",
        "metadata",
    ]);
    assert!(data.join("metadata/People").exists());
    held.kill().unwrap();
    held.wait().unwrap();
}

#[test]
fn other_directories_and_an_older_server_are_refused_with_the_reason() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let elsewhere = program.home.path().join("other");
    write(elsewhere.join("config/system.xml"), "<ServerConfiguration />");
    // The server there sees other directories.
    copy_tree(&own_fixture().join("data"), &elsewhere.join("data"));
    let other = rusqlite::Connection::open(elsewhere.join("data/jellyfin.db")).unwrap();
    let images = "UPDATE BaseItemImageInfos SET Path = replace(Path, '/config/', '/srv/jellyfin/')";
    assert!(other.execute(images, []).unwrap() > 0);
    other.close().unwrap();
    let before = rows(&elsewhere.join("data/jellyfin.db"));
    let args = ["restore", "latest", "--in-place", "--data-dir", elsewhere.to_str().unwrap()];
    let (refused, code) = program.json(&args);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")));
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("would delete everything"),
        "{refused}"
    );
    assert_eq!(rows(&elsewhere.join("data/jellyfin.db")), before);
    // A container with the same volumes sees the same directories: the user may say so.
    write(elsewhere.join("log/log_20260101.log"), "[INF] [1] Main: Jellyfin version: 10.11.6\n");
    let same = [&args[..], &["--same-directories"]].concat();
    let (refused, code) = program.json(&same);
    assert_eq!(code, 1);
    assert!(refused["error"]["message"].as_str().unwrap().contains("10.11.6"), "{refused}");
    let (report, code) = program.json(&[&same[..], &["--force"]].concat());
    assert_eq!(code, 0, "{report}");
    assert_eq!(rows(&elsewhere.join("data/jellyfin.db")), rows(&data.join("data/jellyfin.db")));
}

#[test]
fn keep_old_moves_aside_what_was_there_and_later_captures_leave_it_out() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    write(data.join("data/device.txt"), "changed");
    let (report, code) = program.json(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--keep-old",
    ]);
    assert_eq!(code, 0, "{report}");
    let moved = report["moved_aside"].as_array().unwrap();
    let aside = moved
        .iter()
        .find(|m| m["from"].as_str().unwrap().ends_with("/jellyfin/data"))
        .unwrap()["to"]
        .as_str()
        .unwrap();
    assert_eq!(std::fs::read_to_string(Path::new(aside).join("device.txt")).unwrap(), "changed");
    assert_ne!(std::fs::read_to_string(data.join("data/device.txt")).unwrap(), "changed");
    let_settle();
    let (first, _) = program.json(&["show", "latest"]);
    let (second, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(first["snapshot"]["files"]["total"], second["files"]["total"]);
}

#[test]
fn delete_in_place_removes_what_the_snapshot_lacks_and_nothing_that_is_never_captured() {
    let program = Program::new();
    let data = instance(program.home.path());
    write(data.join("data/backups/jellyfin-backup-1.zip"), "PK");
    write(data.join("cache/images/x.jpg"), "x");
    write(data.join("log/log_1.log"), "x");
    program.ok(&["snapshot", data.to_str().unwrap()]);
    write(data.join("metadata/library/zz/new/poster.jpg"), "new");
    write(data.join("plugins/New/x.dll"), "new");
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--delete",
        "--only",
        "metadata",
    ]);
    assert!(!data.join("metadata/library/zz").exists());
    assert!(data.join("plugins/New/x.dll").exists(), "not selected");
    program.ok(&[
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        data.to_str().unwrap(),
        "--delete",
    ]);
    assert!(!data.join("plugins/New").exists());
    for kept in ["data/backups/jellyfin-backup-1.zip", "cache/images/x.jpg", "log/log_1.log"] {
        assert!(data.join(kept).exists(), "{kept}");
    }
}

#[test]
fn one_path_comes_back_alone() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--path",
        "config/users",
        "--path",
        "root/default/Films/options.xml",
    ]);
    let found = facts(&out, &|_| false);
    assert!(
        found.contains_key(b"config/users/Ana/profile.png".as_slice())
            && found.contains_key(b"root/default/Films/options.xml".as_slice())
    );
    assert!(
        !found.contains_key(b"config/system.xml".as_slice())
            && !found.contains_key(b"data".as_slice())
    );
    let (error, code) = program.json(&[
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
        "--path",
        "config/nothing",
    ]);
    assert_eq!((code, error["error"]["kind"].as_str()), (1, Some("not-found")));
}

#[test]
fn a_database_in_a_directory_is_restored_without_a_foreign_log_and_a_dry_run_removes_nothing() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let out = program.home.path().join("out");
    let out_text = out.to_str().unwrap();
    program.ok(&["restore", "latest", "--to", out_text]);
    write(out.join("data/jellyfin.db-wal"), "another database's log");
    program.ok(&["restore", "latest", "--to", out_text, "--dry-run"]);
    assert!(out.join("data/jellyfin.db-wal").exists(), "a dry run changed something");
    program.ok(&["restore", "latest", "--to", out_text]);
    assert!(!out.join("data/jellyfin.db-wal").exists());
    // A link in the place of its directory: what it leads to is not touched.
    let elsewhere = program.home.path().join("elsewhere");
    write(elsewhere.join("jellyfin.db-wal"), "precious");
    std::fs::remove_dir_all(out.join("data")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("data")).unwrap();
    let (report, code) =
        program.json(&["restore", "latest", "--to", out_text, "--only", "database"]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(std::fs::read_to_string(elsewhere.join("jellyfin.db-wal")).unwrap(), "precious");
    assert!(!elsewhere.join("jellyfin.db").exists());
}

#[test]
fn a_plugins_database_is_not_written_through_a_planted_link() {
    let program = Program::new();
    let data = instance(program.home.path());
    let database = data.join("plugins/Reports_1.0/reports.sqlite");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(42);")
        .unwrap();
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let elsewhere = program.home.path().join("elsewhere");
    write(elsewhere.join("reports.sqlite"), "precious");
    std::fs::remove_dir_all(database.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&elsewhere, database.parent().unwrap()).unwrap();
    let (report, code) =
        program.json(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 3, "{report}");
    assert!(report["problems"].to_string().contains("nothing was written through it"), "{report}");
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert_eq!(std::fs::read_to_string(elsewhere.join("reports.sqlite")).unwrap(), "precious");
    std::fs::remove_file(database.parent().unwrap()).unwrap();
    program.ok(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(rows(&database), ["t: Integer(42)"]);
}

#[test]
fn attributes_that_the_snapshot_lacks_are_taken_away_from_files_and_directories() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("folder/file"), "text");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    for path in ["folder", "folder/file"] {
        rustix::fs::setxattr(out.join(path), "user.extra", b"1", rustix::fs::XattrFlags::empty())
            .unwrap();
    }
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
}

#[needs(strace)]
#[test]
fn a_file_whose_attribute_the_target_cannot_hold_is_there_all_the_same() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("file"), "text");
    rustix::fs::setxattr(
        source.join("file"),
        "user.large",
        &[7; 1000],
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    // What ext4 says of an attribute that is larger than it can hold.
    let done = failing(
        &program,
        "fsetxattr:error=ENOSPC",
        &["--json", "restore", "latest", "--to", out.to_str().unwrap()],
    );
    let report: serde_json::Value =
        serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e} {done:?}"));
    assert_eq!(
        (done.status.code(), report["restored"]["files"].as_u64()),
        (Some(3), Some(1)),
        "{report}"
    );
    assert!(
        report["problems"][0]["what"]
            .as_str()
            .unwrap()
            .contains("it is restored, but not its attribute user.large"),
        "{report}"
    );
    assert_eq!(std::fs::read_to_string(out.join("file")).unwrap(), "text");
}

#[needs(root)]
#[test]
fn a_directory_that_is_not_there_is_made_for_a_user_who_is_not_root() {
    let program = Program::new();
    let home = program.home.path();
    std::fs::set_permissions(home, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let place = home.join("place");
    write(place.join("source/file"), "text");
    std::os::unix::fs::chown(&place, Some(65_534), Some(65_534)).unwrap();
    // The program itself must be reachable for that user.
    let copy = home.join("jellyvault");
    std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &copy).unwrap();
    for args in [&["snapshot", "--plain", "source"][..], &["restore", "latest", "--to", "new/deep"]]
    {
        let mut command = std::process::Command::new(&copy);
        command
            .env_clear()
            .env("HOME", &place)
            .env("JELLYVAULT_REPO", place.join("repo"))
            .args(args)
            .current_dir(&place);
        let done = command.uid(65_534).gid(65_534).output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
    assert_eq!(std::fs::read(place.join("new/deep/file")).unwrap(), b"text");
}

#[test]
fn a_restore_never_removes_moves_or_overwrites_the_repository() {
    for inside in ["data/vault", "metadata/vault", "config/vault", "vault"] {
        let mut program = Program::new();
        let data = instance(program.home.path());
        program.repo = data.join(inside);
        program.ok(&["snapshot", data.to_str().unwrap()]);
        write(data.join("metadata/extra.jpg"), "not in the snapshot");
        let (report, code) = program.json(&[
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            data.to_str().unwrap(),
            "--delete",
        ]);
        assert_eq!(
            (code, report["restored"]["deleted"].as_u64()),
            (0, Some(1)),
            "{inside}: {report}"
        );
        let to = data.join("..").join("jellyfin");
        program.ok(&["restore", "latest", "--to", to.to_str().unwrap(), "--delete", "--yes"]);
        // Its own, and the one of what was there before the restore.
        assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 2, "{inside}");
        if inside != "vault" {
            let refused = program.run(&[
                "restore",
                "latest",
                "--in-place",
                "--data-dir",
                data.to_str().unwrap(),
                "--keep-old",
            ]);
            assert_eq!(refused.status.code(), Some(1));
            assert!(
                String::from_utf8(refused.stderr).unwrap().contains("with it the repository"),
                "{inside}"
            );
            assert!(data.join("data/jellyfin.db").exists());
        }
        for inner in ["", "packs"] {
            let refused = program.run(&[
                "restore",
                "latest",
                "--to",
                program.repo.join(inner).to_str().unwrap(),
            ]);
            assert_eq!(
                refused.status.code(),
                Some(1),
                "{}",
                String::from_utf8_lossy(&refused.stdout)
            );
        }
        program.ok(&[
            "restore",
            "latest",
            "--to",
            program.home.path().join("out").to_str().unwrap(),
        ]);
    }
}

#[test]
fn nothing_is_written_to_a_directory_whose_database_is_open() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    write(data.join("config/system.xml"), "<ServerConfiguration />");
    let mut server = std::process::Command::new("sleep")
        .arg("60")
        .stdin(std::fs::File::open(data.join("data/jellyfin.db")).unwrap())
        .spawn()
        .unwrap();
    let refused = program.run(&["restore", "latest", "--to", data.to_str().unwrap()]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(
        std::fs::read_to_string(data.join("config/system.xml")).unwrap(),
        "<ServerConfiguration />"
    );
    assert!(!data.join("programdata").exists());
}

#[test]
fn a_database_that_is_right_already_is_not_written_again_in_place() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let args = ["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()];
    // The log of the source is folded in by the first restore.
    assert_eq!(program.json(&args).0["restored"]["files"], 1);
    let inode = std::fs::metadata(data.join("data/jellyfin.db")).unwrap().ino();
    assert_eq!(program.json(&[&args[..], &["--dry-run"]].concat()).0["restored"]["files"], 0);
    let (again, code) = program.json(&args);
    assert_eq!(
        (code, &again["restored"]["files"], &again["restored"]["unchanged"]),
        (0, &0.into(), &87.into()),
        "{again}"
    );
    assert_eq!(std::fs::metadata(data.join("data/jellyfin.db")).unwrap().ino(), inode);
}

#[needs(mount)]
#[test]
fn a_target_that_nobody_can_write_to_is_one_error() {
    let program = Program::new();
    let data = instance(program.home.path());
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let disk = program.home.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let run = |args: &[&str]| {
        assert!(
            std::process::Command::new(args[0]).args(&args[1..]).status().unwrap().success(),
            "{args:?}"
        )
    };
    run(&["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", disk.to_str().unwrap()]);
    let refused = |dir: &Path, more: &[&str]| {
        program.json(&[&["restore", "latest", "--to", dir.to_str().unwrap()], more].concat())
    };
    let outcomes = [
        refused(&disk, &[]),
        refused(&disk.join("new"), &[]),
        refused(&disk.join("new"), &["--dry-run"]),
    ];
    run(&["umount", disk.to_str().unwrap()]);
    for (document, code) in outcomes {
        assert_eq!(code, 1, "{document}");
        assert!(document["error"].to_string().contains("Read-only file system"), "{document}");
    }
}

#[test]
fn a_linked_database_stays_a_link_and_what_it_leads_to_is_restored() {
    let program = Program::new();
    let data = instance(program.home.path());
    let (link, disk) = (data.join("data/jellyfin.db"), program.home.path().join("ssd"));
    std::fs::create_dir(&disk).unwrap();
    let real = disk.join("jellyfin.db");
    let expected = rows(&link);
    for ending in ["", "-wal", "-shm"] {
        let from = data.join(format!("data/jellyfin.db{ending}"));
        if from.exists() {
            std::fs::rename(from, disk.join(format!("jellyfin.db{ending}"))).unwrap();
        }
    }
    std::os::unix::fs::symlink(&real, &link).unwrap();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    rusqlite::Connection::open(&real)
        .unwrap()
        .execute_batch("DELETE FROM ActivityLogs; CREATE TABLE changed(x)")
        .unwrap();
    assert_ne!(rows(&real), expected);
    let args = ["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()];
    program.ok(&args);
    assert_eq!((std::fs::read_link(&link).unwrap(), rows(&real)), (real.clone(), expected));
    // The disk is not mounted.
    std::fs::rename(&disk, program.home.path().join("away")).unwrap();
    let (refused, code) = program.json(&args);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert!(link.is_symlink() && !real.exists());
}

#[test]
fn delete_in_a_directory_that_no_restore_made_is_asked_first() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("a"), "a");
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let home = program.home.path().join("photos");
    write(home.join("holiday.jpg"), "a picture");
    let args = ["restore", "latest", "--to", home.to_str().unwrap(), "--delete"];
    let (refused, code) = program.json(&args);
    assert_eq!(code, 2, "{refused}");
    assert!(
        refused["error"]["hint"].as_str().unwrap().contains("--yes")
            && home.join("holiday.jpg").exists()
            && !home.join("a").exists(),
        "{refused}"
    );
    assert_eq!(
        program.json(&[&args[..], &["--dry-run"]].concat()).0["deleted_paths"],
        serde_json::json!(["holiday.jpg"])
    );
    program.ok(&[&args[..], &["--yes"]].concat());
    assert!(!home.join("holiday.jpg").exists() && home.join("a").exists());
    // What a restore made is known; an empty or missing one is nobody's.
    write(home.join("extra"), "x");
    program.ok(&args);
    assert!(!home.join("extra").exists());
    program.ok(&[
        "restore",
        "latest",
        "--to",
        program.home.path().join("new").to_str().unwrap(),
        "--delete",
    ]);
}

/// Calls that a restore makes for each small file in a directory that it made, beside those for the
/// directory.
#[needs(root, strace)]
#[test]
fn a_new_small_file_costs_at_most_five_calls() {
    let program = Program::new();
    let source = program.home.path().join("source");
    const FILES: usize = 200;
    for number in 0..FILES {
        write(source.join(format!("folder/{number}.jpg")), noise(&number.to_string(), 3_000));
        std::os::unix::fs::chown(
            source.join(format!("folder/{number}.jpg")),
            Some(1000),
            Some(1000),
        )
        .unwrap();
    }
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let (out, log) = (program.home.path().join("out"), program.home.path().join("calls"));
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-o", log.to_str().unwrap()]).arg(env!("CARGO_BIN_EXE_jellyvault")).args([
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
    ]);
    let plain = program.command(&[]);
    command.env_clear().envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert!(command.output().unwrap().status.success());
    let text = std::fs::read_to_string(log).unwrap();
    let count = |call: &str| {
        text.lines()
            .filter(|line| {
                line.split_whitespace()
                    .nth(1)
                    .is_some_and(|begin| begin.starts_with(&format!("{call}(")))
            })
            .count()
    };
    let made =
        text.lines().filter(|line| line.contains("O_CREAT") && line.contains(".jpg")).count();
    assert_eq!(made, FILES, "each is made under its own name");
    let of_files = ["renameat", "renameat2", "fchmod", "flistxattr"].map(count);
    assert!(of_files.iter().sum::<usize>() < 20, "not for each file: {of_files:?}");
    for call in ["pwrite64", "fchown", "utimensat"] {
        assert!((FILES..FILES + 20).contains(&count(call)), "{call}: {}", count(call));
    }
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
}

/// Files in new directories are made under their own names.
#[test]
fn a_file_that_was_cut_off_by_a_crash_is_written_again() {
    let program = Program::new();
    let source = program.home.path().join("source");
    write(source.join("folder/film.jpg"), noise("film", 30_000));
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    for cut in [0, 10_000, 30_000] {
        // As it is left: its own name, part of its bytes, the time of the restore.
        write(out.join("folder/film.jpg"), &noise("film", 30_000)[..cut]);
        program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
        assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
    }
}
