//! Rows of real servers' databases become the very bytes that those servers wrote into their own
//! backups.

use std::io::Read;
use std::path::{Path, PathBuf};

use jellyvault::archive::{
    DumpStyle, Repairs, Schema, dump_history, dump_table, mend, read_history,
};
use rusqlite::Connection;

use super::support::{servers, temp};

/// Whole data directories with the zip that their server made of them.
pub fn directories() -> Vec<(PathBuf, PathBuf)> {
    let attic = servers("attic-servers");
    let pair =
        |data: &str, zip: &str| (attic.join(data).join("data"), attic.join("zips").join(zip));
    vec![
        pair("day1", "12.0-full.zip"),
        pair("day1", "12.0-min.zip"),
        pair("10.11.6", "10.11.6.zip"),
        pair("10.11.11", "10.11.11.zip"),
        pair("12.0", "12.0.zip"),
    ]
}

/// The data directory of 10.11.6 with the zip that the server made of it.
pub fn of_10_11_6() -> (PathBuf, PathBuf) {
    directories().swap_remove(2)
}

/// Databases of extreme values with the zip that their server made of them.
pub fn extremes() -> [(PathBuf, PathBuf); 2] {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zips");
    ["extremes-12.0", "extremes-10.11.11"]
        .map(|name| (own.join(format!("{name}.db")), own.join(format!("{name}.zip"))))
}

/// Databases with the zip that their server made of them.
pub fn pairs() -> Vec<(PathBuf, PathBuf)> {
    extremes()
        .into_iter()
        .chain(directories().into_iter().map(|(data, zip)| (data.join("data/jellyfin.db"), zip)))
        .collect()
}

pub fn entry(zip: &Path, name: &str) -> Vec<u8> {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(zip).unwrap()).unwrap();
    let mut bytes = Vec::new();
    zip.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// A private copy of a database, open.
pub fn open_copy(database: &Path) -> (tempfile::TempDir, Connection) {
    let dir = temp();
    let copy = dir.path().join("db");
    std::fs::copy(database, &copy).unwrap();
    let db = Connection::open(copy).unwrap();
    (dir, db)
}

#[test]
fn tables_are_byte_for_byte_what_their_server_wrote() {
    for (database, zip) in pairs() {
        let (_dir, db) = open_copy(&database);
        let history = read_history(&db).unwrap();
        let schema = Schema::of(&history).unwrap();
        assert!(
            entry(&zip, "Database/HistoryRow.json") == dump_history(&history),
            "{}: history",
            zip.display()
        );
        for table in &schema.tables {
            let mut bytes = Vec::new();
            dump_table::<()>(&db, schema, table, DumpStyle::default(), &mut |block| {
                bytes.append(block);
                Ok(())
            })
            .unwrap();
            let expected = entry(&zip, &format!("Database/{}.json", table.name));
            let differs = bytes.iter().zip(&expected).position(|(a, b)| a != b);
            let around = |bytes: &[u8]| {
                differs.map(|at| {
                    String::from_utf8_lossy(
                        &bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())],
                    )
                    .into_owned()
                })
            };
            assert!(
                bytes == expected,
                "{} {}: {:?} instead of {:?}",
                zip.display(),
                table.name,
                around(&bytes),
                around(&expected)
            );
        }
    }
}

#[test]
fn a_healthy_database_needs_no_mending() {
    for (database, _) in pairs() {
        let (_dir, db) = open_copy(&database);
        let schema = Schema::of(&read_history(&db).unwrap()).unwrap();
        assert_eq!(
            mend(&db, schema, 0, &|| false).unwrap(),
            Repairs::default(),
            "{}",
            database.display()
        );
    }
}

#[test]
fn a_large_table_is_handed_on_in_small_blocks() {
    let (database, _) = pairs().swap_remove(0);
    let (_dir, db) = open_copy(&database);
    db.execute_batch(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO ActivityLogs (Name, Type, UserId, DateCreated, LogSeverity, RowVersion) SELECT 'row ' || i, 'x', '00000000-0000-0000-0000-000000000000', '2026-11-22 16:42:21', 2, 0 FROM n",
    )
    .unwrap();
    let schema = Schema::of(&read_history(&db).unwrap()).unwrap();
    let (mut all, mut largest) = (0, 0);
    let rows = dump_table::<()>(
        &db,
        schema,
        schema.table("ActivityLogs").unwrap(),
        DumpStyle::default(),
        &mut |block| {
            all += block.len();
            largest = largest.max(block.len());
            Ok(())
        },
    )
    .unwrap();
    assert!(rows >= 60_000 && all > 10_000_000, "{rows} {all}");
    assert!(largest < 300_000, "{largest}");
}
