//! What is on the disk, in order? A parallel walk whose results come out sorted, each directory
//! before its contents.
//!
//! Workers list directories ahead of the one who consumes them, nearest first, and stop while too
//! much waits. The consumer lists a directory itself where no worker has begun it, and lists the
//! next ones while a worker is still at the one it needs: it never waits while there is work.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::chunk::Hashing;
use crate::progress::Interrupt;

use super::listing::{DONE, Listing, OpenRoot, Slot, join, list, name_of};
use super::rules::Rules;
use super::scan_root::ScanRoot;
use super::stat::{Fingerprint, Stat};

/// One path that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Number of its root.
    pub root: usize,
    /// Logical path.
    pub path: &'a [u8],
    /// Path below the root; empty for the root itself.
    pub below: &'a [u8],
    /// What the file system says of it.
    pub stat: &'a Stat,
    /// Hash of the path.
    pub key: &'a [u8; 16],
    /// Fingerprint of the stat.
    pub fingerprint: Fingerprint,
}

/// What a scan tells.
#[derive(Debug)]
pub enum Event<'a> {
    /// A file, directory or symbolic link.
    Found(Found<'a>),
    /// Something that is left out though nobody asked for it: sockets, pipes, devices, passing
    /// directories.
    Skipped {
        /// Logical path.
        path: &'a [u8],
        /// What it is.
        what: &'static str,
    },
    /// A directory on another file system, which is not entered.
    Elsewhere {
        /// Logical path.
        path: &'a [u8],
    },
    /// Something that could not be looked at.
    Failed {
        /// Logical path.
        path: &'a [u8],
        /// What was tried.
        verb: &'static str,
        /// Why not.
        error: Errno,
    },
}

/// The walk was stopped.
#[derive(Debug, thiserror::Error)]
pub enum ScanError<E> {
    /// By Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// A root cannot be opened.
    #[error("cannot open {path}")]
    Root {
        /// The root.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// By the consumer.
    #[error(transparent)]
    Consumer(#[from] E),
}

/// Entries that may wait for the consumer: some 15 MiB.
const AHEAD_MAX: usize = 32 << 10;
const BUFFER_BYTES: usize = 32 << 10;
/// Directories that a worker takes from the queue at once.
const BATCH: usize = 8;

struct Shared<'s> {
    roots: &'s [OpenRoot],
    rules: &'s Rules,
    hashing: &'s Hashing,
    queue: Mutex<Queue>,
    work: Condvar,
    done: Condvar,
    ahead: AtomicUsize,
    kept_open: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Queue {
    /// Directories to list, the next in order last.
    stack: Vec<Arc<Slot>>,
    stop: bool,
    /// Workers that wait for work, and whether the consumer waits for a listing: nobody else is
    /// woken, each waking is a system call.
    idle: usize,
    consumer_waits: bool,
}

/// Walks the roots, which must be sorted by logical path, and hands everything found to `each`, in
/// order.
pub fn scan<E>(
    roots: &[ScanRoot],
    rules: &Rules,
    hashing: &Hashing,
    threads: usize,
    interrupt: &Interrupt,
    mut each: impl FnMut(Event<'_>) -> Result<(), E>,
) -> Result<(), ScanError<E>> {
    let opened: Vec<_> = roots.iter().map(open_root).collect::<Result<_, _>>()?;
    let (queue, work, done) = Default::default();
    let shared = Shared {
        roots: &opened,
        rules,
        hashing,
        queue,
        work,
        done,
        ahead: AtomicUsize::new(0),
        kept_open: Arc::default(),
    };
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&shared);
        // The consumer is one of them.
        for _ in 1..threads.max(2) {
            scope.spawn(|| shared.list_ahead());
        }
        let is_top = |root: &usize| {
            shared.roots.get(*root).is_some_and(|(root, ..)| !root.logical.contains(&b'/'))
        };
        (0..opened.len())
            .filter(is_top)
            .try_for_each(|root| shared.walk_root(root, interrupt, &mut each))
    })
}

fn open_root<E>(root: &ScanRoot) -> Result<OpenRoot, ScanError<E>> {
    let failed = |error: Errno| ScanError::Root { path: root.dir.clone(), error: error.into() };
    let fd = root.open(OFlags::RDONLY).map_err(failed)?;
    let stat = Stat::of(&fd).map_err(failed)?;
    Ok((root.clone(), fd, stat))
}

struct StopOnDrop<'a, 's>(&'a Shared<'s>);

impl Drop for StopOnDrop<'_, '_> {
    fn drop(&mut self) {
        self.0.queue().stop = true;
        self.0.work.notify_all();
    }
}

impl Shared<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn walk_root<E>(
        &self,
        root: usize,
        interrupt: &Interrupt,
        each: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), ScanError<E>> {
        let Some((scan_root, _, stat)) = self.roots.get(root) else { return Ok(()) };
        if !scan_root.logical.is_empty() {
            let key = self.hashing.path_key(&scan_root.logical);
            let fingerprint = stat.fingerprint(&key);
            each(Event::Found(Found {
                root,
                path: &scan_root.logical,
                below: b"",
                stat,
                key: &key,
                fingerprint,
            }))?;
        }
        let slot = Slot::new(root, Vec::new(), None);
        let mut path = scan_root.logical.clone();
        let prefix = path.len();
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        // (listing, next item, length of the directory's path, number and length of its root)
        let mut stack = vec![(self.obtain(&slot, &mut buffer), 0, prefix, (root, prefix))];
        while let Some((listing, next, dir_len, (root, prefix))) = stack.last_mut() {
            if interrupt.is_raised() {
                return Err(ScanError::Interrupted);
            }
            path.truncate(*dir_len);
            if *next == 0 {
                report_oddities(listing, &mut path, each)?;
            }
            let Some(item) = listing.items.get_mut(*next) else {
                stack.pop();
                continue;
            };
            *next += 1;
            let name = name_of(&listing.names, item.name);
            join(&mut path, name);
            // A linked folder begins a root of its own.
            let within = match &item.folder {
                Some(folder) if folder.root != *root => (folder.root, path.len()),
                _ => (*root, *prefix),
            };
            let below =
                path.get(if within.1 == 0 { 0 } else { within.1 + 1 }..).unwrap_or_default();
            each(Event::Found(Found {
                root: within.0,
                path: &path,
                below,
                stat: &item.stat,
                key: &item.key,
                fingerprint: item.fingerprint,
            }))?;
            if let Some(folder) = item.folder.take() {
                let listing = self.obtain(&folder, &mut buffer);
                let len = path.len();
                stack.push((listing, 0, len, within));
            }
        }
        Ok(())
    }

    /// The listing of a directory: done already, done here and now, or being done; then others are
    /// listed meanwhile.
    fn obtain(&self, slot: &Arc<Slot>, buffer: &mut Vec<u8>) -> Listing {
        if slot.claim() {
            let listing = self.list(slot, buffer);
            self.enqueue(&listing);
            return listing;
        }
        while !slot.is_done() {
            let mut queue = self.queue();
            let next = if self.ahead.load(Ordering::Acquire) < AHEAD_MAX {
                queue.stack.pop()
            } else {
                None
            };
            if let Some(next) = next {
                drop(queue);
                self.list_into(&next, buffer);
                continue;
            }
            while !slot.is_done() {
                queue.consumer_waits = true;
                queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.consumer_waits = false;
        }
        let listing =
            slot.listing.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let before = self.ahead.fetch_sub(listing.items.len() + 1, Ordering::AcqRel);
        if before >= AHEAD_MAX && before - (listing.items.len() + 1) < AHEAD_MAX {
            drop(self.queue());
            self.work.notify_all();
        }
        listing
    }

    /// A worker: lists directories from the queue until the walk ends.
    fn list_ahead(&self) {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            {
                let mut queue = self.queue();
                while !queue.stop
                    && (queue.stack.is_empty() || self.ahead.load(Ordering::Acquire) >= AHEAD_MAX)
                {
                    queue.idle += 1;
                    queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    queue.idle -= 1;
                }
                if queue.stop {
                    return;
                }
                let keep = queue.stack.len().saturating_sub(BATCH);
                batch.extend(queue.stack.drain(keep..).rev());
            }
            for slot in batch.drain(..) {
                self.list_into(&slot, &mut buffer);
            }
        }
    }

    /// Lists a directory for whoever will want it, unless somebody has begun.
    fn list_into(&self, slot: &Slot, buffer: &mut Vec<u8>) {
        if !slot.claim() {
            return;
        }
        let listing = self.list(slot, buffer);
        self.ahead.fetch_add(listing.items.len() + 1, Ordering::AcqRel);
        self.enqueue(&listing);
        *slot.listing.lock().unwrap_or_else(PoisonError::into_inner) = Some(listing);
        let queue = self.queue();
        slot.state.store(DONE, Ordering::Release);
        let wake = queue.consumer_waits;
        drop(queue);
        if wake {
            self.done.notify_one();
        }
    }

    fn list(&self, slot: &Slot, buffer: &mut Vec<u8>) -> Listing {
        list(self.roots, self.rules, self.hashing, &self.kept_open, slot, buffer)
    }

    fn enqueue(&self, listing: &Listing) {
        let folders = listing.items.iter().rev().filter_map(|item| item.folder.clone());
        let mut folders = folders.peekable();
        if folders.peek().is_some() {
            let mut queue = self.queue();
            queue.stack.extend(folders);
            let wake = queue.idle > 0;
            drop(queue);
            if wake {
                self.work.notify_all();
            }
        }
    }
}

fn report_oddities<E>(
    listing: &mut Listing,
    path: &mut Vec<u8>,
    each: &mut impl FnMut(Event<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let dir_len = path.len();
    for name in std::mem::take(&mut listing.elsewhere) {
        join(path, &name);
        each(Event::Elsewhere { path })?;
        path.truncate(dir_len);
    }
    for (name, what) in std::mem::take(&mut listing.skipped) {
        join(path, &name);
        each(Event::Skipped { path, what })?;
        path.truncate(dir_len);
    }
    for (name, verb, error) in std::mem::take(&mut listing.failed) {
        join(path, &name);
        each(Event::Failed { path, verb, error })?;
        path.truncate(dir_len);
    }
    Ok(())
}

/// The (device, inode) of each path that is there: what a scan must not enter.
pub fn closed_dirs<'a>(
    paths: impl IntoIterator<Item = &'a std::path::Path>,
) -> HashSet<(u64, u64)> {
    paths
        .into_iter()
        .filter_map(|path| Stat::of_path(path).ok())
        .map(|stat| (stat.dev, stat.ino))
        .collect()
}

/// A path below a root as the operating system's.
pub fn os_path(root: &std::path::Path, below: &[u8]) -> PathBuf {
    if below.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(below)) }
}
