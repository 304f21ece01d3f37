//! Copies of a repository: how one is opened, and when each was brought up to date.

use std::path::Path;

use jiff::Timestamp;

use crate::ops;
use crate::service::JobLog;
use crate::store::{Error, Repository};

use super::context::Context;
use super::failure::Failure;

/// Opens the copy of a repository.
pub fn open_copy(
    context: &Context,
    source: &Repository,
    to: &Path,
) -> Result<Result<Repository, Error>, Failure> {
    if Repository::settings_in(to).is_some_and(|config| config.id != source.config().id) {
        return Err(Failure::refused(
            &format!(
                "{} is another repository, not a copy of this one; nothing was changed",
                to.display()
            ),
            "Give an empty directory with --to, or the directory of an earlier copy. To bring snapshots into another repository, use jellyvault copy.",
        ));
    }
    Ok(context.with_access(|access| Repository::open_with_keys(to, source.keys(), access)))
}

/// A failure of what writes into another repository. A disk that is full is that one's.
pub fn failed(error: ops::Error, to: &Path) -> Failure {
    let failure = Failure::from(error);
    if failure.kind() != ops::ErrorKind::DiskFull {
        return failure;
    }
    failure.advising(&format!(
        "The disk that holds {0} is full. Nothing there was damaged. Free some space on it, or delete snapshots there \
         (jellyvault --repo {1} forget, then prune). Then run the same command again: it uses what was copied already.",
        to.display(),
        super::render::argument(to)
    ))
}

/// Notes when a copy was brought up to date. Where that cannot be written, it is copied again.
pub fn note(source: &Repository, place: &Path, began: Timestamp) {
    let Some(path) = source.job_log_file() else { return };
    let mut log = JobLog::read(&path);
    log.copies.insert(place.display().to_string(), began);
    crate::tolerate(log.write(&path));
}

/// The same of a copy that was brought up to date by hand, if the service looks after it.
pub fn note_if_scheduled(context: &Context, source: &Repository, place: &Path, began: Timestamp) {
    let Ok(loaded) = context.settings() else { return };
    let absolute = std::path::absolute(place).unwrap_or_else(|_| place.to_path_buf());
    if let Some(place) = loaded.config.copy.places().iter().find(|known| **known == absolute) {
        note(source, place, began);
    }
}
