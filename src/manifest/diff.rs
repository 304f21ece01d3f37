//! Where do two manifests differ? One merge over both trees in path order; a node that both have is skipped unread.

use std::cmp::Ordering;

use crate::chunk::ChunkId;
use crate::store::ChunkReader;

use super::Error;
use super::cursor::read_node;
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

/// What is still to be compared of one side: the next thing last.
enum Step {
    Node { first: Vec<u8>, id: ChunkId, level: Option<u8> },
    Entry(Box<Entry>),
}

impl Step {
    fn first(&self) -> &[u8] {
        match self {
            Step::Node { first, .. } => first,
            Step::Entry(entry) => &entry.path,
        }
    }
}

struct Side<'r> {
    reader: ChunkReader<'r>,
    steps: Vec<Step>,
}

/// The differences of two manifests, in path order.
///
/// Reads only nodes that are not in both trees, each once: equal runs of paths are equal nodes, whatever was there before.
pub struct Differences<'r> {
    before: Side<'r>,
    after: Side<'r>,
    nodes_read: u64,
}

impl<'r> Differences<'r> {
    /// Between two roots; a side without a root is empty. Each side has its reader: neighbours in path order lie together.
    pub fn new(before: (ChunkReader<'r>, Option<ChunkId>), after: (ChunkReader<'r>, Option<ChunkId>)) -> Differences<'r> {
        let side = |(reader, root): (ChunkReader<'r>, Option<ChunkId>)| {
            let root = root.map(|id| Step::Node { first: Vec::new(), id, level: None });
            Side { reader, steps: root.into_iter().collect() }
        };
        Differences { before: side(before), after: side(after), nodes_read: 0 }
    }

    /// Nodes that were read so far, of both sides.
    pub fn nodes_read(&self) -> u64 {
        self.nodes_read
    }

    fn step(&mut self) -> Result<Option<Difference>, Error> {
        loop {
            let order = match (self.before.steps.last(), self.after.steps.last()) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => {
                    if let (Step::Node { id, .. }, Step::Node { id: other, .. }) = (before, after)
                        && id == other
                    {
                        self.before.steps.pop();
                        self.after.steps.pop();
                        continue;
                    }
                    compare(before.first(), after.first())
                }
            };
            match order {
                Ordering::Less => match self.before.steps.pop() {
                    Some(Step::Entry(entry)) => return Ok(Some(Difference { before: Some(*entry), after: None })),
                    Some(node) => self.nodes_read += self.before.expand(node)?,
                    None => {}
                },
                Ordering::Greater => match self.after.steps.pop() {
                    Some(Step::Entry(entry)) => return Ok(Some(Difference { before: None, after: Some(*entry) })),
                    Some(node) => self.nodes_read += self.after.expand(node)?,
                    None => {}
                },
                Ordering::Equal => match (self.before.steps.pop(), self.after.steps.pop()) {
                    (Some(Step::Entry(before)), Some(Step::Entry(after))) if before == after => {}
                    (Some(Step::Entry(before)), Some(Step::Entry(after))) => {
                        return Ok(Some(Difference { before: Some(*before), after: Some(*after) }));
                    }
                    (Some(before), Some(after)) => self.meet(before, after)?,
                    _ => {}
                },
            }
        }
    }

    /// Two steps that begin at the same path: the higher one is opened, or both where they are level, so that nothing is read that
    /// the other side may have whole.
    fn meet(&mut self, before: Step, after: Step) -> Result<(), Error> {
        let height = |step: &Step| match step {
            Step::Entry(_) => -1,
            Step::Node { level, .. } => level.map_or(i32::MAX, i32::from),
        };
        let (b, a) = (height(&before), height(&after));
        // An entry is its own place in the order; it waits for the other side to come down to it.
        if b >= a {
            self.nodes_read += self.before.expand(before)?;
        } else {
            self.before.steps.push(before);
        }
        if a >= b {
            self.nodes_read += self.after.expand(after)?;
        } else {
            self.after.steps.push(after);
        }
        Ok(())
    }
}

impl Side<'_> {
    /// Puts what lies below a step in its place; the nodes that were read for it.
    fn expand(&mut self, step: Step) -> Result<u64, Error> {
        let Step::Node { id, level, .. } = step else {
            self.steps.push(step);
            return Ok(0);
        };
        match read_node(&mut self.reader, &id, level)? {
            Node::Leaf(entries) => self.steps.extend(entries.into_iter().rev().map(|entry| Step::Entry(Box::new(entry)))),
            Node::Inner { level, children } => {
                let below = children.into_iter().rev().map(|child| Step::Node { first: child.first, id: child.id, level: Some(level - 1) });
                self.steps.extend(below);
            }
        }
        Ok(1)
    }
}

impl Iterator for Differences<'_> {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(found) => found.map(Ok),
            Err(error) => {
                // Nothing is said about what could not be compared.
                self.before.steps.clear();
                self.after.steps.clear();
                Some(Err(error))
            }
        }
    }
}
