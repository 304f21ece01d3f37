//! A database that its server rewrites: a VACUUM costs next to nothing, every state comes back, and
//! deletion moves what is left of old extents.

use jellyvault::backend::MemoryBackend;
use jellyvault::manifest::{Catalog, Content};
use jellyvault::ops::{self, MaxUnused};
use jellyvault::store::{ChunkReader, Index, IndexMode, RepoConfig, Repository};

use super::pages::{cat, content, memory};
use super::support::*;

/// A library in small: a table with long rows of its own, one of pairs whose rows have one length,
/// indexes over both.
fn library(path: &std::path::Path, items: u32) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF;
        CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT, overview TEXT); CREATE INDEX items_name ON items (name);
        CREATE TABLE parents (item TEXT, parent TEXT, PRIMARY KEY (item, parent)); CREATE INDEX parents_parent ON parents (parent);
        CREATE TABLE notes (id INTEGER PRIMARY KEY, body BLOB); BEGIN",
    )
    .unwrap();
    for item in 0..items {
        let key: String =
            noise(&format!("key {item}"), 16).iter().map(|byte| format!("{byte:02x}")).collect();
        let overview: String = noise(&format!("text {item}"), 90 + item as usize % 200)
            .iter()
            .map(|byte| char::from(b'a' + byte % 26))
            .collect();
        db.execute(
            "INSERT INTO items VALUES (?1, ?2, ?3)",
            (&key, format!("item {}", item.wrapping_mul(2_654_435_761)), overview),
        )
        .unwrap();
        for parent in 0..3 {
            db.execute(
                "INSERT INTO parents VALUES (?1, ?2)",
                (&key, format!("{:032x}", item % 50 + parent)),
            )
            .unwrap();
        }
    }
    db.execute("INSERT INTO notes (body) VALUES (?1)", [noise("note", 50_000)]).unwrap();
    db.execute_batch("COMMIT; VACUUM").unwrap();
    db
}

#[test]
fn a_vacuum_costs_next_to_nothing_and_every_state_comes_back() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (_, repository) = memory();
    let db = library(&path, 6000);
    let mut states = Vec::new();
    let mut state = |sql: &str| {
        db.execute_batch(sql).unwrap();
        let_settle();
        let bytes = capture(&repository, dir.path()).unwrap().record.bytes;
        states.push(std::fs::read(&path).unwrap());
        bytes.new_stored
    };
    let first = state("");
    for day in 0..3 {
        let light = state(&format!(
            "UPDATE items SET overview = overview || ' more' WHERE rowid % 2000 = {day}; DELETE FROM items WHERE rowid = {0};
            DELETE FROM parents WHERE item NOT IN (SELECT id FROM items)",
            day * 7 + 1
        ));
        let vacuum = state("VACUUM");
        let again = state("VACUUM");
        println!("first {first}, light day {light}, VACUUM {vacuum}, once more {again}");
        assert!(light < first / 25, "{light} of {first}");
        assert!(vacuum < first / 100, "{vacuum} of {first}");
        assert!(again < 4_000, "{again}");
    }
    for (number, bytes) in states.iter().enumerate() {
        assert!(cat(&repository, number, "library.db") == *bytes, "state {number} differs");
    }
    assert_clean(&repository, "after all");
}

/// Bytes of all packs.
fn packs(backend: &MemoryBackend) -> usize {
    backend
        .files()
        .iter()
        .filter(|(name, _)| name.starts_with("packs/"))
        .map(|(_, bytes)| bytes.len())
        .sum()
}

#[test]
fn pruning_moves_the_groups_that_are_left() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let (backend, repository) = memory();
    let db = library(&path, 3000);
    let mut last = Vec::new();
    for step in 0..10 {
        db.execute_batch(&format!(
            "UPDATE items SET overview = overview || '{step}' WHERE rowid % 10 = {step}"
        ))
        .unwrap();
        let_settle();
        capture(&repository, dir.path()).unwrap();
        last.push(std::fs::read(&path).unwrap());
    }
    let ids: Vec<_> =
        Catalog::load(&repository).unwrap().snapshots.iter().map(|(id, _)| *id).collect();
    ops::forget(&repository, &ids[..8]).unwrap();
    let before = packs(&backend);
    prune_to(&repository, MaxUnused::Percent(0.0)).unwrap();
    let after = packs(&backend);
    assert_clean(&repository, "after the prune");
    for (number, bytes) in last[8..].iter().enumerate() {
        assert!(cat(&repository, number, "library.db") == *bytes, "state {number} differs");
    }
    let (fresh_backend, fresh) = memory();
    let folder = temp();
    for bytes in &last[8..] {
        write(folder.path().join("library.db"), bytes);
        let_settle();
        capture(&fresh, folder.path()).unwrap();
    }
    let fresh = packs(&fresh_backend);
    // Extents of which more than half is needed stay.
    assert!(
        after < before / 2 && after < fresh * 2,
        "{before} before, {after} after, {fresh} in a fresh repository"
    );
    // What is taken next builds on recipes that were written anew.
    db.execute_batch("DELETE FROM items WHERE rowid % 100 = 1; VACUUM").unwrap();
    let_settle();
    let stored = capture(&repository, dir.path()).unwrap().record.bytes.new_stored;
    assert!(stored < fresh as u64 / 4, "{stored} of {fresh}");
    assert!(cat(&repository, 2, "library.db") == std::fs::read(&path).unwrap());
    assert_clean(&repository, "after the next capture");
}

/// Whether a database of a snapshot is kept as cells.
fn has_cells(repository: &Repository, number: usize) -> bool {
    let Content::Pages(id) = content(repository, number, "library.db") else {
        panic!("not stored as a database")
    };
    let index = Index::open(repository, IndexMode::Use).unwrap();
    ChunkReader::new(repository, &index).recipe(&id).unwrap().cells.is_some()
}

#[test]
fn a_repository_of_format_1_goes_on_with_pages() {
    let dir = temp();
    let path = dir.path().join("library.db");
    let backend = MemoryBackend::default();
    Repository::init_with(&backend, &RepoConfig { format: 1, ..plain_settings() }).unwrap();
    let repository = Repository::open_on(Box::new(backend)).unwrap();
    let db = library(&path, 1000);
    let mut states = Vec::new();
    for sql in ["", "DELETE FROM items WHERE rowid = 5", "VACUUM"] {
        db.execute_batch(sql).unwrap();
        let_settle();
        capture(&repository, dir.path()).unwrap();
        states.push(std::fs::read(&path).unwrap());
    }
    for (number, bytes) in states.iter().enumerate() {
        assert!(!has_cells(&repository, number));
        assert!(cat(&repository, number, "library.db") == *bytes, "state {number} differs");
    }
    assert_clean(&repository, "format 1");
    assert!(has_cells(
        &{
            let (_, repository) = memory();
            capture(&repository, dir.path()).unwrap();
            repository
        },
        0
    ));
}
