//! The zip while it is made: under a name that no server lists, in the folder where it will stand.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Gid, RenameFlags, Uid};
use rustix::io::Errno;

use super::super::Error;
use super::fit::Place;

/// Bytes that stay free beside the zip.
const RESERVE_BYTES: u64 = 16 << 20;

/// A zip that is being made.
pub(super) struct Draft {
    target: PathBuf,
    temp: PathBuf,
    file: Option<File>,
    owner: Option<(u32, u32)>,
    force: bool,
    is_published: bool,
}

impl Draft {
    /// Begins it; refuses where a file stands already.
    pub(super) fn begin(target: &Path, place: Option<&Place>, force: bool) -> Result<Draft, Error> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Target { verb: "write", path, source }
        };
        let is_there = std::fs::symlink_metadata(target);
        if is_there.as_ref().is_ok_and(|found| !found.is_file()) || (is_there.is_ok() && !force) {
            return Err(Error::Refused {
                what: format!("{} is there already", target.display()),
                hint: "Name another file, or replace it with --force.".to_owned(),
            });
        }
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        if let Some(place) = place {
            place.make().map_err(failed(folder))?;
        }
        let name = target.file_name().ok_or_else(|| failed(target)(std::io::ErrorKind::InvalidInput.into()))?.to_string_lossy().into_owned();
        let temp = folder.join(format!(".jellyvault-{}-{name}.part", std::process::id()));
        // Password hashes and tokens are in it.
        let mode = place.map_or(0o600, |place| place.mode);
        let file = File::options().read(true).write(true).create_new(true).mode(mode).open(&temp).map_err(failed(target))?;
        Ok(Draft { target: target.to_path_buf(), temp, file: Some(file), owner: place.and_then(|place| place.owner), force, is_published: false })
    }

    /// The file, once.
    pub(super) fn take_file(&mut self) -> Result<File, Error> {
        self.file.take().ok_or(Error::System { what: "files" })
    }

    /// A nameless file on the same disk.
    pub(super) fn spool(&self) -> Result<File, Error> {
        let folder = self.temp.parent().unwrap_or(Path::new("."));
        tempfile::tempfile_in(folder).map_err(|source| self.failed("write", source))
    }

    /// Where it stands now.
    pub(super) fn path(&self) -> &Path {
        &self.target
    }

    /// An error that names the zip.
    pub(super) fn failed(&self, verb: &'static str, source: std::io::Error) -> Error {
        Error::Target { verb, path: self.target.clone(), source }
    }

    /// Refuses where the disk has too little room.
    pub(super) fn check_space(&self, bytes: u64) -> Result<(), Error> {
        let folder = self.temp.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // A file system that does not tell is tried.
        let Ok(stat) = rustix::fs::statvfs(folder) else { return Ok(()) };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= bytes.saturating_add(RESERVE_BYTES) {
            return Ok(());
        }
        Err(Error::Refused {
            what: format!("the zip may take {} MiB, but {} has {} MiB free", bytes.div_ceil(1 << 20), folder.display(), free >> 20),
            hint: "Make room, name a file on another disk, or leave parts out with --only (trickplay is the largest of most servers).".to_owned(),
        })
    }

    /// Gives it its name, which makes it known, and makes that durable.
    pub(super) fn publish(&mut self, file: &File) -> Result<(), Error> {
        if let Some((uid, gid)) = self.owner
            && file.metadata().is_ok_and(|has| (has.uid(), has.gid()) != (uid, gid))
        {
            rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))).map_err(|e| self.failed("give the server", e.into()))?;
        }
        let outcome = if self.force {
            rustix::fs::renameat(CWD, &self.temp, CWD, &self.target)
        } else {
            match rustix::fs::renameat_with(CWD, &self.temp, CWD, &self.target, RenameFlags::NOREPLACE) {
                // A file system that cannot promise it; the name was looked at before.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(CWD, &self.temp, CWD, &self.target),
                outcome => outcome,
            }
        };
        outcome.map_err(|e| self.failed("put in place", e.into()))?;
        self.is_published = true;
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|source| self.failed("make durable", source))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // The error that led here matters more than one of this removal.
            crate::tolerate(std::fs::remove_file(&self.temp));
        }
    }
}
