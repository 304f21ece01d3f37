//! Coordination by the operating system's locks: whoever dies holding one has let it go.
//!
//! `lock` is shared by readers and captures, and exclusive for the moment in which packs are
//! removed. Who wants it exclusively closes `lock-gate` for some tenths of a second at a time, so
//! that a stream of newcomers cannot keep it out, and nobody waits long behind something that takes
//! hours. `lock-list` is held while the list of snapshots grows or shrinks, `lock-work` by the one
//! process that prunes or repairs.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Error;
use super::coordination::{Coordination, Held, Work};
use crate::backend::open_to_read;

/// Held while a repository is read or added to (shared) or reorganised (exclusive).
#[derive(Debug)]
pub struct RepositoryLock {
    file: File,
    root: PathBuf,
    /// The file system has no locks: nobody is kept out.
    is_missing: bool,
}

/// Whether the user answers for it that nobody else works with a repository whose file system has
/// no locks.
static WITHOUT_LOCKS: AtomicBool = AtomicBool::new(false);

/// Goes on where a file system has no locks, for the rest of this process: for a user who says that
/// nobody else uses the repository.
pub fn go_without_locks() {
    WITHOUT_LOCKS.store(true, Ordering::Relaxed);
}

/// What a file system without locks answers: NFS without its lock daemon, some FUSE and SMB mounts.
fn has_none(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS))
}

/// An error of locking.
fn refused(path: &Path, source: std::io::Error) -> Error {
    let path = path.to_path_buf();
    if has_none(&source) {
        Error::NoLocks { path }
    } else {
        Error::Local { verb: "lock", path, source }
    }
}

/// How long to wait for a lock that another process holds exclusively.
const PATIENCE: Duration = Duration::from_secs(120);
/// Whoever waits longer than this is told so.
const SILENCE: Duration = Duration::from_secs(1);
/// How long newcomers are kept out at a time.
const GATE_CLOSED: Duration = Duration::from_millis(300);
/// How long they are let in between.
const GATE_OPEN: Duration = Duration::from_millis(700);
const STEP: Duration = Duration::from_millis(10);

fn open(root: &Path, name: &str) -> Result<File, Error> {
    let path = root.join(name);
    let write = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(&path);
    // A repository on a read-only mount can still be read.
    write.or_else(|e| open_to_read(&path).map_err(|_| e)).map_err(|source| Error::Local {
        verb: "open",
        path,
        source,
    })
}

/// Tries for a while; false where the lock could not be had.
fn try_for(
    path: &Path,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<(), TryLockError>,
    mut waiting: impl FnMut(Duration),
) -> Result<bool, Error> {
    let start = Instant::now();
    let mut waits = false;
    loop {
        match attempt() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if start.elapsed() < patience => {
                if !waits {
                    tracing::debug!(?path, "waiting for a lock");
                    waits = true;
                }
                waiting(start.elapsed());
                std::thread::sleep(STEP);
            }
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source))
                if has_none(&source) && WITHOUT_LOCKS.load(Ordering::Relaxed) =>
            {
                return Ok(true);
            }
            Err(TryLockError::Error(source)) => return Err(refused(path, source)),
        }
    }
}

impl RepositoryLock {
    /// Takes the lock with readers and captures beside; waits while somebody holds it exclusively,
    /// and calls `waiting` once where that takes more than an instant.
    pub fn shared(root: &Path, waiting: &dyn Fn()) -> Result<RepositoryLock, Error> {
        let mut lock = RepositoryLock {
            file: open(root, "lock")?,
            root: root.to_path_buf(),
            is_missing: false,
        };
        match lock.share(waiting) {
            // What only reads may do without.
            Err(Error::NoLocks { .. }) => lock.is_missing = true,
            shared => shared?,
        }
        Ok(lock)
    }

    fn share(&self, waiting: &dyn Fn()) -> Result<(), Error> {
        let (file, root) = (&self.file, &self.root);
        let mut told = false;
        let mut tell = |waited| {
            if waited > SILENCE && !told {
                told = true;
                waiting();
            }
        };
        // Where the gate cannot be opened (a read-only disk) nobody can close it either.
        let gate = open(root, "lock-gate").ok();
        if let Some(gate) = &gate {
            try_for(&root.join("lock-gate"), PATIENCE, || gate.try_lock_shared(), &mut tell)?;
        }
        let got = try_for(&root.join("lock"), PATIENCE, || file.try_lock_shared(), &mut tell)?;
        if got { Ok(()) } else { Err(Error::Busy { path: root.clone() }) }
    }

    fn path(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn share_again(&self) -> Result<bool, Error> {
        try_for(&self.path(), PATIENCE, || self.file.try_lock_shared(), |_| {})
    }

    /// Runs `work` alone if nobody else uses the repository at this moment; otherwise does nothing.
    pub fn if_alone<T>(
        root: &Path,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let file = open(root, "lock")?;
        match file.try_lock() {
            Ok(()) => {
                let lock = RepositoryLock { file, root: root.to_path_buf(), is_missing: false };
                let done = work();
                drop(lock);
                done.map(Some)
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source))
                if has_none(&source) && WITHOUT_LOCKS.load(Ordering::Relaxed) =>
            {
                work().map(Some)
            }
            Err(TryLockError::Error(source)) => Err(refused(&root.join("lock"), source)),
        }
    }
}

impl Coordination for RepositoryLock {
    fn begin_alone(&self, go_on: &mut dyn FnMut(Duration) -> bool) -> Result<bool, Error> {
        let start = Instant::now();
        let gate = open(&self.root, "lock-gate")?;
        loop {
            try_for(&self.root.join("lock-gate"), PATIENCE, || gate.try_lock(), |_| {})?;
            let got = try_for(&self.path(), GATE_CLOSED, || self.file.try_lock(), |_| {});
            // Newcomers now wait for the lock itself. Closing the file would let go as well.
            crate::tolerate(gate.unlock());
            if got? {
                return Ok(true);
            }
            // Trying lets go of what was held: without it somebody else could be alone meanwhile.
            self.share(&|| {})?;
            if !go_on(start.elapsed()) {
                return Ok(false);
            }
            std::thread::sleep(GATE_OPEN);
        }
    }

    fn end_alone(&self) -> Result<(), Error> {
        // From exclusive to shared: nobody can be in the way for longer than it takes to remove
        // temporary files.
        self.share_again().map(drop)
    }

    fn is_alone(&self) -> Result<bool, Error> {
        match self.file.try_lock() {
            Ok(()) => self.share_again(),
            // Trying lets go of what was held.
            Err(TryLockError::WouldBlock) => self.share_again().map(|_| false),
            Err(TryLockError::Error(source)) if has_none(&source) => Ok(false),
            Err(TryLockError::Error(source)) => Err(refused(&self.path(), source)),
        }
    }

    fn step_aside(&self, pause: Duration) -> Result<(), Error> {
        self.file.unlock().map_err(|source| Error::Local {
            verb: "unlock",
            path: self.path(),
            source,
        })?;
        std::thread::sleep(pause);
        self.share(&|| {})
    }

    fn take(&self, work: Work) -> Result<Box<dyn Held>, Error> {
        let (name, patience) = match work {
            Work::List => ("lock-list", PATIENCE),
            Work::Reorganise => ("lock-work", Duration::ZERO),
        };
        let file = open(&self.root, name)?;
        let got = try_for(&self.root.join(name), patience, || file.try_lock(), |_| {})?;
        if got {
            Ok(Box::new(HeldFile { _file: file }))
        } else {
            Err(Error::Busy { path: self.root.clone() })
        }
    }

    fn keeps_others_out(&self) -> bool {
        !self.is_missing
    }
}

impl Drop for RepositoryLock {
    fn drop(&mut self) {
        // Closing lets go as well; an error here changes nothing.
        crate::tolerate(self.file.unlock());
    }
}

/// A lock file that one process holds.
#[derive(Debug)]
struct HeldFile {
    /// Let go of when it is closed.
    _file: File,
}

impl Held for HeldFile {}
