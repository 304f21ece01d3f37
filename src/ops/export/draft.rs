//! The zip while it is made: a file without a name, in the folder where it will stand, so that no
//! server lists it and a killed export leaves nothing.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::super::Error;
use super::fit::Place;

/// Bytes that stay free beside the zip.
const RESERVE_BYTES: u64 = 16 << 20;

/// A zip that is being made.
pub(super) struct Draft {
    target: PathBuf,
    /// The folder that it is made in: whatever is put in its place meanwhile, the zip comes here.
    folder: OwnedFd,
    name: OsString,
    /// Its name until it has its own: from the beginning where the file system has no nameless
    /// files, else for a moment at the end.
    temp: String,
    has_temp_name: bool,
    file: Option<File>,
    owner: Option<(u32, u32)>,
    mode: u32,
    force: bool,
}

/// Refuses where something stands that may not be replaced.
pub(super) fn check_target(target: &Path, force: bool) -> Result<(), Error> {
    let refused = |what: String, hint: &str| Err(Error::Refused { what, hint: hint.to_owned() });
    match std::fs::symlink_metadata(target) {
        Ok(found) if !found.is_file() => refused(
            format!("{} exists and is not a regular file", target.display()),
            "Give another file name.",
        ),
        Ok(_) if !force => refused(
            format!("{} already exists", target.display()),
            "Give another file name, or add --force to overwrite it.",
        ),
        _ => Ok(()),
    }
}

impl Draft {
    /// Begins it.
    pub(super) fn begin(target: &Path, place: Option<&Place>, force: bool) -> Result<Draft, Error> {
        let failed = |source| Error::Target { verb: "write", path: target.to_path_buf(), source };
        let folder = match place {
            Some(place) => place.make().map_err(failed)?,
            None => rustix::fs::openat(
                CWD,
                folder_of(target),
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .map_err(|error| failed(error.into()))?,
        };
        let name = target
            .file_name()
            .ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?
            .to_owned();
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
        let temp = format!(".jellyvault-{:016x}.part", u64::from_le_bytes(random));
        // Password hashes and tokens are in it: until it is whole it is for nobody else.
        let mode = Mode::RUSR | Mode::WUSR;
        let nameless = rustix::fs::openat(
            &folder,
            ".",
            OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC,
            mode,
        );
        let (fd, has_temp_name) = match nameless {
            Ok(fd) => (fd, false),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                (
                    rustix::fs::openat(&folder, temp.as_str(), flags | OFlags::NOFOLLOW, mode)
                        .map_err(|e| failed(e.into()))?,
                    true,
                )
            }
            Err(error) => return Err(failed(error.into())),
        };
        Ok(Draft {
            target: target.to_path_buf(),
            folder,
            name,
            temp,
            has_temp_name,
            file: Some(File::from(fd)),
            owner: place.and_then(|place| place.owner),
            mode: place.map_or(0o600, |place| place.mode),
            force,
        })
    }

    /// The file, once.
    pub(super) fn take_file(&mut self) -> Result<File, Error> {
        self.file.take().ok_or(Error::System { what: "files" })
    }

    /// A nameless file on the same disk.
    pub(super) fn spool(&self) -> Result<File, Error> {
        tempfile::tempfile_in(self.folder_path()).map_err(|source| self.failed("write", source))
    }

    /// A path that leads to the open folder.
    fn folder_path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.folder.as_raw_fd().to_string())
    }

    /// Where it will stand.
    pub(super) fn path(&self) -> &Path {
        &self.target
    }

    /// An error that names the zip.
    pub(super) fn failed(&self, verb: &'static str, source: std::io::Error) -> Error {
        Error::Target { verb, path: self.target.clone(), source }
    }

    /// Refuses where the disk has too little room.
    pub(super) fn check_space(&self, bytes: u64) -> Result<(), Error> {
        let folder = folder_of(&self.target);
        // A file system that does not tell is tried.
        let Ok(stat) = rustix::fs::fstatvfs(&self.folder) else { return Ok(()) };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        if free >= bytes.saturating_add(RESERVE_BYTES) {
            return Ok(());
        }
        Err(Error::Refused {
            what: format!("the zip may need {} MiB, but {} has only {} MiB free", bytes.div_ceil(1 << 20), folder.display(), free >> 20),
            hint: "Free some space, give a file on another disk, or export fewer categories with --only (trickplay is usually the largest).".to_owned(),
        })
    }

    /// Gives it to whom it is for, and makes it durable, though not yet known.
    pub(super) fn settle(&self, file: &File) -> Result<(), Error> {
        if let Some((uid, gid)) = self.owner
            && file.metadata().is_ok_and(|has| (has.uid(), has.gid()) != (uid, gid))
        {
            rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| self.failed("give the server", e.into()))?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(self.mode))
            .map_err(|e| self.failed("give the server", e.into()))?;
        file.sync_all().map_err(|source| self.failed("write to disk", source))
    }

    /// Gives it its name, which makes it known, and makes that durable.
    pub(super) fn publish(&mut self, file: &File) -> Result<(), Error> {
        if !self.has_temp_name {
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            rustix::fs::linkat(
                CWD,
                own.as_str(),
                &self.folder,
                self.temp.as_str(),
                AtFlags::SYMLINK_FOLLOW,
            )
            .map_err(|e| self.failed("put in place", e.into()))?;
            self.has_temp_name = true;
        }
        let outcome = if self.force {
            rustix::fs::renameat(&self.folder, self.temp.as_str(), &self.folder, &*self.name)
        } else {
            match rustix::fs::renameat_with(
                &self.folder,
                self.temp.as_str(),
                &self.folder,
                &*self.name,
                RenameFlags::NOREPLACE,
            ) {
                // A file system that cannot promise it; the name was looked at before.
                Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => rustix::fs::renameat(
                    &self.folder,
                    self.temp.as_str(),
                    &self.folder,
                    &*self.name,
                ),
                outcome => outcome,
            }
        };
        outcome.map_err(|e| self.failed("put in place", e.into()))?;
        self.has_temp_name = false;
        rustix::fs::fsync(&self.folder).map_err(|error| self.failed("write to disk", error.into()))
    }
}

fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.has_temp_name {
            // The error that led here matters more than one of this removal.
            crate::tolerate(rustix::fs::unlinkat(
                &self.folder,
                self.temp.as_str(),
                AtFlags::empty(),
            ));
        }
    }
}
