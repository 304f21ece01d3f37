//! Power cuts, full disks and I/O errors at every changing call of a small capture: nothing listed is ever broken.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jellyvault::backend::{CrashDisk, Disk, Fault, LocalBackend, Survival};
use jellyvault::manifest::{Catalog, SnapshotId, SnapshotRecord};
use jellyvault::store::Repository;

use super::support::*;

const ROOT: &str = "/repo";

fn disk() -> CrashDisk {
    let disk = CrashDisk::default();
    disk.create_dir(Path::new(ROOT)).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    Repository::init_on(&LocalBackend::on(Arc::new(disk.clone()), Path::new(ROOT))).unwrap();
    disk
}

fn open(disk: &CrashDisk) -> Repository {
    Repository::open_on_disk(Arc::new(disk.clone()), Path::new(ROOT)).unwrap()
}

/// Every listed snapshot restores, and to what its source was; the number of them.
fn listed_are_whole(repository: &Repository, states: &[BTreeMap<Vec<u8>, Facts>]) -> usize {
    let catalog = Catalog::load(repository).unwrap();
    assert!(catalog.damaged.is_empty(), "{:?}", catalog.damaged);
    for snapshot in &catalog.snapshots {
        let found = restored(repository, snapshot);
        assert!(states.contains(&found), "a snapshot is none of the states that were captured");
    }
    catalog.snapshots.len()
}

fn change(source: &Path) {
    write(source.join("b/new.jpg"), [b"\xff\xd8\xff".as_slice(), &noise("new", 40_000)].concat());
    write(source.join("a.txt"), "changed");
    let mut pages = std::fs::read(source.join("library.db")).unwrap();
    // More than a stream holds back: the new pages get a pack of their own, before the one with the recipe.
    for page in 0..600 {
        pages[4096 * (page + 1)..4096 * (page + 2)].copy_from_slice(&noise(&format!("page {page}"), 4096));
    }
    write(source.join("library.db"), pages);
}

fn each_call(fault: Fault) {
    let dir = temp();
    let source = dir.path().join("source");
    write(source.join("a.txt"), "first");
    write(source.join("b/c.jpg"), [b"\xff\xd8\xff".as_slice(), &noise("c", 30_000)].concat());
    write(source.join("library.db"), [b"SQLite format 3\0\x10\0".as_slice(), &vec![7; 4096 * 800 - 18]].concat());
    let_settle();
    let mut states = vec![facts(&source, &|_| false)];
    let mut at = 0;
    let mut met_the_end = false;
    // The tree is the same each time: the second state is made once.
    let changed = dir.path().join("changed");
    copy_tree(&source, &changed);
    change(&changed);
    states.push(facts(&changed, &|_| false));
    let_settle();
    while !met_the_end {
        let disk = disk();
        capture(&open(&disk), &source).unwrap();
        disk.arm(at, fault);
        let outcome = capture(&open(&disk), &changed);
        met_the_end = disk.calls() <= at;
        let acknowledged = 1 + usize::from(outcome.is_ok());
        if let Err(error) = &outcome {
            let text = jellyvault_text(error);
            assert!(text.contains("repository"), "{text}");
        }
        if fault == Fault::Crash {
            for round in 0..4u32 {
                let survival = match round {
                    0 => Survival::Nothing,
                    1 => Survival::All,
                    _ => Survival::Some((at as u64) << 8 | u64::from(round)),
                };
                let after = disk.after_crash(survival);
                let repository = open(&after);
                assert!(listed_are_whole(&repository, &states) >= acknowledged, "an acknowledged snapshot is gone after a crash at call {at}");
                capture(&repository, &changed).unwrap();
                assert!(listed_are_whole(&repository, &states) > acknowledged);
            }
        } else {
            disk.disarm();
            let repository = open(&disk);
            assert!(listed_are_whole(&repository, &states) >= acknowledged);
            capture(&repository, &changed).unwrap();
            listed_are_whole(&repository, &states);
        }
        at += 1;
    }
    assert!(at > 8, "only {at} calls were met: the capture was not what it should be");
}

/// The same for an import over an earlier one.
fn each_call_of_an_import(fault: Fault) {
    let dir = temp();
    let zips = ["first", "second"].map(|name| {
        let zip = dir.path().join(format!("{name}.zip"));
        let changed = super::import::backup(|files| {
            files.insert(format!("Config/{name}.xml"), noise(name, 3000));
            let people = String::from_utf8(files["Database/Peoples.json"].clone()).unwrap();
            files.insert("Database/Peoples.json".to_owned(), people.replacen("\"Name\":\"", &format!("\"Name\":\"{name} "), 1).into_bytes());
            files.retain(|file, _| !file.starts_with("Root/default/"));
        });
        write(&zip, changed);
        zip
    });
    let import = |disk: &CrashDisk, zip: &Path| super::import::import(&open(disk), zip).map(|report| report.id);
    let whole = disk();
    for zip in &zips {
        import(&whole, zip).unwrap();
    }
    let states: Vec<_> = Catalog::load(&open(&whole)).unwrap().snapshots.iter().map(|snapshot| restored(&open(&whole), snapshot)).collect();
    assert_ne!(states[0], states[1]);
    let (mut at, mut met_the_end) = (0, false);
    while !met_the_end {
        let disk = disk();
        import(&disk, &zips[0]).unwrap();
        disk.arm(at, fault);
        let outcome = import(&disk, &zips[1]);
        met_the_end = disk.calls() <= at;
        let acknowledged = 1 + usize::from(outcome.is_ok());
        let after = if fault == Fault::Crash {
            [Survival::Nothing, Survival::All].map(|survival| disk.after_crash(survival)).to_vec()
        } else {
            disk.disarm();
            vec![disk]
        };
        for disk in after {
            let repository = open(&disk);
            assert!(listed_are_whole(&repository, &states) >= acknowledged, "an acknowledged import is gone after {fault:?} at call {at}");
            drop(repository);
            import(&disk, &zips[1]).unwrap();
            assert_eq!(listed_are_whole(&open(&disk), &states), 2);
        }
        at += 1;
    }
    assert!(at > 8, "only {at} calls were met");
}

/// All that a snapshot brings back.
fn restored(repository: &Repository, snapshot: &(SnapshotId, SnapshotRecord)) -> BTreeMap<Vec<u8>, Facts> {
    let out = temp();
    let report = restore_to(repository, snapshot, out.path()).unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    // Of this directory a zip tells nothing.
    if snapshot.1.source.key.starts_with("zip-") {
        std::fs::File::open(out.path().join("data")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    }
    facts(out.path(), &|_| false)
}

#[test]
fn an_import_is_whole_or_not_there_after_a_fault_at_any_call() {
    for fault in [Fault::Crash, Fault::InputOutput, Fault::DiskFull] {
        each_call_of_an_import(fault);
    }
}

fn jellyvault_text(error: &jellyvault::ops::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}

#[test]
fn a_power_cut_at_every_call_leaves_every_listed_snapshot_whole() {
    each_call(Fault::Crash);
}

#[test]
fn an_input_output_error_at_every_call_is_told_and_the_next_run_succeeds() {
    each_call(Fault::InputOutput);
}

#[test]
fn a_full_disk_at_every_call_is_told_and_the_next_run_succeeds() {
    each_call(Fault::DiskFull);
}

#[test]
fn a_killed_capture_leaves_nothing_to_clean_and_its_packs_are_used() {
    let dir = temp();
    let source = dir.path().join("source");
    for n in 0..400 {
        write(source.join(format!("{n}.jpg")), [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 200_000)].concat());
    }
    let program = Program::new();
    for wait_ms in [15, 30, 45, 60, 90, 120, 200] {
        let mut child = program
            .command(&["snapshot", "--plain", source.to_str().unwrap()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        if program.repo.join("repo.toml").exists() {
            let (list, code) = program.json(&["list"]);
            assert_eq!(code, 0, "{list}");
        }
    }
    let (report, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert_eq!(report["files"]["total"], 400);
    let leftovers: Vec<_> =
        walkdir::WalkDir::new(&program.repo).into_iter().map(Result::unwrap).filter(|e| e.file_name().to_string_lossy().starts_with(".tmp-")).collect();
    assert!(leftovers.is_empty(), "{leftovers:?}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
    // What the killed runs stored was used: the repository holds the content about once.
    let (stats, _) = program.json(&["stats"]);
    assert!(stats["stats"]["pack_bytes"].as_u64().unwrap() < 90_000_000, "{stats}");
}
