//! Whether a recipe that the repository holds already can be relied on.

use crate::chunk::ChunkId;
use crate::store::ChunkReader;

use super::super::Error;

/// What is to be thought of a recipe that the repository holds.
pub(super) enum Proof {
    /// It can be read, and all extents that it leads to are there.
    Whole,
    /// It does not lead to all its pages, though it can be read.
    Broken { depth: u8, has_cells: bool },
}

/// Reads a recipe that the repository holds; nothing where it cannot be read.
pub(super) fn prove(id: &ChunkId, reader: &mut ChunkReader<'_>) -> Result<Option<Proof>, Error> {
    let recipe = match reader.recipe(id) {
        Ok(recipe) => recipe,
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    for (extent, _) in recipe.live_extents() {
        if !reader.contains(&extent)? {
            return Ok(Some(Proof::Broken {
                depth: recipe.depth,
                has_cells: recipe.cells.is_some(),
            }));
        }
    }
    Ok(Some(Proof::Whole))
}
