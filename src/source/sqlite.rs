//! A consistent copy of a SQLite database that may be in use, without ever harming it
//! (`reference/jellyfin.md` 7.2 and 7.3).
//!
//! While a server has the database open, the copy is made by SQLite's online backup from a
//! read-only connection that never checkpoints: one read transaction, every page as it is. While
//! nobody has it open, the files themselves are copied, with their write-ahead log, and made whole
//! in private, so that nothing is left behind beside the original. The live file is never opened in
//! this process while a connection to it exists: closing it would drop the connection's locks
//! (POSIX).

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::progress::Interrupt;

use super::as_owner::AsOwner;
use super::copy_error::{CopyError, PATIENCE};
use super::database_files::{
    is_in_wal_mode, is_open_elsewhere, plain_copy, remove, remove_all, side_file,
};
use super::live_file::LiveFile;
use super::private_db::{file_uri, quick_check};
use super::scratch::ScratchFolder;

/// Copies of a database without its server's locks that are made in the hope of one that no
/// checkpoint tore.
const TORN_MAX: u32 = 10;

/// How many times another file may stand in the database's place before it is given up: whoever
/// writes to a database leaves its file where it is.
const REPLACED_MAX: u32 = 5;

/// A private copy.
#[derive(Debug)]
pub struct DatabaseCopy {
    /// The folder that holds nothing else; removed when this is dropped.
    _folder: ScratchFolder,
    /// The copy.
    pub path: PathBuf,
    /// How it was made, for the user.
    pub how: &'static str,
    /// What was odd about it, for the user.
    pub oddity: Option<String>,
}

/// Copies a database into a new folder below `scratch`.
pub fn copy(
    database: &LiveFile,
    scratch: &Path,
    interrupt: &Interrupt,
) -> Result<DatabaseCopy, CopyError> {
    let is_odd = |ending: &&str| database.side(ending).stat().is_ok_and(|stat| !stat.is_file());
    if is_odd(&"") {
        // What is no regular file could make whoever opens it wait for ever.
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(CopyError::Io { verb: "read", path: database.shown().to_path_buf(), source });
    }
    let odd: Vec<&str> = ["-wal", "-journal", "-shm"].into_iter().filter(is_odd).collect();
    let _held_up = interrupt.out_of_hand();
    let folder = ScratchFolder::create(scratch).map_err(|source| CopyError::Io {
        verb: "create a folder in",
        path: scratch.to_path_buf(),
        source,
    })?;
    // Holes stay holes; whether the file system of the copy keeps them is not known.
    let size = database.side("").stat().map_or(0, |stat| stat.size);
    // What a log has no blocks for was never written to it: SQLite stops at the first hole.
    let log = |ending| {
        database
            .side(ending)
            .stat()
            .map_or(0, |stat| stat.size.min(stat.blocks.saturating_mul(512)))
    };
    // A log that is folded into the copy is there twice for a moment.
    folder.check_space(size + 2 * log("-wal") + 2 * log("-journal"))?;
    let path = folder.path.join("database");
    let oddity = odd.first().map(|ending| {
        format!(
            "{} is not a regular file, so it was not used as the database's log; what it contained is not in the copy",
            database.side(ending).shown().display()
        )
    });
    let how = if oddity.is_some() {
        // SQLite would open it, and might wait for ever.
        plain_copy(database, &path, interrupt)?;
        "from its file, without a log"
    } else {
        copy_patiently(database, &path, interrupt)?
    };
    Ok(DatabaseCopy { _folder: folder, path, how, oddity })
}

/// A process that opens and closes its database for each write makes and removes the files beside
/// it all the time: what was there when it was looked for may be gone when it is opened. Then
/// everything is looked at anew.
fn copy_patiently(
    database: &LiveFile,
    target: &Path,
    interrupt: &Interrupt,
) -> Result<&'static str, CopyError> {
    let start = Instant::now();
    let file = || database.stat().ok().map(|stat| (stat.dev, stat.ino));
    let (mut seen, mut replaced) = (file(), 0);
    loop {
        match copy_to(database, target, interrupt) {
            Err(_) if interrupt.is_raised() => return Err(CopyError::Interrupted),
            Err(_) if replaced >= REPLACED_MAX => return Err(CopyError::Swapped),
            Err(error) if is_passing(&error, database) && start.elapsed() < PATIENCE => {
                tracing::debug!(database = ?database.shown(), %error, "the database changed while it was opened, trying again");
                let now = file();
                replaced += u32::from(now != seen);
                seen = now;
                std::thread::sleep(Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
}

/// Whether it failed by something that was there a moment ago, or was not: all that is there now
/// can be opened.
fn is_passing(error: &CopyError, database: &LiveFile) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, ReadOnly};
    let has_moved = match error {
        CopyError::Sqlite(error) => {
            matches!(error.sqlite_error_code(), Some(CannotOpen | ReadOnly))
        }
        CopyError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        CopyError::Restless => true,
        CopyError::NoSpace(_) | CopyError::Locked | CopyError::Interrupted | CopyError::Swapped => {
            false
        }
    };
    let can_open = |ending: &str| match database.side(ending).open() {
        Ok(_) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound && !ending.is_empty(),
    };
    has_moved && ["", "-wal", "-shm", "-journal"].into_iter().all(can_open)
}

fn copy_to(
    database: &LiveFile,
    target: &Path,
    interrupt: &Interrupt,
) -> Result<&'static str, CopyError> {
    let has = |ending| database.side(ending).stat().is_ok();
    if is_open_elsewhere(database) {
        if online_backup(database, target, interrupt)? {
            return Ok("by SQLite's online backup, while it was open");
        }
    } else {
        for attempt in 0..3 {
            if attempt > 0 {
                std::thread::sleep(Duration::from_millis(40));
            }
            if copy_files(database, target, interrupt)? {
                return Ok(if has("-wal") || has("-journal") {
                    "from its file and its log, while nobody wrote to it"
                } else {
                    "from its file, while nobody wrote to it"
                });
            }
        }
        // SQLite would make the files of a log that is not there, and nothing is ever written to
        // the source.
        if is_in_wal_mode(database) && !has("-shm") {
            return Err(CopyError::Restless);
        }
        if online_backup(database, target, interrupt)? {
            return Ok("by SQLite's online backup");
        }
    }
    // SQLite does not take it for a database: its bytes are kept all the same.
    plain_copy(database, target, interrupt)?;
    Ok("byte for byte, because SQLite cannot read it")
}

/// False where SQLite says that the file is no database or is damaged.
fn online_backup(
    database: &LiveFile,
    target: &Path,
    interrupt: &Interrupt,
) -> Result<bool, CopyError> {
    let start = Instant::now();
    let mut attempts = 0;
    loop {
        remove_all(target);
        attempts += 1;
        // A server that lost its locks does not keep a checkpoint from running under the copy: a
        // copy that it tore is made again. One that is found damaged each time is damaged.
        let is_guarded = is_open_elsewhere(database);
        // Without writing even to the shared memory first. SQLite may need to; it may only where a
        // living server holds the lock that says so: without it an opener takes itself for the
        // first and empties the memory under the server.
        let _held_up = interrupt.out_of_hand();
        let mut outcome = backup_once(database, target, "&readonly_shm=1");
        if matches!(&outcome, Err(BackupError::Sqlite(error)) if !is_busy(error))
            && is_open_elsewhere(database)
        {
            remove_all(target);
            outcome = backup_once(database, target, "");
        }
        match outcome {
            Ok(StepResult::Done)
                if is_guarded || attempts >= TORN_MAX || quick_check(target, interrupt).is_ok() =>
            {
                return Ok(true);
            }
            Err(BackupError::Swapped) => return Err(CopyError::Swapped),
            Err(BackupError::Sqlite(error)) if is_no_database(&error) => return Ok(false),
            Err(BackupError::Sqlite(error)) if !is_busy(&error) => return Err(error.into()),
            _ if interrupt.is_raised() => return Err(CopyError::Interrupted),
            _ if start.elapsed() > PATIENCE => return Err(CopyError::Locked),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
    )
}

/// Whether it is the file's own bytes that SQLite cannot make anything of.
fn is_no_database(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt)
    )
}

/// Why there is no backup.
enum BackupError {
    Sqlite(rusqlite::Error),
    /// SQLite opened another file than the one that was looked at.
    Swapped,
}

impl From<rusqlite::Error> for BackupError {
    fn from(error: rusqlite::Error) -> BackupError {
        BackupError::Sqlite(error)
    }
}

/// Whether a connection has the file open that was looked at, with its own logs. SQLite resolves
/// the path itself, once for each of them: somebody may have put another directory in its place at
/// that moment. Logs are opened with the first reading and stay open.
pub fn is_right_file(db: &Connection, file: &LiveFile) -> rusqlite::Result<bool> {
    db.query_row("PRAGMA schema_version", [], |row| row.get::<_, i64>(0))?;
    Ok(file.is_open_here() && file.logs_are_own())
}

/// All pages in one step, which is one read transaction, from a connection that can neither write
/// nor checkpoint.
fn backup_once(
    database: &LiveFile,
    target: &Path,
    options: &str,
) -> Result<StepResult, BackupError> {
    let mut copy = Connection::open(target)?;
    // Nobody else knows the copy: no journal, no locks, no waiting for the disk.
    copy.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;",
    )?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let _lowered = database.stat().ok().and_then(|stat| AsOwner::of(&stat));
    let source = Connection::open_with_flags(
        format!("{}?mode=ro{options}", file_uri(&database.path())),
        flags,
    )?;
    source.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    source.busy_timeout(Duration::from_secs(5))?;
    // In one transaction, or another log could be opened between the look and the copy.
    source.execute_batch("BEGIN")?;
    if !is_right_file(&source, database)? {
        return Err(BackupError::Swapped);
    }
    let step = Backup::new(&source, &mut copy)?.step(-1)?;
    source.execute_batch("ROLLBACK")?;
    copy.close().map_err(|(_, e)| e)?;
    source.close().map_err(|(_, e)| e)?;
    Ok(step)
}

/// Copies the file and its log and makes the copy whole. False where they moved meanwhile: somebody
/// writes after all.
fn copy_files(
    database: &LiveFile,
    target: &Path,
    interrupt: &Interrupt,
) -> Result<bool, CopyError> {
    remove_all(target);
    let endings = ["", "-wal", "-journal"];
    let stats = || endings.map(|ending| database.side(ending).stat().ok());
    let before = stats();
    let now = jiff::Timestamp::now().as_nanosecond();
    if before.iter().flatten().any(|stat| stat.is_racy(now)) {
        // A file from the future, of a clock that was wrong: what is written to it from now on has
        // another time, once the clock has moved on.
        let is_all_of_future = before
            .iter()
            .flatten()
            .filter(|stat| stat.is_racy(now))
            .all(|stat| stat.is_of_future(now));
        if !is_all_of_future {
            return Ok(false);
        }
        std::thread::sleep(Duration::from_millis(40));
        if stats() != before {
            return Ok(false);
        }
    }
    for (ending, stat) in endings.iter().zip(&before) {
        if stat.is_some() {
            plain_copy(&database.side(ending), &side_file(target, ending), interrupt)?;
        }
    }
    let same = stats().iter().zip(&before).all(|(after, before)| match (after, before) {
        (Some(after), Some(before)) => after.same_content(before),
        (None, None) => true,
        _ => false,
    });
    if !same || is_open_elsewhere(database) {
        return Ok(false);
    }
    if before.iter().skip(1).any(Option::is_some) {
        // Only the private copy is opened to write: its log goes into it, and with it the log's
        // file.
        let whole = Connection::open(target).and_then(|copy| {
            copy.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            copy.close().map_err(|(_, e)| e)
        });
        if whole.is_err() {
            return Ok(false);
        }
        for ending in ["-wal", "-shm", "-journal"] {
            remove(&side_file(target, ending));
        }
    }
    Ok(true)
}
