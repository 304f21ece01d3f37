//! Names groups of cells and hashes pages on a thread of its own: of all that is done for a
//! database, hashing takes longest.

use std::thread::Scope;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::chunk::{Hashing, PageHash};
use crate::store::GroupHashing;

/// Bytes that are named at once.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that are under way at most.
const UNDER_WAY: usize = 2;

/// Some pages and some groups, one behind another.
#[derive(Default)]
pub(in crate::ops) struct Batch {
    pages: Vec<u8>,
    /// Which page each is.
    numbers: Vec<u32>,
    pub groups: Vec<u8>,
    pub lens: Vec<u32>,
    /// Of groups that are known, which of the base's each is; their bytes are not here.
    pub known: Vec<Option<u32>>,
    /// Names of the groups, once they are known.
    pub names: Vec<PageHash>,
    /// (page, its hash), once they are known.
    pub hashes: Vec<(u32, PageHash)>,
}

/// Sends batches away and takes them back in the same order.
pub(in crate::ops) struct Namer {
    to: Option<Sender<Batch>>,
    from: Receiver<Batch>,
    open: Batch,
    under_way: usize,
}

impl Namer {
    /// Starts the thread, which ends with this.
    pub(in crate::ops) fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        names: GroupHashing,
        hashing: Hashing,
        page_bytes: usize,
    ) -> Namer {
        let (to, work) = bounded::<Batch>(UNDER_WAY);
        let (done, from) = bounded(UNDER_WAY);
        scope.spawn(move || {
            for mut batch in work {
                batch.hashes.extend(
                    batch
                        .numbers
                        .drain(..)
                        .zip(batch.pages.chunks_exact(page_bytes).map(|page| hashing.page(page))),
                );
                batch.pages.clear();
                let mut rest = batch.groups.as_slice();
                for (len, known) in batch.lens.iter().zip(&batch.known) {
                    let len = if known.is_some() { 0 } else { *len as usize };
                    let (group, behind) = rest.split_at(rest.len().min(len));
                    batch.names.push(if known.is_some() {
                        Default::default()
                    } else {
                        names.hash(group)
                    });
                    rest = behind;
                }
                if done.send(batch).is_err() {
                    return;
                }
            }
        });
        Namer { to: Some(to), from, open: Batch::default(), under_way: 0 }
    }

    /// Takes a page.
    pub(in crate::ops) fn page(&mut self, number: u32, bytes: &[u8]) {
        self.open.numbers.push(number);
        self.open.pages.extend_from_slice(bytes);
    }

    /// Takes a cell, or a part of one.
    pub(in crate::ops) fn cell(&mut self, bytes: &[u8]) {
        self.open.groups.extend_from_slice(bytes);
    }

    /// Ends a group of so many bytes.
    pub(in crate::ops) fn end(&mut self, len: usize) {
        self.open.lens.push(len as u32);
        self.open.known.push(None);
    }

    /// The next group is one of the base's; the last `open` bytes, which began it, are forgotten.
    pub(in crate::ops) fn known(&mut self, group: usize, len: u32, open: usize) {
        let left = self.open.groups.len().saturating_sub(open);
        self.open.groups.truncate(left);
        self.open.lens.push(len);
        self.open.known.push(Some(group as u32));
    }

    /// Sends a full batch away; gives one that came back, if it is time for that. To be called when
    /// a group ends.
    pub(in crate::ops) fn turn(&mut self) -> Option<Batch> {
        if self.open.groups.len() + self.open.pages.len() < BATCH_BYTES {
            return None;
        }
        let back = if self.under_way == UNDER_WAY { self.back() } else { None };
        let batch = std::mem::take(&mut self.open);
        self.send(batch);
        back
    }

    /// The same of pages alone, at any time: many may be read before a group ends.
    pub(in crate::ops) fn turn_pages(&mut self) -> Option<Batch> {
        if self.open.pages.len() < BATCH_BYTES {
            return None;
        }
        let back = if self.under_way == UNDER_WAY { self.back() } else { None };
        let (pages, numbers) =
            (std::mem::take(&mut self.open.pages), std::mem::take(&mut self.open.numbers));
        self.send(Batch { pages, numbers, ..Batch::default() });
        back
    }

    /// The next batch to come back; nothing where all are.
    pub(in crate::ops) fn last(&mut self) -> Option<Batch> {
        if !self.open.lens.is_empty() || !self.open.numbers.is_empty() {
            if self.under_way == UNDER_WAY {
                return self.back();
            }
            let batch = std::mem::take(&mut self.open);
            self.send(batch);
        }
        self.to = None;
        self.back()
    }

    /// Gives the next batch the room of one that is done with.
    pub(in crate::ops) fn reuse(&mut self, mut batch: Batch) {
        if self.open.groups.is_empty() && self.open.pages.is_empty() {
            batch.groups.clear();
            batch.lens.clear();
            batch.known.clear();
            batch.names.clear();
            batch.hashes.clear();
            self.open = batch;
        }
    }

    /// Fails only if the thread panicked: then hashes are missing, nothing is recorded, and the end
    /// of the scope raises the panic.
    fn send(&mut self, batch: Batch) {
        if let Some(to) = &self.to
            && to.send(batch).is_ok()
        {
            self.under_way += 1;
        }
    }

    fn back(&mut self) -> Option<Batch> {
        let batch = self.from.recv().ok()?;
        self.under_way -= 1;
        Some(batch)
    }
}
