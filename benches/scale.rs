//! A repository as ten million files would leave it, without the files: two snapshots of so many
//! entries, each with a chunk of its own, of which a hundred changed between. `benches/scale.py`
//! runs the program over it.
//!
//!     cargo bench --bench scale -- REPOSITORY [ENTRIES]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark that cannot go on stops")]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use jellyvault::chunk::ChunkId;
use jellyvault::limits::NODE_ENTRIES_MAX;
use jellyvault::manifest::{
    ByteCounts, Catalog, CategoryRecord, Child, Content, Entry, Files, Kind, LeafRef, Node, Piece,
    ServerRecord, SnapshotId, SnapshotRecord, SourceRecord, Time, TreeBuilder, Xattrs, starts_node,
};
use jellyvault::store::{ExtentBuilder, ExtentKind, Index, IndexMode, PackStreams, Repository};

const CHANGED: u64 = 100;
const EXTENT_BYTES: usize = 16 << 10;
const DATA: usize = 0;
const NODES: usize = 1;

/// A snapshot that is being put together: its chunks and nodes on their way into packs.
struct Maker<'r> {
    repository: &'r Repository,
    index: &'r Index,
    streams: PackStreams<'r>,
    builders: [ExtentBuilder; 2],
    compressor: zstd::bulk::Compressor<'static>,
}

impl Maker<'_> {
    fn store(&mut self, stream: usize, bytes: &[u8]) -> ChunkId {
        let id = self.repository.hashing().id(bytes);
        if self.index.claim(&id).unwrap() {
            self.builders.get_mut(stream).unwrap().push(id, bytes);
            if self.builders.get(stream).unwrap().len() >= EXTENT_BYTES {
                self.flush(stream);
            }
        }
        id
    }

    fn flush(&mut self, stream: usize) {
        if let Some(extent) =
            self.builders.get_mut(stream).unwrap().fill(Some(&mut self.compressor)).unwrap()
        {
            self.streams.append(stream, extent).unwrap();
        }
    }
}

/// Ten items a folder, in the order of their paths; every so many of them is another one in the
/// second snapshot.
fn entry(number: u64, entries: u64, day: u64, maker: &mut Maker<'_>) -> Entry {
    let is_changed = day > 0 && number.is_multiple_of((entries / CHANGED).max(1));
    let chunk = maker.store(DATA, &(number + if is_changed { day << 40 } else { 0 }).to_le_bytes());
    let path =
        format!("library/{:03}/{:06}/{}.jpg", number / 100_000, number / 10 % 10_000, number % 10)
            .into_bytes();
    let kind = Kind::File { size: 8, content: Content::Pieces(vec![Piece::Chunk(chunk)]) };
    Entry {
        path,
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time { seconds: 1_700_000_000 + i64::from(is_changed), nanos: 0 },
        xattrs: Xattrs::None,
        link_group: None,
    }
}

fn snapshot(repository: &Repository, entries: u64, day: u64) {
    let index = Index::open(repository, IndexMode::Use).unwrap();
    let streams = PackStreams::new(repository, &index, 2);
    let builders = [ExtentBuilder::new(ExtentKind::Data), ExtentBuilder::new(ExtentKind::Node)];
    let mut maker = Maker {
        repository,
        index: &index,
        streams,
        builders,
        compressor: zstd::bulk::Compressor::new(1).unwrap(),
    };
    let (mut tree, mut leaf) = (TreeBuilder::default(), Vec::new());
    let mut first_key = [0; 16];
    let mut close = |leaf: &mut Vec<Entry>, key: [u8; 16], maker: &mut Maker<'_>| {
        let Some(first) = leaf.first().map(|entry| entry.path.clone()) else { return };
        let id = maker.store(NODES, &Node::encode_leaf(leaf));
        let count = leaf.len() as u64;
        leaf.clear();
        let child = Child { first, id, entries: count, files: count, bytes: 8 * count };
        tree.push(LeafRef { child, path_key: key }, &mut |node| {
            Ok::<_, ()>(maker.store(NODES, &node))
        })
        .unwrap();
    };
    for number in 0..entries {
        let entry = entry(number, entries, day, &mut maker);
        let key = repository.hashing().path_key(&entry.path);
        if leaf.len() >= NODE_ENTRIES_MAX || (!leaf.is_empty() && starts_node(&key, 0)) {
            close(&mut leaf, first_key, &mut maker);
        }
        if leaf.is_empty() {
            first_key = key;
        }
        leaf.push(entry);
    }
    close(&mut leaf, first_key, &mut maker);
    let root = tree.finish(&mut |node| Ok::<_, ()>(maker.store(NODES, &node))).unwrap();
    [DATA, NODES].into_iter().for_each(|stream| maker.flush(stream));
    let stored = maker.streams.finish().unwrap();
    assert_eq!(index.unplaced(), 0);
    assert!(index.commit().unwrap());
    let category = CategoryRecord {
        manifest: root.id,
        entries: root.entries,
        files: root.files,
        bytes: root.bytes,
    };
    let time_ms = 1_700_000_000_000 + day * 86_400_000;
    let record = SnapshotRecord {
        time_ns: i64::try_from(time_ms * 1_000_000).unwrap(),
        parent: None,
        label: Some(format!("day{day}")),
        note: None,
        program: "bench".into(),
        source: SourceRecord {
            key: "bench".into(),
            host: "bench".into(),
            how: "made up".into(),
            directories: BTreeMap::new(),
            seen_by_server: BTreeMap::new(),
        },
        server: ServerRecord::default(),
        categories: BTreeMap::from([("other".to_owned(), category)]),
        files: Files { total: entries, ..Files::default() },
        bytes: ByteCounts {
            source: 8 * entries,
            read: 0,
            new_raw: stored.raw_bytes,
            new_stored: stored.stored_bytes,
        },
        took_ms: 0,
        excluded: Vec::new(),
        problems: Vec::new(),
        problem_count: 0,
        remarks: Vec::new(),
        owners: Default::default(),
    };
    Catalog::publish(repository, SnapshotId::at(time_ms, [day as u8; 10]), &record, false).unwrap();
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let Some(root) = arguments.first().map(Path::new) else {
        return println!("usage: cargo bench --bench scale -- REPOSITORY [ENTRIES]");
    };
    let entries: u64 = arguments.get(1).map_or(10_000, |count| count.parse().unwrap());
    let repository = Repository::init(root).unwrap();
    for day in 0..2 {
        let begun = Instant::now();
        snapshot(&repository, entries, day);
        println!("snapshot {day} of {entries} entries: {:.1} s", begun.elapsed().as_secs_f64());
    }
}
