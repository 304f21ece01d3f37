//! One thread goes through the list of what is to be done, the others do it, a batch at a time.

use crossbeam_channel::{Sender, bounded};

use crate::manifest::Entry;

use super::super::Error;
use super::RestoreOptions;
use super::writer::Writer;

/// Entries that a writer takes at once …
const BATCH_ENTRIES: usize = 256;
/// … or bytes of them.
const BATCH_BYTES: u64 = 4 << 20;
/// Threads that write, fewest and most: each waits now and then for what the file system has to
/// read of its own tables, and each keeps some 16 MiB of extents.
const WRITERS: (usize, usize) = (6, 10);

/// Where entries are handed in.
pub(super) struct Batches {
    out: Sender<Vec<Entry>>,
    batch: Vec<Entry>,
    bytes: u64,
}

impl Batches {
    /// Takes an entry. False where nobody works any more: a writer that failed tells why when it is
    /// joined.
    pub(super) fn push(&mut self, entry: Entry) -> bool {
        self.bytes += entry.size();
        self.batch.push(entry);
        (self.batch.len() < BATCH_ENTRIES && self.bytes < BATCH_BYTES) || self.hand_out()
    }

    fn hand_out(&mut self) -> bool {
        self.bytes = 0;
        self.out.send(std::mem::take(&mut self.batch)).is_ok()
    }
}

/// Has writers do `work` on each entry that `walk` hands in; the first error of any of them.
pub(super) fn share<'a>(
    options: &RestoreOptions,
    new_writer: impl Fn() -> Writer<'a>,
    work: impl Fn(&mut Writer<'a>, &Entry) -> Result<(), Error> + Sync,
    walk: impl FnOnce(&mut Batches) -> Result<(), Error>,
) -> Result<(), Error> {
    let cores = || std::thread::available_parallelism().map_or(2, Into::into);
    let threads =
        if options.threads > 0 { options.threads } else { cores().clamp(WRITERS.0, WRITERS.1) };
    let (out, taken) = bounded::<Vec<Entry>>(threads * 2);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|_| {
                let (taken, mut writer, work) = (taken.clone(), new_writer(), &work);
                scope.spawn(move || {
                    taken.into_iter().flatten().try_for_each(|entry| work(&mut writer, &entry))
                })
            })
            .collect();
        drop(taken);
        let mut batches = Batches { out, batch: Vec::new(), bytes: 0 };
        let walked = walk(&mut batches);
        if walked.is_ok() {
            // Where nobody takes it, joining tells why.
            batches.hand_out();
        }
        drop(batches);
        let joined = writers
            .into_iter()
            .map(|writer| writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.collect::<Vec<_>>().into_iter().collect::<Result<Vec<()>, Error>>().and(walked)
    })
}
