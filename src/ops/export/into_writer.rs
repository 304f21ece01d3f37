//! A zip for any writer: a web page, another machine.

use std::io::Write;
use std::path::PathBuf;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::progress::Monitor;
use crate::source::ScratchFolder;
use crate::store::Repository;

use super::super::Error;
use super::{ExportOptions, ExportReport, export};

/// Writes a zip of a snapshot to any writer, once it was read back whole. The report names no file.
///
/// # Errors
/// As [`export`], and [`Error::Output`] where the writer takes no more.
pub fn export_into(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    out: &mut impl Write,
    options: &ExportOptions,
    monitor: &Monitor,
) -> Result<ExportReport, Error> {
    let place = repository.scratch_folder();
    let folder = ScratchFolder::create(&place).map_err(|source| Error::Target {
        verb: "create a folder in",
        path: place,
        source,
    })?;
    let file = folder.path.join("jellyfin-backup.zip");
    let report = export(repository, snapshot, &file, None, options, monitor)?;
    let mut zip = std::fs::File::open(&file).map_err(|source| Error::Target {
        verb: "read",
        path: file,
        source,
    })?;
    std::io::copy(&mut zip, out).and_then(|_| out.flush()).map_err(Error::Output)?;
    Ok(ExportReport { path: PathBuf::new(), ..report })
}
