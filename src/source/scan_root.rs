//! A directory that is walked.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// A directory to scan.
#[derive(Clone, Debug)]
pub struct ScanRoot {
    /// Its logical path; empty for a plain folder, whose own metadata is not recorded.
    pub logical: Vec<u8>,
    /// Where it is.
    pub dir: PathBuf,
    /// The directory itself, where it was opened.
    pub at: Option<Arc<OwnedFd>>,
}

impl ScanRoot {
    /// A root that is not opened yet.
    pub fn new(logical: &[u8], dir: PathBuf) -> ScanRoot {
        ScanRoot { logical: logical.to_vec(), dir, at: None }
    }

    /// Opens it with these flags, by its descriptor where it has one.
    pub fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match &self.at {
            Some(fd) => rustix::fs::openat(&**fd, ".", flags, Mode::empty()),
            None => rustix::fs::openat(CWD, &self.dir, flags, Mode::empty()),
        }
    }
}
