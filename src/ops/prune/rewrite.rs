//! What is needed of packs that go is written into new ones.

use crate::backend::Listed;
use crate::store::{
    ChunkReader, Codec, Error as StoreError, ExtentKind, ExtentReader, ExtentRow, FilledExtent,
    Index, PackStreams, Proved, Repository, Stored, chunks_by_extent, pack_name, read_trailer,
};

use super::super::Error;
use super::super::ingest::refill::Refill;
use super::super::reach::Reached;
use super::moved_pages::MovedPages;
use super::plan::Plan;
use super::usage::PackUsage;

/// Extents from this stored size on are copied as they are, if all of them is needed; smaller ones
/// are put together, in bytes.
const COPIED_BYTES: u32 = 48 << 10;

/// Where extents go: what dies together lies together.
const DATA: usize = 0;
const PAGES: usize = 1;
const NODES: usize = 2;
const STREAMS: usize = 3;

/// Writes anew.
pub(super) struct Rewriter<'r> {
    repository: &'r Repository,
    index: &'r Index,
    reached: &'r Reached,
    plan: &'r Plan,
    reader: ChunkReader<'r>,
    extents: ExtentReader<'r>,
    streams: PackStreams<'r>,
    refill: Refill,
    moved: MovedPages,
}

impl<'r> Rewriter<'r> {
    pub(super) fn new(
        repository: &'r Repository,
        index: &'r Index,
        reached: &'r Reached,
        plan: &'r Plan,
    ) -> Result<Rewriter<'r>, Error> {
        let level = repository.config().compression_level;
        Ok(Rewriter {
            repository,
            index,
            reached,
            plan,
            reader: ChunkReader::new(repository, index),
            extents: ExtentReader::new(repository)?,
            streams: PackStreams::new(repository, index, STREAMS),
            refill: Refill::new(level)?,
            moved: MovedPages::new(repository.hashing(), level.max(3))?,
        })
    }

    /// Copies what is needed of a pack, after all of it was proved: a damaged pack stays as it is.
    pub(super) fn pack(&mut self, usage: &PackUsage) -> Result<(), Error> {
        let listed = Listed { name: pack_name(&usage.id), size_bytes: usage.bytes };
        let trailer =
            read_trailer(self.repository.backend(), self.repository.sealer(), &listed, &usage.id)?;
        // All of it is read and proved before any of it is written: at most one pack is held.
        let mut extents = Vec::new();
        for ((number, row), chunks) in (0..).zip(&trailer.extents).zip(chunks_by_extent(&trailer)) {
            let mut needed = Vec::new();
            for (id, _) in &chunks {
                // Only the place that counts: another pack may hold it too.
                let here = self
                    .index
                    .locate(id)?
                    .is_some_and(|located| located.pack == usage.id && located.extent == number);
                needed.push(here && self.reached.needs(id));
            }
            let is_rewritten =
                row.kind.is_recipe() && chunks.iter().any(|(id, _)| self.plan.recipes.contains(id));
            // A recipe whose pages move is written anew once they have.
            if is_rewritten || !needed.iter().any(|needed| *needed) {
                continue;
            }
            match self.extents.read(&usage.id, number, row, chunks)? {
                Proved::Whole(filled) => extents.push((row, filled, needed)),
                Proved::Damaged(_, what) => {
                    return Err(StoreError::Extent {
                        pack: pack_name(&usage.id),
                        extent: number,
                        what,
                    }
                    .into());
                }
            }
        }
        extents.into_iter().try_for_each(|(row, filled, needed)| self.extent(row, filled, &needed))
    }

    fn extent(
        &mut self,
        row: &ExtentRow,
        filled: FilledExtent,
        needed: &[bool],
    ) -> Result<(), Error> {
        if row.kind.is_recipe() {
            filled.chunks.iter().for_each(|(id, _)| self.index.claim_again(id));
            return Ok(self.streams.append_last(filled)?);
        }
        let (index, streams) = (self.index, &mut self.streams);
        let mut sink =
            |extent: FilledExtent| append(streams, index, stream_of(extent.kind), extent);
        let moving = filled
            .chunks
            .first()
            .filter(|(id, _)| row.kind == ExtentKind::Pages && self.plan.moved.contains(id));
        if let Some(slots) = moving.and_then(|(id, _)| self.reached.pages.get(id)) {
            return filled
                .into_chunks()?
                .into_iter()
                .try_for_each(|(id, bytes)| self.moved.take(id, &bytes, slots, &mut sink));
        }
        let is_whole = needed.iter().all(|needed| *needed);
        if is_whole && (row.kind == ExtentKind::Pages || row.stored_bytes >= COPIED_BYTES) {
            return sink(filled);
        }
        let is_packed = row.codec == Codec::Zstd;
        for ((id, bytes), _) in
            filled.into_chunks()?.into_iter().zip(needed).filter(|(_, needed)| **needed)
        {
            self.refill.push(row.kind, is_packed, id, &bytes, &mut sink)?;
        }
        Ok(())
    }

    /// Closes what is open, then writes the recipes whose pages moved; all is durable then.
    pub(super) fn finish(mut self) -> Result<Stored, Error> {
        let (index, streams) = (self.index, &mut self.streams);
        self.refill.close(&mut |extent: FilledExtent| {
            append(streams, index, stream_of(extent.kind), extent)
        })?;
        self.moved.close(&mut |extent| append(streams, index, PAGES, extent))?;
        for id in &self.plan.recipes {
            self.moved.recipe(*id, &mut self.reader, index, &mut |extent| {
                Ok(streams.append_last(extent)?)
            })?;
        }
        Ok(self.streams.finish()?)
    }
}

fn append(
    streams: &mut PackStreams<'_>,
    index: &Index,
    stream: usize,
    extent: FilledExtent,
) -> Result<(), Error> {
    extent.chunks.iter().for_each(|(id, _)| index.claim_again(id));
    Ok(streams.append(stream, extent)?)
}

fn stream_of(kind: ExtentKind) -> usize {
    match kind {
        ExtentKind::Pages => PAGES,
        ExtentKind::Node | ExtentKind::List => NODES,
        ExtentKind::Data | ExtentKind::Recipe { .. } => DATA,
    }
}
