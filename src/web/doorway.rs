//! Where the repository lies, and how pages come into it: it is open for one request at a time only,
//! so that prune never waits for an open browser tab.

use std::path::PathBuf;

use crate::ops::{Error, Session, SharedAccess};

/// Where a repository lies, and what opens it.
#[derive(Clone)]
pub struct Doorway {
    /// Its folder.
    pub folder: PathBuf,
    /// The keys that the scheduler has found.
    pub access: SharedAccess,
}

impl Doorway {
    /// Opens the repository.
    pub(super) fn open(&self) -> Result<Session, Error> {
        Ok(Session::on(self.access.open(&self.folder)?))
    }
}
