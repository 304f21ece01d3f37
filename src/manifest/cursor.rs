//! Reading a manifest: everything in order, from some path on, or one path.

use std::cmp::Ordering;

use crate::chunk::ChunkId;
use crate::limits::NODE_LEVEL_MAX;
use crate::store::ChunkReader;

use super::Error;
use super::entry::Entry;
use super::node::{Child, Node};
use super::path::{compare, is_within, parent};

/// Reads and decodes a node, which must have the level that its parent says.
pub fn read_node(
    reader: &mut ChunkReader<'_>,
    id: &ChunkId,
    level: Option<u8>,
) -> Result<Node, Error> {
    let chunk = reader.read(id)?;
    let node = Node::decode(&chunk).map_err(|what| Error::Node { id: *id, what })?;
    let found = match &node {
        Node::Leaf(_) => 0,
        Node::Inner { level, .. } => *level,
    };
    if level.is_some_and(|level| level != found) || found > NODE_LEVEL_MAX {
        return Err(Error::Node { id: *id, what: "its level does not match its parent" });
    }
    Ok(node)
}

/// The entries of a manifest in order.
pub struct Entries<'m, 'r> {
    reader: &'m mut ChunkReader<'r>,
    /// Nodes that are still to be read, the next one last.
    stack: Vec<(ChunkId, Option<u8>)>,
    leaf: std::vec::IntoIter<Entry>,
    from: Vec<u8>,
    within: Vec<u8>,
}

impl<'m, 'r> Entries<'m, 'r> {
    /// All entries.
    pub fn all(reader: &'m mut ChunkReader<'r>, root: ChunkId) -> Entries<'m, 'r> {
        Entries::within(reader, root, b"")
    }

    /// The entry `folder` and all below it; only nodes that hold some of them are read.
    pub fn within(
        reader: &'m mut ChunkReader<'r>,
        root: ChunkId,
        folder: &[u8],
    ) -> Entries<'m, 'r> {
        Entries {
            reader,
            stack: vec![(root, None)],
            leaf: Vec::new().into_iter(),
            from: folder.to_vec(),
            within: folder.to_vec(),
        }
    }

    fn advance(&mut self) -> Result<bool, Error> {
        let Some((id, level)) = self.stack.pop() else { return Ok(false) };
        match read_node(self.reader, &id, level)? {
            Node::Leaf(entries) => self.leaf = entries.into_iter(),
            Node::Inner { level, children } => {
                let start = first_holding(&children, &self.from);
                let wanted = children.into_iter().skip(start);
                let wanted = wanted.take_while(|child| {
                    is_within(&child.first, &self.within)
                        || compare(&child.first, &self.within) == Ordering::Less
                });
                let mut below: Vec<_> = wanted.map(|child| (child.id, Some(level - 1))).collect();
                below.reverse();
                self.stack.append(&mut below);
            }
        }
        Ok(true)
    }
}

/// The last child whose first path is not behind `from`: the first that can hold it.
fn first_holding(children: &[Child], from: &[u8]) -> usize {
    children
        .partition_point(|child| compare(&child.first, from) != Ordering::Greater)
        .saturating_sub(1)
}

impl Iterator for Entries<'_, '_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for entry in self.leaf.by_ref() {
                if is_within(&entry.path, &self.within) {
                    return Some(Ok(entry));
                }
                if compare(&entry.path, &self.within) == Ordering::Greater {
                    self.stack.clear();
                    break;
                }
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    // Behind a damaged node the others can still be read by whoever goes on.
                    if !error.is_damage() {
                        self.stack.clear();
                    }
                    return Some(Err(error));
                }
            }
        }
    }
}

/// One path of a manifest; reads one node a level.
pub fn find(
    reader: &mut ChunkReader<'_>,
    root: ChunkId,
    path: &[u8],
) -> Result<Option<Entry>, Error> {
    let mut at = (root, None);
    loop {
        match read_node(reader, &at.0, at.1)? {
            Node::Leaf(entries) => {
                return Ok(entries.into_iter().find(|entry| entry.path == path));
            }
            Node::Inner { level, children } => match children.get(first_holding(&children, path)) {
                Some(child) => at = (child.id, Some(level - 1)),
                None => return Ok(None),
            },
        }
    }
}

/// The leaves of a manifest, named by their parents: reads inner nodes only. A manifest that is a
/// single leaf names none.
pub fn leaves(reader: &mut ChunkReader<'_>, root: ChunkId) -> Result<Vec<Child>, Error> {
    let mut stack = vec![(root, None)];
    let mut found = Vec::new();
    while let Some((id, level)) = stack.pop() {
        if let Node::Inner { level, children } = read_node(reader, &id, level)? {
            if level == 1 {
                found.extend(children);
            } else {
                stack.extend(children.iter().rev().map(|child| (child.id, Some(level - 1))));
            }
        }
    }
    Ok(found)
}

/// The entries of a leaf.
pub fn read_leaf(reader: &mut ChunkReader<'_>, id: &ChunkId) -> Result<Vec<Entry>, Error> {
    match read_node(reader, id, Some(0))? {
        Node::Leaf(entries) => Ok(entries),
        Node::Inner { .. } => Err(Error::Node { id: *id, what: "not a leaf" }),
    }
}

/// A node that is still to be read, with the paths between which it lies.
struct Span {
    id: ChunkId,
    level: Option<u8>,
    first: Option<Vec<u8>>,
    behind: Option<Vec<u8>>,
}

/// The entries that lie directly in a folder (`""` is the root), in order. Nodes that lie wholly
/// inside one of its subfolders are not read: a folder of a thousand folders with a thousand files
/// each takes some thousand nodes at most.
pub fn children(
    reader: &mut ChunkReader<'_>,
    root: ChunkId,
    folder: &[u8],
) -> Result<Vec<Entry>, Error> {
    let mut found: Vec<Entry> = Vec::new();
    let mut stack = vec![Span { id: root, level: None, first: None, behind: None }];
    while let Some(Span { id, level, first, behind }) = stack.pop() {
        // Where it begins and ends inside a subfolder that was met already, all of it lies there.
        let inside = found.last().is_some_and(|met| {
            let is_inside = |path: &Option<Vec<u8>>| {
                path.as_ref()
                    .is_some_and(|path| path.len() > met.path.len() && is_within(path, &met.path))
            };
            is_inside(&first) && is_inside(&behind)
        });
        if inside {
            continue;
        }
        match read_node(reader, &id, level)? {
            Node::Leaf(entries) => found.extend(entries.into_iter().filter(|entry| {
                parent(&entry.path).unwrap_or_default() == folder && !entry.path.is_empty()
            })),
            Node::Inner { level, children } => {
                let start = first_holding(&children, folder);
                let mut ends: Vec<Option<Vec<u8>>> =
                    children.iter().skip(1).map(|child| Some(child.first.clone())).collect();
                ends.push(behind);
                let wanted = children.into_iter().zip(ends).skip(start);
                let wanted = wanted.take_while(|(child, _)| {
                    is_within(&child.first, folder)
                        || compare(&child.first, folder) == Ordering::Less
                });
                let mut below: Vec<_> = wanted
                    .map(|(child, behind)| Span {
                        id: child.id,
                        level: Some(level - 1),
                        first: Some(child.first),
                        behind,
                    })
                    .collect();
                below.reverse();
                stack.append(&mut below);
            }
        }
    }
    Ok(found)
}
