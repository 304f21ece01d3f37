//! What a name that a user gives can mean, as far as the name alone tells.

use super::SnapshotId;

/// A name that names no snapshot, or several.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The repository has no snapshot at all.
    #[error("the repository contains no snapshots yet")]
    Empty,
    /// None fits.
    #[error("no snapshot matches {name:?}")]
    None {
        /// What was asked for.
        name: String,
    },
    /// Several fit.
    #[error("{name:?} matches {} snapshots", candidates.len())]
    Several {
        /// What was asked for.
        name: String,
        /// Those that fit, oldest first.
        candidates: Vec<SnapshotId>,
    },
}

/// An id with so many digits, which is how ids are shown, is never taken for a label.
const ID_DIGITS: usize = 12;

/// How many snapshots lie behind the one that `latest` or `latest~N` names.
pub(super) fn back_from_latest(name: &str) -> Option<usize> {
    let back = name.strip_prefix("latest")?;
    if back.is_empty() { Some(0) } else { back.strip_prefix('~')?.parse().ok() }
}

/// The one id that begins with so many digits.
pub(super) fn id_of_digits(name: &str, ids: &[SnapshotId]) -> Option<SnapshotId> {
    let digits = name.to_ascii_lowercase();
    if digits.len() < ID_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut fitting = ids.iter().filter(|id| id.to_string().starts_with(&digits));
    fitting.next().filter(|_| fitting.next().is_none()).copied()
}
