//! Puts a recipe of cells together from what is stored: a whole one, and those that say what differs
//! from the one before.

use std::sync::Arc;

use crate::chunk::ChunkId;

use super::cells_body::CellsBody;
use super::cells_of_recipe::{CellsParts, proof};
use super::packed_shapes::unpack;
use super::recipe::{PagePlace, Recipe, RecipeBody};

/// Puts a recipe together from its stored parts, the newest first, and the recipe that the oldest
/// of them builds on. Parts that nobody else holds are given up one after another.
pub(super) fn resolve(
    parts: impl DoubleEndedIterator<Item = (ChunkId, Arc<RecipeBody>)>,
    base: Option<Arc<Recipe>>,
) -> Result<Recipe, &'static str> {
    let mut recipe = base;
    let mut proved = None;
    for (id, body) in parts.rev() {
        proved = body.cells.as_ref().map(|cells| cells.proof);
        let next = match (&recipe, body.base) {
            (Some(base), Some(_)) => step(base, &body)?,
            (None, None) => whole(id, Arc::unwrap_or_clone(body))?,
            _ => return Err("it does not build on what it should"),
        };
        recipe = Some(Arc::new(next));
    }
    let recipe = recipe.map(Arc::unwrap_or_clone).ok_or("it has no parts")?;
    let found = recipe.cells.as_ref().map(|cells| proof(recipe.page_bytes, cells, &recipe.hashes));
    if found.is_some() && found == proved {
        Ok(recipe)
    } else {
        Err("its groups are not those of the database")
    }
}

const OF_PAGES: &str = "it builds on a recipe of pages";
const NO_PLACE: &str = "some of its groups have no place";

/// A recipe that is stored whole.
fn whole(id: ChunkId, mut body: RecipeBody) -> Result<Recipe, &'static str> {
    let mut places = Vec::with_capacity(body.hashes.len());
    for (group, place, ..) in body.told_groups() {
        if group as usize != places.len() {
            return Err(NO_PLACE);
        }
        places.push(place);
    }
    let mut cells = body.cells.take().ok_or(OF_PAGES)?;
    let lens = std::mem::take(&mut cells.lens);
    let groups = body.pages as usize;
    if [places.len(), lens.len(), body.hashes.len()] != [groups; 3] {
        return Err(NO_PLACE);
    }
    let recipe = Recipe {
        depth: body.depth,
        whole: id,
        extents: body.extents,
        hashes: body.hashes,
        places,
        ..Recipe::default()
    };
    with_shapes(recipe, body.page_bytes, &cells, lens, &[])
}

/// The recipe that a stored one and the one it builds on come to.
fn step(base: &Recipe, body: &RecipeBody) -> Result<Recipe, &'static str> {
    let cells = body.cells.as_ref().ok_or(OF_PAGES)?;
    let base_cells = base.cells.as_deref();
    if base_cells
        .is_some_and(|known| known.salt != cells.salt || base.page_bytes != body.page_bytes)
    {
        return Err("it builds on a recipe of another kind");
    }
    let mut recipe = Recipe {
        depth: body.depth,
        whole: base.whole,
        extents: [base.extents.as_slice(), &body.extents].concat(),
        ..Recipe::default()
    };
    let first_extent = base.extents.len() as u32;
    let groups = body.pages as usize;
    let likely = groups.min(base.hashes.len() + body.hashes.len());
    let mut lens: Vec<u32> = Vec::with_capacity(likely);
    recipe.hashes.reserve_exact(likely);
    recipe.places.reserve_exact(likely);
    let mut told = body.told_groups().peekable();
    let mut copies = cells.copies.iter().peekable();
    while lens.len() < groups {
        if let Some(copy) = copies.next_if(|copy| copy.at as usize == lens.len()) {
            let range = copy.from as usize..(copy.from + copy.count) as usize;
            let missing = "it names groups that the recipe before it does not have";
            recipe.hashes.extend_from_slice(base.hashes.get(range.clone()).ok_or(missing)?);
            recipe.places.extend_from_slice(base.places.get(range.clone()).ok_or(missing)?);
            lens.extend_from_slice(
                base_cells.and_then(|cells| cells.lens.get(range)).ok_or(missing)?,
            );
        } else if let Some((_, place, len, hash)) =
            told.next_if(|(group, ..)| *group as usize == lens.len())
        {
            recipe.hashes.push(hash);
            recipe.places.push(PagePlace { extent: first_extent + place.extent, slot: place.slot });
            lens.push(len);
        } else {
            return Err(NO_PLACE);
        }
    }
    let before = base_cells.map_or(&[][..], |cells| cells.encoded.as_slice());
    with_shapes(recipe, body.page_bytes, cells, lens, before)
}

fn with_shapes(
    recipe: Recipe,
    page_bytes: u32,
    cells: &CellsBody,
    lens: Vec<u32>,
    before: &[u8],
) -> Result<Recipe, &'static str> {
    let shapes = unpack(&cells.shapes, before, cells.shapes_bytes as usize)
        .map_err(|_| "the shapes of its pages cannot be decompressed")?;
    Ok(recipe.with_unread_cells(CellsParts {
        page_bytes,
        pages: cells.pages,
        salt: cells.salt,
        shapes,
        lens,
    }))
}
