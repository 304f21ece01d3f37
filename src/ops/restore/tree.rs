//! The directories from a root down to where a writer works, each opened by its name in the one
//! above, never through a link.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::manifest::is_within;
use crate::source::{Stat, xattrs_of_held};

use super::dress::is_ours;

/// A stack of open directories; neighbours in path order share most of it.
#[derive(Default)]
pub(super) struct DirStack {
    root: usize,
    open: Vec<Open>,
}

/// One of them.
struct Open {
    path: Vec<u8>,
    fd: Arc<OwnedFd>,
    is_new: bool,
    heirs: Heirs,
}

/// What a file gets from the directory that it is made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heirs {
    /// Not looked at, or attributes, or a group by the directory's set-group-ID bit.
    Unknown,
    /// Nothing but this group, which is that of the process; on this device.
    Plain { group: u32, device: u64 },
}

impl Heirs {
    /// Of a directory that was made just now. One in a plain one is plain.
    fn of(fd: &OwnedFd, above: Heirs) -> Heirs {
        if let Heirs::Plain { .. } = above {
            return above;
        }
        let (user, group) =
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let Ok(stat) = Stat::of(fd) else { return Heirs::Unknown };
        let is_own = (stat.uid, stat.gid) == (user, group) && stat.permissions() & 0o2000 == 0;
        let is_plain = is_own
            && xattrs_of_held(fd).is_ok_and(|has| !has.iter().any(|(name, _)| is_ours(name)));
        if is_plain { Heirs::Plain { group, device: stat.dev } } else { Heirs::Unknown }
    }
}

/// An open directory.
pub(super) struct OpenDir {
    pub fd: Arc<OwnedFd>,
    /// This writer made it just now: nothing else can be in it.
    pub is_new: bool,
    /// What its files get from it; only known of a new one.
    pub heirs: Heirs,
}

impl DirStack {
    /// Opens the directory `path` below root `number`; makes what is missing where `create` says
    /// so.
    pub(super) fn enter(
        &mut self,
        number: usize,
        root: &Arc<OwnedFd>,
        path: &[u8],
        create: bool,
    ) -> Result<OpenDir> {
        if self.root != number {
            self.open.clear();
            self.root = number;
        }
        while self.open.last().is_some_and(|open| !is_within(path, &open.path)) {
            self.open.pop();
        }
        let mut done = self.open.last().map_or(0, |open| open.path.len());
        while done < path.len() {
            let start = if done == 0 { 0 } else { done + 1 };
            let rest = path.get(start..).unwrap_or_default();
            let name = rest.split(|b| *b == b'/').next().unwrap_or_default();
            let end = start + name.len();
            let above = self.open.last().map_or(root.as_fd(), |open| open.fd.as_fd());
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
            let above = self
                .open
                .last()
                .filter(|open| open.is_new)
                .map_or(Heirs::Unknown, |open| open.heirs);
            let heirs = if is_new { Heirs::of(&fd, above) } else { Heirs::Unknown };
            self.open.push(Open {
                path: path.get(..end).unwrap_or_default().to_vec(),
                fd: Arc::new(fd),
                is_new,
                heirs,
            });
            done = end;
        }
        Ok(match self.open.last() {
            Some(open) => OpenDir { fd: open.fd.clone(), is_new: open.is_new, heirs: open.heirs },
            None => OpenDir { fd: root.clone(), is_new: false, heirs: Heirs::Unknown },
        })
    }
}
