//! How does a file become durable? In one way: temporary name in the same folder, write, fsync,
//! rename, fsync the folder.
//!
//! Nothing else in the project renames a file of a repository.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskFile, RealDisk};

/// Beginning of every temporary name; listings leave such names out, and they are swept when a
/// repository is opened to write.
pub(super) const TEMP_PREFIX: &str = ".tmp-";

/// A temporary name that no other process gives.
pub(crate) fn temp_name() -> io::Result<String> {
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
    Ok(format!("{TEMP_PREFIX}{}-{:016x}", std::process::id(), u64::from_le_bytes(nonce)))
}

/// A file under its temporary name.
pub(super) struct Draft {
    file: Box<dyn DiskFile>,
    temp: PathBuf,
    target: PathBuf,
}

impl Draft {
    /// Begins a file that will stand at `target`; creates its folder where it is missing.
    pub(super) fn begin(disk: &dyn Disk, target: &Path) -> io::Result<Draft> {
        let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let temp = folder.join(temp_name()?);
        let file = match disk.create(&temp) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // The new folder's own name must survive a power cut as well, and so must the names
                // of those above it that are new.
                let mut new = Vec::new();
                let mut above = folder.parent();
                while let Some(parent) = above {
                    new.push(parent);
                    above = if disk.list(parent)?.is_empty() { parent.parent() } else { None };
                }
                disk.create_dir(folder)?;
                new.into_iter().try_for_each(|parent| disk.sync_dir(parent))?;
                disk.create(&temp)?
            }
            other => other?,
        };
        Ok(Draft { file, temp, target: target.to_path_buf() })
    }

    /// Appends all of `bytes`.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    /// Makes the bytes durable, then the name.
    pub(super) fn finish(mut self, disk: &dyn Disk) -> io::Result<()> {
        self.file.sync()?;
        disk.rename(&self.temp, &self.target)?;
        disk.sync_dir(self.target.parent().ok_or(io::ErrorKind::InvalidInput)?)
    }

    /// Removes the temporary file; the error that led here matters more than one of this removal.
    pub(super) fn abandon(self, disk: &dyn Disk) {
        drop(self.file);
        if disk.remove(&self.temp).is_err() {
            // Swept at the next opening.
        }
    }
}

/// A local cache file that replaces the one before it. Not made durable: a cache carries its own
/// checksums, and one that a power cut spoilt is found out and made anew.
pub struct CacheFile {
    disk: Arc<dyn Disk>,
    draft: Option<Draft>,
}

impl CacheFile {
    /// Begins the file that will stand at `path` on the operating system's disk.
    pub fn begin(path: &Path) -> io::Result<CacheFile> {
        CacheFile::begin_on(Arc::new(RealDisk::default()), path)
    }

    /// Begins the file that will stand at `path` on any disk.
    pub fn begin_on(disk: Arc<dyn Disk>, path: &Path) -> io::Result<CacheFile> {
        let draft = Draft::begin(&*disk, path)?;
        Ok(CacheFile { disk, draft: Some(draft) })
    }

    /// Appends all of `bytes`.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.draft.as_mut().ok_or(io::ErrorKind::InvalidInput)?.append(bytes)
    }

    /// Puts the file in place.
    pub fn finish(mut self) -> io::Result<()> {
        let draft = self.draft.take().ok_or(io::ErrorKind::InvalidInput)?;
        self.disk.rename(&draft.temp, &draft.target)
    }
}

impl Drop for CacheFile {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            draft.abandon(&*self.disk);
        }
    }
}
