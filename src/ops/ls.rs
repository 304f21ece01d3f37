//! `ls`: what lies under a path of a snapshot.

use crate::manifest::{Entry, SnapshotId, SnapshotRecord, compare, display};
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::select::below;

/// Entries with their categories' words.
pub type Listing = Vec<(&'static str, Entry)>;

/// Lists a path: the entry itself where it is no directory, otherwise what is in it, or all below
/// it. Hands over entries in order of path within each category.
pub fn ls(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    path: &[u8],
    recursive: bool,
    mut each: impl FnMut(&'static str, Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let depth = if path.is_empty() { 0 } else { path.split(|b| *b == b'/').count() };
    let mut met = false;
    // Without -r the entries of all categories are few: they are put in one order.
    let mut direct: Listing = Vec::new();
    below(&mut reader, &snapshot.1, path, |category, entry| {
        met = true;
        let levels = entry.path.split(|b| *b == b'/').count();
        let is_dir = matches!(entry.kind, crate::manifest::Kind::Directory);
        if recursive {
            return each(category.name(), entry);
        }
        if levels == depth + 1 || (levels == depth && !is_dir) {
            direct.push((category.name(), entry));
        }
        Ok(())
    })?;
    if !met && !path.is_empty() {
        return Err(Error::NoPath { snapshot: short(&snapshot.0), path: display(path) });
    }
    direct.sort_by(|(_, a), (_, b)| compare(&a.path, &b.path));
    direct.into_iter().try_for_each(|(category, entry)| each(category, entry))
}

/// An id as it is shown in sentences.
pub(super) fn short(id: &SnapshotId) -> String {
    id.to_string().chars().take(12).collect()
}
