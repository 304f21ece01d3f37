//! Trees that no snapshot names and that are kept all the same: they may be all that is left of
//! snapshots.

use crate::chunk::ChunkId;
use crate::manifest::{Catalog, record_copy_id};
use crate::store::{ChunkReader, Index, Repository};

use super::super::reach::{Reached, Unnamed, UnnamedTree, unnamed_trees};
use super::super::{Error, Monitor};

/// Digits by which a tree is named.
const TREE_DIGITS: usize = 12;
/// Trees that are named at most.
const TREES_NAMED_MAX: usize = 100;

/// Marks trees of unknown origin, which may be all that is left of snapshots, and says so.
pub(super) fn keep_unnamed(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    given_up: &[String],
    reached: &mut Reached,
    readers: &mut [ChunkReader<'_>],
    monitor: &Monitor,
) -> Result<Option<String>, Error> {
    let Unnamed { trees, records } = unnamed_trees(repository, index, &catalog.snapshots, monitor)?;
    let name =
        |tree: &UnnamedTree| tree.root.to_string().chars().take(TREE_DIGITS).collect::<String>();
    if let Some(unknown) = given_up.iter().find(|id| {
        id.len() < TREE_DIGITS || !trees.iter().any(|tree| tree.root.to_string().starts_with(*id))
    }) {
        return Err(Error::Refused {
            what: format!("there is no tree {unknown} without a snapshot; nothing was deleted"),
            hint: "Run jellyvault prune --dry-run to list these trees.".to_owned(),
        });
    }
    let (dropped, kept): (Vec<_>, Vec<_>) = trees
        .iter()
        .partition(|tree| given_up.iter().any(|id| tree.root.to_string().starts_with(id)));
    let mut names = Vec::new();
    for tree in kept {
        names.push(format!("{} ({} files)", name(tree), tree.files));
        reached.add_tree(tree.root, readers, monitor)?;
    }
    let is_dropped = |root: &ChunkId| dropped.iter().any(|tree| tree.root == *root);
    for (id, record) in records.iter().filter(|(_, record)| {
        !record.categories.values().any(|category| is_dropped(&category.manifest))
    }) {
        if let Some(reader) = readers.first() {
            reached.add_chunk(&record_copy_id(*id, record, reader.hashing())?);
        }
    }
    Ok((!names.is_empty()).then(|| {
        let more = if names.len() > TREES_NAMED_MAX { ", …" } else { "" };
        format!(
            "the list of snapshots was lost once, and {} to no listed snapshot. The data was kept. Run jellyvault repair to recover it as snapshots, or \
             delete trees that you do not need with --remove-tree: {}{more}",
            if names.len() == 1 { "1 tree of files belongs".to_owned() } else { format!("{} trees of files belong", names.len()) },
            names.iter().take(TREES_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ")
        )
    }))
}
