//! A server that writes without pause while it is captured: every copy is whole, and the server
//! never notices.

use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::support::*;

/// The server's side: a process of its own, because POSIX locks belong to processes.
#[test]
#[ignore = "not a test by itself: the process that the tests below start"]
fn the_writing_server() {
    let path = std::env::var_os("JELLYVAULT_TEST_DATABASE").expect("a test starts this process");
    let path = Path::new(&path);
    let folder = path.parent().unwrap();
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE IF NOT EXISTS a(n INTEGER PRIMARY KEY, t TEXT); CREATE TABLE IF NOT EXISTS b(n INTEGER PRIMARY KEY, t TEXT); CREATE TABLE IF NOT EXISTS Users(n);").unwrap();
    if std::env::var_os("JELLYVAULT_TEST_DROP_LOCKS").is_some() {
        // What Jellyfin's own File.Copy does to it: closing any descriptor drops all locks of the
        // process.
        drop(std::fs::File::open(path).unwrap());
        drop(std::fs::File::open(folder.join("jellyfin.db-shm")).unwrap());
    }
    let (mut longest, mut locked, mut n) = (Duration::ZERO, 0, 0);
    while !folder.join("stop").exists() {
        n += 1;
        let start = Instant::now();
        let text = "x".repeat(n % 700);
        let outcome = db.execute_batch(&format!("BEGIN IMMEDIATE; INSERT INTO a VALUES({n}, '{text}'); INSERT INTO b VALUES({n}, '{text}'); DELETE FROM a WHERE n <= {n} - 2000; DELETE FROM b WHERE n <= {n} - 2000; COMMIT;"));
        locked += u32::from(outcome.is_err());
        longest = longest.max(start.elapsed());
        if n == 20 {
            std::fs::write(folder.join("ready"), "").unwrap();
        }
    }
    let count: i64 = db.query_row("SELECT max(n) FROM a", [], |row| row.get(0)).unwrap();
    let wal = folder.join("jellyfin.db-wal").exists();
    std::fs::write(
        folder.join("report"),
        format!("{n} {count} {locked} {} {wal}", longest.as_millis()),
    )
    .unwrap();
}

/// A plugin's side: it opens its database for each write, and closes it, so that the files beside
/// it come and go.
#[test]
#[ignore = "not a test by itself: the process that a test below starts"]
fn the_opening_plugin() {
    let path = std::env::var_os("JELLYVAULT_TEST_DATABASE").expect("a test starts this process");
    let path = Path::new(&path);
    let folder = path.parent().unwrap();
    let mut n = 0;
    while !folder.join("stop").exists() {
        n += 1;
        let db = rusqlite::Connection::open(path).unwrap();
        db.busy_timeout(Duration::from_secs(5)).unwrap();
        db.execute_batch(&format!("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS a(n INTEGER PRIMARY KEY); INSERT INTO a VALUES({n});")).unwrap();
        drop(db);
        std::thread::sleep(Duration::from_millis(n % 20));
        if n == 20 {
            std::fs::write(folder.join("ready"), "").unwrap();
        }
    }
}

struct Server(Child);

impl Server {
    fn start(database: &Path, drop_locks: bool) -> Server {
        Server::start_as("live::the_writing_server", database, drop_locks)
    }

    fn start_as(name: &str, database: &Path, drop_locks: bool) -> Server {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env("JELLYVAULT_TEST_DATABASE", database)
            .stdout(std::process::Stdio::null());
        if drop_locks {
            command.env("JELLYVAULT_TEST_DROP_LOCKS", "1");
        }
        let server = Server(command.spawn().unwrap());
        let ready = database.with_file_name("ready");
        while !ready.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// (transactions, last row, refused, longest in milliseconds, whether the WAL was there at the
    /// end)
    fn stop(mut self, database: &Path) -> (u64, u64, u64, u64, bool) {
        std::fs::write(database.with_file_name("stop"), "").unwrap();
        assert!(self.0.wait().unwrap().success());
        let report = std::fs::read_to_string(database.with_file_name("report")).unwrap();
        let fields: Vec<&str> = report.split(' ').collect();
        let number = |at: usize| fields[at].parse().unwrap();
        (number(0), number(1), number(2), number(3), fields[4] == "true")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Ended already where the test went well.
        if self.0.kill().is_err() {}
    }
}

fn capture_while_written(captures: usize, drop_locks: bool) {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    write(data.join("config/system.xml"), "<ServerConfiguration />");
    let database = data.join("data/jellyfin.db");
    std::fs::create_dir_all(database.parent().unwrap()).unwrap();
    let server = Server::start(&database, drop_locks);
    let wal = data.join("data/jellyfin.db-wal");
    let wal_inode = std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&wal).unwrap());
    let (mut counts, mut ways) = (Vec::new(), std::collections::BTreeSet::new());
    for round in 0..captures {
        let (report, code) =
            program.json(&["snapshot", data.to_str().unwrap(), "--only", "database"]);
        assert_eq!(code, 0, "{report}");
        // Where the server waited for its disk meanwhile, nothing was written and nothing copied.
        ways.extend(report["remarks"][0].as_str().map(str::to_owned));
        let copy = program.home.path().join(format!("{round}.db"));
        std::fs::write(
            &copy,
            program.command(&["cat", "latest:data/jellyfin.db"]).output().unwrap().stdout,
        )
        .unwrap();
        let db = rusqlite::Connection::open(&copy).unwrap();
        let check: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
        let count = |table: &str| {
            db.query_row(
                &format!(
                    "SELECT count(*), coalesce(max(n), 0), coalesce(sum(length(t)), 0) FROM {table}"
                ),
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
            )
            .unwrap()
        };
        let (a, b) = (count("a"), count("b"));
        assert_eq!(a, b, "half a transaction was captured");
        assert_eq!(a.0, a.1.min(2000), "a committed transaction is missing");
        counts.push(a.1);
        drop(db);
        std::fs::remove_file(copy).unwrap();
    }
    assert!(
        counts.windows(2).all(|pair| pair[0] <= pair[1]),
        "a later capture holds less: {counts:?}"
    );
    assert!(counts.last() > counts.first(), "nothing was written meanwhile: {counts:?}");
    let metadata = std::fs::metadata(&wal).unwrap();
    assert_eq!(
        std::os::unix::fs::MetadataExt::ino(&metadata),
        wal_inode,
        "the server's WAL was replaced"
    );
    let (transactions, rows, refused, longest_ms, has_wal) = server.stop(&database);
    assert_eq!((transactions, refused), (rows, 0), "the server saw `database is locked`");
    assert!(longest_ms < 5000, "a commit waited {longest_ms} ms");
    assert!(has_wal);
    // Without its locks a server that waits for the machine looks like none: its files are copied
    // as they lie, which they do meanwhile.
    let is_right = |way: &String| {
        way.contains("online backup") || drop_locks && way.contains("while nobody wrote")
    };
    assert!(!ways.is_empty() && ways.iter().all(is_right), "{ways:?}");
}

#[test]
fn fifty_captures_of_a_writing_server_are_whole_and_it_never_waits() {
    capture_while_written(50, false);
}

#[test]
fn a_database_that_is_opened_and_closed_for_each_write_is_never_lost() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let database = data.join("data/library-extras.db");
    let mut plugin = Server::start_as("live::the_opening_plugin", &database, false);
    let mut last = 0;
    for _ in 0..40 {
        let (report, code) =
            program.json(&["snapshot", data.to_str().unwrap(), "--only", "database"]);
        assert_eq!((code, &report["problems"]), (0, &serde_json::json!([])), "{report}");
        let copy = program.home.path().join("copy.db");
        std::fs::write(
            &copy,
            program.command(&["cat", "latest:data/library-extras.db"]).output().unwrap().stdout,
        )
        .unwrap();
        let db = rusqlite::Connection::open(&copy).unwrap();
        let count: i64 = db.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
        assert!(count >= last, "a committed row is missing");
        last = count;
    }
    std::fs::write(database.with_file_name("stop"), "").unwrap();
    assert!(plugin.0.wait().unwrap().success() && last > 20);
}

#[test]
fn databases_outside_of_data_and_plugins_are_copied_as_databases_too() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let places = ["config/tool.db", "metadata/notes.sqlite", "scrobbler.db"];
    let open: Vec<_> = places
        .iter()
        .map(|path| {
            let db = rusqlite::Connection::open(data.join(path)).unwrap();
            db.execute_batch(
                "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES(42);",
            )
            .unwrap();
            db
        })
        .collect();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
    // What they wrote last is in their logs, which are not captured: it must be in the copies.
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    for path in ["config/tool.db", "metadata/notes.sqlite", "programdata/scrobbler.db"] {
        assert_eq!(rows(&out.join(path)), ["t: Integer(42)"], "{path}");
        assert!(!out.join(format!("{path}-wal")).exists());
    }
    drop(open);
    let zip = program.home.path().join("exact.zip");
    program.ok(&["export", "latest", "--exact", zip.to_str().unwrap()]);
    assert!(program.json(&["import", zip.to_str().unwrap()]).1 != 1);
}

#[test]
fn a_server_that_lost_its_locks_keeps_its_wal() {
    capture_while_written(10, true);
}

#[test]
fn a_stopped_server_with_a_left_over_wal_is_captured_and_nothing_is_left_behind() {
    let dir = temp();
    let data = dir.path().join("attic");
    copy_tree(&own_fixture(), &data);
    let_settle();
    let before = facts(&data, &|_| false);
    let program = Program::new();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert_eq!(
        report["remarks"][0],
        "the database was copied from its file and its log, while nobody wrote to it"
    );
    assert_eq!(facts(&data, &|_| false), before);
    assert!(
        !program.repo.join("tmp").exists()
            || std::fs::read_dir(program.repo.join("tmp")).unwrap().next().is_none(),
        "the private copy stayed"
    );
}

#[test]
fn a_damaged_database_is_a_named_problem_and_its_bytes_are_kept() {
    let dir = temp();
    let data = dir.path().join("attic");
    copy_tree(&own_fixture(), &data);
    for ending in ["-wal", "-shm"] {
        std::fs::remove_file(data.join(format!("data/jellyfin.db{ending}"))).unwrap();
    }
    let database = data.join("data/jellyfin.db");
    let mut bytes = std::fs::read(&database).unwrap();
    bytes[4096 * 20..4096 * 60].fill(0xee);
    std::fs::write(&database, &bytes).unwrap();
    let_settle();
    let program = Program::new();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 3, "{report}");
    assert_eq!(report["problems"][0]["path"], "data/jellyfin.db");
    assert!(report["problems"][0]["what"].as_str().unwrap().contains("damaged"), "{report}");
    assert_eq!(
        program.command(&["cat", "latest:data/jellyfin.db"]).output().unwrap().stdout,
        bytes
    );
    // Something that is no database at all.
    std::fs::write(&database, "not a database").unwrap();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!((code, report["problems"][0]["path"].as_str()), (3, Some("data/jellyfin.db")));
    assert_eq!(program.ok(&["cat", "latest:data/jellyfin.db"]), "not a database");
}

#[test]
fn other_databases_in_data_and_plugins_belong_to_the_category_database() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    for path in ["data/playback_reporting.db", "plugins/Reports/reports.sqlite"] {
        std::fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
        let db = rusqlite::Connection::open(data.join(path)).unwrap();
        db.execute_batch("CREATE TABLE t(x); INSERT INTO t VALUES(42); CREATE TABLE Users(n);")
            .unwrap();
    }
    write(data.join("data/fake.db"), "only its name says so");
    let_settle();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(
        (code, report["snapshot"]["categories"]["database"]["files"].as_u64()),
        (0, Some(3)),
        "{report}"
    );
    let (again, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(again["files_read"], 0);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--only", "database"]);
    assert_eq!(rows(&out.join("plugins/Reports/reports.sqlite")), ["t: Integer(42)"]);
    assert!(!out.join("config").exists());
}

#[test]
fn a_database_kept_by_a_plugin_is_said_and_the_rest_is_captured() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    write(data.join("data/.jellyfin-data"), "");
    write(data.join("config/system.xml"), "<ServerConfiguration />");
    write(
        data.join("config/database.xml"),
        "<D><DatabaseType>PLUGIN_PROVIDER</DatabaseType><CustomProviderOptions><PluginName>PostgreSQL</PluginName></CustomProviderOptions></D>",
    );
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(report["problems"][0]["what"].as_str().unwrap().contains("PostgreSQL"), "{report}");
    assert_eq!(report["snapshot"]["categories"]["config"]["files"], 2);
}

#[test]
fn a_database_behind_a_link_is_captured_with_its_log() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let expected = rows(&data.join("data/jellyfin.db"));
    let disk = program.home.path().join("fast disk");
    std::fs::create_dir(&disk).unwrap();
    for ending in ["", "-wal", "-shm"] {
        let name = format!("jellyfin.db{ending}");
        std::fs::rename(data.join("data").join(&name), disk.join(&name)).unwrap();
    }
    std::os::unix::fs::symlink(disk.join("jellyfin.db"), data.join("data/jellyfin.db")).unwrap();
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--only", "database"]);
    assert_eq!(rows(&out.join("data/jellyfin.db")), expected);
    // A write that is only in the log so far.
    let log = disk.join("jellyfin.db-wal");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.truncate(bytes.len() - 1);
    write(&log, bytes);
    let_settle();
    let (again, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(again["files_read"], 1, "{again}");
}
