//! What did the databases cost in each snapshot? The extents and recipes that no older snapshot needed.

use std::collections::HashSet;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entries, Kind, SnapshotId, SnapshotRecord};
use crate::source::Category;
use crate::store::{ChunkReader, Index};

use super::Error;

/// A database of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseCost {
    /// Its logical path.
    pub path: Vec<u8>,
    /// Bytes of a page.
    pub page_bytes: u32,
    /// Its pages.
    pub pages: u64,
    /// Stored bytes that no older snapshot of the repository needs for its databases.
    pub new_stored: u64,
}

/// Walks snapshots from the oldest on.
#[derive(Default)]
pub(super) struct DatabaseCosts {
    seen: HashSet<ChunkId>,
}

impl DatabaseCosts {
    /// What the databases of the next newer snapshot cost beyond those before.
    pub(super) fn next(&mut self, record: &SnapshotRecord, reader: &mut ChunkReader<'_>, index: &Index) -> Result<Vec<DatabaseCost>, Error> {
        let Some(category) = record.category(Category::Database.name()) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in Entries::all(reader, category.manifest) {
            let entry = entry?;
            if let Kind::File { content: Content::Pages(id), .. } = entry.kind {
                found.push((entry.path, id));
            }
        }
        let mut costs = Vec::with_capacity(found.len());
        for (path, id) in found {
            let recipe = reader.recipe(&id)?;
            let mut new_stored = 0;
            if self.seen.insert(id) {
                let chunks = reader.recipe_chunks(&id)?.into_iter().filter(|chunk| *chunk == id || self.seen.insert(*chunk));
                new_stored += stored_bytes(chunks, index)?;
                let extents = recipe.live_extents().into_iter().map(|(extent, _)| extent).filter(|extent| self.seen.insert(*extent));
                new_stored += stored_bytes(extents, index)?;
            }
            costs.push(DatabaseCost { path, page_bytes: recipe.page_bytes, pages: recipe.hashes.len() as u64, new_stored });
        }
        Ok(costs)
    }
}

/// What the databases of one snapshot cost beyond those of the snapshot of the same source before it.
pub(super) fn costs_of(
    snapshots: &[(SnapshotId, SnapshotRecord)],
    id: SnapshotId,
    reader: &mut ChunkReader<'_>,
    index: &Index,
) -> Result<Vec<DatabaseCost>, Error> {
    let Some(at) = snapshots.iter().position(|(known, _)| *known == id) else { return Ok(Vec::new()) };
    let Some((_, record)) = snapshots.get(at) else { return Ok(Vec::new()) };
    let mut costs = DatabaseCosts::default();
    let older = snapshots.iter().take(at).rev().find(|(_, older)| older.source.key == record.source.key && older.category(Category::Database.name()).is_some());
    if let Some((_, older)) = older {
        costs.next(older, reader, index)?;
    }
    costs.next(record, reader, index)
}

/// Stored bytes of chunks, each with its share of its extent.
pub(super) fn stored_bytes(chunks: impl IntoIterator<Item = ChunkId>, index: &Index) -> Result<u64, Error> {
    let mut stored = 0;
    for chunk in chunks {
        if let Some(located) = index.locate(&chunk)? {
            let row = located.row;
            stored += u64::from(located.len) * u64::from(row.stored_bytes) / u64::from(row.raw_bytes.max(1));
        }
    }
    Ok(stored)
}
