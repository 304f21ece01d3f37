//! Recipes: golden bytes, refusals, chains, and recipes that are written anew.

use proptest::prelude::*;

use crate::chunk::Hashing;

use super::*;

fn hash(n: u32) -> PageHash {
    Hashing::default().page(&n.to_le_bytes())
}

fn id(n: u8) -> ChunkId {
    ChunkId([n; 32])
}

/// A recipe of pages named by numbers, `per_extent` to an extent in order of their first
/// appearance.
fn recipe(pages: &[u32], per_extent: u32) -> Recipe {
    let mut recipe = Recipe { page_bytes: 4096, ..Recipe::default() };
    let mut known: Vec<u32> = Vec::new();
    for page in pages {
        let at = known.iter().position(|k| k == page).unwrap_or_else(|| {
            known.push(*page);
            known.len() - 1
        }) as u32;
        while recipe.extents.len() as u32 <= at / per_extent {
            recipe.extents.push(Hashing::default().id(
                &[known[0].to_le_bytes(), (recipe.extents.len() as u32).to_le_bytes()].concat(),
            ));
        }
        recipe.hashes.push(hash(*page));
        recipe.places.push(PagePlace { extent: at / per_extent, slot: at % per_extent });
    }
    recipe
}

/// A chain, the newest first.
fn resolve(chain: &[(ChunkId, RecipeBody)]) -> Option<Recipe> {
    let mut resolving = Resolving::default();
    chain.iter().for_each(|(id, body)| resolving.take(*id, body));
    resolving.finish()
}

fn chunks(recipe: &Recipe) -> Vec<(ChunkId, u32)> {
    recipe.places.iter().map(|place| (recipe.extents[place.extent as usize], place.slot)).collect()
}

#[test]
fn a_recipe_has_golden_bytes() {
    let whole = recipe(&[1, 2, 3, 4, 5, 1, 9], 4);
    let mut next = whole.clone();
    next.hashes[2] = hash(33);
    next.extents.push(id(8));
    next.places[2] = PagePlace { extent: 2, slot: 0 };
    next.hashes.push(hash(34));
    next.places.push(PagePlace { extent: 2, slot: 1 });
    let bodies = [RecipeBody::whole(&whole), RecipeBody::beyond(&next, id(7), &whole)];
    let text: String = bodies
        .iter()
        .map(|body| body.encode().iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n")
        .collect();
    assert_eq!(text, include_str!("golden/recipes.hex"));
    for body in bodies {
        assert_eq!(RecipeBody::decode(&body.encode()), Ok(body));
    }
    let parts = RecipeParts { bytes: RECIPE_PART_BYTES + 1, parts: vec![id(1), id(2)] };
    assert_eq!(RecipeParts::decode(&parts.encode()), Ok(Some(parts)));
}

#[test]
fn a_recipe_cut_anywhere_or_with_bytes_behind_is_refused() {
    let bytes = RecipeBody::whole(&recipe(&[1, 2, 3, 1, 2, 7], 2)).encode();
    for end in 0..bytes.len() {
        assert!(RecipeBody::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert!(RecipeBody::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
}

#[test]
fn a_recipe_written_anew_with_other_places_keeps_its_identity_and_those_that_build_on_it() {
    let before = recipe(&[1, 2, 3, 4, 5, 6], 2);
    let mut after = before.clone();
    after.hashes[5] = hash(60);
    after.extents.push(id(60));
    after.places[5] = PagePlace { extent: 3, slot: 0 };
    let identity = |recipe: &Recipe| Hashing::default().database(recipe.page_bytes, &recipe.hashes);
    let beyond = RecipeBody::beyond(&after, identity(&before), &before);
    // What deletion does: pages of three extents move into one, the recipe is written anew under
    // the same identity.
    let moved = Recipe {
        extents: vec![id(99)],
        places: (0..6).map(|slot| PagePlace { extent: 0, slot }).collect(),
        ..before.clone()
    };
    assert_eq!(identity(&moved), identity(&before));
    let chain = vec![(identity(&after), beyond), (identity(&before), RecipeBody::whole(&moved))];
    let found = resolve(&chain).unwrap();
    assert_eq!(
        (identity(&found), found.depth, found.whole),
        (identity(&after), 1, identity(&before))
    );
    assert_eq!(found.live_extents(), [(id(60), 1), (id(99), 5)]);
}

#[test]
fn a_page_whose_extent_was_lost_is_told_of_even_where_its_hash_is_the_same() {
    let before = recipe(&[1, 2, 3, 4], 2);
    let mut after = before.clone();
    after.extents.push(id(5));
    after.places[1] = PagePlace { extent: 2, slot: 9 };
    let body = RecipeBody::beyond(&after, id(1), &before);
    assert_eq!((body.runs.len(), body.extents), (1, vec![id(5)]));
}

proptest! {
    #[test]
    fn a_chain_of_recipes_leads_to_the_same_pages_as_a_whole_one(
        versions in proptest::collection::vec(proptest::collection::vec(0..40u32, 0..60), 1..8),
        per_extent in 1..9u32,
    ) {
        let mut chain: Vec<(ChunkId, RecipeBody)> = Vec::new();
        let mut before: Option<(ChunkId, Recipe)> = None;
        for (number, pages) in versions.iter().enumerate() {
            let now = recipe(pages, per_extent);
            let name = id(number as u8 + 1);
            let body = match &before {
                Some((base, recipe)) => RecipeBody::beyond(&now, *base, recipe),
                None => RecipeBody::whole(&now),
            };
            prop_assert_eq!(RecipeBody::decode(&body.encode()), Ok(body.clone()));
            chain.insert(0, (name, body));
            let found = resolve(&chain).unwrap();
            prop_assert_eq!(&found.hashes, &now.hashes);
            prop_assert_eq!(chunks(&found), chunks(&now));
            prop_assert_eq!(usize::from(found.depth), number);
            before = Some((name, found));
        }
    }
}
