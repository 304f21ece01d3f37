//! A database from any bytes, compared with a sound one: an error or an answer, never a panic,
//! never without end.
#![no_main]

use std::io::Write;
use std::sync::OnceLock;

use jellyvault::database::{Database, Error, Lookup, Pages, compare_databases};
use libfuzzer_sys::fuzz_target;

/// A small sound database with rows that overflow, an index and a table that is its own.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("jellyvault-fuzz-{}.db", std::process::id()));
        let db = rusqlite::Connection::open(&path).unwrap();
        db.execute_batch(
            "PRAGMA page_size = 512; CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, a REAL, b); CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO t SELECT printf('%04d', i), i, hex(zeroblob(i * 9)) FROM n;
             INSERT INTO w SELECT id, b FROM t;",
        )
        .unwrap();
        db.close().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        bytes
    })
}

fn open(bytes: &[u8]) -> Result<Database<'static>, Error> {
    let mut file = tempfile::tempfile()?;
    file.write_all(bytes)?;
    Database::open(Pages::of_file(file, &Default::default())?)
}

fuzz_target!(|bytes: &[u8]| {
    // Patches of the sound one reach deeper than bytes out of nowhere: (place, new byte) again and
    // again.
    let mut patched = sound().to_vec();
    for patch in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % patched.len();
        patched[at] = patch[2];
    }
    for candidate in [bytes, &patched] {
        let Ok(mut other) = open(candidate) else { continue };
        let mut own = open(sound()).unwrap();
        let outcome = compare_databases(&mut own, &mut other, |_, _| -> Result<(), Error> { Ok(()) });
        if candidate == sound() {
            assert!(outcome.unwrap().tables.is_empty());
        }
        drop(Lookup::new(&mut other).all_by_text("t", "0007", 8));
    }
});
