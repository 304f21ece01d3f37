//! The recipe of a database while it is being made.

use std::collections::HashMap;

use crate::chunk::ChunkId;
use crate::store::{Index, Recipe};

/// The recipe that is being made.
pub(in crate::ops) struct Draft {
    pub recipe: Recipe,
    numbers: HashMap<ChunkId, u32>,
    pub new: u64,
}

impl Draft {
    pub(in crate::ops) fn new(page_bytes: u32) -> Draft {
        Draft {
            recipe: Recipe { page_bytes, ..Recipe::default() },
            numbers: HashMap::new(),
            new: 0,
        }
    }

    /// Takes over the numbers of an older recipe's extents; gives which of these the repository
    /// has.
    pub(in crate::ops) fn build_on(
        &mut self,
        base: &Recipe,
        index: &Index,
    ) -> Result<Vec<bool>, crate::store::Error> {
        // A little more than before: a list that grows later is copied, and has twice the room.
        let likely = base.hashes.len() + base.hashes.len() / 64;
        self.recipe.hashes.reserve_exact(likely);
        self.recipe.places.reserve_exact(likely);
        self.recipe.extents.clone_from(&base.extents);
        self.numbers = base.extents.iter().zip(0..).map(|(id, number)| (*id, number)).collect();
        base.extents.iter().map(|extent| index.contains(extent)).collect()
    }

    pub(in crate::ops) fn number_of(&mut self, extent: ChunkId) -> u32 {
        let extents = &mut self.recipe.extents;
        *self.numbers.entry(extent).or_insert_with(|| {
            extents.push(extent);
            extents.len() as u32 - 1
        })
    }
}
