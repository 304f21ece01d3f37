//! A file of the live source, held by its open directory: whatever is put in the directory's place
//! meanwhile, this stays what was looked at.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::opener::{OpenError, Opener};
use super::stat::Stat;

/// A file that may be there or not.
#[derive(Clone, Debug)]
pub struct LiveFile {
    dir: Arc<OwnedFd>,
    name: OsString,
    /// Where it is, for the user.
    shown: PathBuf,
}

impl LiveFile {
    /// A name in an open directory.
    pub fn new(dir: Arc<OwnedFd>, name: &OsStr, shown: PathBuf) -> LiveFile {
        LiveFile { dir, name: name.to_owned(), shown }
    }

    /// The file at a path that the user named, or that is our own.
    pub fn at(path: &Path) -> io::Result<LiveFile> {
        Ok(LiveFile::by(&Opener::plain(), path)?)
    }

    /// The file at a path, by an opener's rules.
    pub fn by(opener: &Opener, path: &Path) -> Result<LiveFile, OpenError> {
        let (dir, name) = opener.file(path)?;
        Ok(LiveFile { dir: Arc::new(dir), name, shown: path.to_path_buf() })
    }

    /// Where it is, for the user.
    pub fn shown(&self) -> &Path {
        &self.shown
    }

    /// Its directory.
    pub fn dir(&self) -> &Arc<OwnedFd> {
        &self.dir
    }

    /// Its name there.
    pub fn name(&self) -> &OsStr {
        &self.name
    }

    /// A path that leads to it through the open directory, for those who take nothing else. Valid
    /// as long as this is.
    pub fn path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.dir.as_raw_fd().to_string()).join(&self.name)
    }

    /// The file beside it with this ending.
    pub fn side(&self, ending: &str) -> LiveFile {
        let (mut name, mut shown) = (self.name.clone(), self.shown.as_os_str().to_owned());
        name.push(ending);
        shown.push(ending);
        LiveFile { dir: self.dir.clone(), name, shown: shown.into() }
    }

    /// What the file system says of it; a link is not followed.
    pub fn stat(&self) -> io::Result<Stat> {
        Ok(Stat::at(&*self.dir, self.name.as_bytes())?)
    }

    /// Whether a regular file is there.
    pub fn is_file(&self) -> bool {
        self.stat().is_ok_and(|stat| stat.is_file())
    }

    /// Whether this process has it open for more than its name: what SQLite opened by a path is
    /// this very file.
    pub fn is_open_here(&self) -> bool {
        let (Ok(wanted), Ok(files)) = (self.stat(), std::fs::read_dir("/proc/self/fd")) else {
            return false;
        };
        files.flatten().any(|file| {
            let is_it = Stat::of_path(&file.path())
                .is_ok_and(|has| (has.dev, has.ino) == (wanted.dev, wanted.ino));
            is_it && !is_name_only(&file.file_name())
        })
    }

    /// Whether the logs that this process has open under the names of this file's logs are those
    /// beside it. SQLite looks for them by a path of its own.
    pub fn logs_are_own(&self) -> bool {
        let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return false };
        let logs = ["-wal", "-shm", "-journal"].map(|ending| self.side(ending));
        files.flatten().all(|file| {
            let Ok(target) = std::fs::read_link(file.path()) else { return true };
            // One that was deleted is nobody's any more: the kernel says so behind its name.
            let Some(log) = logs.iter().find(|log| target.file_name() == Some(log.name())) else {
                return true;
            };
            match (Stat::of_path(&file.path()), log.stat()) {
                (Ok(has), Ok(own)) => (has.dev, has.ino) == (own.dev, own.ino),
                _ => false,
            }
        })
    }

    /// Opens it for reading: a regular file, through no link, never waiting for anybody.
    pub fn open(&self) -> io::Result<File> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file =
            File::from(rustix::fs::openat(&*self.dir, self.name.as_bytes(), flags, Mode::empty())?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }
}

impl LiveFile {
    /// Its bytes, where they are no more than `limit`.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        read_limited(self.open()?, limit)
    }
}

/// Whether a descriptor was opened with `O_PATH`.
fn is_name_only(number: &OsStr) -> bool {
    let info =
        std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(number)).unwrap_or_default();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_none_or(|flags| flags & OFlags::PATH.bits() != 0)
}

/// Opens a small file of the user's or the system's for reading: a regular file, never waiting for
/// anybody; links are followed.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(rustix::fs::CWD, path, flags, Mode::empty())?);
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The same of a file in a directory that somebody else may write to: root does not follow a link of
/// theirs, except to a file of their own.
pub fn open_regular_of_others(path: &Path) -> io::Result<File> {
    let file = open_regular(path)?;
    if !rustix::process::geteuid().is_root() {
        return Ok(file);
    }
    let (opened, there) = (file.metadata()?, std::fs::symlink_metadata(path)?);
    let is_itself = (there.dev(), there.ino()) == (opened.dev(), opened.ino());
    // Nobody can make a link that belongs to root, or to another user than themselves.
    let may_follow =
        there.file_type().is_symlink() && (there.uid() == 0 || there.uid() == opened.uid());
    if is_itself || may_follow {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "a link of another user"))
    }
}

/// The bytes of a small file in a directory that somebody else may write to.
pub fn read_regular_of_others(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited(open_regular_of_others(path)?, limit)
}

/// The bytes of a small file; an error where it is larger than `limit`.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited(open_regular(path)?, limit)
}

fn read_limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {} KiB", limit >> 10),
        ))
    } else {
        Ok(bytes)
    }
}
