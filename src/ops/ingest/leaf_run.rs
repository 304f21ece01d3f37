//! Entries that are told one after another, in order, on their way into the leaves of a category's
//! tree.

use std::collections::HashMap;

use crate::chunk::Hashing;
use crate::limits::NODE_ENTRIES_MAX;
use crate::manifest::{Child, Entry, Kind, LeafRef, Node, compare, display, starts_node};
use crate::source::Category;
use crate::store::Index;

use super::super::Error;
use super::collect::{Collector, Pending};
use super::job::{Counts, Leaf};
use super::packer::Packer;

/// Entries that become one leaf.
#[derive(Default)]
pub(in crate::ops) struct LeafRun {
    entries: Vec<Entry>,
    key: [u8; 16],
}

impl LeafRun {
    /// Whether the entry of a path begins the next leaf; asked before it is added.
    pub(in crate::ops) fn ends_before(&self, path: &[u8], hashing: &Hashing) -> bool {
        self.entries.len() >= NODE_ENTRIES_MAX
            || (!self.entries.is_empty() && starts_node(&hashing.path_key(path), 0))
    }

    /// Adds an entry.
    pub(in crate::ops) fn add(&mut self, entry: Entry, hashing: &Hashing) {
        if self.entries.is_empty() {
            self.key = hashing.path_key(&entry.path);
        }
        debug_assert!(
            self.entries.last().is_none_or(|last| compare(&last.path, &entry.path).is_lt()),
            "{} is out of order",
            display(&entry.path)
        );
        self.entries.push(entry);
    }

    /// Stores the leaf; what is added afterwards comes into the next.
    pub(in crate::ops) fn store(
        &mut self,
        category: Category,
        packer: &mut Packer,
        collector: &mut Collector<'_>,
        index: &Index,
    ) -> Result<(), Error> {
        let LeafRun { entries, key } = std::mem::take(self);
        let Some(first) = entries.first().map(|entry| entry.path.clone()) else { return Ok(()) };
        let files =
            entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. })).count() as u64;
        let bytes = entries.iter().map(Entry::size).sum();
        let id = packer.store_node(&Node::encode_leaf(&entries), index, &mut |extent| {
            collector.extent(category, extent)
        })?;
        let leaf = LeafRef {
            child: Child { first, id, entries: entries.len() as u64, files, bytes },
            path_key: key,
        };
        let leaf = Leaf {
            leaf,
            fingerprints: Vec::new(),
            counts: Counts::default(),
            problems: Vec::new(),
            owners: HashMap::new(),
        };
        collector.push(Pending::Done(category, vec![leaf]))
    }
}
