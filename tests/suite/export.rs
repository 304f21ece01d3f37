//! A zip of a snapshot is what the server itself would have written, but for what its own backup
//! loses; and no server chokes on it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use jellyvault::ops::{
    self, ExportKind, ExportOptions, ExportReport, OsSurroundings, SnapshotOptions,
};
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::source::{Category, Named, Platform};
use jellyvault::store::Repository;

use super::support::{Program, copy_tree, newest, own_fixture, plain_settings, temp, watch};
use super::zip_checker::{violations, violations_of_exact};
use super::zip_tables::{directories, entry, of_10_11_6, open_copy};

pub fn options(kind: ExportKind) -> ExportOptions {
    ExportOptions {
        kind,
        only: Vec::new(),
        target: None,
        zone: jiff::tz::TimeZone::UTC,
        as_server: false,
        force: false,
        threads: 2,
    }
}

/// Captures a Jellyfin data directory into a new repository.
pub fn captured(data: &Path) -> (tempfile::TempDir, Repository) {
    let dir = temp();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    snapshot(&repository, data);
    (dir, repository)
}

/// The same in a repository that is not encrypted.
pub fn captured_plain(data: &Path) -> (tempfile::TempDir, Repository) {
    let dir = temp();
    let repository = Repository::init_folder(&dir.path().join("repo"), &plain_settings()).unwrap();
    snapshot(&repository, data);
    (dir, repository)
}

pub fn snapshot(repository: &Repository, data: &Path) {
    let named = Named { data: Some(data.to_str().unwrap().to_owned()), ..Named::default() };
    let (_, spec) =
        ops::find_instance(Platform::Linux, &named, &OsSurroundings::default()).unwrap();
    let options = SnapshotOptions { host: "test".into(), threads: 2, ..SnapshotOptions::default() };
    ops::snapshot(repository, &spec, &options, &Monitor::default()).unwrap();
}

pub fn export(
    repository: &Repository,
    file: &Path,
    options: &ExportOptions,
) -> Result<ExportReport, ops::Error> {
    ops::export(repository, &newest(repository), file, None, options, &Monitor::default())
}

/// Every entry of a zip with its bytes.
pub fn entries(zip: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    (0..zip.len())
        .map(|at| {
            let mut entry = zip.by_index(at).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// A manifest without its date.
fn undated(manifest: &[u8]) -> String {
    let text = String::from_utf8(manifest.to_vec()).unwrap();
    let (before, after) = text.split_once("\"DateCreated\":\"").unwrap();
    format!("{before}{}", after.split_once('"').unwrap().1)
}

fn as_the_server_chose(zip: &Path) -> Vec<Category> {
    let manifest: serde_json::Value = serde_json::from_slice(&entry(zip, "manifest.json")).unwrap();
    let all = [
        ("Metadata", Category::Metadata),
        ("Trickplay", Category::Trickplay),
        ("Subtitles", Category::Subtitles),
        ("Database", Category::Database),
    ];
    let mut chosen: Vec<Category> = all
        .into_iter()
        .filter(|(name, _)| manifest["Options"][name] == true)
        .map(|(_, category)| category)
        .collect();
    chosen.push(Category::Config);
    chosen
}

#[test]
fn a_zip_is_entry_for_entry_the_servers_own() {
    for (data, server_zip) in directories() {
        let (dir, repository) = captured(&data);
        let file = dir.path().join("own.zip");
        let chosen = ExportOptions {
            as_server: true,
            only: as_the_server_chose(&server_zip),
            ..options(ExportKind::Tables)
        };
        let report = export(&repository, &file, &chosen).unwrap();
        assert_eq!((report.repairs.count, report.problems.len()), (0, 0));
        let (own, server) = (entries(&file), entries(&server_zip));
        assert_eq!(
            own.keys().collect::<Vec<_>>(),
            server.keys().collect::<Vec<_>>(),
            "{}",
            server_zip.display()
        );
        for (name, bytes) in &server {
            if name == "manifest.json" {
                assert_eq!(undated(&own[name]), undated(bytes));
            } else {
                assert!(own[name] == *bytes, "{}: {name}", server_zip.display());
            }
        }
        assert_eq!(violations(&file), Vec::<String>::new());
    }
}

#[test]
fn what_the_servers_own_zip_loses_is_kept_and_nothing_else_differs() {
    for (data, _) in directories() {
        let (dir, repository) = captured(&data);
        let (plain, kept) = (dir.path().join("plain.zip"), dir.path().join("kept.zip"));
        export(
            &repository,
            &plain,
            &ExportOptions { as_server: true, ..options(ExportKind::Tables) },
        )
        .unwrap();
        let report = export(&repository, &kept, &options(ExportKind::Tables)).unwrap();
        assert!(
            report.missing.iter().any(|missing| missing.contains("home sections")),
            "{:?}",
            report.missing
        );
        assert!(
            !report.missing.iter().any(|missing| missing.contains(".db")),
            "{:?}",
            report.missing
        );
        let (plain, found) = (entries(&plain), entries(&kept));
        for (name, bytes) in &found {
            match plain.get(name) {
                Some(expected)
                    if name != "Database/Users.json" && name != "Database/ImageInfos.json" =>
                {
                    assert!(expected == bytes, "{name}")
                }
                Some(_) => {}
                None => {
                    let is_kept = name == "Data/device.txt"
                        || name.starts_with("Data/attachments/")
                        || name.starts_with("Data/splashscreen");
                    assert!(is_kept, "{name}");
                    let file = data.join("data").join(name.strip_prefix("Data/").unwrap());
                    assert!(std::fs::read(file).unwrap() == *bytes, "{name}");
                }
            }
        }
        assert_eq!(plain.keys().filter(|name| !found.contains_key(*name)).count(), 0);
        // Every avatar of the server's table stands in its user, word for word.
        let avatars: Vec<serde_json::Value> =
            serde_json::from_slice(&plain["Database/ImageInfos.json"]).unwrap();
        let mut users: Vec<serde_json::Value> =
            serde_json::from_slice(&plain["Database/Users.json"]).unwrap();
        assert!(!avatars.is_empty());
        for avatar in &avatars {
            let user = users.iter_mut().find(|user| user["Id"] == avatar["UserId"]).unwrap();
            user["ProfileImage"] =
                serde_json::json!({"Path": avatar["Path"], "LastModified": avatar["LastModified"]});
        }
        assert_eq!(
            serde_json::from_slice::<Vec<serde_json::Value>>(&found["Database/Users.json"])
                .unwrap(),
            users
        );
        assert_eq!(found["Database/ImageInfos.json"], b"[]");
        assert_eq!(violations(&kept), Vec::<String>::new());
    }
}

#[test]
fn an_exact_zip_holds_the_database_page_for_page() {
    let (dir, repository) = captured(&own_fixture());
    let file = dir.path().join("exact.zip");
    let report = export(&repository, &file, &options(ExportKind::Exact)).unwrap();
    assert!(report.versions.ends_with("or newer"));
    let found = entries(&file);
    let snapshot = newest(&repository);
    let mut database = Vec::new();
    ops::cat(&repository, &snapshot, b"data/jellyfin.db", &mut database).unwrap();
    assert!(found["Data/jellyfin.db"] == database);
    assert!(!found.keys().any(|name| name.starts_with("Database/")));
    assert_eq!(violations_of_exact(&file), Vec::<String>::new());
}

#[test]
fn a_snapshot_always_gives_the_same_zip() {
    let (dir, repository) = captured(&own_fixture());
    for kind in [ExportKind::Tables, ExportKind::Exact] {
        let file = |threads: usize| {
            let file = dir.path().join(format!("{}-{threads}.zip", kind.word()));
            export(&repository, &file, &ExportOptions { threads, ..options(kind) }).unwrap();
            std::fs::read(file).unwrap()
        };
        assert!(file(1) == file(2) && file(1 + 4) == file(3), "{kind:?}");
    }
}

#[test]
fn pictures_are_stored_and_texts_deflated() {
    let (dir, repository) = captured(&own_fixture());
    let file = dir.path().join("a.zip");
    export(&repository, &file, &options(ExportKind::Tables)).unwrap();
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&file).unwrap()).unwrap();
    let (mut stored, mut deflated) = (0, 0);
    for at in 0..zip.len() {
        let entry = zip.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        assert_eq!(
            (entry.extra_data().unwrap_or_default().len(), entry.unix_mode().unwrap() & 0o600),
            (0, 0o600),
            "{name}"
        );
        if name.ends_with(".jpg") || name.ends_with(".png") || name.ends_with(".webp") {
            stored += 1;
            assert_eq!(
                (entry.compression(), entry.size()),
                (zip::CompressionMethod::Stored, entry.compressed_size()),
                "{name}"
            );
        } else if entry.size() > 500 && (name.ends_with(".xml") || name.ends_with(".json")) {
            deflated += 1;
            assert_eq!(entry.compression(), zip::CompressionMethod::Deflated, "{name}");
        }
    }
    assert!(stored > 5 && deflated > 10, "{stored} {deflated}");
}

#[test]
fn other_programs_read_every_zip_without_a_warning() {
    let (dir, repository) = captured(&own_fixture());
    for kind in [ExportKind::Tables, ExportKind::Exact] {
        let file = dir.path().join(format!("{}.zip", kind.word()));
        export(&repository, &file, &options(kind)).unwrap();
        let python = "import sys,warnings,zipfile; warnings.simplefilter('error'); z=zipfile.ZipFile(sys.argv[1]); sys.exit(z.testzip() is not None)";
        let file = file.to_str().unwrap();
        let readers: [(&str, Vec<&str>); 4] = [
            ("unzip", vec!["-tqq", file]),
            ("python3", vec!["-c", python, file]),
            ("7z", vec!["t", file]),
            ("bsdtar", vec!["-xOf", file]),
        ];
        for (program, args) in readers {
            // The readers that this machine has; the zip crate, which is no other program, always
            // reads it.
            let Ok(output) = std::process::Command::new(program).args(&args).output() else {
                continue;
            };
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && said.is_empty(), "{program}: {said}");
        }
        assert!(!entries(Path::new(file)).is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_read_back_is_named_and_the_others_are_there() {
    // Not sealed, whatever the run is: the poster's bytes are looked for in its packs.
    let (dir, repository) = captured_plain(&own_fixture());
    let whole = dir.path().join("whole.zip");
    export(&repository, &whole, &options(ExportKind::Tables)).unwrap();
    // One bit of one poster, where it lies in its pack as it is.
    let all = entries(&whole);
    let (poster, bytes) = all
        .iter()
        .find(|(name, bytes)| name.starts_with("Data/metadata/") && bytes.len() > 500)
        .unwrap();
    let logical = poster.replacen("Data/", "", 1);
    let packs = walkdir::WalkDir::new(dir.path().join("repo/packs"))
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file());
    let mut flipped = 0;
    for pack in packs {
        let mut stored = std::fs::read(pack.path()).unwrap();
        if let Some(at) = stored.windows(200).position(|window| window == &bytes[100..300]) {
            stored[at + 50] ^= 1;
            std::fs::set_permissions(
                pack.path(),
                std::os::unix::fs::PermissionsExt::from_mode(0o600),
            )
            .unwrap();
            std::fs::write(pack.path(), stored).unwrap();
            flipped += 1;
        }
    }
    assert_eq!(flipped, 1);
    let file = dir.path().join("b.zip");
    let report = export(&repository, &file, &options(ExportKind::Tables)).unwrap();
    assert!(report.problems.iter().any(|problem| problem.path == logical), "{:?}", report.problems);
    let left = entries(&file);
    assert_eq!(all.len(), left.len() + report.problems.len());
    assert!(!left.contains_key(poster));
}

#[test]
fn nothing_half_done_is_left_and_nothing_is_replaced_unasked() {
    let (dir, repository) = captured(&own_fixture());
    let folder = dir.path().join("zips");
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("a.zip");
    std::fs::write(&file, b"precious").unwrap();
    assert!(matches!(
        export(&repository, &file, &options(ExportKind::Tables)),
        Err(ops::Error::Refused { .. })
    ));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    let interrupt = Interrupt::default();
    interrupt.raise();
    let stopped = ops::export(
        &repository,
        &newest(&repository),
        &folder.join("b.zip"),
        None,
        &options(ExportKind::Tables),
        &watch(&interrupt),
    );
    assert!(matches!(stopped, Err(ops::Error::Interrupted)));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    export(&repository, &file, &ExportOptions { force: true, ..options(ExportKind::Tables) })
        .unwrap();
    assert_eq!(violations(&file), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn an_unknown_schema_is_refused_by_name_with_the_other_ways_back() {
    let dir = temp();
    let data = dir.path().join("data");
    copy_tree(&own_fixture(), &data);
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute(
        "INSERT INTO __EFMigrationsHistory VALUES ('20290101000000_FromTheFuture', '12.0.1')",
        [],
    )
    .unwrap();
    db.close().unwrap();
    let (_repo, repository) = captured(&data);
    let error =
        export(&repository, &dir.path().join("a.zip"), &options(ExportKind::Tables)).unwrap_err();
    let ops::Error::Refused { what, hint } = error else { panic!("{error}") };
    assert!(
        what.contains("20290101000000_FromTheFuture") && what.contains("10.11.10 and 10.11.11"),
        "{what}"
    );
    assert!(hint.contains("--exact") && hint.contains("--in-place"), "{hint}");
    export(&repository, &dir.path().join("a.zip"), &options(ExportKind::Exact)).unwrap();
}

#[test]
fn tables_of_10_11_6_are_retargeted_to_10_11_11_and_to_nothing_else() {
    let (data, _) = of_10_11_6();
    let (dir, repository) = captured(&data);
    let file = dir.path().join("a.zip");
    for target in ["12.0", "10.10.7", "latest", "10.11.12"] {
        let refused = export(
            &repository,
            &file,
            &ExportOptions { target: Some(target.to_owned()), ..options(ExportKind::Tables) },
        );
        assert!(
            matches!(&refused, Err(ops::Error::Refused { hint, .. }) if hint.contains("--exact")),
            "{target}: {refused:?}"
        );
    }
    export(
        &repository,
        &file,
        &ExportOptions { target: Some("10.11.11".to_owned()), ..options(ExportKind::Tables) },
    )
    .unwrap();
    assert_eq!(violations(&file), Vec::<String>::new());
    let history: Vec<serde_json::Value> =
        serde_json::from_slice(&entry(&file, "Database/HistoryRow.json")).unwrap();
    for id in
        ["20260522092303_AddNormalizedUsername", "20260524120336_AddUniqueNormalizedUsernameIndex"]
    {
        assert_eq!(history.iter().filter(|row| row["MigrationId"] == id).count(), 1);
    }
    // Two users that 10.11.11 would take for one.
    let copy = dir.path().join("data");
    copy_tree(&data, &copy);
    let (_copy, db) = open_copy(&copy.join("data/jellyfin.db"));
    db.execute_batch("UPDATE Users SET Username = 'ANA' WHERE Username = 'root'; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::copy(db.path().unwrap(), copy.join("data/jellyfin.db")).unwrap();
    for log in ["-wal", "-shm"] {
        let _gone = std::fs::remove_file(copy.join(format!("data/jellyfin.db{log}")));
    }
    let (_other, repository) = captured(&copy);
    let refused = export(
        &repository,
        &dir.path().join("b.zip"),
        &ExportOptions { target: Some("10.11.11".to_owned()), ..options(ExportKind::Tables) },
    );
    assert!(
        matches!(&refused, Err(ops::Error::Refused { what, .. }) if what.contains("ANA") && what.contains("Ana")),
        "{refused:?}"
    );
}

#[test]
fn the_dashboards_folder_takes_only_what_fits_its_server() {
    let program = Program::new();
    let home = program.home.path();
    let data = home.join("config");
    copy_tree(&own_fixture(), &data);
    let data = data.to_str().unwrap();
    program.ok(&["snapshot", data]);
    let (document, code) = program.json(&["export", "latest", "--to-jellyfin", "--data-dir", data]);
    assert_eq!(code, 0, "{document}");
    let path = PathBuf::from(document["archive"]["path"].as_str().unwrap());
    assert_eq!(path.parent().unwrap(), Path::new(data).join("data/backups"));
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(
        name.starts_with("jellyfin-backup-")
            && name.len() == "jellyfin-backup-20261124101500.zip".len(),
        "{name}"
    );
    assert_eq!(violations(&path), Vec::<String>::new());
    assert!(document["archive"]["fits"]["versions"].as_str().unwrap().contains('.'));
    // A server with another schema, and one elsewhere.
    let db = rusqlite::Connection::open(Path::new(data).join("data/jellyfin.db")).unwrap();
    db.execute(
        "DELETE FROM __EFMigrationsHistory WHERE MigrationId = (SELECT max(MigrationId) FROM __EFMigrationsHistory WHERE ProductVersion NOT LIKE '%.%.%.%')",
        [],
    )
    .unwrap();
    db.close().unwrap();
    std::fs::remove_file(&path).unwrap();
    for kind in ["--tables", "--exact"] {
        let (document, code) =
            program.json(&["export", "latest", kind, "--to-jellyfin", "--data-dir", data]);
        assert_eq!((code, document["error"]["kind"].as_str()), (1, Some("refused")), "{document}");
        assert!(document["error"]["message"].as_str().unwrap().contains("schema"), "{document}");
    }
    let other = home.join("elsewhere");
    copy_tree(&own_fixture(), &other);
    let db = rusqlite::Connection::open(other.join("data/jellyfin.db")).unwrap();
    db.execute_batch(
        "UPDATE ImageInfos SET Path = replace(Path, '/config/config', '/etc/jellyfin')",
    )
    .unwrap();
    db.close().unwrap();
    let (document, code) =
        program.json(&["export", "latest", "--to-jellyfin", "--data-dir", other.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(document["error"]["message"].as_str().unwrap().contains("/etc/jellyfin"), "{document}");
}

/// The small fixture with its database changed.
fn with_database(dir: &Path, sql: &str) -> PathBuf {
    let data = dir.join("config");
    copy_tree(&own_fixture(), &data);
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch(sql).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.close().unwrap();
    data
}

#[test]
fn an_exact_zip_is_refused_where_the_server_keeps_its_database_elsewhere() {
    let dir = temp();
    let data = with_database(dir.path(), "");
    let xml = "<DatabaseConfigurationOptions><DatabaseType>Jellyfin-SQLite</DatabaseType><CustomProviderOptions><Options><CustomDatabaseOption><Key>path</Key>\
               <Value>/fast/jellyfin.db</Value></CustomDatabaseOption></Options></CustomProviderOptions></DatabaseConfigurationOptions>";
    std::fs::write(data.join("config/database.xml"), xml).unwrap();
    let (_repo, repository) = captured(&own_fixture());
    let settings = temp();
    let elsewhere = Repository::init(&settings.path().join("repo")).unwrap();
    // Where the file is not there, the database is taken from its usual place; what the settings
    // say counts all the same.
    snapshot(&elsewhere, &data);
    let file = dir.path().join("a.zip");
    let refused = export(&elsewhere, &file, &options(ExportKind::Exact));
    assert!(
        matches!(&refused, Err(ops::Error::Refused { what, hint }) if what.contains("/fast/jellyfin.db") && hint.contains("--tables")),
        "{refused:?}"
    );
    export(&repository, &file, &options(ExportKind::Exact)).unwrap();
}

#[test]
fn a_link_to_a_file_of_the_snapshot_is_what_it_leads_to_and_another_is_named() {
    let dir = temp();
    let data = with_database(dir.path(), "");
    std::fs::rename(data.join("config/branding.xml"), data.join("config/users/real.xml")).unwrap();
    std::os::unix::fs::symlink("users/real.xml", data.join("config/branding.xml")).unwrap();
    std::os::unix::fs::symlink("/etc/hosts", data.join("config/network2.xml")).unwrap();
    std::fs::write(data.join("config/notes.txt"), "mine").unwrap();
    let (_repo, repository) = captured(&data);
    let file = dir.path().join("a.zip");
    let report = export(&repository, &file, &options(ExportKind::Tables)).unwrap();
    let found = entries(&file);
    assert!(found["Config/branding.xml"] == found["Config/users/real.xml"]);
    assert_eq!(
        report.problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(),
        ["config/network2.xml"]
    );
    assert!(
        report.missing.iter().any(|missing| missing.contains("config/notes.txt")),
        "{:?}",
        report.missing
    );
}

#[test]
fn what_a_zip_fits_begins_with_the_version_that_its_manifest_names() {
    for (data, zip) in directories() {
        let manifest: serde_json::Value =
            serde_json::from_slice(&entry(&zip, "manifest.json")).unwrap();
        let version = manifest["ServerVersion"].as_str().unwrap();
        let (dir, repository) = captured(&data);
        let report =
            export(&repository, &dir.path().join("a.zip"), &options(ExportKind::Tables)).unwrap();
        let expected = match version {
            "10.11.6.0" => "10.11.6 to 10.11.9",
            "10.11.11.0" => "10.11.11",
            _ => "12.0-rc5",
        };
        assert_eq!(report.versions, expected);
        if version == "10.11.6.0" {
            let older = export(
                &repository,
                &dir.path().join("b.zip"),
                &ExportOptions { target: Some("10.11.3".into()), ..options(ExportKind::Tables) },
            );
            assert!(
                matches!(&older, Err(ops::Error::Refused { what, .. }) if what.contains("older")),
                "{older:?}"
            );
        }
    }
}

/// Stops the work once the first entry of a zip was read back.
struct StopInReadBack {
    interrupt: Interrupt,
    is_read_back: AtomicBool,
}

impl jellyvault::progress::Progress for StopInReadBack {
    fn phase(&self, phase: jellyvault::progress::Phase, _: u64, _: u64) {
        self.is_read_back.store(phase == jellyvault::progress::Phase::ReadBack, Ordering::Relaxed);
    }
    fn advance(&self, _: u64, _: u64) {
        if self.is_read_back.load(Ordering::Relaxed) {
            self.interrupt.raise();
        }
    }
    fn problem(&self, _: &jellyvault::progress::Problem) {}
}

#[test]
fn a_zip_that_was_not_read_back_whole_is_not_there() {
    let (dir, repository) = captured(&own_fixture());
    let folder = dir.path().join("zips");
    std::fs::create_dir(&folder).unwrap();
    let interrupt = Interrupt::default();
    let progress =
        StopInReadBack { interrupt: interrupt.clone(), is_read_back: AtomicBool::new(false) };
    let monitor = Monitor { progress: std::sync::Arc::new(progress), interrupt };
    let stopped = ops::export(
        &repository,
        &newest(&repository),
        &folder.join("a.zip"),
        None,
        &options(ExportKind::Tables),
        &monitor,
    );
    assert!(matches!(stopped, Err(ops::Error::Interrupted)), "{stopped:?}");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn a_killed_export_leaves_nothing() {
    let program = Program::new();
    program.ok(&["snapshot", own_fixture().to_str().unwrap()]);
    let folder = program.home.path().join("zips");
    std::fs::create_dir(&folder).unwrap();
    for wait_ms in [1, 5, 10, 20, 40] {
        let mut child = program
            .command(&["export", "latest", folder.join("a.zip").to_str().unwrap(), "--force"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name != "a.zip")
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
    program.ok(&["export", "latest", folder.join("a.zip").to_str().unwrap(), "--force"]);
    assert_eq!(violations(&folder.join("a.zip")), Vec::<String>::new());
}

#[test]
fn a_zip_without_the_database_is_held_against_the_server_too() {
    let program = Program::new();
    let home = program.home.path();
    let data = with_database(home, "");
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let other = home.join("other");
    std::fs::create_dir(&other).unwrap();
    let other = with_database(
        &other,
        "UPDATE ImageInfos SET Path = replace(Path, '/config/config', '/etc/jellyfin')",
    );
    let (document, code) = program.json(&[
        "export",
        "latest",
        "--only",
        "metadata",
        "--to-jellyfin",
        "--data-dir",
        other.to_str().unwrap(),
    ]);
    assert_eq!((code, document["error"]["kind"].as_str()), (1, Some("refused")), "{document}");
    // The same name twice in one second of the snapshot: the next that is free.
    for _ in 0..2 {
        let (document, code) = program.json(&[
            "export",
            "latest",
            "--to-jellyfin",
            "--data-dir",
            data.to_str().unwrap(),
        ]);
        assert_eq!(code, 0, "{document}");
    }
    assert_eq!(std::fs::read_dir(data.join("data/backups")).unwrap().count(), 2);
}
