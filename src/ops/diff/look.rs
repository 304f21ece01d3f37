//! The live source as a tree: what a snapshot taken now would hold, without taking it.

use crate::manifest::SnapshotRecord;
use crate::store::Repository;

use super::super::select::categories;
use super::super::snapshot::{SnapshotOptions, SourceSpec};
use super::super::{Error, Monitor, Unknown};
use super::Tree;

/// What lies in the source now.
#[derive(Clone, Debug)]
pub struct Look {
    /// Its tree.
    pub tree: Tree,
    /// What a snapshot of it would say; never published.
    pub record: SnapshotRecord,
}

/// Looks at a source: files that the scan cache does not know are read and hashed, nothing is
/// stored.
pub fn look(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    monitor: &Monitor,
) -> Result<Look, Error> {
    let (record, held) = super::super::snapshot::look(repository, spec, options, monitor)?;
    let tree = Tree {
        categories: categories(&record)
            .map(|(category, record)| (category, record.clone()))
            .collect(),
        held,
        unknown: Unknown::of(&record)?,
        live: Some(spec.layout.clone()),
    };
    Ok(Look { tree, record })
}
