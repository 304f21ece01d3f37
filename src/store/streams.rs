//! Which pack does an extent go to? One stream of packs per category, so that what dies together
//! lies together; what is left over at the end of a capture shares one last pack, so that a small
//! capture writes a single file.

use std::collections::HashSet;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::backend::{Backend, NewFile};

use super::extent::FilledExtent;
use super::index::Index;
use super::pack::PackWriter;
use super::pack_id;
use super::parity::{Parity, parity_pack};
use super::seal_pool::SealPool;
use super::{Error, Repository};

/// Number of a stream: a category's, or the last for manifest nodes.
pub type Stream = usize;

/// A stream holds this much in memory before it opens a pack, in bytes; tiny chunks that compress
/// well come to their number first.
const PENDING_BYTES_MAX: usize = 2 << 20;
const PENDING_CHUNKS_MAX: usize = 100_000;
/// Recipes wait in memory until they come to this many bytes.
const LAST_BYTES_MAX: usize = 8 << 20;
/// Packs that wait for their fsync while the next ones are filled.
const SYNC_QUEUE: usize = 2;
/// Most packs that are made durable at the same time.
const SYNC_THREADS_MAX: usize = 8;

#[derive(Default)]
struct Lane<'r> {
    pending: Vec<FilledExtent>,
    pending_bytes: usize,
    pending_chunks: usize,
    open: Option<PackWriter<'r>>,
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
    lanes: Vec<Lane<'r>>,
    /// What must not be durable before all else is.
    last: Vec<FilledExtent>,
    syncer: Syncer,
    pool: SealPool,
    stored: Stored,
}

impl<'r> PackStreams<'r> {
    /// `count` empty streams.
    pub fn new(repository: &'r Repository, index: &'r Index, count: usize) -> PackStreams<'r> {
        let lanes = (0..count).map(|_| Lane::default()).collect();
        PackStreams {
            repository,
            index,
            lanes,
            last: Vec::new(),
            syncer: Syncer::start(repository),
            pool: SealPool::start(repository.sealer()),
            stored: Stored::default(),
        }
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
            lane.pending_chunks += extent.chunks.len();
            lane.pending.push(extent);
            if lane.pending_bytes < PENDING_BYTES_MAX && lane.pending_chunks < PENDING_CHUNKS_MAX {
                return Ok(());
            }
            let mut pack = PackWriter::begin(self.repository, self.index)?;
            for extent in lane.pending.drain(..) {
                pack.append(extent, self.index, &self.pool)?;
            }
            (lane.pending_bytes, lane.pending_chunks) = (0, 0);
            lane.open = Some(pack);
        } else if let Some(pack) = &mut lane.open {
            pack.append(extent, self.index, &self.pool)?;
        }
        if lane.open.as_ref().is_some_and(|pack| pack.is_full(self.repository.config().pack_bytes))
            && let Some(pack) = lane.open.take()
        {
            self.close(pack)?;
        }
        Ok(())
    }

    /// Takes an extent that leads to others of this capture and whose chunks are not named by their
    /// own bytes: a recipe. It is written when all packs before it are durable, so that a recipe
    /// that is there leads to pages that are there.
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

    fn close(&mut self, pack: PackWriter<'_>) -> Result<(), Error> {
        let id = pack.id();
        let (file, bytes) = pack.end(self.index)?;
        self.stored.stored_bytes += bytes;
        self.stored.packs += 1;
        self.syncer.finish((file, id))
    }

    /// Closes all packs and waits until they are durable.
    pub fn finish(mut self) -> Result<Stored, Error> {
        self.write_all()?;
        self.syncer.join()?;
        add_missing_parity(self.repository)?;
        Ok(self.stored)
    }

    /// Closes all packs; what is left over goes into one more, recipes last.
    fn write_all(&mut self) -> Result<(), Error> {
        let mut left = Vec::new();
        let mut closed = Vec::new();
        for lane in &mut self.lanes {
            closed.extend(lane.open.take());
            left.append(&mut lane.pending);
            (lane.pending_bytes, lane.pending_chunks) = (0, 0);
        }
        closed.into_iter().try_for_each(|pack| self.close(pack))?;
        if !self.last.is_empty() && self.stored.packs > 0 {
            self.syncer.join()?;
            self.syncer = Syncer::start(self.repository);
        }
        left.append(&mut self.last);
        if left.is_empty() {
            return Ok(());
        }
        let mut pack = PackWriter::begin(self.repository, self.index)?;
        for extent in left {
            if pack.is_full(u64::MAX) {
                // One after another they become durable, so recipes come last all the same.
                let next = PackWriter::begin(self.repository, self.index)?;
                self.close(std::mem::replace(&mut pack, next))?;
            }
            pack.append(extent, self.index, &self.pool)?;
        }
        self.close(pack)
    }
}

/// Packs without parity, in a repository that wants it: a crash came between the two files, or
/// another program wrote the pack.
pub fn add_missing_parity(repository: &Repository) -> Result<(), Error> {
    let permille = repository.config().parity_permille;
    if permille == 0 {
        return Ok(());
    }
    let listed = repository.backend().list("packs/")?;
    let have: HashSet<_> = listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
    let lack = listed.iter().filter_map(|file| pack_id(&file.name)).filter(|id| !have.contains(id));
    lack.into_iter().try_for_each(|id| Parity::write(repository.backend(), &id, permille))
}

/// A pack that is written, and its id.
type Written = (Box<dyn NewFile>, [u8; 16]);

/// Threads that make packs durable while the next ones are filled, and write their parity: one for
/// a disk, a few for a backend that takes several files at a time. What waits in memory is bounded
/// by the queue.
struct Syncer {
    queue: Option<Sender<Written>>,
    threads: Vec<JoinHandle<Result<(), Error>>>,
}

fn make_durable(
    backend: &Arc<dyn Backend>,
    permille: u32,
    (file, id): Written,
) -> Result<(), Error> {
    file.finish()?;
    if permille > 0 { Parity::write(&**backend, &id, permille) } else { Ok(()) }
}

impl Syncer {
    fn start(repository: &Repository) -> Syncer {
        let (queue, work): (_, Receiver<Written>) = bounded(SYNC_QUEUE);
        let permille = repository.config().parity_permille;
        let threads =
            (0..repository.backend().parallel_writes().clamp(1, SYNC_THREADS_MAX)).map(|_| {
                let (backend, work) = (repository.shared_backend(), work.clone());
                std::thread::spawn(move || {
                    work.into_iter()
                        .try_for_each(|written| make_durable(&backend, permille, written))
                })
            });
        Syncer { threads: threads.collect(), queue: Some(queue) }
    }

    fn finish(&mut self, written: Written) -> Result<(), Error> {
        match self.queue.as_ref().map(|queue| queue.send(written)) {
            Some(Ok(())) => Ok(()),
            // All threads ended early: they have the reason.
            _ => self.join(),
        }
    }

    /// Waits for all; the first error of one.
    fn join(&mut self) -> Result<(), Error> {
        drop(self.queue.take());
        let mut outcome = Ok(());
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(done) => outcome = outcome.and(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        // A capture that failed already reports its own error; what is finished here is only used
        // again later.
        crate::tolerate(self.join());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::MemoryBackend;
    use crate::store::{ExtentBuilder, ExtentKind, IndexMode};

    #[test]
    fn a_pack_of_very_many_tiny_chunks_can_be_read_without_the_index() {
        const CHUNKS: u64 = 1_250_000;
        // As they are, and where one takes hardly a byte.
        for compresses in [false, true] {
            let backend = MemoryBackend::default();
            Repository::init_on(&backend).unwrap();
            let repository = Repository::open_on(Box::new(backend)).unwrap();
            let index = Index::open(&repository, IndexMode::Use).unwrap();
            let mut streams = PackStreams::new(&repository, &index, 1);
            let mut builder = ExtentBuilder::new(ExtentKind::Data);
            let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
            let id = |number: u64| repository.hashing().id(&number.to_le_bytes());
            for number in 0..CHUNKS {
                assert!(index.claim(&id(number)).unwrap());
                builder.push(id(number), &[0; 8]);
                if builder.len() >= 16 << 10 {
                    streams
                        .append(
                            0,
                            builder.fill(compresses.then_some(&mut compressor)).unwrap().unwrap(),
                        )
                        .unwrap();
                }
            }
            streams
                .append(0, builder.fill(compresses.then_some(&mut compressor)).unwrap().unwrap())
                .unwrap();
            assert_eq!(streams.finish().unwrap().packs, 3, "half a million in each");
            let index = Index::open(&repository, IndexMode::Rebuild).unwrap();
            assert_eq!(index.missing(), 0);
            assert!(
                (0..CHUNKS).step_by(997).all(|number| index.locate(&id(number)).unwrap().is_some())
            );
        }
    }
}
