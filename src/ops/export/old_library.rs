//! The databases of a server before 10.11, which kept its library in one of its own. In an exact
//! zip they stand beside `jellyfin.db`: a server of 10.11 or 12 that restores it finds them at its
//! next start and brings all of it over, as at an upgrade in place.

use rusqlite::Connection;

use crate::archive::Standing;
use crate::manifest::{SnapshotId, SnapshotRecord, find};
use crate::progress::Interrupt;
use crate::source::{Category, open_private};
use crate::store::{ChunkReader, Repository};

use super::super::Error;
use super::super::ls::short;
use super::database::{PrivateDatabase, private_copy};

/// The library, with the watch state.
const LIBRARY: &str = "data/library.db";
/// The same where the upgrade has read part of it.
const LIBRARY_MOVED: &str = "data/library.db.old";
/// All of them, as far as a server had them; `jellyfin.db` comes by itself.
const NAMES: [&str; 6] = [
    LIBRARY,
    LIBRARY_MOVED,
    "data/authentication.db",
    "data/displaypreferences.db",
    "data/activitylog.db",
    "data/users.db",
];

/// Columns without which 10.11 cannot read a library: servers before 10.9.11 did not make them all.
const NEEDED: [(&str, &str); 3] = [
    ("TypedBaseItems", "lufs"),
    ("TypedBaseItems", "normalizationgain"),
    ("mediastreams", "dvversionmajor"),
];

/// The name in the zip of such a database.
pub(super) fn name_in_zip(logical: &str) -> Option<String> {
    NAMES.contains(&logical).then(|| logical.replacen("data/", "Data/", 1))
}

/// Whether a zip must hold them.
pub(super) fn is_needed(database: &PrivateDatabase) -> bool {
    matches!(
        database.standing,
        Standing::Legacy | Standing::Between { is_library_pending: true, .. }
    )
}

/// Refuses a library that the server which restores the zip could not read, or that is not in the
/// snapshot.
pub(super) fn check(
    (id, record): &(SnapshotId, SnapshotRecord),
    repository: &Repository,
    reader: &mut ChunkReader<'_>,
    interrupt: &Interrupt,
) -> Result<(), Error> {
    let mut find_in = |path: &str| match record.category(Category::Database.name()) {
        Some(category) => find(reader, category.manifest, path.as_bytes()),
        None => Ok(None),
    };
    let entry = find_in(LIBRARY)?;
    if entry.is_none() && find_in(LIBRARY_MOVED)?.is_some() {
        return Ok(());
    }
    let Some(entry) = entry else {
        return Err(Error::Refused {
            what: format!(
                "snapshot {} does not contain data/library.db, where a server before 10.11 stores its library. The zip would restore a server without items",
                short(id)
            ),
            hint: "Choose another snapshot: run jellyvault list.".to_owned(),
        });
    };
    let (_folder, path) = private_copy(&entry, LIBRARY.as_bytes(), id, repository, reader)?;
    let missing = open_private(&path, interrupt).and_then(|library| missing_columns(&library)).map_err(|source| Error::Refused {
        what: format!("data/library.db of snapshot {} cannot be read ({source}), so a newer server could not migrate its library", short(id)),
        hint: "Choose another snapshot: run jellyvault list.".to_owned(),
    })?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Refused {
        what: format!(
            "the library of snapshot {} is of a server before 10.9.11 (it lacks {}). Jellyfin 10.11 and newer cannot migrate it and would not start",
            short(id),
            missing.join(", ")
        ),
        hint: "Restore it with the same Jellyfin version (restore --in-place), upgrade that server to 10.10.7, take a snapshot and export that with --exact."
            .to_owned(),
    })
}

fn missing_columns(library: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut missing = Vec::new();
    for (table, column) in NEEDED {
        let sql = "SELECT count(*) FROM pragma_table_info(?1) WHERE name = ?2 COLLATE NOCASE";
        if library.query_row(sql, [table, column], |row| row.get::<_, i64>(0))? == 0 {
            missing.push(format!("{table}.{column}"));
        }
    }
    Ok(missing)
}
