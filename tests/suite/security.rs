//! Root among names that others chose (`docs/threat-model.md`): what the server's user prepares
//! does not make root read, write or wait for it.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use needs::needs;
use serde_json::Value;

use super::support::*;

/// The server's user.
pub(super) const USER: u32 = 3001;
/// A word that only root may read.
pub(super) const SECRET: &str = "TOPSECRET-of-root";

pub(super) fn sh(script: &str, argument: &Path) {
    let done = Command::new("sh").args(["-ec", script, "-"]).arg(argument).output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

/// An instance of the server's user in `jellyfin`, and `etc`, which is root's.
pub(super) struct Stage {
    pub program: Program,
    pub data: PathBuf,
    pub etc: PathBuf,
}

impl Stage {
    pub(super) fn new() -> Stage {
        let program = Program::new();
        let (data, etc) = (program.home.path().join("jellyfin"), program.home.path().join("etc"));
        copy_tree(&own_fixture(), &data);
        write(etc.join("passwd"), "root:x:0:0:root:/root:/bin/bash\n");
        write(etc.join("shadow"), format!("root:{SECRET}:1::::::\n"));
        let stage = Stage { program, data, etc };
        stage.settle();
        sh("chmod 755 \"$1\"/..; chmod 755 \"$1\"; chmod 600 \"$1\"/shadow", &stage.etc);
        stage
    }

    /// Everything of the instance is the server's user's, and old.
    pub(super) fn settle(&self) {
        sh(
            &format!(
                "chown -hR {USER}:{USER} \"$1\"; find \"$1\" -exec touch -h -d 2026-01-01 {{}} +"
            ),
            &self.data,
        );
    }

    pub(super) fn at(&self) -> &str {
        self.data.to_str().unwrap()
    }

    fn snapshot(&self, more: &[&str]) -> (Value, i32) {
        self.program.json(&[&["snapshot", self.at()], more].concat())
    }

    fn restore(&self, more: &[&str]) -> (Value, i32) {
        self.program
            .json(&[&["restore", "latest", "--in-place", "--data-dir", self.at()], more].concat())
    }

    /// Puts a link of the server's user in the place of something.
    fn link(&self, path: &str, target: &Path) {
        let own = self.data.join(path);
        if own.symlink_metadata().is_ok() {
            std::fs::rename(&own, own.with_extension("was")).unwrap();
        }
        symlink(target, &own).unwrap();
        sh(&format!("chown -h {USER}:{USER} \"$1\""), &own);
    }

    /// Root's directory is as it was.
    pub(super) fn assert_etc_is_roots(&self, when: &str) {
        let mut names: Vec<_> = std::fs::read_dir(&self.etc)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["passwd", "shadow"], "{when}");
        for (name, mode) in [("passwd", 0o644), ("shadow", 0o600), (".", 0o755)] {
            let facts = std::fs::metadata(self.etc.join(name)).unwrap();
            assert_eq!(
                (facts.uid(), facts.permissions().mode() & 0o7777),
                (0, mode),
                "{name} {when}"
            );
        }
        assert_eq!(
            std::fs::read_to_string(self.etc.join("passwd")).unwrap(),
            "root:x:0:0:root:/root:/bin/bash\n",
            "{when}"
        );
    }

    /// The same of every snapshot there is.
    pub(super) fn assert_secret_in_no_snapshot(&self, when: &str) {
        for snapshot in self.program.json(&["list"]).0["snapshots"].as_array().unwrap() {
            let out = self.program.home.path().join("out");
            self.program.run(&[
                "restore",
                snapshot["id"].as_str().unwrap(),
                "--to",
                out.to_str().unwrap(),
            ]);
            for entry in walkdir::WalkDir::new(&out)
                .into_iter()
                .map(Result::unwrap)
                .filter(|entry| entry.file_type().is_file())
            {
                let bytes = std::fs::read(entry.path()).unwrap();
                assert!(
                    !bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()),
                    "{} {when}",
                    entry.path().display()
                );
            }
            std::fs::remove_dir_all(&out).unwrap();
        }
    }

    /// Nothing that only root may read came into the repository.
    fn assert_secret_is_not_stored(&self, when: &str) {
        let out = self.program.home.path().join("out");
        let restored = self.program.run(&["restore", "latest", "--to", out.to_str().unwrap()]);
        assert!(matches!(restored.status.code(), Some(0 | 3)), "{when}: {restored:?}");
        for entry in walkdir::WalkDir::new(&out)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
        {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(
                !bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()),
                "{} {when}",
                entry.path().display()
            );
        }
        std::fs::remove_dir_all(&out).unwrap();
    }
}

fn problems(report: &Value) -> String {
    report["problems"].to_string()
}

fn message(report: &Value) -> String {
    report["error"]["message"].as_str().unwrap_or_else(|| panic!("{report}")).to_owned()
}

#[needs(root)]
#[test]
fn root_reads_and_writes_through_no_link_of_the_servers_user() {
    for root in ["plugins", "metadata", "config", "root", "data"] {
        let stage = Stage::new();
        stage.snapshot(&[]);
        stage.link(root, &stage.etc.clone());
        let (report, code) = stage.snapshot(&[]);
        if root == "data" {
            // Without its data directory it is hardly an instance; whatever is said, nothing of
            // root's is stored.
            assert_ne!(code, 0, "{report}");
        } else {
            assert_eq!(code, 3, "{root}: {report}");
            assert!(
                problems(&report).contains("belongs to the user 3001, not to root"),
                "{root}: {report}"
            );
        }
        stage.assert_secret_is_not_stored(root);
        for more in [&[][..], &["--delete"], &["--keep-old"], &["--dry-run"]] {
            let (report, code) = stage.restore(more);
            assert_eq!(code, 1, "{root} {more:?}: {report}");
            stage.assert_etc_is_roots(&format!("{root} {more:?}"));
        }
        let category = if root == "root" { "config" } else { root };
        if root != "data" {
            let (report, code) = stage.restore(&["--only", category]);
            assert!(
                code == 1 && message(&report).contains("is a symbolic link to"),
                "{root}: {report}"
            );
            // The rest comes back.
            let other = if category == "plugins" { "trickplay" } else { "plugins" };
            let (report, code) = stage.restore(&["--only", other, "--no-safety-snapshot"]);
            assert_eq!(code, 0, "{root} --only {other}: {report}");
        }
        stage.assert_etc_is_roots(root);
        // As that user, or where root made the link, it is as it always was.
        if root == "metadata" {
            sh("chown -h 0:0 \"$1\"", &stage.data.join(root));
            let (report, _) = stage.snapshot(&["--only", "metadata"]);
            assert!(!problems(&report).contains("not to root"), "{report}");
        }
    }
}

#[needs(root)]
#[test]
fn linuxservers_layout_is_no_way_around() {
    // The data directory lies in the volume, which is the server's user's: a link there is one of
    // theirs, too.
    let stage = Stage::new();
    let volume = stage.program.home.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    sh(
        "mv \"$1\"/jellyfin/config/* \"$1\"/volume/; rmdir \"$1\"/jellyfin/config 2>/dev/null || rm -r \"$1\"/jellyfin/config; mv \"$1\"/jellyfin \"$1\"/volume/data; chown -hR 3001:3001 \"$1\"/volume",
        stage.program.home.path(),
    );
    let at = volume.to_str().unwrap();
    let (report, code) = stage.program.json(&["snapshot", at]);
    assert_eq!(code, 0, "{report}");
    assert!(
        report["snapshot"]["source"]["directories"]["programdata"]
            .as_str()
            .unwrap()
            .ends_with("volume/data"),
        "{report}"
    );
    std::fs::rename(volume.join("data"), volume.join("was")).unwrap();
    let trap = stage.program.home.path().join("trap");
    copy_tree(&volume.join("was"), &trap);
    write(trap.join("data/attachments/secret"), SECRET);
    symlink(&trap, volume.join("data")).unwrap();
    sh("chown -h 3001:3001 \"$1\"", &volume.join("data"));
    let before = facts(&trap, &|_| false);
    stage.program.json(&["snapshot", at]);
    stage.assert_secret_in_no_snapshot("linuxserver");
    let (report, code) = stage.program.json(&["restore", "latest", "--in-place", "--data-dir", at]);
    assert_eq!(code, 1, "{report}");
    assert_same_trees(&before, &facts(&trap, &|_| false));
}

#[needs(root)]
#[test]
fn the_database_is_no_way_to_roots_files() {
    let settings = |stage: &Stage, path: &Path| {
        let xml = format!(
            "<DatabaseConfigurationOptions><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options><CustomDatabaseOption><Key>path</Key>\
             <Value>{}</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>",
            path.display()
        );
        write(stage.data.join("config/database.xml"), xml);
        stage.settle();
    };
    // What database.xml names is not taken on the word of the server's user.
    let stage = Stage::new();
    stage.snapshot(&[]);
    settings(&stage, &stage.etc.join("shadow"));
    let (report, code) = stage.snapshot(&[]);
    assert!(
        code == 3 && problems(&report).contains("named only by a file of the server's user"),
        "{report}"
    );
    stage.assert_secret_is_not_stored("database.xml");
    settings(&stage, &stage.etc.join("passwd"));
    for more in
        [&["--only", "database", "--same-directories"][..], &["--same-directories", "--keep-old"]]
    {
        let (report, code) = stage.restore(more);
        assert_eq!(code, 1, "{report}");
        stage.assert_etc_is_roots("database.xml");
    }
    // A link in its place, to what is there and to what is not.
    for target in ["shadow", "nologin"] {
        let stage = Stage::new();
        stage.snapshot(&[]);
        for log in ["-wal", "-shm"] {
            std::fs::remove_file(stage.data.join(format!("data/jellyfin.db{log}"))).unwrap();
        }
        std::fs::remove_file(stage.data.join("data/jellyfin.db")).unwrap();
        stage.link("data/jellyfin.db", &stage.etc.join(target));
        let (report, code) = stage.snapshot(&[]);
        assert_eq!(code, 3, "{report}");
        stage.assert_secret_is_not_stored(target);
        for more in [&["--only", "database"][..], &[], &["--only", "database", "--keep-old"]] {
            let (report, code) = stage.restore(more);
            assert_eq!(code, 1, "{target} {more:?} {report}");
            stage.assert_etc_is_roots(target);
        }
        let (report, code) = stage.program.json(&[
            "restore",
            "latest",
            "--watch-state",
            "--user",
            "root",
            "--data-dir",
            stage.at(),
        ]);
        assert_eq!(code, 1, "{report}");
        stage.assert_etc_is_roots(target);
    }
}

#[needs(root)]
#[test]
fn a_place_that_only_the_settings_name_is_taken_once_the_user_named_it() {
    let stage = Stage::new();
    let elsewhere = stage.program.home.path().join("pictures");
    std::fs::rename(stage.data.join("metadata"), &elsewhere).unwrap();
    let system = stage.data.join("config/system.xml");
    let text = std::fs::read_to_string(&system).unwrap();
    let named = text.replace(
        "<MetadataPath />",
        &format!("<MetadataPath>{}</MetadataPath>", elsewhere.display()),
    );
    assert_ne!(text, named);
    write(&system, named);
    stage.settle();
    let (report, code) = stage.snapshot(&[]);
    assert!(code == 3 && problems(&report).contains("--metadata-dir"), "{report}");
    assert_eq!(report["snapshot"]["categories"]["metadata"]["files"], 0, "{report}");
    let (report, code) = stage.snapshot(&["--metadata-dir", elsewhere.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    let files = report["snapshot"]["categories"]["metadata"]["files"].as_u64().unwrap();
    assert!(files > 3);
    // From now on the record says so: to the next snapshot and to a restore.
    let (report, code) = stage.snapshot(&[]);
    assert_eq!(
        (code, report["snapshot"]["categories"]["metadata"]["files"].as_u64()),
        (0, Some(files)),
        "{report}"
    );
    let poster = facts(&elsewhere, &|_| false)
        .into_keys()
        .find(|path| path.ends_with(b".jpg") || path.ends_with(b".png"))
        .unwrap();
    let poster = elsewhere.join(std::str::from_utf8(&poster).unwrap());
    std::fs::remove_file(&poster).unwrap();
    let (report, code) = stage.restore(&["--only", "metadata"]);
    assert!(code == 0 && poster.is_file(), "{report}");
}

/// Runs with an end: what waits for ever is a failure of its own.
fn run_for(stage: &Stage, seconds: u32, args: &[&str]) -> Output {
    let mut command = Command::new("timeout");
    let own = stage.program.command(args);
    command.env_clear().envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.args(["-k", "2", &seconds.to_string()]).arg(own.get_program()).args(own.get_args());
    command.output().unwrap()
}

#[needs(root)]
#[test]
fn no_pipe_device_or_endless_file_stops_a_snapshot() {
    let places = [
        "data/device.txt",
        "config/network.xml",
        "config/system.xml",
        "config/database.xml",
        "config/encoding.xml",
        "log/log_9.log",
        "data/jellyfin.db",
        "data/jellyfin.db-shm",
        "data/jellyfin.db-wal",
        "data/jellyfin.db-journal",
        "plugins/x.db",
        "plugins/x.db-wal",
        "plugins/x.db-shm",
        "metadata/library/poster.jpg",
        "root/default/options.xml",
        "data/library.db",
    ];
    let shapes = [
        "mkfifo \"$1\"",
        "ln -s /dev/zero \"$1\"",
        "mknod \"$1\" c 1 5",
        "truncate -s 3G \"$1\"",
        "mkdir \"$1\"; chmod 0 \"$1\"",
        "ln -s \"$1\" \"$1\"",
        "ln -s /nowhere/at/all \"$1\"",
        "ln -s . \"$1\"",
        "mkfifo \"$1.pipe\"; ln -s \"$1.pipe\" \"$1\"",
        "mknod \"$1\" b 7 250",
        "head -c 20000000 /dev/urandom > \"$1\"",
        "printf x > \"$1\"; chmod 0 \"$1\"",
        "python3 -c \"import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])\" \"$1\" 2>/dev/null || mkfifo \"$1\"",
    ];
    let mut tried = 0;
    for place in places {
        for shape in shapes {
            let stage = Stage::new();
            let own = stage.data.join(place);
            if place.starts_with("plugins/x.db-") {
                std::fs::copy(stage.data.join("data/jellyfin.db"), stage.data.join("plugins/x.db"))
                    .unwrap();
            }
            std::fs::create_dir_all(own.parent().unwrap()).unwrap();
            if own.exists() {
                std::fs::remove_file(&own).unwrap();
            }
            sh(shape, &own);
            stage.settle();
            // Address space and files are limited: what is endless must not be read to its end.
            let done = run_for(&stage, 60, &["--json", "snapshot", stage.at()]);
            let code = done.status.code();
            assert!(
                matches!(code, Some(0 | 3)),
                "{place} {shape}: {code:?} {}",
                String::from_utf8_lossy(&done.stdout)
            );
            let report: Value = serde_json::from_slice(&done.stdout).unwrap();
            // All else is there.
            let files = report["snapshot"]["files"]["total"].as_u64().unwrap();
            assert!(files > 60, "{place} {shape}: {files} files, {}", problems(&report));
            // A captured file that is large is no harm; what is left out is named.
            if code == Some(0) {
                let said = report["remarks"].to_string() + &problems(&report);
                let kept = program_lists(&stage, place);
                assert!(
                    kept || said.contains(file_name(place))
                        || place.starts_with("log/")
                        || place.contains(".db-"),
                    "{place} {shape}: {said}"
                );
            }
            for args in [["source", stage.at()], ["diff", "--quiet"]] {
                let done = run_for(&stage, 60, &args);
                assert!(
                    matches!(done.status.code(), Some(0 | 1 | 3)),
                    "{args:?} {place} {shape}: {:?}",
                    done.status
                );
            }
            tried += 1;
        }
    }
    assert_eq!(tried, places.len() * shapes.len());
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn program_lists(stage: &Stage, path: &str) -> bool {
    String::from_utf8_lossy(&stage.program.run(&["ls", "latest", "--recursive"]).stdout)
        .contains(path)
}

#[test]
fn a_hostile_database_is_captured_and_named() {
    let recursive = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 20000)";
    let cases = [
        // A column that costs a gigabyte for each row.
        (
            "computed column",
            format!(
                "DROP TABLE ImageInfos; CREATE TABLE ImageInfos(Id INTEGER PRIMARY KEY, UserId TEXT, LastModified TEXT); {recursive} INSERT INTO ImageInfos(Id) SELECT x FROM c; \
                 PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE ImageInfos(Id INTEGER PRIMARY KEY, UserId TEXT, LastModified TEXT, \
                 Path TEXT GENERATED ALWAYS AS (hex(zeroblob(400000000 + Id))) VIRTUAL)' WHERE name = 'ImageInfos';"
            ),
        ),
        // A constraint that costs something for each row of a check.
        (
            "check",
            format!(
                "CREATE TABLE bomb(a); {recursive} INSERT INTO bomb SELECT x FROM c; PRAGMA writable_schema = ON; \
                 UPDATE sqlite_schema SET sql = 'CREATE TABLE bomb(a CHECK(length(hex(zeroblob(60000000 + a))) > 0))' WHERE name = 'bomb';"
            ),
        ),
        ("long migration", "INSERT INTO __EFMigrationsHistory VALUES(hex(zeroblob(4500000)), '9.0.11');".to_owned()),
        ("many migrations", format!("{recursive} INSERT INTO __EFMigrationsHistory SELECT 'z' || x, '9.0.11' FROM c;")),
        ("long path", "INSERT INTO ImageInfos(Path, LastModified) VALUES('/' || hex(zeroblob(4500000)) || '/users/x/profile.png', '2026');".to_owned()),
        (
            "endless view",
            "DROP TABLE ImageInfos; CREATE VIEW ImageInfos AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT 'x' || x AS Path FROM c;"
                .to_owned(),
        ),
        ("escapes", "INSERT INTO __EFMigrationsHistory VALUES('20991231000000_\u{1b}]0;PWNED\u{7}', '99.11.6.\u{1b}[2J');".to_owned()),
    ];
    for (what, sql) in cases {
        let program = Program::new();
        let data = program.home.path().join("jellyfin");
        copy_tree(&own_fixture(), &data);
        let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
        db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
        drop(db);
        let_settle();
        let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
        assert!(code == 0 || code == 3, "{what}: {report}");
        assert_eq!(report["snapshot"]["categories"]["database"]["files"], 1, "{what}: {report}");
        // Page for page, whatever it holds.
        let out = program.home.path().join("out");
        program.run(&["restore", "latest", "--to", out.to_str().unwrap()]);
        let told = |path: &Path| {
            rusqlite::Connection::open(path).unwrap().query_row(
                "SELECT count(*), sum(length(sql)) FROM sqlite_schema",
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
            )
        };
        assert_eq!(
            told(&out.join("data/jellyfin.db")).unwrap(),
            told(&data.join("data/jellyfin.db")).unwrap(),
            "{what}"
        );
        for args in [&["list"][..], &["show", "latest"], &["check"]] {
            let output = program.run(args);
            assert!(
                !output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b),
                "{what} {args:?}"
            );
        }
    }
}

#[needs(root)]
#[test]
fn a_repository_of_somebody_elses_brings_no_powerful_files() {
    let maker = Program::new();
    let evil = maker.home.path().join("evil");
    write(evil.join("rootsh"), "#!/bin/sh");
    write(evil.join("cap"), "x");
    sh(
        "chown -R 0:0 \"$1\"; chmod 6755 \"$1\"/rootsh; mkdir \"$1\"/set; chmod 7777 \"$1\"/set",
        &evil,
    );
    rustix::fs::setxattr(
        evil.join("cap"),
        "security.capability",
        &[1, 0, 0, 2, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let has_trusted =
        rustix::fs::setxattr(evil.join("cap"), "trusted.x", b"1", rustix::fs::XattrFlags::empty())
            .is_ok();
    maker.ok(&["snapshot", "--plain", evil.to_str().unwrap()]);
    let mode = |dir: &Path, name: &str| {
        std::fs::metadata(dir.join(name)).unwrap().permissions().mode() & 0o7777
    };
    let attributes = |dir: &Path| jellyvault::source::xattrs_of_link(&dir.join("cap")).unwrap();
    // Another user, or another machine: it was not made here.
    let other = Program::new();
    let restore = |program: &Program, name: &str, more: &[&str]| {
        let out = program.home.path().join(name);
        let repo = maker.repo.to_str().unwrap();
        let (report, code) = program.json(
            &[&["--repo", repo, "restore", "latest", "--to", out.to_str().unwrap()], more].concat(),
        );
        assert_eq!(code, 0, "{report}");
        (out, report["remarks"].to_string())
    };
    let (out, remarks) = restore(&other, "out", &[]);
    assert_eq!((mode(&out, "rootsh"), mode(&out, "set") & 0o6000), (0o755, 0));
    assert!(
        attributes(&out).is_empty()
            && remarks.contains("rootsh")
            && remarks.contains("--trust-repository"),
        "{remarks}"
    );
    for (program, more) in [(&other, &["--trust-repository"][..]), (&maker, &[])] {
        let (out, remarks) = restore(program, "trusted", more);
        assert_eq!((mode(&out, "rootsh"), mode(&out, "set")), (0o6755, 0o7777));
        assert!(
            attributes(&out).len() == 1 + usize::from(has_trusted) && remarks.contains("rootsh"),
            "{remarks}"
        );
    }
}

#[test]
fn what_the_source_kept_from_others_does_not_lie_open_after_a_restore() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o750)).unwrap();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!((mode(&out), mode(&out.join("programdata"))), (0o700, 0o750));
    // One that is there stays as it is.
    let own = program.home.path().join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    program.ok(&["restore", "latest", "--to", own.to_str().unwrap()]);
    assert_eq!(mode(&own), 0o755);
    let zip = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zips/extremes-12.0.zip");
    let other = Program::new();
    other.ok(&["import", zip.to_str().unwrap()]);
    let out = other.home.path().join("out");
    other.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!((mode(&out), mode(&out.join("data/jellyfin.db"))), (0o700, 0o600));
}

#[test]
fn only_this_machine_is_asked_for_the_version() {
    let listener = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    for base in [
        format!("@127.0.0.2:{port}/x?="),
        format!("//127.0.0.2:{port}"),
        format!("/..@127.0.0.2:{port}"),
        "\u{9b}31m".to_owned(),
    ] {
        let program = Program::new();
        let data = program.home.path().join("jellyfin");
        copy_tree(&own_fixture(), &data);
        let network = data.join("config/network.xml");
        let text = std::fs::read_to_string(&network).unwrap();
        let edited = text.replace("<BaseUrl />", &format!("<BaseUrl>{base}</BaseUrl>"));
        assert_ne!(text, edited);
        write(&network, edited);
        let_settle();
        let (report, _) = program.json(&["snapshot", data.to_str().unwrap()]);
        assert!(report["snapshot"]["id"].is_string(), "{report}");
        assert!(listener.accept().is_err(), "{base} was asked");
    }
}

#[test]
fn nothing_that_others_named_orders_a_terminal_about() {
    let order = "\u{1b}]0;PWNED\u{7}\u{1b}[2J\u{9b}31m\u{202e}";
    let program = Program::new();
    let data = program.home.path().join(format!("jelly{order}"));
    copy_tree(&own_fixture(), &data);
    write(data.join(format!("plugins/P{order}/a\r\nForged: line")), "x");
    write(data.join(format!("config/x{order}.xml")), "<C><A>1</A></C>");
    symlink(format!("/tmp/{order}"), data.join(format!("plugins/link{order}"))).unwrap();
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute("UPDATE Users SET Username = 'u' || rowid || ?1", [order]).unwrap();
    db.execute_batch(&format!("CREATE TABLE \"t{order}\"(a); INSERT INTO \"t{order}\" VALUES(1)"))
        .unwrap();
    drop(db);
    let_settle();
    let at = data.to_str().unwrap();
    let look = |args: &[&str]| {
        let output = program.run(args);
        for bytes in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(bytes);
            let bad = text.chars().find(|c| {
                (c.is_control() && !"\n\t".contains(*c)) || "\u{202e}\u{2028}".contains(*c)
            });
            assert_eq!(bad, None, "{args:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("Forged")), "{args:?}: {text}");
        }
    };
    look(&["-v", "snapshot", at, "--note", "N\nForged: line"]);
    db_change(&data, order);
    look(&["source", at]);
    for args in [
        &["list"][..],
        &["show", "latest"],
        &["ls", "latest", "--recursive"],
        &["find", "*"],
        &["diff", "--rows", "-v", "--data-dir", at],
        &["diff", "--tree", "--patch", "--data-dir", at],
        &["stats"],
        &["check"],
        &["show", order],
        &["cat", &format!("latest:config/{order}")],
        &["restore", "latest", "--in-place", "--data-dir", at, "--dry-run"],
        &["history", &format!("config/x{order}.xml")],
    ] {
        look(args);
    }
    let out = program.home.path().join(format!("out{order}"));
    look(&["restore", "latest", "--to", out.to_str().unwrap()]);
    std::fs::create_dir_all(out.join(format!("plugins/extra{order}"))).unwrap();
    look(&["-v", "restore", "latest", "--to", out.to_str().unwrap(), "--delete"]);
    look(&[
        "export",
        "latest",
        program.home.path().join(format!("z{order}.zip")).to_str().unwrap(),
    ]);
}

fn db_change(data: &Path, order: &str) {
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute("UPDATE BaseItems SET Name = coalesce(Name, '') || ?1", [order]).unwrap();
    db.execute("UPDATE Users SET Username = Username || 'x'", []).unwrap();
    write(data.join(format!("config/x{order}.xml")), "<C><A>2&#x9b;31m</A></C>");
    let_settle();
}

#[test]
fn what_a_capture_may_write_a_reader_takes() {
    use jellyvault::chunk::ChunkId;
    use jellyvault::limits::{
        EXTENT_RAW_BYTES_MAX, LISTS_MAX, NODE_ENTRIES_MAX, PATH_TAKEN_BYTES_MAX,
        XATTRS_INLINE_BYTES_MAX,
    };
    use jellyvault::manifest::{Content, Entry, Kind, Node, Time, Xattrs, compare};
    // The widest node that there can be: paths that share nothing, each with all that an entry
    // holds.
    let path = |n: usize| {
        let mut path: Vec<u8> = format!("{n:04}").into_bytes();
        while path.len() < PATH_TAKEN_BYTES_MAX - 256 {
            path.extend_from_slice(
                format!(
                    "/{}",
                    noise(&format!("{n} {}", path.len()), 120)
                        .iter()
                        .map(|b| format!("{b:02x}"))
                        .collect::<String>()
                )
                .as_bytes(),
            );
        }
        path
    };
    let lists = Content::Listed((0..LISTS_MAX).map(|n| ChunkId([n as u8; 32])).collect());
    let xattrs = Xattrs::Inline(vec![(b"user.x".to_vec(), vec![7; XATTRS_INLINE_BYTES_MAX - 10])]);
    let mut entries: Vec<Entry> = (0..NODE_ENTRIES_MAX)
        .map(|n| Entry {
            path: path(n),
            kind: Kind::File { size: u64::MAX / 2, content: lists.clone() },
            mode: 0o7777,
            uid: u32::MAX,
            gid: u32::MAX,
            mtime: Time { seconds: i64::MAX, nanos: 999_999_999 },
            xattrs: xattrs.clone(),
            link_group: Some(u64::MAX),
        })
        .collect();
    entries.sort_by(|a, b| compare(&a.path, &b.path));
    let bytes = Node::encode_leaf(&entries);
    assert!(bytes.len() <= EXTENT_RAW_BYTES_MAX, "{}", bytes.len());
    assert_eq!(Node::decode(&bytes), Ok(Node::Leaf(entries)));
}

/// Makes directories in one another, so many that no system call takes the path; the innermost one.
fn nested(top: &Path, name: &str, count: usize) -> std::os::fd::OwnedFd {
    std::fs::create_dir(top).unwrap();
    let mut inner = std::os::fd::OwnedFd::from(std::fs::File::open(top).unwrap());
    for _ in 0..count {
        rustix::fs::mkdirat(&inner, name, rustix::fs::Mode::from(0o755)).unwrap();
        inner = rustix::fs::openat(
            &inner,
            name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    inner
}

#[test]
fn names_and_paths_of_any_length_cost_nobody_else_anything() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    // A thousand pipes below a path of ten kilobytes, and one directory in another beyond every
    // limit.
    let pipes = nested(&data.join("plugins/pipes"), &"d".repeat(250), 40);
    for number in 0..1000 {
        rustix::fs::mknodat(
            &pipes,
            format!("f{number:04}"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from(0o644),
            0,
        )
        .unwrap();
    }
    let deep = nested(&data.join("plugins/deep"), "ddddddd", 9000);
    rustix::fs::openat(
        &deep,
        "f",
        rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY,
        rustix::fs::Mode::from(0o644),
    )
    .unwrap();
    let_settle();
    for _ in 0..2 {
        let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
        assert_eq!(code, 3, "{report}");
        assert_eq!(
            report["problem_count"],
            1,
            "{}",
            problems(&report).chars().take(300).collect::<String>()
        );
        assert!(
            problems(&report).contains("too long"),
            "{}",
            problems(&report).chars().take(300).collect::<String>()
        );
        assert!(
            report["remarks"].to_string().contains("more of this kind"),
            "a thousand pipes are counted"
        );
    }
    let out = program.home.path().join("out");
    let restored = program.run(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    assert_same_trees(
        &facts(&data.join("config"), &|_| false),
        &facts(&out.join("config"), &|_| false),
    );
    assert!(program.run(&["check"]).status.success());
    // Taken apart from above: not every removal of a tree copes with so long a path.
    for deep in [data.join("plugins/deep"), out.join("plugins/deep")] {
        let (first, upper) = (deep.join("ddddddd"), deep.join("x"));
        while first.is_dir() {
            std::fs::rename(&first, &upper).unwrap();
            let has_more = std::fs::rename(upper.join("ddddddd"), &first).is_ok();
            if has_more {
                std::fs::remove_dir(&upper).unwrap()
            } else {
                std::fs::remove_dir_all(&upper).unwrap()
            }
        }
    }
}

/// Stops the swapping when it goes.
struct Stop<'s>(&'s std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

#[needs(root)]
#[test]
fn a_swap_at_any_moment_gains_the_servers_user_nothing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    // What is swapped for a link to root's directory, again and again, while each command works.
    for (path, target) in [
        ("plugins", ""),
        ("metadata", ""),
        ("data", ""),
        ("data/backups", "shadow"),
        ("plugins/Made Up_1.0.0.0", ""),
        ("data/jellyfin.db", "shadow"),
    ] {
        let stage = Stage::new();
        stage.program.ok(&["snapshot", stage.at()]);
        std::fs::create_dir_all(stage.data.join("data/backups")).unwrap();
        stage.settle();
        let (own, link) = (stage.data.join(path), stage.data.join("trap"));
        symlink(stage.etc.join(target), &link).unwrap();
        sh(&format!("chown -h {USER}:{USER} \"$1\""), &link);
        let stop = AtomicBool::new(false);
        let mut swaps = 0u64;
        std::thread::scope(|scope| {
            let swapper = scope.spawn(|| {
                let mut swaps = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    let swapped = rustix::fs::renameat_with(
                        rustix::fs::CWD,
                        &own,
                        rustix::fs::CWD,
                        &link,
                        rustix::fs::RenameFlags::EXCHANGE,
                    );
                    swaps += u64::from(swapped.is_ok());
                }
                swaps
            });
            // Also where an assertion fails: or nobody would ever hear of it.
            let _stop = Stop(&stop);
            for round in 0..6 {
                for args in [
                    &["snapshot", stage.at()][..],
                    &[
                        "restore",
                        "latest",
                        "--in-place",
                        "--data-dir",
                        stage.at(),
                        "--no-safety-snapshot",
                        "--only",
                        "plugins,metadata",
                    ],
                    &[
                        "restore",
                        "latest",
                        "--in-place",
                        "--data-dir",
                        stage.at(),
                        "--no-safety-snapshot",
                        "--delete",
                    ],
                    &[
                        "export",
                        "latest",
                        "--to-jellyfin",
                        "--data-dir",
                        stage.at(),
                        "--only",
                        "config",
                    ],
                    &[
                        "restore",
                        "latest",
                        "--in-place",
                        "--data-dir",
                        stage.at(),
                        "--no-safety-snapshot",
                        "--keep-old",
                        "--only",
                        "plugins",
                    ],
                ] {
                    let done = run_for(&stage, 60, args);
                    assert!(
                        matches!(done.status.code(), Some(0 | 1 | 3)),
                        "{path} {round} {args:?}: {done:?}"
                    );
                    stage.assert_etc_is_roots(&format!("{path}, round {round}, {args:?}"));
                }
            }
            stop.store(true, Ordering::Relaxed);
            swaps = swapper.join().unwrap();
        });
        assert!(swaps > 100, "{path} was swapped {swaps} times only");
        stage.assert_secret_in_no_snapshot(path);
    }
}

#[needs(root)]
#[test]
fn a_database_that_is_another_one_each_time_is_given_up() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let stage = Stage::new();
    stage.program.ok(&["snapshot", stage.at()]);
    let own = stage.data.join("data/jellyfin.db");
    let other = stage.data.join("other.db");
    std::fs::copy(&own, &other).unwrap();
    sh(&format!("chown {USER}:{USER} \"$1\""), &other);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(
                    rustix::fs::CWD,
                    &own,
                    rustix::fs::CWD,
                    &other,
                    rustix::fs::RenameFlags::EXCHANGE,
                )
                .unwrap();
            }
        });
        let _stop = Stop(&stop);
        let done = run_for(&stage, 30, &["--json", "snapshot", stage.at()]);
        assert!(matches!(done.status.code(), Some(0 | 3)), "{done:?}");
    });
}

#[needs(root)]
#[test]
fn a_signal_ends_every_hostile_case() {
    let cases = [
        "mkfifo \"$1\"/log/log_9.log 2>/dev/null || { mkdir \"$1\"/log; mkfifo \"$1\"/log/log_9.log; }",
        "rm \"$1\"/data/jellyfin.db-shm; mkfifo \"$1\"/data/jellyfin.db-shm",
        "truncate -s 900M \"$1\"/plugins/x.db; head -c 100 \"$1\"/data/jellyfin.db | dd of=\"$1\"/plugins/x.db conv=notrunc 2>/dev/null",
        "head -c 300000000 /dev/urandom > \"$1\"/plugins/large.bin",
        "mkdir \"$1\"/metadata/library/many; cd \"$1\"/metadata/library/many; seq 1 20000 | xargs touch",
        "for n in 1 2 3 4 5 6; do truncate -s 64M \"$1\"/log_$n.log; done; mkdir -p \"$1\"/log; mv \"$1\"/log_*.log \"$1\"/log/",
    ];
    let mut ended = 0;
    for (number, case) in cases.iter().enumerate() {
        let stage = Stage::new();
        sh(case, &stage.data);
        stage.settle();
        for round in 0..8u64 {
            // Somewhere between nothing done and all done.
            let pause = 5 + u64::from(noise(&format!("{number} {round}"), 1)[0]) * (round + 1) / 2;
            let mut command = Command::new("timeout");
            let own = stage.program.command(&["snapshot", stage.at()]);
            command
                .env_clear()
                .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
                .args(["-s", "TERM", "-k", "5", &format!("0.{pause:03}")])
                .arg(own.get_program())
                .args(own.get_args());
            let done = command.output().unwrap();
            // 124: the signal came and ended it. 137 would be a second, stronger one.
            assert!(
                matches!(done.status.code(), Some(0 | 3 | 124 | 130)),
                "{case} after {pause} ms: {done:?}"
            );
            ended += u64::from(done.status.code() == Some(124));
        }
        let done = run_for(&stage, 120, &["snapshot", stage.at()]);
        assert!(matches!(done.status.code(), Some(0 | 3)), "{case}: {done:?}");
        assert!(stage.program.run(&["check"]).status.success(), "{case}");
    }
    assert!(ended > 5, "{ended} runs were interrupted");
}

#[needs(root)]
#[test]
fn a_pipe_in_the_place_of_any_file_of_a_repository_holds_nobody_up() {
    let stage = Stage::new();
    stage.program.ok(&["init", "--parity", "3%"]);
    for name in ["one", "two"] {
        write(stage.data.join("config").join(name), name);
        stage.program.ok(&["snapshot", stage.at()]);
    }
    stage.program.ok(&["check", "--read-data"]);
    let (repo, kept) = (&stage.program.repo, stage.program.home.path().join("kept"));
    std::fs::rename(repo, &kept).unwrap();
    let out = stage.program.home.path().join("out");
    let files = walkdir::WalkDir::new(&kept)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    let mut tried = 0;
    for entry in files {
        let path = repo.join(entry.path().strip_prefix(&kept).unwrap());
        for args in [
            &["list"][..],
            &["check", "--read-data"],
            &["restore", "latest", "--to", out.to_str().unwrap()],
            &["snapshot", stage.at()],
        ] {
            copy_tree(&kept, repo);
            std::fs::remove_file(&path).unwrap();
            sh("mkfifo \"$1\"", &path);
            let done = run_for(&stage, 60, args);
            assert!(
                matches!(done.status.code(), Some(0 | 1 | 3)),
                "{}, {args:?}: {done:?}",
                path.display()
            );
            std::fs::remove_dir_all(repo).unwrap();
            tried += 1;
        }
    }
    assert!(tried > 40, "{tried}");
}

#[needs(root)]
#[test]
fn a_pipe_is_no_zip() {
    let stage = Stage::new();
    let zip = stage.data.join("backup.zip");
    sh("mkfifo \"$1\"", &zip);
    let done = run_for(&stage, 20, &["import", zip.to_str().unwrap()]);
    assert!(
        done.status.code() == Some(1)
            && String::from_utf8_lossy(&done.stderr).contains("it is not a regular file"),
        "{done:?}"
    );
}
