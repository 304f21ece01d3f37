//! Leaves and inner nodes: golden bytes, refusals, and cursors over them.

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
    let file = |path: &[u8], size, content| Entry {
        path: path.to_vec(),
        kind: Kind::File { size, content },
        ..base.clone()
    };
    vec![
        base.clone(),
        file(b"data/empty", 0, Content::Pieces(vec![])),
        file(b"data/one", 5, Content::Pieces(vec![Piece::Chunk(id)])),
        file(
            b"data/sparse",
            1 << 40,
            Content::Pieces(vec![Piece::Hole(1 << 39), Piece::Chunk(id)]),
        ),
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
    let child = |first: &[u8]| Child {
        first: first.to_vec(),
        id: ChunkId([1; 32]),
        entries: 3,
        files: 2,
        bytes: 1 << 33,
    };
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
    let inner = Node::encode_inner(
        1,
        &[Child { first: b"a".to_vec(), id: ChunkId([1; 32]), entries: 1, files: 1, bytes: 1 }],
    );
    assert!(by_cursor(&inner).is_err());
    // Whatever a byte is changed to: no panic, and an answer like that of the whole decoding.
    for at in 0..bytes.len() {
        for flip in [1, 0x80] {
            let mut other = bytes.clone();
            other[at] ^= flip;
            if let Ok(Node::Leaf(entries)) = Node::decode(&other) {
                let mut cursor = LeafCursor::open(other).unwrap();
                for entry in entries {
                    assert_eq!(
                        (cursor.advance(), cursor.entry()),
                        (Ok(true), Ok(entry)),
                        "byte {at}"
                    );
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
        let entries: Vec<_> = paths
            .iter()
            .map(|path| Entry { path: path.as_bytes().to_vec(), ..sample().swap_remove(0) })
            .collect();
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
