//! Servers before 10.11, and servers in the middle of an upgrade: what their snapshots are called,
//! and what zips are made of them.

use std::path::{Path, PathBuf};

use super::support::*;

const LIBRARY: &str = "CREATE TABLE TypedBaseItems(guid GUID PRIMARY KEY, type TEXT, Path TEXT, LUFS FLOAT, NormalizationGain FLOAT); \
     CREATE TABLE mediastreams(ItemId GUID, DvVersionMajor INT); CREATE TABLE UserDatas(key TEXT, userId INT, played BIT); INSERT INTO UserDatas VALUES('x', 1, 1);";

fn instance(program: &Program) -> PathBuf {
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    data
}

/// A 10.10 server: its history ends before 10.11, and its library is in a database of its own, with
/// a log that is not folded in.
fn of_10_10(program: &Program) -> PathBuf {
    let data = instance(program);
    run_sql(
        &data.join("data/jellyfin.db"),
        "PRAGMA foreign_keys = OFF; DELETE FROM __EFMigrationsHistory WHERE MigrationId >= '20241020' OR ProductVersion LIKE '%.%.%.%'; DROP TABLE BaseItems;",
    );
    run_sql(&data.join("data/library.db"), LIBRARY);
    data
}

fn names_in(zip: &Path) -> Vec<String> {
    zip::ZipArchive::new(std::fs::File::open(zip).unwrap())
        .unwrap()
        .file_names()
        .map(|name| name.unwrap().into_owned())
        .collect()
}

fn message(document: &serde_json::Value) -> &str {
    document["error"]["message"].as_str().unwrap_or_else(|| panic!("{document}"))
}

#[test]
fn a_library_of_a_server_before_10_11_that_lost_everything_is_told() {
    let program = Program::new();
    let data = of_10_10(&program);
    let at = data.to_str().unwrap();
    program.ok(&["snapshot", at]);
    let library = data.join("data/library.db");
    let told = |what: &str| {
        let_settle();
        let (report, code) = program.json(&["snapshot", at]);
        assert_eq!(code, 3, "{report}");
        let problems = report["problems"].as_array().unwrap();
        assert!(
            problems.iter().any(|problem| problem["path"] == "data/library.db"
                && problem["what"].as_str().unwrap().contains(what)),
            "{report}"
        );
    };
    run_sql(&library, "PRAGMA foreign_keys = OFF; DROP TABLE TypedBaseItems;");
    told("none of Jellyfin's tables");
    std::fs::write(&library, "").unwrap();
    told("0 bytes");
}

#[test]
fn a_table_that_neither_side_has_is_no_reason_against_a_restore() {
    let program = Program::new();
    let data = of_10_10(&program);
    // A library that a plugin or a hand made empty: neither side has items.
    run_sql(&data.join("data/library.db"), "DELETE FROM TypedBaseItems;");
    program.json(&["snapshot", data.to_str().unwrap()]);
    let (report, code) =
        program.json(&["restore", "latest", "--in-place", "--yes", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{report}");
}

#[test]
fn an_exact_zip_of_a_server_before_10_11_holds_its_library() {
    let program = Program::new();
    let data = of_10_10(&program);
    let open = rusqlite::Connection::open(data.join("data/library.db")).unwrap();
    open.execute_batch(
        "PRAGMA journal_mode = WAL; INSERT INTO UserDatas VALUES('in the log', 1, 1);",
    )
    .unwrap();
    run_sql(&data.join("data/playback_reporting.db"), "CREATE TABLE t(x);");
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!((code, report["snapshot"]["upgrading"].as_bool()), (0, Some(false)), "{report}");
    assert_eq!(report["snapshot"]["server_version"], "10.10.0");
    let zip = program.home.path().join("exact.zip");
    let (report, code) = program.json(&["export", "latest", "--exact", zip.to_str().unwrap()]);
    assert_eq!(
        (code, report["archive"]["fits"]["versions"].as_str()),
        (0, Some("10.11 or newer")),
        "{report}"
    );
    assert!(report.to_string().contains("restart it once more"), "{report}");
    assert!(report["archive"]["missing"].to_string().contains("databases of plugins"), "{report}");
    let names = names_in(&zip);
    assert!(
        names.iter().any(|name| name == "Data/library.db")
            && names.iter().all(|name| !name.contains("playback")),
        "{names:?}"
    );
    let mut archive = zip::ZipArchive::new(std::fs::File::open(&zip).unwrap()).unwrap();
    let library = program.home.path().join("library.db");
    std::io::copy(
        &mut archive.by_name("Data/library.db").unwrap(),
        &mut std::fs::File::create(&library).unwrap(),
    )
    .unwrap();
    assert!(
        rows(&library).iter().any(|row| row.contains("in the log")),
        "what was in its log is in the copy"
    );
    drop(open);

    let (refused, code) = program.json(&["export", "latest", "--tables", "t.zip"]);
    assert_eq!(code, 1);
    assert!(message(&refused).contains("before 10.11"), "{refused}");
}

#[test]
fn rows_of_the_library_s_tables_are_shown_by_their_names() {
    let program = Program::new();
    let data = of_10_10(&program);
    let at = data.to_str().unwrap();
    let library = data.join("data/library.db");
    program.ok(&["snapshot", at]);
    run_sql(&library, "UPDATE UserDatas SET played = 0; INSERT INTO UserDatas VALUES('y', 1, 1);");
    program.ok(&["snapshot", at]);
    let (diff, code) =
        program.json(&["diff", "latest~1", "latest", "--rows", "--table", "userdatas"]);
    assert_eq!(code, 0, "{diff}");
    let rows = diff["rows"].as_array().unwrap();
    assert!(rows.len() >= 2 && rows.iter().all(|row| row["table"] == "UserDatas"), "{diff}");
    let words = program.ok(&["diff", "latest~1", "latest", "--table", "UserDatas"]);
    assert!(
        words.contains("Rows of data/library.db") && words.contains("played: 1 → 0"),
        "{words}"
    );
    // The main database's tables are where they were, and one that neither has is named with those
    // that there are.
    assert_eq!(program.json(&["diff", "latest~1", "latest", "--table", "Users"]).1, 0);
    let (refused, code) = program.json(&["diff", "latest~1", "latest", "--table", "Nothing"]);
    assert!(code != 0 && refused["error"]["hint"].as_str().unwrap().contains("Users"), "{refused}");
}

#[test]
fn a_library_that_no_newer_server_reads_makes_no_zip() {
    for (broken, says) in [
        ("ALTER TABLE TypedBaseItems DROP COLUMN LUFS", "before 10.9.11"),
        ("ALTER TABLE TypedBaseItems DROP COLUMN NormalizationGain", "before 10.9.11"),
        ("ALTER TABLE mediastreams DROP COLUMN DvVersionMajor", "before 10.9.11"),
        ("", "does not contain data/library.db"),
    ] {
        let program = Program::new();
        let data = of_10_10(&program);
        match broken {
            "" => std::fs::remove_file(data.join("data/library.db")).unwrap(),
            sql => run_sql(&data.join("data/library.db"), sql),
        }
        program.ok(&["snapshot", data.to_str().unwrap()]);
        let zip = program.home.path().join("exact.zip");
        let (refused, code) = program.json(&["export", "latest", "--exact", zip.to_str().unwrap()]);
        assert_eq!(code, 1, "{broken} {refused}");
        assert!(message(&refused).contains(says), "{broken} {refused}");
        assert!(!zip.exists());
        // Who asks for tables is not sent to a zip that is refused then.
        let (tables, code) = program.json(&["export", "latest", "--tables", zip.to_str().unwrap()]);
        let hint = tables["error"]["hint"].as_str().unwrap();
        assert!(
            code == 1 && !hint.contains("Use export --exact") && !zip.exists(),
            "{broken} {tables}"
        );
        assert!(
            broken.is_empty() || (hint.contains("10.10.7") && hint.contains("--in-place")),
            "{broken} {tables}"
        );
    }
}

#[test]
fn a_snapshot_in_the_middle_of_an_upgrade_is_marked_and_no_tables_are_made_of_it() {
    let program = Program::new();
    let data = instance(&program);
    let database = data.join("data/jellyfin.db");
    let first = program.json(&["snapshot", data.to_str().unwrap()]).0["snapshot"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    // The last steps of the upgrade are still to be done.
    run_sql(
        &database,
        "DELETE FROM __EFMigrationsHistory WHERE MigrationId = '20260729120000_RestorePlaylistChildrenFromMetadata'",
    );
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(
        (code, report["snapshot"]["upgrading"].as_bool(), report["snapshot"]["complete"].as_bool()),
        (3, Some(true), Some(false)),
        "{report}"
    );
    assert!(report["problems"].to_string().contains("in the middle of its upgrade"), "{report}");
    assert!(program.ok(&["list"]).contains("to 12.0.0"));
    // Nothing changed: it is marked all the same.
    let (again, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!((code, again["snapshot"]["upgrading"].as_bool()), (3, Some(true)), "{again}");
    let zip = program.home.path().join("z.zip");
    let (refused, code) = program.json(&["export", "latest", "--tables", zip.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(message(&refused).contains("in the middle of its upgrade to 12.0.0"), "{refused}");
    let (report, code) = program.json(&["export", "latest", "--exact", zip.to_str().unwrap()]);
    assert_eq!(
        (code, report["archive"]["fits"]["versions"].as_str()),
        (0, Some("12.0.0")),
        "{report}"
    );
    // Of the snapshots of one hour the complete one is kept, though it is the older.
    program.ok(&["forget", "--keep-hourly", "1"]);
    let left = program.json(&["list"]).0;
    assert!(
        left["snapshots"]
            .as_array()
            .unwrap()
            .iter()
            .any(|snapshot| snapshot["id"] == first.as_str()),
        "{left}"
    );
    // A later version than all that are known is not taken for an upgrade.
    run_sql(
        &database,
        "INSERT INTO __EFMigrationsHistory VALUES('20270101000000_FromTheFuture', '11.0.0')",
    );
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!((code, report["snapshot"]["upgrading"].as_bool()), (0, Some(false)), "{report}");
    let (report, _) = program.json(&[
        "export",
        "latest",
        "--exact",
        program.home.path().join("later.zip").to_str().unwrap(),
    ]);
    assert!(report.to_string().contains("later version than this version"), "{report}");
}

#[test]
fn what_real_servers_left_in_an_upgrade_is_told_from_what_they_left_before_and_after() {
    let states = servers("cellar-10.10");
    let program = Program::new();
    let server = program.home.path().join("server");
    copy_tree(&states.join("10.10.7/data"), &server);
    for (state, is_upgrading, library) in [
        ("10.10.7/data", false, Some("Data/library.db")),
        ("1-schema-begun", true, Some("Data/library.db")),
        ("2-schema-nearly", true, Some("Data/library.db")),
        ("3-schema-done-library-empty", true, Some("Data/library.db")),
        ("4-library-moved", true, None),
        ("10.11.11/data", false, None),
    ] {
        for entry in std::fs::read_dir(server.join("data"))
            .unwrap()
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().contains(".db"))
        {
            std::fs::remove_file(entry.path()).unwrap();
        }
        for entry in std::fs::read_dir(states.join(state).join("data")).unwrap().flatten() {
            if entry.file_name().to_string_lossy().contains(".db") {
                std::fs::copy(entry.path(), server.join("data").join(entry.file_name())).unwrap();
            }
        }
        let_settle();
        let (report, code) = program.json(&["snapshot", server.to_str().unwrap()]);
        assert_eq!(
            (code, report["snapshot"]["upgrading"].as_bool()),
            (if is_upgrading { 3 } else { 0 }, Some(is_upgrading)),
            "{state} {report}"
        );
        let versions = |of: &serde_json::Value| {
            ["upgrading_from", "upgrading_to"]
                .map(|key| of["snapshot"][key].as_str().map(str::to_owned))
        };
        let expected = if is_upgrading {
            [Some("10.10.7".to_owned()), Some("10.11.11".to_owned())]
        } else {
            [None, None]
        };
        assert_eq!(versions(&report), expected, "{state}");
        assert_eq!(
            program.ok(&["list"]).lines().last().unwrap().contains("10.10.7 to 10.11.11"),
            is_upgrading,
            "{state}"
        );
        // Where this state is the first that is seen, the server's log names the old version.
        let first = program.home.path().join(format!("first of {}", state.replace('/', " ")));
        let (alone, _) = program.json(&[
            "snapshot",
            server.to_str().unwrap(),
            "--repo",
            first.to_str().unwrap(),
        ]);
        assert_eq!(versions(&alone), expected, "{state} {alone}");
        // The next one of the same state says the same, though the log still names the old version.
        let (again, _) = program.json(&["snapshot", server.to_str().unwrap()]);
        assert_eq!(versions(&again), expected, "{state}");
        assert_eq!(
            again["snapshot"]["server_version"], report["snapshot"]["server_version"],
            "{state}"
        );
        let zip = program.home.path().join("zip.zip");
        program.ok(&["export", "latest", "--exact", zip.to_str().unwrap(), "--force"]);
        assert_eq!(
            names_in(&zip)
                .iter()
                .find(|name| name.starts_with("Data/library.db"))
                .map(String::as_str),
            library,
            "{state}"
        );
        let tables =
            program.json(&["export", "latest", "--tables", zip.to_str().unwrap(), "--force"]).1;
        assert_eq!(tables, i32::from(state != "10.11.11/data"), "{state}");
    }
}

#[test]
fn a_server_goes_back_to_10_10_over_what_a_later_one_left() {
    let states = servers("cellar-10.10");
    let program = Program::new();
    let server = program.home.path().join("server");
    copy_tree(&states.join("10.10.7/data"), &server);
    program.ok(&["snapshot", server.to_str().unwrap(), "--label", "before"]);
    let library = rows(&server.join("data/library.db"));
    std::fs::remove_dir_all(&server).unwrap();
    copy_tree(&states.join("10.11.11/data"), &server);
    let (report, code) = program.json(&[
        "restore",
        "before",
        "--in-place",
        "--data-dir",
        server.to_str().unwrap(),
        "--delete",
        "--yes",
    ]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(rows(&server.join("data/library.db")), library);
}

#[test]
fn the_answer_says_where_a_dashboard_would_put_pictures_wrongly() {
    let program = Program::new();
    let data = instance(&program);
    let zip = program.home.path().join("zip.zip");
    let said = |args: &[&str]| {
        let (report, code) = program.json(&[args, &[zip.to_str().unwrap(), "--force"]].concat());
        assert_eq!(code, 0, "{report}");
        report["remarks"].to_string()
    };
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let of_12 = said(&["export", "latest", "--exact"]);
    assert!(!of_12.contains("--only metadata"), "{of_12}");
    // The pictures are on another disk.
    let disk = program.home.path().join("pictures");
    std::fs::rename(data.join("metadata"), &disk).unwrap();
    let settings = std::fs::read_to_string(data.join("config/system.xml")).unwrap();
    let (before, after) = settings.split_once("<ServerConfiguration").unwrap();
    let (head, rest) = after.split_once('>').unwrap();
    write(
        data.join("config/system.xml"),
        format!(
            "{before}<ServerConfiguration{head}><MetadataPath>{}</MetadataPath>{}",
            disk.display(),
            rest.replace("<MetadataPath />", "")
        ),
    );
    program.json(&["snapshot", data.to_str().unwrap()]);
    let elsewhere = said(&["export", "latest", "--exact"]);
    assert!(
        elsewhere.contains("Metadata path") && elsewhere.contains("--only metadata"),
        "{elsewhere}"
    );
}

/// A server that goes on with its upgrade as soon as the capture works on files.
struct Upgrading(std::path::PathBuf, std::sync::Once);

impl jellyvault::progress::Progress for Upgrading {
    fn phase(&self, _: jellyvault::progress::Phase, _: u64, _: u64) {}
    fn advance(&self, files: u64, _: u64) {
        if files > 0 {
            self.1.call_once(|| {
                let db = rusqlite::Connection::open(self.0.join("data/jellyfin.db")).unwrap();
                db.execute_batch("INSERT INTO __EFMigrationsHistory VALUES('20241020103111_LibraryDbMigration', '9.0.11'), ('20250420000000_CreateNetworkConfiguration', '10.11.11.0')").unwrap();
                std::fs::write(self.0.join("data/library.db.note"), "what the same step did").unwrap();
            });
        }
    }
    fn problem(&self, _: &jellyvault::progress::Problem) {}
}

#[test]
fn the_databases_of_one_snapshot_are_of_one_state() {
    let program = Program::new();
    let data = of_10_10(&program);
    for n in 0..300 {
        write(data.join(format!("metadata/library/aa/{n}.jpg")), noise(&n.to_string(), 5000));
    }
    let_settle();
    program.ok(&["init"]);
    let repository = jellyvault::store::Repository::open(&program.repo).unwrap();
    let named = jellyvault::source::Named {
        data: Some(data.to_str().unwrap().to_owned()),
        ..Default::default()
    };
    let (_, spec) = jellyvault::ops::find_instance(
        jellyvault::source::Platform::Linux,
        &named,
        &Default::default(),
    )
    .unwrap();
    let server = std::sync::Arc::new(Upgrading(data, std::sync::Once::new()));
    let monitor = jellyvault::progress::Monitor { progress: server.clone(), ..Default::default() };
    let report =
        jellyvault::ops::snapshot(&repository, &spec, &Default::default(), &monitor).unwrap();
    assert!(server.1.is_completed());
    assert!(
        report.record.is_upgrading(),
        "the first database is as old as the others are new: {:?}",
        report.record.problems
    );
}

#[test]
fn what_changed_in_the_library_of_a_server_before_10_11_is_told_by_table() {
    let program = Program::new();
    let data = of_10_10(&program);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    run_sql(
        &data.join("data/library.db"),
        "INSERT INTO UserDatas VALUES('y', 1, 0); UPDATE UserDatas SET played = 0 WHERE key = 'x';",
    );
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let older = program.json(&["list"]).0["snapshots"][0]["id"].as_str().unwrap().to_owned();
    let words = program.ok(&["diff", &older, "latest", "--rows"]);
    let (_, library) =
        words.split_once("Rows of data/library.db:").unwrap_or_else(|| panic!("{words}"));
    assert!(
        library.lines().any(|line| line.split_whitespace().eq(["UserDatas", "1", "0", "1"])),
        "{words}"
    );
    let (document, _) = program.json(&["diff", &older, "latest", "--rows"]);
    assert_eq!(
        document["summary"]["library_rows"]["tables"].as_object().map(serde_json::Map::len),
        Some(1),
        "{}",
        document["summary"]
    );
}
