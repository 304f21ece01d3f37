//! A database read back: its recipe, proved against its identity, then pages, each proved against
//! its hash.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::ChunkId;

use super::recipe::{Recipe, RecipeBody, RecipeParts, Resolving};
use super::resolve_cells::resolve;
use super::{ChunkReader, Error};

/// A recipe, and what it was put together from.
#[derive(Clone, Debug)]
pub struct RecipeChain {
    /// The recipe, proved.
    pub recipe: Arc<Recipe>,
    /// The stored recipes, by their ids, back to a whole one or to one that was known; with the
    /// chunks of those that were not known.
    pub bodies: Vec<(ChunkId, Arc<RecipeBody>, Vec<ChunkId>)>,
    /// The chunks that hold them.
    pub chunks: Vec<ChunkId>,
}

/// What a recipe is put together from: as in [`RecipeChain`], and the recipe that was known.
#[derive(Default)]
struct Parts {
    bodies: Vec<(ChunkId, Arc<RecipeBody>, Vec<ChunkId>)>,
    chunks: Vec<ChunkId>,
    base: Option<Arc<Recipe>>,
}

/// What was read before, and need not be read again.
pub trait KnownRecipes {
    /// A stored recipe.
    fn body(&mut self, id: &ChunkId) -> Option<Arc<RecipeBody>>;

    /// A recipe of cells that was put together.
    fn recipe(&mut self, id: &ChunkId) -> Option<Arc<Recipe>>;
}

/// Knows none.
#[derive(Debug)]
pub struct NoneKnown;

impl KnownRecipes for NoneKnown {
    fn body(&mut self, _: &ChunkId) -> Option<Arc<RecipeBody>> {
        None
    }

    fn recipe(&mut self, _: &ChunkId) -> Option<Arc<Recipe>> {
        None
    }
}

impl ChunkReader<'_> {
    /// The recipe of a database. Reads the recipes behind it too, back to a whole one.
    pub fn recipe(&mut self, id: &ChunkId) -> Result<Recipe, Error> {
        Ok(self.recipe_and_chunks(id)?.0)
    }

    /// The recipe of a database, and the chunks that hold it and those behind it.
    pub fn recipe_and_chunks(&mut self, id: &ChunkId) -> Result<(Recipe, Vec<ChunkId>), Error> {
        let Parts { bodies, chunks, .. } = self.recipe_parts(id, &mut NoneKnown)?;
        let bodies = bodies.into_iter().map(|(id, body, _)| (id, body)).collect();
        Ok((self.put_together(id, bodies, None)?, chunks))
    }

    /// The recipe of a database with all that it was put together from. What is `known` is not
    /// read, and not among the chunks.
    pub fn recipe_chain(
        &mut self,
        id: &ChunkId,
        known: &mut dyn KnownRecipes,
    ) -> Result<RecipeChain, Error> {
        let Parts { bodies, chunks, base } = self.recipe_parts(id, known)?;
        let parts = bodies.iter().map(|(id, body, _)| (*id, body.clone())).collect();
        let recipe = Arc::new(self.put_together(id, parts, base)?);
        Ok(RecipeChain { recipe, bodies, chunks })
    }

    fn recipe_parts(&mut self, id: &ChunkId, known: &mut dyn KnownRecipes) -> Result<Parts, Error> {
        let mut parts = Parts::default();
        let mut next = Some((*id, u8::MAX));
        while let Some((part, above)) = next {
            let mut own = Vec::new();
            let body = match known.body(&part) {
                Some(body) => body,
                None => Arc::new(self.recipe_body(&part, &mut own)?),
            };
            // Depths that do not fall would lead round and round.
            if body.depth >= above {
                let what = "the recipes behind it do not come to an end";
                return Err(Error::Recipe { id: *id, what });
            }
            next = body.base.map(|base| (base, body.depth));
            if body.cells.is_some() {
                parts.base = next.and_then(|(base, _)| known.recipe(&base));
            }
            parts.chunks.extend_from_slice(&own);
            parts.bodies.push((part, body, own));
            if parts.base.is_some() {
                break;
            }
        }
        Ok(parts)
    }

    /// A recipe from its stored parts, the newest first.
    fn put_together(
        &self,
        id: &ChunkId,
        parts: Vec<(ChunkId, Arc<RecipeBody>)>,
        base: Option<Arc<Recipe>>,
    ) -> Result<Recipe, Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        if parts.first().is_some_and(|(_, body)| body.cells.is_some()) {
            // Its pages' hashes are known when they are built; until then the recipe's own proof
            // stands for them.
            return resolve(parts.into_iter(), base).map_err(damaged);
        }
        let mut resolving = Resolving::default();
        for (id, body) in parts.iter().filter(|(_, body)| body.cells.is_none()) {
            resolving.take(*id, body);
        }
        let recipe =
            resolving.finish().ok_or_else(|| damaged("some of its pages have no place"))?;
        if self.hashing().database(recipe.page_bytes, &recipe.hashes) != *id {
            return Err(damaged("its pages are not those of the database"));
        }
        Ok(recipe)
    }

    /// A recipe as it is stored; `chunks` grows by those that hold it.
    pub fn recipe_body(
        &mut self,
        id: &ChunkId,
        chunks: &mut Vec<ChunkId>,
    ) -> Result<RecipeBody, Error> {
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

    /// Puts pages of a database into `out`, one after another. Each extent that holds some of them
    /// is read once.
    pub fn read_pages(
        &mut self,
        id: &ChunkId,
        recipe: &Recipe,
        pages: Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let size = recipe.page_bytes as usize;
        let (first, places) = (pages.start, pages.len());
        if pages.end > recipe.pages() {
            return Err(damaged("it has fewer pages than the database"));
        }
        out.clear();
        out.resize(places * size, 0);
        let numbers: Vec<usize> = pages.collect();
        let put = |page: usize, bytes: &[u8]| {
            if let Some(slot) = out.get_mut((page - first) * size..(page - first + 1) * size) {
                slot.copy_from_slice(bytes);
            }
        };
        match &recipe.cells {
            Some(cells) => self.read_cell_pages(id, (recipe, cells), &numbers, put),
            None => self.read_some_pages(id, recipe, &numbers, put),
        }
    }

    /// Calls `each` with (number from 0, bytes) of some pages of a database, in any order: each
    /// extent is read once.
    pub fn read_some_pages(
        &mut self,
        id: &ChunkId,
        recipe: &Recipe,
        pages: &[usize],
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), Error> {
        if let Some(cells) = &recipe.cells {
            return self.read_cell_pages(id, (recipe, cells), pages, each);
        }
        let damaged = |what| Error::Recipe { id: *id, what };
        let size = recipe.page_bytes as usize;
        let mut order = Vec::with_capacity(pages.len());
        for page in pages {
            let (Some(place), Some(hash)) = (recipe.places.get(*page), recipe.hashes.get(*page))
            else {
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
                    let chunk_id = recipe
                        .extents
                        .get(extent_number as usize)
                        .ok_or_else(|| damaged("a page has no place"))?;
                    &open.insert((extent_number, self.read_pages_chunk(chunk_id)?)).1
                }
            };
            let start = slot as usize * size;
            let bytes = extent
                .get(start..start + size)
                .ok_or_else(|| damaged("a page lies beyond its extent"))?;
            if self.hashing().page(bytes) != hash {
                return Err(damaged("another page lies in a page's place"));
            }
            each(page, bytes);
        }
        Ok(())
    }
}
