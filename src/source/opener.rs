//! How is a place opened that somebody else may have prepared? Component by component, through
//! links and directories of those alone who could do the same without us (`docs/threat-model.md`).
//!
//! Root that follows a link of the server's user reads and writes for that user. So, as root over
//! data of another user, a link is followed only if it is root's, and a directory is passed only if
//! it is root's or the data owner's and nobody else may write to it. What the user named on the
//! command line is opened as it is named: that is their own word.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::stat::Stat;

/// Links that are followed on the way to one place, as the kernel's own limit.
const LINKS_MAX: usize = 40;
/// Write permission for others, and the bit by which they cannot remove what is not theirs.
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Why a place was not opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system says so.
    #[error("{}", std::io::Error::from(*.0))]
    System(Errno),
    /// It could be a trap.
    #[error("{path} {what}")]
    Untrusted {
        /// The component that is not trusted.
        path: String,
        /// Why.
        what: String,
    },
}

impl OpenError {
    /// Whether nothing is there.
    pub fn is_missing(&self) -> bool {
        matches!(self, OpenError::System(Errno::NOENT))
    }

    /// Whether it could be a trap.
    pub fn is_untrusted(&self) -> bool {
        matches!(self, OpenError::Untrusted { .. })
    }
}

impl From<Errno> for OpenError {
    fn from(error: Errno) -> OpenError {
        OpenError::System(error)
    }
}

impl From<OpenError> for std::io::Error {
    fn from(error: OpenError) -> std::io::Error {
        match error {
            OpenError::System(error) => error.into(),
            trap => std::io::Error::new(std::io::ErrorKind::PermissionDenied, trap),
        }
    }
}

/// Opens places by these rules.
#[derive(Clone, Debug, Default)]
pub struct Opener {
    /// Nobody less trusted than who runs this owns anything here: paths are opened as anyone opens
    /// them.
    is_plain: bool,
    /// Places that the user named.
    named: Vec<PathBuf>,
    /// Places that are right, and whose way is walked like any other.
    bases: Vec<PathBuf>,
    /// Users whose directories are passed.
    owners: BTreeSet<u32>,
    /// Links of theirs are followed to directories of their own, because the user says so.
    follows_owners_links: bool,
}

/// What is at the end of a path.
struct End {
    /// The directory that it is in, or, without a name, the directory itself.
    dir: OwnedFd,
    name: Option<OsString>,
    /// A link of the data's owner was on the way: then it must be the owner's own.
    through_owners_link: bool,
}

impl Opener {
    /// Opens everything as it is named.
    pub fn plain() -> Opener {
        Opener { is_plain: true, ..Opener::default() }
    }

    /// For data of these users; `euid` is who runs this.
    pub fn of(
        named: Vec<PathBuf>,
        owners: &[u32],
        follows_owners_links: bool,
        euid: u32,
    ) -> Opener {
        // Root is trusted as it is; a link of the data's owner to what is root's is not.
        let owners: BTreeSet<u32> = owners.iter().copied().filter(|owner| *owner != 0).collect();
        let is_plain = euid != 0 || owners.is_empty();
        Opener { is_plain, named, bases: Vec::new(), owners, follows_owners_links }
    }

    /// Others than root can change what is here, though root owns it.
    pub fn beware(&mut self) {
        self.is_plain = false;
    }

    /// Takes places for right, though not the way to them.
    pub fn walk_to(&mut self, bases: impl Iterator<Item = PathBuf>) {
        self.bases.extend(bases);
    }

    /// Whether somebody less trusted than root owns the data that root works with.
    pub fn is_wary(&self) -> bool {
        !self.is_plain
    }

    /// Whether a path is one that the user named, or lies below one.
    pub fn is_named(&self, path: &Path) -> bool {
        // What goes up again lies where the system says, not where the path begins.
        !goes_up(path) && self.named.iter().chain(&self.bases).any(|named| path.starts_with(named))
    }

    /// Opens a directory, for what is in it.
    pub fn dir(&self, path: &Path) -> Result<OwnedFd, OpenError> {
        if self.is_plain || self.named.iter().any(|named| named == path) {
            return Ok(rustix::fs::openat(
                CWD,
                path,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?);
        }
        let end = self.end(path)?;
        let dir = match end.name {
            None => end.dir,
            Some(name) => self.step(&end.dir, &name, path)?,
        };
        if end.through_owners_link && !self.owners.contains(&Stat::of(&dir)?.uid) {
            return Err(untrusted(path, "is reached through a symbolic link of the server's user, but does not belong to that user".to_owned()));
        }
        Ok(dir)
    }

    /// The same; makes what is missing of the path.
    pub fn make_dir(&self, path: &Path) -> Result<OwnedFd, OpenError> {
        match self.dir(path) {
            Err(error) if error.is_missing() => {}
            other => return other,
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::NOENT.into());
        };
        // A name alone is one of the current directory.
        let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
        let above = self.make_dir(above)?;
        let made = rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755));
        if !matches!(made, Ok(()) | Err(Errno::EXIST)) {
            made?;
        }
        let dir = self.step(&above, name, path)?;
        // Nothing was there a moment ago. In a folder for everybody it could have been made for us
        // to write into.
        if made.is_err() && Stat::of(&dir)?.uid != rustix::process::geteuid().as_raw() {
            return Err(untrusted(path, "was made by another user at this moment".to_owned()));
        }
        Ok(dir)
    }

    /// The directory that a file is in and its name there, links on the way and the file's own
    /// followed.
    pub fn file(&self, path: &Path) -> Result<(OwnedFd, OsString), OpenError> {
        if self.is_plain || self.named.iter().any(|named| named == path) {
            // Where the last link leads to nothing, it leads to the place where it would be.
            let real = std::fs::canonicalize(path).map_err(errno)?;
            let (above, name) = real.parent().zip(real.file_name()).ok_or(Errno::ISDIR)?;
            let dir = rustix::fs::openat(
                CWD,
                above,
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            return Ok((dir, name.to_owned()));
        }
        let end = self.end(path)?;
        if end.through_owners_link {
            return Err(untrusted(path, "is reached through a symbolic link of the server's user. As root, jellyvault does not follow it".to_owned()));
        }
        Ok((end.dir, end.name.ok_or(Errno::ISDIR)?))
    }

    /// A directory by name, which no link may be.
    fn step(&self, dir: &OwnedFd, name: &OsStr, shown: &Path) -> Result<OwnedFd, OpenError> {
        let fd = rustix::fs::openat(
            dir,
            name,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        self.check_dir(&Stat::of(&fd)?, shown)?;
        Ok(fd)
    }

    /// Walks to the end of a path.
    fn end(&self, path: &Path) -> Result<End, OpenError> {
        let absolute = std::path::absolute(path).map_err(errno)?;
        let base = self
            .named
            .iter()
            .filter(|named| !goes_up(&absolute) && absolute.starts_with(named))
            .max_by_key(|named| named.as_os_str().len());
        let start = base.map_or(Path::new("/"), PathBuf::as_path);
        let dir = rustix::fs::openat(
            CWD,
            start,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let rest = absolute.strip_prefix(start).unwrap_or(&absolute);
        let mut walk = Walk {
            opener: self,
            dir,
            todo: reversed(rest),
            shown: start.to_path_buf(),
            is_within: base.is_some(),
            links: 0,
            through_owners_link: false,
        };
        walk.run()
    }

    fn check_dir(&self, stat: &Stat, shown: &Path) -> Result<(), OpenError> {
        if !self.is_plain && stat.uid != 0 && !self.owners.contains(&stat.uid) {
            return Err(untrusted(
                shown,
                format!("belongs to another user ({}), who could replace it", stat.uid),
            ));
        }
        Ok(())
    }
}

/// A walk that is under way.
struct Walk<'o> {
    opener: &'o Opener,
    dir: OwnedFd,
    /// What is left of the path, the next component last.
    todo: Vec<OsString>,
    shown: PathBuf,
    /// Below a place that the user named, where the modes of directories are the user's business.
    is_within: bool,
    links: usize,
    through_owners_link: bool,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<End, OpenError> {
        while let Some(name) = self.todo.pop() {
            self.is_within &= name != "..";
            let fd = match rustix::fs::openat(
                &self.dir,
                &name,
                OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                Mode::empty(),
            ) {
                Err(Errno::NOENT) if self.todo.is_empty() => return self.stop(Some(name)),
                other => other?,
            };
            let stat = Stat::of(&fd)?;
            let shown = self.shown.join(&name);
            if stat.is_symlink() {
                self.follow(fd, &stat, &shown)?;
                continue;
            }
            if self.todo.is_empty() {
                return self.stop(Some(name));
            }
            if !stat.is_dir() {
                return Err(Errno::NOTDIR.into());
            }
            self.opener.check_dir(&stat, &shown)?;
            if !self.is_within
                && stat.permissions() & OTHERS_WRITE != 0
                && stat.permissions() & STICKY == 0
            {
                return Err(untrusted(&shown, "can be written to by everybody".to_owned()));
            }
            (self.dir, self.shown) = (fd, shown);
        }
        self.stop(None)
    }

    fn stop(&self, name: Option<OsString>) -> Result<End, OpenError> {
        Ok(End {
            dir: rustix::io::fcntl_dupfd_cloexec(&self.dir, 0)?,
            name,
            through_owners_link: self.through_owners_link,
        })
    }

    /// Goes where a link leads.
    fn follow(&mut self, link: OwnedFd, stat: &Stat, shown: &Path) -> Result<(), OpenError> {
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::LOOP.into());
        }
        let target = PathBuf::from(OsString::from_vec(
            rustix::fs::readlinkat(link.as_fd(), "", Vec::new())?.into_bytes(),
        ));
        if stat.uid != 0 {
            let leads_to_own =
                || self.opener.owners.contains(&stat.uid) && self.leads_to_own(&target);
            if !(self.opener.follows_owners_links && leads_to_own()) {
                let what = format!(
                    "is a symbolic link to {} that belongs to the user {}, not to root. As root, jellyvault does not follow it",
                    target.display(),
                    stat.uid
                );
                return Err(untrusted(shown, what));
            }
            self.through_owners_link = true;
        }
        if target.is_absolute() {
            self.dir = rustix::fs::openat(
                CWD,
                "/",
                OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )?;
            (self.shown, self.is_within) = (PathBuf::from("/"), false);
        }
        self.todo.extend(reversed(&target));
        Ok(())
    }

    /// Whether a link of the data's owner leads to what is the owner's own: they could read and
    /// change it without us.
    fn leads_to_own(&self, target: &Path) -> bool {
        rustix::fs::openat(&self.dir, target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
            .and_then(|fd| Stat::of(&fd))
            .is_ok_and(|stat| self.opener.owners.contains(&stat.uid))
    }
}

/// Whether a path has `..` in it.
fn goes_up(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

fn untrusted(path: &Path, what: String) -> OpenError {
    OpenError::Untrusted { path: path.display().to_string(), what }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Components of a path, the first one last; the root is left out.
fn reversed(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::RootDir | Component::Prefix(_) | Component::CurDir => None,
        part => Some(OsStr::from_bytes(part.as_os_str().as_bytes()).to_owned()),
    });
    let mut parts: Vec<OsString> = parts.collect();
    parts.reverse();
    parts
}
