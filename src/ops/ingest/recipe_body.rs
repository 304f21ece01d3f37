//! What is written of a recipe: what differs from an older one. Which one, so that few are read for
//! any database, and little is written for each.

use crate::chunk::ChunkId;
use crate::store::{ChunkReader, Error as StoreError, GroupPositions, Recipe, RecipeBody};

use super::super::Error;

/// A recipe of pages is written against the one before it up to this depth, then against the whole
/// one at the end of the chain.
const DEPTH_MAX: u8 = 16;
/// A recipe of cells whose depth is a multiple of this is a *milestone*: it is written against the
/// milestone before it, and the next ones against each other. So what changed since the whole one
/// is not written again and again.
const MILESTONE: u8 = 16;
/// The deepest milestone; the next one is written against the whole recipe. At most 15, 14 and one
/// recipes are read for a database.
const LAST_MILESTONE: u8 = 14 * MILESTONE;

/// What is written of a recipe: what differs from an older one, or all, where that is little more.
/// `positions`: where the base's groups stand, if that is known.
pub(in crate::ops) fn body_of(
    recipe: &Recipe,
    base: Option<(ChunkId, Recipe)>,
    positions: Option<GroupPositions>,
    reader: &mut ChunkReader<'_>,
) -> Result<RecipeBody, Error> {
    let Some((id, base)) = base else { return whole(recipe) };
    let body = match older(id, &base, reader)? {
        Older::Base { depth } => beyond(recipe, (id, &base), positions, depth)?,
        Older::Ancestor { id, depth } => {
            // Three recipes at once would take too much memory.
            drop((base, positions));
            match reader.recipe(&id) {
                Ok(ancestor) => beyond(recipe, (id, &ancestor), None, depth)?,
                Err(error) if error.is_damage() => return whole(recipe),
                Err(error) => return Err(error.into()),
            }
        }
    };
    if body.hashes.len() * 2 <= recipe.hashes.len() { Ok(body) } else { whole(recipe) }
}

/// What a recipe is written against, and its depth then.
enum Older {
    Base { depth: u8 },
    Ancestor { id: ChunkId, depth: u8 },
}

fn older(id: ChunkId, base: &Recipe, reader: &mut ChunkReader<'_>) -> Result<Older, Error> {
    if base.cells.is_none() {
        let is_near = base.depth < DEPTH_MAX;
        return Ok(if is_near {
            Older::Base { depth: base.depth + 1 }
        } else {
            Older::Ancestor { id: base.whole, depth: 1 }
        });
    }
    if base.depth % MILESTONE < MILESTONE - 1 {
        return Ok(Older::Base { depth: base.depth + 1 });
    }
    let milestone = base.depth / MILESTONE * MILESTONE;
    if (1..LAST_MILESTONE).contains(&milestone) {
        let mut at = id;
        // Comes to an end: the recipe was read a moment ago, and its depths fall.
        loop {
            let body = reader.recipe_body(&at, &mut Vec::new())?;
            match body.base {
                _ if body.depth == milestone => {
                    return Ok(Older::Ancestor { id: at, depth: milestone + MILESTONE });
                }
                Some(base) if body.depth > milestone => at = base,
                _ => break,
            }
        }
    }
    Ok(Older::Ancestor { id: base.whole, depth: MILESTONE })
}

/// All of a recipe.
pub(in crate::ops) fn whole(recipe: &Recipe) -> Result<RecipeBody, Error> {
    Ok(match &recipe.cells {
        Some(cells) => {
            RecipeBody::of_cells(recipe, cells, None, None).map_err(StoreError::Compress)?
        }
        None => RecipeBody::whole(recipe),
    })
}

fn beyond(
    recipe: &Recipe,
    (id, base): (ChunkId, &Recipe),
    positions: Option<GroupPositions>,
    depth: u8,
) -> Result<RecipeBody, Error> {
    let body = match &recipe.cells {
        Some(cells) => RecipeBody::of_cells(recipe, cells, Some((id, base)), positions)
            .map_err(StoreError::Compress)?,
        None => RecipeBody::beyond(recipe, id, base),
    };
    Ok(RecipeBody { depth, ..body })
}
