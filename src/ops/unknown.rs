//! What does a snapshot not know? Paths that it could not read, did not enter or left out are not
//! in it, and that says nothing of whether they were there: nobody may take them for gone.

use std::collections::HashSet;

use crate::archive::{Part, name_in_zip};
use crate::manifest::{SnapshotRecord, display};
use crate::source::{Category, GENERATED, Globs};

use super::Error;

/// Paths of which a snapshot says nothing.
#[derive(Clone, Debug, Default)]
pub struct Unknown {
    /// Paths that could not be captured as problems name them, each with all below it.
    problems: HashSet<String>,
    /// More problems than are named, any of which may be about any path; or a source of which
    /// nothing was there.
    is_cut: bool,
    /// Left out by the user, or on another file system.
    excluded: Globs,
    /// Whether that is more than the files that the server makes anew all the time.
    is_more_excluded: bool,
    /// Categories that were captured; nothing where the source has none.
    captured: Option<Vec<Category>>,
    /// It was imported from a zip, which has no place for some files.
    is_zip: bool,
}

impl Unknown {
    /// What a snapshot's record says.
    pub fn of(record: &SnapshotRecord) -> Result<Unknown, Error> {
        let failed = |source: globset::Error| Error::Glob {
            glob: source.glob().unwrap_or_default().to_owned(),
            source,
        };
        let is_instance = !record.source.directories.contains_key("folder");
        Ok(Unknown {
            problems: record.problems.iter().map(|problem| problem.path.clone()).collect(),
            is_cut: record.problem_count > record.problems.len() as u64
                || record.has_only_markers(),
            excluded: Globs::new(&record.excluded).map_err(failed)?,
            is_more_excluded: record
                .excluded
                .iter()
                .any(|glob| !GENERATED.contains(&glob.as_str())),
            captured: is_instance
                .then(|| record.categories.keys().filter_map(|name| name.parse().ok()).collect()),
            is_zip: record.is_zip(),
        })
    }

    /// Whether nothing is unknown, except categories that were not captured and files that the server
    /// makes anew all the time.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty() && !self.is_cut && !self.is_more_excluded
    }

    /// Whether the snapshot, which lacks this path, says nothing about it.
    pub fn holds(&self, path: &[u8]) -> bool {
        self.is_cut
            || self.is_excluded(path)
            || self.is_below_a_problem(path)
            || (self.is_zip && has_no_place_in_zip(path))
    }

    /// Whether directories are known: a zip holds none, so that an empty one says nothing.
    pub fn knows_directories(&self) -> bool {
        !self.is_zip
    }

    /// The same for a path of this category.
    pub fn holds_of(&self, category: Category, path: &[u8]) -> bool {
        self.captured.as_ref().is_some_and(|captured| !captured.contains(&category))
            || self.holds(path)
    }

    /// Whether databases were captured.
    pub fn knows_databases(&self) -> bool {
        self.captured.as_ref().is_none_or(|captured| captured.contains(&Category::Database))
    }

    fn is_excluded(&self, path: &[u8]) -> bool {
        // What is left out is left out with all below it.
        !self.excluded.is_empty() && prefixes(path).any(|prefix| self.excluded.fit(prefix))
    }

    fn is_below_a_problem(&self, path: &[u8]) -> bool {
        !self.problems.is_empty()
            && prefixes(path).any(|prefix| self.problems.contains(&display(prefix)))
    }
}

/// Whether the server's own zips have no place for a file; ours have for some.
fn has_no_place_in_zip(path: &[u8]) -> bool {
    let part = std::str::from_utf8(path).ok().and_then(name_in_zip).map(|(part, _)| part);
    part.is_none_or(|part| part == Part::Kept)
}

/// A path and all folders above it.
fn prefixes(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at)
        .chain([path.len()]);
    ends.filter_map(|end| path.get(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_problem_or_a_glob_is_unknown_and_its_neighbours_are_not() {
        let unknown = Unknown {
            problems: HashSet::from(["metadata/People".to_owned()]),
            excluded: Globs::new(&["*.bif".to_owned(), "data/other/**".to_owned()]).unwrap(),
            captured: Some(vec![Category::Metadata]),
            ..Unknown::default()
        };
        for path in [
            "metadata/People",
            "metadata/People/Ann/folder.jpg",
            "metadata/x.bif",
            "metadata/x.bif/y",
            "data/other/a/b",
        ] {
            assert!(unknown.holds(path.as_bytes()), "{path}");
        }
        for path in ["metadata", "metadata/People2", "metadata/library/x.jpg", "data/other"] {
            assert!(!unknown.holds(path.as_bytes()), "{path}");
        }
        assert!(
            unknown.holds_of(Category::Plugins, b"plugins/x")
                && !unknown.holds_of(Category::Metadata, b"metadata/x")
        );
        let unknown = Unknown { is_zip: true, ..Unknown::default() };
        for path in ["data/device.txt", "data/own.txt", "data/livetv/timers.json", "config/x.conf"]
        {
            assert!(unknown.holds(path.as_bytes()), "{path}");
        }
        for path in ["config/system.xml", "data/playlists/a/b.xml", "metadata/library/x.jpg"] {
            assert!(!unknown.holds(path.as_bytes()), "{path}");
        }
        assert!(Unknown { is_cut: true, ..Unknown::default() }.holds(b"anything"));
    }
}
