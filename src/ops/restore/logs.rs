//! Logs beside a database: SQLite would play one of another database into it.

use std::os::fd::BorrowedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::obstacle::Failure;

/// What SQLite keeps beside a database.
pub(super) const LOGS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Removes what SQLite keeps beside a database, in a directory that was reached through no link.
pub(super) fn remove_logs(folder: BorrowedFd<'_>, name: &[u8]) -> Result<(), Failure> {
    for ending in LOGS {
        match rustix::fs::unlinkat(
            folder,
            [name, ending.as_bytes()].concat().as_slice(),
            AtFlags::empty(),
        ) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => {
                let e = std::io::Error::from(e);
                return Err(Failure::Entry(format!(
                    "the old log {ending} next to it could not be deleted ({e}), so the database was not restored"
                )));
            }
        }
    }
    Ok(())
}
