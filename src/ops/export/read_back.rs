//! The zip is read back before it is called done: its directory is what was written, and every
//! entry has its checksum.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crossbeam_channel::{Receiver, Sender, bounded};
use rawzip::{CompressionMethod, FileReader, ZipArchive, ZipArchiveEntryWayfinder};

use crate::archive::Written;

use super::super::{Error, Monitor};

/// Entries that are handed to a thread at once.
const BATCH: usize = 256;
/// Batches that wait.
const WAITING: usize = 4;
/// How much is read at once, in bytes.
const BLOCK_BYTES: usize = 256 << 10;

/// An entry to look at.
struct Wanted {
    at: ZipArchiveEntryWayfinder,
    is_deflated: bool,
    crc: u32,
    size: u64,
}

/// Reads all of it.
pub(super) fn read_back(
    file: &File,
    written: &Written,
    path: &Path,
    threads: usize,
    monitor: &Monitor,
) -> Result<(), Error> {
    let wrong = |what: String| Error::ReadBack { path: path.to_path_buf(), what };
    let failed = |source: std::io::Error| Error::Target {
        verb: "read back",
        path: path.to_path_buf(),
        source,
    };
    check_directory(file, written).map_err(failed)?.map_err(|what| wrong(what.to_owned()))?;
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let archive = ZipArchive::from_file(file.try_clone().map_err(failed)?, &mut buffer)
        .map_err(|e| wrong(e.to_string()))?;
    let (batches, taken) = bounded::<Vec<Wanted>>(WAITING);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let (taken, archive) = (taken.clone(), &archive);
                scope.spawn(move || check_entries(archive, &taken, monitor))
            })
            .collect();
        drop(taken);
        let outcome = hand_out(&archive, &mut buffer, written, &batches, monitor);
        drop(batches);
        let mut checked = 0;
        for worker in workers {
            checked += worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                .map_err(wrong)?;
        }
        outcome.map_err(|stop| match stop {
            Stop::Interrupted => Error::Interrupted,
            Stop::Wrong(what) => wrong(what),
        })?;
        match checked {
            _ if monitor.interrupt.is_raised() => Err(Error::Interrupted),
            checked if checked != written.entries => {
                Err(wrong(format!("{checked} of its {} entries could be read", written.entries)))
            }
            _ => Ok(()),
        }
    })
}

/// Why entries are not handed out to their end.
enum Stop {
    Interrupted,
    Wrong(String),
}

/// Hands out the entries of the directory, as many as were written.
fn hand_out(
    archive: &ZipArchive<FileReader>,
    buffer: &mut [u8],
    written: &Written,
    batches: &Sender<Vec<Wanted>>,
    monitor: &Monitor,
) -> Result<(), Stop> {
    let mut entries = archive.entries(buffer);
    let (mut count, mut batch) = (0, Vec::with_capacity(BATCH));
    loop {
        if monitor.interrupt.is_raised() {
            return Err(Stop::Interrupted);
        }
        match entries.next_entry() {
            Err(error) => return Err(Stop::Wrong(error.to_string())),
            Ok(Some(entry)) => {
                count += 1;
                let is_deflated = entry.compression_method() == CompressionMethod::DEFLATE;
                batch.push(Wanted {
                    at: entry.wayfinder(),
                    is_deflated,
                    crc: entry.crc32(),
                    size: entry.uncompressed_size_hint(),
                });
                // Threads that found something wrong take nothing more.
                if batch.len() == BATCH
                    && batches
                        .send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH)))
                        .is_err()
                {
                    return Ok(());
                }
            }
            Ok(None) if count != written.entries => {
                let what = format!("it lists {count} entries instead of {}", written.entries);
                return Err(Stop::Wrong(what));
            }
            Ok(None) => {
                crate::tolerate(batches.send(batch));
                return Ok(());
            }
        }
    }
}

/// Proves the entries that are handed out; how many they were.
fn check_entries(
    archive: &ZipArchive<FileReader>,
    taken: &Receiver<Vec<Wanted>>,
    monitor: &Monitor,
) -> Result<u64, String> {
    let mut block = vec![0; BLOCK_BYTES];
    let mut checked = 0;
    for wanted in taken.iter().flatten() {
        if monitor.interrupt.is_raised() {
            break;
        }
        check_entry(archive, wanted, &mut block, monitor)?;
        checked += 1;
    }
    Ok(checked)
}

/// The directory's bytes, against the hash of what was written.
fn check_directory(file: &File, written: &Written) -> std::io::Result<Result<(), &'static str>> {
    if file.metadata()?.len() != written.bytes {
        return Ok(Err("its length is not what was written"));
    }
    let (start, len) = written.directory;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut at = start;
    while at < start + len {
        let step = (start + len - at).min(block.len() as u64) as usize;
        // A step is never longer than the block.
        let part = block.get_mut(..step).ok_or(std::io::ErrorKind::InvalidData)?;
        file.read_exact_at(part, at)?;
        hasher.update(part);
        at += step as u64;
    }
    Ok(if hasher.finalize() == written.directory_hash {
        Ok(())
    } else {
        Err("its directory is not what was written")
    })
}

fn check_entry(
    archive: &ZipArchive<FileReader>,
    wanted: Wanted,
    block: &mut [u8],
    monitor: &Monitor,
) -> Result<(), String> {
    let entry = archive.get_entry(wanted.at).map_err(|e| e.to_string())?;
    let mut inflated;
    let mut stored;
    let reader: &mut dyn Read = if wanted.is_deflated {
        inflated = flate2::bufread::DeflateDecoder::new(std::io::BufReader::with_capacity(
            64 << 10,
            entry.reader(),
        ));
        &mut inflated
    } else {
        stored = entry.reader();
        &mut stored
    };
    let (mut crc, mut size) = (crc32fast::Hasher::new(), 0);
    loop {
        let len = reader.read(block).map_err(|e| e.to_string())?;
        if len == 0 {
            break;
        }
        crc.update(block.get(..len).ok_or("more bytes were told than read")?);
        size += len as u64;
    }
    if (crc.finalize(), size) != (wanted.crc, wanted.size) {
        return Err("the checksum of an entry does not match".to_owned());
    }
    monitor.progress.advance(1, wanted.at.compressed_size_hint());
    Ok(())
}
