//! Notes of the snapshots that are taken before a move: whether the move began, and whether it was
//! undone.

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::store::Repository;

use super::Error;

/// The move has not written anything …
pub(super) const PLANNED: &str = "before a move that was not made";
/// … it has, and `--undo` can go back from it …
pub(super) const BEFORE: &str = "before a move";
/// … and it was undone.
pub(super) const UNDONE: &str = "before a move that was undone";

/// Whether a snapshot has the state before a move that can be undone.
pub(super) fn is_before_move(record: &SnapshotRecord) -> bool {
    record.is_safety() && record.note.as_deref() == Some(BEFORE)
}

/// Notes that the move before which a snapshot was taken begins to write.
pub(super) fn move_begins(repository: &Repository, id: SnapshotId) -> Result<(), Error> {
    let taken = Catalog::load(repository)?.snapshots.into_iter().find(|(known, record)| {
        *known == id && record.is_safety() && record.note.as_deref() == Some(PLANNED)
    });
    taken.map_or(Ok(()), |taken| note(repository, &taken, BEFORE))
}

/// Gives a snapshot another note, and with it another id of the same moment.
pub(super) fn note(
    repository: &Repository,
    (id, record): &(SnapshotId, SnapshotRecord),
    note: &str,
) -> Result<(), Error> {
    let noted = SnapshotRecord { note: Some(note.to_owned()), ..record.clone() };
    Ok(Catalog::replace(repository, &[*id], noted_id(id, note), &noted, false)?)
}

/// The id that a snapshot has once it has another note.
pub(super) fn noted_id(id: &SnapshotId, note: &str) -> SnapshotId {
    let mut random = [0; 10];
    let mut hash = blake3::Hasher::new();
    hash.update(&id.0).update(note.as_bytes());
    hash.finalize_xof().fill(&mut random);
    SnapshotId::at(id.time_ms(), random)
}
