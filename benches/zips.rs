//! What do twenty zips of one server, a day apart, cost?
//! `cargo bench --bench zips [-- DATA_DIR [ROWS]]`
//!
//! The data directory is copied and changed a little each day: rows of watch state, items and log,
//! one new poster. Each day is captured natively into one repository and exported as a zip; then
//! the zips are imported into another. What the native snapshots added is the measure of the
//! changes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on fails, and prints what it measured"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use jellyvault::manifest::Catalog;
use jellyvault::ops::{
    self, ExportKind, ExportOptions, ImportOptions, OsSurroundings, SnapshotOptions,
};
use jellyvault::progress::Monitor;
use jellyvault::source::{Named, Platform};
use jellyvault::store::Repository;

const DAYS: u64 = 20;

fn packs_bytes(repository: &Path) -> u64 {
    if !repository.join("packs").exists() {
        return 0;
    }
    let files = walkdir::WalkDir::new(repository.join("packs"))
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap());
    files.filter(std::fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// A day of use.
fn change(data: &Path, day: u64, rows: u64) {
    let db = rusqlite::Connection::open(data.join("data/jellyfin.db")).unwrap();
    let date = format!("2026-11-{:02} 20:00:00", day + 1);
    db.execute_batch(&format!(
        "UPDATE UserData SET PlayCount = PlayCount + 1, LastPlayedDate = '{date}' WHERE rowid IN (SELECT rowid FROM UserData ORDER BY (rowid * 7919 + {day} * 104729) % 10007 LIMIT {rows});
         INSERT INTO ActivityLogs (Name, Type, UserId, DateCreated, LogSeverity, RowVersion) SELECT 'day {day}', 'Playback', Id, '{date}', 2, 0 FROM Users LIMIT 3;
         UPDATE BaseItems SET DateLastSaved = '{date}' WHERE rowid IN (SELECT rowid FROM BaseItems ORDER BY (rowid * 7919 + {day} * 104729) % 10007 LIMIT {rows})"
    ))
    .unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    db.close().unwrap();
    let mut poster = vec![0; 80_000];
    blake3::Hasher::new_derive_key("poster")
        .update(&day.to_le_bytes())
        .finalize_xof()
        .fill(&mut poster);
    poster[..4].copy_from_slice(b"\xff\xd8\xff\xe0");
    let path = data.join(format!("metadata/library/aa/{day:032}/poster.jpg"));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, poster).unwrap();
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attic");
    let source = args.first().map_or(own, PathBuf::from);
    let rows: u64 = args.get(1).map_or(5, |rows| rows.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("config");
    assert!(
        std::process::Command::new("cp")
            .arg("-a")
            .arg(&source)
            .arg(&data)
            .status()
            .unwrap()
            .success()
    );
    let (native, imported) = (dir.path().join("native"), dir.path().join("imported"));
    let monitor = Monitor::default();
    let repository = Repository::init(&native).unwrap();
    let mut zips = Vec::new();
    for day in 0..DAYS {
        if day > 0 {
            change(&data, day, rows);
        }
        let before = packs_bytes(&native);
        let named = Named { data: Some(data.to_str().unwrap().to_owned()), ..Named::default() };
        let (_, spec) =
            ops::find_instance(Platform::Linux, &named, &OsSurroundings::default()).unwrap();
        ops::snapshot(
            &repository,
            &spec,
            &SnapshotOptions { host: "bench".to_owned(), ..SnapshotOptions::default() },
            &monitor,
        )
        .unwrap();
        let newest = Catalog::load(&repository).unwrap().snapshots.pop().unwrap();
        let zip = dir.path().join(format!("{day:02}.zip"));
        let options = ExportOptions {
            kind: ExportKind::Tables,
            only: Vec::new(),
            target: None,
            zone: jiff::tz::TimeZone::UTC,
            as_server: false,
            force: false,
            threads: 0,
        };
        ops::export(&repository, &newest, &zip, None, &options, &monitor).unwrap();
        zips.push((zip, packs_bytes(&native) - before));
    }
    let repository = Repository::init(&imported).unwrap();
    println!(
        "| day | zip | native snapshot added | import added | import took |\n| --- | --- | --- | --- | --- |"
    );
    let (mut changes, mut first, mut zipped) = (0, 0, 0);
    for (day, (zip, native_added)) in zips.iter().enumerate() {
        let before = packs_bytes(&imported);
        let options = ImportOptions {
            label: None,
            note: None,
            zone: jiff::tz::TimeZone::UTC,
            force: false,
            threads: 0,
        };
        let begun = Instant::now();
        ops::import(&repository, zip, &options, &monitor).unwrap();
        let took = begun.elapsed().as_secs_f64();
        let added = packs_bytes(&imported) - before;
        let bytes = std::fs::metadata(zip).unwrap().len();
        zipped += bytes;
        if day == 0 {
            first = added;
        } else {
            changes += native_added;
        }
        let kb = |bytes: u64| format!("{:.1} KB", bytes as f64 / 1000.0);
        println!(
            "| {} | {} | {} | {} | {took:.2} s |",
            day + 1,
            kb(bytes),
            kb(*native_added),
            kb(added)
        );
    }
    let all = packs_bytes(&imported);
    let ratio = all as f64 / (first + changes) as f64;
    println!(
        "all: zips {zipped}, imported {all}, first {first} + changes {changes}: ratio {ratio:.3}"
    );
}
