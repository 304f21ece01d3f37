//! A database comes back last and whole: written beside its place, checked, and put there only
//! after the old one's log is gone, which would otherwise be replayed over it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Seek;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::manifest::{Content, Entry, Kind, display, file_name};
use crate::progress::Interrupt;
use crate::source::{
    AsOwner, DATABASE_PATH, Instance, Layout, LiveFile, ScratchFolder, Stat, is_open_elsewhere,
    is_right_file, open_private_for, quick_check, wary,
};

use super::super::content::write_content;
use super::super::{Error, in_one_line, processes};
use super::dress::dress;
use super::logs::{LOGS, remove_logs};
use super::obstacle::{Failure, no_place};
use super::refuse::live_database;
use super::running::process_with_open;
use super::same::same_content;
use super::target::Target;
use super::writer::Writer;
use super::{Destination, RestoreOptions};

/// Time that a look at one small table may take.
const LOOK_TIME: Duration = Duration::from_secs(20);

/// Restores the databases of a snapshot.
pub(super) fn restore_all(
    databases: &[Entry],
    destination: &Destination,
    target: &Target,
    writer: &mut Writer<'_>,
    options: &RestoreOptions,
) -> Result<(), Error> {
    for entry in databases {
        let outcome = match destination {
            Destination::InPlace(instance) => {
                in_instance(entry, &instance.instance, target, writer, options)
            }
            Destination::Directory(_) | Destination::Arranged(..) => {
                in_directory(entry, target, writer, options)
            }
        };
        match outcome {
            Ok(()) => {}
            Err(Failure::Entry(what)) => writer.tally.problem(writer.monitor, &entry.path, what),
            Err(Failure::Fatal(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Below a directory: a file like others, but never beside a log that is not its own.
fn in_directory(
    entry: &Entry,
    target: &Target,
    writer: &mut Writer<'_>,
    options: &RestoreOptions,
) -> Result<(), Failure> {
    if options.dry_run {
        return writer.entry(entry).map_err(Failure::Fatal);
    }
    if let Some(file) = target.live(&entry.path)
        && LOGS.iter().any(|ending| file.side(ending).stat().is_ok())
        && is_open_elsewhere(&file)
    {
        return Err(Failure::Fatal(Error::Refused {
            what: format!("a process has {} open", file.shown().display()),
            hint: "Stop it, or restore to another directory.".to_owned(),
        }));
    }
    writer.database(entry).map_err(Failure::Fatal)
}

/// In an instance.
fn in_instance(
    entry: &Entry,
    instance: &Instance,
    target: &Target,
    writer: &mut Writer<'_>,
    options: &RestoreOptions,
) -> Result<(), Failure> {
    let Kind::File { size, content } = &entry.kind else { return Ok(()) };
    if let Some(file) = target.live(&entry.path)
        && let Some(stat) = right_already(&file, content, *size, writer)
    {
        return writer.keep(entry, file.dir().as_fd(), file.name().as_bytes(), &stat, *size);
    }
    if let Some(file) = target.live(&entry.path).filter(LiveFile::is_file)
        && let Some(who) = user_of(&file, instance)
    {
        let what = format!(
            "it is a database, which must not be replaced while {who}. Stop Jellyfin and restore it: --path {}",
            display(&entry.path)
        );
        return Err(Failure::Entry(what));
    }
    if options.dry_run {
        writer.count_written(entry.size());
        return Ok(());
    }
    let place = place(entry, target, writer)?;
    let draft = Draft::new(&place);
    let file = draft.write(content, *size, writer)?;
    if let Err(damage) = quick_check(&draft.0.path(), &writer.monitor.interrupt)
        && !options.force
    {
        if writer.monitor.interrupt.is_raised() {
            return Err(Failure::Fatal(Error::Interrupted));
        }
        return Err(unchanged(
            "SQLite reports that the snapshot's database is damaged, so it was not restored (--force restores it anyway)",
            &damage,
        ));
    }
    if has_lock_row(&draft.0, &writer.monitor.interrupt) {
        clear_lock_row(&file, &writer.scratch, &writer.monitor.interrupt)
            .map_err(|e| unchanged("a leftover migration lock could not be cleared", &e))?;
    }
    let (xattrs, missing) = writer.xattrs_or_none(entry)?;
    let dressed = dress(writer.target.gives_away(), entry, &file, &xattrs).and(missing);
    file.sync_all().map_err(|e| unchanged("the database could not be written to disk", &e))?;
    // The last moment before anything is replaced.
    if is_open_elsewhere(&place) {
        return Err(Failure::Fatal(Error::Refused {
            what: format!("a server opened {} during the restore", place.shown().display()),
            hint: "Stop Jellyfin and restore again.".to_owned(),
        }));
    }
    fold_in_log(&place);
    remove_logs(place.dir().as_fd(), place.name().as_bytes())?;
    draft.put_in_place(&file, &place)?;
    writer.count_written(*size);
    dressed
}

/// A failure before anything is replaced.
fn unchanged(what: &str, e: &dyn std::fmt::Display) -> Failure {
    Failure::Entry(format!("{what} ({e}); the existing database is unchanged"))
}

/// Who may be writing to a database that stands there. Pictures may come back under a running
/// server, a database among them may not.
fn user_of(file: &LiveFile, instance: &Instance) -> Option<String> {
    if let Some((process, name)) = process_with_open(file) {
        return Some(format!("{name} (process {process}) has it open"));
    }
    if is_open_elsewhere(file) {
        return Some("a process has it open".to_owned());
    }
    let server = processes::server_of(Path::new(&instance.program_data))
        .map(|server| format!("{} uses this directory", server.words()));
    server.or_else(|| {
        let main = live_database(&Layout::of(instance)).ok().flatten()?;
        (process_with_open(&main).is_some() || is_open_elsewhere(&main))
            .then(|| "a server has this directory's database open".to_owned())
    })
}

/// Where the very database stands already, with no log beside it and no migration lock in it: its
/// stat.
fn right_already(
    file: &LiveFile,
    content: &Content,
    size: u64,
    writer: &mut Writer<'_>,
) -> Option<Stat> {
    let has_log = LOGS.iter().any(|ending| file.side(ending).stat().is_ok());
    let stat = file.stat().ok().filter(|stat| stat.is_file() && stat.size == size && !has_log)?;
    // What cannot be read back is told when it is to be written.
    let same = same_content(
        &mut writer.reader,
        &mut Vec::new(),
        file.dir().as_fd(),
        file.name().as_bytes(),
        content,
        size,
    )
    .unwrap_or(false);
    (same && !has_lock_row(file, &writer.monitor.interrupt)).then_some(stat)
}

/// Where a database belongs: below the instance's root through no link, or where `database.xml` or
/// the administrator's link says.
fn place(entry: &Entry, target: &Target, writer: &mut Writer<'_>) -> Result<LiveFile, Failure> {
    if entry.path == DATABASE_PATH
        && let Some(moved) = &target.database
    {
        return Ok(moved.clone());
    }
    let shown = target.file(&entry.path).ok_or_else(no_place)?;
    Ok(LiveFile::new(writer.folder_of(entry)?, OsStr::from_bytes(file_name(&entry.path)), shown))
}

/// The new database under a name of its own, removed where it does not come into its place.
struct Draft(LiveFile);

impl Draft {
    fn new(place: &LiveFile) -> Draft {
        let name = format!(".jellyvault-{}-{}", std::process::id(), place.name().to_string_lossy());
        Draft(LiveFile::new(
            place.dir().clone(),
            OsStr::new(&name),
            place.shown().with_file_name(&name),
        ))
    }

    /// Writes what the database holds.
    fn write(
        &self,
        content: &Content,
        size: u64,
        writer: &mut Writer<'_>,
    ) -> Result<File, Failure> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&**self.0.dir(), self.0.name(), flags, Mode::from_raw_mode(0o600));
        let file = File::from(file.map_err(|e| {
            unchanged("the database could not be written", &std::io::Error::from(e))
        })?);
        let mut refused = None;
        let written = write_content(&mut writer.reader, content, size, |offset, bytes| {
            file.write_all_at(bytes, offset).map_err(|e| {
                refused = Some(e.to_string());
                Error::Interrupted
            })
        });
        if let Some(error) = refused {
            return Err(unchanged("the database could not be written", &error));
        }
        written.map_err(|e| {
            unchanged("the database cannot be read from the repository", &in_one_line(&e))
        })?;
        file.set_len(size).map_err(|e| unchanged("the database could not be written", &e))?;
        Ok(file)
    }

    /// Gives it the database's name, if it is `file` still.
    fn put_in_place(&self, file: &File, place: &LiveFile) -> Result<(), Failure> {
        // In a directory of somebody else's the draft's name may stand for another file by now.
        let is_ours =
            |stat: Stat| Stat::of(file).is_ok_and(|own| (own.dev, own.ino) == (stat.dev, stat.ino));
        if !self.0.stat().is_ok_and(is_ours) {
            return Err(unchanged(
                "the database could not be put in place",
                &"the new file was replaced by another one",
            ));
        }
        rustix::fs::renameat(&**place.dir(), self.0.name(), &**place.dir(), place.name()).map_err(|e| {
            let e = std::io::Error::from(e);
            Failure::Entry(format!("the database could not be put in place ({e}). The existing one stays, with its log merged into it"))
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        crate::tolerate(rustix::fs::unlinkat(&**self.0.dir(), self.0.name(), AtFlags::empty()));
    }
}

/// Brings the old database and its log together, so that a crash before the new one is in place
/// leaves the old one whole.
fn fold_in_log(file: &LiveFile) {
    let has_log = file.side("-wal").is_file()
        && file.is_file()
        && file.side("-shm").stat().is_ok_and(|stat| stat.is_file());
    if has_log {
        let _lowered = file.stat().ok().and_then(|stat| AsOwner::of(&stat));
        let folded = Connection::open_with_flags(
            file.path(),
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .and_then(|old| {
            wary(&old)?;
            // Nothing is written to a file that was put in this one's place, or from another's log.
            if is_right_file(&old, file)? {
                old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            }
            old.close().map_err(|(_, e)| e)
        });
        // An old database that cannot be opened any more has nothing to lose.
        crate::tolerate(folded);
    }
}

/// A row that EF Core leaves where a migration was cut off: it would block every later one
/// (`reference/jellyfin.md` 1.3).
fn has_lock_row(file: &LiveFile, interrupt: &Interrupt) -> bool {
    let db = open_private_for(&file.path(), LOOK_TIME, interrupt);
    db.and_then(|db| {
        db.query_row("SELECT count(*) FROM __EFMigrationsLock", [], |row| row.get::<_, i64>(0))
    })
    .is_ok_and(|rows| rows > 0)
}

/// Takes the row out of a draft. SQLite writes to a copy in a folder that is ours alone, and its
/// bytes come back through the open file.
fn clear_lock_row(
    draft: &File,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<(), Box<dyn std::error::Error>> {
    let folder = ScratchFolder::create(scratch)?;
    let path = folder.path.join("draft.db");
    let (mut draft, mut copy) = (draft, File::create_new(&path)?);
    draft.rewind()?;
    std::io::copy(&mut draft, &mut copy)?;
    drop(copy);
    let _held_up = interrupt.out_of_hand();
    let db = Connection::open(&path)?;
    wary(&db)?;
    db.execute("DELETE FROM __EFMigrationsLock", [])?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)?;
    draft.rewind()?;
    let bytes = std::io::copy(&mut File::open(&path)?, &mut draft)?;
    Ok(draft.set_len(bytes)?)
}
