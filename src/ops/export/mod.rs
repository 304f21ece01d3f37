//! `export`: a snapshot becomes a zip that Jellyfin itself restores. Read the database, plan the entries, write, make durable, read back.

mod database;
mod deflate;
mod draft;
mod facts;
mod fit;
mod folded;
mod kept;
mod old_library;
mod pictures;
mod pour;
mod read_back;
mod walk;
mod work;

use std::path::{Path, PathBuf};

use crate::archive::{DumpStyle, Manifest, Options as Parts, Repairs};
use crate::manifest::{Directories, SnapshotId, SnapshotRecord, find};
use crate::progress::{Phase, Problem};
use crate::source::{Category, DATABASE_PATH, ScratchFolder};
use crate::store::{ChunkReader, Index, IndexMode, Repository};

use self::database::PrivateDatabase;
use self::draft::Draft;
use self::facts::Facts;
use self::kept::Kept;
use self::pour::Pourer;
use super::kept_tables::has_kept_tables;
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
    draft::check_target(file, options.force)?;
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let wants = |category| options.only.is_empty() || options.only.contains(&category);
    let mut database = if wants(Category::Database) { private_database(repository, snapshot, &mut reader, options, watch)? } else { None };
    let kept = if wants(Category::Database) && database.is_none() { Kept::of(snapshot, &mut reader, options)? } else { None };
    let facts = Facts::of(snapshot, (database.as_ref(), kept.as_ref()), options)?;
    let has_old_library = options.kind == ExportKind::Exact && database.as_ref().is_some_and(old_library::is_needed);
    if options.kind == ExportKind::Exact {
        fit::check_database_place(snapshot, &mut reader)?;
        if has_old_library {
            old_library::check(snapshot, repository, &mut reader)?;
        }
    }
    if let Some(place) = place {
        let history = database.as_ref().map(|database| &database.history).or_else(|| kept.as_ref().map(|kept| &kept.history));
        check_fits(snapshot, place, options.kind, facts.schema, history)?;
    }
    let mut repairs = Repairs::default();
    if let (ExportKind::Tables, Some(database)) = (options.kind, &mut database) {
        repairs = database.mend(facts.schema, i128::from(record.time_ns), options.target.is_some(), watch)?;
    }
    let mut draft = Draft::begin(file, place, options.force)?;
    draft.check_space(expected_bytes(record, database.as_ref(), options))?;
    let (files, bytes) = record.categories.values().fold((0, 0), |(files, bytes), category| (files + category.files, bytes + category.bytes));
    watch.progress.phase(Phase::Export, files, bytes);
    let mut pourer = Pourer::new(draft.take_file()?, draft.spool()?, repository, &index, options, watch);
    let poured = pourer.write(|pourer| {
        let has_home_sections = match &database {
            Some(database) => database.pour(pourer, facts.schema, record, options)?,
            None => false,
        };
        if let Some(kept) = &kept {
            kept.pour(pourer, record, &mut reader)?;
        }
        let mut walk = walk::Walk::new(pourer, options, has_old_library);
        for (category, manifest) in categories(record) {
            let is_poured = category == Category::Database && kept.is_some();
            if walk::is_exported(category) && !is_poured && (wants(category) || category == Category::Config) {
                walk.category(category, manifest, &mut reader)?;
            }
        }
        let (unplaced, folded) = (walk.unplaced, walk.folded);
        let manifest =
            Manifest { server_version: facts.server_version.clone(), created: crate::archive::Date::of_ns(record.time_ns.into()), options: facts.parts };
        let manifest = kept.as_ref().map_or_else(|| manifest.write(facts.schema), |kept| kept.manifest(facts.parts, options.only.is_empty()));
        pourer.bytes(crate::archive::MANIFEST_NAME, &manifest, record.time_ns)?;
        Ok((has_home_sections, unplaced, folded))
    });
    let (has_home_sections, unplaced, folded) = poured.map_err(|error| match error {
        Error::Output(source) => draft.failed("write", source),
        error => error,
    })?;
    let problems = std::mem::take(&mut pourer.problems);
    watch.progress.phase(Phase::Commit, 0, 0);
    let (zip, written) = pourer.finish().map_err(|source| draft.failed("write", source))?;
    watch.progress.phase(Phase::ReadBack, written.entries, written.bytes);
    // The disk takes the rest of it while it is read.
    std::thread::scope(|scope| {
        let settled = scope.spawn(|| draft.settle(&zip));
        let right = read_back::read_back(&zip, &written, draft.path(), threads(options), watch);
        settled.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).and(right)
    })?;
    draft.publish(&zip)?;
    let missing = facts::missing(record, options, (database.as_ref(), kept.is_some()), has_home_sections, &unplaced);
    let mut remarks = facts::remarks(record, database.as_ref(), place);
    remarks.extend(folded.remark());
    if facts.parts.metadata {
        remarks.extend(pictures::remarks(snapshot, place));
    }
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
        remarks,
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
        None if has_kept_tables(record) => Ok(None),
        Some(entry) => {
            watch.progress.phase(Phase::Database, 1, entry.size());
            PrivateDatabase::fetch(&entry, id, repository, reader, options.kind, watch.interrupt).map(Some)
        }
        None if options.kind == ExportKind::Exact || options.only.contains(&Category::Database) => Err(Error::Refused {
            what: format!("snapshot {} holds no Jellyfin database", short(id)),
            hint: "Name another snapshot (list shows them), or leave the database out: --only config,metadata,subtitles,trickplay.".to_owned(),
        }),
        None => Ok(None),
    }
}

/// A database of a snapshot, written out into a folder of its own.
pub struct PrivateFile {
    _folder: ScratchFolder,
    /// The file.
    pub path: PathBuf,
}

/// The main database of a snapshot as a private file.
pub fn database_of(repository: &Repository, (id, record): &(SnapshotId, SnapshotRecord)) -> Result<PrivateFile, Error> {
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let category = record.category(Category::Database.name());
    let entry = category.map(|category| find(&mut reader, category.manifest, DATABASE_PATH)).transpose()?.flatten();
    let entry = entry.ok_or_else(|| Error::Refused {
        what: format!("snapshot {} holds no Jellyfin database", short(id)),
        hint: "Name another snapshot (list shows them).".to_owned(),
    })?;
    let (folder, path) = database::private_copy(&entry, DATABASE_PATH, id, repository, &mut reader)?;
    Ok(PrivateFile { _folder: folder, path })
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

fn threads(options: &ExportOptions) -> usize {
    if options.threads == 0 { std::thread::available_parallelism().map_or(2, Into::into) } else { options.threads }
}

impl ExportOptions {
    fn style(&self) -> DumpStyle {
        DumpStyle { nested_avatars: !self.as_server }
    }
}
