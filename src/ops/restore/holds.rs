//! Does a snapshot hold what a restore must not empty: users, and items of the library?

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::DATABASE_PATH;
use crate::store::{ChunkReader, Repository};

use super::super::Error;
use super::super::rows::{LIBRARY, LIBRARY_ITEMS, Which, open_state};
use super::super::select::lookup;

/// Whether the snapshot's database has users, or may have: one that cannot be read is told when it
/// is restored.
pub(in crate::ops) fn has_users_in(
    repository: &Repository,
    snapshot: (&SnapshotId, &SnapshotRecord),
) -> Result<bool, Error> {
    has_rows_in(repository, snapshot, "Users")
}

pub(super) fn has_rows_in(
    repository: &Repository,
    snapshot: (&SnapshotId, &SnapshotRecord),
    table: &str,
) -> Result<bool, Error> {
    // The items begin with a placeholder that every server has.
    let placeholders = usize::from(table == "BaseItems");
    if has_rows_of(repository, snapshot, DATABASE_PATH, table, placeholders)?.unwrap_or(true) {
        return Ok(true);
    }
    // Before 10.11, and until an upgrade has moved them, the items are in a database of their own.
    Ok(table == "BaseItems"
        && has_rows_of(repository, snapshot, LIBRARY, LIBRARY_ITEMS, 0)?.unwrap_or(false))
}

/// Whether a table of a snapshot's database has more than so many rows; nothing where there is no
/// such database. One that is damaged may have them.
fn has_rows_of(
    repository: &Repository,
    snapshot: (&SnapshotId, &SnapshotRecord),
    database: &[u8],
    table: &str,
    more_than: usize,
) -> Result<Option<bool>, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let entry = match lookup(&mut reader, snapshot.1, database) {
        Ok(Some(found)) => found.entry,
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => return Ok(Some(true)),
        Err(error) => return Err(error),
    };
    if entry.size() == 0 {
        return Ok(Some(false));
    }
    let state = open_state(
        repository,
        &index,
        &Which::Snapshot(&(*snapshot.0, snapshot.1.clone())),
        database,
    );
    match state.and_then(|state| state.map_or(Ok(true), |state| state.has_rows(table, more_than))) {
        Ok(has) => Ok(Some(has)),
        Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => Ok(Some(true)),
        Err(error) => Err(error),
    }
}
