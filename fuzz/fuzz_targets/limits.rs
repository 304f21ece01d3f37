//! Entries of any shape within the limits of a capture: what can be written can be read.
#![no_main]

use jellyvault::limits::{EXTENT_RAW_BYTES_MAX, NODE_ENTRIES_MAX, PATH_TAKEN_BYTES_MAX, TARGET_BYTES_MAX};
use jellyvault::manifest::{Entry, Kind, Node, Time, Xattrs, compare, is_valid};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: Vec<(Vec<u8>, u16, Vec<u8>)>| {
    let entry = |(name, times, target): (Vec<u8>, u16, Vec<u8>)| {
        let mut path = name.repeat(usize::from(times) + 1);
        path.truncate(PATH_TAKEN_BYTES_MAX);
        let kind = if target.is_empty() { Kind::Directory } else { Kind::Symlink { target: target.into_iter().take(TARGET_BYTES_MAX).collect() } };
        Entry { path, kind, mode: 0o644, uid: 0, gid: 0, mtime: Time { seconds: 0, nanos: 0 }, xattrs: Xattrs::None, link_group: None }
    };
    let mut entries: Vec<Entry> = parts.into_iter().map(entry).filter(|entry| is_valid(&entry.path)).take(NODE_ENTRIES_MAX).collect();
    entries.sort_by(|a, b| compare(&a.path, &b.path));
    entries.dedup_by(|a, b| a.path == b.path);
    let bytes = Node::encode_leaf(&entries);
    assert!(bytes.len() <= EXTENT_RAW_BYTES_MAX);
    assert_eq!(Node::decode(&bytes), Ok(Node::Leaf(entries)));
});
