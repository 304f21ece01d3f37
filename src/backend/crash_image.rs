//! A disk at one moment, as [`super::CrashDisk`] thinks of it: what is live, what is durable, and
//! what a crash may leave.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a crash leaves of that which was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survival {
    /// Nothing.
    Nothing,
    /// All of it.
    All,
    /// All names, no bytes: what a file system without ordered data does.
    NamesOnly,
    /// A random part, sector by sector and name by name; the same for the same seed.
    Some(u64),
}

const SECTOR_BYTES: usize = 512;

/// A call that changed the disk.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Create(PathBuf),
    Write { content: usize, offset: usize, bytes: Arc<[u8]> },
    Resize { content: usize, bytes: usize },
    Sync { content: usize },
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    Folder(PathBuf),
    SyncFolder(PathBuf),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bytes {
    pub live: Vec<u8>,
    durable: Vec<u8>,
    /// What was done since the last sync, in order.
    unsynced: Vec<Change>,
}

/// A name's target: a file's contents by number, or a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    File(usize),
    Folder,
}

/// A disk at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    /// Contents by number; names point at them.
    pub contents: Vec<Bytes>,
    pub live: BTreeMap<PathBuf, Target>,
    durable: BTreeMap<PathBuf, Target>,
}

/// A small generator: the same numbers for the same seed.
struct Coin(u64);

impl Coin {
    fn flip(&mut self) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 63 == 1
    }
}

impl Image {
    pub(super) fn after_crash(&self, survival: Survival) -> Image {
        let mut coin = Coin(if let Survival::Some(seed) = survival {
            seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
        } else {
            1
        });
        let mut keeps = |is_name: bool| match survival {
            Survival::Nothing => false,
            Survival::All => true,
            Survival::NamesOnly => is_name,
            Survival::Some(_) => coin.flip(),
        };
        let mut names = BTreeMap::new();
        let all: BTreeSet<&PathBuf> = self.durable.keys().chain(self.live.keys()).collect();
        for name in all {
            let (durable, live) = (self.durable.get(name), self.live.get(name));
            let target = if durable == live || !keeps(true) { durable } else { live };
            // What lies in a folder that is gone is gone.
            let has_folder = name
                .parent()
                .is_none_or(|folder| folder.parent().is_none() || names.contains_key(folder));
            if let Some(target) = target.filter(|_| has_folder) {
                names.insert(name.clone(), *target);
            }
        }
        let mut after = Image::default();
        for (name, target) in names {
            let target = match target {
                Target::Folder => Target::Folder,
                Target::File(number) => {
                    // Names are only ever given to contents that are there.
                    let bytes = self
                        .contents
                        .get(number)
                        .map(|content| content.surviving(&mut keeps))
                        .unwrap_or_default();
                    after.contents.push(Bytes {
                        live: bytes.clone(),
                        durable: bytes,
                        unsynced: Vec::new(),
                    });
                    Target::File(after.contents.len() - 1)
                }
            };
            after.live.insert(name.clone(), target);
            after.durable.insert(name, target);
        }
        after
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        match self.live.get(path) {
            Some(Target::File(number)) => Ok(*number),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Puts bytes under a name, durable; nothing takes the file away.
    pub(super) fn put(&mut self, path: &Path, bytes: Option<Vec<u8>>) {
        self.live.remove(path);
        self.durable.remove(path);
        if let Some(bytes) = bytes {
            self.contents.push(Bytes { live: bytes.clone(), durable: bytes, unsynced: Vec::new() });
            let target = Target::File(self.contents.len() - 1);
            self.live.insert(path.to_path_buf(), target);
            self.durable.insert(path.to_path_buf(), target);
        }
    }

    fn content(&mut self, number: usize) -> io::Result<&mut Bytes> {
        self.contents.get_mut(number).ok_or(io::ErrorKind::NotFound.into())
    }

    pub(super) fn apply(&mut self, change: &Change) -> io::Result<()> {
        match change {
            Change::Create(path) => {
                if !path
                    .parent()
                    .is_some_and(|folder| self.live.get(folder) == Some(&Target::Folder))
                {
                    return Err(io::ErrorKind::NotFound.into());
                }
                if self.live.contains_key(path) {
                    return Err(io::ErrorKind::AlreadyExists.into());
                }
                self.contents.push(Bytes::default());
                self.live.insert(path.clone(), Target::File(self.contents.len() - 1));
            }
            Change::Write { content, .. } | Change::Resize { content, .. } => {
                let content = self.content(*content)?;
                overwrite(&mut content.live, change, &mut |_| true);
                content.unsynced.push(change.clone());
            }
            Change::Sync { content } => {
                let content = self.content(*content)?;
                content.durable.clone_from(&content.live);
                content.unsynced.clear();
            }
            Change::Rename(from, to) => {
                let target = self.live.remove(from).ok_or(io::ErrorKind::NotFound)?;
                self.live.insert(to.clone(), target);
            }
            Change::Remove(path) => {
                self.file(path)?;
                self.live.remove(path);
            }
            Change::Folder(path) => {
                for folder in path.ancestors() {
                    self.live.entry(folder.to_path_buf()).or_insert(Target::Folder);
                }
            }
            Change::SyncFolder(path) => {
                let inside = |name: &PathBuf| name.parent() == Some(path.as_path());
                let live: Vec<_> = self
                    .live
                    .iter()
                    .filter(|(name, _)| inside(name))
                    .map(|(name, target)| (name.clone(), *target))
                    .collect();
                self.durable.retain(|name, _| !inside(name));
                self.durable.extend(live);
            }
        }
        Ok(())
    }
}

impl Bytes {
    fn surviving(&self, keeps: &mut impl FnMut(bool) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            overwrite(&mut bytes, change, &mut |_| keeps(false));
        }
        bytes
    }
}

/// Does to bytes what a change does, for the sectors that `keeps` wants.
fn overwrite(target: &mut Vec<u8>, change: &Change, keeps: &mut impl FnMut(usize) -> bool) {
    match change {
        Change::Resize { bytes, .. } if keeps(0) => target.resize(*bytes, 0),
        Change::Write { offset, bytes, .. } => {
            let mut at = *offset;
            let mut rest: &[u8] = bytes;
            while !rest.is_empty() {
                let (sector, behind) =
                    rest.split_at(rest.len().min(SECTOR_BYTES - at % SECTOR_BYTES));
                if keeps(at) {
                    target.resize(target.len().max(at + sector.len()), 0);
                    if let Some(slot) = target.get_mut(at..at + sector.len()) {
                        slot.copy_from_slice(sector);
                    }
                }
                at += sector.len();
                rest = behind;
            }
        }
        _ => {}
    }
}
