//! How far had the list of an encrypted repository come when this machine last saw it? An older
//! state that somebody put back, or a disk that was restored, is told by that: links are numbered,
//! and numbers only grow.

use std::io::Read;
use std::path::Path;

use crate::backend::{CacheFile, open_to_read};
use crate::progress::Problem;
use crate::store::Repository;

use super::Error;
use super::link_names::newest_link;

/// More bytes than a number and a line break have.
const DIGITS_MAX: u64 = 32;

/// A list that went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WentBack {
    /// The number of the newest link that this machine has seen.
    pub seen: u64,
    /// The number of the newest link that is there.
    pub now: Option<u64>,
}

impl WentBack {
    /// What that means, for the user.
    pub fn words(&self) -> String {
        "the list of snapshots is older than the one that this machine saw before: an earlier state of the repository was put back, or its newest changes \
         are gone. Snapshots that were taken meanwhile are missing, and ones that were forgotten may be back. If you did that yourself, run jellyvault \
         repair, which accepts the list as it is"
            .to_owned()
    }

    /// The same, as a problem of the list.
    pub fn problem(&self) -> Problem {
        Problem { path: "list".to_owned(), what: self.words() }
    }
}

/// Whether the list went back; where it went on, that is noted.
///
/// # Errors
/// Where the list cannot be read.
pub fn went_back(repository: &Repository) -> Result<Option<WentBack>, Error> {
    let Some(file) = repository.seen_file() else { return Ok(None) };
    let now = newest_link(repository)?;
    match (read(&file), now) {
        (Some(seen), now) if now.is_none_or(|now| now < seen) => Ok(Some(WentBack { seen, now })),
        (_, Some(now)) => {
            note(repository, now);
            Ok(None)
        }
        (_, None) => Ok(None),
    }
}

/// Notes a link. A machine that cannot write it down only notices less.
pub(super) fn note(repository: &Repository, number: u64) {
    let Some(file) = repository.seen_file() else { return };
    if read(&file).is_none_or(|seen| seen < number) {
        crate::tolerate(write(&file, number));
    }
}

/// Takes the list as it is from now on.
///
/// # Errors
/// Where the list cannot be read.
pub fn accept(repository: &Repository) -> Result<(), Error> {
    let Some(file) = repository.seen_file() else { return Ok(()) };
    crate::tolerate(write(&file, newest_link(repository)?.unwrap_or_default()));
    Ok(())
}

fn read(file: &Path) -> Option<u64> {
    let mut text = String::new();
    open_to_read(file).ok()?.take(DIGITS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write(file: &Path, number: u64) -> std::io::Result<()> {
    let mut new = CacheFile::begin(file)?;
    new.append(format!("{number}\n").as_bytes())?;
    new.finish()
}
