//! The database of the nearest moment of the same server: what the zip's tables have in common with
//! it need not be stored again.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::archive::{Schema, ZipReader, has_schema, user_ids};
use crate::chunk::ChunkId;
use crate::manifest::{Catalog, Content, Kind, find};
use crate::source::{Category, DATABASE_PATH, open_private, quick_check};
use crate::store::{ChunkReader, Repository};

use super::super::content::write_content;
use super::super::{Error, Monitor};
use super::plan::Plan;

/// Databases that are looked at.
const TRIED_MAX: usize = 3;

/// A private copy of a neighbour's database.
pub(super) struct Neighbour {
    /// Its identity.
    pub id: ChunkId,
    /// The copy.
    pub path: PathBuf,
}

/// The database of the nearest snapshot, whichever server's: pages that both have are stored once.
pub(super) fn nearest(
    time_ns: i128,
    repository: &Repository,
    reader: &mut ChunkReader<'_>,
) -> Result<Option<ChunkId>, Error> {
    let catalog = Catalog::load(repository)?;
    let databases = catalog.snapshots.iter().filter_map(|(_, record)| {
        Some((record.time_ns, record.category(Category::Database.name())?.manifest))
    });
    let Some((_, manifest)) =
        databases.min_by_key(|(time, _)| (i128::from(*time) - time_ns).unsigned_abs())
    else {
        return Ok(None);
    };
    match find(reader, manifest, DATABASE_PATH) {
        Ok(entry) => Ok(entry.and_then(|entry| match entry.content() {
            Some(Content::Pages(id)) => Some(*id),
            _ => None,
        })),
        // What cannot be read has nothing to share.
        Err(error) if error.is_damage() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes the database of the nearest snapshot of the same server to `path`; nothing where there is
/// none that could serve.
pub(super) fn fetch(
    zip: &ZipReader,
    plan: &Plan,
    (schema, history, time_ns): (&Schema, &[(String, String)], i128),
    repository: &Repository,
    (reader, monitor): (&mut ChunkReader<'_>, &Monitor),
    path: &Path,
) -> Result<Option<Neighbour>, Error> {
    let newest = schema.migrations.iter().max();
    let mut candidates: Vec<(u128, ChunkId)> = Vec::new();
    for (_, record) in Catalog::load(repository)?.snapshots {
        if let Some(category) = record
            .category(Category::Database.name())
            .filter(|_| record.server.schema.as_ref() == newest)
        {
            candidates
                .push(((i128::from(record.time_ns) - time_ns).unsigned_abs(), category.manifest));
        }
    }
    candidates.sort_by_key(|(distance, _)| *distance);
    candidates.dedup_by_key(|(_, manifest)| *manifest);
    let users = plan
        .tables
        .get("Users")
        .and_then(|number| zip.entries.get(*number as usize))
        .filter(|_| !candidates.is_empty());
    // What is wrong with the table is told when it is loaded.
    let users = users.and_then(|entry| user_ids(zip.read(entry).ok()?).ok()).unwrap_or_default();
    if users.is_empty() {
        return Ok(None);
    }
    for (_, manifest) in candidates.into_iter().take(TRIED_MAX) {
        let id = match write(manifest, reader, path) {
            Ok(Some(id)) => id,
            Ok(None) => continue,
            // A full disk would stop the import a moment later, and then the zip's table would be
            // named.
            Err(error @ Error::Target { .. }) => return Err(error),
            // What cannot be read back is no neighbour; the import does without, and check tells of
            // it.
            Err(_) => continue,
        };
        // One that is damaged would hand its damage on.
        if quick_check(path, &monitor.interrupt).is_err() {
            continue;
        }
        let serves = open_private(path, &monitor.interrupt)
            .and_then(|db| Ok(has_schema(&db, schema, history)? && has_one_of(&db, &users)?));
        if serves.unwrap_or(false) {
            return Ok(Some(Neighbour { id, path: path.to_path_buf() }));
        }
    }
    // The file of the last one that did not serve.
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Target { verb: "remove", path: path.to_path_buf(), source })
        }
        _ => Ok(None),
    }
}

/// Writes a snapshot's database, where it is stored by pages.
fn write(
    manifest: ChunkId,
    reader: &mut ChunkReader<'_>,
    path: &Path,
) -> Result<Option<ChunkId>, Error> {
    let Some(entry) = find(reader, manifest, DATABASE_PATH)? else { return Ok(None) };
    let Kind::File { size, content: content @ Content::Pages(id) } = &entry.kind else {
        return Ok(None);
    };
    let failed = |source| Error::Target { verb: "write", path: path.to_path_buf(), source };
    let file = File::create(path).map_err(failed)?;
    write_content(reader, content, *size, |offset, bytes| {
        file.write_all_at(bytes, offset).map_err(failed)
    })?;
    file.set_len(*size).map_err(failed)?;
    Ok(Some(*id))
}

/// Whether one of these users is known to a database: ids of users are one server's own.
fn has_one_of(db: &Connection, users: &[rusqlite::types::Value]) -> rusqlite::Result<bool> {
    let mut statement = db.prepare("SELECT 1 FROM \"Users\" WHERE \"Id\" = ?1")?;
    for user in users {
        if statement.exists([user])? {
            return Ok(true);
        }
    }
    Ok(false)
}
