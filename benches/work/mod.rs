//! One piece of work for each hot room, always the same: `rooms.rs` times it, `counts.rs` counts
//! its instructions.

use std::path::{Path, PathBuf};

use jellyvault::archive::{DumpStyle, Schema, dump_table, read_history};
use jellyvault::backend::MemoryBackend;
use jellyvault::chunk::{ChunkId, Class, HEAD_BYTES};
use jellyvault::manifest::{Catalog, differences};
use jellyvault::ops::{self, Destination, RestoreOptions, SnapshotOptions, SourceSpec};
use jellyvault::progress::{Interrupt, Monitor};
use jellyvault::source::{Event, Rules, ScanRoot, scan};
use jellyvault::store::{
    ChunkReader, ExtentBuilder, ExtentKind, Index, IndexMode, PackStreams, Repository,
};

/// How much one run of a piece of work goes through.
#[derive(Clone, Copy)]
pub enum Amount {
    /// So many bytes.
    Bytes(u64),
    /// So many files, entries, chunks or rows.
    Things(u64),
}

/// Prepared work: what it goes through, and what runs it; the answer is counted, so that nothing is
/// left out.
pub type Work = (Amount, Box<dyn FnMut() -> u64>);

/// A room's name, and what prepares its work.
pub type Room = (&'static str, fn() -> Work);

/// All of them.
pub const ROOMS: [Room; 8] = [
    ("scan", scan_tree),
    ("class and hash", class_and_hash),
    ("extent and pack", extent_and_pack),
    ("manifest merge", manifest_merge),
    ("index lookup", index_lookup),
    ("index insert", index_insert),
    ("restore write", restore_write),
    ("rows to JSON", rows_to_json),
];

const DIRECTORIES: u32 = 1_000;
const FILES: u64 = 4_000;
const CHUNKS: u64 = 20_000;

/// Bytes that do not compress, others for each number.
fn noise(number: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// A thousand items with three texts and one small picture each.
fn make_tree(root: &Path) {
    for item in 0..DIRECTORIES {
        let folder = root.join(format!("metadata/library/{:02x}/{item:032x}", item % 256));
        std::fs::create_dir_all(&folder).unwrap();
        for part in 0..3 {
            std::fs::write(
                folder.join(format!("{part}.nfo")),
                format!("<item>{item} {part}</item>{}", "some words ".repeat(60)),
            )
            .unwrap();
        }
        let mut picture = noise(item.into(), 2_000);
        picture.splice(..3, [0xff, 0xd8, 0xff]);
        std::fs::write(folder.join("poster.jpg"), picture).unwrap();
    }
}

/// A tree on a disk and a repository beside it; both go when it goes.
struct Place {
    dir: tempfile::TempDir,
    repository: Repository,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        make_tree(&dir.path().join("source"));
        let repository = Repository::init(&dir.path().join("repo")).unwrap();
        Place { dir, repository }
    }

    fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    fn snapshot(&self) {
        let spec = SourceSpec::plain(&self.source()).unwrap();
        let options =
            SnapshotOptions { host: "bench".into(), threads: 1, ..SnapshotOptions::default() };
        watched(|monitor| drop(ops::snapshot(&self.repository, &spec, &options, monitor).unwrap()));
    }
}

fn watched<T>(work: impl FnOnce(&Monitor) -> T) -> T {
    work(&Monitor::default())
}

fn scan_tree() -> Work {
    let place = Place::new();
    let run = move || {
        let roots = [ScanRoot::new(b"", place.source())];
        let mut found = 0;
        scan(&roots, &Rules::default(), &Default::default(), 1, &Interrupt::default(), |event| {
            found += u64::from(matches!(event, Event::Found(_)));
            Ok::<_, std::io::Error>(())
        })
        .unwrap();
        found
    };
    (Amount::Things(FILES + u64::from(DIRECTORIES)), Box::new(run))
}

fn class_and_hash() -> Work {
    let pictures: Vec<Vec<u8>> = (0..200)
        .map(|number| [b"\xff\xd8\xff\xe0".as_slice(), &noise(number, 40_000)].concat())
        .collect();
    let bytes = pictures.iter().map(Vec::len).sum::<usize>() as u64;
    let hashing = jellyvault::chunk::Hashing::default();
    let run = move || {
        pictures
            .iter()
            .filter(|picture| {
                Class::of(&picture[..HEAD_BYTES]) == Class::Compressed
                    && hashing.id(picture).0[0] < 128
            })
            .count() as u64
    };
    (Amount::Bytes(bytes), Box::new(run))
}

fn extent_and_pack() -> Work {
    let texts: Vec<Vec<u8>> = (0..400u32)
        .map(|number| {
            format!(
                "<movie><title>{number}</title>{}</movie>",
                "a plot of some words; ".repeat(400)
            )
            .into_bytes()
        })
        .collect();
    let bytes = texts.iter().map(Vec::len).sum::<usize>() as u64;
    let run = move || {
        let memory = MemoryBackend::default();
        Repository::init_on(&memory).unwrap();
        let repository = Repository::open_on(Box::new(memory)).unwrap();
        let index = Index::open(&repository, IndexMode::Use).unwrap();
        let mut streams = PackStreams::new(&repository, &index, 1);
        let mut compressor = zstd::bulk::Compressor::new(3).unwrap();
        let mut builder = ExtentBuilder::new(ExtentKind::Data);
        for text in &texts {
            let id = repository.hashing().id(text);
            if index.claim(&id).unwrap() {
                builder.push(id, text);
            }
            if builder.len() >= 192 << 10 {
                streams.append(0, builder.fill(Some(&mut compressor)).unwrap().unwrap()).unwrap();
            }
        }
        if let Some(extent) = builder.fill(Some(&mut compressor)).unwrap() {
            streams.append(0, extent).unwrap();
        }
        streams.finish().unwrap().stored_bytes
    };
    (Amount::Bytes(bytes), Box::new(run))
}

fn manifest_merge() -> Work {
    let place = Place::new();
    place.snapshot();
    for item in (0..DIRECTORIES).step_by(50) {
        std::fs::write(
            place.source().join(format!("metadata/library/{:02x}/{item:032x}/1.nfo", item % 256)),
            "changed",
        )
        .unwrap();
    }
    place.snapshot();
    let run = move || {
        let Place { repository, dir: _dir } = &place;
        let index = Index::open(repository, IndexMode::Use).unwrap();
        let catalog = Catalog::load(repository).unwrap();
        let roots: Vec<ChunkId> = catalog
            .snapshots
            .iter()
            .map(|(_, record)| record.categories.values().next().unwrap().manifest)
            .collect();
        let reader = || ChunkReader::new(repository, &index);
        let root = |number: usize| roots.get(number).copied();
        let mut changes = 0;
        let told = differences(
            (&mut reader(), root(0)),
            (&mut reader(), root(1)),
            None,
            |_| -> Result<(), jellyvault::manifest::Error> {
                changes += 1;
                Ok(())
            },
        );
        told.unwrap();
        assert_eq!(changes, 20);
        changes
    };
    (Amount::Things(FILES), Box::new(run))
}

fn index_lookup() -> Work {
    let place = Place::new();
    store_chunks(&place.repository);
    let index = Index::open(&place.repository, IndexMode::Use).unwrap();
    let ids = chunk_ids(&place.repository);
    let run = move || {
        // Without it the closure would not hold the directory, which would go.
        let _place = &place;
        let found = ids.iter().filter(|id| index.locate(id).unwrap().is_some()).count() as u64;
        assert_eq!(found, CHUNKS);
        found
    };
    (Amount::Things(CHUNKS), Box::new(run))
}

fn index_insert() -> Work {
    let run = || {
        let dir = tempfile::tempdir().unwrap();
        store_chunks(&Repository::init(&dir.path().join("repo")).unwrap())
    };
    (Amount::Things(CHUNKS), Box::new(run))
}

fn chunk_ids(repository: &Repository) -> Vec<ChunkId> {
    (0..CHUNKS).map(|number| repository.hashing().id(&number.to_le_bytes())).collect()
}

/// Many chunks of eight bytes: what they cost is the index.
fn store_chunks(repository: &Repository) -> u64 {
    let index = Index::open(repository, IndexMode::Use).unwrap();
    let mut streams = PackStreams::new(repository, &index, 1);
    let mut builder = ExtentBuilder::new(ExtentKind::Data);
    for (number, id) in chunk_ids(repository).iter().enumerate() {
        assert!(index.claim(id).unwrap());
        builder.push(*id, &(number as u64).to_le_bytes());
        if builder.len() >= 16 << 10 {
            streams.append(0, builder.fill(None).unwrap().unwrap()).unwrap();
        }
    }
    if let Some(extent) = builder.fill(None).unwrap() {
        streams.append(0, extent).unwrap();
    }
    let stored = streams.finish().unwrap().stored_bytes;
    assert!(index.commit().unwrap());
    stored
}

fn restore_write() -> Work {
    let place = Place::new();
    place.snapshot();
    let mut round = 0;
    let run = move || {
        round += 1;
        let to = place.dir.path().join(format!("out-{round}"));
        let catalog = Catalog::load(&place.repository).unwrap();
        let destination = Destination::Directory(to.clone());
        let options = RestoreOptions { threads: 1, ..RestoreOptions::default() };
        let report = watched(|monitor| {
            ops::restore(&place.repository, &catalog.snapshots[0], &destination, &options, monitor)
                .unwrap()
        });
        std::fs::remove_dir_all(to).unwrap();
        assert_eq!(report.files, FILES);
        report.files
    };
    (Amount::Things(FILES), Box::new(run))
}

fn rows_to_json() -> Work {
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/attic/data/jellyfin.db");
    let uri = format!("file:{}?immutable=1", fixture.display());
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let dump = move |db: &rusqlite::Connection| {
        let schema = Schema::of(&read_history(db).unwrap()).unwrap();
        let (mut rows, mut bytes) = (0, 0);
        for table in &schema.tables {
            rows += dump_table::<()>(db, schema, table, DumpStyle::default(), &mut |block| {
                bytes += block.len() as u64;
                block.clear();
                Ok(())
            })
            .unwrap();
        }
        (rows, bytes)
    };
    let db = rusqlite::Connection::open_with_flags(uri, flags).unwrap();
    let (rows, _) = dump(&db);
    (Amount::Things(rows * 20), Box::new(move || (0..20).map(|_| dump(&db).1).sum()))
}
