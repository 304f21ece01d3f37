//! A database read back: its recipe, proved against its identity, then pages, each proved against its hash.

use std::ops::Range;

use crate::chunk::ChunkId;

use super::recipe::{Recipe, RecipeBody, RecipeParts, Resolving};
use super::{ChunkReader, Error};

impl ChunkReader<'_> {
    /// The recipe of a database. Reads the recipes behind it too, back to a whole one.
    pub fn recipe(&mut self, id: &ChunkId) -> Result<Recipe, Error> {
        Ok(self.recipe_and_chunks(id)?.0)
    }

    /// The recipe of a database, and the chunks that hold it and those behind it.
    pub fn recipe_and_chunks(&mut self, id: &ChunkId) -> Result<(Recipe, Vec<ChunkId>), Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let (mut resolving, mut chunks) = (Resolving::default(), Vec::new());
        let mut next = Some((*id, u8::MAX));
        while let Some((part, above)) = next {
            let body = self.recipe_body(&part, &mut chunks)?;
            // Depths that do not fall would lead round and round.
            if body.depth >= above {
                return Err(damaged("the recipes behind it do not come to an end"));
            }
            resolving.take(part, &body);
            next = body.base.map(|base| (base, body.depth));
        }
        let recipe = resolving.finish().ok_or_else(|| damaged("some of its pages have no place"))?;
        if self.hashing().database(recipe.page_bytes, &recipe.hashes) != *id {
            return Err(damaged("its pages are not those of the database"));
        }
        Ok((recipe, chunks))
    }

    /// A recipe as it is stored; `chunks` grows by those that hold it.
    fn recipe_body(&mut self, id: &ChunkId, chunks: &mut Vec<ChunkId>) -> Result<RecipeBody, Error> {
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
        let (Some(places), Some(hashes)) = (recipe.places.get(pages.clone()), recipe.hashes.get(pages)) else {
            return Err(damaged("it has fewer pages than the database"));
        };
        let mut order: Vec<usize> = (0..places.len()).collect();
        order.sort_unstable_by_key(|at| places.get(*at).map(|place| (place.extent, place.slot)));
        out.clear();
        out.resize(places.len() * size, 0);
        let mut open: Option<(u32, super::Chunk)> = None;
        for at in order {
            let (Some(place), Some(hash)) = (places.get(at), hashes.get(at)) else { continue };
            let extent = match &open {
                Some((number, chunk)) if *number == place.extent => chunk,
                _ => {
                    let chunk_id = recipe.extents.get(place.extent as usize).ok_or_else(|| damaged("a page has no place"))?;
                    &open.insert((place.extent, self.read(chunk_id)?)).1
                }
            };
            let start = place.slot as usize * size;
            let page = extent.get(start..start + size).ok_or_else(|| damaged("a page lies beyond its extent"))?;
            if self.hashing().page(page) != *hash {
                return Err(damaged("another page lies in a page's place"));
            }
            if let Some(slot) = out.get_mut(at * size..(at + 1) * size) {
                slot.copy_from_slice(page);
            }
        }
        Ok(())
    }
}
