//! What the file system says of one path, and the fingerprint by which a later scan knows that
//! nothing changed.

use rustix::fs::{AtFlags, Statx, StatxFlags};
use rustix::io::Errno;
use std::os::fd::AsFd;

use crate::manifest::Time;

/// The fields of statx that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Names of the file.
    pub nlink: u32,
    /// Length in bytes.
    pub size: u64,
    /// Space on disk, in blocks of 512 bytes.
    pub blocks: u64,
    /// Last modification of the content.
    pub mtime: Time,
    /// Last change of anything.
    pub ctime: Time,
    /// Number of the file on its device.
    pub ino: u64,
    /// The device.
    pub dev: u64,
    /// The mount, where the kernel tells.
    pub mount: u64,
}

const TYPE_BITS: u32 = 0o170_000;
/// The clock by which file systems stamp may stand still this long, in nanoseconds.
const CLOCK_GRAIN_NS: i128 = 20_000_000;

const FIELDS: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::MNT_ID);

/// Kernels before 4.11 have no statx, and old sandboxes refuse what they do not know. The call
/// itself needs no right that could be missing.
fn is_missing(error: Errno) -> bool {
    matches!(error, Errno::NOSYS | Errno::PERM)
}

impl Stat {
    /// The stat of `name` in an open directory; a symbolic link itself, not what it points to.
    pub fn at(dir: impl AsFd, name: impl rustix::path::Arg) -> rustix::io::Result<Stat> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        name.into_with_c_str(|name| match rustix::fs::statx(dir.as_fd(), name, flags, FIELDS) {
            Err(error) if is_missing(error) => {
                Ok(Stat::from(rustix::fs::statat(dir.as_fd(), name, flags)?))
            }
            stat => Ok(Stat::from(stat?)),
        })
    }

    /// The stat of an open file.
    pub fn of(file: impl AsFd) -> rustix::io::Result<Stat> {
        match rustix::fs::statx(file.as_fd(), c"", AtFlags::EMPTY_PATH, FIELDS) {
            Err(error) if is_missing(error) => Ok(Stat::from(rustix::fs::fstat(file)?)),
            stat => Ok(Stat::from(stat?)),
        }
    }

    /// The stat of a path, links followed.
    pub fn of_path(path: &std::path::Path) -> rustix::io::Result<Stat> {
        match rustix::fs::statx(rustix::fs::CWD, path, AtFlags::empty(), FIELDS) {
            Err(error) if is_missing(error) => Ok(Stat::from(rustix::fs::stat(path)?)),
            stat => Ok(Stat::from(stat?)),
        }
    }

    /// Whether this is a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & TYPE_BITS == 0o040_000
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & TYPE_BITS == 0o100_000
    }

    /// Whether this is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.mode & TYPE_BITS == 0o120_000
    }

    /// What it is, where a backup has no use for it.
    pub fn special(&self) -> Option<&'static str> {
        match self.mode & TYPE_BITS {
            0o140_000 => Some("socket"),
            0o010_000 => Some("named pipe"),
            0o020_000 | 0o060_000 => Some("device"),
            _ => None,
        }
    }

    /// Permission bits.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Whether a change could hide behind this stat, if it was taken by a scan that began at
    /// `scan_start_ns`: the file was touched within the clock's grain of it, or later.
    pub fn is_racy(&self, scan_start_ns: i128) -> bool {
        let ns = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        ns(self.mtime).max(ns(self.ctime)) >= scan_start_ns - CLOCK_GRAIN_NS
    }

    /// Whether it was given another name or place since then, its content being older: that touches
    /// the ctime alone, as a change of mode does.
    pub fn was_moved_since(&self, begun_ns: i128) -> bool {
        let ns = i128::from(self.mtime.seconds) * 1_000_000_000 + i128::from(self.mtime.nanos);
        self.is_racy(begun_ns) && ns < begun_ns - CLOCK_GRAIN_NS
    }

    /// Whether it was stamped with a time that has not come: by hand, or by a clock that was wrong.
    pub fn is_of_future(&self, now_ns: i128) -> bool {
        let ns = |time: Time| i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
        ns(self.mtime).max(ns(self.ctime)) > now_ns + CLOCK_GRAIN_NS
    }

    /// Whether content read between two stats is whole: nothing about it moved.
    pub fn same_content(&self, other: &Stat) -> bool {
        (self.size, self.mtime, self.ctime, self.ino, self.dev)
            == (other.size, other.mtime, other.ctime, other.ino, other.dev)
    }

    /// 16 bytes that change whenever anything about the file does: (path, size, mtime, ctime,
    /// inode, device). Mode, owner and attributes cannot change without the ctime.
    pub fn fingerprint(&self, path_key: &[u8; 16]) -> Fingerprint {
        let mut block = [0; 64];
        let fields = [
            u128::from_le_bytes(*path_key).to_le_bytes(),
            (u128::from(self.size) | u128::from(self.ino) << 64).to_le_bytes(),
            // Nanoseconds need 30 bits: the two stamps share a word of 64.
            (u128::from(self.mtime.seconds.cast_unsigned())
                | u128::from(self.ctime.seconds.cast_unsigned()) << 64)
                .to_le_bytes(),
            (u128::from(self.mtime.nanos)
                | u128::from(self.ctime.nanos) << 32
                | u128::from(self.dev) << 64)
                .to_le_bytes(),
        ];
        for (slot, field) in block.chunks_exact_mut(16).zip(fields) {
            slot.copy_from_slice(&field);
        }
        Fingerprint::of(&block)
    }
}

/// A fingerprint of a file's stat, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Never equal to that of any stat: for entries that must be read again.
    pub const NEVER: Fingerprint = Fingerprint([0; 16]);

    /// Of bytes.
    pub fn of(bytes: &[u8]) -> Fingerprint {
        let mut out = [0; 16];
        out.copy_from_slice(blake3::hash(bytes).as_bytes().first_chunk::<16>().unwrap_or(&[0; 16]));
        Fingerprint(out)
    }

    /// Whether it may be compared at all.
    pub fn is_trusted(&self) -> bool {
        *self != Fingerprint::NEVER
    }
}

impl From<rustix::fs::Stat> for Stat {
    fn from(x: rustix::fs::Stat) -> Stat {
        // On 32-bit machines they are u32 already.
        let time = |seconds, nanos| Time { seconds, nanos };
        Stat {
            mode: x.st_mode,
            uid: x.st_uid,
            gid: x.st_gid,
            nlink: x.st_nlink as u32,
            size: x.st_size as u64,
            blocks: x.st_blocks as u64,
            mtime: time(x.st_mtime, x.st_mtime_nsec as u32),
            ctime: time(x.st_ctime, x.st_ctime_nsec as u32),
            ino: x.st_ino,
            dev: u64::from(rustix::fs::major(x.st_dev)) << 32
                | u64::from(rustix::fs::minor(x.st_dev)),
            mount: 0,
        }
    }
}

impl From<Statx> for Stat {
    fn from(x: Statx) -> Stat {
        let time = |t: rustix::fs::StatxTimestamp| Time { seconds: t.tv_sec, nanos: t.tv_nsec };
        Stat {
            mode: u32::from(x.stx_mode),
            uid: x.stx_uid,
            gid: x.stx_gid,
            nlink: x.stx_nlink,
            size: x.stx_size,
            blocks: x.stx_blocks,
            mtime: time(x.stx_mtime),
            ctime: time(x.stx_ctime),
            ino: x.stx_ino,
            dev: u64::from(x.stx_dev_major) << 32 | u64::from(x.stx_dev_minor),
            mount: x.stx_mnt_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_calls_of_the_kernel_tell_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let fd = rustix::fs::open(
            dir.path(),
            rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        let old = Stat::from(rustix::fs::fstat(&fd).unwrap());
        assert_eq!(Stat { mount: 0, ..Stat::of(&fd).unwrap() }, old);
        assert_eq!(Stat { mount: 0, ..Stat::of_path(dir.path()).unwrap() }, old);
    }
}
