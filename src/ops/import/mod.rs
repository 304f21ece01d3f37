//! `import`: one of Jellyfin's own zips becomes a snapshot, dated as it says, that shares what it can with all others.

mod database;
mod job;
mod kept;
mod neighbour;
mod plan;

use std::path::Path;
use std::time::Instant;

use crate::archive::{
    DATABASE_NAME, HISTORY_BYTES_MAX, HISTORY_NAME, History, MANIFEST_BYTES_MAX, MANIFEST_NAME, Manifest, Schema, SchemaError, ZipReader, read_history_json,
};
use crate::manifest::{ByteCounts, Catalog, Directories, Learnt, Owners, ServerRecord, SnapshotId, SnapshotRecord, SourceRecord};
use crate::progress::Phase;
use crate::source::{Category, history_hash, version};
use crate::store::{Index, IndexMode, PackStreams, Repository};

pub use self::kept::build_known;

use self::database::{build, stored_as_it_is};
use self::plan::Plan;
use super::kept_tables::KEPT;
use super::snapshot::begin_list;
use super::snapshot::collect::Collector;
use super::snapshot::packer::Packer;
use super::{Error, Watch, find_instance};

/// Beginning of the remark that says what a zip lacked.
pub(super) const NOT_IN_ZIP: &str = "the zip does not hold, and so neither does the snapshot: ";

/// How far a clock may be ahead, in nanoseconds.
const FUTURE_NS: i128 = 86_400 * 1_000_000_000;

/// How a zip is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// A name for the snapshot.
    pub label: Option<String>,
    /// Words for the snapshot.
    pub note: Option<String>,
    /// The time zone of the server that made the zip: a zip has no other clock.
    pub zone: jiff::tz::TimeZone,
    /// Import it though the repository has it already.
    pub force: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
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

/// What a zip says, before its files are looked at.
struct Opened {
    zip: ZipReader,
    manifest: Manifest,
    key: String,
    history: History,
    schema: Option<&'static Schema>,
    /// Why the tables are kept as they are.
    unknown: Option<String>,
    /// The date that its manifest gives, where that has not come yet.
    from_the_future: Option<String>,
}

/// Imports a zip.
pub fn import(repository: &Repository, path: &Path, options: &ImportOptions, watch: Watch<'_>) -> Result<ImportReport, Error> {
    let opened = open(path)?;
    if !options.force
        && let Some((id, record)) = Catalog::newest(repository, |record| record.source.key == opened.key)?
    {
        return Ok(ImportReport { id, record, was_there: true });
    }
    let (id, record) = make(repository, path, opened, options, |record| record, watch)?;
    // Another import of the same zip may have come first.
    if !options.force
        && let Some((id, record)) = Catalog::newest(repository, |known| known.source.key == record.source.key)?
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
    watch: Watch<'_>,
) -> Result<(SnapshotId, SnapshotRecord), Error> {
    let begun = Instant::now();
    let failed = |source| Error::Zip { path: path.to_path_buf(), source: Box::new(source) };
    let mut plan = Plan::of(&opened.zip, opened.schema, opened.unknown.is_some());
    if opened.manifest.options.database && opened.history.is_empty() && opened.zip.find(DATABASE_NAME).is_none() {
        plan.problem(
            HISTORY_NAME,
            "it is missing or empty, so the tables could not be made a database; users, watch state and library are not in this snapshot",
        );
    }
    if let Some(date) = &opened.from_the_future {
        plan.problem(MANIFEST_NAME, format!("it says that it was made at {date}, which has not come yet; the snapshot is dated now"));
    }
    if let Some(problem) = begin_list(repository, jiff::Timestamp::now().as_nanosecond())? {
        plan.problem(&problem.path, problem.what);
    }
    let index = Index::open(repository, IndexMode::Use)?;
    let config = repository.config();
    let packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut collector = Collector::new(PackStreams::new(repository, &index, Collector::STREAMS), &index, packer, None, false);
    let database = match opened.schema {
        _ if opened.zip.find(DATABASE_NAME).is_some() => {
            stored_as_it_is(&opened.zip, opened.manifest.created.ns(), repository, &index, &mut collector, watch).map_err(|e| e.in_zip(path))?
        }
        Some(schema) => {
            let time_ns = opened.manifest.created.ns();
            build(&opened.zip, (schema, &opened.history, time_ns), repository, &index, &mut collector, &mut plan, watch).map_err(|e| e.in_zip(path))?
        }
        None => None,
    };
    if let Some(Err(error)) = database.as_ref().map(|database| &database.facts) {
        plan.problem(DATABASE_NAME, format!("which server wrote it cannot be read from it ({error}); its bytes are in this snapshot"));
    }
    let created = opened.manifest.created.ns();
    watch.progress.phase(Phase::Import, plan.count, plan.bytes);
    for problem in plan.take_problems() {
        watch.progress.problem(&problem);
        collector.problem(problem);
    }
    let wanted = plan.categories(&opened.manifest.options, database.is_some());
    let stored = job::store(&opened.zip, plan, database.as_ref(), created, repository, &index, &mut collector, options, watch);
    if let Err(error) = stored {
        collector.abandon();
        if matches!(error, job::Failure::Stopped(Error::Interrupted)) {
            collector.finish_interrupted()?;
        }
        return Err(error.in_zip(path));
    }
    watch.progress.phase(Phase::Commit, 0, 0);
    let categories = collector.close_trees(&wanted)?;
    let (problems, problem_count, files) = (std::mem::take(&mut collector.problems), collector.problem_count, collector.files);
    let read_bytes = collector.read_bytes;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // Facts that could not be read were told as a problem above.
    let facts = database.and_then(|database| database.facts.ok()).unwrap_or_default();
    let mut record = SnapshotRecord {
        // The manifest's reading lets no year pass that this does not hold.
        time_ns: i64::try_from(created).unwrap_or_default(),
        parent: None,
        label: options.label.clone(),
        note: options.note.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: SourceRecord {
            key: opened.key.clone(),
            host: "a zip".to_owned(),
            how: format!("imported from {name}"),
            directories: Directories::new(),
            seen_by_server: facts.directories,
        },
        server: ServerRecord {
            version: Some(Learnt {
                value: version::display(&server_version(&opened)).to_owned(),
                how: "the zip's manifest".to_owned(),
                // Our own zips, which alone hold the server's id, may say no more than a lower bound.
                exact: opened.zip.find("Data/device.txt").is_none(),
            }),
            id: server_id(&opened.zip).map_err(failed)?,
            schema: facts.schema.or_else(|| newest(&opened.history, false)),
            code_migration: facts.code_migration.map(|(id, _)| id).or_else(|| newest(&opened.history, true)),
            history: facts.history.or_else(|| history_hash(&opened.history)),
        },
        categories,
        files,
        bytes: ByteCounts { source: 0, read: read_bytes, new_raw: 0, new_stored: 0 },
        took_ms: 0,
        excluded: Vec::new(),
        problems,
        problem_count,
        remarks: remarks(&opened, &wanted),
        owners: Owners::default(),
    };
    record.bytes.source = record.categories.values().map(|category| category.bytes).sum();
    record.files.total = record.categories.values().map(|category| category.files).sum();
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    let id = SnapshotId::at(u64::try_from(created / 1_000_000).unwrap_or_default(), random);
    let mut record = finish(record);
    let copy_bytes = collector.store_record_copy(id, &record)?;
    let (stored, _) = collector.finish()?;
    if index.unplaced() != 0 {
        return Err(crate::store::Error::Unplaced { chunks: index.unplaced() }.into());
    }
    (record.bytes.new_raw, record.bytes.new_stored) = (stored.raw_bytes - copy_bytes, stored.stored_bytes);
    if stored.packs > 0 || index.trailers_read() > 0 {
        index.commit()?;
    }
    record.took_ms = begun.elapsed().as_millis() as u64;
    Ok((id, record))
}

/// Opens a zip and reads what it says of itself.
fn open(path: &Path) -> Result<Opened, Error> {
    let failed = |source| Error::Zip { path: path.to_path_buf(), source: Box::new(source) };
    let zip = ZipReader::open(path).map_err(failed)?;
    let not_ours = |what: String| Error::NotABackup { path: path.to_path_buf(), what };
    let Some(entry) = zip.find(MANIFEST_NAME) else { return Err(not_ours("it has no manifest.json".to_owned())) };
    let bytes = zip.read_small(entry, MANIFEST_BYTES_MAX).map_err(failed)?;
    let mut manifest = Manifest::read(&bytes).map_err(|error| not_ours(error.to_string()))?;
    let now = jiff::Timestamp::now().as_nanosecond();
    let from_the_future = (manifest.created.ns() > now + FUTURE_NS).then(|| manifest.created.json());
    if from_the_future.is_some() {
        // It would be the latest for ever.
        manifest.created = crate::archive::Date::of_ns(now);
    }
    let key = key(&zip);
    let mut history = History::new();
    if let Some(entry) = zip.find(HISTORY_NAME).filter(|_| zip.find(DATABASE_NAME).is_none()) {
        let bytes = zip.read_small(entry, HISTORY_BYTES_MAX).map_err(failed)?;
        history = read_history_json(bytes.as_slice()).map_err(|error| not_ours(error.to_string()))?;
    }
    let (schema, unknown) = match Schema::of(&history) {
        Ok(schema) => (Some(schema), None),
        Err(SchemaError::NoHistory) => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Opened { zip, manifest, key, history, schema, unknown, from_the_future })
}

/// The newest migration of the schema, or of the code.
fn newest(history: &[(String, String)], code: bool) -> Option<String> {
    history.iter().filter(|(_, version)| (version.split('.').count() == 4) == code).map(|(id, _)| id.clone()).max()
}

/// The version that the zip says; where its tables are of a newer one, that.
fn server_version(opened: &Opened) -> String {
    let said = &opened.manifest.server_version;
    match opened.schema {
        Some(schema) if version::parse(&schema.first) > version::parse(said) => schema.first.clone(),
        _ => said.clone(),
    }
}

/// Names a zip by what is in it, so that a second import of it is known.
fn key(zip: &ZipReader) -> String {
    let mut hasher = blake3::Hasher::new();
    for entry in &zip.entries {
        hasher.update(zip.name(entry).as_bytes()).update(&[0]).update(&entry.size().to_le_bytes()).update(&entry.crc().to_le_bytes());
    }
    format!("zip-{}", hasher.finalize().to_hex().chars().take(32).collect::<String>())
}

/// `Data/device.txt`, which only our own zips hold.
fn server_id(zip: &ZipReader) -> Result<Option<String>, crate::archive::ZipError> {
    let Some(entry) = zip.find("Data/device.txt") else { return Ok(None) };
    Ok(find_instance::server_id(&String::from_utf8_lossy(&zip.read_small(entry, 4096)?)))
}

/// What no zip, or not this one, holds.
fn remarks(opened: &Opened, wanted: &[Category]) -> Vec<String> {
    let mut missing = vec!["plugins"];
    if opened.schema.is_some() {
        missing.push("home sections");
    }
    if opened.zip.find("Data/device.txt").is_none() {
        missing.push("the server's id");
    }
    let expected = [Category::Metadata, Category::Subtitles, Category::Trickplay, Category::Attachments];
    missing.extend(expected.into_iter().filter(|category| !wanted.contains(category)).map(Category::name));
    let kept = opened.unknown.as_ref().map(|why| {
        format!("{KEPT}{why}. They are listed, compared and exported byte for byte; jellyvault schema learn makes them a database, or a newer jellyvault does")
    });
    kept.into_iter().chain([format!("{NOT_IN_ZIP}{}", missing.join(", "))]).collect()
}
