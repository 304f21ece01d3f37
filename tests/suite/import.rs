//! A zip of a server becomes a snapshot like any other, and no zip does harm.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use jellyvault::manifest::Catalog;
use jellyvault::ops::{self, ExportKind, ImportOptions, ImportReport};
use jellyvault::progress::Monitor;
use jellyvault::store::Repository;
use rusqlite::Connection;
use zip::write::SimpleFileOptions;

use super::export::{captured, entries, export, options, snapshot};
use super::support::{Program, copy_tree, newest, noise, own_fixture, restore_to, rows, temp};
use super::zip_checker::{violations, violations_of_exact};
use super::zip_tables::{directories, of_10_11_6, pairs};

pub fn import_options() -> ImportOptions {
    ImportOptions {
        label: None,
        note: None,
        zone: jiff::tz::TimeZone::UTC,
        force: false,
        threads: 2,
    }
}

pub fn import(repository: &Repository, zip: &Path) -> Result<ImportReport, ops::Error> {
    ops::import(repository, zip, &import_options(), &Monitor::default())
}

fn empty() -> (tempfile::TempDir, Repository) {
    let dir = temp();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    (dir, repository)
}

fn packs_bytes(dir: &Path) -> u64 {
    walkdir::WalkDir::new(dir.join("repo/packs"))
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|m| m.len())
        .sum()
}

fn without_what_no_zip_holds(rows: Vec<String>) -> Vec<String> {
    rows.into_iter()
        .filter(|row| !row.starts_with("HomeSection:") && !row.starts_with("sqlite_"))
        .collect()
}

#[test]
fn a_servers_zip_comes_in_dated_as_it_says_and_goes_out_the_same() {
    for (database, zip) in pairs() {
        let (dir, repository) = empty();
        let report = import(&repository, &zip).unwrap();
        assert_eq!(
            (report.record.problem_count, report.was_there),
            (0, false),
            "{:?}",
            report.record.problems
        );
        let theirs = entries(&zip);
        let manifest: serde_json::Value = serde_json::from_slice(&theirs["manifest.json"]).unwrap();
        let created: jiff::Timestamp = manifest["DateCreated"].as_str().unwrap().parse().unwrap();
        assert_eq!(i128::from(report.record.time_ns), created.as_nanosecond());
        assert!(report.id.to_string().starts_with(&format!("{:012x}", created.as_millisecond())));
        let version = report.record.server.version.as_ref().unwrap();
        assert!(
            version.exact
                && manifest["ServerVersion"].as_str().unwrap().starts_with(&version.value)
        );
        // In and out again: every entry, byte for byte.
        let back = dir.path().join("back.zip");
        export(
            &repository,
            &back,
            &jellyvault::ops::ExportOptions { as_server: true, ..options(ExportKind::Tables) },
        )
        .unwrap();
        let ours = entries(&back);
        for (name, bytes) in theirs.iter().filter(|(name, _)| *name != "manifest.json") {
            assert!(ours.get(name) == Some(bytes), "{}: {name}", zip.display());
        }
        assert_eq!(ours.len(), theirs.len());
        // And the database is the server's own, row for row.
        let target = dir.path().join("restored");
        restore_to(&repository, &newest(&repository), &target).unwrap();
        let built = without_what_no_zip_holds(rows(&target.join("data/jellyfin.db")));
        assert!(built == without_what_no_zip_holds(rows(&database)), "{}", zip.display());
        for kind in [ExportKind::Tables, ExportKind::Exact] {
            let file = dir.path().join(format!("{}.zip", kind.word()));
            export(&repository, &file, &options(kind)).unwrap();
            let wrong = if kind == ExportKind::Tables {
                violations(&file)
            } else {
                violations_of_exact(&file)
            };
            assert_eq!(wrong, Vec::<String>::new());
        }
    }
}

#[test]
fn our_own_zips_come_in_again_with_all_that_they_keep() {
    let (dir, repository) = captured(&own_fixture());
    let native = newest(&repository);
    for kind in [ExportKind::Tables, ExportKind::Exact] {
        let file = dir.path().join(format!("{}.zip", kind.word()));
        ops::export(&repository, &native, &file, None, &options(kind), &Monitor::default())
            .unwrap();
        let report = import(&repository, &file).unwrap();
        assert_eq!(report.record.problem_count, 0, "{:?}", report.record.problems);
        // .NET counts in steps of 100 ns.
        assert_eq!(report.record.time_ns / 100, native.1.time_ns / 100);
        let read = |snapshot: &_, path: &[u8]| {
            let mut bytes = Vec::new();
            ops::cat(&repository, snapshot, path, &mut bytes)
                .map(|_| bytes)
                .map_err(|error| error.to_string())
        };
        let imported = (report.id, report.record);
        assert_eq!(read(&imported, b"data/device.txt"), read(&native, b"data/device.txt"));
        assert_eq!(imported.1.server.id, native.1.server.id);
        let database = |snapshot: &_| {
            let path = dir.path().join("db");
            std::fs::write(&path, read(snapshot, b"data/jellyfin.db").unwrap()).unwrap();
            without_what_no_zip_holds(rows(&path))
                .into_iter()
                .filter(|row| !row.starts_with("ImageInfos:"))
                .collect::<Vec<_>>()
        };
        assert!(database(&imported) == database(&native));
        if kind == ExportKind::Exact {
            assert!(read(&imported, b"data/jellyfin.db") == read(&native, b"data/jellyfin.db"));
        }
        assert!(import(&repository, &file).unwrap().was_there);
    }
}

#[test]
fn a_file_in_a_zip_and_in_a_native_snapshot_is_stored_once() {
    let (data, zip) = directories().swap_remove(0);
    let (dir, repository) = captured(&data);
    let before = packs_bytes(dir.path());
    let report = import(&repository, &zip).unwrap();
    // What is new are manifests and what the built database has of its own: the native one's pages
    // are its neighbour's.
    let added = packs_bytes(dir.path()) - before;
    assert!(added < 80_000, "{added} of {before}");
    assert_eq!(report.record.problem_count, 0);
}

#[test]
fn the_pages_of_an_exact_zip_are_those_of_the_nearest_snapshot() {
    let dir = temp();
    let data = dir.path().join("config");
    copy_tree(&own_fixture(), &data);
    // A zip knows no holes: a file that has some is stored once more without them.
    std::fs::remove_dir_all(data.join("data/trickplay")).unwrap();
    let (source, repository) = captured(&data);
    let file = dir.path().join("a.zip");
    export(&repository, &file, &options(ExportKind::Exact)).unwrap();
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch("UPDATE UserData SET PlayCount = PlayCount + 1 WHERE rowid = 1; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    db.close().unwrap();
    drop((source, repository));
    // The repository knows the next day only.
    let (dir, repository) = captured(&data);
    let before = packs_bytes(dir.path());
    import(&repository, &file).unwrap();
    let added = packs_bytes(dir.path()) - before;
    assert!(added < 40_000, "{added} of {before}");
}

#[test]
fn an_imported_snapshot_is_restored_in_place_for_the_owner_of_the_directories() {
    let program = Program::new();
    let data = program.home.path().join("config");
    copy_tree(&own_fixture(), &data);
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let zip = program.home.path().join("a.zip");
    program.ok(&["export", "latest", zip.to_str().unwrap()]);
    let (document, code) =
        program.json(&["import", zip.to_str().unwrap(), "--force", "--label", "from zip"]);
    assert_eq!(
        (code, document["snapshots"][0]["label"].as_str()),
        (0, Some("from zip")),
        "{document}"
    );
    assert!(document["snapshots"][0]["remarks"][0].as_str().unwrap().contains("home sections"));
    let listed = program.ok(&["list"]);
    assert!(listed.contains("from zip"), "{listed}");
    if rustix::process::geteuid().is_root() {
        for entry in walkdir::WalkDir::new(&data) {
            std::os::unix::fs::lchown(entry.unwrap().path(), Some(12_345), Some(12_346)).unwrap();
        }
    }
    std::fs::remove_file(data.join("config/system.xml")).unwrap();
    std::fs::remove_dir_all(data.join("metadata/People")).unwrap();
    let (document, code) =
        program.json(&["restore", "from zip", "--in-place", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, 0, "{document}");
    let restored = std::fs::metadata(data.join("config/system.xml")).unwrap();
    if rustix::process::geteuid().is_root() {
        assert_eq!(
            (
                std::os::unix::fs::MetadataExt::uid(&restored),
                std::os::unix::fs::MetadataExt::gid(&restored)
            ),
            (12_345, 12_346)
        );
    }
    assert!(std::fs::read_dir(data.join("metadata/People")).unwrap().count() > 3);
}

#[test]
fn twenty_zips_a_day_apart_cost_the_first_and_their_changes() {
    let dir = temp();
    let data = dir.path().join("data");
    copy_tree(&own_fixture(), &data);
    let (source_dir, source) = captured(&data);
    let mut zips: Vec<PathBuf> = Vec::new();
    for day in 0..20 {
        if day > 0 {
            let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
            db.execute_batch(&format!(
                "UPDATE UserData SET PlayCount = PlayCount + 1, LastPlayedDate = '2026-11-{:02} 20:00:00' WHERE rowid % 7 = {day} % 7;
                 INSERT INTO ActivityLogs (Name, Type, UserId, DateCreated, LogSeverity, RowVersion) SELECT 'day {day}', 'Playback', Id, '2026-11-{:02} 20:00:00', 2, 0 FROM Users LIMIT 2;
                 UPDATE BaseItems SET DateLastSaved = '2026-11-{:02} 03:00:00' WHERE rowid % 20 = {day}",
                day + 1,
                day + 1,
                day + 1
            ))
            .unwrap();
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            db.close().unwrap();
            let poster = data.join(format!("metadata/library/aa/{day:032}/poster.jpg"));
            super::support::write(
                &poster,
                [b"\xff\xd8\xff\xe0".as_slice(), &noise(&format!("poster {day}"), 30_000)].concat(),
            );
            snapshot(&source, &data);
        }
        let zip = dir.path().join(format!("{day:02}.zip"));
        export(&source, &zip, &options(ExportKind::Tables)).unwrap();
        zips.push(zip);
    }
    drop(source_dir);
    let (repo, repository) = empty();
    import(&repository, &zips[0]).unwrap();
    let first = packs_bytes(repo.path());
    for zip in &zips[1..] {
        assert_eq!(import(&repository, zip).unwrap().record.problem_count, 0);
    }
    let all = packs_bytes(repo.path());
    let posters = 19 * 30_004;
    let zipped: u64 = zips.iter().map(|zip| std::fs::metadata(zip).unwrap().len()).sum();
    // Each day's rows stand on some pages; a page compresses to about a kilobyte.
    assert!(
        all < first + posters + 19 * 40_000,
        "first {first}, all {all}, posters {posters}, zips {zipped}"
    );
    assert!(all * 5 < zipped);
}

/// A small backup as a zip, from pieces that a test may change.
pub fn backup(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) -> Vec<u8> {
    let mut files = entries(&pairs()[0].1);
    files.retain(|name, _| {
        name.starts_with("Database/")
            || name == "manifest.json"
            || name.starts_with("Config/system")
            || name.starts_with("Root/")
    });
    change(&mut files);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(
            name,
            SimpleFileOptions::DEFAULT.compression_method(zip::CompressionMethod::Deflated),
        )
        .unwrap();
        zip.write_all(&bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn refused(what: &str, bytes: &[u8]) -> String {
    let (dir, repository) = empty();
    let file = dir.path().join("a.zip");
    std::fs::write(&file, bytes).unwrap();
    let error = import(&repository, &file).err().unwrap_or_else(|| panic!("{what} was imported"));
    assert!(Catalog::load(&repository).unwrap().snapshots.is_empty(), "{what}");
    let mut text = error.to_string();
    let mut next: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    assert!(text.contains("a.zip"), "{what}: {text}");
    text
}

/// Replaces bytes of a zip, wherever they stand.
fn replaced(zip: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut zip = zip.to_vec();
    let found: Vec<usize> =
        zip.windows(from.len()).enumerate().filter(|(_, w)| *w == from).map(|(at, _)| at).collect();
    assert!(!found.is_empty());
    for at in found {
        zip[at..at + from.len()].copy_from_slice(to);
    }
    zip
}

#[test]
fn a_hostile_zip_is_refused_with_a_clear_word_and_nothing_is_stored() {
    let named = |name: &str| backup(|files| drop(files.insert(name.to_owned(), b"x".to_vec())));
    let good = backup(|_| {});
    let directory = |zip: &[u8]| zip.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    let mut cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a name that leads up", named("Data/../../etc/passwd"), "leads out"),
        ("a name that leads up on Windows", named("Data/..\\..\\x"), "leads out"),
        (
            "an absolute name",
            replaced(&named("Data/evilevil"), b"Data/evilevil", b"/etc/passwd12"),
            "absolute",
        ),
        (
            "a drive",
            replaced(&named("Data/evilevil"), b"Data/evilevil", b"C:\\evil\\windo"),
            "absolute",
        ),
        ("a name with an empty part", named("Data//x"), "simplest form"),
        (
            "the same name twice",
            replaced(&named("Config/syster.xml"), b"Config/syster.xml", b"Config/system.xml"),
            "same name",
        ),
        ("a file that is a directory", named("Config/system.xml/x"), "file and a directory"),
        ("no zip at all", b"this is not a zip".to_vec(), "not a zip"),
        ("nothing", Vec::new(), "not a zip"),
        ("half a zip", good[..good.len() / 2].to_vec(), "not a zip"),
        ("a zip without its end", good[..good.len() - 3].to_vec(), "not a zip"),
        (
            "no manifest",
            backup(|files| drop(files.remove("manifest.json"))),
            "does not contain manifest.json",
        ),
        (
            "another engine",
            backup(|files| {
                drop(
                    files.insert(
                        "manifest.json".into(),
                        String::from_utf8(files["manifest.json"].clone())
                            .unwrap()
                            .replace("0.2.0", "0.1.0")
                            .into_bytes(),
                    ),
                )
            }),
            "version 0.1.0",
        ),
        (
            "a manifest without its date",
            backup(|files| {
                drop(files.insert(
                    "manifest.json".into(),
                    b"{\"ServerVersion\":\"10.11.0.0\",\"BackupEngineVersion\":\"0.2.0\",\"DatabaseTables\":[],\"Options\":{}}".to_vec(),
                ))
            }),
            "DateCreated",
        ),
        (
            "a table that is no JSON",
            backup(|files| {
                drop(files.insert("Database/Peoples.json".into(), b"[{\"Id\":".to_vec()))
            }),
            "Peoples.json",
        ),
        (
            "a history that is no JSON",
            backup(|files| {
                drop(files.insert("Database/HistoryRow.json".into(), b"nonsense".to_vec()))
            }),
            "HistoryRow",
        ),
    ];
    let link = {
        let mut zip = zip::ZipWriter::new_append(Cursor::new(good.clone())).unwrap();
        zip.add_symlink("Data/link", "/etc/passwd", SimpleFileOptions::DEFAULT).unwrap();
        zip.finish().unwrap().into_inner()
    };
    cases.push(("a symbolic link", link, "a link or a device"));
    let mut encrypted = good.clone();
    let at = directory(&good);
    encrypted[at + 8] |= 1;
    cases.push(("encryption", encrypted, "encrypted"));
    let mut method = good.clone();
    method[at + 10] = 12;
    cases.push(("another compression", method, "does not know"));
    let mut longer = good.clone();
    longer[at + 24] ^= 1;
    cases.push(("a length that is told in two ways", longer.clone(), "in two ways"));
    longer[22] ^= 1;
    cases.push(("a length that lies", longer, "than it says"));
    let mut sum = good.clone();
    sum[at + 16] ^= 1;
    sum[14] ^= 1;
    cases.push(("a checksum that lies", sum, "checksum"));
    let mut huge = good.clone();
    huge[at + 27] = 0x70;
    cases.push(("a length that cannot be", huge, "cannot be what it says"));
    let mut split = good.clone();
    let end = split.len() - 22;
    split[end + 4] = 1;
    cases.push(("one of several disks", split, "several pieces"));
    let mut count = good.clone();
    count[end + 8] -= 1;
    count[end + 10] -= 1;
    cases.push(("fewer entries than there are", count, "entries instead of"));
    let second = at
        + 46
        + usize::from(good[at + 28])
        + usize::from(good[at + 30])
        + usize::from(good[at + 32]);
    let mut overlap = good.clone();
    overlap.copy_within(at + 42..at + 46, second + 42);
    cases.push(("entries that share bytes", overlap, "two names"));
    for (what, bytes, word) in cases {
        let text = refused(what, &bytes);
        assert!(text.contains(word), "{what}: {text}");
    }
    let bomb = {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let deflated = SimpleFileOptions::DEFAULT
            .compression_method(zip::CompressionMethod::Deflated)
            .large_file(true);
        let zeros = vec![0; 1 << 20];
        for number in 0..5 {
            zip.start_file(format!("Data/{number}"), deflated).unwrap();
            (0..1024).for_each(|_| zip.write_all(&zeros).unwrap());
        }
        zip.finish().unwrap().into_inner()
    };
    assert!(refused("a bomb", &bomb).contains("two hundred times"));
}

#[test]
fn any_bit_of_a_zip_may_be_wrong_and_nothing_bad_comes_of_it() {
    let good = backup(|files| {
        files.retain(|name, _| {
            name.starts_with("Config/") || name == "manifest.json" || name.starts_with("Root/")
        })
    });
    let (dir, repository) = empty();
    let file = dir.path().join("a.zip");
    std::fs::write(&file, &good).unwrap();
    let whole = import(&repository, &file).unwrap();
    let read = |report: &ImportReport| {
        let mut bytes = Vec::new();
        ops::cat(
            &repository,
            &(report.id, report.record.clone()),
            b"config/system.xml",
            &mut bytes,
        )
        .unwrap();
        bytes
    };
    let expected = read(&whole);
    let mut taken = 0;
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&file, &bytes).unwrap();
        // Some bits say nothing of the content: a date, a version. What is taken is right.
        if let Ok(report) = ops::import(
            &repository,
            &file,
            &ImportOptions { force: true, ..import_options() },
            &Monitor::default(),
        ) {
            taken += 1;
            if report.record.categories["config"].files == whole.record.categories["config"].files
                && report.record.problem_count == 0
            {
                assert!(read(&report) == expected, "byte {at}");
            }
        }
    }
    assert!(taken > 0 && taken * 2 < good.len() / 7, "{taken}");
}

#[test]
fn what_servers_and_people_do_to_zips_is_taken() {
    let (dir, repository) = empty();
    let try_it = |what: &str, bytes: &[u8]| {
        let file = dir.path().join("a.zip");
        std::fs::write(&file, bytes).unwrap();
        import(&repository, &file).unwrap_or_else(|error| panic!("{what}: {error}"))
    };
    let with_directories = {
        let mut zip = zip::ZipWriter::new_append(Cursor::new(backup(|_| {}))).unwrap();
        for name in ["Config", "Data/metadata/library", "Root/default"] {
            zip.add_directory(name, SimpleFileOptions::DEFAULT).unwrap();
        }
        zip.finish().unwrap().into_inner()
    };
    assert_eq!(try_it("directory entries", &with_directories).record.problem_count, 0);
    let lenient = backup(|files| {
        for (name, bytes) in files.iter_mut() {
            let text = String::from_utf8(bytes.clone()).unwrap_or_default();
            if name == "manifest.json" {
                let named = text
                    .replacen("\"DbSet\\u00601\"", "\"AccessSchedules\"", 1)
                    .replace("]", ",]")
                    .replace("}}", "},}");
                *bytes = [b"\xef\xbb\xbf".as_slice(), named.as_bytes()].concat();
            } else if name.starts_with("Database/")
                && name != "Database/HistoryRow.json"
                && text.len() > 2
            {
                *bytes =
                    [b"\xef\xbb\xbf\n".as_slice(), text.replace("}]", "} , ]").as_bytes()].concat();
            }
        }
    });
    assert_eq!(try_it("marks and commas", &lenient).record.problem_count, 0);
    let fewer = try_it(
        "a table that is missing",
        &backup(|files| drop(files.remove("Database/MediaSegments.json"))),
    );
    assert!(
        fewer
            .record
            .problems
            .iter()
            .any(|p| p.path.contains("MediaSegments") && p.what.contains("empty")),
        "{:?}",
        fewer.record.problems
    );
    let strange = try_it(
        "what does not belong there",
        &backup(|files| {
            for name in [
                "Database/Strange.json",
                "notes.txt",
                "Data/backups/old.zip",
                "Data/jellyfin.db-wal",
                "Config/.jellyfin-config",
            ] {
                files.insert(name.to_owned(), b"[]".to_vec());
            }
        }),
    );
    assert_eq!(strange.record.problem_count, 5, "{:?}", strange.record.problems);
    let bare = try_it(
        "no tables",
        &backup(|files| files.retain(|name, _| !name.starts_with("Database/"))),
    );
    assert!(
        bare.record.problems.iter().any(|p| p.what.contains("users, watch state"))
            && !bare.record.categories.contains_key("database")
    );
}

#[test]
fn a_zip_that_bricks_a_newer_server_becomes_one_that_it_restores() {
    let (_, zip) = of_10_11_6();
    let (dir, repository) = empty();
    import(&repository, &zip).unwrap();
    let exact = dir.path().join("exact.zip");
    let report = export(&repository, &exact, &options(ExportKind::Exact)).unwrap();
    assert_eq!(
        (report.versions.as_str(), report.server_version.as_str()),
        ("10.11.6 or newer", "10.11.6.0")
    );
    assert_eq!(violations_of_exact(&exact), Vec::<String>::new());
    let retargeted = dir.path().join("retargeted.zip");
    export(
        &repository,
        &retargeted,
        &jellyvault::ops::ExportOptions {
            target: Some("10.11.11".into()),
            ..options(ExportKind::Tables)
        },
    )
    .unwrap();
    assert_eq!(violations(&retargeted), Vec::<String>::new());
}

#[test]
fn several_zips_and_folders_of_them_come_in_and_one_that_is_bad_does_not_stop_the_others() {
    let program = Program::new();
    let folder = program.home.path().join("backups");
    std::fs::create_dir(&folder).unwrap();
    for (number, (_, zip)) in pairs().iter().take(2).enumerate() {
        std::fs::copy(zip, folder.join(format!("{number}.zip"))).unwrap();
    }
    std::fs::write(folder.join("bad.zip"), b"no zip").unwrap();
    std::fs::write(folder.join("readme.txt"), b"not looked at").unwrap();
    let (document, code) = program.json(&["import", folder.to_str().unwrap()]);
    assert_eq!((code, document["snapshots"].as_array().unwrap().len()), (3, 2), "{document}");
    assert_eq!(document["failed"][0]["error"]["kind"], "bad-zip");
    assert!(document["failed"][0]["path"].as_str().unwrap().ends_with("bad.zip"));
    std::fs::remove_file(folder.join("bad.zip")).unwrap();
    let (document, code) = program.json(&["import", folder.to_str().unwrap()]);
    assert_eq!(
        (code, document["snapshots"][0]["was_there"].as_bool()),
        (0, Some(true)),
        "{document}"
    );
    assert_eq!(program.json(&["list"]).0["snapshots"].as_array().unwrap().len(), 2);
}

#[test]
fn users_come_in_whatever_the_zip_tells_of_their_names() {
    let users = |what: &str, change: &dyn Fn(&mut Vec<serde_json::Value>)| {
        let (dir, repository) = empty();
        let file = dir.path().join("a.zip");
        let zip = backup(|files| {
            let mut rows: Vec<serde_json::Value> =
                serde_json::from_slice(&files["Database/Users.json"]).unwrap();
            change(&mut rows);
            files.insert("Database/Users.json".to_owned(), serde_json::to_vec(&rows).unwrap());
        });
        std::fs::write(&file, zip).unwrap();
        let report = import(&repository, &file).unwrap();
        let path = dir.path().join("db");
        ops::cat(
            &repository,
            &(report.id, report.record.clone()),
            b"data/jellyfin.db",
            &mut std::fs::File::create(&path).unwrap(),
        )
        .unwrap();
        let db = Connection::open(&path).unwrap();
        let orphans = db
            .prepare("PRAGMA foreign_key_check")
            .unwrap()
            .query([])
            .unwrap()
            .next()
            .unwrap()
            .is_some();
        assert!(!orphans, "{what}");
        let names: Vec<(String, String)> = db
            .prepare("SELECT Username, NormalizedUsername FROM Users ORDER BY rowid")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        (names, report.record.problems)
    };
    let (all, problems) = users("as they are", &|_| {});
    assert!(all.len() > 3 && problems.is_empty());
    let (without, problems) = users("without the name that is compared", &|rows| {
        rows.iter_mut()
            .for_each(|row| drop(row.as_object_mut().unwrap().remove("NormalizedUsername")))
    });
    assert_eq!((without.len(), problems.len()), (all.len(), 0), "{problems:?}");
    assert!(without.iter().all(|(name, normal)| name.to_uppercase() == *normal), "{without:?}");
    let (twice, problems) = users("two of one name", &|rows| {
        rows[1]["Username"] = rows[0]["Username"].clone();
        rows[1]["NormalizedUsername"] = rows[0]["NormalizedUsername"].clone();
    });
    assert_eq!((twice.len(), problems.len()), (all.len(), 1));
    assert!(problems[0].what.contains(&format!("renamed to {}", twice[1].0)), "{problems:?}");
}

#[test]
fn a_value_that_does_not_fit_costs_the_value_and_not_the_row() {
    let (dir, repository) = empty();
    let file = dir.path().join("a.zip");
    let zip = backup(|files| {
        let mut rows: Vec<serde_json::Value> =
            serde_json::from_slice(&files["Database/BaseItems.json"]).unwrap();
        for (row, (key, value)) in rows.iter_mut().skip(3).zip([
            ("ProductionYear", serde_json::json!("2020")),
            ("Size", serde_json::json!(1.5)),
            ("DateCreated", serde_json::json!("yesterday")),
            ("IsFolder", serde_json::json!("yes")),
            ("ProductionYear", serde_json::json!(2020.0)),
        ]) {
            row[key] = value;
        }
        files.insert("Database/BaseItems.json".to_owned(), serde_json::to_vec(&rows).unwrap());
    });
    std::fs::write(&file, zip).unwrap();
    let report = import(&repository, &file).unwrap();
    assert_eq!(report.record.problem_count, 4, "{:?}", report.record.problems);
    assert!(
        report.record.problems.iter().all(|problem| problem.what.ends_with("left empty")),
        "{:?}",
        report.record.problems
    );
}

#[test]
fn a_damaged_neighbour_does_not_keep_a_sound_zip_out() {
    let (database, zip) = pairs().swap_remove(0);
    let dir = temp();
    let data = dir.path().join("config");
    copy_tree(&own_fixture(), &data);
    std::fs::copy(&database, data.join("data/jellyfin.db")).unwrap();
    for log in ["-wal", "-shm"] {
        let _gone = std::fs::remove_file(data.join(format!("data/jellyfin.db{log}")));
    }
    // An index that lacks entries.
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    let root: u32 = db
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'IX_BaseItems_Path'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    db.close().unwrap();
    let mut bytes = std::fs::read(data.join("data/jellyfin.db")).unwrap();
    let page = &mut bytes[(root as usize - 1) * 4096..][..4096];
    page[0] = 10;
    page[1..8].copy_from_slice(&[0, 0, 0, 0, 0x10, 0, 0]);
    std::fs::write(data.join("data/jellyfin.db"), bytes).unwrap();
    let (repo, repository) = empty();
    snapshot(&repository, &data);
    assert!(newest(&repository).1.problem_count > 0, "the neighbour is damaged");
    let report = import(&repository, &zip).unwrap();
    assert_eq!(report.record.problem_count, 0);
    drop(repo);
}

#[test]
fn nothing_of_a_neighbour_comes_along() {
    let (database, zip) = pairs().swap_remove(0);
    let dir = temp();
    let data = dir.path().join("config");
    copy_tree(&own_fixture(), &data);
    for log in ["-wal", "-shm"] {
        let _gone = std::fs::remove_file(data.join(format!("data/jellyfin.db{log}")));
    }
    std::fs::copy(&database, data.join("data/jellyfin.db")).unwrap();
    let db = Connection::open(data.join("data/jellyfin.db")).unwrap();
    db.execute_batch(
        "PRAGMA foreign_keys = OFF; UPDATE Permissions SET Permission_Permissions_Guid = 'left over'; INSERT INTO __EFMigrationsLock VALUES (1, '2026-01-01')",
    )
    .unwrap();
    db.close().unwrap();
    let (repo, repository) = empty();
    snapshot(&repository, &data);
    import(&repository, &zip).unwrap();
    // By time the zip's snapshot is the older one.
    let imported = Catalog::load(&repository)
        .unwrap()
        .snapshots
        .into_iter()
        .find(|(_, record)| record.source.key.starts_with("zip-"))
        .unwrap();
    let path = repo.path().join("db");
    ops::cat(
        &repository,
        &imported,
        b"data/jellyfin.db",
        &mut std::fs::File::create(&path).unwrap(),
    )
    .unwrap();
    let db = Connection::open(&path).unwrap();
    for sql in [
        "SELECT count(*) FROM Permissions WHERE Permission_Permissions_Guid IS NOT NULL",
        "SELECT count(*) FROM __EFMigrationsLock",
        "SELECT count(*) FROM HomeSection",
    ] {
        assert_eq!(db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap(), 0, "{sql}");
    }
}

/// A snapshot goes out as a zip and comes back: people tell the two by the beginnings of their ids.
#[test]
fn a_snapshot_of_an_own_zip_has_an_id_that_differs_where_people_look() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    super::support::let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let zip = program.home.path().join("a.zip");
    program.ok(&["export", "latest", zip.to_str().unwrap()]);
    program.ok(&["import", zip.to_str().unwrap()]);
    program.ok(&["import", "--force", zip.to_str().unwrap()]);
    let (listed, _) = program.json(&["list"]);
    let ids: std::collections::BTreeSet<String> = listed["snapshots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|snapshot| snapshot["id"].as_str().unwrap()[..12].to_owned())
        .collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    for id in &ids {
        program.ok(&["show", id]);
    }
}

/// A fork's server, or one with a column that no release has.
#[test]
fn columns_and_tables_that_no_server_has_are_told_and_kept() {
    let zip = backup(|files| {
        let table = files.get_mut("Database/Users.json").unwrap();
        let text = String::from_utf8(table.clone()).unwrap().replacen(
            '{',
            "{\"FavouriteColour\": \"green\", \"NothingToLose\": null, ",
            1,
        );
        *table = text.into_bytes();
        files.insert("Database/Colours.json".into(), b"[{\"Id\":1}]".to_vec());
    });
    let (dir, repository) = empty();
    let file = dir.path().join("a.zip");
    std::fs::write(&file, &zip).unwrap();
    let report = import(&repository, &file).unwrap();
    let told = |path: &str, what: &str| {
        report
            .record
            .problems
            .iter()
            .any(|problem| problem.path == path && problem.what.contains(what))
    };
    assert!(
        told("Database/Users.json", "FavouriteColour")
            && told("Database/Colours.json", "such a table"),
        "{:?}",
        report.record.problems
    );
    assert!(
        !told("Database/Users.json", "NothingToLose") && report.record.problem_count == 2,
        "{:?}",
        report.record.problems
    );
    let target = dir.path().join("restored");
    restore_to(&repository, &newest(&repository), &target).unwrap();
    let theirs = entries(&file);
    for name in ["Database/Users.json", "Database/Colours.json"] {
        assert!(
            std::fs::read(target.join("data/zip-tables").join(name)).unwrap() == theirs[name],
            "{name}"
        );
    }
    // The database is there with all that its tables take.
    let users = rows(&target.join("data/jellyfin.db"))
        .into_iter()
        .filter(|row| row.starts_with("Users:"))
        .count();
    assert!(users > 0);
    super::support::assert_clean(&repository, "after the import");
}

/// A server before 10.11 has more than one database in its zip.
#[test]
fn databases_beside_the_main_one_are_found_in_an_imported_zip() {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let theirs = entries(&pairs()[0].1);
    let database = std::fs::read(own_fixture().join("data/jellyfin.db")).unwrap();
    let library = {
        let dir = temp();
        let db = Connection::open(dir.path().join("l.db")).unwrap();
        db.execute_batch("CREATE TABLE TypedBaseItems(guid)").unwrap();
        drop(db);
        std::fs::read(dir.path().join("l.db")).unwrap()
    };
    let files = [
        ("manifest.json", &theirs["manifest.json"]),
        ("Data/authentication.db", &library),
        ("Data/jellyfin.db", &database),
        ("Data/library.db", &library),
        ("Config/system.xml", &theirs["Config/system.xml"]),
    ];
    for (name, bytes) in files {
        zip.start_file(name, SimpleFileOptions::DEFAULT).unwrap();
        zip.write_all(bytes).unwrap();
    }
    let (dir, repository) = empty();
    let file = dir.path().join("a.zip");
    std::fs::write(&file, zip.finish().unwrap().into_inner()).unwrap();
    import(&repository, &file).unwrap();
    let snapshot = newest(&repository);
    for (path, bytes) in [
        ("data/authentication.db", &library),
        ("data/jellyfin.db", &database),
        ("data/library.db", &library),
    ] {
        let mut found = Vec::new();
        ops::cat(&repository, &snapshot, path.as_bytes(), &mut found)
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(&found == bytes, "{path}");
    }
    super::support::assert_clean(&repository, "after the import");
}
