//! Opening what lies below a root, never through a symbolic link, however long the path.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

/// Longest path handed to the kernel at once, in bytes (PATH_MAX is 4,096 with its NUL).
const STEP_BYTES_MAX: usize = 3_900;

/// Opens `path` below `root`. Components that are symbolic links, or a path that leaves the root,
/// are an error.
pub fn open_beneath(root: impl AsFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if path.len() <= STEP_BYTES_MAX {
        return open_step(root, path, flags, mode);
    }
    let cut = path
        .get(..STEP_BYTES_MAX)
        .and_then(|head| head.iter().rposition(|b| *b == b'/'))
        .ok_or(Errno::NAMETOOLONG)?;
    let (head, rest) = path.split_at_checked(cut).ok_or(Errno::NAMETOOLONG)?;
    let above = open_step(
        root,
        head,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    open_beneath(above, rest.get(1..).unwrap_or_default(), flags, mode)
}

fn open_step(root: impl AsFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    match rustix::fs::openat2(
        root.as_fd(),
        path,
        flags,
        mode,
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    ) {
        // Kernels before 5.6, and some sandboxes.
        Err(Errno::NOSYS | Errno::PERM) => open_by_component(root, path, flags, mode),
        other => other,
    }
}

/// The same by hand, one component at a time.
fn open_by_component(root: impl AsFd, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd> {
    let mut at: Option<OwnedFd> = None;
    let mut parts = path.split(|b| *b == b'/').peekable();
    while let Some(part) = parts.next() {
        if part == b".." || (part.is_empty() && path.len() > 1) {
            return Err(Errno::XDEV);
        }
        let dir = at.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        let opened = if parts.peek().is_some() {
            rustix::fs::openat(
                dir,
                part,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            )?
        } else {
            rustix::fs::openat(dir, part, flags, mode)?
        };
        at = Some(opened);
    }
    at.ok_or(Errno::NOENT)
}

/// Opens a directory for what is in it, without the right to list it.
pub fn open_dir_path(root: impl AsFd, path: &[u8]) -> Result<OwnedFd> {
    open_beneath(root, path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a directory for listing.
pub fn open_dir(root: impl AsFd, path: &[u8]) -> Result<OwnedFd> {
    open_beneath(root, path, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
}

/// Opens a file for reading, without leaving an access time where that is allowed; never waits on a
/// pipe.
pub fn open_file(root: impl AsFd, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
    match open_beneath(root.as_fd(), path, flags | OFlags::NOATIME, Mode::empty()) {
        Err(Errno::PERM) => open_beneath(root, path, flags, Mode::empty()),
        other => other,
    }
}
