//! Pages and groups of cells that move to another extent, and the recipes that then name them
//! there.

use std::collections::HashMap;

use crate::chunk::{ChunkId, Hashing};
use crate::limits::RECIPE_PART_BYTES;
use crate::store::{
    ChunkReader, Error as StoreError, ExtentBuilder, ExtentKind, FilledExtent, Index,
    PAGES_EXTENT_BYTES, PagePlace, RecipeBody, RecipeParts,
};

use super::super::Error;
use super::super::reach::{LiveSlots, SlotUnit};

/// A page's place, by the id of its extent.
type Place = (ChunkId, u32);

/// Where pages or groups came from, with their lengths in bytes.
type Origins = Vec<(Place, u32)>;

/// Where pages went.
pub(super) struct MovedPages {
    hashing: Hashing,
    compressor: zstd::bulk::Compressor<'static>,
    /// Bytes that wait for an extent, and where each page or group came from, with its length.
    waiting: HashMap<SlotUnit, (Vec<u8>, Origins)>,
    places: HashMap<Place, Place>,
}

/// Receives finished extents.
type Sink<'a> = &'a mut dyn FnMut(FilledExtent) -> Result<(), Error>;

impl MovedPages {
    pub(super) fn new(hashing: Hashing, level: i32) -> Result<MovedPages, Error> {
        let compressor = zstd::bulk::Compressor::new(level).map_err(StoreError::Compress)?;
        Ok(MovedPages { hashing, compressor, waiting: HashMap::new(), places: HashMap::new() })
    }

    /// Takes the needed pages or groups of an extent.
    pub(super) fn take(
        &mut self,
        extent: ChunkId,
        bytes: &[u8],
        slots: &LiveSlots,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        for (slot, start, len) in slots.iter() {
            let Some(page) = bytes.get(start as usize..start as usize + len as usize) else {
                return Err(StoreError::Recipe {
                    id: extent,
                    what: "a page lies beyond its extent",
                }
                .into());
            };
            let (waiting, origins) = self.waiting.entry(slots.unit).or_default();
            waiting.extend_from_slice(page);
            origins.push(((extent, slot), len));
            if waiting.len() >= PAGES_EXTENT_BYTES {
                let (waiting, origins) = (std::mem::take(waiting), std::mem::take(origins));
                self.store(slots.unit, waiting, origins, sink)?;
            }
        }
        Ok(())
    }

    fn store(
        &mut self,
        unit: SlotUnit,
        bytes: Vec<u8>,
        origins: Origins,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let id = self.hashing.id(&bytes);
        let mut start = 0;
        for (number, (origin, len)) in (0..).zip(origins) {
            self.places.insert(origin, (id, if unit == SlotUnit::Groups { start } else { number }));
            start += len;
        }
        let mut builder = ExtentBuilder::new(ExtentKind::Pages);
        builder.push(id, &bytes);
        builder.fill(Some(&mut self.compressor))?.map_or(Ok(()), sink)
    }

    /// Stores what waits.
    pub(super) fn close(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        for (unit, (bytes, origins)) in std::mem::take(&mut self.waiting) {
            self.store(unit, bytes, origins, sink)?;
        }
        Ok(())
    }

    /// Writes a recipe anew: the same pages of the same database, those that moved where they are
    /// now.
    pub(super) fn recipe(
        &mut self,
        id: ChunkId,
        reader: &mut ChunkReader<'_>,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
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

    fn push(
        &mut self,
        id: ChunkId,
        bytes: &[u8],
        depth: u8,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let mut builder = ExtentBuilder::new(ExtentKind::Recipe { depth });
        builder.push(id, bytes);
        index.claim_again(&id);
        builder.fill(Some(&mut self.compressor))?.map_or(Ok(()), sink)
    }

    fn relocated(&self, body: &RecipeBody) -> RecipeBody {
        let mut moved = RecipeBody { extents: Vec::new(), runs: Vec::new(), ..body.clone() };
        let mut numbers = HashMap::new();
        let mut number_of = |extent: ChunkId, extents: &mut Vec<ChunkId>| {
            *numbers.entry(extent).or_insert_with(|| {
                extents.push(extent);
                extents.len() as u32 - 1
            })
        };
        let mut lens = Vec::new();
        for (group, place, len, _) in body.told_groups() {
            let Some(extent) = body.extents.get(place.extent as usize) else { continue };
            let (extent, slot) =
                self.places.get(&(*extent, place.slot)).copied().unwrap_or((*extent, place.slot));
            let place = PagePlace { extent: number_of(extent, &mut moved.extents), slot };
            moved.push_group(group, place, &lens);
            lens.push(len);
        }
        if body.cells.is_some() {
            return moved;
        }
        for run in &body.runs {
            for step in 0..run.pages {
                let Some(extent) = body.extents.get(run.place.extent as usize) else { continue };
                let old = (*extent, run.place.slot + step);
                // A page that no database has any more was not moved: its place leads nowhere, and
                // nobody asks for it.
                let (extent, slot) = self.places.get(&old).copied().unwrap_or(old);
                let place = PagePlace { extent: number_of(extent, &mut moved.extents), slot };
                moved.push_page(run.page + step, place);
            }
        }
        moved
    }
}
