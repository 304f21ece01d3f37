//! The repository's lock is the operating system's: whoever dies holding it has let it go.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Error;

/// Held while a repository is read or added to (shared) or reorganised (exclusive).
#[derive(Debug)]
pub struct RepositoryLock {
    file: File,
}

/// How long to wait for a lock that another process holds.
const PATIENCE: Duration = Duration::from_secs(10);

impl RepositoryLock {
    fn open(root: &Path) -> Result<File, Error> {
        let path = root.join("lock");
        let write = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        // A repository on a read-only mount can still be read.
        write.or_else(|e| File::open(&path).map_err(|_| e)).map_err(|source| Error::Local { verb: "open", path, source })
    }

    /// Takes the lock with readers and captures beside; waits some seconds for an exclusive holder.
    pub fn shared(root: &Path) -> Result<RepositoryLock, Error> {
        let file = RepositoryLock::open(root)?;
        let start = Instant::now();
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(RepositoryLock { file }),
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(20)),
                Err(TryLockError::WouldBlock) => return Err(Error::Busy { path: root.to_path_buf() }),
                Err(TryLockError::Error(source)) => return Err(Error::Local { verb: "lock", path: root.join("lock"), source }),
            }
        }
    }

    /// Runs `work` alone if nobody else uses the repository at this moment; otherwise does nothing.
    pub fn if_alone<T>(root: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<Option<T>, Error> {
        let file = RepositoryLock::open(root)?;
        match file.try_lock() {
            Ok(()) => {
                let lock = RepositoryLock { file };
                let done = work();
                drop(lock);
                done.map(Some)
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(Error::Local { verb: "lock", path: root.join("lock"), source }),
        }
    }
}

impl Drop for RepositoryLock {
    fn drop(&mut self) {
        // Closing lets go as well; an error here changes nothing.
        crate::tolerate(self.file.unlock());
    }
}
