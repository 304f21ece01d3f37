//! Threads that seal extents side by side: one thread would seal fewer bytes a second than the
//! others read and a disk takes. What comes out is taken in the order in which it went in, so that
//! a pack is the same whichever thread was the first.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::extent::{FilledExtent, checksum};
use super::seal::{Binding, Sealer};

/// Most threads: a disk is not faster.
const THREADS_MAX: usize = 4;

/// An extent that is on its way.
pub(super) enum Sealing {
    /// It is sealed.
    Done(SealedExtent),
    /// It comes out here.
    Running(Receiver<SealedExtent>),
}

/// An extent whose stored bytes are sealed, and its checksum.
pub(super) struct SealedExtent {
    pub extent: FilledExtent,
    pub checksum: [u8; 16],
}

struct Job {
    pack: [u8; 16],
    number: u32,
    extent: FilledExtent,
    out: Sender<SealedExtent>,
}

/// The threads; none for a repository that is not encrypted.
pub(super) struct SealPool {
    sealer: Sealer,
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// Seals an extent for its place in a pack.
fn seal(sealer: &Sealer, pack: &[u8; 16], number: u32, extent: FilledExtent) -> SealedExtent {
    let stored = sealer.seal(Binding { kind: "extent", id: pack, position: number }, extent.stored);
    let checksum = checksum(extent.codec, extent.kind, &stored, &extent.chunks, sealer);
    SealedExtent { extent: FilledExtent { stored, ..extent }, checksum }
}

impl SealPool {
    /// Threads for a repository's sealer.
    pub(super) fn start(sealer: &Sealer) -> SealPool {
        let count = if sealer.is_keyed() {
            std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX))
        } else {
            0
        };
        let (jobs, work) = bounded::<Job>(count);
        let threads = (0..count).map(|_| {
            let (work, sealer) = (work.clone(), sealer.clone());
            std::thread::spawn(move || {
                for job in work {
                    // Nobody takes it where the capture failed.
                    crate::tolerate(job.out.send(seal(&sealer, &job.pack, job.number, job.extent)));
                }
            })
        });
        SealPool {
            sealer: sealer.clone(),
            threads: threads.collect(),
            jobs: (count > 0).then_some(jobs),
        }
    }

    /// How many extents may be on their way at once.
    pub(super) fn depth(&self) -> usize {
        self.threads.len() * 2
    }

    /// Sends an extent on its way.
    pub(super) fn seal(&self, pack: [u8; 16], number: u32, extent: FilledExtent) -> Sealing {
        let Some(jobs) = &self.jobs else {
            return Sealing::Done(seal(&self.sealer, &pack, number, extent));
        };
        let (out, sealing) = bounded(1);
        match jobs.send(Job { pack, number, extent, out }) {
            Ok(()) => Sealing::Running(sealing),
            // The threads are gone: it is done here.
            Err(job) => Sealing::Done(seal(&self.sealer, &pack, number, job.0.extent)),
        }
    }
}

impl Sealing {
    /// Waits for it; nothing where the thread that had it died.
    pub(super) fn take(self) -> Option<SealedExtent> {
        match self {
            Sealing::Done(sealed) => Some(sealed),
            Sealing::Running(out) => out.recv().ok(),
        }
    }
}

impl Drop for SealPool {
    fn drop(&mut self) {
        drop(self.jobs.take());
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}
