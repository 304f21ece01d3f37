//! The file-system calls that a local repository needs, and the real ones.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Mark, NO_FOLDER};

/// A file open for appending on some [`Disk`].
pub trait DiskFile: Send {
    /// Appends all of `bytes`.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes the file's bytes durable (not its name).
    fn sync(&mut self) -> io::Result<()>;
}

/// A file that is written in place: the index, as redb wants it.
pub trait RandomFile: Send + Sync + std::fmt::Debug {
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Fills `out` from `offset`.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file, or lengthens it with zeros.
    fn set_size(&self, bytes: u64) -> io::Result<()>;
    /// Makes all bytes durable.
    fn sync(&self) -> io::Result<()>;
}

/// The calls, so that tests can put a disk beneath that crashes. Paths are absolute.
pub trait Disk: Send + Sync {
    /// Creates a file that must not exist, mode 0600.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Reads exactly `len` bytes at `offset`; `UnexpectedEof` where there are fewer.
    fn read(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>>;
    /// The same into a buffer that is used again: a new one costs a page fault for each of its
    /// pages.
    fn read_into(&self, path: &Path, offset: u64, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        *out = self.read(path, offset, len)?;
        Ok(())
    }
    /// The whole of a file that another may have taken the place of: as it is at this moment, and
    /// `FileTooLarge` where it has more than `limit` bytes.
    fn read_now(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        match usize::try_from(self.size(path)?) {
            Ok(len) if len <= limit => self.read(path, 0, len),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        }
    }
    /// Length in bytes.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// Renames within one folder, replacing what is there.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Creates a folder, mode 0700; one that is there is fine.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder's names durable.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Names in a folder: (name, is a folder); none where there is no such folder.
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>>;
    /// What a folder looks like, as [`super::Backend::mark`] tells it.
    fn mark(&self, _path: &Path) -> Option<Mark> {
        None
    }
    /// A file that is written in place, created where it is missing and `create` is set; nothing
    /// where the operating system's own file is meant, which redb opens and locks itself.
    fn random(&self, _path: &Path, _create: bool) -> io::Result<Option<Box<dyn RandomFile>>> {
        Ok(None)
    }
}

/// The operating system's disk.
#[derive(Debug, Default)]
pub struct RealDisk {
    /// Packs that were read last stay open: a restore reads thousands of pieces from each.
    open: std::sync::Mutex<Vec<(PathBuf, std::sync::Arc<File>)>>,
}

const OPEN_FILES_MAX: usize = 32;
/// A folder that changed less than this ago may change again and have the same times: file systems
/// count them in steps of up to two seconds.
const SETTLED: Duration = Duration::from_secs(3);

impl DiskFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

impl RealDisk {
    fn opened(&self, path: &Path) -> io::Result<std::sync::Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(known, _)| known == path) {
            let hit = open.remove(at);
            let file = hit.1.clone();
            open.push(hit);
            return Ok(file);
        }
        let file = std::sync::Arc::new(open_to_read(path)?);
        if open.len() >= OPEN_FILES_MAX {
            open.remove(0);
        }
        open.push((path.to_path_buf(), file.clone()));
        Ok(file)
    }
}

/// Opens a file that somebody else may have made: a pipe in its place does not wait for a writer
/// that never comes.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?))
    }
    fn read(&self, path: &Path, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read_into(path, offset, len, &mut bytes)?;
        Ok(bytes)
    }
    fn read_into(&self, path: &Path, offset: u64, len: usize, out: &mut Vec<u8>) -> io::Result<()> {
        let file = self.opened(path)?;
        // The length is known to lie within the file before a buffer is made for it.
        if len > out.capacity() && offset.saturating_add(len as u64) > file.metadata()?.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if out.capacity() < len {
            *out = vec![0; len];
        }
        out.resize(len, 0);
        file.read_exact_at(out, offset)
    }
    fn read_now(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        // Not one that was opened earlier and stays open.
        let mut bytes = Vec::new();
        open_to_read(path)?.take(limit as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
    }
    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the one rename of the project, called by backend::durable alone"
    )]
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)?;
        // What is open under that name is another file now.
        if let Ok(mut open) = self.open.lock() {
            open.retain(|(known, _)| known != to);
        }
        Ok(())
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        if let Ok(mut open) = self.open.lock() {
            open.retain(|(known, _)| known != path);
        }
        std::fs::remove_file(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
    }
    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(String, bool)>> {
        let listing = match std::fs::read_dir(path) {
            Ok(listing) => listing,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        let mut names = Vec::new();
        for entry in listing {
            let entry = entry?;
            let is_dir = entry.file_type()?.is_dir();
            if let Ok(name) = entry.file_name().into_string() {
                names.push((name, is_dir));
            }
        }
        Ok(names)
    }
    fn mark(&self, path: &Path) -> Option<Mark> {
        let folder = match std::fs::metadata(path) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Some(Mark { looks: NO_FOLDER, is_settled: true });
            }
            // Whoever lists the folder is told.
            Err(_) => return None,
        };
        let facts = [
            folder.ino().to_le_bytes(),
            folder.ctime().to_le_bytes(),
            folder.ctime_nsec().to_le_bytes(),
            folder.mtime().to_le_bytes(),
        ];
        let mut looks = NO_FOLDER;
        looks.copy_from_slice(&facts.concat());
        // The time of the last change, which no program can set back.
        let changed = Duration::new(
            u64::try_from(folder.ctime()).ok()?,
            u32::try_from(folder.ctime_nsec()).ok()?,
        );
        let age = SystemTime::now().duration_since(UNIX_EPOCH.checked_add(changed)?);
        // One that lies in the future tells nothing of when the next change will be.
        Some(Mark { looks, is_settled: age.is_ok_and(|age| age >= SETTLED) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_large_enough_is_read_into_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        RealDisk::default().create(&path).unwrap().append(b"0123456789").unwrap();
        let mut out = vec![7; 100];
        let place = out.as_ptr();
        for (offset, len, found) in [(2, 3, &b"234"[..]), (0, 10, b"0123456789"), (9, 1, b"9")] {
            // One that was emptied, too.
            out.clear();
            RealDisk::default().read_into(&path, offset, len, &mut out).unwrap();
            assert_eq!((&out[..], out.as_ptr()), (found, place));
        }
        let beyond = RealDisk::default().read_into(&path, 5, 6, &mut out).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
    }
}
