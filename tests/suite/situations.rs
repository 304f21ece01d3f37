//! What happens to people: disks that are not mounted, servers that lost everything, wrong clocks,
//! two servers in one repository.

use std::path::{Path, PathBuf};
use std::process::Command;

use needs::needs;
use serde_json::Value;

use super::support::*;

fn instance(program: &Program, name: &str) -> PathBuf {
    let data = program.home.path().join(name);
    std::fs::create_dir_all(data.parent().unwrap()).unwrap();
    copy_tree(&own_fixture(), &data);
    let_settle();
    data
}

fn id(report: &Value) -> String {
    report["snapshot"]["id"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned()
}

fn snapshot(program: &Program, data: &Path, more: &[&str]) -> (Value, i32) {
    program.json(&[&["snapshot", data.to_str().unwrap()], more].concat())
}

fn in_place(program: &Program, name: &str, data: &Path, more: &[&str]) -> (Value, i32) {
    program.json(
        &[&["restore", name, "--in-place", "--data-dir", data.to_str().unwrap()], more].concat(),
    )
}

fn ids(program: &Program) -> Vec<String> {
    program.json(&["list"]).0["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Another test's program may look at what is mounted at that moment: then it is busy.
const UNMOUNT: &str = "for _ in 1 2 3 4 5 6 7 8 9; do umount \"$1\" 2>/dev/null && exit; sleep 0.2; done; umount \"$1\"";

fn sh(script: &str, argument: &Path) {
    let done = Command::new("sh").args(["-ec", script, "-"]).arg(argument).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

#[test]
fn what_a_snapshot_does_not_know_is_not_deleted() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    write(data.join("metadata/library/aa/left-out.jpg"), "excluded");
    write(data.join("config/notes/private.txt"), "excluded too");
    snapshot(
        &program,
        &data,
        &["--exclude", "left-out.jpg", "--exclude", "config/notes/**", "--skip", "trickplay"],
    );
    write(data.join("config/extra.xml"), "<extra />");
    let (report, code) = in_place(&program, "latest", &data, &["--delete"]);
    let is_kept = |path: &str| data.join(path).exists();
    let kept = ["metadata/library/aa/left-out.jpg", "config/notes/private.txt", "data/trickplay"]
        .map(is_kept);
    assert_eq!((code, kept), (0, [true; 3]), "{report}");
    assert!(!is_kept("config/extra.xml"), "what the snapshot knows not to be there goes");
    assert!(report["restored"]["unknown"].as_u64().unwrap() > 0, "{report}");
    // What is not known is not told as gone, nor as new.
    let (diff, _) = program.json(&["diff", "latest", "--data-dir", data.to_str().unwrap()]);
    assert!(
        !diff["changes"].to_string().contains("left-out")
            && !diff["changes"].to_string().contains("notes"),
        "{}",
        diff["changes"]
    );
}

#[needs(mount)]
#[test]
fn what_lies_on_another_disk_is_not_deleted() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let other = data.join("metadata/library/mounted");
    std::fs::create_dir(&other).unwrap();
    sh("mount -t tmpfs tmpfs \"$1\"", &other);
    write(other.join("poster.jpg"), "on another disk");
    snapshot(&program, &data, &["--one-file-system"]);
    write(data.join("config/extra.xml"), "<extra />");
    let (report, code) = in_place(&program, "latest", &data, &["--delete"]);
    let is_kept = other.join("poster.jpg").exists();
    sh(UNMOUNT, &other);
    assert_eq!((code, is_kept), (0, true), "{report}");
    assert!(!data.join("config/extra.xml").exists());
}

#[test]
fn a_dry_run_names_a_directory_that_is_in_the_way() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let file = data.join("config/branding.xml");
    std::fs::remove_file(&file).unwrap();
    write(file.join("something"), "in it");
    let restore = ["--path", "config/branding.xml", "--no-safety-snapshot"];
    let told = |more: &[&str]| {
        let (report, code) = in_place(&program, "latest", &data, &[&restore[..], more].concat());
        (report["problems"].clone(), code)
    };
    let predicted = told(&["--dry-run"]);
    assert!(
        predicted.1 == 3 && predicted.0.to_string().contains("a directory that is not empty"),
        "{predicted:?}"
    );
    assert_eq!(predicted, told(&[]));
    // An empty one makes way.
    std::fs::remove_file(file.join("something")).unwrap();
    assert_eq!((told(&["--dry-run"]).1, told(&[]).1), (0, 0));
    assert!(file.is_file());
}

#[needs(root)]
#[test]
fn a_directory_that_could_not_be_read_is_not_deleted_at_restore() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let closed = data.join("metadata/People");
    let names = std::fs::read_dir(&closed).unwrap().count();
    assert!(names > 0);
    // Root reads everything: another user takes the snapshot.
    let copy = program.home.path().join("jellyvault");
    std::fs::copy(env!("CARGO_BIN_EXE_jellyvault"), &copy).unwrap();
    sh(
        "chmod 755 \"$1\"; mkdir \"$1\"/repo; chown -R 65534:65534 \"$1\"/repo \"$1\"/jellyfin; chown 0:0 \"$1\"/jellyfin/metadata/People; chmod 700 \"$1\"/jellyfin/metadata/People",
        program.home.path(),
    );
    let mut command = program.command(&["snapshot", data.to_str().unwrap()]);
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    command = Command::new(&copy);
    std::os::unix::process::CommandExt::uid(&mut command, 65_534);
    let taken = command
        .args(args)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("JELLYVAULT_REPO", &program.repo)
        .output()
        .unwrap();
    assert_eq!(taken.status.code(), Some(3), "{taken:?}");
    let (report, _) = in_place(&program, "latest", &data, &["--delete", "--force"]);
    assert_eq!(std::fs::read_dir(&closed).unwrap().count(), names, "{report}");
}

#[test]
fn a_server_that_lost_something_makes_no_good_snapshot_and_takes_no_good_one_s_place() {
    type Loss<'a> = (&'a str, &'a str, &'a dyn Fn(&Path));
    let worthless: [Loss<'_>; 6] = [
        ("an empty database", "the database is empty", &|data| {
            sh("rm -f \"$1\"/data/jellyfin.db-*; : > \"$1\"/data/jellyfin.db", data);
        }),
        ("another database", "none of Jellyfin's tables", &|data| {
            sh("rm -f \"$1\"/data/jellyfin.db*", data);
            rusqlite::Connection::open(data.join("data/jellyfin.db"))
                .unwrap()
                .execute_batch("CREATE TABLE t(x)")
                .unwrap();
        }),
        ("no users and items any more", "no longer has users and items", &|data| {
            let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
            db.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM Users; DELETE FROM BaseItems; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
        }),
        ("settings of no length", "this settings file is empty", &|data| {
            write(data.join("config/system.xml"), "")
        }),
        ("a library's options of no length", "this settings file is empty", &|data| {
            sh("for f in \"$1\"/root/default/*/options.xml; do : > \"$f\"; done", data);
        }),
        ("a metadata disk that is away", "metadata", &|data| {
            std::fs::remove_dir_all(data.join("metadata")).unwrap();
            std::fs::create_dir(data.join("metadata")).unwrap();
        }),
    ];
    for (name, says, lose) in worthless {
        let program = Program::new();
        let data = instance(&program, "jellyfin");
        let (good, code) = snapshot(&program, &data, &[]);
        assert_eq!(
            (code, good["snapshot"]["complete"].as_bool()),
            (0, Some(true)),
            "{name} {good}"
        );
        lose(&data);
        let_settle();
        for _ in 0..3 {
            let (bad, code) = snapshot(&program, &data, &[]);
            assert_eq!(
                (code, bad["snapshot"]["complete"].as_bool()),
                (3, Some(false)),
                "{name} {bad}"
            );
            assert!(bad["problems"].to_string().contains(says), "{name} {bad}");
        }
        // N nights later.
        program.ok(&["forget", "--keep-last", "1", "--prune"]);
        assert!(ids(&program).contains(&id(&good)), "{name}: the last complete one is gone");
    }
}

#[test]
fn an_empty_database_is_not_restored_over_a_good_one_unasked() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let good = rows(&data.join("data/jellyfin.db"));
    sh(
        "cp -a \"$1\"/data \"$1\"/../saved; rm -f \"$1\"/data/jellyfin.db-*; : > \"$1\"/data/jellyfin.db",
        &data,
    );
    snapshot(&program, &data, &[]);
    sh("rm -rf \"$1\"/data; mv \"$1\"/../saved \"$1\"/data", &data);
    let_settle();
    let (refused, code) = in_place(&program, "latest", &data, &[]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert_eq!(rows(&data.join("data/jellyfin.db")), good);
}

#[test]
fn a_database_without_items_is_not_restored_over_one_that_has_them_unasked() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    sh("cp -a \"$1\"/data \"$1\"/../saved", &data);
    run_sql(&data.join("data/jellyfin.db"), "PRAGMA foreign_keys = OFF; DELETE FROM BaseItems;");
    snapshot(&program, &data, &[]);
    sh("rm -rf \"$1\"/data; mv \"$1\"/../saved \"$1\"/data", &data);
    let_settle();
    let good = rows(&data.join("data/jellyfin.db"));
    for dry_run in [&["--dry-run"][..], &[]] {
        let (refused, code) = in_place(&program, "latest", &data, dry_run);
        assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("no items"), "{refused}");
    }
    assert_eq!(rows(&data.join("data/jellyfin.db")), good);
    let (report, code) = in_place(&program, "latest", &data, &["--force"]);
    assert!(code == 0 || code == 3, "{report}");
}

/// Its clock was ahead once, or somebody touched the file.
#[test]
fn a_database_from_the_future_is_captured_and_nothing_is_written_beside_it() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let database = data.join("data/jellyfin.db");
    run_sql(&database, "PRAGMA journal_mode = WAL; PRAGMA wal_checkpoint(TRUNCATE);");
    sh("rm -f \"$1\"-wal \"$1\"-shm; touch -d '+1 day' \"$1\"", &database);
    let files = || {
        std::fs::read_dir(data.join("data"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect::<std::collections::BTreeSet<_>>()
    };
    let before = files();
    let begun = std::time::Instant::now();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{report} after {:?}", begun.elapsed());
    assert_eq!(files(), before);
    assert!(program.ok(&["ls", "latest:data"]).contains("jellyfin.db"));
}

/// The log is of the server that was there before the upgrade.
#[test]
fn a_log_of_an_older_server_does_not_make_the_database_older() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    sh("rm -rf \"$1\"/log; mkdir \"$1\"/log", &data);
    write(
        data.join("log/log_20240101.log"),
        "[2024-01-01 00:00:00.000 +00:00] [INF] [1] Main: Jellyfin version: \"10.8.1\"\n",
    );
    let (report, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    let version = report["snapshot"]["server_version"].as_str().unwrap();
    assert!(!version.starts_with("10.8"), "{version}");
}

#[needs(mount)]
#[test]
fn a_restore_looks_ahead_and_its_dry_run_says_the_same() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let before = facts(&data, &|_| false);
    // Something is mounted where --keep-old would move.
    let mounted = data.join("metadata/People");
    sh("mount --bind \"$1\" \"$1\"", &mounted);
    let tries = [
        in_place(&program, "latest", &data, &["--keep-old", "--dry-run"]),
        in_place(&program, "latest", &data, &["--keep-old"]),
    ];
    sh(UNMOUNT, &mounted);
    for (refused, code) in tries {
        assert_eq!(code, 1, "{refused}");
        assert!(
            refused["error"]["message"].as_str().unwrap().contains("metadata/People"),
            "{refused}"
        );
    }
    assert_eq!(facts(&data, &|_| false), before, "nothing was changed");
    assert_eq!(ids(&program).len(), 1, "a restore that is refused takes no snapshot");
}

#[needs(chattr)]
#[test]
fn a_file_that_nobody_may_change_is_seen_before_anything_changes() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let file = data.join("config/system.xml");
    write(&file, "<changed />");
    sh("chattr +i \"$1\"", &file);
    let tries = [
        in_place(&program, "latest", &data, &["--dry-run"]),
        in_place(&program, "latest", &data, &[]),
    ];
    sh("chattr -i \"$1\"", &file);
    for (refused, code) in tries {
        assert_eq!(code, 1, "{refused}");
        assert!(refused.to_string().contains("config/system.xml"), "{refused}");
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"<changed />");
    assert_eq!(ids(&program).len(), 1, "a restore that is refused takes no snapshot");
}

#[needs(chattr)]
#[test]
fn a_dry_run_tells_what_cannot_be_deleted() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    write(data.join("config/fixed/file.xml"), "<new />");
    write(data.join("config/free/file.xml"), "<new />");
    sh("chattr +i \"$1\"", &data.join("config/fixed"));
    let tries = [
        in_place(&program, "latest", &data, &["--delete", "--dry-run"]),
        in_place(&program, "latest", &data, &["--delete"]),
    ];
    sh("chattr -i \"$1\"", &data.join("config/fixed"));
    let told = |(report, code): &(Value, i32)| {
        (*code, report["restored"]["deleted"].clone(), report["problems"].clone())
    };
    assert_eq!(told(&tries[0]), told(&tries[1]), "{}", tries[0].0);
    assert_eq!(
        (tries[0].1, tries[0].0["problems"].as_array().map(Vec::len)),
        (3, Some(2)),
        "{}",
        tries[0].0
    );
}

#[needs(mount)]
#[test]
fn a_disk_that_is_too_full_is_seen_before_anything_changes() {
    let program = Program::new();
    let source = instance(&program, "jellyfin");
    for n in 0..40 {
        write(source.join(format!("metadata/library/aa/{n}.jpg")), noise(&n.to_string(), 300_000));
    }
    snapshot(&program, &source, &[]);
    let disk = program.home.path().join("small");
    std::fs::create_dir(&disk).unwrap();
    sh("mount -t tmpfs -o size=8m tmpfs \"$1\"", &disk);
    let data = disk.join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let before = facts(&data, &|_| false);
    let tries = [&["--dry-run"][..], &[]].map(|more| in_place(&program, "latest", &data, more));
    let after = facts(&data, &|_| false);
    sh(UNMOUNT, &disk);
    for (refused, code) in tries {
        assert_eq!(code, 1, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("free"), "{refused}");
    }
    assert_eq!(after, before);
}

#[test]
fn what_is_there_is_snapshotted_before_it_is_replaced_and_that_one_is_not_latest() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let first = id(&snapshot(&program, &data, &[]).0);
    write(data.join("config/system.xml"), "<ServerConfiguration><Changed /></ServerConfiguration>");
    let_settle();
    let (report, code) = in_place(&program, "latest", &data, &[]);
    assert_eq!(code, 0, "{report}");
    let safety = report["safety_snapshot"].as_str().unwrap().to_owned();
    assert_eq!(id(&program.json(&["show", "latest"]).0), first);
    let kept = Command::new(env!("CARGO_BIN_EXE_jellyvault"))
        .env_clear()
        .env("HOME", program.home.path())
        .env("JELLYVAULT_REPO", &program.repo)
        .args(["cat", &format!("{safety}:config/system.xml")])
        .output()
        .unwrap();
    assert_eq!(kept.stdout, b"<ServerConfiguration><Changed /></ServerConfiguration>");
    // It brings back what was there.
    in_place(&program, &safety, &data, &["--no-safety-snapshot"]);
    assert_eq!(
        std::fs::read(data.join("config/system.xml")).unwrap(),
        b"<ServerConfiguration><Changed /></ServerConfiguration>"
    );
    assert_eq!(ids(&program).len(), 2);
    // Pictures alone need none.
    assert_eq!(
        in_place(&program, "latest", &data, &["--only", "metadata"]).0["safety_snapshot"],
        Value::Null
    );
}

#[test]
fn under_a_running_server_only_what_it_does_not_hold_comes_back() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let mut held = Command::new("sleep")
        .arg("60")
        .stdin(std::fs::File::open(data.join("data/jellyfin.db")).unwrap())
        .spawn()
        .unwrap();
    let refused = [
        vec!["--only", "plugins"],
        vec!["--only", "config"],
        vec!["--path", "data/device.txt"],
        vec!["--path", "data/playlists"],
        vec![],
    ]
    .map(|more| in_place(&program, "latest", &data, &more));
    let allowed = ["metadata", "trickplay", "subtitles", "attachments"]
        .map(|category| in_place(&program, "latest", &data, &["--only", category]));
    held.kill().unwrap();
    held.wait().unwrap();
    for (refused, code) in refused {
        assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    }
    for (done, code) in allowed {
        assert_eq!(code, 0, "{done}");
    }
}

#[test]
fn a_database_among_the_pictures_is_not_replaced_under_a_running_server() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let path = data.join("metadata/library/plugin.db");
    let sql = |text: &str| rusqlite::Connection::open(&path).unwrap().execute_batch(text).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    sql("CREATE TABLE notes (text); INSERT INTO notes VALUES ('old');");
    write(data.join("metadata/library/poster.jpg"), "old");
    let_settle();
    snapshot(&program, &data, &[]);
    sql("INSERT INTO notes VALUES ('new');");
    write(data.join("metadata/library/poster.jpg"), "newer");
    let before = std::fs::read(&path).unwrap();
    let mut held = Command::new("sleep")
        .arg("60")
        .stdin(std::fs::File::open(data.join("data/jellyfin.db")).unwrap())
        .spawn()
        .unwrap();
    let tried = [&["--only", "metadata", "--dry-run"][..], &["--only", "metadata"]]
        .map(|more| in_place(&program, "latest", &data, more));
    held.kill().unwrap();
    held.wait().unwrap();
    for (report, code) in tried {
        let problems = report["problems"].to_string();
        assert!(
            code == 3 && problems.contains("plugin.db") && problems.contains("Stop Jellyfin"),
            "{report}"
        );
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read(data.join("metadata/library/poster.jpg")).unwrap(), b"old");
    let (report, code) = in_place(&program, "latest", &data, &["--only", "metadata"]);
    assert_eq!(code, 0, "{report}");
    assert_ne!(std::fs::read(&path).unwrap(), before);
}

fn two_servers(program: &Program) -> (PathBuf, PathBuf) {
    let (ours, theirs) = (instance(program, "ours"), instance(program, "theirs"));
    write(theirs.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    let_settle();
    snapshot(program, &ours, &["--label", "mine"]);
    snapshot(program, &theirs, &["--label", "others"]);
    (ours, theirs)
}

#[test]
fn of_two_servers_the_one_that_is_meant_must_be_said() {
    let program = Program::new();
    let (ours, theirs) = two_servers(&program);
    for args in
        [vec!["show", "latest"], vec!["ls", "latest"], vec!["restore", "latest", "--to", "x"]]
    {
        let (refused, code) = program.json(&args);
        assert_eq!(code, 2, "{args:?} {refused}");
        assert!(refused["error"].to_string().contains("--server"), "{refused}");
    }
    for named in [theirs.to_str().unwrap(), "0123456789abcdef0123456789abcdef"] {
        assert_eq!(
            program.json(&["--server", named, "show", "latest"]).0["snapshot"]["label"],
            "others"
        );
    }
    // The directory says which one is meant.
    assert_eq!(in_place(&program, "latest", &ours, &["--dry-run"]).1, 0);
    assert!(program.ok(&["list"]).contains("SERVER"));
    // One's data are not put over the other's.
    let mine = rows(&ours.join("data/jellyfin.db"));
    let (refused, code) =
        in_place(&program, "others", &ours, &["--server", "0123456789abcdef0123456789abcdef"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert!(refused["error"].to_string().contains("--other-server"), "{refused}");
    assert_eq!(rows(&ours.join("data/jellyfin.db")), mine);
    assert!(
        std::fs::read_to_string(ours.join("data/device.txt")).unwrap()
            != "0123456789abcdef0123456789abcdef"
    );
    // Each has its own retention.
    program.ok(&["forget", "--keep-last", "1"]);
    assert_eq!(ids(&program).len(), 2);
}

#[test]
fn what_the_user_leaves_out_is_not_called_lost() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    for number in 0..12 {
        write(data.join(format!("data/trickplay/0{number}/sheet.jpg")), number.to_string());
    }
    let_settle();
    assert_eq!(snapshot(&program, &data, &[]).1, 0);
    for glob in ["data/trickplay", "data/trickplay/**", "*.jpg"] {
        let (report, code) = snapshot(&program, &data, &["--exclude", glob]);
        assert_eq!(code, 0, "{glob} {report}");
    }
    // A disk that is away is told all the same.
    assert_eq!(snapshot(&program, &data, &[]).1, 0);
    std::fs::remove_dir_all(data.join("data/trickplay")).unwrap();
    std::fs::create_dir(data.join("data/trickplay")).unwrap();
    let (report, code) = snapshot(&program, &data, &["--exclude", "*.bif"]);
    assert!(code == 3 && report["problems"].to_string().contains("data/trickplay"), "{report}");
}

#[test]
fn a_look_at_a_directory_that_another_server_took_over_is_refused() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let first = id(&snapshot(&program, &data, &[]).0);
    write(data.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
    let (refused, code) = program.json(&["diff"]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("another server (id 0123456789abcdef0123456789abcdef)"),
        "{refused}"
    );
    // Who names both means both.
    let (compared, code) = program.json(&["diff", &first, "--data-dir", data.to_str().unwrap()]);
    assert_eq!(
        (code, compared["changes"][0]["after"]["path"].as_str()),
        (0, Some("data/device.txt")),
        "{compared}"
    );
}

#[test]
fn a_server_under_dated_paths_is_one_server() {
    let program = Program::new();
    for day in ["2026-11-23", "2026-11-24", "2026-11-25"] {
        let data = instance(&program, &format!(".snapshots/{day}/jellyfin"));
        write(data.join("config/day.xml"), day);
        let_settle();
        assert_eq!(snapshot(&program, &data, &[]).1, 0);
    }
    assert_eq!(program.json(&["show", "latest"]).1, 0, "one server is not ambiguous");
    program.ok(&["forget", "--keep-last", "2"]);
    assert_eq!(ids(&program).len(), 2);
}

#[needs(faketime)]
#[test]
fn a_wrong_clock_is_told_and_its_snapshot_takes_no_other_s_place() {
    for wrong in ["2099-01-01 00:00:00", "1975-01-01 00:00:00"] {
        let program = Program::new();
        let data = instance(&program, "jellyfin");
        let first = id(&snapshot(&program, &data, &[]).0);
        let mut command = Command::new("faketime");
        command
            .env_clear()
            .env("HOME", program.home.path())
            .env("TZ", "UTC")
            .env("JELLYVAULT_REPO", &program.repo)
            .env("PATH", "/usr/bin:/bin");
        let output = command
            .args([
                wrong,
                env!("CARGO_BIN_EXE_jellyvault"),
                "--json",
                "snapshot",
                data.to_str().unwrap(),
            ])
            .output()
            .unwrap();
        let odd: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e} {output:?}"));
        assert_eq!(output.status.code(), Some(3), "{odd}");
        assert!(odd["problems"].to_string().contains("clock"), "{odd}");
        write(data.join("config/later.xml"), "<later />");
        // The clock is right again: it goes on from the last one that was.
        let (last, code) = snapshot(&program, &data, &[]);
        assert_eq!((code, &last["problems"]), (0, &serde_json::json!([])), "{wrong} {last}");
        let last = id(&last);
        assert_eq!(id(&program.json(&["show", "latest"]).0), last, "the order is that of the list");
        assert_eq!(ids(&program).last(), Some(&last));
        program.ok(&["forget", "--keep-last", "2"]);
        let left = ids(&program);
        assert!(left.contains(&first) && left.contains(&last), "{wrong}: {left:?}");
    }
}

#[needs(faketime)]
#[test]
fn a_clock_that_is_wrong_by_some_months_is_told() {
    let fake = |program: &Program, time: &str, data: &Path| {
        let mut command = Command::new("faketime");
        command
            .env_clear()
            .env("HOME", program.home.path())
            .env("TZ", "UTC")
            .env("JELLYVAULT_REPO", &program.repo)
            .env("PATH", "/usr/bin:/bin");
        let output = command
            .args([
                time,
                env!("CARGO_BIN_EXE_jellyvault"),
                "--json",
                "snapshot",
                data.to_str().unwrap(),
            ])
            .output()
            .unwrap();
        let taken: Value =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e} {output:?}"));
        (taken, output.status.code().unwrap())
    };
    for wrong in ["+90 days", "-90 days"] {
        let program = Program::new();
        let data = instance(&program, "jellyfin");
        // The first of a repository can only be compared with the disk, the first of a server only
        // with others'.
        let (odd, code) = fake(&program, wrong, &data);
        assert!(
            code == 3 && odd["problems"].to_string().contains("the repository's disk shows"),
            "{wrong}: {odd}"
        );
        assert_eq!(snapshot(&program, &data, &[]).1, 0, "{wrong}");
        let other = instance(&program, "other");
        write(other.join("data/device.txt"), "0123456789abcdef0123456789abcdef");
        let (odd, code) = fake(&program, wrong, &other);
        assert!(code == 3 && odd["problems"].to_string().contains("clock"), "{wrong}: {odd}");
        assert_eq!(snapshot(&program, &other, &[]).1, 0, "{wrong}");
    }
}

#[test]
fn what_is_not_captured_is_not_complained_about() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let settings = std::fs::read_to_string(data.join("config/system.xml")).unwrap();
    let named = "<MetadataPath>/nowhere/metadata</MetadataPath></ServerConfiguration>";
    write(
        data.join("config/system.xml"),
        settings.replace("<MetadataPath />", "").replace("</ServerConfiguration>", named),
    );
    let (all, code) = snapshot(&program, &data, &[]);
    assert_eq!(code, 3, "{all}");
    assert!(all["problems"].to_string().contains("/nowhere/metadata"), "{all}");
    let (only, code) = snapshot(&program, &data, &["--only", "database"]);
    assert_eq!((code, &only["problems"]), (0, &serde_json::json!([])));
}

#[test]
fn pictures_where_the_server_does_not_look_are_told() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    assert_eq!(snapshot(&program, &data, &[]).1, 0);
    write(data.join("data/metadata/library/aa/poster.jpg"), "misplaced");
    for command in ["snapshot", "source"] {
        let (report, code) = program.json(&[command, data.to_str().unwrap()]);
        assert_eq!(code, 3, "{report}");
        assert!(
            report["problems"].to_string().contains("where the server does not look"),
            "{report}"
        );
    }
}

/// A server before 10.11 keeps its library in `library.db`; here beside the fixture's own database.
fn with_library(data: &Path) {
    let db = rusqlite::Connection::open(data.join("data/library.db")).unwrap();
    db.execute_batch("CREATE TABLE TypedBaseItems(guid, type, data); INSERT INTO TypedBaseItems VALUES (x'01', 'Movie', 'x'), (x'02', 'Folder', 'y');")
        .unwrap();
}

#[test]
fn a_library_or_a_folder_of_the_server_that_is_gone_is_told_by_every_snapshot() {
    type Loss<'a> = (&'a str, &'a str, &'a str, &'a dyn Fn(&Path));
    let losses: [Loss<'_>; 6] = [
        ("the library is gone", "data/library.db", "missing or empty", &|data| {
            std::fs::remove_file(data.join("data/library.db")).unwrap()
        }),
        ("the library is emptied", "data/library.db", "no longer has items", &|data| {
            run_sql(&data.join("data/library.db"), "DELETE FROM TypedBaseItems");
        }),
        ("the library is garbage", "data/library.db", "not a database any more", &|data| {
            write(data.join("data/library.db"), noise("garbage", 8192))
        }),
        ("the library is damaged", "data/library.db", "", &|data| {
            let path = data.join("data/library.db");
            let mut bytes = std::fs::read(&path).unwrap();
            bytes[4096..].fill(0xaa);
            write(path, bytes);
        }),
        ("root is gone", "root", "this directory is missing", &|data| {
            std::fs::remove_dir_all(data.join("root")).unwrap()
        }),
        ("the playlists are gone", "data/playlists", "this directory is missing", &|data| {
            std::fs::remove_dir_all(data.join("data/playlists")).unwrap()
        }),
    ];
    for (name, path, says, lose) in losses {
        let program = Program::new();
        let data = instance(&program, "jellyfin");
        with_library(&data);
        write(data.join("root/default/Films/options.xml"), "<x />");
        write(data.join("data/playlists/Evening/playlist.xml"), "<x />");
        let_settle();
        let (good, code) = snapshot(&program, &data, &[]);
        assert_eq!(code, 0, "{name} {good}");
        lose(&data);
        let_settle();
        for round in 0..3 {
            let (bad, code) = snapshot(&program, &data, &[]);
            let problems = bad["problems"].as_array().unwrap();
            let told =
                problems.iter().find(|problem| problem["path"].as_str().unwrap().starts_with(path));
            assert!(
                code == 3
                    && told.is_some_and(|problem| problem["what"].as_str().unwrap().contains(says)),
                "{name}, round {round}: {bad}"
            );
        }
    }
    // An upgrade renames it.
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    with_library(&data);
    let_settle();
    snapshot(&program, &data, &[]);
    std::fs::rename(data.join("data/library.db"), data.join("data/library.db.old")).unwrap();
    let (after, code) = snapshot(&program, &data, &[]);
    assert_eq!(code, 0, "{after}");
}

#[needs(mount)]
#[test]
fn a_database_as_large_as_half_the_disk_may_come_back_to_an_empty_disk() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let big = data.join("data/big.db");
    let rows = "CREATE TABLE t(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO t SELECT randomblob(1000000) FROM n;";
    run_sql(&big, rows);
    snapshot(&program, &data, &[]);
    let disk = program.home.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    sh("mount -t tmpfs -o size=64m tmpfs \"$1\"", &disk);
    // In place the room is looked at before anything is written.
    let (restored, code) = in_place(
        &program,
        "latest",
        &disk.join("new"),
        &["--layout", "docker", "--same-directories"],
    );
    let is_there = std::fs::read(disk.join("new/data/big.db"))
        .is_ok_and(|bytes| bytes == std::fs::read(&big).unwrap());
    sh(UNMOUNT, &disk);
    assert!(code == 0 && is_there, "{restored}");
}

#[test]
fn a_server_that_runs_with_its_database_closed_is_seen() {
    let _alone = alone();
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    // Bash, which waits for a child, is called as the server is.
    let script = format!(
        "exec -a /usr/bin/jellyfin bash -c 'sleep 30; true' jellyfin --datadir '{}'",
        data.display()
    );
    let mut server = Command::new("bash").args(["-c", &script]).spawn().unwrap();
    let is_up = || {
        std::fs::read(format!("/proc/{}/cmdline", server.id()))
            .is_ok_and(|line| line.starts_with(b"/usr/bin/jellyfin"))
    };
    for _ in 0..100 {
        if is_up() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let (refused, code) = in_place(&program, "latest", &data, &[]);
    let (pictures, of_pictures) = in_place(&program, "latest", &data, &["--only", "metadata"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert!(
        refused["error"]["message"].as_str().unwrap().contains("the running server, process"),
        "{refused}"
    );
    assert_eq!(of_pictures, 0, "{pictures}");
    let (restored, code) = in_place(&program, "latest", &data, &[]);
    assert_eq!(code, 0, "{restored}");
}

#[test]
fn the_command_that_undoes_a_restore_can_be_copied() {
    let program = Program::new();
    let data = instance(&program, "jelly fin");
    let repo = program.home.path().join("my repo");
    let run = |args: &[&str]| {
        let output = program
            .command(&[&["--repo", repo.to_str().unwrap()], args].concat())
            .env_remove("JELLYVAULT_REPO")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    run(&["snapshot", data.to_str().unwrap()]);
    let settings = data.join("config/system.xml");
    write(&settings, "<ServerConfiguration><ServerName>changed</ServerName></ServerConfiguration>");
    let said = run(&["restore", "latest", "--in-place", "--data-dir", data.to_str().unwrap()]);
    assert!(!std::fs::read_to_string(&settings).unwrap().contains("changed"));
    let (_, arguments) = said
        .lines()
        .find_map(|line| line.split_once("To undo: jellyvault "))
        .unwrap_or_else(|| panic!("{said}"));
    let mut undo = program.command(&[]);
    let program_file = undo.get_program().to_owned();
    let mut shell = Command::new("sh");
    shell.envs(
        undo.env_remove("JELLYVAULT_REPO")
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let undone = shell
        .args(["-ec", &format!("\"$0\" {arguments}")])
        .arg(program_file)
        .env_remove("JELLYVAULT_REPO")
        .output()
        .unwrap();
    assert!(undone.status.success(), "{arguments} {undone:?}");
    assert!(std::fs::read_to_string(&settings).unwrap().contains("changed"));
}

#[test]
fn settings_that_name_another_place_for_the_database_are_not_restored_with_it_unasked() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let fast = program.home.path().join("fast.db");
    std::fs::copy(data.join("data/jellyfin.db"), &fast).unwrap();
    let (taken, code) = snapshot(&program, &data, &["--database", fast.to_str().unwrap()]);
    assert_eq!(code, 0, "{taken}");
    let before = std::fs::read(data.join("data/jellyfin.db")).unwrap();
    let (refused, code) = in_place(&program, "latest", &data, &[]);
    assert_eq!((code, refused["error"]["kind"].as_str()), (1, Some("refused")), "{refused}");
    assert!(
        refused["error"]["hint"]
            .as_str()
            .unwrap()
            .contains(&format!("--database {}", fast.display())),
        "{refused}"
    );
    assert_eq!(std::fs::read(data.join("data/jellyfin.db")).unwrap(), before);
    run_sql(&fast, "CREATE TABLE later(x)");
    let (restored, code) =
        in_place(&program, "latest", &data, &["--database", fast.to_str().unwrap()]);
    assert_eq!(code, 0, "{restored}");
    assert!(!rows(&fast).iter().any(|row| row.contains("later")));
}

#[test]
fn a_place_that_the_settings_do_not_tell_here_is_said_once() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let fast = program.home.path().join("fast.db");
    std::fs::copy(data.join("data/jellyfin.db"), &fast).unwrap();
    std::fs::remove_file(data.join("data/jellyfin.db")).unwrap();
    write(
        data.join("config/database.xml"),
        "<DatabaseConfigurationOptions><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options><CustomDatabaseOption><Key>path</Key>\
         <Value>/in the container/jellyfin.db</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>",
    );
    let_settle();
    let has_database =
        |report: &Value| report["snapshot"]["categories"]["database"]["files"].as_u64() == Some(1);
    let (without, code) = snapshot(&program, &data, &[]);
    assert!(
        code == 3
            && !has_database(&without)
            && without["problems"].to_string().contains("--database"),
        "{without}"
    );
    let (with, code) = snapshot(&program, &data, &["--database", fast.to_str().unwrap()]);
    assert!(code == 0 && has_database(&with), "{with}");
    let (again, code) = snapshot(&program, &data, &[]);
    assert!(code == 0 && has_database(&again), "{again}");
}

#[test]
fn a_restore_to_a_directory_that_is_a_server_s_own_is_refused() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    snapshot(&program, &data, &[]);
    let before = std::fs::read(data.join("config/system.xml")).unwrap();
    write(data.join("config/system.xml"), "changed");
    let restore = ["restore", "latest", "--to", data.to_str().unwrap()];
    let (refused, code) = program.json(&restore);
    assert_eq!(code, 1, "{refused}");
    assert!(
        refused["error"]["hint"].as_str().unwrap().contains("--in-place --data-dir"),
        "{refused}"
    );
    assert_eq!(std::fs::read(data.join("config/system.xml")).unwrap(), b"changed");
    program.ok(&[&restore[..], &["--yes"]].concat());
    assert_eq!(std::fs::read(data.join("config/system.xml")).unwrap(), before);
    // What a restore made may be restored to again.
    let out = program.home.path().join("out");
    for _ in 0..2 {
        program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    }
}

#[test]
fn a_path_may_begin_with_two_slashes() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let repo = format!("/{}", program.home.path().join("r").display());
    let taken = program.json(&["--repo", &repo, "snapshot", data.to_str().unwrap()]);
    assert_eq!((taken.1, taken.0["problem_count"].as_u64()), (0, Some(0)), "{}", taken.0);
    assert_eq!(
        program
            .json(&[
                "--repo",
                &repo,
                "restore",
                "latest",
                "--in-place",
                "--data-dir",
                data.to_str().unwrap()
            ])
            .1,
        0
    );
}

#[test]
fn arguments_that_are_no_text_are_told_as_wrong_usage() {
    use std::os::unix::ffi::OsStrExt;
    let program = Program::new();
    let odd = std::ffi::OsStr::from_bytes(b"latest:data/bad\xff.txt");
    let output = program.command(&["cat"]).arg(odd).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[needs(root)]
#[test]
fn on_a_new_machine_files_keep_the_owners_of_the_snapshot() {
    use std::os::unix::fs::MetadataExt;
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    sh("chown -R 4711:4712 \"$1\"", &data);
    snapshot(&program, &data, &[]);
    let new = program.home.path().join("new");
    let (report, code) =
        in_place(&program, "latest", &new, &["--layout", "docker", "--same-directories"]);
    assert_eq!(code, 0, "{report}");
    let owner = std::fs::metadata(new.join("data/jellyfin.db")).unwrap();
    assert_eq!((owner.uid(), owner.gid()), (4711, 4712), "{report}");
}

#[test]
fn servers_are_seen_however_they_are_started() {
    let _alone = alone();
    let program = Program::new();
    let data = instance(&program, "home/.local/share/jellyfin");
    snapshot(&program, &data, &[]);
    let home = program.home.path().join("home");
    let inside = format!("cd '{}'; ", data.display());
    let starts = [
        (inside.clone(), "-d ./".to_owned()),
        (inside.clone(), "-d .".to_owned()),
        (String::new(), format!("-d'{}'", data.display())),
        (String::new(), format!("--datadir='{}'", data.display())),
        (format!("unset XDG_DATA_HOME; export HOME='{}'; ", home.display()), String::new()),
    ];
    for (before, arguments) in starts {
        let script = format!(
            "{before}exec -a /usr/bin/jellyfin bash -c 'sleep 30; true' jellyfin {arguments}"
        );
        let mut server = Command::new("bash").args(["-c", &script]).spawn().unwrap();
        let is_up = || {
            std::fs::read(format!("/proc/{}/cmdline", server.id()))
                .is_ok_and(|line| line.starts_with(b"/usr/bin/jellyfin"))
        };
        while !is_up() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let (refused, code) = in_place(&program, "latest", &data, &["--dry-run"]);
        server.kill().unwrap();
        server.wait().unwrap();
        assert_eq!(
            (code, refused["error"]["kind"].as_str()),
            (1, Some("refused")),
            "{script}: {refused}"
        );
    }
}

#[needs(chattr)]
#[test]
fn a_directory_that_nobody_may_change_is_called_so_and_the_named_command_frees_it() {
    let program = Program::new();
    let data = instance(&program, "jellyfin's own");
    snapshot(&program, &data, &[]);
    let fixed = data.join("config");
    std::fs::remove_file(fixed.join("system.xml")).unwrap();
    sh("chattr +i \"$1\"", &fixed);
    let tries = [
        in_place(&program, "latest", &data, &["--dry-run"]),
        in_place(&program, "latest", &data, &[]),
    ];
    let message = tries[0].0["error"]["message"].as_str().unwrap_or_default().to_owned();
    let command = message
        .split_once("Allow changes with: ")
        .and_then(|(_, rest)| rest.split_once(". Nothing was changed"))
        .map(|(command, _)| command);
    sh(command.unwrap_or("chattr -i \"$1\""), &fixed);
    for (refused, code) in &tries {
        assert_eq!(*code, 1, "{refused}");
        assert!(
            refused.to_string().contains("is immutable or append-only")
                && !refused.to_string().contains("no permission"),
            "{refused}"
        );
    }
    let (done, code) = in_place(&program, "latest", &data, &[]);
    assert_eq!(code, 0, "{command:?}: {done}");
}

/// Restores with `--keep-old` and stops it once files are written, after `meanwhile`; the failure.
fn stopped_halfway(program: &Program, data: &Path, meanwhile: impl Fn(&Path)) -> Value {
    let mut command = program.command(&[
        "--json",
        "restore",
        "latest",
        "--in-place",
        "--keep-old",
        "--data-dir",
        data.to_str().unwrap(),
    ]);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let written = data.join("metadata/library/aa");
    let begun = std::time::Instant::now();
    // The old directory is moved away before the new one is made.
    let is_moved = || {
        std::fs::read_dir(data)
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("metadata.bak-"))
    };
    while !(is_moved() && written.is_dir()) {
        assert!(begun.elapsed().as_secs() < 60, "no restore");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    meanwhile(&data.join("metadata"));
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    let failed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{failed}");
    failed
}

fn command_that_goes_on(failed: &Value) -> Vec<String> {
    let hint = failed["error"]["hint"].as_str().unwrap();
    let command = hint
        .split_once("run: jellyvault ")
        .and_then(|(_, rest)| rest.split_once(". Files"))
        .unwrap_or_else(|| panic!("{hint}"))
        .0;
    command.split_whitespace().map(str::to_owned).collect()
}

fn with_many_pictures(program: &Program) -> PathBuf {
    let data = instance(program, "jellyfin");
    for n in 0..4000 {
        write(data.join(format!("metadata/library/aa/{n}.jpg")), noise(&n.to_string(), 3000));
    }
    let_settle();
    snapshot(program, &data, &[]);
    data
}

#[test]
fn a_restore_that_stops_halfway_goes_back_and_names_the_command_that_goes_on() {
    let program = Program::new();
    let data = with_many_pictures(&program);
    let is_passing = |path: &[u8]| [&b"log"[..], b"cache"].iter().any(|dir| path.starts_with(dir));
    let before = facts(&data, &is_passing);
    let failed = stopped_halfway(&program, &data, |_| {});
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains("stopped halfway") && message.contains("changed back"), "{failed}");
    assert_eq!(
        facts(&data, &is_passing).keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    let command = command_that_goes_on(&failed);
    assert!(
        !command.contains(&"latest".to_owned()) && command.contains(&"--keep-old".to_owned()),
        "{command:?}"
    );
    program.ok(&command.iter().map(String::as_str).collect::<Vec<_>>());
}

#[needs(chattr)]
#[test]
fn a_restore_that_cannot_go_back_says_what_is_where_and_the_command_that_goes_on() {
    let program = Program::new();
    let data = with_many_pictures(&program);
    let failed = stopped_halfway(&program, &data, |metadata| sh("chattr +i \"$1\"", metadata));
    sh("chattr -i \"$1\"", &data.join("metadata"));
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("not everything could be changed back")
            && message.contains("metadata is now"),
        "{failed}"
    );
    program.ok(&command_that_goes_on(&failed).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(std::fs::read_dir(data.join("metadata/library/aa")).unwrap().count(), 4000);
}

/// A folder with few files that is empty now is told once, without asking; how a snapshot was done
/// is told with --verbose.
#[test]
fn an_emptied_folder_is_told_once_and_details_when_asked() {
    let program = Program::new();
    let data = instance(&program, "jellyfin");
    let snapshot = |more: &[&str]| {
        let output = program.run(&[&["snapshot", data.to_str().unwrap()], more].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let notes = [
        "Note: data/collections contains no files now; the last complete snapshot has 1 file there.",
        "Note: the database was copied",
    ];
    let told = |said: &str| notes.map(|note| said.contains(note));
    assert_eq!(told(&snapshot(&["--dry-run"])), [false, false]);
    assert_eq!(told(&snapshot(&["--verbose"])), [false, true]);
    std::fs::remove_dir_all(data.join("data/collections/Long Nights [boxset]")).unwrap();
    let before_it = snapshot(&["--dry-run"]);
    assert_eq!(told(&before_it), [true, false], "{before_it}");
    let said = snapshot(&[]);
    assert_eq!(told(&said), [true, false], "{said}");
    let after = snapshot(&[]);
    assert_eq!(told(&after), [false, false], "{after}");
}
