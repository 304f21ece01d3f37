//! One side of a comparison: a snapshot, or what lies in the source now.

use crate::manifest::{CategoryRecord, SnapshotRecord, find};
use crate::source::{Category, Layout};
use crate::store::{ChunkReader, Held};

use super::super::select::categories;
use super::super::{Error, Unknown};

/// One side of a comparison.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Its categories.
    pub categories: Vec<(Category, CategoryRecord)>,
    /// Manifest nodes that the repository does not hold.
    pub held: Held,
    /// What it does not know.
    pub unknown: Unknown,
    /// The directories that contents are read in, where no pack holds them: a live source's.
    pub live: Option<Layout>,
}

impl Tree {
    /// A snapshot.
    pub fn of(record: &SnapshotRecord) -> Result<Tree, Error> {
        let categories =
            categories(record).map(|(category, record)| (category, record.clone())).collect();
        Ok(Tree { categories, held: Held::default(), unknown: Unknown::of(record)?, live: None })
    }

    /// Whether nothing can differ: the manifests are the same.
    pub fn has_the_same(&self, other: &Tree) -> bool {
        let manifests = |tree: &Tree| {
            tree.categories
                .iter()
                .map(|(category, record)| (*category, record.manifest))
                .collect::<Vec<_>>()
        };
        manifests(self) == manifests(other)
    }

    pub(super) fn root(&self, category: Category) -> Option<&CategoryRecord> {
        self.categories.iter().find(|(own, _)| *own == category).map(|(_, record)| record)
    }

    /// Whether it has a path, in whichever category.
    pub(super) fn has_path<'r>(
        &self,
        path: &[u8],
        reader: impl Fn(&Tree) -> ChunkReader<'r>,
    ) -> Result<bool, Error> {
        for (_, root) in &self.categories {
            if find(&mut reader(self), root.manifest, path)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
