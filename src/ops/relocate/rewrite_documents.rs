//! The files beside the database that contain paths are read and rewritten; in which of them old
//! paths are left.

use std::collections::HashMap;

use crate::manifest::{Entries, Kind, SnapshotRecord, display};
use crate::source::Category;
use crate::store::ChunkReader;

use super::super::content::write_content;
use super::super::select::{categories, lookup};
use super::super::{Error, in_one_line};
use super::documents::{DOCUMENT_BYTES_MAX, Document};
use super::mapping::Mapping;
use super::options::MoveOptions;
use super::places::is_usual;
use super::plan::MovePlan;
use super::refuse::Unused;

/// The server's settings.
pub(super) const SETTINGS: &[u8] = b"config/system.xml";
/// Databases of the server, of all its versions. All others are those of plugins.
const OWN_DATABASES: [&[u8]; 6] = [
    b"data/jellyfin.db",
    b"data/library.db",
    b"data/library.db.old",
    b"data/authentication.db",
    b"data/activitylog.db",
    b"data/displaypreferences.db",
];

/// A small file of the snapshot; nothing where it is not there.
pub(super) fn read_small(
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
pub(super) fn documents_of(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    (mapping, mut unused): (&Mapping, Vec<Unused>),
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
                if !OWN_DATABASES.contains(&entry.path.as_slice()) && entry.content().is_some() {
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
            if !document.is_plugins() {
                unused.retain(|unused| !unused.directory.is_named_in(&bytes));
            }
            name_what_stays(&path, document, &bytes, (mapping, options), plan);
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
    if let Some(unused) = unused.pop() {
        return Err(unused.refused);
    }
    if plan.new_ids == 0 {
        plan.plugin_databases.clear();
    }
    Ok(documents)
}

/// Notes a file of settings in which old paths are left. A file of a plugin's that would change and
/// does not is noted, too.
fn name_what_stays(
    path: &[u8],
    document: Document,
    bytes: &[u8],
    (mapping, options): (&Mapping, &MoveOptions),
    plan: &mut MovePlan,
) {
    let by_hand = || has_left(document, bytes, mapping);
    let is_touched = || {
        mapping.prefixes.is_named_in(bytes)
            || matches!(document.rewrite(bytes, mapping), Ok(Some(_)))
    };
    if !document.is_plugins() {
        if matches!(document, Document::Settings | Document::Json) && by_hand() {
            plan.settings.push(display(path));
        }
    } else if options.map_plugins {
        if by_hand() {
            plan.plugins_by_hand.push(display(path));
        }
    } else if is_touched() {
        plan.plugins.push(display(path));
    }
}

/// Whether old paths are in a file where they are not replaced.
fn has_left(document: Document, bytes: &[u8], mapping: &Mapping) -> bool {
    mapping.prefixes.is_named_in(bytes)
        && match document.rewrite(bytes, &mapping.without_targets()) {
            Ok(Some(new)) => mapping.prefixes.is_named_in(&new),
            Ok(None) | Err(_) => true,
        }
}

/// The metadata directory, where the settings must name it from now on: it was in its usual place,
/// and is not any more.
fn metadata_path<'p>(path: &[u8], plan: &'p MovePlan) -> Option<&'p str> {
    let metadata = plan.to.get("metadata")?;
    (path == SETTINGS && is_usual(&plan.from) && !is_usual(&plan.to)).then_some(metadata.as_str())
}

const NO_PLACE: &str = "it has no element MetadataPath, which must name the metadata directory";

/// Refuses where the settings cannot name the metadata directory.
pub(super) fn check_metadata_path(
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
