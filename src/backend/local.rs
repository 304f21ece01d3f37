//! A repository in a folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Disk, RealDisk};
use super::durable::{Draft, TEMP_PREFIX};
use super::{Backend, Error, Listed, NewFile, Span};

/// The five verbs over a folder of some [`Disk`].
pub struct LocalBackend {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Folders with removals that are not durable yet.
    removed_in: Mutex<Vec<PathBuf>>,
}

impl LocalBackend {
    /// A backend over `root` on the operating system's disk.
    pub fn new(root: &Path) -> LocalBackend {
        LocalBackend::on(Arc::new(RealDisk::default()), root)
    }

    /// A backend over `root` on any disk.
    pub fn on(disk: Arc<dyn Disk>, root: &Path) -> LocalBackend {
        LocalBackend { disk, root: root.to_path_buf(), removed_in: Mutex::new(Vec::new()) }
    }

    /// Removes the temporary files that a killed process left. Only while no other process writes: the caller holds the
    /// repository's lock exclusively.
    pub fn sweep(&self) -> Result<(), Error> {
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for (name, is_dir, _) in self.disk.list(&folder).map_err(|e| io_error("list", &folder.to_string_lossy(), e))? {
                let path = folder.join(&name);
                if is_dir {
                    folders.push(path);
                } else if name.starts_with(TEMP_PREFIX) {
                    self.disk.remove(&path).map_err(|e| io_error("remove", &path.to_string_lossy(), e))?;
                }
            }
        }
        Ok(())
    }

    fn walk(&self, folder: &Path, name: &str, prefix: &str, found: &mut Vec<Listed>) -> Result<(), Error> {
        for (child, is_dir, size_bytes) in self.disk.list(folder).map_err(|e| io_error("list", name, e))? {
            let full = if name.is_empty() { child.clone() } else { format!("{name}/{child}") };
            if is_dir {
                if full.starts_with(prefix) || prefix.starts_with(&full) {
                    self.walk(&folder.join(&child), &full, prefix, found)?;
                }
            } else if full.starts_with(prefix) && !child.starts_with(TEMP_PREFIX) {
                found.push(Listed { name: full, size_bytes });
            }
        }
        Ok(())
    }
}

fn io_error(verb: &'static str, name: &str, source: io::Error) -> Error {
    Error::Io { verb, name: name.to_owned(), source }
}

struct LocalFile {
    disk: Arc<dyn Disk>,
    draft: Option<Draft>,
    name: String,
}

impl NewFile for LocalFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let Some(draft) = &mut self.draft else { return Err(io_error("write", &self.name, io::ErrorKind::InvalidInput.into())) };
        draft.append(bytes).map_err(|e| io_error("write", &self.name, e))
    }
    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        let Some(draft) = self.draft.take() else { return Err(io_error("write", &self.name, io::ErrorKind::InvalidInput.into())) };
        draft.finish(&*self.disk).map_err(|e| io_error("make durable", &self.name, e))
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            draft.abandon(&*self.disk);
        }
    }
}

impl Backend for LocalBackend {
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, Error> {
        let path = self.root.join(name);
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => Error::Missing { name: name.to_owned() },
            _ => io_error("read", name, e),
        };
        let (offset, len) = match span {
            Span::At { offset, len } => (offset, len),
            Span::Tail { len } => {
                let size = self.disk.size(&path).map_err(failed)?;
                let len = size.min(len as u64);
                (size - len, usize::try_from(len).map_err(io::Error::other).map_err(failed)?)
            }
            Span::Whole { limit } => {
                let size = self.disk.size(&path).map_err(failed)?;
                match usize::try_from(size) {
                    Ok(len) if len <= limit => (0, len),
                    _ => return Err(Error::TooLarge { name: name.to_owned(), size, limit }),
                }
            }
        };
        self.disk.read(&path, offset, len).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::Short { name: name.to_owned(), offset, end: offset.saturating_add(len as u64) },
            _ => failed(e),
        })
    }

    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, Error> {
        let draft = Draft::begin(&*self.disk, &self.root.join(name)).map_err(|e| io_error("create", name, e))?;
        Ok(Box::new(LocalFile { disk: self.disk.clone(), draft: Some(draft), name: name.to_owned() }))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error> {
        let mut found = Vec::new();
        self.walk(&self.root, "", prefix, &mut found)?;
        found.sort_unstable();
        Ok(found)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        self.disk.remove(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Error::Missing { name: name.to_owned() },
            _ => io_error("remove", name, e),
        })?;
        if let Some(folder) = path.parent() {
            self.removed_in.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_path_buf());
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), Error> {
        let mut folders = std::mem::take(&mut *self.removed_in.lock().unwrap_or_else(PoisonError::into_inner));
        folders.sort_unstable();
        folders.dedup();
        for folder in folders {
            self.disk.sync_dir(&folder).map_err(|e| io_error("make durable", &folder.to_string_lossy(), e))?;
        }
        Ok(())
    }
}
