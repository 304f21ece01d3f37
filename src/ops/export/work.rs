//! What a thread does for the zip: small files are read, verified and deflated, a batch at a time;
//! blocks of large ones deflated.

use std::sync::mpsc::SyncSender;

use crossbeam_channel::Receiver;

use crate::archive::{EntryHead, Method, ReadyEntries};
use crate::chunk::{Class, HEAD_BYTES};
use crate::progress::Problem;
use crate::store::ChunkReader;

use super::super::content::write_content;
use super::super::{Error, in_one_line};
use super::deflate::{Deflater, deflate_block};
use super::item::Item;

/// What a thread is asked to do.
pub(super) enum Job {
    Files(Vec<(EntryHead, Item)>, SyncSender<Result<Batch, Error>>),
    Block { bytes: Vec<u8>, deflates: bool, is_last: bool, out: SyncSender<std::io::Result<Block>> },
}

/// Files that are ready, and why others are not.
pub(super) struct Batch {
    pub ready: ReadyEntries,
    pub problems: Vec<Problem>,
}

/// A block as it stands in the zip, with the checksum of its plain bytes.
pub(super) struct Block {
    pub crc: crc32fast::Hasher,
    pub bytes: Vec<u8>,
}

/// One of the threads.
pub(super) struct Worker<'r> {
    reader: ChunkReader<'r>,
    deflater: Deflater,
    /// Buffers of batches that are written, to use again: a new one costs a page fault for each of
    /// its pages.
    spare: Receiver<Vec<u8>>,
}

impl<'r> Worker<'r> {
    pub(super) fn new(reader: ChunkReader<'r>, spare: Receiver<Vec<u8>>) -> Worker<'r> {
        Worker { reader, deflater: Deflater::new(), spare }
    }

    pub(super) fn run(&mut self, job: Job) {
        match job {
            // Where nobody listens any more the export failed already, with a reason of its own.
            Job::Files(files, out) => crate::tolerate(out.send(self.files(files))),
            Job::Block { bytes, deflates, is_last, out } => {
                let mut crc = crc32fast::Hasher::new();
                crc.update(&bytes);
                let bytes = if deflates { deflate_block(&bytes, is_last) } else { Ok(bytes) };
                crate::tolerate(out.send(bytes.map(|bytes| Block { crc, bytes })));
            }
        }
    }

    fn files(&mut self, items: Vec<(EntryHead, Item)>) -> Result<Batch, Error> {
        // Where no buffer is free, a new one.
        let mut batch = Batch {
            ready: ReadyEntries::new(self.spare.try_recv().unwrap_or_default()),
            problems: Vec::new(),
        };
        for (head, item) in items {
            if let Err(error) =
                batch.ready.push(head, |bytes| self.fill(&item, bytes)).map_err(Error::Output)?
            {
                batch.problems.push(unreadable(&item.logical, error)?);
            }
        }
        Ok(batch)
    }

    /// Puts a file behind what is in the buffer, deflated where that gains; its method, the
    /// checksum of its plain bytes and their length.
    fn fill(&mut self, item: &Item, bytes: &mut Vec<u8>) -> Result<(Method, u32, u64), Error> {
        let start = bytes.len();
        write_content(&mut self.reader, &item.content, item.size, |offset, part| {
            bytes.resize(start + offset as usize, 0);
            bytes.extend_from_slice(part);
            Ok(())
        })?;
        bytes.resize(start + item.size as usize, 0);
        let plain = bytes.get(start..).unwrap_or_default();
        let (crc, raw) = (crc32fast::hash(plain), plain.len() as u64);
        if Class::of(plain.get(..HEAD_BYTES).unwrap_or(plain)) != Class::Compressed
            && let Some(deflated) = self.deflater.deflate(plain)
        {
            bytes.truncate(start);
            bytes.extend_from_slice(deflated);
            return Ok((Method::Deflated, crc, raw));
        }
        Ok((Method::Stored, crc, raw))
    }
}

/// A file that the repository cannot give back is left out, by name; whatever else went wrong ends
/// the export.
pub(super) fn unreadable(logical: &str, error: Error) -> Result<Problem, Error> {
    if error.kind() != crate::ops::ErrorKind::Damaged {
        return Err(error);
    }
    Ok(Problem {
        path: logical.to_owned(),
        what: format!(
            "it cannot be read from the repository ({}); it is not in the zip",
            in_one_line(&error)
        ),
    })
}
