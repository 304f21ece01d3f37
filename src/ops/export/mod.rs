//! `export`: a snapshot becomes a zip that Jellyfin itself restores. Read the database, plan the
//! entries, write, make durable, read back.

mod contents;
mod database;
mod deflate;
mod draft;
mod facts;
mod fit;
mod folded;
mod into_writer;
mod item;
mod kept;
mod old_library;
mod options;
mod pictures;
mod pour;
mod private_file;
mod read_back;
mod report;
mod walk;
mod work;

use std::path::Path;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::progress::Phase;
use crate::store::{ChunkReader, Repository};

use self::contents::{Contents, check_categories};
use self::draft::Draft;
use self::pour::Pourer;
use self::report::report_of;
use super::{Error, Monitor};

pub use fit::{JellyfinTarget, Place, check_fits, place_in};
pub use into_writer::export_into;
pub use options::{ExportKind, ExportOptions, ExportReport};
pub use private_file::{PrivateFile, database_of};

/// Writes a zip of a snapshot: read the database, refuse what no server could restore, write, make
/// durable, read back.
pub fn export(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    file: &Path,
    place: Option<&Place>,
    options: &ExportOptions,
    monitor: &Monitor,
) -> Result<ExportReport, Error> {
    let (id, record) = snapshot;
    check_categories(record, id, options)?;
    draft::check_target(file, options.force)?;
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut contents = Contents::of(repository, snapshot, &mut reader, options, monitor)?;
    if let Some(place) = place {
        contents.check_place(place, repository)?;
    }
    let repairs = contents.mend(monitor)?;
    let mut draft = Draft::begin(file, place, options.force)?;
    draft.check_space(contents.expected_bytes())?;
    let (files, bytes) = record
        .categories
        .values()
        .fold((0, 0), |(files, bytes), category| (files + category.files, bytes + category.bytes));
    monitor.progress.phase(Phase::Export, files, bytes);
    let mut pourer =
        Pourer::new(draft.take_file()?, draft.spool()?, repository, &index, options, monitor);
    let poured =
        pourer.write(|pourer| contents.pour(pourer, &mut reader)).map_err(|error| match error {
            Error::Output(source) => draft.failed("write", source),
            error => error,
        })?;
    let problems = std::mem::take(&mut pourer.problems);
    monitor.progress.phase(Phase::Commit, 0, 0);
    let (zip, written) = pourer.finish().map_err(|source| draft.failed("write", source))?;
    monitor.progress.phase(Phase::ReadBack, written.entries, written.bytes);
    // The disk takes the rest of it while it is read.
    std::thread::scope(|scope| {
        let settled = scope.spawn(|| draft.settle(&zip));
        let right = read_back::read_back(&zip, &written, draft.path(), options.threads(), monitor);
        settled.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(right)
    })?;
    draft.publish(&zip)?;
    // Once it is there it is named in full.
    let path = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let report = ExportReport {
        path,
        bytes: written.bytes,
        entries: written.entries,
        repairs,
        problems,
        ..report_of(snapshot, place, &contents, &poured, options)
    };
    Ok(report)
}
