//! A move is worked out before anything is stored: on a private copy of the database, and in memory
//! for the rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::manifest::{Directories, Entries, Kind, SnapshotId, SnapshotRecord, display};
use crate::source::{Category, DATABASE_PATH, quick_check};
use crate::store::{ChunkReader, Index, Repository};

use super::super::content::write_content;
use super::super::export::{PrivateFile, database_of};
use super::super::ls::short;
use super::super::select::{categories, lookup};
use super::super::{Error, Monitor, in_one_line};
use super::documents::{DOCUMENT_BYTES_MAX, Document};
use super::folders::Folders;
use super::items::{Formulas, check_collisions, failed, look_at_items};
use super::mapping::{ItemFolders, Mapping};
use super::options::MoveOptions;
use super::pending::is_taken;
use super::places::{Settings, seen_then};
use super::plan::{MovePlan, Named};
use super::prefixes::Prefixes;
use super::refuse::{check_own, check_pairs, check_references, check_schema, check_used};
use super::rows::{self, Indexes, JournalMode};

/// How often the database is begun again with more rows that stay as they are.
const TRIES: usize = 16;
const SETTINGS: &[u8] = b"config/system.xml";

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
    let settings = Settings::of(&read_small(&mut reader, record, SETTINGS)?.unwrap_or_default());
    let from = seen_then(record, &db, &settings)?;
    let media = Prefixes::new(options.map.clone());
    let to = if options.own_places_stay {
        places_that_stay(&from, options)
    } else {
        places_after(&from, &options.places, &media)
    };
    let by_name = from.iter().filter_map(|(name, old)| Some((old.clone(), to.get(name)?.clone())));
    let prefixes = Prefixes::new(options.map.iter().cloned().chain(by_name));
    check_own(options, &from, &to)?;
    check_used(options, &from, &db)?;
    let folders = ItemFolders::of(&from);
    let (old, new) = (settings.formula(&from), settings.formula(&to));
    let formulas = Formulas {
        old: &old,
        new: &new,
        prefixes: &prefixes,
        folders: &folders,
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
        rows: rewritten.rows,
        unread: rewritten.unread,
        media_found: items.present,
        media_missing: items.missing,
        media_changed: items.changed,
        ..MovePlan::default()
    };
    let documents = documents_of(&mut reader, record, &mapping, options, &mut plan)?;
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

/// The same where the server's own directories stay where they are, whatever they lie in. Metadata in
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

/// A small file of the snapshot; nothing where it is not there.
fn read_small(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    path: &[u8],
) -> Result<Option<Vec<u8>>, Error> {
    let Some(found) = lookup(reader, record, path)? else { return Ok(None) };
    let Kind::File { size, content } = &found.entry.kind else { return Ok(None) };
    if *size > DOCUMENT_BYTES_MAX {
        return Ok(None);
    }
    read_content(reader, content, *size).map(Some)
}

fn read_content(
    reader: &mut ChunkReader<'_>,
    content: &crate::manifest::Content,
    size: u64,
) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; size as usize];
    write_content(reader, content, size, |offset, piece| {
        let place = bytes.get_mut(offset as usize..offset as usize + piece.len());
        place.ok_or(Error::System { what: "memory" })?.copy_from_slice(piece);
        Ok(())
    })?;
    Ok(bytes)
}

/// Reads and rewrites the files that contain paths.
fn documents_of(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    mapping: &Mapping,
    options: &MoveOptions,
    plan: &mut MovePlan,
) -> Result<HashMap<Vec<u8>, Vec<u8>>, Error> {
    let mut documents = HashMap::new();
    for (category, root) in categories(record).filter(|(category, _)| {
        matches!(category, Category::Config | Category::Plugins | Category::Database)
    }) {
        let mut found = Vec::new();
        for entry in Entries::all(reader, root.manifest) {
            let entry = entry?;
            if category == Category::Database {
                if entry.path.starts_with(b"plugins/") && entry.content().is_some() {
                    plan.plugin_databases.push(display(&entry.path));
                }
            } else if let (Some(document), Kind::File { size, content }) =
                (Document::of(&entry.path), &entry.kind)
                && *size <= DOCUMENT_BYTES_MAX
            {
                found.push((document, entry.path.clone(), *size, content.clone()));
            }
        }
        for (document, path, size, content) in found {
            let bytes = read_content(reader, &content, size)?;
            let rewritten = match metadata_path(&path, plan) {
                Some(place) => with_metadata_path(&bytes, document, mapping, place),
                None => document.rewrite(&bytes, mapping),
            };
            if document.is_plugins()
                && mapping.prefixes.is_named_in(
                    rewritten
                        .as_ref()
                        .ok()
                        .and_then(Option::as_ref)
                        .filter(|_| options.map_plugins)
                        .unwrap_or(&bytes),
                )
            {
                plan.plugins.push(display(&path));
            }
            match rewritten {
                Ok(Some(_)) if document.is_plugins() && !options.map_plugins => {}
                // Named above, if it has a path in it.
                Err(_) if document.is_plugins() => {}
                Ok(Some(new)) => {
                    plan.documents.push(display(&path));
                    documents.insert(path, new);
                }
                Ok(None) => {}
                Err(why) => plan.unread.add(|| {
                    format!("{} ({})", display(&path), in_one_line(&std::io::Error::other(why)))
                }),
            }
        }
    }
    if plan.new_ids == 0 {
        plan.plugin_databases.clear();
    }
    Ok(documents)
}

/// The metadata directory, where the settings must name it from now on: it was in its usual place,
/// and is not any more.
fn metadata_path<'p>(path: &[u8], plan: &'p MovePlan) -> Option<&'p str> {
    let metadata = plan.to.get("metadata")?;
    (path == SETTINGS && is_usual(&plan.from) && !is_usual(&plan.to)).then_some(metadata.as_str())
}

const NO_PLACE: &str = "it has no element MetadataPath, which must name the metadata directory";

/// Refuses where the settings cannot name the metadata directory.
fn check_metadata_path(
    plan: &MovePlan,
    documents: &HashMap<Vec<u8>, Vec<u8>>,
) -> Result<(), Error> {
    match metadata_path(SETTINGS, plan) {
        Some(place) if !documents.contains_key(SETTINGS) => Err(Error::Refused {
            what: format!(
                "the metadata directory would be {place}, but the server would not know: in the snapshot config/system.xml is missing, or {NO_PLACE}"
            ),
            hint:
                "Save the settings once in the dashboard (Dashboard, General), take a new snapshot, and use that. Or leave the metadata in the data directory."
                    .to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Whether the metadata is where a server has it that is not told otherwise.
fn is_usual(places: &Directories) -> bool {
    let usual =
        places.get("programdata").map(|data| format!("{}/metadata", data.trim_end_matches('/')));
    places.get("metadata") == usual.as_ref()
}

/// The server's settings with their paths changed and the metadata directory named.
fn with_metadata_path(
    bytes: &[u8],
    document: Document,
    mapping: &Mapping,
    place: &str,
) -> Result<Option<Vec<u8>>, String> {
    let rewritten = document.rewrite(bytes, mapping)?;
    let named =
        super::xml_text::set_text(rewritten.as_deref().unwrap_or(bytes), "MetadataPath", place);
    named.map(Some).ok_or_else(|| NO_PLACE.to_owned())
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
