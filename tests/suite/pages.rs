//! Databases, page by page: every version comes back identical, and costs what changed.

use std::path::Path;

use jellyvault::backend::{MemoryBackend, Verb};
use jellyvault::manifest::{Catalog, Content, find};
use jellyvault::ops;
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::store::{ChunkReader, Index, IndexMode, NoneKnown, Repository};
use proptest::prelude::*;

use super::support::*;

/// The same not sealed, whatever the run is: what two repositories hold is compared or mixed.
fn memory_plain() -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::default();
    Repository::init_with(&backend, &plain_settings()).unwrap();
    let repository = Repository::open_on(Box::new(backend.clone())).unwrap();
    (backend, repository)
}

pub(super) fn memory() -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::default();
    Repository::init_on(&backend).unwrap();
    let repository = Repository::open_on(Box::new(backend.clone())).unwrap();
    (backend, repository)
}

/// The bytes of a file of a plain snapshot.
pub(super) fn cat(repository: &Repository, number: usize, path: &str) -> Vec<u8> {
    let catalog = Catalog::load(repository).unwrap();
    let mut out = Vec::new();
    ops::cat(repository, &catalog.snapshots[number], path.as_bytes(), &mut out).unwrap();
    out
}

pub(super) fn content(repository: &Repository, number: usize, path: &str) -> Content {
    let catalog = Catalog::load(repository).unwrap();
    let index = Index::open(repository, IndexMode::Use).unwrap();
    let manifest = catalog.snapshots[number].1.category("other").unwrap().manifest;
    find(&mut ChunkReader::new(repository, &index), manifest, path.as_bytes())
        .unwrap()
        .unwrap()
        .content()
        .unwrap()
        .clone()
}

/// A database with some rows of text, folded into its file.
fn database(path: &Path, rows: u32) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; CREATE TABLE items(id INTEGER PRIMARY KEY, name TEXT, data BLOB); CREATE INDEX by_name ON items(name);")
        .unwrap();
    add_rows(&db, 0..rows);
    db
}

fn add_rows(db: &rusqlite::Connection, rows: std::ops::Range<u32>) {
    db.execute_batch("BEGIN").unwrap();
    for row in rows {
        db.execute(
            "INSERT INTO items(name, data) VALUES(?1, ?2)",
            rusqlite::params![
                format!("item {}", row.wrapping_mul(2_654_435_761)),
                noise(&row.to_string(), 600)
            ],
        )
        .unwrap();
    }
    db.execute_batch("COMMIT").unwrap();
}

/// One change to a file of pages.
#[derive(Clone, Debug)]
enum Change {
    Write { page: u16, seed: u8 },
    Swap(u16, u16),
    Grow(u8),
    Shrink(u8),
    PageSize(u8),
    Tail(u8),
    Zero(u16),
}

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        8 => (any::<u16>(), any::<u8>()).prop_map(|(page, seed)| Change::Write { page, seed }),
        2 => (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Change::Swap(a, b)),
        2 => any::<u8>().prop_map(Change::Grow),
        2 => any::<u8>().prop_map(Change::Shrink),
        1 => (0..8u8).prop_map(Change::PageSize),
        1 => any::<u8>().prop_map(Change::Tail),
        1 => any::<u16>().prop_map(Change::Zero),
    ];
    proptest::collection::vec(proptest::collection::vec(change, 1..12), 2..7)
}

/// A file that begins like a database; its pages are noise or zeros.
struct Pages {
    bytes: Vec<u8>,
    size: usize,
}

impl Pages {
    fn apply(&mut self, change: &Change) {
        let count = (self.bytes.len() / self.size).max(1);
        let at = |page: u16| usize::from(page) % count * self.size;
        match change {
            Change::Write { page, seed } => {
                let (start, page) = (at(*page), noise(&seed.to_string(), self.size));
                let end = (start + self.size).min(self.bytes.len());
                self.bytes[start..end].copy_from_slice(&page[..end - start]);
            }
            Change::Swap(a, b) => {
                let (a, b) = (at(*a), at(*b));
                for step in 0..self.size {
                    if a + step < self.bytes.len() && b + step < self.bytes.len() {
                        self.bytes.swap(a + step, b + step);
                    }
                }
            }
            Change::Grow(pages) => {
                self.bytes.extend(noise("grow", usize::from(*pages) * self.size))
            }
            Change::Shrink(pages) => {
                self.bytes.truncate(count.saturating_sub(usize::from(*pages)).max(1) * self.size)
            }
            Change::PageSize(log2) => self.size = 512 << log2,
            Change::Tail(bytes) => self.bytes.extend(noise("tail", usize::from(*bytes))),
            Change::Zero(page) => {
                let start = at(*page);
                let end = (start + self.size).min(self.bytes.len());
                self.bytes[start..end].fill(0);
            }
        }
        self.bytes[..16].copy_from_slice(b"SQLite format 3\0");
        self.bytes[16..18]
            .copy_from_slice(&if self.size == 65_536 { 1 } else { self.size as u16 }.to_be_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn every_version_of_a_file_of_pages_comes_back_identical(versions in changes()) {
        let dir = temp();
        // Beneath `data/` of an instance it would be copied through SQLite, which refuses such
        // pages; the bytes are the same.
        let (_, repository) = memory();
        let mut pages = Pages { bytes: noise("first", 64 * 4096), size: 4096 };
        let mut expected = Vec::new();
        for version in &versions {
            version.iter().for_each(|change| pages.apply(change));
            write(dir.path().join("file.db"), &pages.bytes);
            let_settle();
            capture(&repository, dir.path()).unwrap();
            expected.push(pages.bytes.clone());
        }
        for (number, bytes) in expected.iter().enumerate() {
            prop_assert!(cat(&repository, number, "file.db") == *bytes, "version {number} differs");
        }
    }
}

#[test]
fn every_version_of_a_real_database_comes_back_through_growth_shrinkage_vacuum_and_other_page_sizes()
 {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (_, repository) = memory();
    let db = database(&path, 2000);
    let mut expected = Vec::new();
    let mut step = |sql: &str| {
        db.execute_batch(sql).unwrap();
        let_settle();
        capture(&repository, dir.path()).unwrap();
        expected.push(std::fs::read(&path).unwrap());
    };
    step("UPDATE items SET name = 'one' WHERE id = 7");
    step("DELETE FROM items WHERE id % 3 = 0");
    step("VACUUM");
    step("PRAGMA page_size = 16384; VACUUM");
    step("UPDATE items SET name = 'two' WHERE id = 8");
    step("PRAGMA page_size = 512; VACUUM");
    step("INSERT INTO items(name, data) SELECT name, data FROM items");
    step("DELETE FROM items; VACUUM");
    step("PRAGMA page_size = 65536; VACUUM; INSERT INTO items(name) VALUES('last')");
    for (number, bytes) in expected.iter().enumerate() {
        assert!(
            matches!(content(&repository, number, "library.db"), Content::Pages(_)),
            "version {number} is not stored by pages"
        );
        assert!(cat(&repository, number, "library.db") == *bytes, "version {number} differs");
    }
}

#[test]
fn a_light_day_costs_its_pages_and_a_vacuum_finds_pages_that_moved() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (_, repository) = memory();
    let db = database(&path, 6000);
    let_settle();
    let first = capture(&repository, dir.path()).unwrap().record.bytes;
    let pages = std::fs::metadata(&path).unwrap().len() / 4096;
    db.execute_batch("UPDATE items SET name = name || 'x' WHERE id IN (100, 2000, 4000)").unwrap();
    let_settle();
    let light = capture(&repository, dir.path()).unwrap().record.bytes;
    assert!(
        light.new_raw < 20 * 4096 + 5_000 && light.new_stored < first.new_stored / 50,
        "{light:?} after {first:?} of {pages} pages"
    );
    // Pages at the beginning go: VACUUM moves most others as they are.
    db.execute_batch("DROP INDEX by_name; VACUUM").unwrap();
    let_settle();
    let vacuum = capture(&repository, dir.path()).unwrap().record.bytes;
    assert!(vacuum.new_raw < first.new_raw / 3, "{vacuum:?} after {first:?}");
}

#[test]
fn a_copy_of_a_database_in_another_place_costs_a_recipe_at_most() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (_, repository) = memory();
    drop(database(&path, 3000));
    std::fs::copy(&path, dir.path().join("copied at once.db")).unwrap();
    let_settle();
    let first = capture(&repository, dir.path()).unwrap().record.bytes;
    assert!(first.new_raw < std::fs::metadata(&path).unwrap().len() * 11 / 10, "{first:?}");
    let backup = dir.path().join("old/library.db.bak");
    std::fs::create_dir(backup.parent().unwrap()).unwrap();
    std::fs::copy(&path, &backup).unwrap();
    rusqlite::Connection::open(&backup)
        .unwrap()
        .execute_batch("UPDATE items SET name = 'one' WHERE id = 7")
        .unwrap();
    let_settle();
    let second = capture(&repository, dir.path()).unwrap().record.bytes;
    assert!(second.new_raw < std::fs::metadata(&path).unwrap().len() / 10, "{second:?}");
    assert_eq!(cat(&repository, 1, "old/library.db.bak"), std::fs::read(&backup).unwrap());
    assert_eq!(cat(&repository, 1, "copied at once.db"), std::fs::read(&path).unwrap());
}

#[test]
fn what_only_looks_like_a_database_is_kept_as_bytes() {
    let dir = temp();
    let head = b"SQLite format 3\0\x10\0".to_vec();
    let files = [
        ("partial.db", [head.as_slice(), &noise("partial", 300_000)].concat()),
        (
            "lies.db",
            [b"SQLite format 3\0\x10\x01".as_slice(), &noise("lies", 4096 * 9 - 18)].concat(),
        ),
        ("encrypted.db", noise("encrypted", 4096 * 10)),
        ("head only.db", head.clone()),
        ("whole pages of nothing.db", [head.as_slice(), &vec![0; 4096 * 40 - 18]].concat()),
    ];
    files.iter().for_each(|(name, bytes)| write(dir.path().join(name), bytes));
    let_settle();
    let (_, repository) = memory();
    capture(&repository, dir.path()).unwrap();
    for (number, (name, bytes)) in files.iter().enumerate() {
        assert_eq!(
            matches!(content(&repository, 0, name), Content::Pages(_)),
            number == 4,
            "{name}"
        );
        assert!(cat(&repository, 0, name) == *bytes, "{name}");
    }
}

#[test]
fn two_hundred_snapshots_keep_the_chain_short_and_the_oldest_as_near_as_the_newest() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (backend, repository) = memory();
    let db = database(&path, 1500);
    let mut kept = std::collections::BTreeMap::new();
    for number in 0..200u32 {
        db.execute_batch(&format!(
            "UPDATE items SET name = 'at {number}' WHERE id IN (1, {}, {}); INSERT INTO items(name) VALUES('new {number}')",
            number * 7 % 1500 + 1,
            number * 131 % 1500 + 1
        ))
        .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(25));
        capture(&repository, dir.path()).unwrap();
        if [0, 100, 199].contains(&number) {
            kept.insert(number, std::fs::read(&path).unwrap());
        }
    }
    let index = Index::open(&repository, IndexMode::Use).unwrap();
    let mut reader = ChunkReader::new(&repository, &index);
    let (mut deepest, mut recipes) = (0, 0);
    index
        .for_each_extent(|extent| {
            recipes += if extent.kind.is_recipe() { u64::from(extent.stored_bytes) } else { 0 }
        })
        .unwrap();
    for number in 0..200 {
        let Content::Pages(id) = content(&repository, number, "library.db") else {
            panic!("not stored by pages")
        };
        deepest = deepest.max(reader.recipe_chain(&id, &mut NoneKnown).unwrap().bodies.len());
    }
    assert!((2..=30).contains(&deepest), "{deepest} recipes behind one another");
    // Three rows in a table and its indexes: a few groups, and what every recipe has.
    // And what encryption adds to each extent.
    let most = if repository.config().is_encrypted() { 1300 } else { 1000 };
    assert!(recipes < 200 * most, "200 recipes take {recipes} bytes");
    let count = |work: &mut dyn FnMut()| {
        backend.take_calls();
        work();
        backend
            .take_calls()
            .iter()
            .filter(|call| matches!(call, Verb::Read(name, _) if name.starts_with("packs/")))
            .count()
    };
    // Trailers stand for the index file, which a repository in memory has not.
    let opening = count(&mut || drop(Index::open(&repository, IndexMode::Use).unwrap()));
    for (number, bytes) in &kept {
        let reads = count(&mut || {
            assert!(
                cat(&repository, *number as usize, "library.db") == *bytes,
                "snapshot {number} differs"
            )
        });
        // The manifest, the recipes, and each extent once: never more extents than pages.
        assert!(
            reads - opening <= 2 + 30 + bytes.len() / 4096,
            "{} reads for snapshot {number}",
            reads - opening
        );
    }
}

#[test]
fn a_database_has_the_same_manifest_whatever_came_before_it() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (_, lived) = memory_plain();
    let db = database(&path, 1000);
    for step in 0..4 {
        db.execute_batch(&format!("UPDATE items SET name = 'step {step}' WHERE id % 50 = {step}"))
            .unwrap();
        let_settle();
        capture(&lived, dir.path()).unwrap();
    }
    let (_, fresh) = memory_plain();
    let of_life = Catalog::load(&lived).unwrap().snapshots.pop().unwrap().1.categories;
    assert_eq!(of_life, capture(&fresh, dir.path()).unwrap().record.categories);
}

#[test]
fn an_unchanged_database_is_not_read_and_one_that_was_only_touched_stores_nothing() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let (again, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(
        (&again["files_read"], &again["bytes"]["read"], &again["bytes"]["new_stored"]),
        (&0.into(), &0.into(), &0.into()),
        "{again}"
    );
    let touched = std::fs::File::options().write(true).open(data.join("data/jellyfin.db")).unwrap();
    touched.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(5)).unwrap();
    let_settle();
    let (touched, _) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(touched["files_read"], 1, "{touched}");
    // The entry's new time is all that is new: a leaf and what is above it.
    assert!(touched["bytes"]["new_raw"].as_u64().unwrap() < 1000, "{touched}");
    let (shown, _) = program.json(&["show", "latest"]);
    assert_eq!(
        (&shown["databases"][0]["path"], &shown["databases"][0]["new_stored"]),
        (&"data/jellyfin.db".into(), &0.into()),
        "{shown}"
    );
    let (stats, _) = program.json(&["stats"]);
    let costs: Vec<_> = stats["stats"]["growth"]
        .as_array()
        .unwrap()
        .iter()
        .map(|growth| growth["database_stored"].as_u64().unwrap())
        .collect();
    assert!(costs[0] > 10_000 && costs[1..] == [0, 0], "{costs:?}");
}

#[test]
fn a_recipe_that_is_damaged_is_named_and_the_next_capture_is_whole() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (backend, repository) = memory();
    let db = database(&path, 500);
    let_settle();
    capture(&repository, dir.path()).unwrap();
    // The last extent of the pack is the recipe; its last byte stands before the trailer.
    let (name, mut bytes) =
        backend.files().into_iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    let index = Index::open(&repository, IndexMode::Use).unwrap();
    let mut end = 0;
    index
        .for_each_extent(|extent| end = end.max(extent.offset + u64::from(extent.stored_bytes)))
        .unwrap();
    bytes[end as usize - 1] ^= 1;
    backend.put(&name, bytes);
    let catalog = Catalog::load(&repository).unwrap();
    let error =
        ops::cat(&repository, &catalog.snapshots[0], b"library.db", &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), jellyvault::ops::ErrorKind::Damaged, "{error}");
    // The same state again cannot use the recipe that is there; another state needs none of the
    // past.
    for sql in ["", "UPDATE items SET name = 'x' WHERE id = 3"] {
        db.execute_batch(sql).unwrap();
        let_settle();
        capture(&repository, dir.path()).unwrap();
        let number = Catalog::load(&repository).unwrap().snapshots.len() - 1;
        assert!(
            cat(&repository, number, "library.db") == std::fs::read(&path).unwrap(),
            "after {sql:?}"
        );
    }
}

#[test]
fn too_little_room_for_the_private_copy_is_said_with_the_numbers() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    let database =
        std::fs::File::options().write(true).open(data.join("data/jellyfin.db")).unwrap();
    // Holes take no room here; a copy might.
    database.set_len(15 << 40).unwrap();
    let_settle();
    let (report, code) = program.json(&["snapshot", data.to_str().unwrap()]);
    assert_eq!(code, 3, "{report}");
    let what = report["problems"][0]["what"].as_str().unwrap();
    assert!(
        what.contains("needs 157")
            && what.contains("MiB are free")
            && what.contains("--scratch-dir"),
        "{what}"
    );
}

#[test]
fn attributes_of_the_database_itself_come_back() {
    let program = Program::new();
    let data = program.home.path().join("jellyfin");
    copy_tree(&own_fixture(), &data);
    rustix::fs::setxattr(
        data.join("data/jellyfin.db"),
        "user.kept",
        b"yes",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
    let_settle();
    program.ok(&["snapshot", data.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap(), "--only", "database"]);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(out.join("data/jellyfin.db"), "user.kept", &mut value), Ok(3));
}

#[test]
fn many_databases_in_one_folder_are_captured_without_waiting_for_each_other() {
    let dir = temp();
    // Enough to be spread over several runs and batches, each with more new pages than a channel
    // holds.
    for number in 0..40 {
        let head = [
            b"SQLite format 3\0\x10\0".as_slice(),
            &noise(&format!("db {number}"), (5 << 20) - 18),
        ]
        .concat();
        for copy in 0..4 {
            write(dir.path().join(format!("{number}/{copy}/other")), "text");
        }
        if number % 4 == 0 {
            write(dir.path().join(format!("{number}/large.db")), head);
        }
        drop(database(
            &{
                let small = dir.path().join(format!("{number}/small.db"));
                std::fs::create_dir_all(small.parent().unwrap()).unwrap();
                small
            },
            5,
        ));
    }
    let_settle();
    let (_, repository) = memory();
    let report = capture(&repository, dir.path()).unwrap();
    assert_eq!(report.record.files.new, 40 * 4 + 10 + 40);
    let catalog = Catalog::load(&repository).unwrap();
    let out = temp();
    restore_to(&repository, &catalog.snapshots[0], out.path()).unwrap();
    assert_same_trees(&facts(dir.path(), &|_| false), &facts(out.path(), &|_| false));
}

/// Copies the packs of one repository into another.
fn merge(from: &MemoryBackend, into: &MemoryBackend) {
    from.files()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("repo"))
        .for_each(|(name, bytes)| into.put(&name, bytes));
}

#[test]
fn recipes_of_one_database_by_two_writers_lead_to_an_end_whichever_pack_is_read_last() {
    // Which of two packs is read last is chance, because their names are random: one try in four
    // would have met the wrong order.
    for _ in 0..12 {
        let dir = temp();
        let path = dir.path().join("library.db");
        let (lived_backend, lived) = memory_plain();
        let db = database(&path, 200);
        let mut versions = Vec::new();
        for step in 0..5 {
            db.execute_batch(&format!("UPDATE items SET name = 'step {step}' WHERE id = {step}"))
                .unwrap();
            let_settle();
            capture(&lived, dir.path()).unwrap();
            versions.push(std::fs::read(&path).unwrap());
        }
        // Somebody else knows only the last two states: theirs are whole, or build on a whole one.
        let (other_backend, other) = memory_plain();
        for version in &versions[3..] {
            write(&path, version);
            let_settle();
            capture(&other, dir.path()).unwrap();
        }
        for (first, second) in [(&lived_backend, &other_backend), (&other_backend, &lived_backend)]
        {
            let both = MemoryBackend::default();
            Repository::init_with(&both, &plain_settings()).unwrap();
            merge(first, &both);
            merge(second, &both);
            let repository = Repository::open_on(Box::new(both)).unwrap();
            let catalog = Catalog::load(&repository).unwrap();
            assert_eq!(catalog.snapshots.len(), 7);
            for number in 0..7 {
                let bytes = cat(&repository, number, "library.db");
                assert!(versions.contains(&bytes), "snapshot {number} is none of the versions");
            }
        }
    }
}

/// Raises an interrupt when the first file was dealt with.
struct Stopper(Interrupt);

impl jellyvault::progress::Progress for Stopper {
    fn phase(&self, _: jellyvault::progress::Phase, _: u64, _: u64) {}
    fn advance(&self, files: u64, _: u64) {
        if files > 0 {
            self.0.raise();
        }
    }
    fn problem(&self, _: &jellyvault::progress::Problem) {}
}

#[test]
fn an_interrupted_capture_leaves_pages_but_no_recipe_that_leads_nowhere() {
    let dir = temp();
    let path = dir.path().join("a/library.db");
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    drop(database(&path, 3000));
    for number in 0..200 {
        write(
            dir.path().join(format!("b/{number}.jpg")),
            [b"\xff\xd8\xff".as_slice(), &noise(&number.to_string(), 60_000)].concat(),
        );
    }
    let_settle();
    let (_, repository) = memory();
    let interrupt = Interrupt::default();
    let monitor = Monitor { progress: std::sync::Arc::new(Stopper(interrupt.clone())), interrupt };
    let spec = ops::SourceSpec::plain(dir.path()).unwrap();
    let options = ops::SnapshotOptions { threads: 1, ..Default::default() };
    let outcome = ops::snapshot(&repository, &spec, &options, &monitor);
    assert!(
        matches!(outcome, Err(ops::Error::Interrupted)),
        "{:?}",
        outcome.map(|report| report.packs)
    );
    let index = Index::open(&repository, IndexMode::Use).unwrap();
    let (mut pages, mut recipes) = (0, 0);
    index
        .for_each_extent(|extent| {
            recipes += usize::from(extent.kind.is_recipe());
            pages += usize::from(extent.kind == jellyvault::store::ExtentKind::Pages);
        })
        .unwrap();
    assert!(pages > 0 && recipes == 0, "{pages} extents of pages, {recipes} recipes");
    let again = capture(&repository, dir.path()).unwrap().record.bytes;
    assert!(matches!(content(&repository, 0, "a/library.db"), Content::Pages(_)));
    assert_eq!(cat(&repository, 0, "a/library.db"), std::fs::read(&path).unwrap());
    assert!(
        again.new_raw < again.read - std::fs::metadata(&path).unwrap().len() / 2,
        "the pages of the interrupted capture were stored again: {again:?}"
    );
}

#[test]
fn a_restored_database_lies_beside_no_log_of_another_even_in_a_plain_folder() {
    let program = Program::new();
    let source = program.home.path().join("source");
    std::fs::create_dir(&source).unwrap();
    drop(database(&source.join("library.db"), 50));
    let expected = rows(&source.join("library.db"));
    write(source.join("library.db-journal"), "");
    let_settle();
    program.ok(&["snapshot", "--plain", source.to_str().unwrap()]);
    let out = program.home.path().join("out");
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert!(!out.join("library.db-journal").exists());
    // Another life of the restored database, its log not folded in.
    let db = rusqlite::Connection::open(out.join("library.db")).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; DELETE FROM items WHERE id > 3").unwrap();
    let kept = program.home.path().join("kept");
    std::fs::copy(out.join("library.db-wal"), &kept).unwrap();
    drop(db);
    std::fs::copy(&kept, out.join("library.db-wal")).unwrap();
    program.ok(&["restore", "latest", "--to", out.to_str().unwrap()]);
    assert!(!out.join("library.db-wal").exists());
    assert_eq!(rows(&out.join("library.db")), expected);
}
