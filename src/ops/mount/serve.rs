//! One thread's answers to the kernel's questions.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{Errno, FileAttr, FileType, Generation, INodeNo, ReplyXattr};

use crate::manifest::{Entry, Kind, OWNER_UNKNOWN, SnapshotRecord, Time, XattrPairs, Xattrs, children, compare, decode_xattrs, display, file_name, parent};
use crate::source::Category;
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::select::categories;
use super::files::Files;
use super::inodes::{Inodes, Place, TOP, number_of};
use super::requests::Question;
use super::{Damage, MountedSnapshot};

/// How long the kernel may believe what it was told: snapshots never change.
const FOREVER: Duration = Duration::from_secs(24 * 3600);
/// Directories whose listings are remembered.
const REMEMBERED: usize = 32;

type Listing = Arc<Vec<Entry>>;

/// Answers.
pub(super) struct Server<'s, 'r> {
    files: Files<'r>,
    snapshots: &'s [MountedSnapshot<'s>],
    inodes: &'s Inodes,
    damage: &'s Damage,
    single: bool,
    listings: Vec<((usize, Vec<u8>), Listing)>,
    /// Mode, owner and group of each snapshot's root, as far as they were asked for.
    doors: HashMap<usize, (u32, u32, u32)>,
}

/// A name in a directory.
struct Named {
    name: Vec<u8>,
    place: Place,
    attributes: FileAttr,
}

impl<'s, 'r> Server<'s, 'r> {
    pub(super) fn new(
        repository: &'r Repository,
        index: &'r Index,
        snapshots: &'s [MountedSnapshot<'s>],
        inodes: &'s Inodes,
        damage: &'s Damage,
        single: bool,
    ) -> Server<'s, 'r> {
        Server { files: Files::new(ChunkReader::new(repository, index)), snapshots, inodes, damage, single, listings: Vec::new(), doors: HashMap::new() }
    }

    pub(super) fn answer(&mut self, question: Question) {
        match question {
            Question::Lookup { parent, name, reply } => match self.child(parent, &name) {
                Ok(Some(found)) => {
                    self.inodes.tell(found.attributes.ino.0, found.place);
                    reply.entry(&FOREVER, &found.attributes, Generation(0));
                }
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(self.errno(parent, &error)),
            },
            Question::Attributes { number, reply } => match self.attributes(number) {
                Ok(Some(attributes)) => reply.attr(&FOREVER, &attributes),
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Link { number, reply } => match self.entry(number) {
                Ok(Some(Entry { kind: Kind::Symlink { target }, .. })) => reply.data(&target),
                Ok(_) => reply.error(Errno::EINVAL),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Read { number, offset, bytes, reply } => match self.read(number, offset, bytes as usize) {
                Ok(Some(bytes)) => reply.data(&bytes),
                Ok(None) => reply.error(Errno::ENOENT),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::List { number, offset, mut reply } => match self.list(number) {
                Ok(all) => {
                    for (at, named) in all.iter().enumerate().skip(offset as usize) {
                        if reply.add(named.attributes.ino, at as u64 + 1, named.attributes.kind, OsStr::from_bytes(&named.name)) {
                            break;
                        }
                    }
                    reply.ok();
                }
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::ListWithAttributes { number, offset, mut reply } => match self.list(number) {
                Ok(all) => {
                    for (at, named) in all.into_iter().enumerate().skip(offset as usize) {
                        let is_dot = named.name == b"." || named.name == b"..";
                        if reply.add(named.attributes.ino, at as u64 + 1, OsStr::from_bytes(&named.name), &FOREVER, &named.attributes, Generation(0)) {
                            break;
                        }
                        // The kernel counts those that it is told of, but for the dots.
                        if !is_dot {
                            self.inodes.tell(named.attributes.ino.0, named.place);
                        }
                    }
                    reply.ok();
                }
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Xattr { number, name, bytes, reply } => match self.xattrs(number) {
                Ok(pairs) => match pairs.into_iter().find(|(own, _)| *own == name) {
                    Some((_, value)) => sized(reply, bytes, &value),
                    None => reply.error(Errno::NO_XATTR),
                },
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Xattrs { number, bytes, reply } => match self.xattrs(number) {
                Ok(pairs) => sized(reply, bytes, &pairs.iter().flat_map(|(name, _)| name.iter().copied().chain([0])).collect::<Vec<u8>>()),
                Err(error) => reply.error(self.errno(number, &error)),
            },
            Question::Forget { number, lookups } => self.inodes.forget(number, lookups),
        }
    }

    /// Damage is an I/O error for whoever reads, never other bytes; and it is told when the mount ends.
    fn errno(&self, number: u64, error: &Error) -> Errno {
        let path = match self.place(number) {
            Some(Place::Path { snapshot, path }) => {
                let id = self.snapshots.get(snapshot).map(|mounted| super::super::ls::short(&mounted.snapshot.0)).unwrap_or_default();
                format!("{id}:{}", display(&path))
            }
            _ => "the mount".to_owned(),
        };
        self.damage.note(path, error);
        Errno::EIO
    }

    /// The place of a number, the top of a single snapshot's mount being its root.
    fn place(&self, number: u64) -> Option<Place> {
        match self.inodes.place(number) {
            Some(Place::Top) if self.single => Some(Place::Path { snapshot: 0, path: Vec::new() }),
            place => place,
        }
    }

    fn record(&self, snapshot: usize) -> Option<&'s SnapshotRecord> {
        self.snapshots.get(snapshot).map(|mounted| &mounted.snapshot.1)
    }

    fn number(&self, snapshot: usize, path: &[u8], entry: Option<&Entry>) -> u64 {
        match self.snapshots.get(snapshot) {
            Some(_) if path.is_empty() && self.single => TOP,
            Some(mounted) => number_of(&mounted.snapshot.0.0, path, entry),
            None => TOP,
        }
    }

    /// What lies directly in a directory, of all categories, in order.
    fn listing(&mut self, snapshot: usize, path: &[u8]) -> Result<Listing, Error> {
        if let Some((_, listing)) = self.listings.iter().find(|((own, known), _)| *own == snapshot && known == path) {
            return Ok(listing.clone());
        }
        let mut all = Vec::new();
        if let Some(record) = self.record(snapshot) {
            for (_, root) in categories(record).filter(|(category, _)| may_hold(*category, path)) {
                all.extend(children(&mut self.files.reader, root.manifest, path)?);
            }
        }
        all.sort_by(|a, b| compare(&a.path, &b.path));
        let listing = Arc::new(all);
        if self.listings.len() >= REMEMBERED {
            self.listings.remove(0);
        }
        self.listings.push(((snapshot, path.to_vec()), listing.clone()));
        Ok(listing)
    }

    /// The entry of a path; nothing for the root, and for what is not there.
    fn find(&mut self, snapshot: usize, path: &[u8]) -> Result<Option<Entry>, Error> {
        let above = parent(path).unwrap_or_default().to_vec();
        let listing = self.listing(snapshot, &above)?;
        let at = listing.binary_search_by(|entry| compare(&entry.path, path)).ok();
        Ok(at.and_then(|at| listing.get(at)).cloned())
    }

    fn entry(&mut self, number: u64) -> Result<Option<Entry>, Error> {
        match self.place(number) {
            Some(Place::Path { snapshot, path }) if !path.is_empty() => self.find(snapshot, &path),
            _ => Ok(None),
        }
    }

    fn attributes(&mut self, number: u64) -> Result<Option<FileAttr>, Error> {
        match self.place(number) {
            None => Ok(None),
            Some(Place::Path { path, .. }) if !path.is_empty() => Ok(self.entry(number)?.map(|entry| attributes(number, &entry))),
            Some(place) => Ok(Some(self.directory(number, &place))),
        }
    }

    /// The attributes of the top and of snapshots' roots, which no manifest knows.
    fn directory(&mut self, number: u64, place: &Place) -> FileAttr {
        let (mode, uid, gid) = match place {
            Place::Path { snapshot, .. } => self.door(*snapshot),
            Place::Top if self.single => self.door(0),
            Place::Top => (0o755, OWNER_UNKNOWN, OWNER_UNKNOWN),
        };
        let time_ns = match place {
            Place::Path { snapshot, .. } => self.record(*snapshot).map_or(0, |record| record.time_ns),
            Place::Top => self.snapshots.iter().map(|mounted| mounted.snapshot.1.time_ns).max().unwrap_or(0),
        };
        let mtime = Time { seconds: time_ns.div_euclid(1_000_000_000), nanos: time_ns.rem_euclid(1_000_000_000) as u32 };
        let own = Entry { path: Vec::new(), kind: Kind::Directory, mode, uid, gid, mtime, xattrs: Xattrs::None, link_group: None };
        attributes(number, &own)
    }

    /// Who may enter a snapshot: those who might enter the server's data directory. What lies in it may be open to all for that reason.
    fn door(&mut self, snapshot: usize) -> (u32, u32, u32) {
        if let Some(known) = self.doors.get(&snapshot) {
            return *known;
        }
        let is_plain = self.record(snapshot).is_some_and(|record| record.source.directories.contains_key("folder"));
        let found = if is_plain { None } else { self.find(snapshot, b"programdata").ok().flatten() };
        let door = match found {
            Some(entry) => (entry.mode, entry.uid, entry.gid),
            None => (if is_plain { 0o755 } else { 0o700 }, OWNER_UNKNOWN, OWNER_UNKNOWN),
        };
        self.doors.insert(snapshot, door);
        door
    }

    fn child(&mut self, number: u64, name: &[u8]) -> Result<Option<Named>, Error> {
        match self.place(number) {
            None => Ok(None),
            Some(Place::Top) => {
                let found = self.snapshots.iter().position(|mounted| mounted.name.as_bytes() == name);
                Ok(found.map(|snapshot| self.root(snapshot)))
            }
            Some(Place::Path { snapshot, path }) => {
                let path = if path.is_empty() { name.to_vec() } else { [&path, b"/".as_slice(), name].concat() };
                Ok(self.find(snapshot, &path)?.map(|entry| self.named(snapshot, entry)))
            }
        }
    }

    fn root(&mut self, snapshot: usize) -> Named {
        let place = Place::Path { snapshot, path: Vec::new() };
        let attributes = self.directory(self.number(snapshot, b"", None), &place);
        Named { name: self.snapshots.get(snapshot).map(|mounted| mounted.name.clone().into_bytes()).unwrap_or_default(), place, attributes }
    }

    fn named(&self, snapshot: usize, entry: Entry) -> Named {
        let attributes = attributes(self.number(snapshot, &entry.path, Some(&entry)), &entry);
        Named { name: file_name(&entry.path).to_vec(), place: Place::Path { snapshot, path: entry.path }, attributes }
    }

    fn dot(&mut self, name: &[u8], number: u64, place: &Place) -> Named {
        Named { name: name.to_vec(), place: place.clone(), attributes: self.directory(number, place) }
    }

    fn list(&mut self, number: u64) -> Result<Vec<Named>, Error> {
        let Some(place) = self.place(number) else { return Ok(Vec::new()) };
        let mut all = vec![self.dot(b".", number, &place)];
        match &place {
            Place::Top => {
                all.push(self.dot(b"..", TOP, &place));
                for snapshot in 0..self.snapshots.len() {
                    all.push(self.root(snapshot));
                }
            }
            Place::Path { snapshot, path } => {
                let (above, is_root) = (parent(path).unwrap_or_default().to_vec(), path.is_empty());
                let up = if is_root { TOP } else { self.number(*snapshot, &above, None) };
                all.push(self.dot(b"..", up, &Place::Path { snapshot: *snapshot, path: above }));
                let listing = self.listing(*snapshot, path)?;
                all.extend(listing.iter().map(|entry| self.named(*snapshot, entry.clone())));
            }
        }
        Ok(all)
    }

    fn read(&mut self, number: u64, offset: u64, bytes: usize) -> Result<Option<Vec<u8>>, Error> {
        match self.entry(number)? {
            Some(entry) => self.files.read(&entry, offset, bytes).map(Some),
            None => Ok(None),
        }
    }

    fn xattrs(&mut self, number: u64) -> Result<XattrPairs, Error> {
        match self.entry(number)?.map(|entry| entry.xattrs) {
            None | Some(Xattrs::None) => Ok(Vec::new()),
            Some(Xattrs::Inline(pairs)) => Ok(pairs),
            Some(Xattrs::Chunk(id)) => {
                let bytes = self.files.reader.read(&id)?;
                Ok(decode_xattrs(&bytes).map_err(|_| crate::manifest::Error::Node { id, what: "a set of attributes cannot be read" })?)
            }
        }
    }
}

/// Whether a category can have anything directly in a directory.
fn may_hold(category: Category, path: &[u8]) -> bool {
    let within = |folders: &[&[u8]]| folders.iter().any(|folder| crate::manifest::is_within(path, folder));
    if within(&[b"metadata", b"metadata-default", b"config", b"root", b"data/trickplay", b"data/subtitles", b"data/attachments"]) {
        // A plain folder's tree is of one category, whatever its names are.
        return matches!(category, Category::Database | Category::Other) || Category::of(path) == category;
    }
    true
}

fn attributes(number: u64, entry: &Entry) -> FileAttr {
    let time = system_time(entry.mtime);
    let (kind, size) = match &entry.kind {
        Kind::File { size, .. } => (FileType::RegularFile, *size),
        Kind::Directory => (FileType::Directory, 0),
        Kind::Symlink { target } => (FileType::Symlink, target.len() as u64),
    };
    let own = |id: u32, own: u32| if id == OWNER_UNKNOWN { own } else { id };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: entry.mode as u16 & 0o7777,
        // How many names a file has in all is not known; that it has several is.
        nlink: if entry.link_group.is_some() || kind == FileType::Directory { 2 } else { 1 },
        uid: own(entry.uid, rustix::process::geteuid().as_raw()),
        gid: own(entry.gid, rustix::process::getegid().as_raw()),
        rdev: 0,
        blksize: 128 << 10,
        flags: 0,
    }
}

fn system_time(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 { UNIX_EPOCH.checked_sub(seconds) } else { UNIX_EPOCH.checked_add(seconds) };
    whole.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(u64::from(time.nanos))
}

/// A value, or its length where that is asked for.
fn sized(reply: ReplyXattr, bytes: u32, value: &[u8]) {
    if bytes == 0 {
        reply.size(value.len() as u32);
    } else if value.len() <= bytes as usize {
        reply.data(value);
    } else {
        reply.error(Errno::ERANGE);
    }
}
