//! The directories from a root down to where a writer works, each opened by its name in the one above, never through a link.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::manifest::is_within;

/// A stack of open directories; neighbours in path order share most of it.
#[derive(Default)]
pub(super) struct DirStack {
    root: usize,
    open: Vec<(Vec<u8>, Arc<OwnedFd>, bool)>,
}

/// An open directory.
pub(super) struct OpenDir {
    pub fd: Arc<OwnedFd>,
    /// This writer made it just now: nothing else can be in it.
    pub is_new: bool,
}

impl DirStack {
    /// Opens the directory `path` below root `number`; makes what is missing where `create` says so.
    pub(super) fn enter(&mut self, number: usize, root: &Arc<OwnedFd>, path: &[u8], create: bool) -> Result<OpenDir> {
        if self.root != number {
            self.open.clear();
            self.root = number;
        }
        while self.open.last().is_some_and(|(open, ..)| !is_within(path, open)) {
            self.open.pop();
        }
        let mut done = self.open.last().map_or(0, |(open, ..)| open.len());
        while done < path.len() {
            let start = if done == 0 { 0 } else { done + 1 };
            let rest = path.get(start..).unwrap_or_default();
            let name = rest.split(|b| *b == b'/').next().unwrap_or_default();
            let end = start + name.len();
            let above = self.open.last().map_or(root.as_fd(), |(_, fd, _)| fd.as_fd());
            let mut is_new = false;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = match rustix::fs::openat(above, name, flags, Mode::empty()) {
                Err(Errno::NOENT) if create => {
                    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => is_new = true,
                        // Another writer was faster.
                        Err(Errno::EXIST) => {}
                        Err(error) => return Err(error),
                    }
                    rustix::fs::openat(above, name, flags, Mode::empty())?
                }
                other => other?,
            };
            self.open.push((path.get(..end).unwrap_or_default().to_vec(), Arc::new(fd), is_new));
            done = end;
        }
        Ok(match self.open.last() {
            Some((_, fd, is_new)) => OpenDir { fd: fd.clone(), is_new: *is_new },
            None => OpenDir { fd: root.clone(), is_new: false },
        })
    }
}
