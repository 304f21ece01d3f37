//! Recipes of cells: golden bytes, refusals, chains, and recipes that are written anew.

use proptest::prelude::*;

use crate::chunk::Hashing;

use super::super::resolve_cells::resolve;
use super::*;

const SALT: [u8; 16] = [7; 16];

fn id(n: u8) -> ChunkId {
    ChunkId([n; 32])
}

/// A recipe of pages without shapes, named by numbers: each is a group of its own. A page lies
/// where its number says, four to an extent.
fn recipe(pages: &[u32]) -> Recipe {
    let names = Hashing::default().groups(&SALT);
    let mut recipe = Recipe { page_bytes: 512, ..Recipe::default() };
    for page in pages {
        let extent = Hashing::default().id(&(page / 4).to_le_bytes());
        let number =
            recipe.extents.iter().position(|known| *known == extent).unwrap_or_else(|| {
                recipe.extents.push(extent);
                recipe.extents.len() - 1
            });
        recipe.hashes.push(names.hash(&page.to_le_bytes()));
        recipe.places.push(PagePlace { extent: number as u32, slot: page % 4 * 512 });
    }
    let parts = CellsParts {
        page_bytes: 512,
        pages: pages.len() as u32,
        salt: SALT,
        shapes: vec![0, 0xfe],
        lens: vec![512; pages.len()],
    };
    recipe.with_cells(parts).unwrap()
}

fn body(recipe: &Recipe, base: Option<(ChunkId, &Recipe)>) -> RecipeBody {
    RecipeBody::of_cells(recipe, recipe.cells.as_deref().unwrap(), base, None).unwrap()
}

/// A chain, the newest first.
fn resolved(chain: &[(ChunkId, RecipeBody)]) -> Result<Recipe, &'static str> {
    resolve(chain.iter().map(|(id, body)| (*id, Arc::new(body.clone()))), None)
}

fn chunks(recipe: &Recipe) -> Vec<(ChunkId, u32)> {
    recipe.places.iter().map(|place| (recipe.extents[place.extent as usize], place.slot)).collect()
}

#[test]
fn a_recipe_of_cells_has_golden_bytes() {
    let whole = recipe(&[1, 2, 3, 4, 5, 1, 9]);
    let next = recipe(&[1, 2, 33, 4, 5, 5, 1, 9, 34]);
    let bodies = [body(&whole, None), body(&next, Some((id(7), &whole)))];
    let text: String = bodies
        .iter()
        .map(|body| body.encode().iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect();
    assert_eq!(text, include_str!("golden/recipes-of-cells.hex"));
    for body in bodies {
        assert_eq!(RecipeBody::decode(&body.encode()), Ok(body));
    }
}

#[test]
fn a_recipe_of_cells_cut_anywhere_or_with_bytes_behind_is_refused() {
    let before = recipe(&[1, 2, 3, 1, 2, 7]);
    for body in [body(&before, None), body(&recipe(&[1, 2, 8, 8, 7]), Some((id(1), &before)))] {
        let bytes = body.encode();
        for end in 0..bytes.len() {
            assert!(RecipeBody::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(RecipeBody::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}

#[test]
fn a_base_that_is_not_the_one_it_was_written_beyond_is_found_out() {
    let (before, other) = (recipe(&[1, 2, 3, 4, 5]), recipe(&[1, 2, 30, 4, 5]));
    let beyond = body(&recipe(&[1, 2, 3, 4, 6]), Some((id(1), &before)));
    assert!(resolved(&[(id(2), beyond.clone()), (id(1), body(&before, None))]).is_ok());
    assert!(resolved(&[(id(2), beyond.clone()), (id(1), body(&other, None))]).is_err());
    assert!(resolved(&[(id(2), beyond.clone()), (id(1), body(&recipe(&[1]), None))]).is_err());
    assert!(resolved(&[(id(2), beyond)]).is_err(), "alone");
}

#[test]
fn a_base_written_anew_with_its_groups_elsewhere_serves_those_that_build_on_it() {
    let before = recipe(&[1, 2, 3, 4, 5, 6]);
    let beyond = body(&recipe(&[2, 3, 4, 60, 5, 6]), Some((id(1), &before)));
    let moved = Recipe {
        extents: vec![id(99)],
        places: (0..6).map(|n| PagePlace { extent: 0, slot: n * 512 }).collect(),
        ..before.clone()
    };
    let found = resolved(&[(id(2), beyond), (id(1), body(&moved, None))]).unwrap();
    assert_eq!((found.depth, found.whole), (1, id(1)));
    let sixty = Hashing::default().id(&15u32.to_le_bytes());
    assert_eq!(
        chunks(&found),
        [(id(99), 512), (id(99), 1024), (id(99), 1536), (sixty, 0), (id(99), 2048), (id(99), 2560)]
    );
}

#[test]
fn a_row_of_groups_costs_a_few_bytes_wherever_it_moved() {
    let pages: Vec<u32> = (0..4000).collect();
    let before = recipe(&pages);
    let moved = [&pages[1000..], &pages[..1000], &[9000]].concat();
    let bytes = body(&recipe(&moved), Some((id(1), &before))).encode().len();
    assert!(bytes < 200, "{bytes} bytes");
}

proptest! {
    #[test]
    fn a_chain_of_recipes_of_cells_leads_to_the_same_groups_as_a_whole_one(
        versions in proptest::collection::vec(proptest::collection::vec(0..40u32, 0..60), 1..8),
    ) {
        let mut chain: Vec<(ChunkId, RecipeBody)> = Vec::new();
        let mut before: Option<(ChunkId, Recipe)> = None;
        for (number, pages) in versions.iter().enumerate() {
            let now = recipe(pages);
            let name = id(number as u8 + 1);
            let body = body(&now, before.as_ref().map(|(base, recipe)| (*base, recipe)));
            prop_assert_eq!(RecipeBody::decode(&body.encode()), Ok(body.clone()));
            chain.insert(0, (name, body));
            let found = resolved(&chain).unwrap();
            prop_assert_eq!(&found.hashes, &now.hashes);
            prop_assert_eq!(&found.cells, &now.cells);
            prop_assert_eq!(chunks(&found), chunks(&now));
            prop_assert_eq!(usize::from(found.depth), number);
            before = Some((name, found));
        }
    }
}
