//! Entries into the zip, in order: small files are made ready by many threads, a batch each; large
//! ones and tables are streamed in blocks.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::mpsc::{Receiver, sync_channel};

use crossbeam_channel::{Sender, bounded, unbounded};

use crate::archive::{DosTime, EntryHead, Method, Written, ZipWriter};
use crate::chunk::{Class, HEAD_BYTES};
use crate::progress::{Interrupt, Problem};
use crate::store::{ChunkReader, Index, Repository};

use super::super::content::write_content;
use super::super::{Error, Monitor};
use super::ExportOptions;
use super::item::Item;
use super::work::{Batch, Block, Job, Worker, unreadable};

/// Plain bytes of a block.
pub(super) const BLOCK_BYTES: usize = 256 << 10;
/// Blocks and batches under way at most.
const PENDING_MAX: usize = 12;
/// Files from this size on are streamed, in bytes.
const LARGE_BYTES: u64 = 4 << 20;
/// A batch is handed out at this many bytes or files.
const BATCH_BYTES: u64 = 1 << 20;
const BATCH_FILES: usize = 128;
/// Files from this size on get room for sizes of 64 bits: what cannot be deflated grows a little.
pub(super) const HUGE_BYTES: u64 = 0xf000_0000;
/// How much is written before the disk is asked to take it, beside the work: not all of it in the
/// end.
const FLUSH_BYTES: u64 = 256 << 20;
/// Mode of what is no file of the snapshot.
const PLAIN_MODE: u32 = 0o644;

/// What was asked for and is not written yet.
enum Pending {
    Files(Receiver<Result<Batch, Error>>),
    Block(Receiver<std::io::Result<Block>>),
}

/// An entry that is streamed.
struct Stream {
    deflates: bool,
    crc: crc32fast::Hasher,
    raw: u64,
}

/// Takes entries in order.
pub(super) struct Pourer<'e> {
    zip: ZipWriter,
    repository: &'e Repository,
    index: &'e Index,
    options: &'e ExportOptions,
    monitor: &'e Monitor,
    jobs: Option<Sender<Job>>,
    /// Buffers of batches that are written, to use again: a new one costs a page fault for each of
    /// its pages.
    spare: (Sender<Vec<u8>>, crossbeam_channel::Receiver<Vec<u8>>),
    flushes: Option<Sender<()>>,
    flushed: u64,
    queue: VecDeque<Pending>,
    batch: Vec<(EntryHead, Item)>,
    batch_bytes: u64,
    stream: Option<Stream>,
    /// What could not be put in.
    pub problems: Vec<Problem>,
}

impl<'e> Pourer<'e> {
    /// What stops it.
    pub(super) fn interrupt(&self) -> &'e Interrupt {
        &self.monitor.interrupt
    }

    /// Begins a zip in an empty file.
    pub(super) fn new(
        file: File,
        spool: File,
        repository: &'e Repository,
        index: &'e Index,
        options: &'e ExportOptions,
        monitor: &'e Monitor,
    ) -> Pourer<'e> {
        Pourer {
            zip: ZipWriter::new(file, spool),
            repository,
            index,
            options,
            monitor,
            jobs: None,
            spare: unbounded(),
            flushes: None,
            flushed: 0,
            queue: VecDeque::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            stream: None,
            problems: Vec::new(),
        }
    }

    /// Lets `pour` hand in entries while threads work on them, and one makes durable what is
    /// written.
    pub(super) fn write<T>(
        &mut self,
        pour: impl FnOnce(&mut Pourer<'e>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (jobs, taken) = bounded(PENDING_MAX + 1);
        let (flushes, asked) = bounded(1);
        let file = self.zip.file().try_clone().map_err(output)?;
        (self.jobs, self.flushes) = (Some(jobs), Some(flushes));
        std::thread::scope(|scope| {
            for _ in 0..self.options.threads() {
                let (taken, spare) = (taken.clone(), self.spare.1.clone());
                let mut worker = Worker::new(ChunkReader::new(self.repository, self.index), spare);
                scope.spawn(move || taken.iter().for_each(|job| worker.run(job)));
            }
            // The kernel tells of bytes that could not be written only once.
            let flusher =
                scope.spawn(move || asked.into_iter().try_for_each(|()| file.sync_data()));
            let outcome = pour(self).and_then(|value| self.drain().map(|()| value));
            // Without jobs the threads end, and whoever waits for a listener finds none.
            (self.jobs, self.flushes) = (None, None);
            self.queue.clear();
            let flushed = flusher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            outcome.and_then(|value| flushed.map(|()| value).map_err(output))
        })
    }

    /// Takes a file of the snapshot.
    pub(super) fn file(&mut self, item: Item, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        if self.monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        if item.size >= LARGE_BYTES {
            return self.large(item, reader);
        }
        self.batch_bytes += item.size;
        let head = self.head(&item.name, item.mtime_ns, item.mode, Method::Stored);
        self.batch.push((head, item));
        if self.batch_bytes >= BATCH_BYTES || self.batch.len() >= BATCH_FILES {
            self.hand_out()
        } else {
            Ok(())
        }
    }

    /// Takes bytes that are there.
    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8], time_ns: i64) -> Result<(), Error> {
        self.begin(name, time_ns, PLAIN_MODE, true, false)?;
        self.push(bytes.to_vec())?;
        self.end()
    }

    /// Begins an entry whose bytes follow by [`Pourer::push`].
    pub(super) fn begin(
        &mut self,
        name: &str,
        time_ns: i64,
        mode: u32,
        deflates: bool,
        may_be_huge: bool,
    ) -> Result<(), Error> {
        self.drain()?;
        let head = self.head(
            name,
            time_ns,
            mode,
            if deflates { Method::Deflated } else { Method::Stored },
        );
        self.stream = Some(Stream { deflates, crc: crc32fast::Hasher::new(), raw: 0 });
        self.zip.begin(head, may_be_huge).map_err(output)
    }

    /// Takes more plain bytes of the entry that was begun.
    pub(super) fn push(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.push_block(bytes, false)
    }

    fn push_block(&mut self, bytes: Vec<u8>, is_last: bool) -> Result<(), Error> {
        if self.monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        stream.raw += bytes.len() as u64;
        let (out, block) = sync_channel(1);
        let job = Job::Block { bytes, deflates: stream.deflates, is_last, out };
        self.send(job)?;
        self.queue.push_back(Pending::Block(block));
        while self.queue.len() > PENDING_MAX {
            self.pop()?;
        }
        Ok(())
    }

    /// Ends the entry that was begun.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.stream.as_ref().is_some_and(|stream| stream.deflates) {
            self.push_block(Vec::new(), true)?;
        }
        self.drain()?;
        let Some(stream) = self.stream.take() else { return Ok(()) };
        self.zip.end(stream.crc.finalize(), stream.raw).map_err(output)
    }

    /// A large file, block by block. What cannot be read is found before its entry is begun, or the
    /// export fails.
    fn large(&mut self, item: Item, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        if let Err(error) = prove(&item, reader) {
            let problem = unreadable(&item.logical, error)?;
            self.problem(problem);
            return Ok(());
        }
        let (mut begun, mut at) = (false, 0);
        write_content(reader, &item.content, item.size, |offset, bytes| {
            if !begun {
                begun = true;
                let head = if at == offset { bytes } else { &[] };
                let deflates =
                    Class::of(head.get(..HEAD_BYTES).unwrap_or(head)) != Class::Compressed;
                self.begin(
                    &item.name,
                    item.mtime_ns,
                    item.mode,
                    deflates,
                    item.size >= HUGE_BYTES,
                )?;
            }
            self.fill(&mut at, offset)?;
            at += bytes.len() as u64;
            bytes.chunks(BLOCK_BYTES).try_for_each(|block| self.push(block.to_vec()))
        })?;
        if !begun {
            self.begin(&item.name, item.mtime_ns, item.mode, true, item.size >= HUGE_BYTES)?;
        }
        self.fill(&mut at, item.size)?;
        self.end()?;
        self.monitor.progress.advance(1, item.size);
        Ok(())
    }

    /// Zeros for a hole, up to `until`.
    fn fill(&mut self, at: &mut u64, until: u64) -> Result<(), Error> {
        while *at < until {
            let len = (until - *at).min(BLOCK_BYTES as u64);
            self.push(vec![0; len as usize])?;
            *at += len;
        }
        Ok(())
    }

    fn head(&self, name: &str, time_ns: i64, mode: u32, method: Method) -> EntryHead {
        let stamp =
            jiff::Timestamp::from_nanosecond(time_ns.into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let modified = DosTime::of(stamp.to_zoned(self.options.zone.clone()).datetime());
        // The server's user must be able to read and replace what it restores.
        EntryHead { name: name.to_owned(), method, modified, mode: mode & 0o777 | 0o600 }
    }

    fn send(&mut self, job: Job) -> Result<(), Error> {
        // The threads listen as long as jobs can be sent.
        self.jobs
            .as_ref()
            .and_then(|jobs| jobs.send(job).ok())
            .ok_or(Error::System { what: "threads" })
    }

    fn hand_out(&mut self) -> Result<(), Error> {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.batch_bytes = 0;
        let (out, files) = sync_channel(1);
        let job = Job::Files(std::mem::take(&mut self.batch), out);
        self.send(job)?;
        self.queue.push_back(Pending::Files(files));
        while self.queue.len() > PENDING_MAX {
            self.pop()?;
        }
        Ok(())
    }

    /// Writes all that was asked for.
    fn drain(&mut self) -> Result<(), Error> {
        self.hand_out()?;
        while !self.queue.is_empty() {
            self.pop()?;
        }
        Ok(())
    }

    fn pop(&mut self) -> Result<(), Error> {
        let gone = || Error::System { what: "threads" };
        match self.queue.pop_front() {
            None => Ok(()),
            Some(Pending::Block(block)) => {
                let block = block.recv().map_err(|_| gone())?.map_err(output)?;
                if let Some(stream) = &mut self.stream {
                    stream.crc.combine(&block.crc);
                }
                self.zip.append(&block.bytes).map_err(output)?;
                self.flush_some();
                Ok(())
            }
            Some(Pending::Files(files)) => {
                let Batch { ready, problems } = files.recv().map_err(|_| gone())??;
                problems.into_iter().for_each(|problem| self.problem(problem));
                self.zip.add(&ready).map_err(output)?;
                self.monitor.progress.advance(ready.len() as u64, ready.raw_bytes());
                crate::tolerate(self.spare.0.send(ready.into_buffer()));
                self.flush_some();
                Ok(())
            }
        }
    }

    /// Has what was written go to the disk, where it is much and the last of it is done.
    fn flush_some(&mut self) {
        if self.zip.offset() >= self.flushed + FLUSH_BYTES
            && self.flushes.as_ref().is_some_and(|flushes| flushes.try_send(()).is_ok())
        {
            self.flushed = self.zip.offset();
        }
    }

    /// Keeps what could not be put in.
    pub(super) fn problem(&mut self, problem: Problem) {
        self.monitor.progress.problem(&problem);
        self.problems.push(problem);
    }

    /// Writes the end of the zip.
    pub(super) fn finish(self) -> std::io::Result<(File, Written)> {
        self.zip.finish()
    }
}

/// Whether all pieces of a file can be read.
fn prove(item: &Item, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
    write_content(reader, &item.content, item.size, |_, _| Ok(()))
}

fn output(source: std::io::Error) -> Error {
    Error::Output(source)
}
