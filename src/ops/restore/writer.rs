//! One file at a time: what is right stays, what is not is written under a temporary name and
//! renamed.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::manifest::{
    Content, Entry, Kind, SnapshotId, XattrPairs, Xattrs, decode_xattrs, file_name, parent,
};
use crate::source::{self, Stat};
use crate::store::ChunkReader;

use super::super::{Error, Monitor};
use super::dress::dress;
use super::logs::remove_logs;
use super::obstacle::{
    Failure, clear_way, is_second_marker, no_place, obstacle, stat_in, would_clear,
};
use super::same::same_content;
use super::target::Target;
use super::tree::{DirStack, Heirs};
use super::{RestoreOptions, Tally, pictures, unreadable};

/// One thread's writer.
pub(super) struct Writer<'a> {
    pub reader: ChunkReader<'a>,
    pub target: &'a Target,
    pub tally: &'a Tally,
    pub monitor: &'a Monitor,
    /// Where private files are made.
    pub scratch: PathBuf,
    pub(super) options: &'a RestoreOptions,
    snapshot: &'a SnapshotId,
    pub(super) dirs: DirStack,
    buffer: Vec<u8>,
    pub(super) is_root: bool,
    is_database: bool,
    /// Whether files on a device have the mode and owner that they were made with.
    pub(super) keeps: HashMap<u64, bool>,
    serial: u64,
    nonce: u64,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        reader: ChunkReader<'a>,
        target: &'a Target,
        tally: &'a Tally,
        monitor: &'a Monitor,
        scratch: PathBuf,
        options: &'a RestoreOptions,
        snapshot: &'a SnapshotId,
    ) -> Writer<'a> {
        let mut nonce = [0; 8];
        // Without randomness names differ by process and serial number only; O_EXCL still holds.
        if getrandom::fill(&mut nonce).is_err() {
            nonce = u64::from(std::process::id()).to_le_bytes();
        }
        let is_root = target.gives_away();
        Writer {
            reader,
            target,
            tally,
            monitor,
            scratch,
            options,
            snapshot,
            dirs: DirStack::default(),
            buffer: Vec::new(),
            is_root,
            is_database: false,
            keeps: HashMap::new(),
            serial: 0,
            nonce: u64::from_le_bytes(nonce),
        }
    }

    /// Brings one entry to where it belongs. Directories are made here and get their metadata at
    /// the end.
    pub(super) fn entry(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let outcome = match &entry.kind {
            Kind::Directory => self.directory(entry),
            Kind::File { size, content } => self.file(entry, *size, content),
            Kind::Symlink { target } => self.symlink(entry, target),
        };
        self.settle(entry, outcome)
    }

    pub(super) fn settle(
        &mut self,
        entry: &Entry,
        outcome: Result<(), Failure>,
    ) -> Result<(), Error> {
        match outcome {
            Ok(()) => Ok(()),
            Err(Failure::Entry(what)) => {
                self.tally.problem(self.monitor, &entry.path, what);
                Ok(())
            }
            Err(Failure::Fatal(error)) => Err(error),
        }
    }

    fn directory(&mut self, entry: &Entry) -> Result<(), Failure> {
        let Some((number, below)) = self.target.place(&entry.path) else { return Err(no_place()) };
        let Some(root) = self.target.fd(number) else { return Ok(()) };
        match self.dirs.enter(number, root, below, !self.options.dry_run) {
            Ok(_) => Ok(()),
            Err(Errno::NOENT) if self.options.dry_run => Ok(()),
            Err(error) => Err(obstacle(error, "the directory could not be created")),
        }
    }

    fn file(&mut self, entry: &Entry, size: u64, content: &Content) -> Result<(), Failure> {
        let Some((number, below)) = self.target.place(&entry.path) else { return Err(no_place()) };
        let name = file_name(below);
        let Some(root) = self.target.fd(number).filter(|_| !self.target.is_moved(&entry.path))
        else {
            return self.written(size);
        };
        let dir = match self.dirs.enter(
            number,
            root,
            parent(below).unwrap_or_default(),
            !self.options.dry_run,
        ) {
            Ok(dir) => dir,
            Err(Errno::NOENT) if self.options.dry_run => return self.written(size),
            Err(error) => return Err(obstacle(error, "its directory could not be opened")),
        };
        let existing = if dir.is_new { None } else { stat_in(dir.fd.as_fd(), name)? };
        if existing.is_none() && !dir.is_new && is_second_marker(dir.fd.as_fd(), name) {
            return Err(Failure::Entry(
                "another .jellyfin-… marker is in this directory. This one was not restored, because the server would not start with both".to_owned(),
            ));
        }
        let (fd, heirs) = (dir.fd, dir.heirs);
        if let Some(stat) = existing.filter(|stat| stat.is_file() && stat.size == size)
            && same_content(&mut self.reader, &mut self.buffer, fd.as_fd(), name, content, size)
                .map_err(|error| self.fatal(entry, error))?
        {
            return self.keep(entry, fd.as_fd(), name, &stat, size);
        }
        if self.options.dry_run {
            would_clear(fd.as_fd(), name, existing)?;
            pictures::note(self.tally, &entry.path);
            return self.written(size);
        }
        clear_way(fd.as_fd(), name, existing)?;
        if let Heirs::Plain { group, device } = heirs
            && !self.is_database
            && let Some(written) =
                self.write_new(entry, fd.as_fd(), (group, device), size, content)?
        {
            return written;
        }
        self.write(entry, fd.as_fd(), name, size, content)
    }

    /// The file is right; its metadata may not be.
    pub(super) fn keep(
        &mut self,
        entry: &Entry,
        dir: BorrowedFd<'_>,
        name: &[u8],
        stat: &Stat,
        size: u64,
    ) -> Result<(), Failure> {
        if !self.options.dry_run {
            self.remove_logs(dir, name)?;
        }
        self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
        self.monitor.progress.advance(1, size);
        let xattrs = self.xattrs(entry)?;
        let Ok(file) = rustix::fs::openat(
            dir,
            name,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
        ) else {
            return Err(Failure::Entry("its metadata could not be read".to_owned()));
        };
        let has = source::xattrs_of_file(&file).map_err(|e| {
            Failure::Entry(format!(
                "its attributes could not be read ({})",
                std::io::Error::from(e)
            ))
        })?;
        let owner = !self.is_root || (stat.uid, stat.gid) == (entry.uid, entry.gid);
        if owner && stat.permissions() == entry.mode && stat.mtime == entry.mtime && has == xattrs {
            return Ok(());
        }
        if self.options.dry_run {
            self.tally.metadata.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        // Some file systems take modes and owners, and keep none.
        let facts = || {
            rustix::fs::fstat(&file)
                .map(|stat| {
                    (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_mtime, stat.st_mtime_nsec)
                })
                .ok()
        };
        let before = facts();
        dress(self.is_root, entry, &file, &xattrs)?;
        self.tally
            .metadata
            .fetch_add(u64::from(has != xattrs || facts() != before), Ordering::Relaxed);
        Ok(())
    }

    /// A database: the log of whatever was there goes once its own bytes are ready, for it would be
    /// replayed over them.
    pub(super) fn database(&mut self, entry: &Entry) -> Result<(), Error> {
        self.is_database = true;
        let done = self.entry(entry);
        self.is_database = false;
        done
    }

    pub(super) fn remove_logs(&self, dir: BorrowedFd<'_>, name: &[u8]) -> Result<(), Failure> {
        if self.is_database { remove_logs(dir, name) } else { Ok(()) }
    }

    /// The directory that an entry belongs in, made where it is missing, reached through no link.
    pub(super) fn folder_of(&mut self, entry: &Entry) -> Result<Arc<OwnedFd>, Failure> {
        let (number, below) = self.target.place(&entry.path).ok_or_else(no_place)?;
        let root = self.target.fd(number).ok_or_else(no_place)?;
        let dir = self
            .dirs
            .enter(number, root, parent(below).unwrap_or_default(), true)
            .map_err(|e| obstacle(e, "its directory could not be opened"))?;
        Ok(dir.fd)
    }

    /// The extended attributes of an entry.
    pub(super) fn xattrs(&mut self, entry: &Entry) -> Result<XattrPairs, Failure> {
        let xattrs = match &entry.xattrs {
            Xattrs::None => return Ok(Vec::new()),
            Xattrs::Inline(xattrs) => xattrs.clone(),
            Xattrs::Chunk(id) => {
                let chunk =
                    self.reader.read(id).map_err(|error| self.fatal(entry, error.into()))?;
                decode_xattrs(&chunk).map_err(|_| {
                    Failure::Entry(
                        "its extended attributes cannot be read from the repository".to_owned(),
                    )
                })?
            }
        };
        Ok(self.target.privileges.xattrs(entry, xattrs))
    }

    /// The same where none are better than no file at all; what is missing then is to be told in
    /// the end.
    pub(super) fn xattrs_or_none(
        &mut self,
        entry: &Entry,
    ) -> Result<(XattrPairs, Result<(), Failure>), Failure> {
        match self.xattrs(entry) {
            Ok(xattrs) => Ok((xattrs, Ok(()))),
            Err(Failure::Entry(what)) => Ok((
                Vec::new(),
                Err(Failure::Entry(format!(
                    "it was restored, but not its extended attributes: {what}"
                ))),
            )),
            Err(fatal) => Err(fatal),
        }
    }

    /// Damage loses one entry and is named; anything else ends the restore.
    pub(super) fn fatal(&self, entry: &Entry, error: Error) -> Failure {
        match error {
            Error::Store(e) if e.is_damage() => {
                Failure::Entry(format!("it cannot be read from the repository: {e}"))
            }
            Error::Manifest(e) if e.is_damage() => {
                Failure::Entry(format!("it cannot be read from the repository: {e}"))
            }
            other => Failure::Fatal(unreadable(self.snapshot, &entry.path, other)),
        }
    }

    pub(super) fn temp_name(&mut self) -> String {
        self.serial += 1;
        format!(".jellyvault-{:x}-{:x}", self.nonce, self.serial)
    }

    pub(super) fn written(&self, bytes: u64) -> Result<(), Failure> {
        self.count_written(bytes);
        Ok(())
    }

    pub(super) fn count_written(&self, bytes: u64) {
        self.tally.files.fetch_add(1, Ordering::Relaxed);
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.monitor.progress.advance(1, bytes);
    }
}
