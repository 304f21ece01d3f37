//! The bytes of a manifest's tree: leaves hold entries, inner nodes name their children (`docs/format.md`, "Manifest nodes").

use std::cmp::Ordering;

use crate::chunk::ChunkId;
use crate::limits::{NODE_ENTRIES_MAX, NODE_LEVEL_MAX, PATH_BYTES_MAX};
use crate::store::{Bytes, Truncated, push_bytes, push_varint};

use super::entry::Entry;
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
        let mut at = Bytes(bytes);
        let node = Node::decode_from(&mut at).map_err(|Truncated| "it is cut short or holds an impossible value")?;
        if !at.is_empty() {
            return Err("bytes follow its end");
        }
        let sorted = match &node {
            Node::Leaf(entries) => in_order(entries.iter().map(|entry| entry.path.as_slice())),
            Node::Inner { children, .. } => in_order(children.iter().map(|child| child.first.as_slice())),
        };
        if sorted { Ok(node) } else { Err("its paths are not in order or not paths") }
    }

    fn decode_from(at: &mut Bytes<'_>) -> Result<Node, Truncated> {
        let level = at.u8()?;
        let count = at.length(NODE_ENTRIES_MAX)?;
        let mut before = Vec::new();
        if level == 0 {
            let mut entries = Vec::with_capacity(count);
            for _ in 0..count {
                let path = take_path(at, &before)?;
                before.clone_from(&path);
                entries.push(Entry::decode_body(path, at)?);
            }
            return Ok(Node::Leaf(entries));
        }
        if level > NODE_LEVEL_MAX || count == 0 {
            return Err(Truncated);
        }
        let mut children = Vec::with_capacity(count);
        for _ in 0..count {
            let first = take_path(at, &before)?;
            before.clone_from(&first);
            children.push(Child { first, id: ChunkId(at.array()?), entries: at.varint()?, files: at.varint()?, bytes: at.varint()? });
        }
        Ok(Node::Inner { level, children })
    }
}

fn in_order<'a>(mut paths: impl Iterator<Item = &'a [u8]>) -> bool {
    let Some(mut before) = paths.next() else { return true };
    path::is_valid(before)
        && paths.all(|next| {
            let ordered = path::is_valid(next) && path::compare(before, next) == Ordering::Less;
            before = next;
            ordered
        })
}

/// A path as the length that it shares with the one before, and the rest.
fn push_path(out: &mut Vec<u8>, before: &[u8], path: &[u8]) {
    let shared = before.iter().zip(path).take_while(|(a, b)| a == b).count();
    push_varint(out, shared as u64);
    push_bytes(out, path.split_at(shared).1);
}

fn take_path(at: &mut Bytes<'_>, before: &[u8]) -> Result<Vec<u8>, Truncated> {
    let shared = before.get(..at.length(PATH_BYTES_MAX)?).ok_or(Truncated)?;
    let rest = at.prefixed(PATH_BYTES_MAX)?;
    if shared.len() + rest.len() > PATH_BYTES_MAX { Err(Truncated) } else { Ok([shared, rest].concat()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Content, Kind, Piece, Time, Xattrs};

    pub(crate) fn sample() -> Vec<Entry> {
        let base = Entry {
            path: b"data".to_vec(),
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 1000,
            mtime: Time { seconds: -1, nanos: 999_999_999 },
            xattrs: Xattrs::None,
            link_group: None,
        };
        let id = ChunkId([7; 32]);
        let file = |path: &[u8], size, content| Entry { path: path.to_vec(), kind: Kind::File { size, content }, ..base.clone() };
        vec![
            base.clone(),
            file(b"data/empty", 0, Content::Pieces(vec![])),
            file(b"data/one", 5, Content::Pieces(vec![Piece::Chunk(id)])),
            file(b"data/sparse", 1 << 40, Content::Pieces(vec![Piece::Hole(1 << 39), Piece::Chunk(id)])),
            Entry { link_group: Some(9), ..file(b"data/vast", 1 << 50, Content::Listed(vec![id, id])) },
            Entry {
                path: b"data-link".to_vec(),
                kind: Kind::Symlink { target: b"../x".to_vec() },
                xattrs: Xattrs::Inline(vec![(b"user.a".to_vec(), vec![0, 255])]),
                ..base.clone()
            },
            Entry { path: b"root".to_vec(), xattrs: Xattrs::Chunk(id), ..base },
        ]
    }

    #[test]
    fn every_kind_of_entry_comes_back_from_golden_bytes() {
        let bytes = Node::encode_leaf(&sample());
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, include_str!("golden/leaf.hex").trim());
        assert_eq!(Node::decode(&bytes), Ok(Node::Leaf(sample())));
    }

    #[test]
    fn an_entry_of_a_database_comes_back_from_golden_bytes() {
        let mut entry = sample().swap_remove(2);
        entry.path = b"data/jellyfin.db".to_vec();
        entry.kind = Kind::File { size: 202_620_928, content: Content::Pages(ChunkId([0xdb; 32])) };
        let bytes = Node::encode_leaf(&[entry.clone()]);
        let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, include_str!("golden/leaf-database.hex").trim());
        assert_eq!(Node::decode(&bytes), Ok(Node::Leaf(vec![entry])));
    }

    #[test]
    fn a_node_cut_anywhere_or_with_bytes_behind_is_refused() {
        let bytes = Node::encode_leaf(&sample());
        for end in 0..bytes.len() {
            assert!(Node::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(Node::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn paths_out_of_order_or_with_dots_are_refused() {
        let mut entries = sample();
        entries.swap(1, 2);
        assert!(Node::decode(&Node::encode_leaf(&entries)).is_err());
        let mut entries = sample();
        entries[1].path = b"data/../etc".to_vec();
        assert!(Node::decode(&Node::encode_leaf(&entries)).is_err());
    }

    #[test]
    fn an_inner_node_comes_back() {
        let child = |first: &[u8]| Child { first: first.to_vec(), id: ChunkId([1; 32]), entries: 3, files: 2, bytes: 1 << 33 };
        let children = vec![child(b"a"), child(b"a/b"), child(b"c")];
        let bytes = Node::encode_inner(1, &children);
        assert_eq!(Node::decode(&bytes), Ok(Node::Inner { level: 1, children }));
    }
}
