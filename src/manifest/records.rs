//! The files of snapshots' records.

use crate::backend::Span;
use crate::limits::RECORD_BYTES_MAX;
use crate::store::{self, RecordKind, Repository, decode_record, snapshot_name};

use super::SnapshotId;
use super::record::SnapshotRecord;
use super::record_cache::RecordCache;

/// Records, and those that are damaged, by name.
pub(super) type Loaded = (Vec<(SnapshotId, SnapshotRecord)>, Vec<(String, store::Error)>);

pub(super) fn id_of(name: &str) -> Option<SnapshotId> {
    let stem = name.strip_prefix("snapshots/")?.strip_suffix(".snap")?;
    (stem.len() == 32)
        .then(|| u128::from_str_radix(stem, 16).ok())
        .flatten()
        .map(|id| SnapshotId(id.to_be_bytes()))
}

/// Reads one record.
pub(super) fn load(
    repository: &Repository,
    id: SnapshotId,
) -> Result<SnapshotRecord, store::Error> {
    let name = snapshot_name(&id.0);
    let bytes = repository.backend().read(&name, Span::Whole { limit: RECORD_BYTES_MAX })?;
    decode_record(RecordKind::Snapshot, repository.sealer(), &id.0, &bytes)
        .map_err(|what| store::Error::Record { name, what })
}

/// Whether a record that was listed a moment ago is gone: another process forgot the snapshot
/// meanwhile. One that is lost the list's chain tells.
pub(super) fn was_forgotten(error: &store::Error) -> bool {
    matches!(error, store::Error::Backend(crate::backend::Error::Missing { .. }))
}

/// The snapshots whose records are there, readable or not.
pub(super) fn ids(repository: &Repository) -> Result<Vec<SnapshotId>, store::Error> {
    Ok(repository.backend().names("snapshots/")?.iter().filter_map(|name| id_of(name)).collect())
}

/// All of them. Which are there is asked each time; what they say only where `cache` does not know.
pub(super) fn load_all(
    repository: &Repository,
    cache: Option<&RecordCache>,
) -> Result<Loaded, store::Error> {
    let mut loaded = Loaded::default();
    for name in repository.backend().names("snapshots/")? {
        let Some(id) = id_of(&name) else { continue };
        let read = || load(repository, id);
        match cache.map_or_else(read, |cache| cache.get(id, read)) {
            Ok(record) => loaded.0.push((id, record)),
            Err(error) if was_forgotten(&error) => {}
            Err(error) if error.is_damage() => loaded.1.push((name, error)),
            Err(error) => return Err(error),
        }
    }
    cache.iter().for_each(|cache| cache.keep_listed(&loaded.0));
    Ok(loaded)
}
