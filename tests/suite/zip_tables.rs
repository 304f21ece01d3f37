//! Rows of real servers' databases become the very bytes that those servers wrote into their own backups.

use std::io::Read;
use std::path::{Path, PathBuf};

use jellyvault::archive::{DumpStyle, Repairs, Schema, dump_history, dump_table, mend, read_history};
use rusqlite::Connection;

use super::support::{shared_fixtures, temp};

/// Databases with the zip that their server made of them.
pub fn pairs() -> Vec<(PathBuf, PathBuf)> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/zips");
    let mut pairs: Vec<_> =
        ["extremes-12.0", "extremes-10.11.11"].iter().map(|name| (own.join(format!("{name}.db")), own.join(format!("{name}.zip")))).collect();
    if let Some(shared) = shared_fixtures() {
        let unpack = |archive: &str| {
            let dir = std::env::temp_dir().join(format!("jellyvault-fixtures-{}", blake3::hash(archive.as_bytes()).to_hex().split_at(8).0));
            if !dir.join("done").exists() {
                std::fs::create_dir_all(&dir).unwrap();
                let status = std::process::Command::new("tar").arg("--zstd").arg("-xf").arg(shared.join(archive)).arg("-C").arg(&dir).status().unwrap();
                assert!(status.success());
                std::fs::write(dir.join("done"), b"").unwrap();
            }
            dir
        };
        let days = unpack("attic-12.0/days.tar.zst");
        for zip in ["server-full.zip", "server-min.zip"] {
            pairs.push((days.join("day1/data/data/jellyfin.db"), shared.join("attic-12.0").join(zip)));
        }
        let versions = unpack("attic-upgrade/versions.tar.zst");
        for version in ["10.11.6", "10.11.11", "12.0"] {
            pairs.push((versions.join(version).join("data/data/jellyfin.db"), shared.join(format!("attic-upgrade/server-{version}.zip"))));
        }
    }
    pairs
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
        assert!(entry(&zip, "Database/HistoryRow.json") == dump_history(&history), "{}: history", zip.display());
        for table in &schema.tables {
            let mut bytes = Vec::new();
            dump_table::<()>(&db, schema, table, DumpStyle::default(), &mut |block| {
                bytes.append(block);
                Ok(())
            })
            .unwrap();
            let expected = entry(&zip, &format!("Database/{}.json", table.name));
            let differs = bytes.iter().zip(&expected).position(|(a, b)| a != b);
            let around = |bytes: &[u8]| differs.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 60).min(bytes.len())]).into_owned());
            assert!(bytes == expected, "{} {}: {:?} instead of {:?}", zip.display(), table.name, around(&bytes), around(&expected));
        }
    }
}

#[test]
fn a_healthy_database_needs_no_mending() {
    for (database, _) in pairs() {
        let (_dir, db) = open_copy(&database);
        let schema = Schema::of(&read_history(&db).unwrap()).unwrap();
        assert_eq!(mend(&db, schema, 0).unwrap(), Repairs::default(), "{}", database.display());
    }
}
