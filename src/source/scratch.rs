//! Where a private copy of a database is made: a folder that is removed with all that is in it,
//! even after a crash.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

pub(super) const PREFIX: &str = "jellyvault-copy-";
const LOCK: &str = "lock";
/// Bytes that stay free beside a copy: a full disk would hurt whatever else lives on it.
const RESERVE_BYTES: u64 = 16 << 20;

/// A folder of this process, known to others as in use by a lock that dies with the process.
#[derive(Debug)]
pub struct ScratchFolder {
    /// Where it is.
    pub path: PathBuf,
    _lock: File,
}

impl ScratchFolder {
    /// A new folder below `parent`, for this user alone. Removes those that killed processes left
    /// there.
    pub fn create(parent: &Path) -> io::Result<ScratchFolder> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        // Held while a folder is there whose lock nobody has taken yet. A file system without locks
        // is not swept.
        let guard = File::open(parent)?;
        if lock_soon(&guard) {
            sweep(parent);
        }
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
        let path = parent.join(format!("{PREFIX}{:016x}", u64::from_le_bytes(nonce)));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let lock =
            OpenOptions::new().create_new(true).write(true).mode(0o600).open(path.join(LOCK))?;
        // Without locks nobody sweeps either.
        crate::tolerate(lock.try_lock());
        Ok(ScratchFolder { path, _lock: lock })
    }

    /// Refuses where fewer than `bytes`, and some more, are free.
    pub fn check_space(&self, bytes: u64) -> Result<(), NoSpace> {
        // A file system that does not tell is tried.
        let Ok(stat) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let needed = bytes.saturating_add(RESERVE_BYTES);
        let folder = self.path.parent().unwrap_or(&self.path).to_path_buf();
        if free >= needed { Ok(()) } else { Err(NoSpace { folder, needed, free }) }
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        // What cannot be removed now is swept when the next one is made.
        crate::tolerate(std::fs::remove_dir_all(&self.path));
    }
}

/// Takes a lock that others hold for a moment only; whoever keeps it longer keeps nobody from
/// working.
fn lock_soon(file: &File) -> bool {
    for _ in 0..40 {
        match file.try_lock() {
            Ok(()) => return true,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(_)) => return false,
        }
    }
    false
}

/// Too little room for a private copy.
#[derive(Debug, thiserror::Error)]
#[error("its temporary copy needs {} MiB in {}, where only {} MiB are free; free some space there", mebibytes(*needed), folder.display(), free >> 20)]
pub struct NoSpace {
    /// The directory.
    pub folder: PathBuf,
    /// What must be free, in bytes.
    pub needed: u64,
    /// What is free, in bytes.
    pub free: u64,
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

/// Removes folders whose processes are gone.
fn sweep(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        // Another user's folders are another user's; what is no folder is nobody's copy.
        let own = rustix::process::geteuid().as_raw();
        if !entry.metadata().is_ok_and(|folder| folder.is_dir() && folder.uid() == own) {
            continue;
        }
        let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits() as i32;
        let is_left =
            match OpenOptions::new().read(true).custom_flags(flags).open(entry.path().join(LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                // Killed before it made its lock: nobody makes one while this runs.
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
        if is_left {
            // What cannot be removed now is tried again by the next one.
            crate::tolerate(std::fs::remove_dir_all(entry.path()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_processes_folder_is_swept_and_a_living_ones_stays() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join("jellyvault-copy-dead");
        std::fs::create_dir_all(dead.join("database")).unwrap();
        let early = parent.path().join("jellyvault-copy-early");
        std::fs::create_dir(&early).unwrap();
        let foreign = parent.path().join("somebody's");
        std::fs::create_dir(&foreign).unwrap();
        let living = ScratchFolder::create(parent.path()).unwrap();
        let second = ScratchFolder::create(parent.path()).unwrap();
        assert_eq!(
            (dead.exists(), early.exists(), foreign.exists(), living.path.exists()),
            (false, false, true, true)
        );
        drop((living, second));
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn too_little_room_is_told_with_both_numbers() {
        let parent = tempfile::tempdir().unwrap();
        let folder = ScratchFolder::create(parent.path()).unwrap();
        assert!(folder.check_space(1).is_ok());
        let error = folder.check_space(1 << 60).unwrap_err();
        assert_eq!(error.needed, (1 << 60) + RESERVE_BYTES);
        assert!(
            error.to_string().contains(&format!("needs {} MiB", error.needed >> 20)),
            "{error}"
        );
    }
}
