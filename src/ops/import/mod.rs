//! `import`: one of Jellyfin's own zips becomes a snapshot, dated as it says, that shares what it
//! can with all others.

mod built;
mod database;
mod failure;
mod job;
mod kept;
mod neighbour;
mod opened;
mod plan;
mod record;
mod spool;

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::archive::{DATABASE_NAME, HISTORY_NAME, MANIFEST_NAME};
use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, PackStreams, Repository};

pub use self::kept::build_known;

use self::opened::{Opened, open};
use self::plan::Plan;
use self::record::record_of;
use super::ingest::collect::Collector;
use super::ingest::packer::Packer;
use super::snapshot::begin_list;
use super::{Error, Monitor};

/// How a zip is imported.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportOptions {
    /// A name for the snapshot.
    pub label: Option<String>,
    /// Words for the snapshot.
    pub note: Option<String>,
    /// The time zone of the server that made the zip: a zip has no other clock.
    #[serde(with = "jiff::fmt::serde::tz::required")]
    pub zone: jiff::tz::TimeZone,
    /// Import it though the repository has it already.
    pub force: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

impl Default for ImportOptions {
    fn default() -> ImportOptions {
        ImportOptions {
            label: None,
            note: None,
            zone: jiff::tz::TimeZone::system(),
            force: false,
            threads: 0,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ImportReport {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its record.
    pub record: SnapshotRecord,
    /// It was there already, from an earlier import of the same zip.
    pub was_there: bool,
}

/// Imports a zip.
pub fn import(
    repository: &Repository,
    path: &Path,
    options: &ImportOptions,
    monitor: &Monitor,
) -> Result<ImportReport, Error> {
    import_open(repository, (path, None), options, monitor)
}

/// The same of a zip that is open already; its path is for messages.
pub fn import_open(
    repository: &Repository,
    (path, file): (&Path, Option<File>),
    options: &ImportOptions,
    monitor: &Monitor,
) -> Result<ImportReport, Error> {
    let opened = open(path, file)?;
    if !options.force
        && let Some((id, record)) =
            Catalog::newest(repository, |record| record.source.key == opened.key)?
    {
        return Ok(ImportReport { id, record, was_there: true });
    }
    let (id, record) = make(repository, path, opened, options, |record| record, monitor)?;
    // Another import of the same zip may have come first.
    if !options.force
        && let Some((id, record)) =
            Catalog::newest(repository, |known| known.source.key == record.source.key)?
    {
        return Ok(ImportReport { id, record, was_there: true });
    }
    Catalog::publish(repository, id, &record, false)?;
    Ok(ImportReport { id, record, was_there: false })
}

/// Stores what is in a zip; the record of the snapshot that it can become, which nobody knows yet.
fn make(
    repository: &Repository,
    path: &Path,
    opened: Opened,
    options: &ImportOptions,
    finish: impl FnOnce(SnapshotRecord) -> SnapshotRecord,
    monitor: &Monitor,
) -> Result<(SnapshotId, SnapshotRecord), Error> {
    let begun = Instant::now();
    let created = opened.manifest.created.ns();
    let mut plan = plan_of(repository, &opened)?;
    let index = Index::open(repository, IndexMode::Use)?;
    let config = repository.config();
    let packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut collector = Collector::new(
        PackStreams::new(repository, &index, Collector::STREAMS),
        &index,
        packer,
        None,
        false,
    );
    let database = database::store(&opened, repository, &index, &mut collector, &mut plan, monitor)
        .map_err(|error| error.in_zip(path))?;
    monitor.progress.phase(Phase::Import, plan.count, plan.bytes);
    for problem in plan.take_problems() {
        monitor.progress.problem(&problem);
        collector.problem(problem);
    }
    let wanted = plan.categories(&opened.manifest.options, database.is_some());
    if let Err(error) = job::store(
        &opened.zip,
        plan,
        database.as_ref(),
        created,
        repository,
        &index,
        &mut collector,
        options,
        monitor,
    ) {
        collector.abandon();
        if matches!(error, failure::Failure::Stopped(Error::Interrupted)) {
            collector.finish_interrupted()?;
        }
        return Err(error.in_zip(path));
    }
    monitor.progress.phase(Phase::Commit, 0, 0);
    let categories = collector.close_trees(&wanted)?;
    // Facts that could not be read were told as a problem.
    let facts = database.and_then(|database| database.facts.ok()).unwrap_or_default();
    let mut record = record_of(path, &opened, facts, &wanted, &mut collector, options)?;
    record.bytes.source = categories.values().map(|category| category.bytes).sum();
    record.files.total = categories.values().map(|category| category.files).sum();
    record.categories = categories;
    let mut record = finish(record);
    let id = id_of(created, &Catalog::ids(repository)?)?;
    let copy_bytes = collector.store_record_copy(id, &record)?;
    let (stored, _) = collector.finish()?;
    if index.unplaced() != 0 {
        return Err(crate::store::Error::Unplaced { chunks: index.unplaced() }.into());
    }
    (record.bytes.new_raw, record.bytes.new_stored) =
        (stored.raw_bytes - copy_bytes, stored.stored_bytes);
    if stored.packs > 0 || index.trailers_read() > 0 {
        index.commit()?;
    }
    record.took_ms = begun.elapsed().as_millis() as u64;
    Ok((id, record))
}

/// What is to be stored of a zip, and what is wrong with it at first sight.
fn plan_of(repository: &Repository, opened: &Opened) -> Result<Plan, Error> {
    let mut plan = Plan::of(&opened.zip, opened.schema, opened.unknown.is_some());
    if opened.manifest.options.database
        && opened.history.is_empty()
        && opened.zip.find(DATABASE_NAME).is_none()
    {
        plan.problem(
            HISTORY_NAME,
            "it is missing or empty, so no database could be built from the tables; users, watch state and library are not in this snapshot",
        );
    }
    if let Some(date) = &opened.from_the_future {
        plan.problem(
            MANIFEST_NAME,
            format!("its date {date} is in the future, so the snapshot has the current time"),
        );
    }
    if let Some(problem) = begin_list(repository, jiff::Timestamp::now().as_nanosecond())? {
        plan.problem(&problem.path, problem.what);
    }
    Ok(plan)
}

/// A snapshot of a zip is as old as the zip. People name a snapshot by the milliseconds in its id:
/// where another has the same, as the one has that the zip was made of, it is the next that nobody
/// has.
fn id_of(created_ns: i128, others: &[SnapshotId]) -> Result<SnapshotId, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    let mut time_ms = u64::try_from(created_ns / 1_000_000).unwrap_or_default();
    while others.iter().any(|other| other.time_ms() == time_ms) {
        time_ms += 1;
    }
    Ok(SnapshotId::at(time_ms, random))
}
