//! A database read back: its recipe, proved against its identity, then pages, each proved against its hash.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::ChunkId;

use super::recipe::{Recipe, RecipeBody, RecipeParts, Resolving};
use super::{ChunkReader, Error};

/// A recipe, and what it was put together from.
#[derive(Clone, Debug)]
pub struct RecipeChain {
    /// The recipe, proved.
    pub recipe: Recipe,
    /// The stored recipes, by their ids, back to a whole one; with the chunks of those that were not known.
    pub bodies: Vec<(ChunkId, Arc<RecipeBody>, Vec<ChunkId>)>,
    /// The chunks that hold them.
    pub chunks: Vec<ChunkId>,
}

impl ChunkReader<'_> {
    /// The recipe of a database. Reads the recipes behind it too, back to a whole one.
    pub fn recipe(&mut self, id: &ChunkId) -> Result<Recipe, Error> {
        Ok(self.recipe_and_chunks(id)?.0)
    }

    /// The recipe of a database, and the chunks that hold it and those behind it.
    pub fn recipe_and_chunks(&mut self, id: &ChunkId) -> Result<(Recipe, Vec<ChunkId>), Error> {
        let chain = self.recipe_chain(id, &mut |_| None)?;
        Ok((chain.recipe, chain.chunks))
    }

    /// The recipe of a database with all that it was put together from. `known` may give bodies that were read before, by the ids of
    /// their recipes; their parts are then not among the chunks again.
    pub fn recipe_chain(&mut self, id: &ChunkId, known: &mut dyn FnMut(&ChunkId) -> Option<Arc<RecipeBody>>) -> Result<RecipeChain, Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let (mut resolving, mut chunks, mut bodies) = (Resolving::default(), Vec::new(), Vec::new());
        let mut next = Some((*id, u8::MAX));
        while let Some((part, above)) = next {
            let mut own = Vec::new();
            let body = match known(&part) {
                Some(body) => body,
                None => Arc::new(self.recipe_body(&part, &mut own)?),
            };
            // Depths that do not fall would lead round and round.
            if body.depth >= above {
                return Err(damaged("the recipes behind it do not come to an end"));
            }
            resolving.take(part, &body);
            next = body.base.map(|base| (base, body.depth));
            chunks.extend_from_slice(&own);
            bodies.push((part, body, own));
        }
        let recipe = resolving.finish().ok_or_else(|| damaged("some of its pages have no place"))?;
        if self.hashing().database(recipe.page_bytes, &recipe.hashes) != *id {
            return Err(damaged("its pages are not those of the database"));
        }
        Ok(RecipeChain { recipe, bodies, chunks })
    }

    /// A recipe as it is stored; `chunks` grows by those that hold it.
    pub fn recipe_body(&mut self, id: &ChunkId, chunks: &mut Vec<ChunkId>) -> Result<RecipeBody, Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let unreadable = |_| damaged("it cannot be read");
        chunks.push(*id);
        let bytes = self.read_recipe_bytes(id)?;
        let Some(parts) = RecipeParts::decode(&bytes).map_err(unreadable)? else {
            return RecipeBody::decode(&bytes).map_err(unreadable);
        };
        let mut whole = Vec::with_capacity(parts.bytes);
        for part in &parts.parts {
            chunks.push(*part);
            whole.extend_from_slice(&self.read(part)?);
            if whole.len() > parts.bytes {
                return Err(damaged("its parts are longer than it is"));
            }
        }
        RecipeBody::decode(&whole).map_err(unreadable)
    }

    /// Puts pages of a database into `out`, one after another. Each extent that holds some of them is read once.
    pub fn read_pages(&mut self, id: &ChunkId, recipe: &Recipe, pages: Range<usize>, out: &mut Vec<u8>) -> Result<(), Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let size = recipe.page_bytes as usize;
        let (first, places) = (pages.start, pages.len());
        if pages.end > recipe.places.len() {
            return Err(damaged("it has fewer pages than the database"));
        }
        out.clear();
        out.resize(places * size, 0);
        let numbers: Vec<usize> = pages.collect();
        self.read_some_pages(id, recipe, &numbers, |page, bytes| {
            if let Some(slot) = out.get_mut((page - first) * size..(page - first + 1) * size) {
                slot.copy_from_slice(bytes);
            }
        })
    }

    /// Calls `each` with (number from 0, bytes) of some pages of a database, in the order in which they lie: each extent is read once.
    pub fn read_some_pages(&mut self, id: &ChunkId, recipe: &Recipe, pages: &[usize], mut each: impl FnMut(usize, &[u8])) -> Result<(), Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let size = recipe.page_bytes as usize;
        let mut order = Vec::with_capacity(pages.len());
        for page in pages {
            let (Some(place), Some(hash)) = (recipe.places.get(*page), recipe.hashes.get(*page)) else {
                return Err(damaged("it has fewer pages than the database"));
            };
            order.push((place.extent, place.slot, *page, *hash));
        }
        order.sort_unstable();
        let mut open: Option<(u32, super::Chunk)> = None;
        for (extent_number, slot, page, hash) in order {
            let extent = match &open {
                Some((number, chunk)) if *number == extent_number => chunk,
                _ => {
                    let chunk_id = recipe.extents.get(extent_number as usize).ok_or_else(|| damaged("a page has no place"))?;
                    &open.insert((extent_number, self.read_pages_chunk(chunk_id)?)).1
                }
            };
            let start = slot as usize * size;
            let bytes = extent.get(start..start + size).ok_or_else(|| damaged("a page lies beyond its extent"))?;
            if self.hashing().page(bytes) != hash {
                return Err(damaged("another page lies in a page's place"));
            }
            each(page, bytes);
        }
        Ok(())
    }
}
