//! `init`: an empty folder becomes a repository.

use std::path::Path;

use crate::store::{RepoConfig, Repository};

use super::Error;

/// Makes a repository, with recovery blocks beside each pack in thousandths of its size.
pub fn init(root: &Path, parity_permille: u32) -> Result<Repository, Error> {
    Ok(Repository::init_folder(root, &RepoConfig { parity_permille, ..RepoConfig::new()? })?)
}
