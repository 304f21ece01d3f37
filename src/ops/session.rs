//! An open repository with its index, for a program that asks it many things: a service, a web
//! page, a tool of one's own.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::manifest::{
    Catalog, Entry, Kind, RecordCache, SnapshotId, SnapshotRecord, children, compare, display,
};
use crate::source::Category;
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::file_ranges::Files;
use super::ls::short;
use super::select::{categories, lookup};

/// A snapshot: its id and what is known of it.
pub type Snapshot = (SnapshotId, SnapshotRecord);

/// A repository that stays open. It can be shared by threads; each reads by itself.
///
/// A snapshot that it gave can be read with all that it needs; [`Session::snapshots`] and
/// [`Session::snapshot`] see what other processes did since. As long as it is open no other process
/// prunes the repository, so a program that waits for a long time should close it.
///
/// ```no_run
/// use std::io::Read;
/// use jellyvault::Session;
///
/// let session = Session::open(std::path::Path::new("/mnt/backup/jellyvault"))?;
/// let snapshot = session.snapshot("latest")?;
/// let listed = session.list(&snapshot, b"config", None, 100)?;
/// let bytes: u64 = listed.entries.iter().map(|found| found.entry.size()).sum();
/// let mut settings = String::new();
/// session.read(&snapshot, b"config/system.xml")?.read_to_string(&mut settings)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session {
    pub(super) repository: Repository,
    records: Option<Arc<RecordCache>>,
}

/// An entry of a snapshot, and the category that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotEntry {
    /// Its category.
    pub category: Category,
    /// What it is.
    pub entry: Entry,
}

/// Some of what lies in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// In the order of their paths.
    pub entries: Vec<SnapshotEntry>,
    /// Where the next part begins: to be given as `after`. Nothing where this was the last.
    pub next: Option<Vec<u8>>,
}

impl Session {
    /// Opens the repository in a folder.
    ///
    /// # Errors
    /// [`Error::Store`] where there is none, or it cannot be read; its [`Error::kind`] says which.
    pub fn open(folder: &Path) -> Result<Session, Error> {
        Ok(Session::on(Repository::open(folder)?))
    }

    /// Makes a repository in a folder that is empty or not there, with recovery blocks beside each
    /// pack in thousandths of its size, and opens it.
    ///
    /// # Errors
    /// [`Error::Store`] where something is there already, or the folder cannot be written to.
    pub fn init(folder: &Path, parity_permille: u32) -> Result<Session, Error> {
        Ok(Session::on(super::init(folder, parity_permille)?))
    }

    /// With a repository that is open.
    pub fn on(repository: Repository) -> Session {
        Session { repository, records: None }
    }

    /// With records that sessions before it on the same repository have read.
    #[must_use]
    pub fn remembering(self, records: Arc<RecordCache>) -> Session {
        Session { records: Some(records), ..self }
    }

    /// The repository.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The list of snapshots, as it is now.
    ///
    /// # Errors
    /// [`Error::Manifest`] where it cannot be read. Records that are damaged are named in it.
    pub fn catalog(&self) -> Result<Catalog, Error> {
        Ok(Catalog::load_with(&self.repository, self.records.as_deref())?)
    }

    /// All snapshots whose records can be read, oldest first.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the list cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Snapshot>, Error> {
        Ok(self.catalog()?.snapshots)
    }

    /// The snapshot of a name: `latest`, `latest~2`, a label, an id or the beginning of one.
    ///
    /// # Errors
    /// [`Error::Name`] where none or several are called so.
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, Error> {
        let catalog = Catalog::load_named(&self.repository, &[name])?;
        Ok(catalog.resolve(name, &jiff::tz::TimeZone::system())?.clone())
    }

    /// The entry of a path; nothing where the snapshot has none.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the snapshot's lists are damaged or cannot be read.
    pub fn entry(&self, snapshot: &Snapshot, path: &[u8]) -> Result<Option<SnapshotEntry>, Error> {
        let found = lookup(&mut self.reader()?, &snapshot.1, path)?;
        Ok(found.map(|found| SnapshotEntry { category: found.category, entry: found.entry }))
    }

    /// What lies directly in a folder (`""` is the root), at most `limit` entries of it, from
    /// behind `after` on.
    ///
    /// # Errors
    /// [`Error::Manifest`] where the snapshot's lists are damaged or cannot be read.
    pub fn list(
        &self,
        snapshot: &Snapshot,
        folder: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Listed, Error> {
        let mut reader = self.reader()?;
        let mut entries = Vec::new();
        for (category, root) in categories(&snapshot.1) {
            let found = children(&mut reader, root.manifest, folder)?;
            entries.extend(found.into_iter().map(|entry| SnapshotEntry { category, entry }));
        }
        if let Some(after) = after {
            entries.retain(|found| compare(&found.entry.path, after).is_gt());
        }
        entries.sort_by(|a, b| compare(&a.entry.path, &b.entry.path));
        let is_cut = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| is_cut).map(|last| last.entry.path.clone());
        Ok(Listed { entries, next })
    }

    /// A file of a snapshot, to be read from anywhere; every byte is proved before it is handed
    /// out.
    ///
    /// # Errors
    /// [`Error::NoPath`] where the snapshot has no such path, [`Error::NotAFile`] where it is no
    /// file.
    pub fn read(&self, snapshot: &Snapshot, path: &[u8]) -> Result<FileReader<'_>, Error> {
        let found = lookup(&mut self.reader()?, &snapshot.1, path)?
            .ok_or_else(|| Error::NoPath { snapshot: short(&snapshot.0), path: display(path) })?;
        match &found.entry.kind {
            Kind::File { .. } => {
                Ok(FileReader { files: Files::new(self.reader()?), at: 0, entry: found.entry })
            }
            Kind::Directory => Err(Error::NotAFile { path: display(path), kind: "directory" }),
            Kind::Symlink { .. } => {
                Err(Error::NotAFile { path: display(path), kind: "symbolic link" })
            }
        }
    }

    fn reader(&self) -> Result<ChunkReader<'_>, Error> {
        Ok(ChunkReader::of(&self.repository)?)
    }
}

/// A file of a snapshot. Damage is an error of kind [`std::io::ErrorKind::InvalidData`], whose
/// source is the [`Error`].
pub struct FileReader<'s> {
    files: Files<'s>,
    entry: Entry,
    at: u64,
}

/// Most bytes that one call of [`Read::read`] gives.
const READ_BYTES_MAX: usize = 1 << 20;

impl FileReader<'_> {
    /// What is known of the file.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.files.read(&self.entry, self.at, out.len().min(READ_BYTES_MAX)).map_err(
            |error| {
                let kind = if error.kind() == super::ErrorKind::Damaged {
                    std::io::ErrorKind::InvalidData
                } else {
                    std::io::ErrorKind::Other
                };
                std::io::Error::new(kind, error)
            },
        )?;
        if let Some(out) = out.get_mut(..bytes.len()) {
            out.copy_from_slice(&bytes);
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for FileReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.entry.size().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
