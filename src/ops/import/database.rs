//! The zip's database: built from its tables, or taken as it lies in an exact zip; stored page for
//! page.

use std::path::Path;

use crate::archive::{self, DATABASE_NAME, LoadError, Schema, ZipReader};
use crate::chunk::ChunkId;
use crate::progress::Phase;
use crate::source::{Category, KEPT_TABLES, OpenFile, ScratchFolder, quick_check, read_facts};
use crate::store::{ChunkReader, Index, Repository};

use super::super::ingest::collect::Collector;
use super::super::ingest::known_pages::KnownPages;
use super::super::ingest::page_hashes::PageHashes;
use super::super::ingest::pages::{PagePacker, Past};
use super::super::{Error, Monitor};
use super::built::Built;
use super::failure::Failure;
use super::job::of_read;
use super::neighbour::{fetch, nearest};
use super::opened::Opened;
use super::plan::Plan;
use super::spool::write_out;

/// Stores the database of a zip: its own, or one that is built of its tables.
pub(super) fn store<'r>(
    opened: &Opened,
    repository: &'r Repository,
    index: &'r Index,
    collector: &mut Collector<'r>,
    plan: &mut Plan,
    monitor: &Monitor,
) -> Result<Option<Built>, Failure> {
    let created = opened.manifest.created.ns();
    let database = match opened.schema {
        _ if opened.zip.find(DATABASE_NAME).is_some() => {
            stored_as_it_is(&opened.zip, created, repository, index, collector, monitor)?
        }
        Some(schema) => build(
            &opened.zip,
            (schema, &opened.history, created),
            repository,
            index,
            collector,
            plan,
            monitor,
        )?,
        None => None,
    };
    if let Some(Err(error)) = database.as_ref().map(|database| &database.facts) {
        plan.problem(DATABASE_NAME, format!("its server cannot be read from it ({error}). The file is in this snapshot unchanged"));
    }
    Ok(database)
}

/// Builds the database of a zip's tables and stores it.
fn build(
    zip: &ZipReader,
    (schema, history, time_ns): (&Schema, &[(String, String)], i128),
    repository: &Repository,
    index: &Index,
    collector: &mut Collector<'_>,
    plan: &mut Plan,
    monitor: &Monitor,
) -> Result<Option<Built>, Failure> {
    let bytes: u64 = plan
        .tables
        .values()
        .filter_map(|number| zip.entries.get(*number as usize))
        .map(|entry| entry.size())
        .sum();
    monitor.progress.phase(Phase::Build, plan.tables.len() as u64, bytes);
    let folder = scratch(repository, bytes)?;
    let path = folder.path.join("jellyfin.db");
    let mut reader = ChunkReader::new(repository, index);
    let neighbour =
        fetch(zip, plan, (schema, history, time_ns), repository, (&mut reader, monitor), &path)?;
    let built = match &neighbour {
        Some(neighbour) => match fill(zip, plan, (schema, history), &path, true, monitor) {
            // A row that does not fit: without a neighbour it can be told which one.
            Err(Failure::Load(LoadError::Sqlite { .. })) => {
                std::fs::remove_file(&neighbour.path).map_err(|source| Error::Target {
                    verb: "remove",
                    path: neighbour.path.clone(),
                    source,
                })?;
                fill(zip, plan, (schema, history), &path, false, monitor)
            }
            outcome => outcome,
        },
        None => fill(zip, plan, (schema, history), &path, false, monitor),
    }?;
    let (said, incomplete) = built;
    for what in said {
        plan.problem(&what.0, what.1);
    }
    incomplete.iter().for_each(|table| plan.keep_also(zip, table));
    let before = match neighbour {
        Some(neighbour) => Some(neighbour.id),
        None => nearest(time_ns, repository, &mut reader)?,
    };
    store_pages(&path, before, repository, index, &mut reader, collector, monitor).map(Some)
}

/// What is to be said of an entry.
type Said = Vec<(String, String)>;

/// Fills a database, empty or a neighbour's; what is to be said, and the tables that do not fit
/// whole.
fn fill(
    zip: &ZipReader,
    plan: &Plan,
    (schema, history): (&Schema, &[(String, String)]),
    path: &Path,
    over: bool,
    monitor: &Monitor,
) -> Result<(Said, Vec<String>), Failure> {
    let sqlite = |source| {
        Failure::Load(LoadError::Sqlite { table: "__EFMigrationsHistory".to_owned(), source })
    };
    let db = if over {
        archive::open_neighbour(path, schema)
    } else {
        archive::create(path, schema, history)
    }
    .map_err(sqlite)?;
    let stop: &dyn Fn() -> bool = &|| monitor.interrupt.is_raised();
    let (mut said, mut avatars, mut incomplete) = (Said::new(), Vec::new(), Vec::new());
    for table in &schema.tables {
        let name = format!("Database/{}.json", table.name);
        let loaded = match plan
            .tables
            .get(&table.name)
            .and_then(|number| zip.entries.get(*number as usize))
        {
            Some(entry) => {
                let mut bytes = zip.read(entry)?;
                let loaded = archive::load_table(&db, table, &mut bytes, stop);
                if stop() {
                    return Err(Error::Interrupted.into());
                }
                // What is wrong with the bytes says more than what that made of the rows.
                std::io::copy(&mut bytes, &mut std::io::sink()).map_err(archive::of_io)?;
                monitor.progress.advance(1, entry.size());
                loaded?
            }
            None => {
                said.push((name.clone(), "it is missing, so the table is empty in this snapshot, as it would be on the server".to_owned()));
                archive::load_table(&db, table, &b"[]"[..], stop)?
            }
        };
        if loaded.told_count > loaded.told.len() as u64 {
            said.push((
                name.clone(),
                format!(
                    "{} more values or rows did not fit",
                    loaded.told_count - loaded.told.len() as u64
                ),
            ));
        }
        if !loaded.unknown.is_empty() {
            let columns: Vec<String> = loaded.unknown.into_iter().collect();
            let what = format!(
                "no server of this version has these columns, so their values are not in the database: {}. The table is kept unchanged in {KEPT_TABLES}",
                columns.join(", ")
            );
            said.push((name.clone(), what));
            incomplete.push(table.name.clone());
        }
        said.extend(loaded.told.into_iter().map(|what| (name.clone(), what)));
        avatars.extend(loaded.avatars);
    }
    said.extend(
        archive::load_avatars(&db, &avatars)?
            .into_iter()
            .map(|what| ("Database/Users.json".to_owned(), what)),
    );
    archive::finish(db, schema, history, !over).map_err(sqlite)?;
    Ok((said, incomplete))
}

/// The database of an exact zip.
pub(super) fn stored_as_it_is(
    zip: &ZipReader,
    time_ns: i128,
    repository: &Repository,
    index: &Index,
    collector: &mut Collector<'_>,
    monitor: &Monitor,
) -> Result<Option<Built>, Failure> {
    let Some(entry) = zip.find(DATABASE_NAME) else { return Ok(None) };
    monitor.progress.phase(Phase::Build, 1, entry.size());
    let folder = scratch(repository, entry.size())?;
    let path = folder.path.join("jellyfin.db");
    let failed = |source| Error::Target { verb: "write", path: path.clone(), source };
    let mut file = std::fs::File::create_new(&path).map_err(failed)?;
    write_out(&mut zip.read(entry)?, &mut file, &folder.path, &monitor.interrupt)?;
    let mut reader = ChunkReader::new(repository, index);
    let before = nearest(time_ns, repository, &mut reader)?;
    store_pages(&path, before, repository, index, &mut reader, collector, monitor).map(Some)
}

fn scratch(repository: &Repository, bytes: u64) -> Result<ScratchFolder, Failure> {
    let path = repository.scratch_folder();
    let folder = ScratchFolder::create(&path).map_err(|source| Error::Target {
        verb: "create a folder in",
        path,
        source,
    })?;
    folder.check_space(bytes).map_err(|error| Error::Refused {
        what: format!("the zip's database cannot be built: {error}"),
        hint: "Free some space on the repository's disk.".to_owned(),
    })?;
    Ok(folder)
}

/// Stores a private database page for page.
fn store_pages(
    path: &Path,
    before: Option<ChunkId>,
    repository: &Repository,
    index: &Index,
    reader: &mut ChunkReader<'_>,
    collector: &mut Collector<'_>,
    monitor: &Monitor,
) -> Result<Built, Failure> {
    let checked = quick_check(path, &monitor.interrupt);
    if monitor.interrupt.is_raised() {
        return Err(Error::Interrupted.into());
    }
    checked.map_err(|damage| Error::Refused {
        what: format!("the database of the zip is damaged ({damage})"),
        hint: "Nothing was imported. Use another zip.".to_owned(),
    })?;
    let open = OpenFile::open_path(path).map_err(|error| Error::Target {
        verb: "read",
        path: path.to_path_buf(),
        source: error.into(),
    })?;
    let not_pages = || Error::Refused {
        what: "Data/jellyfin.db in the zip is not an SQLite database".to_owned(),
        hint: "Nothing was imported.".to_owned(),
    };
    let page_bytes = open
        .page_bytes()
        .map_err(|source| Error::Target { verb: "read", path: path.to_path_buf(), source })?
        .ok_or_else(not_pages)?;
    let known = KnownPages::new(None);
    let mut pages = PagePacker::new(repository)?;
    let past = Past {
        before,
        known: &known,
        interrupt: &monitor.interrupt,
        page_hashes: &PageHashes::default(),
    };
    let stored = pages
        .store(&open.file, (open.before.size, page_bytes), &past, index, reader, &mut |extent| {
            collector.extent(Category::Database, extent)
        })
        .map_err(of_read)?;
    let Some(stored) = stored else {
        return Err(Error::Refused {
            what: "the database in the zip cannot be stored page for page: it is larger than 8 GiB, or its page list in the repository is damaged".to_owned(),
            hint: "Nothing was imported.".to_owned(),
        }
        .into());
    };
    Ok(Built { id: stored.id, size: open.before.size, facts: read_facts(path, &monitor.interrupt) })
}
