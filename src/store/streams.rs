//! Which pack does an extent go to? One stream of packs per category, so that what dies together lies together; what is left
//! over at the end of a capture shares one last pack, so that a small capture writes a single file.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::backend::NewFile;
use crate::chunk::Hashing;

use super::extent::FilledExtent;
use super::index::Index;
use super::pack::PackWriter;
use super::{Error, Repository};

/// Number of a stream: a category's, or the last for manifest nodes.
pub type Stream = usize;

/// A stream holds this much in memory before it opens a pack, in bytes.
const PENDING_BYTES_MAX: usize = 2 << 20;
/// Recipes wait in memory until they come to this many bytes.
const LAST_BYTES_MAX: usize = 8 << 20;
/// Packs that wait for their fsync while the next ones are filled.
const SYNC_QUEUE: usize = 2;

#[derive(Default)]
struct Lane {
    pending: Vec<FilledExtent>,
    pending_bytes: usize,
    open: Option<PackWriter>,
}

/// What went into packs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Bytes of packs, trailers included.
    pub stored_bytes: u64,
    /// Bytes of chunks before compression.
    pub raw_bytes: u64,
    /// Packs.
    pub packs: u64,
}

/// All streams of one capture.
pub struct PackStreams<'r> {
    repository: &'r Repository,
    index: &'r Index,
    hashing: Hashing,
    lanes: Vec<Lane>,
    /// What must not be durable before all else is.
    last: Vec<FilledExtent>,
    syncer: Syncer,
    stored: Stored,
}

impl<'r> PackStreams<'r> {
    /// `count` empty streams.
    pub fn new(repository: &'r Repository, index: &'r Index, count: usize) -> PackStreams<'r> {
        let lanes = (0..count).map(|_| Lane::default()).collect();
        PackStreams { repository, index, hashing: repository.hashing(), lanes, last: Vec::new(), syncer: Syncer::start(), stored: Stored::default() }
    }

    /// What went into packs so far.
    pub fn stored(&self) -> Stored {
        self.stored
    }

    /// Takes an extent.
    pub fn append(&mut self, stream: Stream, extent: FilledExtent) -> Result<(), Error> {
        self.stored.raw_bytes += u64::from(extent.raw_bytes);
        let Some(lane) = self.lanes.get_mut(stream) else { return Ok(()) };
        if lane.open.is_none() {
            lane.pending_bytes += extent.stored.len();
            lane.pending.push(extent);
            if lane.pending_bytes < PENDING_BYTES_MAX {
                return Ok(());
            }
            let mut pack = PackWriter::begin(self.repository.backend(), self.index, self.repository.config().cipher)?;
            for extent in lane.pending.drain(..) {
                pack.append(extent, self.index, &self.hashing)?;
            }
            lane.pending_bytes = 0;
            lane.open = Some(pack);
        } else if let Some(pack) = &mut lane.open {
            pack.append(extent, self.index, &self.hashing)?;
        }
        if lane.open.as_ref().is_some_and(|pack| pack.len() >= self.repository.config().pack_bytes)
            && let Some(pack) = lane.open.take()
        {
            self.close(pack)?;
        }
        Ok(())
    }

    /// Takes an extent that leads to others of this capture and whose chunks are not named by their own bytes: a recipe. It is
    /// written when all packs before it are durable, so that a recipe that is there leads to pages that are there.
    pub fn append_last(&mut self, extent: FilledExtent) -> Result<(), Error> {
        self.stored.raw_bytes += u64::from(extent.raw_bytes);
        self.last.push(extent);
        let waiting: usize = self.last.iter().map(|extent| extent.stored.len()).sum();
        if waiting >= LAST_BYTES_MAX { self.write_all() } else { Ok(()) }
    }

    /// Lets go of what [`PackStreams::append_last`] took.
    pub fn forget_last(&mut self) {
        self.last.clear();
    }

    fn close(&mut self, pack: PackWriter) -> Result<(), Error> {
        let (file, bytes) = pack.end()?;
        self.stored.stored_bytes += bytes;
        self.stored.packs += 1;
        self.syncer.finish(file)
    }

    /// Closes all packs and waits until they are durable.
    pub fn finish(mut self) -> Result<Stored, Error> {
        self.write_all()?;
        self.syncer.join()?;
        Ok(self.stored)
    }

    /// Closes all packs; what is left over goes into one more, recipes last.
    fn write_all(&mut self) -> Result<(), Error> {
        let mut left = Vec::new();
        let mut closed = Vec::new();
        for lane in &mut self.lanes {
            closed.extend(lane.open.take());
            left.append(&mut lane.pending);
            lane.pending_bytes = 0;
        }
        closed.into_iter().try_for_each(|pack| self.close(pack))?;
        if !self.last.is_empty() && self.stored.packs > 0 {
            self.syncer.join()?;
            self.syncer = Syncer::start();
        }
        left.append(&mut self.last);
        if left.is_empty() {
            return Ok(());
        }
        let mut pack = PackWriter::begin(self.repository.backend(), self.index, self.repository.config().cipher)?;
        for extent in left {
            pack.append(extent, self.index, &self.hashing)?;
        }
        self.close(pack)
    }
}

/// A thread that makes packs durable while the next ones are filled.
struct Syncer {
    queue: Option<SyncSender<Box<dyn NewFile>>>,
    thread: Option<JoinHandle<Result<(), crate::backend::Error>>>,
}

impl Syncer {
    fn start() -> Syncer {
        let (queue, work): (_, Receiver<Box<dyn NewFile>>) = sync_channel(SYNC_QUEUE);
        let thread = std::thread::spawn(move || work.into_iter().try_for_each(NewFile::finish));
        Syncer { queue: Some(queue), thread: Some(thread) }
    }

    fn finish(&mut self, file: Box<dyn NewFile>) -> Result<(), Error> {
        match self.queue.as_ref().map(|queue| queue.send(file)) {
            Some(Ok(())) => Ok(()),
            // The thread ended early: it has the reason.
            _ => self.join(),
        }
    }

    fn join(&mut self) -> Result<(), Error> {
        drop(self.queue.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => Ok(outcome?),
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            None => Ok(()),
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // A capture that failed already reports its own error; what is finished here is only used again later.
        crate::tolerate(self.join());
    }
}
