//! Bodies of recipes that were read: most databases of a repository go back to the same few.

use std::collections::HashMap;
use std::sync::Arc;

use crate::chunk::ChunkId;
use crate::store::{ChunkReader, Error, RecipeBody, RecipeChain};

/// Pages that are kept; beyond them all are let go of. Some 30 MiB.
const KEPT_PAGES_MAX: usize = 1 << 20;

/// Keeps them for the next database.
#[derive(Default)]
pub struct RecipeBodies {
    bodies: HashMap<ChunkId, Arc<RecipeBody>>,
    pages: usize,
}

impl RecipeBodies {
    /// A database's recipe with all behind it. Chunks of bodies that are known already are not among its chunks again.
    pub fn chain(&mut self, id: &ChunkId, reader: &mut ChunkReader<'_>) -> Result<RecipeChain, Error> {
        let chain = reader.recipe_chain(id, &mut |id| self.bodies.get(id).cloned())?;
        for (id, body, _) in &chain.bodies {
            if !self.bodies.contains_key(id) {
                if self.pages + body.hashes.len() > KEPT_PAGES_MAX {
                    self.bodies.clear();
                    self.pages = 0;
                }
                self.pages += body.hashes.len();
                self.bodies.insert(*id, body.clone());
            }
        }
        Ok(chain)
    }
}
