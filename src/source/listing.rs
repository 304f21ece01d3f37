//! What does one directory hold? Its names with their stats, sorted.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::chunk::Hashing;
use crate::limits::PATH_TAKEN_BYTES_MAX;
use crate::manifest::file_name;

use super::beneath::open_dir;
use super::rules::{PASSING_MARKERS, Rules};
use super::scan_root::ScanRoot;
use super::stat::{Fingerprint, Stat};

/// A root with its open directory and what the file system says of it.
pub(super) type OpenRoot = (ScanRoot, OwnedFd, Stat);

/// What a directory with such a marker is called.
pub const PASSING: &str = "cache, log or transcoding directory";

/// Nobody has begun to list it.
const WAITING: u8 = 0;
/// Somebody has.
const TAKEN: u8 = 1;
/// Its listing is there.
pub(super) const DONE: u8 = 2;

/// Directories that are kept open for those in them, at most: a process may have a thousand open
/// files, or fewer.
const KEPT_OPEN_MAX: usize = 128;

/// A directory that stays open until those in it are listed: opened from here, a name is looked up
/// once, not its whole path.
pub(super) struct KeptOpen {
    fd: OwnedFd,
    count: Arc<AtomicUsize>,
}

impl KeptOpen {
    fn new(fd: OwnedFd, count: &Arc<AtomicUsize>) -> Option<Arc<KeptOpen>> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let kept = KeptOpen { fd, count: count.clone() };
        (before < KEPT_OPEN_MAX).then(|| Arc::new(kept))
    }
}

impl Drop for KeptOpen {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A directory to list, and its listing once somebody did.
pub(super) struct Slot {
    pub state: AtomicU8,
    pub root: usize,
    pub below: Vec<u8>,
    /// The directory that it is in, where that is still open.
    above: Mutex<Option<Arc<KeptOpen>>>,
    pub listing: Mutex<Option<Listing>>,
}

/// What a directory holds.
#[derive(Default)]
pub(super) struct Listing {
    pub names: Vec<u8>,
    pub items: Vec<Item>,
    pub skipped: Vec<(Vec<u8>, &'static str)>,
    /// Directories on other file systems.
    pub elsewhere: Vec<Vec<u8>>,
    pub failed: Vec<(Vec<u8>, &'static str, Errno)>,
}

/// One name in a directory.
pub(super) struct Item {
    pub name: (u32, u16),
    pub stat: Stat,
    pub key: [u8; 16],
    pub fingerprint: Fingerprint,
    is_entered: bool,
    pub folder: Option<Arc<Slot>>,
}

impl Slot {
    pub(super) fn new(root: usize, below: Vec<u8>, above: Option<Arc<KeptOpen>>) -> Arc<Slot> {
        Arc::new(Slot {
            state: AtomicU8::new(WAITING),
            root,
            below,
            above: Mutex::new(above),
            listing: Mutex::default(),
        })
    }

    /// Opens the directory; a symbolic link that took its place is an error.
    fn open(&self, root: &OwnedFd) -> Result<OwnedFd, Errno> {
        let above = self.above.lock().unwrap_or_else(PoisonError::into_inner).take();
        match above {
            Some(above) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&above.fd, file_name(&self.below), flags, Mode::empty())
            }
            None => open_dir(root, &self.below),
        }
    }

    /// Whether the caller is the one to list it.
    pub(super) fn claim(&self) -> bool {
        self.state.compare_exchange(WAITING, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    pub(super) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }
}

/// What the names of a directory are judged by.
struct Around<'a> {
    roots: &'a [OpenRoot],
    rules: &'a Rules,
    hashing: &'a Hashing,
    /// The file system of the directory's root.
    dev: u64,
}

/// Lists one directory, sorted by name. Nothing is followed, nothing is left out without a word but
/// what the rules name.
pub(super) fn list(
    roots: &[OpenRoot],
    rules: &Rules,
    hashing: &Hashing,
    kept_open: &Arc<AtomicUsize>,
    slot: &Slot,
    buffer: &mut Vec<u8>,
) -> Listing {
    let mut listing = Listing::default();
    let Some((root, root_fd, root_stat)) = roots.get(slot.root) else { return listing };
    let dir = match slot.open(root_fd) {
        Ok(dir) => dir,
        // Gone since it was seen: then it holds nothing.
        Err(Errno::NOENT) if !slot.below.is_empty() => return listing,
        Err(error) => {
            listing.failed.push((Vec::new(), "open the directory", error));
            return listing;
        }
    };
    let around = Around { roots, rules, hashing, dev: root_stat.dev };
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
        listing.take(&around, &path, bytes, stat);
    }
    let names = &listing.names;
    listing.items.sort_unstable_by(|a, b| name_of(names, a.name).cmp(name_of(names, b.name)));
    // Never a root itself: a marker that went astray must not empty a capture.
    if rules.is_instance
        && !slot.below.is_empty()
        && listing.items.iter().any(|item| PASSING_MARKERS.contains(&name_of(names, item.name)))
    {
        return Listing { skipped: vec![(Vec::new(), PASSING)], ..Listing::default() };
    }
    if listing.items.iter().any(|item| item.is_entered) {
        listing.enter_folders(slot, &KeptOpen::new(dir, kept_open));
    }
    listing
}

impl Listing {
    /// Takes one name, with the logical path that it makes, unless the rules leave it out.
    fn take(&mut self, around: &Around<'_>, path: &[u8], name: &[u8], stat: Stat) {
        let Around { roots, rules, hashing, dev } = *around;
        if path.len() > PATH_TAKEN_BYTES_MAX {
            let what = "take its path, which is too long,";
            self.failed.push((name.to_vec(), what, Errno::NAMETOOLONG));
            return;
        }
        let linked = if stat.is_symlink() {
            roots.iter().position(|(root, ..)| root.logical == path)
        } else {
            None
        };
        let stat =
            linked.and_then(|number| roots.get(number)).map_or(stat, |(.., of_folder)| *of_folder);
        let is_left_out = if linked.is_some() {
            rules.leaves_out_linked(path)
        } else {
            rules.leaves_out(path, &stat)
        };
        if is_left_out {
            return;
        }
        if let Some(what) = stat.special() {
            self.skipped.push((name.to_vec(), what));
            return;
        }
        let key = hashing.path_key(path);
        let at = (self.names.len() as u32, name.len() as u16);
        self.names.extend_from_slice(name);
        // A link to another disk is followed because the user wants what is there.
        let elsewhere = rules.one_file_system && stat.dev != dev && linked.is_none();
        if stat.is_dir() && elsewhere {
            self.elsewhere.push(name.to_vec());
        }
        self.items.push(Item {
            name: at,
            stat,
            key,
            fingerprint: stat.fingerprint(&key),
            is_entered: stat.is_dir() && !elsewhere,
            folder: linked.map(|number| Slot::new(number, Vec::new(), None)),
        });
    }

    /// Gives each folder that is entered its slot.
    fn enter_folders(&mut self, slot: &Slot, above: &Option<Arc<KeptOpen>>) {
        for item in self.items.iter_mut().filter(|item| item.is_entered && item.folder.is_none()) {
            let mut below = slot.below.clone();
            join(&mut below, name_of(&self.names, item.name));
            item.folder = Some(Slot::new(slot.root, below, above.clone()));
        }
    }
}

pub(super) fn name_of(names: &[u8], (start, len): (u32, u16)) -> &[u8] {
    names.get(start as usize..start as usize + usize::from(len)).unwrap_or_default()
}

pub(super) fn join(path: &mut Vec<u8>, name: &[u8]) {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
}
