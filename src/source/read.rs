//! The bytes of one file, and whether it held still while they were read.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::chunk::sqlite_page_bytes;

use super::beneath::open_file;
use super::stat::Stat;

/// A file open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: File,
    /// Its stat before the first byte was read.
    pub before: Stat,
}

impl OpenFile {
    /// Opens a file below a root that a scan saw with this stat, without asking for it again:
    /// [`OpenFile::held_still`] tells whether it was and stayed what the scan saw.
    pub fn open_seen(root: impl AsFd, below: &[u8], seen: &Stat) -> Result<OpenFile, Errno> {
        Ok(OpenFile { file: File::from(open_file(root, below)?), before: *seen })
    }

    /// Opens a file below a root; what is no regular file any more is `EINVAL`.
    pub fn open(root: impl AsFd, below: &[u8]) -> Result<OpenFile, Errno> {
        OpenFile::from_fd(open_file(root, below)?)
    }

    fn from_fd(fd: OwnedFd) -> Result<OpenFile, Errno> {
        let before = Stat::of(&fd)?;
        if before.is_file() {
            Ok(OpenFile { file: File::from(fd), before })
        } else {
            Err(Errno::INVAL)
        }
    }

    /// Opens a private file by its path.
    pub fn open_path(path: &std::path::Path) -> Result<OpenFile, Errno> {
        use rustix::fs::{CWD, Mode, OFlags};
        OpenFile::from_fd(rustix::fs::openat(
            CWD,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    }

    /// The page size in bytes where this is a SQLite database of whole pages.
    pub fn page_bytes(&self) -> std::io::Result<Option<u32>> {
        let size = self.before.size;
        // Every page size is a multiple of 512: most other files need not be looked at.
        if size == 0 || !size.is_multiple_of(512) {
            return Ok(None);
        }
        let mut head = [0; 100];
        match self.file.read_exact_at(&mut head, 0) {
            Ok(()) => {
                Ok(sqlite_page_bytes(&head).filter(|bytes| size.is_multiple_of(u64::from(*bytes))))
            }
            // Cut short meanwhile; whoever reads it finds out.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether nothing about the file moved since it was opened.
    pub fn held_still(&self) -> Result<bool, Errno> {
        Ok(Stat::of(&self.file)?.same_content(&self.before))
    }

    /// Where the file has data, if it has holes; nothing where it has none.
    pub fn data_ranges(&self) -> Option<Vec<Range<u64>>> {
        let size = self.before.size;
        if self.before.blocks.saturating_mul(512) >= size {
            return None;
        }
        let (mut ranges, mut at) = (Vec::new(), 0);
        while at < size {
            let start = match rustix::fs::seek(&self.file, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                // The file system does not tell.
                Err(_) => return None,
            };
            let end = rustix::fs::seek(&self.file, SeekFrom::Hole(start)).ok()?.min(size);
            if start >= end {
                break;
            }
            ranges.push(start..end);
            at = end;
        }
        let whole = ranges.len() == 1 && ranges.first() == Some(&(0..size));
        (!whole).then_some(ranges)
    }
}
