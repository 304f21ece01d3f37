//! Recipes that were read: most databases of a repository go back to the same few, and each to the
//! one before it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::chunk::ChunkId;
use crate::store::{ChunkReader, Error, KnownRecipes, Recipe, RecipeBody, RecipeChain};

/// Pages, or groups of cells, of stored recipes that are kept; at this number all are dropped. Some
/// 30 MiB.
const KEPT_PAGES_MAX: usize = 1 << 20;
/// The same of recipes that were put together: the last one is what the next one builds on.
const KEPT_TOGETHER_MAX: usize = 1 << 20;

/// Keeps them for the next database.
#[derive(Default)]
pub struct RecipeBodies {
    bodies: HashMap<ChunkId, Arc<RecipeBody>>,
    pages: usize,
    together: VecDeque<(ChunkId, Arc<Recipe>)>,
}

impl KnownRecipes for RecipeBodies {
    fn body(&mut self, id: &ChunkId) -> Option<Arc<RecipeBody>> {
        self.bodies.get(id).cloned()
    }

    fn recipe(&mut self, id: &ChunkId) -> Option<Arc<Recipe>> {
        self.together.iter().find(|(known, _)| known == id).map(|(_, recipe)| recipe.clone())
    }
}

impl RecipeBodies {
    /// A database's recipe with all behind it. Chunks of what is known already are not among its
    /// chunks again.
    pub fn chain(
        &mut self,
        id: &ChunkId,
        reader: &mut ChunkReader<'_>,
    ) -> Result<RecipeChain, Error> {
        let chain = reader.recipe_chain(id, self)?;
        for (id, body, _) in &chain.bodies {
            self.keep(*id, body);
        }
        if chain.recipe.cells.is_some() {
            self.together.push_back((*id, chain.recipe.clone()));
            while self.together.len() > 1
                && self.together.iter().map(|(_, recipe)| recipe.hashes.len()).sum::<usize>()
                    > KEPT_TOGETHER_MAX
            {
                self.together.pop_front();
            }
        }
        Ok(chain)
    }

    /// What is stored under a database's id, and the chunks that hold it where it was not known.
    pub fn stored(
        &mut self,
        id: &ChunkId,
        reader: &mut ChunkReader<'_>,
    ) -> Result<(Arc<RecipeBody>, Vec<ChunkId>), Error> {
        let mut chunks = Vec::new();
        let body = match self.body(id) {
            Some(body) => body,
            None => Arc::new(reader.recipe_body(id, &mut chunks)?),
        };
        self.keep(*id, &body);
        Ok((body, chunks))
    }

    /// Whether a database could need one of these extents: whether any recipe that it is put
    /// together from names one.
    pub fn may_need(
        &mut self,
        id: &ChunkId,
        extents: &HashSet<ChunkId>,
        reader: &mut ChunkReader<'_>,
    ) -> Result<bool, Error> {
        let mut next = Some((*id, u8::MAX));
        while let Some((id, above)) = next {
            let (body, _) = self.stored(&id, reader)?;
            if body.extents.iter().any(|extent| extents.contains(extent)) {
                return Ok(true);
            }
            next = body.base.filter(|_| body.depth < above).map(|base| (base, body.depth));
        }
        Ok(false)
    }

    fn keep(&mut self, id: ChunkId, body: &Arc<RecipeBody>) {
        if self.bodies.contains_key(&id) {
            return;
        }
        if self.pages + body.hashes.len() > KEPT_PAGES_MAX {
            self.bodies.clear();
            self.pages = 0;
        }
        self.pages += body.hashes.len();
        self.bodies.insert(id, body.clone());
    }
}
