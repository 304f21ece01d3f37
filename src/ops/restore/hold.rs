//! One command at a time changes a server. The marker of a change that is under way looks like that
//! of one that was interrupted: who does not hold the server believes neither.

use std::os::fd::OwnedFd;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::source::{Instance, Layout};

use super::super::Error;

/// A server that only this process changes, until this is dropped.
#[must_use]
pub(in crate::ops) struct Held {
    /// Its data directory, with the lock. Nothing where there is none yet, or where the file system
    /// has no locks.
    _dir: Option<OwnedFd>,
}

/// Holds a server.
///
/// # Errors
/// [`Error::Refused`] where another process does.
pub(in crate::ops) fn hold(instance: &Instance) -> Result<Held, Error> {
    let layout = Layout::of(instance);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = layout
        .opener
        .dir(instance.program_data.as_ref())
        .ok()
        .and_then(|dir| rustix::fs::openat(&dir, ".", flags, Mode::empty()).ok());
    let Some(dir) = dir else { return Ok(Held { _dir: None }) };
    match rustix::fs::flock(&dir, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Held { _dir: Some(dir) }),
        Err(Errno::WOULDBLOCK) => Err(Error::Refused {
            what: format!(
                "another jellyvault is changing the server in {} at this moment; nothing was changed",
                instance.program_data
            ),
            hint: "Wait until it has finished, then look at what it did before you run this again."
                .to_owned(),
        }),
        Err(_) => Ok(Held { _dir: None }),
    }
}
