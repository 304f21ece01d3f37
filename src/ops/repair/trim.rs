//! A snapshot without what is lost: new manifests of the entries that can be brought back, and a
//! record that names the others.

use crate::chunk::ChunkId;
use crate::limits::{NODE_ENTRIES_MAX, PROBLEMS_NAMED_MAX, REMARKS_MAX};
use crate::manifest::{
    CategoryRecord, Child, Entry, Kind, LeafRef, Node, SnapshotId, SnapshotRecord, TreeBuilder,
    encode_record_copy, read_node, starts_node,
};
use crate::progress::Problem;
use crate::store::{ExtentKind, FilledExtent, Index, PackStreams};

use super::super::Error;
use super::super::check::{CheckReport, Trees};
use super::super::ingest::packer::Packer;

/// The stream that manifest nodes go to.
const NODES: usize = 2;

/// An id for the snapshot that stands for another: a millisecond later, so that it takes its place
/// in the list and is told apart from it.
pub(super) fn new_id(old: &SnapshotId) -> Result<SnapshotId, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    Ok(SnapshotId::at(old.time_ms() + 1, random))
}

/// Closes the nodes that are still being put together.
pub(super) fn flush(packer: &mut Packer, streams: &mut PackStreams<'_>) -> Result<(), Error> {
    packer.flush(&mut |extent| append(streams, extent))
}

/// Stores a copy of a record, as a capture does.
pub(super) fn store_copy(
    id: SnapshotId,
    record: &SnapshotRecord,
    packer: &mut Packer,
    index: &Index,
    streams: &mut PackStreams<'_>,
) -> Result<(), Error> {
    packer.store_list(&encode_record_copy(id, record)?, index, &mut |extent| {
        append(streams, extent)
    })?;
    Ok(())
}

fn append(streams: &mut PackStreams<'_>, extent: FilledExtent) -> Result<(), Error> {
    debug_assert!(matches!(extent.kind, ExtentKind::Node | ExtentKind::List));
    Ok(streams.append(NODES, extent)?)
}

/// The record of a snapshot without what is lost of it. Its nodes are stored; they are durable once
/// the streams are finished.
pub(super) fn without(
    record: &SnapshotRecord,
    lost: &CheckReport,
    trees: &mut Trees<'_>,
    packer: &mut Packer,
    index: &Index,
    streams: &mut PackStreams<'_>,
) -> Result<SnapshotRecord, Error> {
    let mut trimmed = record.clone();
    trimmed.categories.clear();
    for (name, category) in &record.categories {
        let mut writer = TreeWriter {
            packer: &mut *packer,
            index,
            streams: &mut *streams,
            tree: TreeBuilder::default(),
            run: Vec::new(),
        };
        // A category of which nothing can be read is left out: an empty one would say that there
        // was nothing.
        if keep_below(category.manifest, None, trees, &mut writer)? {
            let root = writer.finish()?;
            trimmed.categories.insert(
                name.clone(),
                CategoryRecord {
                    manifest: root.id,
                    entries: root.entries,
                    files: root.files,
                    bytes: root.bytes,
                },
            );
        }
    }
    trimmed.bytes.source = trimmed.categories.values().map(|category| category.bytes).sum();
    trimmed.files.total = trimmed.categories.values().map(|category| category.files).sum();
    trimmed.problem_count += lost.damage_count;
    for damage in &lost.damage {
        if trimmed.problems.len() < PROBLEMS_NAMED_MAX {
            let what = format!(
                "was lost from the repository, and repair removed it from this snapshot: {}",
                damage.what
            );
            trimmed.problems.push(Problem { path: damage.path.clone(), what });
        }
    }
    if trimmed.remarks.len() < REMARKS_MAX {
        let entries = lost.damage_count;
        trimmed.remarks.push(format!("repair removed {entries} lost entries from this snapshot; restore --delete would delete them from the target too"));
    }
    Ok(trimmed)
}

/// Hands on all entries below a node that can be brought back; false where the node cannot be read.
fn keep_below(
    id: ChunkId,
    level: Option<u8>,
    trees: &mut Trees<'_>,
    writer: &mut TreeWriter<'_, '_>,
) -> Result<bool, Error> {
    let node = match read_node(trees.reader(), &id, level) {
        Ok(node) => node,
        Err(error) if error.is_damage() => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match node {
        Node::Leaf(entries) => {
            for entry in entries {
                if trees.entry(&entry)?.is_none() {
                    writer.push(entry)?;
                }
            }
        }
        Node::Inner { level, children } => {
            for child in children {
                keep_below(child.id, Some(level - 1), trees, writer)?;
            }
        }
    }
    Ok(true)
}

/// Entries in order become a manifest.
struct TreeWriter<'w, 'r> {
    packer: &'w mut Packer,
    index: &'w Index,
    streams: &'w mut PackStreams<'r>,
    tree: TreeBuilder,
    run: Vec<Entry>,
}

impl TreeWriter<'_, '_> {
    fn key(&self, path: &[u8]) -> [u8; 16] {
        self.packer.hashing().path_key(path)
    }

    fn push(&mut self, entry: Entry) -> Result<(), Error> {
        if self.run.len() >= NODE_ENTRIES_MAX
            || (!self.run.is_empty() && starts_node(&self.key(&entry.path), 0))
        {
            self.close_leaf()?;
        }
        self.run.push(entry);
        Ok(())
    }

    fn close_leaf(&mut self) -> Result<(), Error> {
        let entries = std::mem::take(&mut self.run);
        let Some(first) = entries.first().map(|entry| entry.path.clone()) else { return Ok(()) };
        let sizes = || {
            entries.iter().filter_map(|entry| {
                if let Kind::File { size, .. } = &entry.kind { Some(*size) } else { None }
            })
        };
        let path_key = self.key(&first);
        let TreeWriter { packer, index, streams, tree, .. } = self;
        let mut store = |bytes: Vec<u8>| {
            packer.store_node(&bytes, index, &mut |extent| append(streams, extent))
        };
        let id = store(Node::encode_leaf(&entries))?;
        let child = Child {
            first,
            id,
            entries: entries.len() as u64,
            files: sizes().count() as u64,
            bytes: sizes().sum(),
        };
        tree.push(LeafRef { child, path_key }, &mut store)
    }

    fn finish(mut self) -> Result<Child, Error> {
        self.close_leaf()?;
        let TreeWriter { packer, index, streams, tree, .. } = self;
        tree.finish(&mut |bytes: Vec<u8>| {
            packer.store_node(&bytes, index, &mut |extent| append(streams, extent))
        })
    }
}
