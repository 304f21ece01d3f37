//! Files on their way to the disk.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::manifest::{Content, Entry, file_name};

use super::super::Error;
use super::super::content::write_content;
use super::born::Born;
use super::dress::dress;
use super::obstacle::{Failure, full_or};
use super::pictures;
use super::writer::Writer;

impl Writer<'_> {
    /// Writes a file under a temporary name and puts it in place.
    pub(super) fn write(
        &mut self,
        entry: &Entry,
        dir: BorrowedFd<'_>,
        name: &[u8],
        size: u64,
        content: &Content,
    ) -> Result<(), Failure> {
        let (xattrs, missing) = self.xattrs_or_none(entry)?;
        let temp = self.temp_name();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, temp.as_str(), flags, Mode::from_raw_mode(0o600))
            .map_err(|e| full_or(e, "it could not be created"))?;
        let file = File::from(file);
        let written = self
            .fill(entry, &file, size, content)
            .and_then(|()| self.place(entry, &file, dir, &temp, name, &xattrs));
        if written.is_err() {
            // The reason it failed matters more than a temporary file that stays.
            crate::tolerate(rustix::fs::unlinkat(dir, temp.as_str(), AtFlags::empty()));
        }
        written.and(missing)
    }

    /// Writes a file under its own name, in a directory that this restore made: nothing is in its
    /// way, and what it gets from the directory is known. One that is cut off by a crash is shorter
    /// or older than the snapshot's, and the next restore writes it again. Nothing where the name
    /// is taken all the same: the target takes two names for one.
    pub(super) fn write_new(
        &mut self,
        entry: &Entry,
        dir: BorrowedFd<'_>,
        (group, device): (u32, u64),
        size: u64,
        content: &Content,
    ) -> Result<Option<Result<(), Failure>>, Failure> {
        let name = file_name(&entry.path);
        let (xattrs, missing) = self.xattrs_or_none(entry)?;
        let born = Born::of(entry, self.is_root, group, !xattrs.is_empty());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(dir, name, flags, born.mode()) {
            Err(Errno::EXIST) => return Ok(None),
            other => File::from(other.map_err(|e| full_or(e, "it could not be created"))?),
        };
        if let Err(failure) = self.fill(entry, &file, size, content) {
            // The reason it failed matters more than a part of a file that stays.
            crate::tolerate(rustix::fs::unlinkat(dir, name, AtFlags::empty()));
            return Err(failure);
        }
        let keeps = *self.keeps.entry(device).or_insert_with(|| born.is_as_made(&file));
        let dressed = if keeps {
            born.dress(entry, &file, &xattrs)
        } else {
            dress(self.is_root, entry, &file, &xattrs)
        };
        self.count_written(size);
        pictures::note(self.tally, &entry.path);
        Ok(Some(dressed.and(missing)))
    }

    /// Writes what a file holds.
    fn fill(
        &mut self,
        entry: &Entry,
        file: &File,
        size: u64,
        content: &Content,
    ) -> Result<(), Failure> {
        let mut end = 0;
        let mut refused = None;
        let interrupt = &self.monitor.interrupt;
        let copied = write_content(&mut self.reader, content, size, |offset, bytes| {
            if interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            if let Err(error) = file.write_all_at(bytes, offset) {
                refused = Some(error);
                return Err(Error::Interrupted);
            }
            end = offset + bytes.len() as u64;
            Ok(())
        });
        if let Some(error) = refused {
            return Err(full_or(
                Errno::from_io_error(&error).unwrap_or(Errno::IO),
                "it could not be written",
            ));
        }
        match copied {
            Err(Error::Interrupted) => return Err(Failure::Fatal(Error::Interrupted)),
            copied => copied.map_err(|error| self.fatal(entry, error))?,
        }
        if end < size {
            file.set_len(size)
                .map_err(|e| Failure::Entry(format!("its length could not be set ({e})")))?;
        }
        Ok(())
    }

    /// Puts a file that was written under a temporary name in its place.
    fn place(
        &mut self,
        entry: &Entry,
        file: &File,
        dir: BorrowedFd<'_>,
        temp: &str,
        name: &[u8],
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), Failure> {
        let dressed = dress(self.is_root, entry, file, xattrs);
        self.remove_logs(dir, name)?;
        rustix::fs::renameat(dir, temp, dir, name).map_err(|e| {
            Failure::Entry(format!("it could not be put in place ({})", std::io::Error::from(e)))
        })?;
        self.count_written(entry.size());
        pictures::note(self.tally, &entry.path);
        // A file without its owner or attributes (another file system has none) is better than no
        // file.
        dressed
    }
}
