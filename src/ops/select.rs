//! One path of a snapshot, in whichever category it is.

use crate::manifest::{CategoryRecord, Entries, Entry, SnapshotRecord, find};
use crate::source::Category;
use crate::store::ChunkReader;

use super::Error;

/// A path of a snapshot.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Its category.
    pub category: Category,
    /// Its entry.
    pub entry: Entry,
}

/// The categories of a snapshot with their records, in order.
pub(super) fn categories(
    record: &SnapshotRecord,
) -> impl Iterator<Item = (Category, &CategoryRecord)> {
    record.categories.iter().filter_map(|(name, category)| Some((name.parse().ok()?, category)))
}

/// The entry of a path.
pub(super) fn lookup(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    path: &[u8],
) -> Result<Option<Selected>, Error> {
    for (category, root) in categories(record) {
        if let Some(entry) = find(reader, root.manifest, path)? {
            return Ok(Some(Selected { category, entry }));
        }
    }
    Ok(None)
}

/// The entry of a path and all below it, of all categories, each category in order.
pub(super) fn below(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    path: &[u8],
    mut each: impl FnMut(Category, Entry) -> Result<(), Error>,
) -> Result<(), Error> {
    for (category, root) in categories(record) {
        for entry in Entries::within(reader, root.manifest, path) {
            each(category, entry?)?;
        }
    }
    Ok(())
}

/// The first component of a logical path: the root that it is in.
pub fn root_of(path: &[u8]) -> &[u8] {
    path.split(|b| *b == b'/').next().unwrap_or_default()
}
