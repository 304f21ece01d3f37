//! `init`: an empty folder becomes a repository.

use std::path::Path;

use crate::store::Repository;

use super::Error;

/// Makes a repository.
pub fn init(root: &Path) -> Result<Repository, Error> {
    Ok(Repository::init(root)?)
}
