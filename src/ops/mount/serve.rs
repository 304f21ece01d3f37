//! What the mount has under each number, as one thread finds it out: the paths of snapshots, their
//! entries and attributes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use fuser::FileAttr;

use crate::manifest::{
    Entry, Kind, OWNER_UNKNOWN, SnapshotRecord, Xattrs, children, compare, file_name, is_within,
    parent,
};
use crate::source::Category;
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::file_ranges::Files;
use super::super::select::categories;
use super::attributes::attributes;
use super::by_title::{ByTitle, FLAT, SHELVES, TITLES, Titles, taken_at, top};
use super::inodes::{Inodes, Place, TOP, number_of};
use super::{Damage, MountedSnapshot};

/// Directories whose listings are remembered.
const REMEMBERED: usize = 32;

type Listing = Arc<Vec<Entry>>;

/// What all threads share.
#[derive(Clone, Copy)]
pub(super) struct Mounted<'s, 'r> {
    pub repository: &'r Repository,
    pub index: &'r Index,
    pub snapshots: &'s [MountedSnapshot<'s>],
    pub inodes: &'s Inodes,
    pub damage: &'s Damage,
    pub titles: Option<&'s Titles>,
}

/// Finds out what is asked for.
pub(super) struct Server<'s, 'r> {
    pub(super) files: Files<'r>,
    pub(super) mounted: Mounted<'s, 'r>,
    single: bool,
    listings: Vec<((usize, Vec<u8>), Listing)>,
    /// Mode, owner and group of each snapshot's root, as far as they were asked for.
    doors: HashMap<usize, (u32, u32, u32)>,
}

/// A name in a directory.
pub(super) struct Named {
    pub name: Vec<u8>,
    pub place: Place,
    pub attributes: FileAttr,
}

impl<'s, 'r> Server<'s, 'r> {
    pub(super) fn new(mounted: Mounted<'s, 'r>, single: bool) -> Server<'s, 'r> {
        let files = Files::new(ChunkReader::new(mounted.repository, mounted.index));
        Server { files, mounted, single, listings: Vec::new(), doors: HashMap::new() }
    }

    /// The place of a number, the top of a single snapshot's mount being its root.
    pub(super) fn place(&self, number: u64) -> Option<Place> {
        match self.mounted.inodes.place(number) {
            Some(Place::Top) if self.single => Some(Place::Path { snapshot: 0, path: Vec::new() }),
            place => place,
        }
    }

    fn record(&self, snapshot: usize) -> Option<&'s SnapshotRecord> {
        self.mounted.snapshots.get(snapshot).map(|mounted| &mounted.snapshot.1)
    }

    fn number(&self, snapshot: usize, path: &[u8], entry: Option<&Entry>) -> u64 {
        match self.mounted.snapshots.get(snapshot) {
            Some(_) if path.is_empty() && self.single => TOP,
            Some(mounted) => number_of(&mounted.snapshot.0.0, path, entry),
            None => TOP,
        }
    }

    /// What lies directly in a directory, of all categories, in order.
    fn listing(&mut self, snapshot: usize, path: &[u8]) -> Result<Listing, Error> {
        if let Some((_, listing)) =
            self.listings.iter().find(|((own, known), _)| *own == snapshot && known == path)
        {
            return Ok(listing.clone());
        }
        let listing = Arc::new(if self.has_titles(snapshot) && is_within(path, TITLES) {
            self.titles(snapshot)?.listing(path)
        } else {
            self.stored(snapshot, path)?
        });
        if self.listings.len() >= REMEMBERED {
            self.listings.remove(0);
        }
        self.listings.push(((snapshot, path.to_vec()), listing.clone()));
        Ok(listing)
    }

    /// What of the snapshot lies directly in a directory, and the folder of titles.
    fn stored(&mut self, snapshot: usize, path: &[u8]) -> Result<Vec<Entry>, Error> {
        let mut all = Vec::new();
        if let Some(record) = self.record(snapshot) {
            for (_, root) in categories(record).filter(|(category, _)| may_hold(*category, path)) {
                all.extend(children(&mut self.files.reader, root.manifest, path)?);
            }
            all.extend(
                (path.is_empty() && self.has_titles(snapshot))
                    .then(|| top(taken_at(record.time_ns))),
            );
        }
        all.sort_by(|a, b| compare(&a.path, &b.path));
        Ok(all)
    }

    /// A plain folder has no database that could name anything.
    fn has_titles(&self, snapshot: usize) -> bool {
        self.mounted.titles.is_some()
            && self.record(snapshot).is_some_and(|record| !is_plain(record))
    }

    fn titles(&mut self, snapshot: usize) -> Result<Arc<ByTitle>, Error> {
        let (Some(titles), Some(mounted)) =
            (self.mounted.titles, self.mounted.snapshots.get(snapshot))
        else {
            return Ok(Arc::default());
        };
        titles.of(snapshot, || {
            let mut folders = HashSet::new();
            for shelf in FLAT
                .into_iter()
                .map(|folder| folder.as_bytes().to_vec())
                .chain(self.shelves(snapshot)?)
            {
                folders.extend(self.stored(snapshot, &shelf)?.into_iter().map(|entry| entry.path));
            }
            ByTitle::of(self.mounted.repository, self.mounted.index, mounted.snapshot, &folders)
        })
    }

    /// The folders `metadata/library/3f` and so on.
    fn shelves(&mut self, snapshot: usize) -> Result<Vec<Vec<u8>>, Error> {
        let mut all = Vec::new();
        for (folder, _) in SHELVES {
            all.extend(
                self.stored(snapshot, folder.as_bytes())?
                    .into_iter()
                    .filter(|entry| matches!(entry.kind, Kind::Directory))
                    .map(|entry| entry.path),
            );
        }
        Ok(all)
    }

    /// The entry of a path; nothing for the root, and for what is not there.
    fn find(&mut self, snapshot: usize, path: &[u8]) -> Result<Option<Entry>, Error> {
        let above = parent(path).unwrap_or_default().to_vec();
        let listing = self.listing(snapshot, &above)?;
        let at = listing.binary_search_by(|entry| compare(&entry.path, path)).ok();
        Ok(at.and_then(|at| listing.get(at)).cloned())
    }

    pub(super) fn entry(&mut self, number: u64) -> Result<Option<Entry>, Error> {
        match self.place(number) {
            Some(Place::Path { snapshot, path }) if !path.is_empty() => self.find(snapshot, &path),
            _ => Ok(None),
        }
    }

    pub(super) fn attributes(&mut self, number: u64) -> Result<Option<FileAttr>, Error> {
        match self.place(number) {
            None => Ok(None),
            Some(Place::Path { path, .. }) if !path.is_empty() => {
                Ok(self.entry(number)?.map(|entry| attributes(number, &entry)))
            }
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
            Place::Path { snapshot, .. } => {
                self.record(*snapshot).map_or(0, |record| record.time_ns)
            }
            Place::Top => self
                .mounted
                .snapshots
                .iter()
                .map(|mounted| mounted.snapshot.1.time_ns)
                .max()
                .unwrap_or(0),
        };
        let mtime = taken_at(time_ns);
        let own = Entry {
            path: Vec::new(),
            kind: Kind::Directory,
            mode,
            uid,
            gid,
            mtime,
            xattrs: Xattrs::None,
            link_group: None,
        };
        attributes(number, &own)
    }

    /// Who may enter a snapshot: those who might enter the server's data directory. What lies in it
    /// may be open to all for that reason.
    fn door(&mut self, snapshot: usize) -> (u32, u32, u32) {
        if let Some(known) = self.doors.get(&snapshot) {
            return *known;
        }
        let is_plain = self.record(snapshot).is_some_and(is_plain);
        let found =
            if is_plain { None } else { self.find(snapshot, b"programdata").ok().flatten() };
        let door = match found {
            Some(entry) => (entry.mode, entry.uid, entry.gid),
            None => (if is_plain { 0o755 } else { 0o700 }, OWNER_UNKNOWN, OWNER_UNKNOWN),
        };
        self.doors.insert(snapshot, door);
        door
    }

    pub(super) fn child(&mut self, number: u64, name: &[u8]) -> Result<Option<Named>, Error> {
        match self.place(number) {
            None => Ok(None),
            Some(Place::Top) => {
                let found = self
                    .mounted
                    .snapshots
                    .iter()
                    .position(|mounted| mounted.name.as_bytes() == name);
                Ok(found.map(|snapshot| self.root(snapshot)))
            }
            Some(Place::Path { snapshot, path }) => {
                let path = if path.is_empty() {
                    name.to_vec()
                } else {
                    [&path, b"/".as_slice(), name].concat()
                };
                Ok(self.find(snapshot, &path)?.map(|entry| self.named(snapshot, entry)))
            }
        }
    }

    fn root(&mut self, snapshot: usize) -> Named {
        let place = Place::Path { snapshot, path: Vec::new() };
        let attributes = self.directory(self.number(snapshot, b"", None), &place);
        Named {
            name: self
                .mounted
                .snapshots
                .get(snapshot)
                .map(|mounted| mounted.name.clone().into_bytes())
                .unwrap_or_default(),
            place,
            attributes,
        }
    }

    fn named(&self, snapshot: usize, entry: Entry) -> Named {
        let attributes = attributes(self.number(snapshot, &entry.path, Some(&entry)), &entry);
        Named {
            name: file_name(&entry.path).to_vec(),
            place: Place::Path { snapshot, path: entry.path },
            attributes,
        }
    }

    fn dot(&mut self, name: &[u8], number: u64, place: &Place) -> Named {
        Named {
            name: name.to_vec(),
            place: place.clone(),
            attributes: self.directory(number, place),
        }
    }

    pub(super) fn list(&mut self, number: u64) -> Result<Vec<Named>, Error> {
        let Some(place) = self.place(number) else { return Ok(Vec::new()) };
        let mut all = vec![self.dot(b".", number, &place)];
        match &place {
            Place::Top => {
                all.push(self.dot(b"..", TOP, &place));
                for snapshot in 0..self.mounted.snapshots.len() {
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
}

/// Whether a category can have anything directly in a directory.
fn may_hold(category: Category, path: &[u8]) -> bool {
    let within =
        |folders: &[&[u8]]| folders.iter().any(|folder| crate::manifest::is_within(path, folder));
    if within(&[
        b"metadata",
        b"metadata-default",
        b"config",
        b"root",
        b"data/trickplay",
        b"data/subtitles",
        b"data/attachments",
    ]) {
        // A plain folder's tree is of one category, whatever its names are.
        return matches!(category, Category::Database | Category::Other)
            || Category::of(path) == category;
    }
    true
}

/// Whether it is a snapshot of a folder, not of a server.
fn is_plain(record: &SnapshotRecord) -> bool {
    record.source.directories.contains_key("folder")
}
