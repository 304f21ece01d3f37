//! What is on the disk, in order? A parallel walk whose results come out sorted, each directory before its contents.
//!
//! Workers list directories ahead of the one who consumes them, nearest first, and stop while too much waits. The consumer
//! lists a directory itself where no worker has begun it, so it never waits for work that nobody does.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rustix::fs::RawDir;
use rustix::io::Errno;

use crate::chunk::Hashing;
use crate::progress::Interrupt;

use super::beneath::open_dir;
use super::rules::{PASSING_MARKERS, Rules};
use super::stat::{Fingerprint, Stat};

/// A directory to scan.
#[derive(Clone, Debug)]
pub struct ScanRoot {
    /// Its logical path; empty for a plain folder, whose own metadata is not recorded.
    pub logical: Vec<u8>,
    /// Where it is.
    pub dir: PathBuf,
}

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
    /// Something that is left out though nobody asked for it: sockets, pipes, devices, passing directories.
    Skipped {
        /// Logical path.
        path: &'a [u8],
        /// What it is.
        what: &'static str,
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
const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const DONE: u8 = 2;
const BUFFER_BYTES: usize = 32 << 10;
/// Directories that a worker takes from the queue at once.
const BATCH: usize = 8;

struct Slot {
    state: AtomicU8,
    root: usize,
    below: Vec<u8>,
    listing: Mutex<Option<Listing>>,
}

#[derive(Default)]
struct Listing {
    names: Vec<u8>,
    items: Vec<Item>,
    skipped: Vec<(Vec<u8>, &'static str)>,
    failed: Vec<(Vec<u8>, &'static str, Errno)>,
}

struct Item {
    name: (u32, u16),
    stat: Stat,
    key: [u8; 16],
    fingerprint: Fingerprint,
    folder: Option<Arc<Slot>>,
}

struct Shared<'s> {
    roots: &'s [(ScanRoot, OwnedFd, Stat)],
    rules: &'s Rules,
    hashing: &'s Hashing,
    queue: Mutex<Queue>,
    work: Condvar,
    done: Condvar,
    ahead: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    /// Directories to list, the next in order last.
    stack: Vec<Arc<Slot>>,
    stop: bool,
    /// Workers that wait for work, and whether the consumer waits for a listing: nobody else is woken, each waking is a system call.
    idle: usize,
    consumer_waits: bool,
}

/// Walks the roots, which must be sorted by logical path, and hands everything found to `each`, in order.
pub fn scan<E>(
    roots: &[ScanRoot],
    rules: &Rules,
    hashing: &Hashing,
    threads: usize,
    interrupt: &Interrupt,
    mut each: impl FnMut(Event<'_>) -> Result<(), E>,
) -> Result<(), ScanError<E>> {
    let opened: Vec<_> = roots.iter().map(open_root).collect::<Result<_, _>>()?;
    let shared = Shared { roots: &opened, rules, hashing, queue: Mutex::default(), work: Condvar::new(), done: Condvar::new(), ahead: AtomicUsize::new(0) };
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&shared);
        for _ in 0..threads.max(1) {
            scope.spawn(|| shared.list_ahead());
        }
        (0..opened.len()).try_for_each(|root| shared.walk_root(root, interrupt, &mut each))
    })
}

fn open_root<E>(root: &ScanRoot) -> Result<(ScanRoot, OwnedFd, Stat), ScanError<E>> {
    use rustix::fs::{CWD, Mode, OFlags};
    let failed = |error: Errno| ScanError::Root { path: root.dir.clone(), error: error.into() };
    let fd = rustix::fs::openat(CWD, &root.dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
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

    fn walk_root<E>(&self, root: usize, interrupt: &Interrupt, each: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), ScanError<E>> {
        let Some((scan_root, _, stat)) = self.roots.get(root) else { return Ok(()) };
        if !scan_root.logical.is_empty() {
            let key = self.hashing.path_key(&scan_root.logical);
            let fingerprint = stat.fingerprint(&key);
            each(Event::Found(Found { root, path: &scan_root.logical, below: b"", stat, key: &key, fingerprint }))?;
        }
        let slot = Arc::new(Slot { state: AtomicU8::new(WAITING), root, below: Vec::new(), listing: Mutex::default() });
        let mut path = scan_root.logical.clone();
        let prefix = path.len();
        // (listing, next item, length of the directory's path)
        let mut stack = vec![(self.obtain(&slot), 0, prefix)];
        while let Some((listing, next, dir_len)) = stack.last_mut() {
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
            let below = path.get(if prefix == 0 { 0 } else { prefix + 1 }..).unwrap_or_default();
            each(Event::Found(Found { root, path: &path, below, stat: &item.stat, key: &item.key, fingerprint: item.fingerprint }))?;
            if let Some(folder) = item.folder.take() {
                let listing = self.obtain(&folder);
                let len = path.len();
                stack.push((listing, 0, len));
            }
        }
        Ok(())
    }

    /// The listing of a directory: done already, being done, or done here and now.
    fn obtain(&self, slot: &Arc<Slot>) -> Listing {
        if slot.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            let mut buffer = Vec::with_capacity(BUFFER_BYTES);
            let listing = self.list(slot, &mut buffer);
            self.enqueue(&listing);
            return listing;
        }
        let mut queue = self.queue();
        while slot.state.load(Ordering::Acquire) != DONE {
            queue.consumer_waits = true;
            queue = self.done.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        queue.consumer_waits = false;
        drop(queue);
        let listing = slot.listing.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
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
                while !queue.stop && (queue.stack.is_empty() || self.ahead.load(Ordering::Acquire) >= AHEAD_MAX) {
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
                if slot.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_err() {
                    continue;
                }
                let listing = self.list(&slot, &mut buffer);
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
        }
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

    fn list(&self, slot: &Slot, buffer: &mut Vec<u8>) -> Listing {
        let mut listing = Listing::default();
        let Some((root, root_fd, root_stat)) = self.roots.get(slot.root) else { return listing };
        let dir = match open_dir(root_fd, &slot.below) {
            Ok(dir) => dir,
            // Gone since it was seen: then it holds nothing.
            Err(Errno::NOENT) if !slot.below.is_empty() => return listing,
            Err(error) => {
                listing.failed.push((Vec::new(), "open the directory", error));
                return listing;
            }
        };
        let mut path = root.logical.clone();
        join(&mut path, &slot.below);
        let dir_len = path.len();
        buffer.clear();
        let mut entries = RawDir::new(&dir, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    listing.failed.push((Vec::new(), "list the directory", error));
                    break;
                }
            };
            let name = entry.file_name();
            let bytes = name.to_bytes();
            if bytes == b"." || bytes == b".." {
                continue;
            }
            let stat = match Stat::at(&dir, name) {
                Ok(stat) => stat,
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    listing.failed.push((bytes.to_vec(), "look at it", error));
                    continue;
                }
            };
            path.truncate(dir_len);
            join(&mut path, bytes);
            if self.rules.leaves_out(&path, &stat) {
                continue;
            }
            if let Some(what) = stat.special() {
                listing.skipped.push((bytes.to_vec(), what));
                continue;
            }
            let key = self.hashing.path_key(&path);
            let name = (listing.names.len() as u32, bytes.len() as u16);
            listing.names.extend_from_slice(bytes);
            let elsewhere = self.rules.one_file_system && stat.dev != root_stat.dev;
            if stat.is_dir() && elsewhere {
                listing.skipped.push((bytes.to_vec(), "another file system (only the directory itself is kept)"));
            }
            let folder = (stat.is_dir() && !elsewhere).then(|| {
                let mut below = slot.below.clone();
                join(&mut below, bytes);
                Arc::new(Slot { state: AtomicU8::new(WAITING), root: slot.root, below, listing: Mutex::default() })
            });
            listing.items.push(Item { name, stat, key, fingerprint: stat.fingerprint(&key), folder });
        }
        let names = &listing.names;
        listing.items.sort_unstable_by(|a, b| name_of(names, a.name).cmp(name_of(names, b.name)));
        // Never a root itself: a marker that went astray must not empty a capture.
        if self.rules.is_instance && !slot.below.is_empty() && listing.items.iter().any(|item| PASSING_MARKERS.contains(&name_of(names, item.name))) {
            return Listing { skipped: vec![(Vec::new(), "cache, log or transcoding directory")], ..Listing::default() };
        }
        listing
    }
}

fn report_oddities<E>(listing: &mut Listing, path: &mut Vec<u8>, each: &mut impl FnMut(Event<'_>) -> Result<(), E>) -> Result<(), E> {
    let dir_len = path.len();
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

fn name_of(names: &[u8], (start, len): (u32, u16)) -> &[u8] {
    names.get(start as usize..start as usize + usize::from(len)).unwrap_or_default()
}

fn join(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}

/// The (device, inode) of each path that is there: what a scan must not enter.
pub fn closed_dirs<'a>(paths: impl IntoIterator<Item = &'a std::path::Path>) -> HashSet<(u64, u64)> {
    paths.into_iter().filter_map(|path| Stat::of_path(path).ok()).map(|stat| (stat.dev, stat.ino)).collect()
}

/// A path below a root as the operating system's.
pub fn os_path(root: &std::path::Path, below: &[u8]) -> PathBuf {
    if below.is_empty() { root.to_path_buf() } else { root.join(OsStr::from_bytes(below)) }
}
