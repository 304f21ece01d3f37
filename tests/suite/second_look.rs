//! What a second attacker found beside the first one's proofs (`security.rs`): paths that go up
//! again, processes that lie, directories that root owns and others change, links that were root's
//! for a moment, bits that outlive their owner, logs of another database.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use needs::needs;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;

use super::security::{SECRET, Stage, USER, sh};
use super::support::*;

fn problems(report: &Value) -> String {
    report["problems"].to_string()
}

/// Sets where the server's settings say that its metadata lies.
fn set_metadata(stage: &Stage, path: &str) {
    let file = stage.data.join("config/system.xml");
    let text = std::fs::read_to_string(&file).unwrap();
    let element = ["<MetadataPath />", "<MetadataPath/>"]
        .into_iter()
        .find(|element| text.contains(element))
        .unwrap();
    write(&file, text.replace(element, &format!("<MetadataPath>{path}</MetadataPath>")));
    stage.settle();
}

/// Sets where they say that the database lies.
fn set_database(stage: &Stage, path: &str) {
    let text = format!(
        "<DatabaseConfigurationOptions><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options><CustomDatabaseOption><Key>path</Key>\
         <Value>{path}</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>"
    );
    write(stage.data.join("config/database.xml"), text);
    stage.settle();
}

#[needs(root)]
#[test]
fn a_path_of_the_settings_that_goes_up_again_leads_nowhere() {
    for up in ["/../etc", "/data/../../etc", "/./metadata/../../etc"] {
        for seen in ["/config", ""] {
            let stage = Stage::new();
            write(stage.data.join("metadata/passwd"), "root::0:0::/:/bin/sh\n");
            stage.settle();
            stage.program.ok(&["snapshot", stage.at()]);
            let place = if seen.is_empty() { stage.at() } else { seen };
            set_metadata(&stage, &format!("{place}{up}"));
            let (report, code) = stage.program.json(&["snapshot", stage.at()]);
            assert!(
                code == 3 && report["problems"].as_array().is_some_and(|all| !all.is_empty()),
                "{up}: {report}"
            );
            stage.assert_secret_in_no_snapshot(up);
            for more in [
                &["--only", "metadata", "--delete"][..],
                &["--only", "metadata", "--keep-old"],
                &[],
            ] {
                stage.program.json(
                    &[
                        &[
                            "restore",
                            "latest~1",
                            "--in-place",
                            "--data-dir",
                            stage.at(),
                            "--same-directories",
                        ],
                        more,
                    ]
                    .concat(),
                );
                stage.assert_etc_is_roots(&format!("{up} {more:?}"));
            }
            set_metadata_back(&stage);
            set_database(&stage, &format!("{place}{up}/shadow"));
            for _ in 0..3 {
                // Nor does what was refused once count as known the next time.
                stage.program.json(&["snapshot", stage.at()]);
            }
            stage.assert_secret_in_no_snapshot(up);
            stage.program.json(&[
                "restore",
                "latest~2",
                "--in-place",
                "--data-dir",
                stage.at(),
                "--only",
                "database",
                "--force",
            ]);
            stage.assert_etc_is_roots(up);
        }
    }
}

fn set_metadata_back(stage: &Stage) {
    let file = stage.data.join("config/system.xml");
    let text = std::fs::read_to_string(&file).unwrap();
    let (begin, end) =
        (text.find("<MetadataPath>").unwrap(), text.find("</MetadataPath>").unwrap());
    write(
        &file,
        format!("{}<MetadataPath />{}", &text[..begin], &text[end + "</MetadataPath>".len()..]),
    );
    stage.settle();
}

#[needs(root)]
#[test]
fn a_database_that_was_refused_once_is_refused_again() {
    let stage = Stage::new();
    stage.program.ok(&["snapshot", stage.at()]);
    set_database(&stage, stage.etc.join("shadow").to_str().unwrap());
    for _ in 0..3 {
        let (report, code) = stage.program.json(&["snapshot", stage.at()]);
        assert!(code == 3 && problems(&report).contains("database.xml"), "{report}");
    }
    stage.assert_secret_in_no_snapshot("refused");
    stage.program.json(&[
        "restore",
        "latest~3",
        "--in-place",
        "--data-dir",
        stage.at(),
        "--only",
        "database",
        "--force",
    ]);
    stage.assert_etc_is_roots("after a restore");
}

#[needs(root)]
#[test]
fn directories_of_roots_that_others_can_change_are_none_to_be_trusted() {
    for (owner, mode) in [(format!("0:{USER}"), "2775"), ("0:0".to_owned(), "777")] {
        let stage = Stage::new();
        write(stage.data.join("plugins/passwd"), "root::0:0::/:/bin/sh\n");
        sh(&format!("chown {owner} \"$1\" \"$1\"/*; chmod {mode} \"$1\" \"$1\"/*"), &stage.data);
        stage.program.json(&["snapshot", stage.at()]);
        std::fs::rename(stage.data.join("plugins"), stage.data.join("was")).unwrap();
        symlink(&stage.etc, stage.data.join("plugins")).unwrap();
        sh(&format!("chown -h {USER}:{USER} \"$1\"/plugins"), &stage.data);
        let (report, code) = stage.program.json(&[
            "restore",
            "latest",
            "--in-place",
            "--data-dir",
            stage.at(),
            "--only",
            "plugins",
        ]);
        assert_eq!(code, 1, "{mode}: {report}");
        stage.assert_etc_is_roots(mode);
        stage.program.json(&["snapshot", stage.at()]);
        stage.assert_secret_in_no_snapshot(mode);
    }
}

#[needs(root)]
#[test]
fn links_of_the_servers_user_to_roots_directories_are_not_followed_when_the_user_says_so() {
    let stage = Stage::new();
    let config = stage.program.home.path().join("conf");
    std::fs::rename(stage.data.join("config"), &config).unwrap();
    sh("chown -hR 0:0 \"$1\"", &config);
    std::fs::rename(stage.data.join("plugins"), stage.data.join("was")).unwrap();
    symlink(&stage.etc, stage.data.join("plugins")).unwrap();
    sh(&format!("chown -h {USER}:{USER} \"$1\"/plugins"), &stage.data);
    stage.program.json(&[
        "snapshot",
        stage.at(),
        "--config-dir",
        config.to_str().unwrap(),
        "--follow-roots",
    ]);
    stage.assert_secret_in_no_snapshot("with a configuration of root's");
}

#[needs(root)]
#[test]
fn set_user_id_bits_go_with_the_owner() {
    for more in [&["--no-owner"][..], &["--owner", "0:0"], &["--owner", "4711:4711"], &[]] {
        let stage = Stage::new();
        let own = stage.data.join("plugins/own");
        write(&own, "#!/bin/sh\n");
        stage.settle();
        std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o6755)).unwrap();
        stage.program.ok(&["snapshot", stage.at()]);
        std::fs::remove_file(&own).unwrap();
        let args =
            ["restore", "latest", "--in-place", "--data-dir", stage.at(), "--only", "plugins"];
        let (report, code) = stage.program.json(&[&args, more].concat());
        assert!(code == 0 || code == 3, "{report}");
        let facts = std::fs::metadata(&own).unwrap();
        let kept = if more.is_empty() { 0o6755 } else { 0o755 };
        assert_eq!(facts.permissions().mode() & 0o7777, kept, "{more:?}, now of {}", facts.uid());
        assert!(report["remarks"].to_string().contains("set-user-ID"), "{report}");
    }
}

#[needs(root)]
#[test]
fn neither_an_undone_move_nor_a_copy_believes_a_repository_of_somebody_elses() {
    let stage = Stage::new();
    let own = stage.data.join("plugins/rootsh");
    write(&own, "#!/bin/sh\n");
    sh(&format!("chown -hR {USER}:{USER} \"$1\""), &stage.data);
    sh("chown 0:0 \"$1\"; chmod 6755 \"$1\"", &own);
    stage.program.ok(&["snapshot", stage.at()]);
    stage.program.ok(&["move", stage.at(), "--map", "/media=/mnt/x", "--allow-missing"]);
    std::fs::remove_file(&own).unwrap();
    // Another machine, whose root did not make this repository.
    let elsewhere = Program { repo: stage.program.repo.clone(), ..Program::new() };
    elsewhere.ok(&["move", stage.at(), "--undo"]);
    assert_eq!(
        std::fs::metadata(&own).unwrap().permissions().mode() & 0o6000,
        0,
        "after the way back"
    );
    let target = stage.program.home.path().join("target");
    elsewhere.ok(&["--repo", target.to_str().unwrap(), "init"]);
    elsewhere.ok(&["copy", "--to", target.to_str().unwrap()]);
    let out = stage.program.home.path().join("copied");
    let (report, _) = elsewhere.json(&[
        "--repo",
        target.to_str().unwrap(),
        "restore",
        "latest",
        "--to",
        out.to_str().unwrap(),
    ]);
    let restored = out.join("plugins/rootsh");
    assert_eq!(std::fs::metadata(&restored).unwrap().permissions().mode() & 0o6000, 0, "{report}");
}

/// Runs a command that is stopped before each of these calls, where `meanwhile` looks around; its
/// exit code.
#[expect(clippy::zombie_processes, reason = "it is waited for by its number")]
fn stopped_at(
    program: &Program,
    args: &[&str],
    calls: &str,
    only: &[&str],
    mut meanwhile: impl FnMut(),
) -> Option<i32> {
    let of = program.command(args);
    let mut command = Command::new("strace");
    command.env_clear().envs(of.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args([
        "-D",
        "-f",
        "-qqq",
        "-o",
        "/dev/null",
        "-e",
        &format!("trace={calls}"),
        "-e",
        &format!("inject={calls}:signal=STOP"),
    ]);
    let child = command
        .args(only)
        .arg(of.get_program())
        .args(of.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    loop {
        let (_, status) = waitpid(Some(id), WaitOptions::UNTRACED).unwrap().unwrap();
        if !status.stopped() {
            return status.exit_status();
        }
        meanwhile();
        kill_process(id, Signal::CONT).unwrap();
    }
}

#[needs(root, strace)]
#[test]
fn a_restored_link_is_never_roots() {
    let stage = Stage::new();
    symlink(stage.etc.join("passwd"), stage.data.join("plugins/link")).unwrap();
    symlink(stage.etc.join("passwd"), stage.data.join("plugins/other")).unwrap();
    stage.settle();
    // In the same directory, one that belongs to somebody else.
    sh("chown -h 4711:4711 \"$1\"/plugins/other", &stage.data);
    stage.program.ok(&["snapshot", stage.at()]);
    for name in ["link", "other"] {
        std::fs::remove_file(stage.data.join("plugins").join(name)).unwrap();
    }
    let args = [
        "restore",
        "latest",
        "--in-place",
        "--data-dir",
        stage.at(),
        "--only",
        "plugins",
        "--no-safety-snapshot",
    ];
    let mut seen = 0;
    stopped_at(
        &stage.program,
        &args,
        "symlinkat,fchownat,utimensat,renameat,renameat2",
        &[],
        || {
            for entry in std::fs::read_dir(stage.data.join("plugins")).unwrap().map(Result::unwrap)
            {
                let facts = entry.path().symlink_metadata().unwrap();
                if facts.is_symlink() {
                    seen += 1;
                    assert!([USER, 4711].contains(&facts.uid()), "{:?}", entry.file_name());
                }
            }
        },
    );
    assert!(seen > 0, "the link was not seen while it was made");
    assert_eq!(stage.data.join("plugins/link").symlink_metadata().unwrap().uid(), USER);
    assert_eq!(stage.data.join("plugins/other").symlink_metadata().unwrap().uid(), 4711);
}

#[needs(root)]
#[test]
fn zips_in_a_folder_are_not_read_through_links() {
    let stage = Stage::new();
    let secret = stage.program.home.path().join("secret.zip");
    stage.program.ok(&["snapshot", stage.at()]);
    stage.program.ok(&["export", "latest", secret.to_str().unwrap(), "--exact"]);
    let backups = stage.data.join("data/backups");
    std::fs::create_dir_all(&backups).unwrap();
    symlink(&secret, backups.join("a.zip")).unwrap();
    stage.settle();
    let (report, code) = stage.program.json(&["import", backups.to_str().unwrap()]);
    assert!(
        code == 2 && report["error"]["message"].as_str().unwrap().contains("no zip found"),
        "{report}"
    );
    // Who names the link means it.
    stage.program.ok(&["import", backups.join("a.zip").to_str().unwrap()]);
}

/// Ends a command by SIGTERM; it must be gone within seconds.
fn assert_ends(program: &Program, args: &[&str], after: Duration) {
    let mut child =
        program.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    let id = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    if child.try_wait().unwrap().is_none() {
        kill_process(id, Signal::TERM).unwrap();
    }
    let asked = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if asked.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("{args:?} goes on after SIGTERM");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

const ENDLESS: &str =
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c";

#[test]
fn triggers_and_views_of_a_live_database_are_not_run() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let at = data.to_str().unwrap();
    program.ok(&["snapshot", at]);
    let database = data.join("data/jellyfin.db");
    let sql =
        |sql: &str| rusqlite::Connection::open(&database).unwrap().execute_batch(sql).unwrap();
    sql(&format!(
        "CREATE TRIGGER tt BEFORE INSERT ON UserData BEGIN SELECT count(*) FROM ({ENDLESS}); END; DELETE FROM UserData;"
    ));
    let args = ["restore", "latest", "--watch-state", "--user", "Ana", "--data-dir", at];
    // It is not called, so this ends by itself.
    program.ok(&args);
    sql(&format!(
        "DROP TRIGGER tt; CREATE TABLE IF NOT EXISTS __EFMigrationsLock (Id INTEGER PRIMARY KEY, Timestamp TEXT); INSERT OR REPLACE INTO __EFMigrationsLock VALUES (1, 'x');\
         CREATE TRIGGER tl BEFORE DELETE ON __EFMigrationsLock BEGIN SELECT count(*) FROM ({ENDLESS}); END;"
    ));
    program.run(&["snapshot", at]);
    program.ok(&["restore", "latest", "--in-place", "--data-dir", at, "--only", "database"]);
    sql(&format!(
        "PRAGMA foreign_keys = OFF; ALTER TABLE Users RENAME TO OldUsers; CREATE VIEW Users AS SELECT x AS Id, x AS Username FROM ({ENDLESS});"
    ));
    assert_ends(&program, &args, Duration::from_secs(2));
}

#[test]
fn an_import_of_gigabytes_of_nothing_ends_when_it_is_told_to() {
    let program = Program::new();
    let zip = program.home.path().join("a.zip");
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let mut out = zip::ZipWriter::new(std::fs::File::create(&zip).unwrap());
    let options = zip::write::SimpleFileOptions::default().large_file(true);
    let manifest = r#"{"ServerVersion":"12.0.0","BackupEngineVersion":"0.2.0","DateCreated":"2026-11-01T00:00:00Z","DatabaseTables":[],"Options":{"Metadata":true,"Trickplay":true,"Subtitles":true,"Database":false}}"#;
    out.start_file("manifest.json", options).unwrap();
    std::io::Write::write_all(&mut out, manifest.as_bytes()).unwrap();
    out.start_file("Data/metadata/library/0b/big.bin", options).unwrap();
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 2 << 30), &mut out).unwrap();
    out.finish().unwrap();
    assert_ends(&program, &["import", zip.to_str().unwrap()], Duration::from_millis(1500));
}

#[needs(root, strace)]
#[test]
fn a_directory_that_somebody_else_makes_at_that_moment_is_not_filled() {
    let stage = Stage::new();
    stage.program.ok(&["snapshot", stage.at()]);
    let place = stage.program.home.path().join("public");
    std::fs::create_dir(&place).unwrap();
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o1777)).unwrap();
    let out = place.join("out");
    let args = ["restore", "latest", "--to", out.to_str().unwrap()];
    let mut made = 0;
    let status = stopped_at(
        &stage.program,
        &args,
        "openat,mkdirat,newfstatat,statx",
        &["-P", out.to_str().unwrap()],
        || {
            if made == 0 && std::fs::create_dir(&out).is_ok() {
                made += 1;
                sh(&format!("chown {USER}:{USER} \"$1\"; chmod 777 \"$1\""), &out);
            }
        },
    );
    assert!(made == 1 && status == Some(1), "made {made}, {status:?}");
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

#[needs(root)]
#[test]
fn a_process_is_not_believed_about_directories_that_are_not_its_users() {
    let _alone = alone();
    use std::os::unix::process::CommandExt;
    let stage = Stage::new();
    let script = format!(
        "exec -a /usr/bin/jellyfin bash -c 'sleep 60; true' jellyfin --datadir={} --configdir={}",
        stage.data.display(),
        stage.etc.display()
    );
    let mut server =
        Command::new("bash").args(["-c", &script]).uid(USER).gid(USER).spawn().unwrap();
    let is_up = |id| {
        std::fs::read(format!("/proc/{id}/cmdline"))
            .is_ok_and(|line| line.starts_with(b"/usr/bin/jellyfin"))
    };
    while !is_up(server.id()) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let (report, code) = stage.program.json(&["snapshot"]);
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(code, 0, "{report}");
    let directories = report["snapshot"]["source"]["directories"].to_string();
    assert!(!directories.contains(text(&stage.etc)), "{directories}");
    stage.assert_secret_in_no_snapshot("a process that lies");
}

#[needs(root, strace)]
#[test]
fn the_log_of_another_database_is_not_read_where_its_directory_is_swapped() {
    let stage = Stage::new();
    let vault = stage.program.home.path().join("vault");
    std::fs::create_dir(&vault).unwrap();
    let hidden = rusqlite::Connection::open(vault.join("jellyfin.db")).unwrap();
    let words = format!(
        "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE Users (Name TEXT);
         INSERT INTO Users VALUES ('{SECRET}'), ('{SECRET}')"
    );
    hidden.execute_batch(&words).unwrap();
    sh("chmod 700 \"$1\"; chmod 600 \"$1\"/*", &vault);
    // Open elsewhere, so that SQLite's own backup is used.
    let own = rusqlite::Connection::open(stage.data.join("data/jellyfin.db")).unwrap();
    let _: i64 = own.query_row("SELECT count(*) FROM Users", [], |row| row.get(0)).unwrap();
    let (data, real) = (stage.data.join("data"), stage.data.join("data.real"));
    let journal = data.join("jellyfin.db-journal");
    let mut back = None;
    stopped_at(
        &stage.program,
        &["snapshot", stage.at()],
        "newfstatat,statx,access,faccessat,openat",
        &["-P", text(&journal)],
        || {
            if back.is_none() {
                std::fs::rename(&data, &real).unwrap();
                symlink(&vault, &data).unwrap();
                sh(&format!("chown -h {USER}:{USER} \"$1\""), &data);
                let (data, real) = (data.clone(), real.clone());
                back = Some(std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(1500));
                    std::fs::remove_file(&data).unwrap();
                    std::fs::rename(&real, &data).unwrap();
                }));
            }
        },
    );
    back.expect("SQLite looks for a journal by its path").join().unwrap();
    stage.assert_secret_in_no_snapshot("a swap while SQLite opened its log");
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn of_a_plugins_database_only_what_is_plainly_no_secret_is_shown() {
    let program = Program::new();
    let data = program.home.path().join("jf");
    copy_tree(&own_fixture(), &data);
    let path = data.join("data/own_plugin.db");
    let write = |words: &str| {
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(words).unwrap();
    };
    write(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, service TEXT, login TEXT, blurb TEXT,
             Title TEXT, Seen TEXT, Mode TEXT, Days INTEGER)",
    );
    program.ok(&["snapshot", data.to_str().unwrap()]);
    write(
        "INSERT INTO accounts VALUES (1, 'TOPSECRET-1', 'TOPSECRET-2', 'TOPSECRET-3',
             'Salt Bridge', '2026-11-25 10:00:00', 'Daily', 7)",
    );
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let ids = program.json(&["list"]).0;
    let id = |at: usize| ids["snapshots"][at]["id"].as_str().unwrap().to_owned();
    let (before, after) = (id(0), id(1));
    let base = ["diff", &before, &after, "--database", "data/own_plugin.db", "--table", "accounts"];
    for extra in [&[][..], &["--json"]] {
        let output = program.run(&[&base, extra].concat());
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!words.contains("TOPSECRET"), "{words}");
        for plain in ["Salt Bridge", "2026-11-25 10:00:00", "Daily", "7"] {
            assert!(words.contains(plain), "{plain}: {words}");
        }
        let output = program.run(&[&base, extra, &["--show-secrets"]].concat());
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(words.contains("TOPSECRET-3"), "{words}");
    }
}
