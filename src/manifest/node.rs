//! The bytes of a manifest's tree: leaves hold entries, inner nodes name their children (`docs/format.md`, "Manifest nodes").

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
        Ok(Child { first, id: ChunkId(at.array()?), entries: at.varint()?, files: at.varint()?, bytes: at.varint()? })
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
        if level > NODE_LEVEL_MAX || (level > 0 && left == 0) { Err(cut_short(Truncated)) } else { Ok(NodeCursor { level, left, path: Vec::new(), at }) }
    }

    /// The next path, and where what is said of it begins: whoever asks reads that before the next question. Nothing at the node's end.
    fn next_path(&mut self) -> Result<Option<(&[u8], &mut Bytes<'a>)>, &'static str> {
        if self.left == 0 {
            return if self.at.is_empty() { Ok(None) } else { Err("unexpected bytes after its end") };
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
        if level == 0 { Ok(LeafCursor { bytes, left, path: Vec::new(), start, body: start..start }) } else { Err("its level does not match its parent") }
    }

    /// Opens the next entry; whether there is one.
    pub(super) fn advance(&mut self) -> Result<bool, &'static str> {
        let rest = self.bytes.get(self.body.end..).unwrap_or_default();
        let mut node = NodeCursor { level: 0, left: self.left, path: std::mem::take(&mut self.path), at: Bytes(rest) };
        let Some((_, at)) = node.next_path()? else { return Ok(false) };
        let start = self.bytes.len() - at.0.len();
        Body::read(at).map_err(cut_short)?;
        let end = self.bytes.len() - at.0.len();
        (self.left, self.path, self.start, self.body) = (node.left, node.path, self.body.end, start..end);
        Ok(true)
    }

    /// Opens the next entry beside a leaf that stood at the same path and has gone on: if the same bytes follow here, they say the same.
    pub(super) fn advance_like(&mut self, other: &LeafCursor) -> Result<bool, &'static str> {
        // One that has not opened an entry has told nothing, and says nothing of this one's.
        let told = other.bytes.get(other.start..other.body.end).unwrap_or_default();
        if self.left == 0 || told.is_empty() || !self.bytes.get(self.body.end..).is_some_and(|rest| rest.starts_with(told)) {
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

/// Makes the path before into the next one. Only what is new of it is looked at: the rest was part of a path already.
fn take_path(at: &mut Bytes<'_>, path: &mut Vec<u8>) -> Result<(), &'static str> {
    let shared = at.length(path.len()).map_err(cut_short)?;
    let rest = at.prefixed(PATH_BYTES_MAX).map_err(cut_short)?;
    if shared + rest.len() > PATH_BYTES_MAX {
        return Err(cut_short(Truncated));
    }
    let follows = path.get(shared..).is_some_and(|replaced| path::compare(replaced, rest) == Ordering::Less);
    path.truncate(shared);
    let begun = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    path.extend_from_slice(rest);
    let is_path = path.get(begun..).is_some_and(path::is_valid);
    if follows && is_path { Ok(()) } else { Err("its paths are invalid or not in order") }
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

    /// All entries by the cursor, each with its path and body as they were told.
    fn by_cursor(bytes: &[u8]) -> Result<Vec<Entry>, &'static str> {
        let (mut cursor, mut entries) = (LeafCursor::open(bytes.to_vec())?, Vec::new());
        while cursor.advance()? {
            let entry = cursor.entry()?;
            assert_eq!(cursor.path(), entry.path);
            let mut body = Vec::new();
            entry.encode_body(&mut body);
            assert_eq!(cursor.body(), body);
            entries.push(entry);
        }
        Ok(entries)
    }

    #[test]
    fn a_cursor_gives_the_entries_of_the_leaf_and_refuses_what_is_none() {
        let bytes = Node::encode_leaf(&sample());
        assert_eq!(by_cursor(&bytes), Ok(sample()));
        assert_eq!(by_cursor(&Node::encode_leaf(&[])), Ok(vec![]));
        for end in 0..bytes.len() {
            assert!(by_cursor(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(by_cursor(&[bytes.as_slice(), &[0]].concat()).is_err());
        let inner = Node::encode_inner(1, &[Child { first: b"a".to_vec(), id: ChunkId([1; 32]), entries: 1, files: 1, bytes: 1 }]);
        assert!(by_cursor(&inner).is_err());
        // Whatever a byte is changed to: no panic, and an answer like that of the whole decoding.
        for at in 0..bytes.len() {
            for flip in [1, 0x80] {
                let mut other = bytes.clone();
                other[at] ^= flip;
                if let Ok(Node::Leaf(entries)) = Node::decode(&other) {
                    let mut cursor = LeafCursor::open(other).unwrap();
                    for entry in entries {
                        assert_eq!((cursor.advance(), cursor.entry()), (Ok(true), Ok(entry)), "byte {at}");
                    }
                    assert_eq!(cursor.advance(), Ok(false));
                }
            }
        }
    }

    #[test]
    fn a_cursor_beside_another_gives_what_it_gives_alone() {
        let own = Node::encode_leaf(&sample());
        let (mut fewer, mut other_owner, mut other_name) = (sample(), sample(), sample());
        fewer.truncate(4);
        other_owner[3].uid = 7;
        other_name[2].path = b"data/onf".to_vec();
        for entries in [sample(), fewer, other_owner, other_name] {
            let mut beside = LeafCursor::open(own.clone()).unwrap();
            let mut cursor = LeafCursor::open(Node::encode_leaf(&entries)).unwrap();
            let mut found = Vec::new();
            while cursor.path() == beside.path() {
                beside.advance().unwrap();
                if !cursor.advance_like(&beside).unwrap() {
                    break;
                }
                found.push(cursor.entry().unwrap());
            }
            assert_eq!(found, entries[..found.len()]);
            assert!(found.len() == entries.len() || cursor.path() != beside.path());
        }
    }

    #[test]
    fn paths_that_share_half_a_component_are_checked_where_they_go_on() {
        let leaf = |paths: &[&str]| {
            let entries: Vec<_> = paths.iter().map(|path| Entry { path: path.as_bytes().to_vec(), ..sample().swap_remove(0) }).collect();
            Node::decode(&Node::encode_leaf(&entries)).is_ok()
        };
        assert!(leaf(&["a", "a/b", "a/b/c", "a/b.c", "a.b"]));
        for bad in [
            ["a/.x", "a/."],
            ["a/.", "a/.x"],
            ["a/..", "a/..x"],
            ["a/.a/b", "a/../b"],
            ["a/b", "a//b"],
            ["a", "a/"],
            ["", "a"],
            ["a", "a"],
            ["b", "a"],
            ["a.b", "a/b"],
        ] {
            assert!(!leaf(&bad), "{bad:?}");
        }
    }
}
