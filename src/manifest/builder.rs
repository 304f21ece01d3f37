//! How does a sorted list become a tree that depends on the list alone? A node begins where a hash
//! of the entry's own path says so, on every level, whatever was there before.

use crate::chunk::ChunkId;
use crate::limits::{NODE_ENTRIES_MAX, NODE_LEVEL_MAX};

use super::node::{Child, Node};

/// Bits of a path's hash that must be zero for each level: 64 entries to a node on average.
const BITS_A_LEVEL: u32 = 6;

/// Whether an entry begins a node of this level (0 for leaves), by the key of its path
/// (`Hashing::path_key`).
pub fn starts_node(path_key: &[u8; 16], level: u8) -> bool {
    let [a, b, c, d, e, f, g, h, ..] = *path_key;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).trailing_zeros()
        >= BITS_A_LEVEL * (u32::from(level) + 1)
}

/// A finished leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafRef {
    /// What its parent will say of it.
    pub child: Child,
    /// The key of its first path.
    pub path_key: [u8; 16],
}

/// Builds the inner nodes over leaves that come in order.
#[derive(Debug, Default)]
pub struct TreeBuilder {
    levels: Vec<Vec<LeafRef>>,
}

impl TreeBuilder {
    /// Takes the next leaf; `store` receives the bytes of each inner node that is complete and
    /// gives its id.
    pub fn push<E>(
        &mut self,
        leaf: LeafRef,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        self.push_at(0, leaf, store)
    }

    fn push_at<E>(
        &mut self,
        level: usize,
        leaf: LeafRef,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        if self.levels.len() <= level {
            self.levels.resize(level + 1, Vec::new());
        }
        let full = self.levels.get(level).is_some_and(|row| {
            row.len() >= NODE_ENTRIES_MAX
                || (!row.is_empty()
                    && level < usize::from(NODE_LEVEL_MAX)
                    && starts_node(&leaf.path_key, level as u8 + 1))
        });
        if full {
            self.flush(level, store)?;
        }
        if let Some(row) = self.levels.get_mut(level) {
            row.push(leaf);
        }
        Ok(())
    }

    fn flush<E>(
        &mut self,
        level: usize,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let Some(row) = self.levels.get_mut(level).map(std::mem::take) else { return Ok(()) };
        let Some(first) = row.first() else { return Ok(()) };
        let (path_key, first) = (first.path_key, first.child.first.clone());
        let children: Vec<Child> = row.into_iter().map(|leaf| leaf.child).collect();
        let sum = |of: fn(&Child) -> u64| children.iter().map(of).sum();
        let (entries, files, bytes) = (sum(|c| c.entries), sum(|c| c.files), sum(|c| c.bytes));
        let id = store(Node::encode_inner(level as u8 + 1, &children))?;
        self.push_at(
            level + 1,
            LeafRef { child: Child { first, id, entries, files, bytes }, path_key },
            store,
        )
    }

    /// The root: the one node above all, or an empty leaf where there is none.
    pub fn finish<E>(
        mut self,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<Child, E> {
        let mut level = 0;
        while level < self.levels.len() {
            let alone = self.levels.iter().skip(level + 1).all(Vec::is_empty);
            match self.levels.get_mut(level) {
                Some(row) if row.len() == 1 && alone => {
                    if let Some(root) = row.pop() {
                        return Ok(root.child);
                    }
                }
                _ => self.flush(level, store)?,
            }
            level += 1;
        }
        let id = store(Node::encode_leaf(&[]))?;
        Ok(Child { first: Vec::new(), id, entries: 0, files: 0, bytes: 0 })
    }
}
