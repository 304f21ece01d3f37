//! The pictures as they are, in a snapshot of their own, before one of them is replaced through the
//! server.

use crate::manifest::SnapshotId;
use crate::source::Category;
use crate::store::Repository;

use super::restore::InstanceTarget;
use super::snapshot::{SnapshotOptions, snapshot};
use super::{Error, Monitor};

/// Takes it; its id, or nothing where the server keeps no pictures.
pub(crate) fn keep_pictures(
    repository: &Repository,
    target: &InstanceTarget,
    (item, picture): (&str, &str),
    host: String,
    monitor: &Monitor,
) -> Result<Option<SnapshotId>, Error> {
    let options = SnapshotOptions {
        only: vec![Category::Metadata, Category::Database],
        is_safety: true,
        note: Some(format!("before {picture} of {item} was replaced")),
        host,
        ..SnapshotOptions::default()
    };
    match snapshot(repository, &target.spec, &options, monitor) {
        Ok(report) => Ok(report.id),
        Err(Error::EmptySource { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
