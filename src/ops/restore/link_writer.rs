//! Symbolic links, and further names of files that have several.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;

use crate::manifest::{Entry, file_name, parent};
use crate::source::{self, AsOwner, Stat};

use super::super::Error;
use super::dress::times;
use super::obstacle::{Failure, clear_way, no_place, obstacle, stat_in, would_clear};
use super::writer::Writer;

/// Write permission for the group and for others.
const NOT_OWNER_WRITES: u32 = 0o022;

/// Makes a link as the user whose the directory is, or else as the one whose the link becomes: one
/// that was root's for a moment could be taken for a link of root's, and followed, if who may write
/// there kept it.
fn make_link(
    target: &[u8],
    dir: BorrowedFd<'_>,
    name: &str,
    owner: Option<(u32, u32)>,
) -> rustix::io::Result<()> {
    let (true, Some(own)) =
        (rustix::process::geteuid().is_root(), owner.filter(|(user, _)| *user != 0))
    else {
        return rustix::fs::symlinkat(target, dir, name);
    };
    let stat = Stat::of(dir)?;
    let (user, group) = if stat.uid == 0 { own } else { (stat.uid, stat.gid) };
    let made = AsOwner::alone(user, group).map(|_lowered| rustix::fs::symlinkat(target, dir, name));
    match made {
        // In a directory where nobody but root can rename it.
        None | Some(Err(Errno::ACCESS | Errno::PERM))
            if stat.uid == 0 && stat.permissions() & NOT_OWNER_WRITES == 0 =>
        {
            rustix::fs::symlinkat(target, dir, name)
        }
        made => made.unwrap_or(Err(Errno::PERM)),
    }
}

impl Writer<'_> {
    pub(super) fn symlink(&mut self, entry: &Entry, target: &[u8]) -> Result<(), Failure> {
        let Some((number, below)) = self.target.place(&entry.path) else { return Err(no_place()) };
        if below.is_empty() {
            // A link that is followed here stays as it is.
            self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let name = file_name(below);
        let Some(root) = self.target.fd(number).filter(|_| !self.target.is_moved(&entry.path))
        else {
            return self.written(0);
        };
        let dir = match self.dirs.enter(
            number,
            root,
            parent(below).unwrap_or_default(),
            !self.options.dry_run,
        ) {
            Ok(dir) => dir,
            Err(Errno::NOENT) if self.options.dry_run => return self.written(0),
            Err(error) => return Err(obstacle(error, "its directory could not be opened")),
        };
        let existing = stat_in(dir.fd.as_fd(), name)?;
        if let Some(stat) = existing.filter(Stat::is_symlink) {
            let same = rustix::fs::readlinkat(&dir.fd, name, Vec::new())
                .is_ok_and(|has| has.as_bytes() == target);
            let owner = !self.is_root || (stat.uid, stat.gid) == (entry.uid, entry.gid);
            if same && stat.mtime == entry.mtime && owner {
                self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
        if self.options.dry_run {
            would_clear(dir.fd.as_fd(), name, existing)?;
            return self.written(0);
        }
        let fd = dir.fd;
        clear_way(fd.as_fd(), name, existing)?;
        let temp = self.temp_name();
        let failed = |error: Errno| {
            Failure::Entry(format!(
                "the link could not be created ({})",
                std::io::Error::from(error)
            ))
        };
        let owner = self.link_owner(entry, fd.as_fd());
        make_link(target, fd.as_fd(), &temp, owner).map_err(failed)?;
        // By its descriptor: in a directory of somebody else's the name may stand for another file
        // by now.
        let held = rustix::fs::openat(
            &fd,
            temp.as_str(),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(failed)?;
        if !rustix::fs::readlinkat(&held, "", Vec::new()).is_ok_and(|has| has.as_bytes() == target)
        {
            return Err(Failure::Entry(
                "it was replaced by another file during the restore".to_owned(),
            ));
        }
        let dressed = self.dress_link(entry, &held, &fd, &temp)?;
        rustix::fs::renameat(&fd, temp.as_str(), &fd, name).map_err(failed)?;
        self.count_written(0);
        dressed
    }

    /// Gives a link its owner, attributes and time. What cannot be given is told in the end: a link
    /// without it is better than none.
    fn dress_link(
        &mut self,
        entry: &Entry,
        held: &OwnedFd,
        dir: &OwnedFd,
        temp: &str,
    ) -> Result<Result<(), Failure>, Failure> {
        let missing = |error: Errno| {
            Failure::Entry(format!(
                "the link was restored, but not all of its attributes ({})",
                std::io::Error::from(error)
            ))
        };
        let mut dressed = self.link_owner(entry, dir.as_fd()).map_or(Ok(()), |(uid, gid)| {
            rustix::fs::chownat(
                held,
                "",
                Some(Uid::from_raw(uid)),
                Some(Gid::from_raw(gid)),
                AtFlags::EMPTY_PATH,
            )
            .map_err(missing)
        });
        let by_number = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
        for (name, value) in self.xattrs(entry)? {
            dressed = dressed.and(
                rustix::fs::setxattr(&by_number, name.as_slice(), &value, XattrFlags::empty())
                    .map_err(missing),
            );
        }
        dressed = dressed.and(
            rustix::fs::utimensat(dir, temp, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(missing),
        );
        Ok(dressed)
    }

    /// Whose a link becomes; nothing where that is not ours to say. A link of root's is trusted
    /// (`source/opener.rs`): only a repository of one's own makes one.
    fn link_owner(&self, entry: &Entry, dir: BorrowedFd<'_>) -> Option<(u32, u32)> {
        let of_dir = || Stat::of(dir).ok().map(|stat| (stat.uid, stat.gid));
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        if self.is_root && (entry.uid != 0 || self.target.privileges.is_trusted) {
            Some((entry.uid, entry.gid))
        } else {
            of_dir()
        }
    }

    /// Another name of a file that was restored under `first`.
    pub(super) fn link(&mut self, entry: &Entry, first: Option<&[u8]>) -> Result<(), Error> {
        let outcome = self.try_link(entry, first);
        let outcome = match outcome {
            Ok(true) => Ok(()),
            // Across file systems, or on one without links: then the content itself.
            Ok(false) => return self.entry(entry),
            Err(failure) => Err(failure),
        };
        self.settle(entry, outcome)
    }

    fn try_link(&mut self, entry: &Entry, first: Option<&[u8]>) -> Result<bool, Failure> {
        let Some((first_root, first_below)) = first.and_then(|first| self.target.place(first))
        else {
            return Ok(false);
        };
        let Some((number, below)) = self.target.place(&entry.path) else { return Err(no_place()) };
        let (Some(root), Some(first_root)) = (self.target.fd(number), self.target.fd(first_root))
        else {
            return Ok(false);
        };
        let Ok(original) =
            source::open_beneath(first_root, first_below, OFlags::PATH, Mode::empty())
        else {
            return Ok(false);
        };
        let original_stat =
            Stat::of(&original).map_err(|e| Failure::Entry(std::io::Error::from(e).to_string()))?;
        let name = file_name(below);
        let dir = match self.dirs.enter(
            number,
            root,
            parent(below).unwrap_or_default(),
            !self.options.dry_run,
        ) {
            Ok(dir) => dir,
            Err(_) if self.options.dry_run => return Ok(false),
            Err(error) => return Err(obstacle(error, "its directory could not be opened")),
        };
        let existing = stat_in(dir.fd.as_fd(), name)?;
        if existing
            .is_some_and(|stat| (stat.dev, stat.ino) == (original_stat.dev, original_stat.ino))
        {
            self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(true);
        }
        if self.options.dry_run {
            return Ok(false);
        }
        let fd = dir.fd;
        clear_way(fd.as_fd(), name, existing)?;
        let temp = self.temp_name();
        let first_dir = source::open_beneath(
            first_root,
            parent(first_below).unwrap_or_default(),
            OFlags::PATH | OFlags::DIRECTORY,
            Mode::empty(),
        );
        let Ok(first_dir) = first_dir else { return Ok(false) };
        if rustix::fs::linkat(
            &first_dir,
            file_name(first_below),
            &fd,
            temp.as_str(),
            AtFlags::empty(),
        )
        .is_err()
        {
            return Ok(false);
        }
        rustix::fs::renameat(&fd, temp.as_str(), &fd, name).map_err(|e| {
            Failure::Entry(format!("it could not be put in place ({})", std::io::Error::from(e)))
        })?;
        self.count_written(0);
        Ok(true)
    }
}
