//! What does each side of a difference cost in the repository? Stored bytes of content that the
//! other side's changes do not share.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{Content, Difference, Piece};
use crate::store::{ChunkReader, Index};

use super::super::Error;
use super::super::content::list_pieces;
use super::super::recipes::Recipes;

/// Stored bytes of the chunks of one side, by the last 8 bytes of their ids.
#[derive(Default)]
struct Side {
    chunks: HashMap<u64, u32>,
    databases: HashSet<ChunkId>,
}

/// Adds up what both sides hold.
#[derive(Default)]
pub(super) struct Costs {
    before: Side,
    after: Side,
}

impl Costs {
    /// Takes what a difference has on each side.
    pub(super) fn add(
        &mut self,
        difference: &Difference,
        readers: (&mut ChunkReader<'_>, &mut ChunkReader<'_>),
        index: &Index,
    ) -> Result<(), Error> {
        if let Some(content) = difference.before.as_ref().and_then(|entry| entry.content()) {
            self.before.add(content, readers.0, index)?;
        }
        // Lists of a live file's pieces are known to the reader of its own side alone.
        if let Some(content) = difference.after.as_ref().and_then(|entry| entry.content()) {
            self.after.add(content, readers.1, index)?;
        }
        Ok(())
    }

    /// Bytes that each side alone takes: before, after. Of the databases' parts the index is asked
    /// only where one side alone has them.
    pub(super) fn finish(
        mut self,
        readers: (&mut ChunkReader<'_>, &mut ChunkReader<'_>),
        index: &Index,
        recipes: &Recipes,
    ) -> Result<(u64, u64), Error> {
        let (before, after) =
            (std::mem::take(&mut self.before.databases), std::mem::take(&mut self.after.databases));
        let gone = parts_of(before.difference(&after), readers.0, recipes)?;
        let came = parts_of(after.difference(&before), readers.1, recipes)?;
        gone.difference(&came).try_for_each(|id| self.before.chunk(id, index))?;
        came.difference(&gone).try_for_each(|id| self.after.chunk(id, index))?;
        let alone = |side: &Side, other: &Side| {
            side.chunks
                .iter()
                .filter(|(id, _)| !other.chunks.contains_key(id))
                .map(|(_, bytes)| u64::from(*bytes))
                .sum()
        };
        Ok((alone(&self.before, &self.after), alone(&self.after, &self.before)))
    }
}

impl Side {
    fn add(
        &mut self,
        content: &Content,
        reader: &mut ChunkReader<'_>,
        index: &Index,
    ) -> Result<(), Error> {
        if let Content::Pages(id) = content {
            self.databases.insert(*id);
            return Ok(());
        }
        list_pieces(reader, content, |_, piece| match piece {
            Piece::Chunk(id) => self.chunk(&id, index),
            Piece::Hole(_) => Ok(()),
        })
    }

    fn chunk(&mut self, id: &ChunkId, index: &Index) -> Result<(), Error> {
        let stored = index.locate(id)?.map_or(0, |located| {
            let row = located.row;
            u64::from(located.len) * u64::from(row.stored_bytes) / u64::from(row.raw_bytes.max(1))
        });
        self.chunks.insert(id.low64(), stored as u32);
        Ok(())
    }
}

/// The chunks that databases are made of: those of their recipes, and the extents that hold at
/// least one of their pages.
fn parts_of<'d>(
    databases: impl Iterator<Item = &'d ChunkId>,
    reader: &mut ChunkReader<'_>,
    recipes: &Recipes,
) -> Result<HashSet<ChunkId>, Error> {
    let mut parts = HashSet::new();
    for id in databases {
        // A live database is in no pack.
        if reader.contains(id)? {
            let found = recipes.get(id, reader)?;
            parts.extend(found.chunks.iter().copied());
            parts.extend(found.recipe.live_extents().into_iter().map(|(extent, _)| extent));
        }
    }
    Ok(parts)
}
