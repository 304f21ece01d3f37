//! Did a server lose much from one snapshot to the next? A disk that was away during a library scan
//! empties a library, and nobody may notice for weeks.

use std::sync::Arc;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::progress::Monitor;
use crate::source::{Category, DATABASE_PATH};
use crate::store::Repository;

use super::Error;
use super::rows::{Gone, Which, gone, open_state};

/// Fewer than so many are a day's work.
const LEAST: u64 = 10;
/// One of so many is much.
const SHARE: u64 = 4;
/// Of one kind of media, so many are much where they are half of it.
const LEAST_OF_HALF: u64 = 5;

/// Much of a kind that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Of what.
    pub what: String,
    /// How many are gone, those that came taken off.
    pub count: u64,
    /// How many there were.
    pub of: u64,
}

/// What is gone from one snapshot to a later one of the same server, where it is a quarter of its
/// kind and at least ten; of films, episodes and other media also where it is half and at least
/// five.
///
/// # Errors
/// As of [`super::diff_rows`].
pub fn losses(
    repository: &Repository,
    before: &(SnapshotId, SnapshotRecord),
    after: &(SnapshotId, SnapshotRecord),
    monitor: &Monitor,
) -> Result<Vec<Loss>, Error> {
    let mut found = Vec::new();
    for category in Category::ALL.into_iter().filter(|category| *category != Category::Database) {
        let files =
            |record: &SnapshotRecord| record.category(category.name()).map(|found| found.files);
        // What was left out is not gone.
        let (Some(had), Some(has)) = (files(&before.1), files(&after.1)) else { continue };
        let count = had.saturating_sub(has);
        if is_much(count, had) {
            found.push(Loss { what: format!("{category} files"), count, of: had });
        }
    }
    let manifest = |record: &SnapshotRecord| {
        record.category(Category::Database.name()).map(|found| found.manifest)
    };
    if manifest(&before.1) == manifest(&after.1) {
        return Ok(found);
    }
    let index = repository.index()?;
    let recipes = Arc::default();
    let state = |snapshot| -> Result<_, Error> {
        let state = open_state(repository, &index, &Which::Snapshot(snapshot), DATABASE_PATH)?;
        Ok(state.map(|state| state.sharing(&recipes)))
    };
    let (Some(own), Some(other)) = (state(before)?, state(after)?) else { return Ok(found) };
    let gone = gone(&own, &other, monitor)?;
    found.extend(much_of(&gone).map(|gone| Loss {
        what: gone.what.to_owned(),
        count: gone.count,
        of: gone.of,
    }));
    Ok(found)
}

fn is_much(count: u64, of: u64) -> bool {
    count >= LEAST && count.saturating_mul(SHARE) >= of
}

/// Kinds of which much is gone. Where much of all media is, each of its kinds is named.
fn much_of(gone: &[Gone]) -> impl Iterator<Item = &Gone> {
    let media = || gone.iter().filter(|gone| gone.is_media);
    let (count, of) = (media().map(|gone| gone.count).sum(), media().map(|gone| gone.of).sum());
    let is_media_gone = is_much(count, of);
    gone.iter().filter(move |gone| {
        is_much(gone.count, gone.of)
            || gone.is_media
                && (is_media_gone || gone.count >= LEAST_OF_HALF && gone.count * 2 >= gone.of)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(gone: &[(&'static str, u64, u64, bool)]) -> Vec<&'static str> {
        let gone: Vec<Gone> = gone
            .iter()
            .map(|&(what, count, of, is_media)| Gone { what, count, of, is_media })
            .collect();
        much_of(&gone).map(|gone| gone.what).collect()
    }

    #[test]
    fn what_is_much_is_told_and_a_days_work_is_not() {
        assert_eq!(told(&[("films", 7, 8, true)]), ["films"]);
        assert_eq!(told(&[("films", 4, 4, true), ("users", 3, 4, false)]), [""; 0]);
        assert_eq!(
            told(&[("films", 6, 20, true), ("episodes", 6, 28, true)]),
            ["films", "episodes"]
        );
        assert_eq!(told(&[("films", 300, 2000, true)]), [""; 0]);
        assert_eq!(told(&[("songs", 9, 9000, true), ("films", 40, 100, true)]), ["films"]);
        assert_eq!(told(&[("watch states", 10, 40, false)]), ["watch states"]);
    }
}
