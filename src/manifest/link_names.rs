//! What the files of the list of snapshots are called: each link has a number.

use crate::store::Repository;

use super::Error;

/// The file of a link.
pub(super) fn link_name(number: u64) -> String {
    format!("list/{number:016x}.link")
}

/// The number of a link's file.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let stem = name.strip_prefix("list/")?.strip_suffix(".link")?;
    (stem.len() == 16).then(|| u64::from_str_radix(stem, 16).ok()).flatten()
}

/// Which of these files are links, with their numbers.
pub(super) fn links_in(names: Vec<String>) -> Vec<(u64, String)> {
    names.into_iter().filter_map(|name| Some((number_of(&name)?, name))).collect()
}

/// The number of the newest link; nothing where there is no list.
pub(super) fn newest_link(repository: &Repository) -> Result<Option<u64>, Error> {
    Ok(links_in(repository.backend().names("list/")?).iter().map(|(number, _)| *number).max())
}
