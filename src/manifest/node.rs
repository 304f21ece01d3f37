//! The bytes of a manifest's tree: leaves hold entries, inner nodes name their children
//! (`docs/format.md`, "Manifest nodes").

use std::cmp::Ordering;
use std::ops::Range;

use crate::chunk::ChunkId;
use crate::limits::{NODE_ENTRIES_MAX, NODE_LEVEL_MAX, PATH_BYTES_MAX};
use crate::store::{Bytes, Truncated, push_bytes, push_varint};

use super::entry::{Body, Entry};
use super::path;

/// What an inner node says of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The first path below it.
    pub first: Vec<u8>,
    /// The child node.
    pub id: ChunkId,
    /// Entries below it.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// A decoded node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// Level 0.
    Leaf(Vec<Entry>),
    /// Level 1 and above.
    Inner {
        /// The level; its children are one below.
        level: u8,
        /// The children, in order.
        children: Vec<Child>,
    },
}

impl Node {
    /// The bytes of a leaf.
    pub fn encode_leaf(entries: &[Entry]) -> Vec<u8> {
        let mut out = Vec::with_capacity(entries.len() * 80 + 4);
        out.push(0);
        push_varint(&mut out, entries.len() as u64);
        let mut before: &[u8] = b"";
        for entry in entries {
            push_path(&mut out, before, &entry.path);
            entry.encode_body(&mut out);
            before = &entry.path;
        }
        out
    }

    /// The bytes of an inner node.
    pub fn encode_inner(level: u8, children: &[Child]) -> Vec<u8> {
        let mut out = Vec::with_capacity(children.len() * 80 + 4);
        out.push(level);
        push_varint(&mut out, children.len() as u64);
        let mut before: &[u8] = b"";
        for child in children {
            push_path(&mut out, before, &child.first);
            out.extend_from_slice(&child.id.0);
            for number in [child.entries, child.files, child.bytes] {
                push_varint(&mut out, number);
            }
            before = &child.first;
        }
        out
    }

    /// Reads a node; a text that says what is wrong where the bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Node, &'static str> {
        let mut cursor = NodeCursor::open(bytes)?;
        let (level, count) = (cursor.level, cursor.left);
        if level == 0 {
            let mut entries = Vec::with_capacity(count);
            while let Some((path, at)) = cursor.next_path()? {
                entries.push(Entry::decode_body(path.to_vec(), at).map_err(cut_short)?);
            }
            return Ok(Node::Leaf(entries));
        }
        let mut children = Vec::with_capacity(count);
        while let Some((path, at)) = cursor.next_path()? {
            children.push(Child::decode(path.to_vec(), at).map_err(cut_short)?);
        }
        Ok(Node::Inner { level, children })
    }
}

impl Child {
    fn decode(first: Vec<u8>, at: &mut Bytes<'_>) -> Result<Child, Truncated> {
        Ok(Child {
            first,
            id: ChunkId(at.array()?),
            entries: at.varint()?,
            files: at.varint()?,
            bytes: at.varint()?,
        })
    }
}

fn cut_short(Truncated: Truncated) -> &'static str {
    "truncated, or contains an invalid value"
}

/// The paths of a node one after another, each known to be one and to follow that before it.
struct NodeCursor<'a> {
    level: u8,
    left: usize,
    path: Vec<u8>,
    at: Bytes<'a>,
}

impl<'a> NodeCursor<'a> {
    fn open(bytes: &'a [u8]) -> Result<NodeCursor<'a>, &'static str> {
        let mut at = Bytes(bytes);
        let level = at.u8().map_err(cut_short)?;
        let left = at.length(NODE_ENTRIES_MAX).map_err(cut_short)?;
        if level > NODE_LEVEL_MAX || (level > 0 && left == 0) {
            Err(cut_short(Truncated))
        } else {
            Ok(NodeCursor { level, left, path: Vec::new(), at })
        }
    }

    /// The next path, and where what is said of it begins: whoever asks reads that before the next
    /// question. Nothing at the node's end.
    fn next_path(&mut self) -> Result<Option<(&[u8], &mut Bytes<'a>)>, &'static str> {
        if self.left == 0 {
            return if self.at.is_empty() {
                Ok(None)
            } else {
                Err("unexpected bytes after its end")
            };
        }
        self.left -= 1;
        take_path(&mut self.at, &mut self.path)?;
        Ok(Some((&self.path, &mut self.at)))
    }
}

/// A leaf's entries one after another, of which only those are decoded that are asked for.
pub(super) struct LeafCursor {
    bytes: Vec<u8>,
    /// Entries behind the open one.
    left: usize,
    path: Vec<u8>,
    /// Where the open one begins, with its path.
    start: usize,
    /// Where the open one's body lies.
    body: Range<usize>,
}

impl LeafCursor {
    /// Opens a leaf; no entry is open yet.
    pub(super) fn open(bytes: Vec<u8>) -> Result<LeafCursor, &'static str> {
        let node = NodeCursor::open(&bytes)?;
        let (level, left, start) = (node.level, node.left, bytes.len() - node.at.0.len());
        if level == 0 {
            Ok(LeafCursor { bytes, left, path: Vec::new(), start, body: start..start })
        } else {
            Err("its level does not match its parent")
        }
    }

    /// Opens the next entry; whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, &'static str> {
        let rest = self.bytes.get(self.body.end..).unwrap_or_default();
        let mut node = NodeCursor {
            level: 0,
            left: self.left,
            path: std::mem::take(&mut self.path),
            at: Bytes(rest),
        };
        let Some((_, at)) = node.next_path()? else { return Ok(false) };
        let start = self.bytes.len() - at.0.len();
        Body::read(at).map_err(cut_short)?;
        let end = self.bytes.len() - at.0.len();
        (self.left, self.path, self.start, self.body) =
            (node.left, node.path, self.body.end, start..end);
        Ok(true)
    }

    /// Opens the next entry beside a leaf that stood at the same path and has gone on: if the same
    /// bytes follow here, they say the same.
    pub(super) fn advance_like(&mut self, other: &LeafCursor) -> Result<bool, &'static str> {
        // One that has not opened an entry has told nothing, and says nothing of this one's.
        let told = other.bytes.get(other.start..other.body.end).unwrap_or_default();
        if self.left == 0
            || told.is_empty()
            || !self.bytes.get(self.body.end..).is_some_and(|rest| rest.starts_with(told))
        {
            return self.advance();
        }
        self.left -= 1;
        self.path.clone_from(&other.path);
        self.start = self.body.end;
        let end = self.start + told.len();
        self.body = end - other.body.len()..end;
        Ok(true)
    }

    /// Path of the open entry.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// All else that is said of it: equal bytes say the same.
    pub(super) fn body(&self) -> &[u8] {
        self.bytes.get(self.body.clone()).unwrap_or_default()
    }

    /// The open entry.
    pub(super) fn entry(&self) -> Result<Entry, &'static str> {
        Entry::decode_body(self.path.clone(), &mut Bytes(self.body())).map_err(cut_short)
    }
}

/// A path as the length that it shares with the one before, and the rest.
fn push_path(out: &mut Vec<u8>, before: &[u8], path: &[u8]) {
    let shared = before.iter().zip(path).take_while(|(a, b)| a == b).count();
    push_varint(out, shared as u64);
    push_bytes(out, path.split_at(shared).1);
}

/// Makes the path before into the next one. Only what is new of it is looked at: the rest was part
/// of a path already.
fn take_path(at: &mut Bytes<'_>, path: &mut Vec<u8>) -> Result<(), &'static str> {
    let shared = at.length(path.len()).map_err(cut_short)?;
    let rest = at.prefixed(PATH_BYTES_MAX).map_err(cut_short)?;
    if shared + rest.len() > PATH_BYTES_MAX {
        return Err(cut_short(Truncated));
    }
    let follows =
        path.get(shared..).is_some_and(|replaced| path::compare(replaced, rest) == Ordering::Less);
    path.truncate(shared);
    let begun = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.extend_from_slice(rest);
    let is_path = path.get(begun..).is_some_and(path::is_valid);
    if follows && is_path { Ok(()) } else { Err("its paths are invalid or not in order") }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
