//! `export`: a snapshot becomes a zip that Jellyfin itself restores. Read the database, plan the entries, write, make durable, read back.

mod database;
mod deflate;
mod draft;
mod fit;
mod pour;
mod read_back;
mod walk;

use std::path::{Path, PathBuf};

use crate::archive::{DumpStyle, Manifest, Options as Parts, Repairs, Schema, four_parts};
use crate::manifest::{Directories, SnapshotId, SnapshotRecord, find};
use crate::progress::{Phase, Problem};
use crate::source::{Category, DATABASE_PATH};
use crate::store::{ChunkReader, Index, IndexMode, Repository};

use self::database::PrivateDatabase;
use self::draft::Draft;
use self::pour::Pourer;
use super::ls::short;
use super::select::categories;
use super::{Error, Watch};

pub use fit::{JellyfinTarget, Place, check_fits, place_in};

/// Which zip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// With the database's tables, as the server writes them.
    Tables,
    /// With the database page for page.
    Exact,
}

impl ExportKind {
    /// The word of the command line.
    pub fn word(self) -> &'static str {
        match self {
            ExportKind::Tables => "tables",
            ExportKind::Exact => "exact",
        }
    }
}

/// How a zip is written.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Which zip.
    pub kind: ExportKind,
    /// Categories; empty means all that a zip can hold.
    pub only: Vec<Category>,
    /// The version whose server is to restore it, where that is not the snapshot's.
    pub target: Option<String>,
    /// The server's time zone: a zip has no other clock.
    pub zone: jiff::tz::TimeZone,
    /// Write it just as the server would, with what its own backup loses; for comparison.
    pub as_server: bool,
    /// Replace a file that stands there.
    pub force: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct ExportReport {
    /// The zip.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its entries.
    pub entries: u64,
    /// Which zip it is.
    pub kind: ExportKind,
    /// The server's version that its manifest names.
    pub server_version: String,
    /// Versions that restore it, for the user.
    pub versions: String,
    /// Directories that the server must have, where they are known.
    pub directories: Directories,
    /// What its manifest says is in it.
    pub parts: Parts,
    /// Rows that were mended.
    pub repairs: Repairs,
    /// Files that are not in it though they belong there.
    pub problems: Vec<Problem>,
    /// What a restore of it does not bring back, each in a few words.
    pub missing: Vec<String>,
    /// What the user should know and is no problem.
    pub remarks: Vec<String>,
}

/// What the database tells before anything is written.
struct Facts {
    schema: Option<&'static Schema>,
    server_version: String,
    versions: String,
    parts: Parts,
}

/// Writes a zip of a snapshot.
pub fn export(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    file: &Path,
    place: Option<&Place>,
    options: &ExportOptions,
    watch: Watch<'_>,
) -> Result<ExportReport, Error> {
    let (id, record) = snapshot;
    check_categories(record, id, options)?;
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let wants = |category| options.only.is_empty() || options.only.contains(&category);
    let mut database = if wants(Category::Database) { private_database(repository, snapshot, &mut reader, options, watch)? } else { None };
    let facts = facts(snapshot, database.as_ref(), options)?;
    if let (Some(place), Some(database)) = (place, &database) {
        check_fits(snapshot, place, options.kind, facts.schema, &database.history)?;
    }
    let mut repairs = Repairs::default();
    if let (ExportKind::Tables, Some(database)) = (options.kind, &mut database) {
        repairs = database.mend(facts.schema, i128::from(record.time_ns), options.target.is_some())?;
    }
    let mut draft = Draft::begin(file, place, options.force)?;
    draft.check_space(expected_bytes(record, database.as_ref(), options))?;
    let (files, bytes) = record.categories.values().fold((0, 0), |(files, bytes), category| (files + category.files, bytes + category.bytes));
    watch.progress.phase(Phase::Export, files, bytes);
    let mut pourer = Pourer::new(draft.take_file()?, draft.spool()?, repository, &index, options, watch);
    let has_home_sections = pourer.write(|pourer| {
        let has_home_sections = match &database {
            Some(database) => database.pour(pourer, facts.schema, record, options)?,
            None => false,
        };
        let mut walk = walk::Walk::new(pourer, options);
        for (category, manifest) in categories(record) {
            if walk::is_exported(category) && (wants(category) || category == Category::Config) {
                walk.category(category, manifest, &mut reader)?;
            }
        }
        let manifest =
            Manifest { server_version: facts.server_version.clone(), created: crate::archive::Date::of_ns(record.time_ns.into()), options: facts.parts };
        pourer.bytes(crate::archive::MANIFEST_NAME, &manifest.write(facts.schema), record.time_ns)?;
        Ok(has_home_sections)
    });
    let has_home_sections = has_home_sections.map_err(|error| match error {
        Error::Output(source) => draft.failed("write", source),
        error => error,
    })?;
    let problems = std::mem::take(&mut pourer.problems);
    watch.progress.phase(Phase::Commit, 0, 0);
    let (zip, written) = pourer.finish().map_err(|source| draft.failed("write", source))?;
    zip.sync_all().map_err(|source| draft.failed("make durable", source))?;
    watch.progress.phase(Phase::ReadBack, written.entries, written.bytes);
    read_back::read_back(&zip, &written, draft.path(), threads(options), watch)?;
    draft.publish(&zip)?;
    let missing = missing(record, options, has_home_sections);
    Ok(ExportReport {
        path: file.to_path_buf(),
        bytes: written.bytes,
        entries: written.entries,
        kind: options.kind,
        server_version: facts.server_version,
        versions: facts.versions,
        directories: if record.source.seen_by_server.is_empty() {
            instance_directories(&record.source.directories)
        } else {
            record.source.seen_by_server.clone()
        },
        parts: facts.parts,
        repairs,
        problems,
        missing,
        remarks: remarks(database.as_ref()),
    })
}

/// What the user asked for can stand in such a zip, and the snapshot has it.
fn check_categories(record: &SnapshotRecord, id: &SnapshotId, options: &ExportOptions) -> Result<(), Error> {
    if record.source.directories.contains_key("folder") {
        return Err(Error::Refused {
            what: format!("snapshot {} is of a plain folder, of which Jellyfin's zip has no notion", short(id)),
            hint: "Bring it back with restore --to DIR.".to_owned(),
        });
    }
    if let Some(category) = options.only.iter().find(|category| !walk::is_exported(**category)) {
        return Err(Error::Refused {
            what: format!("Jellyfin's zip has no place for {}", category.name()),
            hint: "It can hold database, config, metadata, subtitles, trickplay and attachments. For the rest: restore --only.".to_owned(),
        });
    }
    if let Some(category) = options.only.iter().find(|category| record.category(category.name()).is_none()) {
        return Err(Error::Refused {
            what: format!("snapshot {} was taken without {}", short(id), category.name()),
            hint: "Leave it out, or name another snapshot (list shows them).".to_owned(),
        });
    }
    if options.kind == ExportKind::Exact && !options.only.is_empty() && !options.only.contains(&Category::Database) {
        return Err(Error::Refused {
            what: "an exact zip is there for the sake of the database".to_owned(),
            hint: "Add database to --only, or leave out --exact.".to_owned(),
        });
    }
    Ok(())
}

/// A private copy of the snapshot's database. A snapshot without one has nothing that the zip's restore would not lose.
fn private_database(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    reader: &mut ChunkReader<'_>,
    options: &ExportOptions,
    watch: Watch<'_>,
) -> Result<Option<PrivateDatabase>, Error> {
    let (id, record) = snapshot;
    let entry = match record.category(Category::Database.name()) {
        Some(category) => find(reader, category.manifest, DATABASE_PATH)?,
        None => None,
    };
    match entry {
        Some(entry) => {
            watch.progress.phase(Phase::Database, 1, entry.size());
            PrivateDatabase::fetch(&entry, id, repository, reader, options.kind).map(Some)
        }
        None if options.kind == ExportKind::Exact || options.only.contains(&Category::Database) => Err(Error::Refused {
            what: format!("snapshot {} holds no Jellyfin database", short(id)),
            hint: "Name another snapshot (list shows them), or leave the database out: --only config,metadata,subtitles,trickplay.".to_owned(),
        }),
        None => Ok(None),
    }
}

fn facts(snapshot: &(SnapshotId, SnapshotRecord), database: Option<&PrivateDatabase>, options: &ExportOptions) -> Result<Facts, Error> {
    let (id, record) = snapshot;
    let known = record.server.version.as_ref().map(|version| version.value.clone());
    let has = |category: Category| {
        (options.only.is_empty() || options.only.contains(&category))
            && record.category(category.name()).is_some_and(|found| found.files > 0 || !options.only.is_empty())
    };
    let tables = options.kind == ExportKind::Tables;
    let parts = Parts {
        metadata: has(Category::Metadata),
        trickplay: has(Category::Trickplay),
        subtitles: has(Category::Subtitles),
        database: tables && database.is_some(),
    };
    let named = |schema: Option<&Schema>| known.clone().or_else(|| schema.map(|schema| schema.first.clone()));
    let schema = match database {
        Some(database) if tables => Some(fit::schema_of(database, id, options)?),
        Some(database) => database.schema,
        None => None,
    };
    // A server takes a zip of its own version or an older one: where none is known, the oldest is the one that every server takes.
    let known = named(schema);
    let version = known.clone().unwrap_or_else(|| Schema::all().first().map_or_else(String::new, |oldest| oldest.first.clone()));
    let shown = known.map_or_else(|| "of the version that the snapshot is of,".to_owned(), |version| crate::source::version::display(&version).to_owned());
    let versions = match (options.kind, schema) {
        (ExportKind::Exact, _) => format!("{shown} or newer"),
        (ExportKind::Tables, Some(schema)) => schema.versions.clone(),
        (ExportKind::Tables, None) => format!("{shown} or newer"),
    };
    Ok(Facts { schema: schema.filter(|_| tables), server_version: four_parts(&version), versions, parts })
}

/// How large the zip may become, in bytes: files as they are, tables as large as their database.
fn expected_bytes(record: &SnapshotRecord, database: Option<&PrivateDatabase>, options: &ExportOptions) -> u64 {
    let wants =
        |category: &Category| walk::is_exported(*category) && (options.only.is_empty() || options.only.contains(category) || *category == Category::Config);
    let files: u64 = categories(record)
        .filter(|(category, _)| *category != Category::Database && wants(category))
        .map(|(_, category)| category.bytes + category.files * 300)
        .sum();
    files + database.map_or(0, |database| database.bytes)
}

/// The directories of an instance, without those that no path inside the database leads to.
fn instance_directories(directories: &Directories) -> Directories {
    directories.iter().filter(|(name, _)| ["config", "data", "metadata", "programdata"].contains(&name.as_str())).map(|(n, p)| (n.clone(), p.clone())).collect()
}

/// What is odd about the snapshot's database.
fn remarks(database: Option<&PrivateDatabase>) -> Vec<String> {
    let has_none = database.is_some_and(|database| database.history.is_empty());
    let what = "the database has no migration history, which every Jellyfin server writes: no server is known to start with it";
    has_none.then(|| what.to_owned()).into_iter().collect()
}

/// What a restore of the zip will not bring back.
fn missing(record: &SnapshotRecord, options: &ExportOptions, has_home_sections: bool) -> Vec<String> {
    let mut missing = Vec::new();
    if options.kind == ExportKind::Tables && has_home_sections {
        missing.push("home sections: what each user chose to see on the home screen (export --exact keeps it)".to_owned());
    }
    let has = |category: Category| record.category(category.name()).is_some_and(|found| found.files > 0);
    if has(Category::Plugins) {
        missing.push("plugins and their settings: no zip of Jellyfin's holds them (restore --only plugins brings them back)".to_owned());
    }
    if has(Category::Other) {
        missing.push("what lies beside Jellyfin's own files in its data directory (restore --only other)".to_owned());
    }
    missing
}

fn threads(options: &ExportOptions) -> usize {
    if options.threads == 0 { std::thread::available_parallelism().map_or(2, Into::into) } else { options.threads }
}

impl ExportOptions {
    fn style(&self) -> DumpStyle {
        DumpStyle { nested_avatars: !self.as_server }
    }
}
