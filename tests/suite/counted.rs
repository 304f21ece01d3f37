//! Costs, counted and not timed.

use jellyvault::backend::{self, Backend, Listed, MemoryBackend, NewFile, Span, Verb};
use jellyvault::store::{Index, IndexMode, Repository};

use super::support::*;

fn memory() -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    let repository = Repository::open_on(Box::new(backend.clone())).unwrap();
    (backend, repository)
}

fn written(calls: &[Verb], prefix: &str) -> Vec<u64> {
    calls
        .iter()
        .filter_map(|call| {
            if let Verb::Write(name, bytes) = call {
                name.starts_with(prefix).then_some(*bytes)
            } else {
                None
            }
        })
        .collect()
}

/// A tree of a few hundred files like Jellyfin's.
fn tree(root: &std::path::Path) {
    for item in 0..300u32 {
        let folder = root.join(format!("metadata/library/{:02x}/{item:032x}", item % 16));
        write(
            folder.join("poster.jpg"),
            [b"\xff\xd8\xff".as_slice(), &noise(&item.to_string(), 3000)].concat(),
        );
        write(
            folder.join("item.nfo"),
            format!("<item><id>{item}</id>{}</item>", "words ".repeat(100)),
        );
    }
}

#[test]
fn an_unchanged_capture_reads_no_content_and_writes_one_record() {
    let dir = temp();
    tree(&dir.path().join("source"));
    let_settle();
    let repo = dir.path().join("repo");
    let repository = Repository::init(&repo).unwrap();
    let first = capture(&repository, &dir.path().join("source")).unwrap();
    assert_eq!((first.reads, first.record.files.new), (600, 600));
    let before = facts(&repo, &|path| path.starts_with(b"scan"));
    let second = capture(&repository, &dir.path().join("source")).unwrap();
    assert_eq!(
        (second.reads, second.packs, second.record.bytes.read, second.record.bytes.new_stored),
        (0, 0, 0, 0)
    );
    assert_eq!(second.record.files.unchanged, 600);
    assert_eq!(second.record.categories, first.record.categories);
    let after = facts(&repo, &|path| path.starts_with(b"scan"));
    let new: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
    assert_eq!(new.len(), 3, "{new:?}");
    assert!(
        new[0].starts_with(b"list/") && new[1] == b"newest" && new[2].starts_with(b"snapshots/"),
        "a record, a link of the list, and the end of it remembered"
    );
}

#[test]
fn one_new_file_costs_one_pack_of_its_size_and_a_handful_of_nodes() {
    let dir = temp();
    let source = dir.path().join("source");
    tree(&source);
    let_settle();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    let first = capture(&repository, &source).unwrap();
    write(
        source.join("metadata/library/05/new/poster.jpg"),
        [b"\xff\xd8\xff".as_slice(), &noise("new", 200_000)].concat(),
    );
    let second = capture(&repository, &source).unwrap();
    assert_eq!((second.reads, second.packs, second.record.files.new), (1, 1, 1));
    let stored = second.record.bytes.new_stored;
    assert!((200_003..225_000).contains(&stored), "{stored} bytes for a file of 200,003");
    assert_ne!(first.record.categories, second.record.categories);
}

#[test]
fn a_prune_with_one_hundredth_of_garbage_reads_less_than_three_hundredths_and_one_without_reads_no_content()
 {
    let dir = temp();
    let source = dir.path().join("source");
    for n in 0..2000u32 {
        write(
            source.join(format!("{:02}/{n}.jpg", n % 40)),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 20_000)].concat(),
        );
    }
    let backend = MemoryBackend::default();
    let config = jellyvault::store::RepoConfig {
        pack_bytes: 1 << 20,
        ..jellyvault::store::RepoConfig::new().unwrap()
    };
    Repository::init_with(&backend, &config).unwrap();
    let open = || Repository::open_on(Box::new(backend.clone())).unwrap();
    let first = capture(&open(), &source).unwrap().id.unwrap();
    // A hundredth of the files is another one: what they were is garbage once the first snapshot is
    // forgotten.
    for n in 0..20 {
        write(
            source.join(format!("{n:02}/{n}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&format!("new {n}"), 20_000)].concat(),
        );
    }
    capture(&open(), &source).unwrap();
    jellyvault::ops::forget(&open(), &[first]).unwrap();
    let size: u64 = backend.files().values().map(|bytes| bytes.len() as u64).sum();
    let read = |backend: &MemoryBackend| -> u64 {
        backend
            .take_calls()
            .iter()
            .map(|call| if let Verb::Read(_, bytes) = call { *bytes } else { 0 })
            .sum()
    };
    read(&backend);
    // The tolerance leaves it: only what describes is read.
    let report = prune_to(&open(), jellyvault::ops::MaxUnused::Percent(5.0)).unwrap();
    let (without, unused) = (read(&backend), report.plan.unused);
    assert_eq!(report.removed, 0, "{report:?}");
    assert!((size / 200..size / 50).contains(&unused), "{unused} of {size}");
    assert!(without * 100 < size * 2, "{without} of {size} bytes were read");
    // All of it is to go: the packs that hold some are read, and no others.
    let report = prune_to(&open(), jellyvault::ops::MaxUnused::Percent(0.9)).unwrap();
    let with = read(&backend);
    println!(
        "prune: {size} bytes, {unused} of them garbage: {without} read where it is tolerated, {with} where some goes ({report:?})"
    );
    assert!(report.removed > 0 && with < size, "{report:?}");
}

#[test]
fn what_a_capture_lists_and_reads_does_not_grow_with_the_snapshots_and_packs_that_are_there() {
    use jellyvault::backend::{CrashDisk, Disk, LocalBackend};
    use std::path::Path;
    use std::sync::Arc;
    let (disk, root, dir) = (CrashDisk::default(), Path::new("/repo"), temp());
    disk.create_dir(root).unwrap();
    Repository::init_on(&LocalBackend::on(Arc::new(disk.clone()), root)).unwrap();
    let open = || Repository::open_on_disk(Arc::new(disk.clone()), root).unwrap();
    let (mut listed, mut packs) = (Vec::new(), 0);
    for n in 0..180 {
        write(dir.path().join("source/file"), n.to_string());
        packs += capture(&open(), &dir.path().join("source")).unwrap().packs;
        // Folders are relied on once a pack came into one that was there: with so many packs it is
        // certain that one did.
        if n == 99 || n == 179 {
            disk.take_listed();
            assert_eq!(capture(&open(), &dir.path().join("source")).unwrap().packs, 0);
            listed.push(disk.take_listed());
        }
    }
    assert_eq!(packs, 180, "each snapshot brought one");
    // The folder that the last pack came into, and nothing else but the keys of an encrypted
    // repository.
    for mut listed in listed {
        listed.retain(|folder| !folder.starts_with("/repo/keys"));
        assert!(listed.len() == 1 && listed[0].starts_with("/repo/packs"), "{listed:?}");
    }
    // A pack that is gone is missed by the next one all the same.
    let pack = disk
        .files()
        .into_keys()
        .find(|path| path.extension().is_some_and(|end| end == "pack"))
        .unwrap();
    disk.put(&pack, None);
    let report = capture(&open(), &dir.path().join("source")).unwrap();
    assert!(
        report.record.problems.iter().any(|problem| problem.path == "packs"),
        "{:?}",
        report.record.problems
    );
}

#[test]
fn without_scan_cache_everything_is_read_and_nothing_stored_again() {
    let dir = temp();
    tree(&dir.path().join("source"));
    let (backend, repository) = memory();
    let first = capture(&repository, &dir.path().join("source")).unwrap();
    let calls = backend.take_calls();
    assert_eq!((written(&calls, "packs/").len(), written(&calls, "snapshots/").len()), (1, 1));
    let second = capture(&repository, &dir.path().join("source")).unwrap();
    let calls = backend.take_calls();
    assert_eq!(second.reads, 600);
    assert_eq!((written(&calls, "packs/").len(), written(&calls, "snapshots/").len()), (0, 1));
    assert_eq!(first.record.categories, second.record.categories);
    assert_eq!(second.record.files.unchanged, 600);
}

#[test]
fn a_file_with_the_time_of_the_scan_is_read_again_the_next_time() {
    let dir = temp();
    let source = dir.path().join("source");
    write(source.join("settled"), "old");
    let_settle();
    let repository = Repository::init(&dir.path().join("repo")).unwrap();
    write(source.join("racy"), "one");
    capture(&repository, &source).unwrap();
    let second = capture(&repository, &source).unwrap();
    assert_eq!(second.reads, 1, "only the file written within the clock's grain");
    let_settle();
    let third = capture(&repository, &source).unwrap();
    // Its stat did not change, but the second scan may still have been within its grain.
    assert!(third.reads <= 1);
    assert_eq!(capture(&repository, &source).unwrap().reads, 0);
}

#[test]
fn the_index_can_be_deleted_and_heals_from_the_trailers() {
    let dir = temp();
    tree(&dir.path().join("source"));
    let repo = dir.path().join("repo");
    let repository = Repository::init(&repo).unwrap();
    capture(&repository, &dir.path().join("source")).unwrap();
    let kept = Index::open(&repository, IndexMode::Use).unwrap();
    assert_eq!(kept.trailers_read(), 0);
    let rebuilt = Index::open(&repository, IndexMode::Rebuild).unwrap();
    assert!(rebuilt.trailers_read() > 0);
    let (_, record) = newest(&repository);
    for category in record.categories.values() {
        let (a, b) = (
            kept.locate(&category.manifest).unwrap().unwrap(),
            rebuilt.locate(&category.manifest).unwrap().unwrap(),
        );
        assert_eq!(
            (a.pack, a.extent, a.row, a.offset, a.len),
            (b.pack, b.extent, b.row, b.offset, b.len)
        );
    }
    drop((kept, rebuilt));
    for (round, damage) in
        [None, Some(b"not a database".as_slice()), Some(b"")].into_iter().enumerate()
    {
        std::fs::remove_file(repo.join("index.redb")).unwrap();
        if let Some(bytes) = damage {
            std::fs::write(repo.join("index.redb"), bytes).unwrap();
        }
        write(dir.path().join(format!("source/new {round}")), format!("{damage:?}"));
        let report = capture(&repository, &dir.path().join("source")).unwrap();
        assert_eq!(report.record.files.new, 1);
        assert!(report.record.bytes.new_stored < 20_000, "nothing was stored twice");
        assert_eq!(
            Index::open(&repository, IndexMode::Use).unwrap().trailers_read(),
            0,
            "the index file is whole again after {damage:?}"
        );
    }
}

#[test]
fn the_same_content_under_many_names_is_stored_once_even_within_one_capture() {
    let dir = temp();
    let image = [b"\xff\xd8\xff".as_slice(), &noise("same", 50_000)].concat();
    for n in 0..40 {
        write(dir.path().join(format!("{n}/folder.jpg")), &image);
    }
    let (_, repository) = memory();
    let report = capture(&repository, dir.path()).unwrap();
    assert!(report.record.bytes.new_raw < 60_000, "{}", report.record.bytes.new_raw);
}

#[test]
fn a_lost_pack_is_told_once_and_the_next_snapshot_is_whole() {
    let program = Program::new();
    let source = program.home.path().join("source");
    tree(&source);
    let_settle();
    for _ in 0..2 {
        program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    }
    let pack = walkdir::WalkDir::new(program.repo.join("packs"))
        .into_iter()
        .map(Result::unwrap)
        .find(|entry| entry.file_type().is_file())
        .unwrap();
    std::fs::remove_file(pack.path()).unwrap();
    let (report, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!((code, report["problems"][0]["path"].as_str()), (3, Some("packs")), "{report}");
    let (again, code) = program.json(&["snapshot", "--plain", source.to_str().unwrap()]);
    assert_eq!((code, again["files_read"].as_u64()), (0, Some(0)), "{again}");
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert_same_trees(&facts(&source, &|_| false), &facts(&out, &|_| false));
}

/// Reads of files with such names.
fn reads_of(calls: &[Verb], prefix: &str) -> usize {
    calls
        .iter()
        .filter(|call| matches!(call, Verb::Read(name, _) if name.starts_with(prefix)))
        .count()
}

#[test]
fn what_names_one_of_many_snapshots_reads_that_one_and_a_capture_reads_none_but_the_latest() {
    let dir = temp();
    let source = dir.path().join("source");
    write(source.join("note.txt"), "0");
    let (backend, repository) = memory();
    for number in 1..=30 {
        write(source.join("note.txt"), number.to_string());
        capture(&repository, &source).unwrap();
    }
    let all = jellyvault::manifest::Catalog::load(&repository).unwrap();
    let tenth = all.snapshots[9].0.to_string();
    backend.take_calls();
    for (names, records) in [
        (vec!["latest"], 1),
        (vec!["latest~4"], 5),
        (vec![&tenth[..12]], 1),
        (vec!["latest~1", "latest"], 2),
        (vec!["2999-01-01"], 30),
    ] {
        let catalog = jellyvault::manifest::Catalog::load_named(&repository, &names).unwrap();
        assert_eq!(reads_of(&backend.take_calls(), "snapshots/"), records, "{names:?}");
        for name in names {
            assert_eq!(
                catalog.resolve(name, &jiff::tz::TimeZone::UTC),
                all.resolve(name, &jiff::tz::TimeZone::UTC),
                "{name}"
            );
        }
    }
    write(source.join("note.txt"), "once more");
    capture(&repository, &source).unwrap();
    let calls = backend.take_calls();
    assert_eq!((reads_of(&calls, "snapshots/"), reads_of(&calls, "list/")), (1, 1), "{calls:?}");
}

#[test]
fn a_damaged_record_that_is_named_is_told_as_one() {
    let dir = temp();
    let source = dir.path().join("source");
    write(source.join("note.txt"), "0");
    let (backend, repository) = memory();
    let ids: Vec<_> = (0..3)
        .map(|number| {
            write(source.join("note.txt"), format!("{number}"));
            capture(&repository, &source).unwrap().id.unwrap()
        })
        .collect();
    let name = format!("snapshots/{}.snap", ids[1]);
    let mut bytes = backend.files()[&name].clone();
    *bytes.last_mut().unwrap() ^= 1;
    backend.put(&name, bytes);
    let catalog =
        jellyvault::manifest::Catalog::load_named(&repository, &[&ids[1].to_string()]).unwrap();
    assert_eq!((catalog.snapshots.len(), catalog.damaged.len()), (2, 1));
    // It counts for nothing on the way back from the latest, as in the whole list.
    let back = jellyvault::manifest::Catalog::load_named(&repository, &["latest~1"]).unwrap();
    assert_eq!(back.resolve("latest~1", &jiff::tz::TimeZone::UTC).unwrap().0, ids[0]);
}

#[test]
fn a_restore_of_one_file_reads_the_way_to_it_and_overlapping_paths_restore_each_file_once() {
    let dir = temp();
    let source = dir.path().join("source");
    for n in 0..6000u32 {
        write(source.join(format!("library/{:03}/{n}.nfo", n / 20)), format!("<item>{n}</item>"));
    }
    let (backend, repository) = memory();
    capture(&repository, &source).unwrap();
    let snapshot = newest(&repository);
    let interrupt = jellyvault::progress::Interrupt::default();
    let restore = |name: &str, paths: &[&str]| {
        let selection = jellyvault::ops::Selection {
            paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            ..Default::default()
        };
        let options = jellyvault::ops::RestoreOptions { selection, ..Default::default() };
        let destination = jellyvault::ops::Destination::Directory(dir.path().join(name));
        backend.take_calls();
        let report = jellyvault::ops::restore(
            &repository,
            &snapshot,
            &destination,
            &options,
            &watch(&interrupt),
        )
        .unwrap();
        (report.files, reads_of(&backend.take_calls(), "packs/"))
    };
    let (files, all) = restore("all", &[]);
    assert_eq!(files, 6000);
    let (files, one) = restore("one", &["library/123/2467.nfo"]);
    assert_eq!(files, 1);
    assert!(one <= 8 && one * 3 < all, "{one} reads for one file, {all} for all");
    let (files, _) = restore(
        "some",
        &[
            "library/123/2467.nfo",
            "library/123",
            "library/007",
            "library/123",
            "library/299/5999.nfo",
        ],
    );
    assert_eq!(files, 41);
}

/// A backend that is not on this machine: a megabyte comes in the time that a call takes.
struct Far(MemoryBackend);

impl Backend for Far {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, backend::Error> {
        self.0.read(name, span)
    }
    fn read_ahead(&self) -> usize {
        1 << 20
    }
    fn size(&self, name: &str) -> Result<u64, backend::Error> {
        self.0.size(name)
    }
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, backend::Error> {
        self.0.create(name)
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, backend::Error> {
        self.0.list(prefix)
    }
    fn remove(&self, name: &str) -> Result<(), backend::Error> {
        self.0.remove(name)
    }
    fn sync(&self) -> Result<(), backend::Error> {
        self.0.sync()
    }
}

/// A repository that is not on this machine: its files behind a backend that counts, what is
/// derived from them in a folder of this machine.
fn elsewhere(backend: &MemoryBackend, cache: &std::path::Path) -> Repository {
    use jellyvault::store::{LocalCache, MeetingPlace};
    let coordination = Box::new(MeetingPlace::default().join().unwrap());
    Repository::open_with(
        std::sync::Arc::new(Far(backend.clone())),
        coordination,
        Some(LocalCache::in_folder(cache)),
    )
    .unwrap()
}

/// Each call of a backend that is not on this machine takes as long as the way there and back.
#[test]
fn round_trips_do_not_grow_with_the_number_of_packs() {
    let dir = temp();
    let source = dir.path().join("source");
    tree(&source);
    let_settle();
    let backend = MemoryBackend::default();
    // Not sealed: with keys of its own each repository has nodes of its own sizes.
    Repository::init_with(&backend, &plain_settings()).unwrap();
    let cache = dir.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    let calls = |what: &str, work: &dyn Fn(&Repository)| {
        backend.take_calls();
        work(&elsewhere(&backend, &cache));
        let calls = backend.take_calls();
        println!("{what}: {} calls", calls.len());
        calls.len()
    };
    let snapshot = |repository: &Repository| drop(capture(repository, &source).unwrap());
    let restore = |repository: &Repository, paths: &[&str]| {
        let target = temp();
        let selection = jellyvault::ops::Selection {
            paths: paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            ..Default::default()
        };
        let options = jellyvault::ops::RestoreOptions { selection, ..Default::default() };
        let destination = jellyvault::ops::Destination::Directory(target.path().join("to"));
        let catalog = jellyvault::manifest::Catalog::load_named(repository, &["latest"]).unwrap();
        let found = catalog.resolve("latest", &jiff::tz::TimeZone::UTC).unwrap();
        let interrupt = jellyvault::progress::Interrupt::default();
        let report =
            jellyvault::ops::restore(repository, found, &destination, &options, &watch(&interrupt))
                .unwrap();
        assert!(report.files > 0);
    };
    let first = calls("first capture", &snapshot);
    let mut counts = Vec::new();
    for n in 0..60 {
        write(
            source.join("metadata/library/00/new/poster.jpg"),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 40_000)].concat(),
        );
        let_settle();
        snapshot(&elsewhere(&backend, &cache));
        if n == 4 || n == 59 {
            let unchanged = calls("unchanged", &snapshot);
            let one = calls("restore of one file", &|repository| {
                restore(
                    repository,
                    &["metadata/library/05/00000000000000000000000000000005/poster.jpg"],
                )
            });
            let all = calls("restore of all", &|repository| restore(repository, &[]));
            counts.push([unchanged, one, all]);
        }
    }
    assert_eq!(counts[0][..2], counts[1][..2], "55 packs and snapshots more");
    let [unchanged, one, all] = counts[0];
    // Two threads restore: which of them reads a list that both need is chance.
    assert!(
        first <= 24 && unchanged <= 12 && one <= 8 && all.max(counts[1][2]) <= 28,
        "{first} {counts:?}"
    );
    // Every record, link and tree is read, some of them more than once.
    let prune = calls("prune", &|repository| {
        drop(prune_to(repository, jellyvault::ops::MaxUnused::Percent(5.0)).unwrap())
    });
    assert!(prune <= 16 * 63, "{prune} for 63 snapshots");
}

/// What is being written at this moment, and the most that ever was.
#[derive(Default)]
struct InFlight {
    now: std::sync::atomic::AtomicUsize,
    most: std::sync::atomic::AtomicUsize,
}

struct Wide {
    inner: MemoryBackend,
    in_flight: std::sync::Arc<InFlight>,
}

struct WideFile {
    inner: Box<dyn NewFile>,
    in_flight: std::sync::Arc<InFlight>,
    is_pack: bool,
}

impl NewFile for WideFile {
    fn append(&mut self, bytes: Vec<u8>) -> Result<(), backend::Error> {
        self.inner.append(bytes)
    }
    fn finish(self: Box<Self>) -> Result<(), backend::Error> {
        use std::sync::atomic::Ordering::SeqCst;
        if self.is_pack {
            let now = self.in_flight.now.fetch_add(1, SeqCst) + 1;
            self.in_flight.most.fetch_max(now, SeqCst);
            // As long as a pack takes to a far place: the next ones come meanwhile. The first waits
            // for a second, however busy the machine is.
            let begun = std::time::Instant::now();
            while self.in_flight.most.load(SeqCst) < 2 && now == 1 && begun.elapsed().as_secs() < 20
            {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.in_flight.now.fetch_sub(1, SeqCst);
        }
        self.inner.finish()
    }
}

impl Backend for Wide {
    fn parallel_writes(&self) -> usize {
        3
    }
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, backend::Error> {
        self.inner.read(name, span)
    }
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, backend::Error> {
        Ok(Box::new(WideFile {
            inner: self.inner.create(name)?,
            in_flight: self.in_flight.clone(),
            is_pack: name.starts_with("packs/"),
        }))
    }
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, backend::Error> {
        self.inner.list(prefix)
    }
    fn remove(&self, name: &str) -> Result<(), backend::Error> {
        self.inner.remove(name)
    }
    fn sync(&self) -> Result<(), backend::Error> {
        self.inner.sync()
    }
}

#[test]
fn packs_go_to_a_far_place_together_and_never_more_than_it_takes() {
    let dir = temp();
    for n in 0..60u32 {
        write(
            dir.path().join(format!("source/{n}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 200_000)].concat(),
        );
    }
    let inner = MemoryBackend::default();
    let config = jellyvault::store::RepoConfig {
        pack_bytes: 1 << 20,
        ..jellyvault::store::RepoConfig::new().unwrap()
    };
    Repository::init_with(&inner, &config).unwrap();
    let in_flight = std::sync::Arc::new(InFlight::default());
    let repository =
        Repository::open_on(Box::new(Wide { inner: inner.clone(), in_flight: in_flight.clone() }))
            .unwrap();
    let report = capture(&repository, &dir.path().join("source")).unwrap();
    assert!(report.packs > 4, "{report:?}");
    let most = in_flight.most.load(std::sync::atomic::Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at a time");
    assert_clean(&repository, "after packs that came in any order");
}

/// Whoever reads one file after another needs one call for many extents, where a call is dear.
#[test]
fn extents_that_lie_side_by_side_come_together_from_a_far_place_and_one_by_one_from_a_near_one() {
    let dir = temp();
    for n in 0..100u32 {
        write(
            dir.path().join(format!("source/{n:03}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&n.to_string(), 60_000)].concat(),
        );
    }
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    capture(&Repository::open_on(Box::new(backend.clone())).unwrap(), &dir.path().join("source"))
        .unwrap();
    let reads = |repository: &Repository| {
        let (_, record) = newest(repository);
        backend.take_calls();
        let held = held(repository, &record);
        assert_eq!(held.len(), 100);
        let calls = backend.take_calls();
        (
            calls
                .iter()
                .filter(|call| matches!(call, Verb::Read(name, _) if name.starts_with("packs/")))
                .count(),
            held,
        )
    };
    let (near, whole) = reads(&Repository::open_on(Box::new(backend.clone())).unwrap());
    let (far, same) = reads(&Repository::open_on(Box::new(Far(backend.clone()))).unwrap());
    assert_eq!(whole, same);
    println!("{near} calls near by, {far} from far away");
    assert!(near > 20 && far * 2 < near, "{near} calls near by, {far} from far away");
}
