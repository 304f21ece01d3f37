//! A move is worked out before anything is stored: on a private copy of the database, and in memory
//! for the rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::manifest::{Directories, Entries, SnapshotId, SnapshotRecord};
use crate::source::{Category, DATABASE_PATH, quick_check};
use crate::store::{ChunkReader, Index, Repository};

use super::super::export::{PrivateFile, database_of};
use super::super::ls::short;
use super::super::select::categories;
use super::super::{Error, Monitor};
use super::folders::Folders;
use super::items::{Formulas, check_collisions, failed, look_at_items};
use super::mapping::{ItemFolders, Mapping};
use super::options::MoveOptions;
use super::pending::is_taken;
use super::places::{Settings, is_usual, seen_then};
use super::plan::{MovePlan, Named};
use super::prefixes::Prefixes;
use super::refuse::{check_own, check_pairs, check_references, check_schema, unused};
use super::rewrite_documents::{SETTINGS, check_metadata_path, documents_of, read_small};
use super::rows::{self, Indexes, JournalMode};

/// How often the database is begun again with more rows that stay as they are.
const TRIES: usize = 16;

/// All that a move changes.
pub(super) struct Prepared {
    pub plan: MovePlan,
    pub mapping: Mapping,
    /// The rewritten database.
    pub database: PrivateFile,
    /// New contents by logical path.
    pub documents: HashMap<Vec<u8>, Vec<u8>>,
    pub folders: BTreeMap<Category, Folders>,
}

/// Works it out.
pub(super) fn prepare(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    options: &MoveOptions,
    monitor: &Monitor,
) -> Result<Prepared, Error> {
    let (id, record) = snapshot;
    check_pairs(options)?;
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut database = database_of(repository, snapshot)?;
    tracing::debug!("copied the database out of the repository");
    check_original(&database, id, monitor)?;
    tracing::debug!("SQLite found it whole");
    let (mut db, mut mode) = rows::open(&database.path).map_err(failed)?;
    check_schema(&db, id, record)?;
    let mut setting =
        |path| Ok::<_, Error>(read_small(&mut reader, record, path)?.unwrap_or_default());
    let settings = Settings::of(&setting(SETTINGS)?, &setting(b"config/encoding.xml")?);
    let from = seen_then(record, &db, &settings)?;
    let media = Prefixes::new(options.map.clone());
    let to = if options.own_places_stay {
        places_that_stay(&from, options)
    } else {
        places_after(&from, &options.places, &media)
    };
    let by_name: Vec<(String, String)> = from
        .iter()
        .filter_map(|(name, old)| Some((old.clone(), to.get(name)?.clone())))
        .chain(caches_that_stay(&settings, options))
        .collect();
    let prefixes = Prefixes::new(options.map.iter().cloned().chain(by_name.iter().cloned()));
    check_own(options, &from, &to)?;
    let unused = unused(options, &from, &db)?;
    let folders = ItemFolders::of(&from);
    let (old, new) = (settings.formula(&from), settings.formula(&to));
    let formulas = Formulas {
        old: &old,
        new: &new,
        prefixes: &prefixes,
        by_name: &Prefixes::new(by_name),
        folders: &folders,
        own: &from,
        looks_for_media: options.looks_for_media,
    };
    let items = look_at_items(&db, &formulas, &monitor.interrupt)?;
    tracing::debug!(items = items.count, new_ids = items.ids.len(), "looked at the items");
    check_collisions(&db, &items.ids)?;
    tracing::debug!("no two items have one id");
    let mapping = Mapping { prefixes, ids: items.ids, folders };
    let rewritten =
        rewritten(repository, snapshot, (&mut database, &mut db, &mut mode), &mapping, monitor)?;
    if monitor.interrupt.is_raised() {
        return Err(Error::Interrupted);
    }
    rows::close(db, &mode).map_err(failed)?;
    tracing::debug!("rewrote the database");
    check_rewritten(&database, monitor)?;
    check_references(repository, snapshot, rewritten.broken)?;
    let mut plan = MovePlan {
        from,
        to,
        map: options.map.clone(),
        items: items.count,
        new_ids: mapping.ids.len() as u64,
        kept_ids: items.unlike,
        kept_seasons: items.seasons,
        along: items.along,
        rows: rewritten.rows,
        unread: rewritten.unread,
        media_found: items.present,
        media_missing: items.missing,
        media_changed: items.changed,
        ..MovePlan::default()
    };
    let documents = documents_of(&mut reader, record, (&mapping, unused), options, &mut plan)?;
    check_metadata_path(&plan, &documents)?;
    let folders = folders_of(repository, &index, record, &mapping, &mut plan, monitor)?;
    Ok(Prepared { plan, mapping, database, documents, folders })
}

/// Refuses a damaged database: nothing could be told of what it became.
fn check_original(database: &PrivateFile, id: &SnapshotId, monitor: &Monitor) -> Result<(), Error> {
    quick_check(&database.path, &monitor.interrupt).map_err(|damage| {
        if monitor.interrupt.is_raised() {
            return Error::Interrupted;
        }
        Error::Refused {
            what: format!(
                "the database of snapshot {} is damaged ({damage}), so its paths cannot be changed",
                short(id)
            ),
            hint: "Choose an older snapshot (see jellyvault list).".to_owned(),
        }
    })
}

/// Refuses to put a database in the place of a good one that is not whole. None was ever seen since
/// this looks.
fn check_rewritten(database: &PrivateFile, monitor: &Monitor) -> Result<(), Error> {
    quick_check(&database.path, &monitor.interrupt).map_err(|damage| {
        if monitor.interrupt.is_raised() {
            return Error::Interrupted;
        }
        let what = format!("the rewritten database is not whole: {damage}");
        failed(rusqlite::Error::ToSqlConversionFailure(what.into()))
    })
}

/// Rewrites the private copy, or another one row by row.
fn rewritten(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    (database, db, mode): (&mut PrivateFile, &mut rusqlite::Connection, &mut JournalMode),
    mapping: &Mapping,
    monitor: &Monitor,
) -> Result<rows::Rewritten, Error> {
    if mapping.is_identity() {
        return Ok(rows::Rewritten::default());
    }
    let mut indexes = Indexes::for_mapping(mapping);
    let mut kept = HashSet::new();
    for _ in 0..TRIES {
        // Watch state of a film that was once at both places, for example: such a row stays as it
        // is. Row by row it shows which these are.
        match rows::rewrite(db, mapping, (indexes, &kept), &monitor.interrupt) {
            Err(error) if indexes == Indexes::Remade && is_taken(&error) => {
                tracing::info!("a row would have the key of another: rows are changed one by one");
                indexes = Indexes::Kept;
            }
            Ok(done) if !done.taken.is_empty() => kept.extend(done.taken),
            done => return done.map_err(failed),
        }
        *database = database_of(repository, snapshot)?;
        (*db, *mode) = rows::open(&database.path).map_err(failed)?;
    }
    Err(failed(rusqlite::Error::ToSqlConversionFailure(
        "too many rows would have the keys of others".into(),
    )))
}

/// The caches that the settings name, if they stay with the server's own directories.
fn caches_that_stay(settings: &Settings, options: &MoveOptions) -> Vec<(String, String)> {
    let caches = settings.caches.iter().filter(|_| options.own_places_stay);
    caches.map(|dir| (dir.clone(), dir.clone())).collect()
}

/// Where the server will see its directories if these stay where they are, whatever they lie in. Metadata in
/// a place of its own goes where a pair sends just it.
fn places_that_stay(from: &Directories, options: &MoveOptions) -> Directories {
    let moved = |(name, old): (&String, &String)| {
        let own = options
            .map
            .iter()
            .find(|(pair, _)| name == "metadata" && pair.trim_end_matches('/') == old)
            .filter(|_| !is_usual(from));
        (name.clone(), own.map_or_else(|| old.clone(), |(_, new)| new.clone()))
    };
    from.iter().map(moved).collect()
}

/// Where the server will see its directories. Metadata in a place of its own goes where the user's
/// pairs send it, or to the place of its own that the new server has; inside a directory that moves
/// it moves along.
fn places_after(from: &Directories, wanted: &Directories, media: &Prefixes) -> Directories {
    let of_own = |name: &str, old: &String| {
        name == "metadata"
            && !is_usual(from)
            && (!wanted.contains_key(name) || is_usual(wanted) || media.map(old).is_some())
    };
    let around = Prefixes::new(
        from.iter()
            .filter(|(name, _)| *name != "metadata")
            .filter_map(|(name, old)| Some((old.clone(), wanted.get(name)?.clone()))),
    );
    let moved = |(name, old): (&String, &String)| {
        let along = || media.map(old).or_else(|| around.map(old)).unwrap_or_else(|| old.clone());
        let new = if of_own(name, old) {
            along()
        } else {
            wanted.get(name).cloned().unwrap_or_else(along)
        };
        (name.clone(), new)
    };
    from.iter().map(moved).collect()
}

/// The folders of items, where any id changes.
fn folders_of(
    repository: &Repository,
    index: &Index,
    record: &SnapshotRecord,
    mapping: &Mapping,
    plan: &mut MovePlan,
    monitor: &Monitor,
) -> Result<BTreeMap<Category, Folders>, Error> {
    const HAVE_FOLDERS: [Category; 4] =
        [Category::Metadata, Category::Subtitles, Category::Trickplay, Category::Attachments];
    let mut all = BTreeMap::new();
    for (category, root) in categories(record)
        .filter(|(category, _)| mapping.ids.len() > 0 && HAVE_FOLDERS.contains(category))
    {
        let mut reader = ChunkReader::new(repository, index);
        let folders = Folders::of(&mut reader, root.manifest, &mapping.ids, &monitor.interrupt)?;
        plan.folders += folders.count();
        let mut leftovers = Named::default();
        for entry in Entries::all(&mut reader, root.manifest) {
            folders.stays(&entry?, &mapping.ids, &mut leftovers);
        }
        plan.leftovers.count += leftovers.count;
        plan.leftovers.first.extend(leftovers.first);
        all.insert(category, folders);
    }
    Ok(all)
}

/// Where the database of a snapshot lies in it.
pub(super) fn is_database(path: &[u8]) -> bool {
    path == DATABASE_PATH
}
