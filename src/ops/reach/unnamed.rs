//! Trees that no snapshot names. Usually they are garbage: their snapshots were forgotten. Where
//! the list of snapshots was lost they may be all that is left of snapshots, and must stay until
//! somebody says otherwise.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{
    Chain, Node, SnapshotId, SnapshotRecord, Standing, decode_record_copy, read_node,
};
use crate::store::{ChunkReader, ExtentKind, Index, Repository};

use super::super::{Error, Monitor};

/// The root of a tree of unknown origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnnamedTree {
    /// Its root.
    pub root: ChunkId,
    /// Files in it.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The pack that holds its root: what was captured together lies together.
    pub pack: [u8; 16],
}

/// What no snapshot names.
#[derive(Debug, Default)]
pub struct Unnamed {
    /// Roots, those of `records` among them.
    pub trees: Vec<UnnamedTree>,
    /// Records of snapshots that the list lost, as their copies in the packs tell them.
    pub records: Vec<(SnapshotId, SnapshotRecord)>,
}

/// What was found in nodes and lists that nothing needs.
#[derive(Default)]
struct Found {
    roots: HashMap<ChunkId, UnnamedTree>,
    children: HashSet<ChunkId>,
    copies: Vec<(SnapshotId, SnapshotRecord)>,
}

/// Finds what none of these snapshots, which are all that there are, names. Costs nothing where the
/// list accounts for all.
pub fn unnamed_trees(
    repository: &Repository,
    index: &Index,
    snapshots: &[(SnapshotId, SnapshotRecord)],
    monitor: &Monitor,
) -> Result<Unnamed, Error> {
    let standing = Standing::of(repository)?;
    if standing == Standing::Complete {
        return Ok(Unnamed::default());
    }
    let named = named_nodes(&mut ChunkReader::new(repository, index), snapshots)?;
    let found = find(repository, index, |id| named.contains(id), monitor)?;
    let chain = Chain::load(repository)?;
    let is_lost = |(id, record): &(SnapshotId, SnapshotRecord)| {
        let is_older = match standing {
            Standing::Complete => false,
            // An imported zip tells its own date, not when it was imported.
            Standing::BegunAgain(time_ns) => record.time_ns < time_ns || record.is_zip(),
            Standing::Lost => true,
        };
        is_older && !chain.listed.contains_key(id) && !chain.dropped.contains(id)
    };
    let manifests = |record: &SnapshotRecord| {
        record.categories.values().map(|category| category.manifest).collect::<Vec<_>>()
    };
    let (records, garbage): (Vec<_>, Vec<_>) = found.copies.into_iter().partition(is_lost);
    let lost: HashSet<ChunkId> = records.iter().flat_map(|(_, record)| manifests(record)).collect();
    let garbage: HashSet<ChunkId> = garbage
        .iter()
        .flat_map(|(_, record)| manifests(record))
        .filter(|root| !lost.contains(root))
        .collect();
    let is_root = |tree: &UnnamedTree| {
        !found.children.contains(&tree.root) && !garbage.contains(&tree.root) && tree.files > 0
    };
    let mut trees: Vec<UnnamedTree> = found.roots.into_values().filter(is_root).collect();
    trees.sort_unstable_by_key(|tree| tree.root);
    Ok(Unnamed { trees, records })
}

/// The records of snapshots, as their copies in the packs tell them.
pub fn record_copies(
    repository: &Repository,
    index: &Index,
    monitor: &Monitor,
) -> Result<Vec<(SnapshotId, SnapshotRecord)>, Error> {
    Ok(find(repository, index, |_| false, monitor)?.copies)
}

/// All nodes of snapshots' trees, as far as they can be read.
fn named_nodes(
    reader: &mut ChunkReader<'_>,
    snapshots: &[(SnapshotId, SnapshotRecord)],
) -> Result<HashSet<ChunkId>, Error> {
    let mut named = HashSet::new();
    let mut stack: Vec<_> = snapshots
        .iter()
        .flat_map(|(_, record)| record.categories.values())
        .map(|category| (category.manifest, None))
        .collect();
    while let Some((id, level)) = stack.pop() {
        if !named.insert(id) || level == Some(0) {
            continue;
        }
        match read_node(reader, &id, level) {
            Ok(Node::Inner { level, children }) => {
                stack.extend(children.iter().map(|child| (child.id, Some(level - 1))))
            }
            Ok(Node::Leaf(_)) => {}
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(named)
}

fn find(
    repository: &Repository,
    index: &Index,
    is_named: impl Fn(&ChunkId) -> bool,
    monitor: &Monitor,
) -> Result<Found, Error> {
    let packs: HashMap<u32, [u8; 16]> = index.packs()?.into_iter().collect();
    let mut kinds: HashMap<u32, Vec<ExtentKind>> = HashMap::new();
    let mut chunks = Vec::new();
    index.for_each_chunk(|id, place| {
        if let std::collections::hash_map::Entry::Vacant(vacant) = kinds.entry(place.pack) {
            vacant.insert(index.extents_of(place.pack)?.iter().map(|row| row.kind).collect());
        }
        let kind =
            kinds.get(&place.pack).and_then(|kinds| kinds.get(place.extent as usize)).copied();
        if matches!(kind, Some(ExtentKind::Node | ExtentKind::List)) && !is_named(id) {
            chunks.push((place.pack, place.extent, *id, kind == Some(ExtentKind::Node)));
        }
        Ok(())
    })?;
    // In the order in which they lie: each extent is read once.
    chunks.sort_unstable_by_key(|(pack, extent, ..)| (*pack, *extent));
    let mut reader = ChunkReader::new(repository, index);
    let mut found = Found::default();
    for (pack, _, id, is_node) in chunks {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let pack = packs.get(&pack).copied().unwrap_or_default();
        if is_node { found.node(id, pack, &mut reader)? } else { found.list(id, &mut reader)? }
    }
    Ok(found)
}

impl Found {
    fn node(
        &mut self,
        id: ChunkId,
        pack: [u8; 16],
        reader: &mut ChunkReader<'_>,
    ) -> Result<(), Error> {
        let node = match read_node(reader, &id, None) {
            Ok(node) => node,
            // Of a damaged node nothing can be brought back.
            Err(error) if error.is_damage() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let (files, bytes) = match &node {
            Node::Leaf(entries) => entries
                .iter()
                .filter(|entry| entry.content().is_some())
                .fold((0, 0), |sum, entry| (sum.0 + 1, sum.1 + entry.size())),
            Node::Inner { children, .. } => children
                .iter()
                .fold((0, 0), |sum, child| (sum.0 + child.files, sum.1 + child.bytes)),
        };
        if let Node::Inner { children, .. } = &node {
            self.children.extend(children.iter().map(|child| child.id));
        }
        self.roots.insert(id, UnnamedTree { root: id, files, bytes, pack });
        Ok(())
    }

    fn list(&mut self, id: ChunkId, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        match reader.read(&id) {
            Ok(bytes) => self.copies.extend(decode_record_copy(&bytes)),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}
