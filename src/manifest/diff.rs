//! Where do two manifests differ? Nodes that both have are skipped unread; the leaves that are left are merged in path order.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};

use crate::chunk::ChunkId;
use crate::store::ChunkReader;

use super::Error;
use super::cursor::read_node;
use super::entry::Entry;
use super::node::{LeafCursor, Node};
use super::path::compare;

/// A path that is not the same in both manifests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its entry before; nothing where it was not there.
    pub before: Option<Entry>,
    /// Its entry after; nothing where it is gone.
    pub after: Option<Entry>,
}

impl Difference {
    /// The path, which both sides share.
    pub fn path(&self) -> &[u8] {
        self.after.as_ref().or(self.before.as_ref()).map(|entry| entry.path.as_slice()).unwrap_or_default()
    }
}

/// Leaves of each side that are read ahead, each side on a thread: some 2 MB.
const LEAVES_AHEAD: usize = 256;
/// Fewer nodes are not worth a thread.
const NODES_ALONE: usize = 4;

/// A node that is still to be read; of a root the level is not known.
type Unread = (ChunkId, Option<u8>);

/// What is still to be read of one side.
struct Unopened<'r> {
    reader: ChunkReader<'r>,
    /// Leaves that the other side has not, in path order.
    leaves: std::vec::IntoIter<Unread>,
}

/// What was read of one side and not compared.
#[derive(Default)]
struct Opened {
    leaves: VecDeque<(ChunkId, Vec<u8>)>,
    /// The leaf whose entry is the next.
    current: Option<(ChunkId, LeafCursor)>,
}

/// The differences of two manifests, in path order.
///
/// Reads only nodes that are not in both trees, each once: equal runs of paths are equal nodes, whatever was there before.
pub struct Differences<'r> {
    /// Before and after.
    unopened: [Unopened<'r>; 2],
    opened: [Opened; 2],
    /// The roots, until the first question.
    roots: Option<[Option<ChunkId>; 2]>,
    found: VecDeque<Difference>,
    nodes_read: u64,
}

impl<'r> Differences<'r> {
    /// Between two roots; a side without a root is empty. Each side has its reader: neighbours in path order lie together.
    pub fn new(before: (ChunkReader<'r>, Option<ChunkId>), after: (ChunkReader<'r>, Option<ChunkId>)) -> Differences<'r> {
        let unopened = [before.0, after.0].map(|reader| Unopened { reader, leaves: Vec::new().into_iter() });
        Differences { unopened, opened: Default::default(), roots: Some([before.1, after.1]), found: VecDeque::new(), nodes_read: 0 }
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
            let is_highest = |node: &Unread| height(node) == highest;
            let few = before.iter().chain(&after).filter(|node| is_highest(node)).count() < NODES_ALONE;
            let [own, other] = &mut self.unopened;
            let ((left, opened), (right, other_opened)) = both(few, || own.open_nodes(&before, is_highest), || other.open_nodes(&after, is_highest), || {})?;
            (before, after) = (opened, other_opened);
            self.nodes_read += left + right;
        }
        for (side, leaves) in self.unopened.iter_mut().zip([before, after]) {
            side.leaves = leaves.into_iter();
        }
        Ok(())
    }

    /// Compares what was read, and reads on meanwhile; false at the end.
    fn step(&mut self) -> Result<bool, Error> {
        if let Some(roots) = self.roots.take() {
            self.find_leaves(roots)?;
        }
        let more = self.unopened.each_ref().map(|side| side.leaves.len() > 0);
        let room = self.opened.each_ref().map(|side| LEAVES_AHEAD.saturating_sub(side.leaves.len()));
        let few = self.unopened.iter().map(|side| side.leaves.len()).sum::<usize>() < NODES_ALONE;
        let [own, other] = &mut self.unopened;
        let mut compared = Ok(());
        let (left, right) =
            both(few, || own.read_leaves(room[0]), || other.read_leaves(room[1]), || compared = merge(&mut self.opened, more, &mut self.found))?;
        compared?;
        self.nodes_read += (left.len() + right.len()) as u64;
        for (side, leaves) in self.opened.iter_mut().zip([left, right]) {
            side.leaves.extend(leaves);
        }
        Ok(more.contains(&true) || self.opened.iter().any(|side| !side.is_dry()))
    }
}

/// Compares until nothing more can be said: one side has told all that was read of it, and has `more`.
fn merge(opened: &mut [Opened; 2], more: [bool; 2], found: &mut VecDeque<Difference>) -> Result<(), Error> {
    let [before, after] = opened;
    loop {
        before.open_next()?;
        after.open_next()?;
        let order = match (&before.current, &after.current) {
            (None, None) => return Ok(()),
            (Some(_), None) if more[1] => return Ok(()),
            (None, Some(_)) if more[0] => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, own)), Some((_, other))) => match compare(own.path(), other.path()) {
                Ordering::Equal if own.body() == other.body() => {
                    before.pass()?;
                    after.pass()?;
                    continue;
                }
                order => order,
            },
        };
        let own = if order == Ordering::Greater { None } else { before.take()? };
        let other = if order == Ordering::Less { None } else { after.take()? };
        // Numbers may be written in two ways.
        if own != other {
            found.push_back(Difference { before: own, after: other });
        }
    }
}

/// Does the work of both sides at once, unless it is little, and something else meanwhile.
fn both<A: Default + Send, B: Default + Send>(
    is_little: bool,
    left: impl FnOnce() -> Result<A, Error> + Send,
    right: impl FnOnce() -> Result<B, Error> + Send,
    meanwhile: impl FnOnce(),
) -> Result<(A, B), Error> {
    if is_little {
        meanwhile();
        return Ok((left()?, right()?));
    }
    let (mut own, mut other) = (Ok(A::default()), Ok(B::default()));
    // Threads that stay: a new one costs memory that nobody used before.
    rayon::in_place_scope(|scope| {
        scope.spawn(|_| own = left());
        scope.spawn(|_| other = right());
        meanwhile();
    });
    Ok((own?, other?))
}

impl Unopened<'_> {
    /// Opens the nodes that are asked for, the others stay; (inner nodes read, what is still to be read).
    fn open_nodes(&mut self, unread: &[Unread], is_wanted: impl Fn(&Unread) -> bool) -> Result<(u64, Vec<Unread>), Error> {
        let (mut read, mut opened) = (0, Vec::with_capacity(unread.len()));
        for node in unread {
            if !is_wanted(node) {
                opened.push(*node);
                continue;
            }
            match read_node(&mut self.reader, &node.0, node.1)? {
                Node::Leaf(_) => opened.push((node.0, Some(0))),
                Node::Inner { level, children } => {
                    read += 1;
                    opened.extend(children.into_iter().map(|child| (child.id, Some(level - 1))));
                }
            }
        }
        Ok((read, opened))
    }

    /// Reads the next leaves, `most` at most.
    fn read_leaves(&mut self, most: usize) -> Result<Vec<(ChunkId, Vec<u8>)>, Error> {
        // Copies, so that the reader's buffer is free for the next extent.
        self.leaves.by_ref().take(most).map(|(id, _)| Ok((id, self.reader.read(&id)?.to_vec()))).collect()
    }
}

impl Opened {
    /// Whether all that was read was told.
    fn is_dry(&self) -> bool {
        self.current.is_none() && self.leaves.is_empty()
    }

    /// Sees to it that a leaf is open at its next entry, if one was read that has any.
    fn open_next(&mut self) -> Result<(), Error> {
        while self.current.is_none()
            && let Some((id, bytes)) = self.leaves.pop_front()
        {
            let leaf = LeafCursor::open(bytes).map_err(|what| Error::Node { id, what })?;
            self.current = Some((id, leaf));
            self.pass()?;
        }
        Ok(())
    }

    /// Goes on to the next entry of the open leaf; behind the last one none is open.
    fn pass(&mut self) -> Result<(), Error> {
        let Some((id, leaf)) = &mut self.current else { return Ok(()) };
        if !leaf.advance().map_err(|what| Error::Node { id: *id, what })? {
            self.current = None;
        }
        Ok(())
    }

    /// Takes the next entry.
    fn take(&mut self) -> Result<Option<Entry>, Error> {
        let Some((id, leaf)) = &self.current else { return Ok(None) };
        let entry = leaf.entry().map_err(|what| Error::Node { id: *id, what })?;
        self.pass()?;
        Ok(Some(entry))
    }
}

impl Iterator for Differences<'_> {
    type Item = Result<Difference, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(difference) = self.found.pop_front() {
                return Some(Ok(difference));
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) if self.found.is_empty() => return None,
                Ok(false) => {}
                Err(error) => {
                    // Nothing is said about what could not be compared.
                    self.unopened.iter_mut().for_each(|side| side.leaves = Vec::new().into_iter());
                    self.opened = Default::default();
                    self.found.clear();
                    return Some(Err(error));
                }
            }
        }
    }
}
