//! What is there is kept in a snapshot of its own before the database or the configuration is
//! replaced.

use crate::manifest::SnapshotId;
use crate::source::{Category, DATABASE_PATH, Layout};
use crate::store::{ChunkReader, Repository};

use super::super::ls::short;
use super::super::select::lookup;
use super::super::snapshot::{SnapshotOptions, snapshot};
use super::super::{Error, Monitor};
use super::refuse::live_database;
use super::{InstanceTarget, RestoreOptions};

/// Takes the snapshot, where there is something to keep; its id.
pub(super) fn keep(
    repository: &Repository,
    restored: &SnapshotId,
    target: &InstanceTarget,
    options: &RestoreOptions,
    monitor: &Monitor,
) -> Result<Option<SnapshotId>, Error> {
    let replaces = options.selection.touches(Category::Database, DATABASE_PATH)
        || [b"config".as_slice(), b"root", b"data/playlists", b"data/collections"]
            .iter()
            .any(|path| options.selection.touches(Category::Config, path));
    if options.dry_run || !options.safety_snapshot || !replaces {
        return Ok(None);
    }
    let own = SnapshotOptions {
        is_safety: true,
        note: Some(format!("before snapshot {} was restored", short(restored))),
        host: options.host.clone(),
        ..SnapshotOptions::default()
    };
    let hint = "Nothing was changed. Fix this, or skip the snapshot with --no-safety-snapshot: then the data that the restore replaces is lost.".to_owned();
    let report = match snapshot(repository, &target.spec, &own, monitor) {
        Ok(report) => report,
        // Nothing is there that could be lost.
        Err(Error::EmptySource { .. }) => return Ok(None),
        Err(Error::Interrupted) => return Err(Error::Interrupted),
        Err(error) => {
            return Err(Error::Refused {
                what: format!(
                    "the snapshot of the current state, which is taken first, failed: {}",
                    super::super::in_one_line(&error)
                ),
                hint,
            });
        }
    };
    let has_database = live_database(&Layout::of(&target.instance))?.is_some();
    let index = repository.index()?;
    if has_database
        && lookup(&mut ChunkReader::new(repository, &index), &report.record, DATABASE_PATH)?
            .is_none()
    {
        let why = report
            .record
            .problems
            .iter()
            .find(|problem| problem.path.as_bytes() == DATABASE_PATH)
            .map(|problem| problem.what.clone())
            .unwrap_or_default();
        return Err(Error::Refused {
            what: format!(
                "the snapshot of the current database, which is taken first, failed: {why}"
            ),
            hint,
        });
    }
    Ok(report.id)
}
