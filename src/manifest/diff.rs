//! Where do two manifests differ? Nodes that both have are skipped unread; the leaves that are left
//! are merged in path order.

use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use std::sync::mpsc::sync_channel;

use crate::chunk::ChunkId;
use crate::store::ChunkReader;

use super::Error;
use super::cursor::read_node;
use super::entry::Entry;
use super::node::{LeafCursor, Node};
use super::path::{compare, is_within};

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
        self.after
            .as_ref()
            .or(self.before.as_ref())
            .map(|entry| entry.path.as_slice())
            .unwrap_or_default()
    }
}

/// One of two manifests: who reads it, and its root. One without a root is empty.
pub type Side<'a, 'r> = (&'a mut ChunkReader<'r>, Option<ChunkId>);

/// The folders whose paths are wanted; nothing where all are.
pub type Scope<'s> = Option<&'s [Vec<u8>]>;

/// Leaves that are handed over together: each time, a thread may have to be woken.
const LEAVES_TOGETHER: usize = 8;
/// How many times as many are read ahead: some 300 KB.
const AHEAD: usize = 4;
/// Fewer leaves are not worth a thread, which takes longer to begin than they take.
const LEAVES_ALONE: usize = 64;

/// Tells `each` where two manifests differ, in path order, until it fails; how many nodes were
/// read.
///
/// Reads only nodes that are not in both trees, each once: equal runs of paths are equal nodes,
/// whatever was there before. With a scope, it reads only nodes that may contain its paths, and
/// what it reports for other paths means nothing.
pub fn differences<'r, E: From<Error>>(
    before: Side<'_, 'r>,
    after: Side<'_, 'r>,
    scope: Scope<'_>,
    each: impl FnMut(Difference) -> Result<(), E>,
) -> Result<u64, E> {
    let (reading, nodes_read) = Reading::find_leaves([before, after], scope)?;
    let left = reading.sides.each_ref().map(|side| side.leaves.len());
    let leaves = left.iter().sum::<usize>();
    if leaves < LEAVES_ALONE {
        merge(reading, left, each)?;
    } else {
        std::thread::scope(|scope| {
            let (read, opened) = sync_channel(AHEAD);
            scope.spawn(move || {
                let mut reading = reading.peekable();
                while reading.peek().is_some() {
                    // Nobody listens where the comparison has failed.
                    if read
                        .send(reading.by_ref().take(LEAVES_TOGETHER).collect::<Vec<_>>())
                        .is_err()
                    {
                        return;
                    }
                }
            });
            merge(opened.into_iter().flatten(), left, each)
        })?;
    }
    Ok(nodes_read + leaves as u64)
}

/// A node that is still to be read; of a root the level is not known.
struct Unread {
    id: ChunkId,
    level: Option<u8>,
    /// The first path below it.
    first: Vec<u8>,
    /// The first path behind it, where there is one.
    behind: Option<Vec<u8>>,
}

/// A leaf that was read.
struct ReadLeaf {
    is_after: bool,
    id: ChunkId,
    bytes: Vec<u8>,
}

struct ReadingSide<'a, 'r> {
    reader: &'a mut ChunkReader<'r>,
    leaves: std::vec::IntoIter<Unread>,
    /// The first path of the leaf that was read last.
    at: Vec<u8>,
}

/// Reads the leaves that one side alone has, in the order in which the merge asks for them.
struct Reading<'a, 'r> {
    sides: [ReadingSide<'a, 'r>; 2],
}

impl<'a, 'r> Reading<'a, 'r> {
    /// Opens both trees from the top, level by level: what both have at one level is not opened.
    /// With the number of inner nodes that were.
    fn find_leaves(
        sides: [Side<'a, 'r>; 2],
        scope: Scope<'_>,
    ) -> Result<(Reading<'a, 'r>, u64), Error> {
        let [(own, before), (other, after)] = sides;
        let root = |id: Option<ChunkId>| {
            id.map(|id| Unread { id, level: None, first: Vec::new(), behind: None })
                .into_iter()
                .collect::<Vec<_>>()
        };
        let (mut before, mut after, mut read) = (root(before), root(after), 0);
        loop {
            let has = |unread: &[Unread]| unread.iter().map(|node| node.id).collect::<HashSet<_>>();
            let (in_before, in_after) = (has(&before), has(&after));
            before.retain(|node| !in_after.contains(&node.id));
            after.retain(|node| !in_before.contains(&node.id));
            // A node whose level is not known counts as above all others.
            let height = |node: &Unread| node.level.map_or(i32::MAX, i32::from);
            let highest = before.iter().chain(&after).map(height).max().unwrap_or_default();
            if highest == 0 {
                break;
            }
            let mut open =
                |reader: &mut ChunkReader<'_>, unread: Vec<Unread>| -> Result<Vec<Unread>, Error> {
                    let mut opened = Vec::with_capacity(unread.len());
                    for node in unread {
                        if height(&node) == highest {
                            read += node.open(reader, scope, &mut opened)?;
                        } else {
                            opened.push(node);
                        }
                    }
                    Ok(opened)
                };
            (before, after) = (open(own, before)?, open(other, after)?);
        }
        let side = |(reader, leaves): (&'a mut ChunkReader<'r>, Vec<Unread>)| ReadingSide {
            reader,
            leaves: leaves.into_iter(),
            at: Vec::new(),
        };
        Ok((Reading { sides: [(own, before), (other, after)].map(side) }, read))
    }
}

impl Unread {
    /// Puts what lies below an inner node, or a leaf itself, behind `opened`; how many inner nodes
    /// that were.
    fn open(
        self,
        reader: &mut ChunkReader<'_>,
        scope: Scope<'_>,
        opened: &mut Vec<Unread>,
    ) -> Result<u64, Error> {
        match read_node(reader, &self.id, self.level)? {
            Node::Leaf(_) => opened.push(Unread { level: Some(0), ..self }),
            Node::Inner { level, children } => {
                let mut behinds: Vec<Option<Vec<u8>>> =
                    children.iter().skip(1).map(|child| Some(child.first.clone())).collect();
                behinds.push(self.behind);
                let below = children.into_iter().zip(behinds).map(|(child, behind)| Unread {
                    id: child.id,
                    level: Some(level - 1),
                    first: child.first,
                    behind,
                });
                opened.extend(below.filter(|node| node.may_hold(scope)));
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Whether a path of the scope may lie below it.
    fn may_hold(&self, scope: Scope<'_>) -> bool {
        scope.is_none_or(|folders| {
            folders.iter().any(|folder| {
                let begins = is_within(&self.first, folder)
                    || compare(&self.first, folder) == Ordering::Less;
                let ends = self
                    .behind
                    .as_ref()
                    .is_some_and(|behind| compare(behind, folder) != Ordering::Greater);
                begins && !ends
            })
        })
    }
}

impl Iterator for Reading<'_, '_> {
    type Item = Result<ReadLeaf, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let [before, after] = &mut self.sides;
        // A side is asked for its next leaf when its last one was gone through: the last ones of
        // both are compared.
        let is_after = before.leaves.len() == 0
            || (after.leaves.len() > 0 && compare(&after.at, &before.at) == Ordering::Less);
        let side = if is_after { after } else { before };
        let leaf = side.leaves.next()?;
        side.at = leaf.first;
        // A copy, so that the reader's buffer is free for the next extent.
        let read = side.reader.read(&leaf.id).map(|bytes| ReadLeaf {
            is_after,
            id: leaf.id,
            bytes: bytes.to_vec(),
        });
        Some(read.map_err(Error::from))
    }
}

/// What was read of one side and not compared.
struct Opened {
    /// Leaves that are still to come.
    left: usize,
    leaves: VecDeque<(ChunkId, Vec<u8>)>,
    /// The leaf whose entry is the next.
    current: Option<(ChunkId, LeafCursor)>,
}

/// Merges the leaves of both sides, of which so many are to come.
fn merge<E: From<Error>>(
    mut leaves: impl Iterator<Item = Result<ReadLeaf, Error>>,
    left: [usize; 2],
    mut each: impl FnMut(Difference) -> Result<(), E>,
) -> Result<(), E> {
    let [mut before, mut after] =
        left.map(|left| Opened { left, leaves: VecDeque::new(), current: None });
    loop {
        before.open_next()?;
        after.open_next()?;
        if before.is_starved() || after.is_starved() {
            // They end too early only where their thread panicked, which who waits for it is told.
            let Some(leaf) = leaves.next().transpose()? else { return Ok(()) };
            let side = if leaf.is_after { &mut after } else { &mut before };
            side.left = side.left.saturating_sub(1);
            side.leaves.push_back((leaf.id, leaf.bytes));
            continue;
        }
        let order = match (&before.current, &after.current) {
            (None, None) => return Ok(()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, own)), Some((_, other))) => match compare(own.path(), other.path()) {
                Ordering::Equal if own.body() == other.body() => {
                    before.pass()?;
                    after.pass_like(&before)?;
                    continue;
                }
                order => order,
            },
        };
        let own = if order == Ordering::Greater { None } else { before.take()? };
        let other = if order == Ordering::Less { None } else { after.take()? };
        // Numbers may be written in two ways.
        if own != other {
            each(Difference { before: own, after: other })?;
        }
    }
}

impl Opened {
    /// Whether its next entry lies in a leaf that is still to come.
    fn is_starved(&self) -> bool {
        self.current.is_none() && self.left > 0
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

    /// The same where both sides stood at one path, and the other has gone on.
    fn pass_like(&mut self, other: &Opened) -> Result<(), Error> {
        let (Some((id, leaf)), Some((_, other))) = (&mut self.current, &other.current) else {
            return self.pass();
        };
        if !leaf.advance_like(other).map_err(|what| Error::Node { id: *id, what })? {
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
