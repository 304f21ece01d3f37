//! A new file in a new directory: most of what belongs to it, it can be made with.

use std::fs::File;
use std::sync::OnceLock;

use rustix::fs::{Gid, Mode, Uid};

use crate::manifest::Entry;
use crate::source::Stat;

use super::dress::{dress, times};
use super::obstacle::{Failure, UNDRESSED};

/// What a file is made with, and what is left to be set.
pub(super) struct Born {
    is_root: bool,
    has_attributes: bool,
    is_owner_right: bool,
    group: u32,
    /// The mode that it can be made with, where that is its own.
    mode: Option<u32>,
}

impl Born {
    /// Of an entry, in a directory whose files get this group and nothing else.
    pub(super) fn of(entry: &Entry, is_root: bool, group: u32, has_attributes: bool) -> Born {
        let is_owner_right =
            !is_root || (rustix::process::geteuid().as_raw() == entry.uid && group == entry.gid);
        let is_whole = entry.mode & !0o777 == 0 && entry.mode & umask() == 0;
        Born {
            is_root,
            has_attributes,
            is_owner_right,
            group,
            mode: is_whole.then_some(entry.mode),
        }
    }

    /// The mode to make it with.
    pub(super) fn mode(&self) -> Mode {
        Mode::from_raw_mode(self.mode.unwrap_or(0o600))
    }

    /// Whether a new file has the mode and owner that it was made with: some file systems keep
    /// neither.
    pub(super) fn is_as_made(&self, file: &File) -> bool {
        let own = (rustix::process::geteuid().as_raw(), self.group);
        Stat::of(file).is_ok_and(|stat| {
            stat.permissions() == self.mode.unwrap_or(0o600) && (stat.uid, stat.gid) == own
        })
    }

    /// Sets what it was not made with.
    pub(super) fn dress(
        &self,
        entry: &Entry,
        file: &File,
        xattrs: &[(Vec<u8>, Vec<u8>)],
    ) -> Result<(), Failure> {
        if self.has_attributes || self.mode.is_none() {
            return dress(self.is_root, entry, file, xattrs);
        }
        let mut missing = Vec::new();
        if !self.is_owner_right
            && let Err(error) = rustix::fs::fchown(
                file,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
            )
        {
            missing.push(format!("owner ({})", std::io::Error::from(error)));
        }
        if let Err(error) = rustix::fs::futimens(file, &times(entry.mtime)) {
            missing.push(format!("times ({})", std::io::Error::from(error)));
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Failure::Entry(format!("{UNDRESSED}{}", missing.join(", "))))
        }
    }
}

/// The bits that the process takes from the mode of new files. Where it is not known, all of them.
fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
    })
}
