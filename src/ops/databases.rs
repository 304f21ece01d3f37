//! What did the databases cost in each snapshot? The extents and recipes that no older snapshot
//! needed.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entries, Kind, SnapshotId, SnapshotRecord, instance_of};
use crate::source::Category;
use crate::store::{ChunkReader, Index};

use super::Error;
use super::reach::RecipeBodies;

/// A database of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseCost {
    /// Its logical path.
    pub path: Vec<u8>,
    /// Bytes of a page.
    pub page_bytes: u32,
    /// Its pages.
    pub pages: u64,
    /// Stored bytes that the snapshots it is compared with do not need for their databases.
    pub new_stored: u64,
}

/// Entries of a plain folder that are gone through to find its databases.
const SEARCHED_MAX: u64 = 100_000;

/// The databases of a snapshot that are stored by pages: path and identity.
pub(super) fn databases_of(
    record: &SnapshotRecord,
    reader: &mut ChunkReader<'_>,
) -> Result<Vec<(Vec<u8>, ChunkId)>, Error> {
    let mut found = Vec::new();
    let plain = record.category(Category::Other.name()).filter(|other| {
        record.source.directories.contains_key("folder") && other.entries <= SEARCHED_MAX
    });
    for category in record.category(Category::Database.name()).into_iter().chain(plain) {
        for entry in Entries::all(reader, category.manifest) {
            let entry = entry?;
            if let Kind::File { content: Content::Pages(id), .. } = entry.kind {
                found.push((entry.path, id));
            }
        }
    }
    Ok(found)
}

/// Adds up what databases cost, from one snapshot to the next.
#[derive(Default)]
pub(super) struct DatabaseCosts {
    seen: HashSet<ChunkId>,
    recipes: RecipeBodies,
    /// Bytes of a page, and pages, of the databases that were met.
    met: HashMap<ChunkId, (u32, u64)>,
}

impl DatabaseCosts {
    /// What the databases of the next snapshot cost beyond those before.
    pub(super) fn next(
        &mut self,
        record: &SnapshotRecord,
        reader: &mut ChunkReader<'_>,
        index: &Index,
    ) -> Result<Vec<DatabaseCost>, Error> {
        let mut costs = Vec::new();
        for (path, id) in databases_of(record, reader)? {
            let mut new_stored = 0;
            let (page_bytes, pages) = match self.met.get(&id) {
                Some(met) => *met,
                None => {
                    let (met, parts) = self.parts(&id, reader)?;
                    let new: Vec<_> =
                        parts.into_iter().filter(|chunk| self.seen.insert(*chunk)).collect();
                    new_stored = stored_bytes(new, index)?;
                    self.met.insert(id, met);
                    met
                }
            };
            costs.push(DatabaseCost { path, page_bytes, pages, new_stored });
        }
        Ok(costs)
    }

    /// Bytes of a page, pages, and the chunks that a database needs; perhaps without those that
    /// were seen.
    fn parts(
        &mut self,
        id: &ChunkId,
        reader: &mut ChunkReader<'_>,
    ) -> Result<((u32, u64), Vec<ChunkId>), Error> {
        let (body, mut parts) = self.recipes.stored(id, reader)?;
        if let (Some(cells), Some(base)) = (&body.cells, body.base)
            && self.met.contains_key(&base)
        {
            parts.extend_from_slice(&body.extents);
            return Ok(((body.page_bytes, u64::from(cells.pages)), parts));
        }
        let chain = self.recipes.chain(id, reader)?;
        parts.extend(chain.chunks);
        parts.extend(chain.recipe.live_extents().into_iter().map(|(extent, _)| extent));
        Ok(((chain.recipe.page_bytes, chain.recipe.pages() as u64), parts))
    }
}

/// What the databases of one snapshot cost beyond those of the snapshot of the same source before
/// it.
pub(super) fn costs_of(
    snapshots: &[(SnapshotId, SnapshotRecord)],
    id: SnapshotId,
    reader: &mut ChunkReader<'_>,
    index: &Index,
) -> Result<Vec<DatabaseCost>, Error> {
    let Some(at) = snapshots.iter().position(|(known, _)| *known == id) else {
        return Ok(Vec::new());
    };
    let Some((_, record)) = snapshots.get(at) else { return Ok(Vec::new()) };
    let mut costs = DatabaseCosts::default();
    if let Some((_, older)) =
        snapshots.iter().take(at).rev().find(|(_, older)| instance_of(older) == instance_of(record))
        && let Err(error) = costs.next(older, reader, index)
        && error.kind() != crate::ops::ErrorKind::Damaged
    {
        return Err(error);
    }
    costs.next(record, reader, index)
}

/// Stored bytes of chunks, each with its share of its extent.
pub(super) fn stored_bytes(
    chunks: impl IntoIterator<Item = ChunkId>,
    index: &Index,
) -> Result<u64, Error> {
    let mut stored = 0;
    for chunk in chunks {
        if let Some(located) = index.locate(&chunk)? {
            let row = located.row;
            stored += u64::from(located.len) * u64::from(row.stored_bytes)
                / u64::from(row.raw_bytes.max(1));
        }
    }
    Ok(stored)
}
