//! What does the machine need at least? Programs that make only the system calls that nobody can do
//! without, on two threads: what a figure of `benches/peers/` is held against.
//!
//!     cargo bench --bench floor -- walk DIR          one statx of each file
//!     cargo bench --bench floor -- read DIR          the walk, then each file read and hashed
//!     cargo bench --bench floor -- store DIR FILE    the same, and each new content written once,
//!                                                    what is no JPEG compressed, to one file that
//!                                                    is made durable
//!     cargo bench --bench floor -- verify DIR        few large files read and hashed by pieces
//!     cargo bench --bench floor -- spans FILE        pieces of files (path, offset, length; one a
//!                                                    line) read and decompressed, or hashed where
//!                                                    they are not compressed
//!     cargo bench --bench floor -- zip DIR FILE      each file read, hashed and summed, what is no
//!                                                    picture deflated, all written to one file
//!                                                    that is made durable and read back meanwhile
//!     cargo bench --bench floor -- copy DIR TO       each file read and made anew in an empty
//!                                                    directory, by the same names
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, StatxFlags};

const THREADS: usize = 2;
const PIECE_BYTES: usize = 256 << 10;
/// Contents that are written, and compressed, together.
const BLOCK_BYTES: usize = 192 << 10;
/// Pieces that are hashed whole.
const SMALL_BYTES: usize = 128 << 10;
/// What one thread takes at once of a large file, in bytes.
const PART_BYTES: u64 = 16 << 20;

/// What a walk finds: files with their sizes, and directories.
#[derive(Default)]
struct Found {
    files: Vec<(PathBuf, u64)>,
    directories: Vec<PathBuf>,
}

fn walk(root: &Path) -> Found {
    let found = Mutex::default();
    rayon::scope(|scope| list(scope, root.to_path_buf(), &found));
    found.into_inner().unwrap()
}

fn list<'s>(scope: &rayon::Scope<'s>, directory: PathBuf, found: &'s Mutex<Found>) {
    let fd = rustix::fs::open(
        &directory,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .unwrap();
    let mut buffer = Vec::with_capacity(32 << 10);
    let mut entries = RawDir::new(&fd, buffer.spare_capacity_mut());
    let mut files = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = rustix::fs::statx(&fd, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
            .unwrap();
        let path = directory.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        match stat.stx_mode & 0o170_000 {
            0o040_000 => scope.spawn(move |scope| list(scope, path, found)),
            0o100_000 => files.push((path, stat.stx_size)),
            _ => {}
        }
    }
    let mut found = found.lock().unwrap();
    found.files.append(&mut files);
    found.directories.push(directory);
}

/// Reads each file whole into a buffer that is used again, and hands it on.
fn read_all(files: &[(PathBuf, u64)], each: impl Fn(&Path, &mut Vec<u8>) + Sync) {
    files.par_chunks(64).for_each_init(Vec::new, |buffer, files| {
        for (path, _) in files {
            buffer.clear();
            File::open(path).unwrap().read_to_end(buffer).unwrap();
            each(path, buffer);
        }
    });
}

/// Contents of one thread on their way to the file, in blocks: those that compress and those that
/// do not.
struct Blocks {
    kinds: [Vec<u8>; 2],
    compressor: zstd::bulk::Compressor<'static>,
    out: SyncSender<Vec<u8>>,
}

impl Blocks {
    fn push(&mut self, bytes: &[u8]) {
        let compresses = !bytes.starts_with(b"\xff\xd8\xff");
        for piece in bytes.chunks(BLOCK_BYTES) {
            let block = self.kinds.get_mut(usize::from(compresses)).unwrap();
            block.extend_from_slice(piece);
            if block.len() >= BLOCK_BYTES {
                self.flush(compresses);
            }
        }
    }

    fn flush(&mut self, compresses: bool) {
        let block = std::mem::take(self.kinds.get_mut(usize::from(compresses)).unwrap());
        self.out
            .send(if compresses { self.compressor.compress(&block).unwrap() } else { block })
            .unwrap();
    }
}

fn store(found: &Found, out: &Path) {
    let known: Mutex<HashSet<blake3::Hash>> = Mutex::default();
    let (sender, blocks) = sync_channel::<Vec<u8>>(16);
    let mut file = File::create(out).unwrap();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            blocks.into_iter().for_each(|block: Vec<u8>| file.write_all(&block).unwrap());
            file.sync_all().unwrap();
        });
        for _ in 0..THREADS {
            let mut blocks = Blocks {
                kinds: Default::default(),
                compressor: zstd::bulk::Compressor::new(1).unwrap(),
                out: sender.clone(),
            };
            let (known, next) = (&known, &next);
            scope.spawn(move || {
                let mut buffer = Vec::new();
                while let Some(files) =
                    found.files.chunks(64).nth(next.fetch_add(1, Ordering::Relaxed))
                {
                    for (path, _) in files {
                        buffer.clear();
                        File::open(path).unwrap().read_to_end(&mut buffer).unwrap();
                        if known.lock().unwrap().insert(blake3::hash(&buffer)) {
                            blocks.push(&buffer);
                        }
                    }
                }
                [false, true].into_iter().for_each(|compresses| blocks.flush(compresses));
            });
        }
        drop(sender);
        writer.join().unwrap();
    });
}

/// What a zip of everything takes that is proved: without names, headers and a directory.
fn zip(found: &Found, out: &Path) {
    let (sender, batches) = sync_channel::<Vec<u8>>(8);
    let mut file = File::create(out).unwrap();
    let next = AtomicUsize::new(0);
    let is_picture =
        |bytes: &[u8]| bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG");
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let (next, sender) = (&next, sender.clone());
            scope.spawn(move || {
                let (mut bytes, mut deflated) = (Vec::new(), Vec::new());
                let mut deflater =
                    libdeflater::Compressor::new(libdeflater::CompressionLvl::new(1).unwrap());
                loop {
                    let Some(files) =
                        found.files.chunks(16).nth(next.fetch_add(1, Ordering::Relaxed))
                    else {
                        return;
                    };
                    let mut batch = Vec::new();
                    for (path, _) in files {
                        bytes.clear();
                        File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
                        std::hint::black_box((blake3::hash(&bytes), crc32fast::hash(&bytes)));
                        if is_picture(&bytes) {
                            batch.extend_from_slice(&bytes);
                        } else {
                            deflated.resize(deflater.deflate_compress_bound(bytes.len()), 0);
                            let len = deflater.deflate_compress(&bytes, &mut deflated).unwrap();
                            batch.extend_from_slice(deflated.get(..len).unwrap());
                        }
                    }
                    sender.send(batch).unwrap();
                }
            });
        }
        drop(sender);
        batches.iter().for_each(|batch| file.write_all(&batch).unwrap());
    });
    std::thread::scope(|scope| {
        scope.spawn(|| file.sync_all().unwrap());
        each_piece(&[(out.to_path_buf(), file.metadata().unwrap().len())], |piece| {
            _ = std::hint::black_box(crc32fast::hash(piece))
        });
    });
}

fn verify(found: &Found) {
    each_piece(&found.files, |piece| _ = std::hint::black_box(blake3::hash(piece)));
}

/// Reads files by pieces.
fn each_piece(files: &[(PathBuf, u64)], each: impl Fn(&[u8]) + Sync) {
    let parts: Vec<(&Path, u64)> = files
        .iter()
        .flat_map(|(path, size)| {
            (0..size.div_ceil(PART_BYTES)).map(move |part| (path.as_path(), part * PART_BYTES))
        })
        .collect();
    parts.par_iter().for_each_init(
        || vec![0; PIECE_BYTES],
        |piece, (path, start)| {
            let file = File::open(path).unwrap();
            for offset in (*start..*start + PART_BYTES).step_by(PIECE_BYTES) {
                let read = file.read_at(piece, offset).unwrap();
                each(piece.get(..read).unwrap());
            }
        },
    );
}

/// What a diff reads, whoever knows in advance where it lies: small pieces are hashed too (nodes),
/// large ones are not (pages, few of which are wanted).
fn spans(list: &Path) -> u64 {
    let list = std::fs::read_to_string(list).unwrap();
    let spans: Vec<(File, u64, usize)> = list
        .lines()
        .map(|line| line.rsplitn(3, ' ').collect::<Vec<_>>())
        .map(|fields| match fields.as_slice() {
            [len, offset, path] => {
                (File::open(path).unwrap(), offset.parse().unwrap(), len.parse().unwrap())
            }
            _ => panic!("a line is not path, offset, length"),
        })
        .collect();
    let next = AtomicUsize::new(0);
    let plain_bytes = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let (mut stored, mut plain) = (Vec::new(), Vec::with_capacity(4 << 20));
                let mut zstd = zstd::bulk::Decompressor::new().unwrap();
                while let Some((file, offset, len)) =
                    spans.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    stored.resize(*len, 0);
                    file.read_exact_at(&mut stored, *offset).unwrap();
                    let bytes = if stored.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
                        plain.clear();
                        zstd.decompress_to_buffer(&stored, &mut plain).unwrap();
                        &plain
                    } else {
                        &stored
                    };
                    plain_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    if bytes.len() <= SMALL_BYTES {
                        std::hint::black_box(blake3::hash(bytes));
                    }
                }
            });
        }
    });
    plain_bytes.into_inner()
}

fn copy(found: &Found, root: &Path, to: &Path) {
    let place = |path: &Path| to.join(path.strip_prefix(root).unwrap());
    let mut directories = found.directories.clone();
    directories.sort();
    directories.iter().for_each(|directory| std::fs::create_dir_all(place(directory)).unwrap());
    read_all(&found.files, |path, bytes| {
        File::create(place(path)).unwrap().write_all(bytes).unwrap()
    });
}

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let argument = |number: usize| PathBuf::from(arguments.get(number).map_or(".", String::as_str));
    let what = arguments.first().map_or("walk", String::as_str);
    let root = arguments.get(1).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"),
        PathBuf::from,
    );
    if what == "spans" {
        let begun = Instant::now();
        let bytes = spans(&root);
        println!(
            "{{\"what\": \"spans\", \"seconds\": {:.4}, \"bytes\": {bytes}}}",
            begun.elapsed().as_secs_f64()
        );
        return;
    }
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().unwrap();
    let begun = Instant::now();
    let mut found = walk(&root);
    let walked = begun.elapsed().as_secs_f64();
    if what != "walk" {
        found.files.sort();
    }
    match what {
        "walk" => {}
        "read" => read_all(&found.files, |_, bytes| _ = std::hint::black_box(blake3::hash(bytes))),
        "store" => store(&found, &argument(2)),
        "verify" => verify(&found),
        "zip" => zip(&found, &argument(2)),
        "copy" => copy(&found, &root, &argument(2)),
        other => panic!("{other} is none of walk, read, store, verify, zip, spans, copy"),
    }
    let bytes: u64 = found.files.iter().map(|(_, size)| size).sum();
    println!(
        "{{\"what\": {what:?}, \"seconds\": {:.4}, \"walk_seconds\": {walked:.4}, \"files\": {}, \"directories\": {}, \"bytes\": {bytes}}}",
        begun.elapsed().as_secs_f64(),
        found.files.len(),
        found.directories.len()
    );
}
