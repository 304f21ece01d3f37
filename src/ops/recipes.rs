//! Recipes of databases that several parts of one command ask for: each is read and put together
//! once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::chunk::ChunkId;
use crate::store::{ChunkReader, Error, KnownRecipes, Recipe, RecipeBody};

/// A recipe with the chunks that hold it and those behind it.
pub struct ReadRecipe {
    /// The recipe.
    pub recipe: Arc<Recipe>,
    /// The chunks.
    pub chunks: Vec<ChunkId>,
}

/// Shared by threads; holds what was asked for until it is dropped: 24 bytes a page.
#[derive(Default)]
pub struct Recipes {
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    recipes: HashMap<ChunkId, Arc<ReadRecipe>>,
    bodies: HashMap<ChunkId, (Arc<RecipeBody>, Vec<ChunkId>)>,
}

impl KnownRecipes for Read {
    fn body(&mut self, id: &ChunkId) -> Option<Arc<RecipeBody>> {
        self.bodies.get(id).map(|(body, _)| body.clone())
    }

    fn recipe(&mut self, id: &ChunkId) -> Option<Arc<Recipe>> {
        self.recipes.get(id).map(|read| read.recipe.clone())
    }
}

impl Recipes {
    /// The recipe of a database. Who asks while another reads waits for it: the next recipe goes
    /// back to the same bodies.
    pub fn get(
        &self,
        id: &ChunkId,
        reader: &mut ChunkReader<'_>,
    ) -> Result<Arc<ReadRecipe>, Error> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = read.recipes.get(id) {
            return Ok(found.clone());
        }
        let chain = reader.recipe_chain(id, &mut *read)?;
        // Of what the known recipe was put together from, too.
        let base =
            chain.bodies.last().and_then(|(_, body, _)| read.recipes.get(&body.base?)).cloned();
        let mut chunks = base.map_or(Vec::new(), |base| base.chunks.clone());
        for (part, body, own) in chain.bodies {
            let (_, own) = read.bodies.entry(part).or_insert((body, own));
            chunks.extend_from_slice(own);
        }
        let found = Arc::new(ReadRecipe { recipe: chain.recipe, chunks });
        read.recipes.insert(*id, found.clone());
        Ok(found)
    }
}

impl std::fmt::Debug for Recipes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recipes")
    }
}
