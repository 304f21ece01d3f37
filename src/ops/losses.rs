//! Did a server lose much from one snapshot to the next? A disk that was away during a library scan
//! empties a library, and nobody may notice for weeks.

use std::sync::Arc;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::progress::Monitor;
use crate::source::{Category, DATABASE_PATH};
use crate::store::Repository;

use super::Error;
use super::rows::{RowsOptions, Which, diff_rows, open_state};

/// Fewer than so many are a day's work.
const LEAST: u64 = 10;
/// One of so many is much.
const SHARE: u64 = 4;
/// Tables of what people made or collected, and what their rows are to them.
const TABLES: [(&str, &str); 4] = [
    ("BaseItems", "library items"),
    ("UserData", "watch states"),
    ("Users", "users"),
    ("LinkedChildren", "playlist and collection entries"),
];

/// Much of a kind that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Of what.
    pub what: String,
    /// How many are gone, those that came taken off.
    pub count: u64,
}

/// What is gone from one snapshot to a later one of the same server, where it is a quarter of its
/// kind and at least ten.
///
/// # Errors
/// As of [`diff_rows`].
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
        if count >= LEAST && count.saturating_mul(SHARE) >= had {
            found.push(Loss { what: format!("{category} files"), count });
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
    let report = diff_rows(&own, &other, &[], &RowsOptions::default(), monitor, |_| Ok(()))?;
    // An upgrade moves rows from table to table.
    for (table, what) in TABLES.iter().filter(|_| !report.upgraded) {
        let change = report.tables.iter().find(|change| change.name == *table);
        let count = change.map_or(0, |change| change.removed.saturating_sub(change.added));
        let bound = usize::try_from(count.saturating_mul(SHARE)).unwrap_or(usize::MAX);
        if count >= LEAST && !own.has_rows(table, bound)? {
            found.push(Loss { what: (*what).to_owned(), count });
        }
    }
    Ok(found)
}
