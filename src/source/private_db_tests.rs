//! Databases that would take all memory.

use std::os::unix::fs::FileExt;

use super::*;

const PAGE: u64 = 65536;

/// Seven bits to a byte, the highest first.
fn varint(mut number: u64) -> Vec<u8> {
    let mut bytes = vec![(number & 0x7f) as u8];
    while number > 0x7f {
        number >>= 7;
        bytes.push((number & 0x7f) as u8 | 0x80);
    }
    bytes.reverse();
    bytes
}

/// Puts a key of one letter, and behind it one of so many zeros, into the empty index whose root is
/// page 2. SQLite itself would need more memory for it than it may have here; and most of the file
/// is a hole.
fn put_key(path: &Path, len: u64) {
    let serial = varint(len * 2 + 12);
    let header = [vec![serial.len() as u8 + 1], serial].concat();
    let payload = header.len() as u64 + len;
    let (most, least) = ((PAGE - 12) * 64 / 255 - 23, (PAGE - 12) * 32 / 255 - 23);
    let local = Some(least + (payload - least) % (PAGE - 4)).filter(|local| *local <= most);
    let local = local.unwrap_or(least);
    let links = (payload - local).div_ceil(PAGE - 4);

    let mut cell = [varint(payload), header].concat();
    cell.resize(varint(payload).len() + local as usize, 0);
    cell.extend_from_slice(&3u32.to_be_bytes());
    let first = PAGE - 4;
    let start = first - cell.len() as u64;
    let [[high, low], [first_high, first_low]] = [start, first].map(|at| (at as u16).to_be_bytes());
    let file = std::fs::File::options().write(true).open(path).unwrap();
    let head = [0x0a, 0, 0, 0, 2, high, low, 0, first_high, first_low, high, low];
    file.write_all_at(&head, PAGE).unwrap();
    file.write_all_at(&[3, 2, 15, b'a'], PAGE + first).unwrap();
    file.write_all_at(&cell, PAGE + start).unwrap();
    for link in 1..links {
        file.write_all_at(&(link as u32 + 3).to_be_bytes(), (link + 1) * PAGE).unwrap();
    }
    file.set_len((links + 2) * PAGE).unwrap();
    file.write_all_at(&(links as u32 + 2).to_be_bytes(), 28).unwrap();
}

#[test]
fn no_key_takes_all_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("jellyfin.db");
    let made = Connection::open(&path).unwrap();
    made.execute_batch(
        "PRAGMA page_size = 65536; CREATE TABLE history(id PRIMARY KEY) WITHOUT ROWID",
    )
    .unwrap();
    drop(made);
    let search = || {
        let db = open_private(&path, &Interrupt::default()).unwrap();
        db.query_row("SELECT count(*) FROM history WHERE id > x'01'", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    put_key(&path, 8 << 20);
    assert_eq!(search().unwrap(), 0);

    put_key(&path, HEAP_BYTES_MAX as u64);
    let error = search().unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::OutOfMemory), "{error}");
}
