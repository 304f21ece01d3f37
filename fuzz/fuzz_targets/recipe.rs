//! A recipe from any bytes: what decodes encodes to a recipe that decodes to the same, and tells of
//! no page beyond the database.
#![no_main]

use jellyvault::store::{RecipeBody, RecipeParts};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(parts)) = RecipeParts::decode(bytes) {
        assert_eq!(RecipeParts::decode(&parts.encode()), Ok(Some(parts)));
    }
    if let Ok(body) = RecipeBody::decode(bytes) {
        let told: usize = body.runs.iter().map(|run| run.pages as usize).sum();
        assert_eq!(told, body.hashes.len());
        assert!(body.runs.iter().all(|run| run.page + run.pages <= body.pages && (run.place.extent as usize) < body.extents.len()));
        assert_eq!(RecipeBody::decode(&body.encode()), Ok(body));
    }
});
