//! The own walk against walkdir: the same set, in order, for every tree.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::sync::Mutex;

use jellyvault::manifest::compare;
use jellyvault::ops;
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::source::{Event, OpenFile, Rules, ScanRoot, Stat, scan};
use jellyvault::store::Repository;
use proptest::prelude::*;

use super::support::*;

fn walk(root: &std::path::Path, threads: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let roots = [ScanRoot::new(b"", root.to_path_buf())];
    scan(&roots, &Rules::default(), &Default::default(), threads, &Interrupt::default(), |event| {
        match event {
            Event::Found(entry) => found.push(entry.path.to_vec()),
            other => panic!("{other:?}"),
        }
        Ok::<_, std::io::Error>(())
    })
    .unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn the_walk_finds_what_walkdir_finds_in_component_order(paths in proptest::collection::vec("[a-c.]{0,2}[a-c](/[a-d -]{1,3}){0,5}", 0..60), threads in 1usize..4) {
        let dir = temp();
        for path in &paths {
            // Some paths collide with files that are there: those are left out. None begins with
            // `..`, or it would be written beside the folder.
            let path = dir.path().join(path);
            if std::fs::create_dir_all(path.parent().unwrap()).is_ok() && !path.exists() && std::fs::write(&path, "").is_err() {}
        }
        let found = walk(dir.path(), threads);
        prop_assert!(found.windows(2).all(|pair| compare(&pair[0], &pair[1]).is_lt()));
        let expected: BTreeSet<Vec<u8>> = walkdir::WalkDir::new(dir.path()).min_depth(1).into_iter()
            .map(|entry| entry.unwrap().path().strip_prefix(dir.path()).unwrap().as_os_str().as_bytes().to_vec()).collect();
        prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn many_small_directories_are_walked_whole_with_any_number_of_threads() {
    let dir = temp();
    for n in 0..3000 {
        write(dir.path().join(format!("{:02x}/{n}/poster.jpg", n % 256)), "");
    }
    let expected = walk(dir.path(), 1);
    assert_eq!(expected.len(), 3000 * 2 + 256);
    for threads in [2, 5] {
        assert_eq!(walk(dir.path(), threads), expected);
    }
}

#[test]
fn a_consumer_that_stops_ends_the_walk() {
    let dir = temp();
    for n in 0..500 {
        write(dir.path().join(format!("{n}/x")), "");
    }
    let roots = [ScanRoot::new(b"", dir.path().to_path_buf())];
    let mut met = 0;
    let outcome =
        scan(&roots, &Rules::default(), &Default::default(), 2, &Interrupt::default(), |_| {
            met += 1;
            if met == 100 { Err(std::io::Error::other("enough")) } else { Ok(()) }
        });
    assert!(outcome.is_err());
    assert_eq!(met, 100);
}

#[test]
fn a_file_that_is_not_what_the_scan_saw_does_not_pass_for_it() {
    let dir = temp();
    let path = dir.path().join("x");
    write(&path, "as it was");
    let root = std::fs::File::open(dir.path()).unwrap();
    let seen = Stat::of_path(&path).unwrap();
    assert!(OpenFile::open_seen(&root, b"x", &seen).unwrap().held_still().unwrap());
    // Another file of the same name, length and modification time.
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    write(dir.path().join("y"), "as it is!");
    std::fs::File::options()
        .write(true)
        .open(dir.path().join("y"))
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(dir.path().join("y"), &path).unwrap();
    assert!(!OpenFile::open_seen(&root, b"x", &seen).unwrap().held_still().unwrap());
}

/// Moves a folder to a place that was passed already, as soon as the capture works on files.
struct Mover {
    from: std::path::PathBuf,
    to: std::path::PathBuf,
    told: Mutex<Vec<String>>,
}

impl jellyvault::progress::Progress for Mover {
    fn phase(&self, _: jellyvault::progress::Phase, _: u64, _: u64) {}
    fn advance(&self, files: u64, _: u64) {
        // Several workers may tell of files at once: the first moves it.
        if files > 0 && std::fs::rename(&self.from, &self.to).is_err() {}
    }
    fn problem(&self, problem: &jellyvault::progress::Problem) {
        self.told.lock().unwrap().push(problem.path.clone());
    }
}

#[test]
fn what_moves_to_a_place_that_was_passed_is_found_there() {
    let dir = temp();
    let folder = dir.path().join("source");
    write(folder.join("a/first"), "first");
    for n in 0..4000 {
        write(folder.join(format!("m/{n}")), noise(&n.to_string(), 3000));
    }
    for n in 0..300 {
        write(folder.join(format!("z/{n}/file")), format!("moved {n}"));
    }
    let_settle();
    let (from, to) = (folder.join("z"), folder.join("a/z"));
    let root = dir.path().join("repo");
    ops::init(&root, 0).unwrap();
    let repository = Repository::open(&root).unwrap();
    let mover =
        std::sync::Arc::new(Mover { from: from.clone(), to: to.clone(), told: Mutex::default() });
    let monitor = Monitor { progress: mover.clone(), ..Monitor::default() };
    let report = ops::snapshot(
        &repository,
        &ops::SourceSpec::plain(&folder).unwrap(),
        &ops::SnapshotOptions::default(),
        &monitor,
    )
    .unwrap();
    assert!(to.exists() && !from.exists());
    assert_eq!((&report.record.problems, report.record.problem_count), (&Vec::new(), 0));
    assert!(
        !mover.told.lock().unwrap().is_empty(),
        "nothing was moved from under the walk: the test shows nothing"
    );
    let out = dir.path().join("out");
    restore_to(&repository, &newest(&repository), &out).unwrap();
    for n in 0..300 {
        assert_eq!(
            std::fs::read_to_string(out.join(format!("a/z/{n}/file"))).unwrap(),
            format!("moved {n}")
        );
    }
    assert_clean(&repository, "after a second walk");
}
