//! A database comes back last and whole: written beside its place, checked, and put there only after the old one's log is gone,
//! which would otherwise be replayed over it.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::manifest::{Content, Entry, Kind, file_name, parent};
use crate::source::{Stat, is_open_elsewhere, open_dir, open_private, quick_check, side_file};

use super::super::content::write_content;
use super::super::{Error, in_one_line};
use super::dress::dress;
use super::obstacle::{Failure, no_place};
use super::same::same_content;
use super::target::Target;
use super::writer::Writer;
use super::{Destination, RestoreOptions};

/// What SQLite keeps beside a database.
const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Restores the databases of a snapshot.
pub(super) fn restore_all(
    databases: &[Entry],
    destination: &Destination,
    target: &Target,
    writer: &mut Writer<'_>,
    options: &RestoreOptions,
) -> Result<(), Error> {
    for entry in databases {
        let Some(path) = target.file(&entry.path) else { continue };
        let in_place = matches!(destination, Destination::InPlace(_));
        let outcome = if in_place { in_instance(entry, &path, writer, options) } else { in_directory(entry, &path, target, writer, options) };
        match outcome {
            Ok(()) => {}
            Err(Failure::Entry(what)) => writer.tally.problem(writer.watch, &entry.path, what),
            Err(Failure::Fatal(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Below a directory: a file like others, but never beside a log that is not its own.
fn in_directory(entry: &Entry, path: &Path, target: &Target, writer: &mut Writer<'_>, options: &RestoreOptions) -> Result<(), Failure> {
    if options.dry_run {
        return writer.entry(entry).map_err(Failure::Fatal);
    }
    let (root, below) = target.place(&entry.path).ok_or_else(no_place)?;
    let folder = target.fd(root).and_then(|root| open_dir(root, parent(below).unwrap_or_default()).ok());
    let has_log = |ending: &&str| folder.as_ref().is_some_and(|folder| Stat::at(folder, [file_name(below), ending.as_bytes()].concat().as_slice()).is_ok());
    if LOGS.iter().any(has_log) && is_open_elsewhere(path) {
        return Err(Failure::Fatal(Error::Refused {
            what: format!("a process has {} open", path.display()),
            hint: "Stop it, or restore to another directory.".to_owned(),
        }));
    }
    writer.database(entry).map_err(Failure::Fatal)
}

/// In an instance.
fn in_instance(entry: &Entry, path: &Path, writer: &mut Writer<'_>, options: &RestoreOptions) -> Result<(), Failure> {
    let Kind::File { size, content } = &entry.kind else { return Ok(()) };
    let name = path.file_name().unwrap_or_default();
    if let Some((folder, stat)) = right_already(path, content, *size, writer)? {
        return writer.keep(entry, folder.as_fd(), name.as_bytes(), &stat, *size);
    }
    if options.dry_run {
        writer.count_written(entry.size());
        return Ok(());
    }
    let folder = folder(entry, path, writer)?;
    let draft = draft_name(path);
    let draft_name = draft.file_name().unwrap_or_default();
    let _sweep = RemoveOnDrop(draft.clone());
    let failed = |what: &str, e: &dyn std::fmt::Display| Failure::Entry(format!("{what} ({e}); the database that was there is untouched"));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, draft_name, flags, Mode::from_raw_mode(0o600));
    let file = File::from(file.map_err(|e| failed("the database could not be written", &std::io::Error::from(e)))?);
    let mut refused = None;
    let written = write_content(&mut writer.reader, content, *size, |offset, bytes| {
        file.write_all_at(bytes, offset).map_err(|e| {
            refused = Some(e.to_string());
            Error::Interrupted
        })
    });
    if let Some(error) = refused {
        return Err(failed("the database could not be written", &error));
    }
    written.map_err(|e| failed("the database cannot be read back", &in_one_line(&e)))?;
    file.set_len(*size).map_err(|e| failed("the database could not be written", &e))?;
    if let Err(damage) = quick_check(&draft)
        && !options.force
    {
        return Err(failed("SQLite finds the snapshot's database damaged, so it was not put in place; --force does it all the same", &damage));
    }
    if has_lock_row(&draft) {
        clear_lock_row(&draft).map_err(|e| failed("a left-over migration lock could not be cleared", &e))?;
    }
    let (xattrs, missing) = writer.xattrs_or_none(entry)?;
    let dressed = dress(writer.target.gives_away(), entry, &file, &xattrs).and(missing);
    file.sync_all().map_err(|e| failed("the database could not be made durable", &e))?;
    // The last moment before anything is replaced.
    if is_open_elsewhere(path) {
        return Err(Failure::Fatal(Error::Refused {
            what: format!("a server opened {} meanwhile", path.display()),
            hint: "Stop Jellyfin and restore again.".to_owned(),
        }));
    }
    fold_in_log(path);
    remove_logs(folder.as_fd(), name.as_bytes())?;
    rustix::fs::renameat(&folder, draft_name, &folder, name).map_err(|e| {
        let e = std::io::Error::from(e);
        Failure::Entry(format!("the database could not be put in place ({e}); the one that was there stays, with its log folded in"))
    })?;
    writer.count_written(*size);
    dressed
}

/// Where the very database stands already, with no log beside it and no migration lock in it: its directory and stat.
fn right_already(path: &Path, content: &Content, size: u64, writer: &mut Writer<'_>) -> Result<Option<(OwnedFd, Stat)>, Failure> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
    let Ok(folder) = rustix::fs::openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) else {
        return Ok(None);
    };
    let has_log = LOGS.iter().any(|ending| Stat::at(&folder, [name.as_bytes(), ending.as_bytes()].concat().as_slice()).is_ok());
    let Some(stat) = Stat::at(&folder, name).ok().filter(|stat| stat.is_file() && stat.size == size && !has_log) else { return Ok(None) };
    // What cannot be read back is told when it is to be written.
    let same = same_content(&mut writer.reader, &mut Vec::new(), folder.as_fd(), name.as_bytes(), content, size).unwrap_or(false);
    Ok((same && !has_lock_row(path)).then_some((folder, stat)))
}

/// The directory of a database: below the instance's root through no link, or where `database.xml` says, which is the
/// administrator's word, links on the way included.
fn folder(entry: &Entry, path: &Path, writer: &mut Writer<'_>) -> Result<Arc<OwnedFd>, Failure> {
    if writer.target.file(&entry.path).as_deref() != writer.target.database.as_deref() {
        return writer.folder_of(entry);
    }
    let dir = path.parent().unwrap_or(Path::new("/"));
    let failed = |e: std::io::Error| Failure::Entry(format!("its directory could not be opened ({e})"));
    std::fs::create_dir_all(dir).map_err(failed)?;
    rustix::fs::openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map(Arc::new).map_err(|e| failed(e.into()))
}

struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            // After the rename there is nothing left to remove.
            crate::tolerate(std::fs::remove_file(side_file(&self.0, ending)));
        }
    }
}

fn draft_name(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".jellyvault-{}-{name}", std::process::id()))
}

/// Brings the old database and its log together, so that a crash before the new one is in place leaves the old one whole.
fn fold_in_log(path: &Path) {
    if side_file(path, "-wal").exists() {
        let folded = Connection::open(path).and_then(|old| {
            old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            old.close().map_err(|(_, e)| e)
        });
        // An old database that cannot be opened any more has nothing to lose.
        crate::tolerate(folded);
    }
}

/// Removes what SQLite keeps beside a database, in a directory that was reached through no link.
pub(super) fn remove_logs(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Failure> {
    for ending in LOGS {
        match rustix::fs::unlinkat(folder, [name, ending.as_bytes()].concat().as_slice(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => {
                let e = std::io::Error::from(e);
                return Err(Failure::Entry(format!("the old log {ending} beside it could not be removed ({e}), and the database must not be put there")));
            }
        }
    }
    Ok(())
}

/// A row that EF Core leaves where a migration was cut off: it would block every later one (`reference/jellyfin.md` 1.3).
fn has_lock_row(path: &Path) -> bool {
    open_private(path).and_then(|db| db.query_row("SELECT count(*) FROM __EFMigrationsLock", [], |row| row.get::<_, i64>(0))).is_ok_and(|rows| rows > 0)
}

fn clear_lock_row(path: &Path) -> rusqlite::Result<()> {
    let db = Connection::open(path)?;
    db.execute("DELETE FROM __EFMigrationsLock", [])?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, e)| e)
}
