//! An entry's attributes as FUSE wants them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo};

use crate::manifest::{Entry, Kind, OWNER_UNKNOWN, Time};

/// Its attributes, under this number.
pub(super) fn attributes(number: u64, entry: &Entry) -> FileAttr {
    let time = system_time(entry.mtime);
    let (kind, size) = match &entry.kind {
        Kind::File { size, .. } => (FileType::RegularFile, *size),
        Kind::Directory => (FileType::Directory, 0),
        Kind::Symlink { target } => (FileType::Symlink, target.len() as u64),
    };
    let own = |id: u32, own: u32| if id == OWNER_UNKNOWN { own } else { id };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: time,
        mtime: time,
        ctime: time,
        crtime: time,
        kind,
        perm: entry.mode as u16 & 0o7777,
        // How many names a file has in all is not known; that it has several is.
        nlink: if entry.link_group.is_some() || kind == FileType::Directory { 2 } else { 1 },
        uid: own(entry.uid, rustix::process::geteuid().as_raw()),
        gid: own(entry.gid, rustix::process::getegid().as_raw()),
        rdev: 0,
        blksize: 128 << 10,
        flags: 0,
    }
}

fn system_time(time: Time) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = if time.seconds < 0 {
        UNIX_EPOCH.checked_sub(seconds)
    } else {
        UNIX_EPOCH.checked_add(seconds)
    };
    whole.unwrap_or(UNIX_EPOCH) + Duration::from_nanos(u64::from(time.nanos))
}
