//! Where do two manifests differ? Nodes that both have are skipped unread; the leaves that are left are merged in path order.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};

use crate::chunk::ChunkId;
use crate::store::ChunkReader;

use super::Error;
use super::cursor::{read_leaf, read_node};
use super::entry::Entry;
use super::node::Node;
use super::path::compare;

/// A path that is not the same in both manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its entry before; nothing where it was not there.
    pub before: Option<Entry>,
    /// Its entry after; nothing where it is gone.
    pub after: Option<Entry>,
}

/// Entries of each side that are decoded ahead, the two sides on two threads: some 2 MB.
const ENTRIES_AHEAD: usize = 4096;
/// Fewer leaves are not worth a thread.
const LEAVES_ALONE: usize = 4;

/// A node that is still to be read; of a root the level is not known.
type Unread = (ChunkId, Option<u8>);

struct Side<'r> {
    reader: ChunkReader<'r>,
    /// Leaves that the other side has not, in path order.
    leaves: std::vec::IntoIter<Unread>,
    entries: VecDeque<Entry>,
}

/// The differences of two manifests, in path order.
///
/// Reads only nodes that are not in both trees, each once: equal runs of paths are equal nodes, whatever was there before.
pub struct Differences<'r> {
    before: Side<'r>,
    after: Side<'r>,
    /// The roots, until the first question.
    roots: Option<[Option<ChunkId>; 2]>,
    nodes_read: u64,
}

impl<'r> Differences<'r> {
    /// Between two roots; a side without a root is empty. Each side has its reader: neighbours in path order lie together.
    pub fn new(before: (ChunkReader<'r>, Option<ChunkId>), after: (ChunkReader<'r>, Option<ChunkId>)) -> Differences<'r> {
        let roots = Some([before.1, after.1]);
        let side = |reader| Side { reader, leaves: Vec::new().into_iter(), entries: VecDeque::new() };
        Differences { before: side(before.0), after: side(after.0), roots, nodes_read: 0 }
    }

    /// Nodes that were read so far, of both sides.
    pub fn nodes_read(&self) -> u64 {
        self.nodes_read
    }

    /// Opens both trees from the top, level by level: what both have at one level is not opened.
    fn find_leaves(&mut self, roots: [Option<ChunkId>; 2]) -> Result<(), Error> {
        let [mut before, mut after] = roots.map(|root| root.map(|id| (id, None)).into_iter().collect::<Vec<Unread>>());
        loop {
            let has = |unread: &[Unread]| unread.iter().map(|(id, _)| *id).collect::<HashSet<_>>();
            let (in_before, in_after) = (has(&before), has(&after));
            before.retain(|(id, _)| !in_after.contains(id));
            after.retain(|(id, _)| !in_before.contains(id));
            // A node whose level is not known counts as above all others.
            let height = |(_, level): &Unread| level.map_or(i32::MAX, i32::from);
            let highest = before.iter().chain(&after).map(height).max().unwrap_or_default();
            if highest == 0 {
                break;
            }
            for (side, unread) in [(&mut self.before, &mut before), (&mut self.after, &mut after)] {
                let mut opened = Vec::new();
                for node in std::mem::take(unread) {
                    if height(&node) < highest {
                        opened.push(node);
                        continue;
                    }
                    match read_node(&mut side.reader, &node.0, node.1)? {
                        Node::Leaf(_) => opened.push((node.0, Some(0))),
                        Node::Inner { level, children } => {
                            self.nodes_read += 1;
                            opened.extend(children.into_iter().map(|child| (child.id, Some(level - 1))));
                        }
                    }
                }
                *unread = opened;
            }
        }
        (self.before.leaves, self.after.leaves) = (before.into_iter(), after.into_iter());
        Ok(())
    }

    /// Decodes the next leaves of both sides.
    fn refill(&mut self) -> Result<(), Error> {
        let (before, after) = (&mut self.before, &mut self.after);
        let (left, right) = if before.leaves.len().min(after.leaves.len()) < LEAVES_ALONE {
            (before.refill(), after.refill())
        } else {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| before.refill());
                let right = after.refill();
                (other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), right)
            })
        };
        self.nodes_read += left? + right?;
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Difference>, Error> {
        if let Some(roots) = self.roots.take() {
            self.find_leaves(roots)?;
        }
        loop {
            if self.before.is_dry() || self.after.is_dry() {
                self.refill()?;
            }
            let order = match (self.before.entries.front(), self.after.entries.front()) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => compare(&before.path, &after.path),
            };
            let before = if order == Ordering::Greater { None } else { self.before.entries.pop_front() };
            let after = if order == Ordering::Less { None } else { self.after.entries.pop_front() };
            if before != after {
                return Ok(Some(Difference { before, after }));
            }
        }
    }
}

impl Side<'_> {
    /// Whether more must be read before anything can be said.
    fn is_dry(&self) -> bool {
        self.entries.is_empty() && self.leaves.len() > 0
    }

    /// Decodes the next leaves; how many.
    fn refill(&mut self) -> Result<u64, Error> {
        let mut read = 0;
        while self.entries.len() < ENTRIES_AHEAD
            && let Some((id, _)) = self.leaves.next()
        {
            self.entries.extend(read_leaf(&mut self.reader, &id)?);
            read += 1;
        }
        Ok(read)
    }
}

impl Iterator for Differences<'_> {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(found) => found.map(Ok),
            Err(error) => {
                // Nothing is said about what could not be compared.
                for side in [&mut self.before, &mut self.after] {
                    side.leaves = Vec::new().into_iter();
                    side.entries.clear();
                }
                Some(Err(error))
            }
        }
    }
}
