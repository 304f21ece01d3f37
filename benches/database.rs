//! What does a database cost, step by step, and how long does a capture of it take?
//! `cargo bench --bench database -- FILE…`
//!
//! For each database of Jellyfin's (a copy is made and changed): a first copy, a light day, a
//! library scan, a VACUUM, each captured, beside fixed-size and content-defined chunks of the same
//! files and beside restic where it is installed. Prints Markdown.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use jellyvault::manifest::Catalog;
use jellyvault::ops::{self, SnapshotOptions, SourceSpec};
use jellyvault::progress::Monitor;
use jellyvault::store::Repository;
use rusqlite::Connection;

const STEPS: [&str; 4] = ["first copy", "light day", "library scan", "VACUUM"];

fn main() {
    if let Some(database) = std::env::var_os(SERVED) {
        return Server::serve(database.into());
    }
    let files: Vec<PathBuf> = std::env::args_os()
        .skip(1)
        .filter(|arg| !arg.to_string_lossy().starts_with("--"))
        .map(PathBuf::from)
        .collect();
    if files.is_empty() {
        eprintln!("name the databases to measure: cargo bench --bench database -- FILE…");
    }
    for file in files {
        let dir = tempfile::Builder::new()
            .prefix("jellyvault-bench-")
            .tempdir_in(std::env::var_os("BENCH_DIR").unwrap_or_else(|| "/tmp".into()))
            .unwrap();
        measure(&file, dir.path());
    }
}

fn measure(file: &Path, dir: &Path) {
    let versions = make_versions(file, dir);
    let size = std::fs::metadata(&versions[0]).unwrap().len();
    println!("\n### {} ({:.1} MB)\n", file.file_name().unwrap().to_string_lossy(), megabytes(size));
    println!("| stored, MB | {} |\n| --- | --- | --- | --- | --- |", STEPS.join(" | "));
    let changed = changed_pages(&versions);
    row("changed 4 KiB pages, zstd -3 in 256 KiB", &changed);
    row("**jellyvault**, all its packs", &captured(&versions, dir));
    for kib in [64, 1024] {
        row(
            &format!("fixed {kib} KiB, zstd -3"),
            &chunked(&versions, |bytes| bytes.chunks(kib << 10).map(<[u8]>::len).collect()),
        );
    }
    for (name, min, avg, max) in
        [("64 KiB", 16 << 10, 64 << 10, 256 << 10), ("1 MiB", 256 << 10, 1 << 20, 4 << 20)]
    {
        row(
            &format!("FastCDC {name}, zstd -3"),
            &chunked(&versions, |bytes| {
                fastcdc::v2020::FastCDC::new(bytes, min, avg, max).map(|c| c.length).collect()
            }),
        );
    }
    if let Some(stored) = restic(&versions, dir) {
        row("restic, all its files", &stored);
    }
    times(&versions, dir);
}

fn row(name: &str, bytes: &[u64]) {
    println!(
        "| {name} | {} |",
        bytes
            .iter()
            .map(|bytes| format!("{:.3}", megabytes(*bytes)))
            .collect::<Vec<_>>()
            .join(" | ")
    );
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The database after each step, as files.
fn make_versions(file: &Path, dir: &Path) -> Vec<PathBuf> {
    let mut random = 42u64;
    let mut next = move |below: i64| {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as i64 % below.max(1)
    };
    let mut versions: Vec<PathBuf> = Vec::new();
    for step in 0..STEPS.len() {
        let path = dir.join(format!("version-{step}.db"));
        std::fs::copy(versions.last().map_or(file, PathBuf::as_path), &path).unwrap();
        let db = Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; BEGIN",
        )
        .unwrap();
        let last = |table: &str| {
            db.query_row(&format!("SELECT max(rowid) FROM {table}"), [], |row| {
                row.get::<_, Option<i64>>(0)
            })
            .unwrap()
            .unwrap_or(0)
        };
        let (items, states) = (last("BaseItems"), last("UserData"));
        if step == 1 {
            for _ in 0..200.min(states) {
                let watched = "UPDATE UserData SET PlayCount = PlayCount + 1, LastPlayedDate = '2026-11-22 20:15:00.1234567' WHERE rowid = ?1";
                db.execute(watched, [next(states) + 1]).unwrap();
            }
            for _ in 0..50.min(items) {
                db.execute("UPDATE BaseItems SET DateLastRefreshed = '2026-11-22 03:00:00.7654321' WHERE rowid = ?1", [next(items) + 1]).unwrap();
            }
        }
        if step == 2 {
            for n in 0..items / 100 {
                let refreshed = "UPDATE BaseItems SET Overview = ?2, DateLastRefreshed = '2026-11-23 03:00:00.7654321' WHERE rowid = ?1";
                db.execute(
                    refreshed,
                    rusqlite::params![
                        next(items) + 1,
                        format!("Overview {n}: {}", "some other words ".repeat(20))
                    ],
                )
                .unwrap();
            }
            let columns: Vec<String> = db
                .prepare("SELECT name FROM pragma_table_info('BaseItems')")
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let values: Vec<&str> = columns
                .iter()
                .map(|name| if name == "Id" { "upper(hex(randomblob(16)))" } else { name.as_str() })
                .collect();
            let copies = format!(
                "INSERT INTO BaseItems({}) SELECT {} FROM BaseItems WHERE rowid % 200 = 7",
                columns.join(","),
                values.join(",")
            );
            db.execute(&copies, []).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
        if step == 3 {
            db.execute_batch("VACUUM").unwrap();
        }
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        db.close().unwrap();
        versions.push(path);
    }
    versions
}

/// Pages that no version before had, compressed together.
fn changed_pages(versions: &[PathBuf]) -> Vec<u64> {
    let mut known = HashSet::new();
    let mut zstd = zstd::bulk::Compressor::new(3).unwrap();
    let mut stored = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let new: Vec<u8> = bytes
            .chunks(4096)
            .filter(|page| known.insert(*blake3::hash(page).as_bytes()))
            .flatten()
            .copied()
            .collect();
        new.chunks(256 << 10).map(|extent| zstd.compress(extent).unwrap().len() as u64).sum()
    };
    versions.iter().map(&mut stored).collect()
}

fn chunked(versions: &[PathBuf], cut: impl Fn(&[u8]) -> Vec<usize>) -> Vec<u64> {
    let mut known = HashSet::new();
    let mut zstd = zstd::bulk::Compressor::new(3).unwrap();
    let mut stored = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        let (mut at, mut stored) = (0, 0);
        for len in cut(&bytes) {
            let chunk = &bytes[at..at + len];
            at += len;
            if known.insert(*blake3::hash(chunk).as_bytes()) {
                stored += zstd.compress(chunk).unwrap().len() as u64;
            }
        }
        stored
    };
    versions.iter().map(&mut stored).collect()
}

fn put(version: &Path, source: &Path) {
    std::fs::create_dir_all(source).unwrap();
    std::fs::copy(version, source.join("jellyfin.db")).unwrap();
    // Older than the clock's grain, or the copy waits for it to settle.
    std::thread::sleep(Duration::from_millis(60));
}

fn capture(repo: &Path, source: &Path) {
    let options = SnapshotOptions { host: "bench".into(), ..SnapshotOptions::default() };
    let repository = Repository::open(repo).unwrap();
    let report = ops::snapshot(
        &repository,
        &SourceSpec::plain(source).unwrap(),
        &options,
        &Monitor::default(),
    )
    .unwrap();
    assert_eq!(report.record.problem_count, 0);
}

fn bytes_below(dir: &Path) -> u64 {
    walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap())
        .filter(std::fs::Metadata::is_file)
        .map(|file| file.len())
        .sum()
}

fn captured(versions: &[PathBuf], dir: &Path) -> Vec<u64> {
    let (repo, source) = (dir.join("repo"), dir.join("source"));
    drop(Repository::init(&repo).unwrap());
    let mut before = 0;
    let mut stored = Vec::new();
    for version in versions {
        put(version, &source);
        capture(&repo, &source);
        let now = bytes_below(&repo.join("packs"));
        stored.push(now - std::mem::replace(&mut before, now));
    }
    let repository = Repository::open(&repo).unwrap();
    for (snapshot, version) in Catalog::load(&repository).unwrap().snapshots.iter().zip(versions) {
        let mut out = Vec::new();
        ops::cat(&repository, snapshot, b"jellyfin.db", &mut out).unwrap();
        assert!(out == std::fs::read(version).unwrap(), "what comes back is not what was captured");
    }
    stored
}

fn restic(versions: &[PathBuf], dir: &Path) -> Option<Vec<u64>> {
    let (repo, source) = (dir.join("restic"), dir.join("source"));
    let run = |args: &[&str]| {
        Command::new("restic")
            .args(["-q", "--no-cache", "-r"])
            .arg(&repo)
            .args(args)
            .env("RESTIC_PASSWORD", "x")
            .status()
            .is_ok_and(|s| s.success())
    };
    if !run(&["init"]) {
        eprintln!("restic is not here: its row is left out");
        return None;
    }
    let mut before = bytes_below(&repo);
    let mut stored = Vec::new();
    for version in versions {
        put(version, &source);
        assert!(run(&["backup", source.to_str()?]));
        let now = bytes_below(&repo);
        stored.push(now - std::mem::replace(&mut before, now));
    }
    Some(stored)
}

/// Another process that has the database open in WAL mode and writes when it is told to, as a
/// server does.
struct Server {
    child: Child,
    told: BufReader<ChildStdout>,
}

const SERVED: &str = "JELLYVAULT_BENCH_SERVED";

impl Server {
    fn start(database: &Path) -> Server {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .env(SERVED, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap());
        Server { child, told }
    }

    fn write(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"write\n").unwrap();
        let mut line = String::new();
        self.told.read_line(&mut line).unwrap();
        assert_eq!(line, "written\n");
    }

    fn stop(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }

    /// What the other process does.
    fn serve(database: PathBuf) {
        let db = Connection::open(database).unwrap();
        for _ in std::io::stdin().lines() {
            db.execute("UPDATE UserData SET PlayCount = PlayCount + 1 WHERE rowid < 200", [])
                .unwrap();
            println!("written");
        }
    }
}

/// The median of three, in seconds; `before` is not timed.
fn median(mut before: impl FnMut(), mut run: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..3)
        .map(|_| {
            before();
            rustix::fs::sync();
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[1]
}

/// A light day captured, and nothing changed, beside SQLite's own backup of the same file.
fn times(versions: &[PathBuf], dir: &Path) {
    let (repo, source, copy) = (dir.join("timed"), dir.join("source"), dir.join("backup.db"));
    let backup = median(
        || drop(std::fs::remove_file(&copy)),
        || {
            let db = Connection::open(&versions[1]).unwrap();
            let mut target = Connection::open(&copy).unwrap();
            rusqlite::backup::Backup::new(&db, &mut target).unwrap().step(-1).unwrap();
        },
    );
    let fresh = || {
        drop(std::fs::remove_dir_all(&repo));
        drop(Repository::init(&repo).unwrap());
        put(&versions[0], &source);
        capture(&repo, &source);
        put(&versions[1], &source);
    };
    let light = median(fresh, || capture(&repo, &source));
    let unchanged = median(|| {}, || capture(&repo, &source));
    let mut server = Server::start(&source.join("jellyfin.db"));
    let live = median(|| server.write(), || capture(&repo, &source));
    server.stop();
    println!(
        "\nA light day is captured in {light:.3} s ({live:.3} s from a running server), nothing changed in {:.1} ms; SQLite's backup of the file takes {backup:.3} s.",
        unchanged * 1e3
    );
    println!("Ratio to that backup: {:.2} (running server {:.2}).", light / backup, live / backup);
}
