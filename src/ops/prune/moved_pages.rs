//! Pages that move to another extent, and the recipes that then name them there.

use std::collections::HashMap;

use crate::chunk::{ChunkId, Hashing};
use crate::limits::RECIPE_PART_BYTES;
use crate::store::{ChunkReader, Error as StoreError, ExtentBuilder, ExtentKind, FilledExtent, Index, PAGES_EXTENT_BYTES, PagePlace, RecipeBody, RecipeParts};

use super::super::Error;
use super::super::reach::LiveSlots;

/// A page's place, by the id of its extent.
type Place = (ChunkId, u32);

/// Where pages went.
pub(super) struct MovedPages {
    hashing: Hashing,
    compressor: zstd::bulk::Compressor<'static>,
    /// By page size: bytes that wait for an extent, and where each page came from.
    waiting: HashMap<u32, (Vec<u8>, Vec<Place>)>,
    places: HashMap<Place, Place>,
}

/// Receives finished extents.
type Sink<'a> = &'a mut dyn FnMut(FilledExtent) -> Result<(), Error>;

impl MovedPages {
    pub(super) fn new(hashing: Hashing, level: i32) -> Result<MovedPages, Error> {
        let compressor = zstd::bulk::Compressor::new(level).map_err(StoreError::Compress)?;
        Ok(MovedPages { hashing, compressor, waiting: HashMap::new(), places: HashMap::new() })
    }

    /// Takes the needed pages of an extent.
    pub(super) fn take(&mut self, extent: ChunkId, bytes: &[u8], slots: &LiveSlots, sink: Sink<'_>) -> Result<(), Error> {
        let size = slots.page_bytes as usize;
        for slot in slots.iter() {
            let start = slot as usize * size;
            let Some(page) = bytes.get(start..start + size) else {
                return Err(StoreError::Recipe { id: extent, what: "a page lies beyond its extent" }.into());
            };
            let (waiting, origins) = self.waiting.entry(slots.page_bytes).or_default();
            waiting.extend_from_slice(page);
            origins.push((extent, slot));
            if waiting.len() >= PAGES_EXTENT_BYTES {
                let (waiting, origins) = (std::mem::take(waiting), std::mem::take(origins));
                self.store(waiting, origins, sink)?;
            }
        }
        Ok(())
    }

    fn store(&mut self, bytes: Vec<u8>, origins: Vec<Place>, sink: Sink<'_>) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let id = self.hashing.id(&bytes);
        for (slot, origin) in (0..).zip(origins) {
            self.places.insert(origin, (id, slot));
        }
        let mut builder = ExtentBuilder::new(ExtentKind::Pages);
        builder.push(id, &bytes);
        builder.fill(Some(&mut self.compressor))?.map_or(Ok(()), sink)
    }

    /// Stores what waits.
    pub(super) fn close(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        for (bytes, origins) in std::mem::take(&mut self.waiting).into_values() {
            self.store(bytes, origins, sink)?;
        }
        Ok(())
    }

    /// Writes a recipe anew: the same pages of the same database, those that moved where they are now.
    pub(super) fn recipe(&mut self, id: ChunkId, reader: &mut ChunkReader<'_>, index: &Index, sink: Sink<'_>) -> Result<(), Error> {
        let body = reader.recipe_body(&id, &mut Vec::new())?;
        let depth = body.depth;
        let mut bytes = self.relocated(&body).encode();
        if bytes.len() > RECIPE_PART_BYTES {
            let mut parts = RecipeParts { bytes: bytes.len(), parts: Vec::new() };
            for part in bytes.chunks(RECIPE_PART_BYTES) {
                let part_id = self.hashing.id(part);
                parts.parts.push(part_id);
                self.push(part_id, part, 0, index, sink)?;
            }
            bytes = parts.encode();
        }
        self.push(id, &bytes, depth, index, sink)
    }

    fn push(&mut self, id: ChunkId, bytes: &[u8], depth: u8, index: &Index, sink: Sink<'_>) -> Result<(), Error> {
        let mut builder = ExtentBuilder::new(ExtentKind::Recipe { depth });
        builder.push(id, bytes);
        index.claim_again(&id);
        builder.fill(Some(&mut self.compressor))?.map_or(Ok(()), sink)
    }

    fn relocated(&self, body: &RecipeBody) -> RecipeBody {
        let mut moved = RecipeBody { extents: Vec::new(), runs: Vec::new(), ..body.clone() };
        let mut numbers = HashMap::new();
        for run in &body.runs {
            for step in 0..run.pages {
                let Some(extent) = body.extents.get(run.place.extent as usize) else { continue };
                let old = (*extent, run.place.slot + step);
                // A page that no database has any more was not moved: its place leads nowhere, and nobody asks for it.
                let (extent, slot) = self.places.get(&old).copied().unwrap_or(old);
                let number = *numbers.entry(extent).or_insert_with(|| {
                    moved.extents.push(extent);
                    moved.extents.len() as u32 - 1
                });
                moved.push_page(run.page + step, PagePlace { extent: number, slot });
            }
        }
        moved
    }
}
