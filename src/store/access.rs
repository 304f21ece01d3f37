//! What opens an encrypted repository.

use std::path::PathBuf;

use super::Error;
use super::encryption::{KeySlots, Keys};

/// What opens an encrypted repository, and where this machine keeps what is derived from one.
pub struct Access<'a> {
    /// Asked where a repository is encrypted: the keys that one of its slots gives.
    pub keys: &'a dyn Fn(&KeySlots) -> Result<Keys, Error>,
    /// The user's cache directory. What is derived from an encrypted repository is not kept beside
    /// it; in memory where this is not given.
    pub cache_home: Option<PathBuf>,
    /// Called where another process is reorganising the repository and has to be waited for.
    pub waiting: &'a dyn Fn(),
}

impl Access<'_> {
    /// None: it opens what is not encrypted.
    pub fn none() -> Access<'static> {
        Access { keys: &|_| Err(Error::Locked), cache_home: None, waiting: &|| {} }
    }
}
