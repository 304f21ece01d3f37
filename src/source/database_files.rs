//! The files of a database: what their locks and first bytes tell, and copies of them that SQLite
//! has no part in.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};

use crate::progress::Interrupt;

use super::copy_error::CopyError;
use super::live_file::LiveFile;
use super::read::OpenFile;
use super::stat::Stat;

/// Bytes that are copied before it is looked whether to stop.
const STEP_BYTES: u64 = 8 << 20;
/// Bytes of `-shm` by whose lock SQLite marks a connection as alive ("dead man's switch", wal.c,
/// WAL_WRITE_LOCK + 8).
const ALIVE_LOCK_BYTE: u64 = 128;
/// First byte, and length, of the range that rollback-mode readers and writers lock (os.h,
/// PENDING_BYTE).
const ROLLBACK_LOCKS: (u64, u64) = (0x4000_0000, 512);

/// The file beside a database with this ending.
pub fn side_file(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Whether a process has the database open, as far as its locks tell: a live connection in WAL mode
/// holds a byte of `-shm`.
pub fn is_open_elsewhere(database: &LiveFile) -> bool {
    let locked = |file: &LiveFile, start: u64, length: u64| {
        let Ok(file) = file.open() else { return false };
        let probe = Flock {
            start,
            length,
            pid: None,
            typ: FlockType::WriteLock,
            offset_type: FlockOffsetType::Set,
        };
        matches!(fcntl_getlk(&file, &probe), Ok(Some(_)))
    };
    locked(&database.side("-shm"), ALIVE_LOCK_BYTE, 1)
        || locked(database, ROLLBACK_LOCKS.0, ROLLBACK_LOCKS.1)
}

/// The first 18 bytes and more of a file tell whether it is a SQLite database.
pub fn is_database(file: &mut impl Read) -> io::Result<bool> {
    let mut head = [0; 100];
    let mut filled = 0;
    while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled == head.len() && crate::chunk::sqlite_page_bytes(&head).is_some())
}

/// Whether the database's header says that it has a log of its own (SQLite's file format, 1.3:
/// bytes 18 and 19).
pub(super) fn is_in_wal_mode(database: &LiveFile) -> bool {
    use std::os::unix::fs::FileExt;
    let mut versions = [0; 2];
    database.open().is_ok_and(|file| file.read_exact_at(&mut versions, 18).is_ok())
        && versions == [2, 2]
}

/// Copies a file with its holes. What comes behind the length that it has now is left out: whoever
/// writes there begins again.
pub(super) fn plain_copy(
    from: &LiveFile,
    to: &Path,
    interrupt: &Interrupt,
) -> Result<(), CopyError> {
    let failed = |verb, path: &Path| {
        let path = path.to_path_buf();
        move |source| CopyError::Io { verb, path, source }
    };
    let file = from.open().map_err(failed("read", from.shown()))?;
    let before = Stat::of(&file).map_err(|error| failed("read", from.shown())(error.into()))?;
    remove(to);
    let mut target = File::create_new(to).map_err(failed("write", to))?;
    let mut source = OpenFile { file, before };
    let ranges = source.data_ranges().unwrap_or_else(|| std::iter::once(0..before.size).collect());
    for range in ranges {
        let mut at = range.start;
        source
            .file
            .seek(SeekFrom::Start(at))
            .and_then(|_| target.seek(SeekFrom::Start(at)))
            .map_err(failed("copy", from.shown()))?;
        while at < range.end {
            if interrupt.is_raised() {
                return Err(CopyError::Interrupted);
            }
            let copied =
                io::copy(&mut (&mut source.file).take(STEP_BYTES.min(range.end - at)), &mut target)
                    .map_err(failed("copy", from.shown()))?;
            if copied == 0 {
                break;
            }
            at += copied;
        }
    }
    target.set_len(before.size).map_err(failed("write", to))
}

pub(super) fn remove_all(target: &Path) {
    ["", "-wal", "-shm", "-journal"].iter().for_each(|ending| remove(&side_file(target, ending)));
}

pub(super) fn remove(path: &Path) {
    // Most are not there; one that stays is found by the check of the copy.
    crate::tolerate(std::fs::remove_file(path));
}
