//! A server that the repository knows, and whose data directory is missing or empty now: its disk
//! is not mounted, or the data is gone.

use std::path::{Path, PathBuf};

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::ops::{self, SourceSpec};
use crate::source::Arrangement;
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;
use super::render;

/// What is left of a data directory.
enum Left {
    Nothing(&'static str),
    Marker,
    Other,
}

/// Where no instance was found, in the place that is named or else in that of the newest snapshot:
/// a data directory with only the server's marker left, which the snapshot tells of; or the
/// failure, with what the repository knows of the place if nothing at all is left.
pub fn look(
    context: &Context,
    named: Option<&Path>,
    repository: &Repository,
    failure: Failure,
) -> Result<PathBuf, Failure> {
    let Some((id, record, place)) = known(context, named, repository)? else { return Err(failure) };
    match left(&place) {
        Left::Nothing(what) => Err(Failure::no_source(
            &format!(
                "the data directory {} {what}, but snapshot {} of {} has {} from it; no snapshot was taken",
                place.display(),
                render::short(&id),
                render::time(record.time_ns, &context.zone),
                render::plural(record.files.total, "file", "files"),
            ),
            &format!(
                "Its disk is probably not mounted. Mount it and try again. If the data is gone, restore it: jellyvault restore {} --in-place{}",
                render::short(&id),
                arguments(&record)
            ),
        )),
        Left::Marker => Ok(place),
        Left::Other => Err(failure),
    }
}

/// Refuses another server than the one whose snapshots are here, where that one is away: its disk
/// is not mounted, and the other was found in its place.
pub fn refuse_another(
    context: &Context,
    repository: &Repository,
    spec: &SourceSpec,
) -> Result<(), Failure> {
    let here = spec.layout.directories();
    let Some(found) = here.get("programdata") else { return Ok(()) };
    let Some((id, record, place)) = known(context, None, repository)? else { return Ok(()) };
    let Left::Nothing(what) = left(&place) else { return Ok(()) };
    let is_found = |record: &SnapshotRecord| {
        record.source.directories.get("programdata") == Some(found)
            || (spec.server.id.is_some() && record.server.id == spec.server.id)
    };
    if Catalog::newest(repository, is_found).map_err(ops::Error::from)?.is_some() {
        return Ok(());
    }
    Err(Failure::no_source(
        &format!(
            "the data directory {} {what}, of which this repository has snapshots (the last complete one is {} of {}); another server was found in {}; no snapshot was taken",
            place.display(),
            render::short(&id),
            render::time(record.time_ns, &context.zone),
            found,
        ),
        &format!(
            "Its disk is probably not mounted. Mount it and try again. To take snapshots of the other server too, name it: jellyvault snapshot {}",
            render::argument(Path::new(found))
        ),
    ))
}

/// The last complete snapshot of the directory that is meant, best one with a database, and the
/// directory.
fn known(
    context: &Context,
    named: Option<&Path>,
    repository: &Repository,
) -> Result<Option<(SnapshotId, SnapshotRecord, PathBuf)>, Failure> {
    let named = named.map(|dir| {
        std::fs::canonicalize(dir)
            .or_else(|_| std::path::absolute(dir))
            .unwrap_or_else(|_| dir.to_path_buf())
    });
    let is_it = |record: &SnapshotRecord| {
        let place = record
            .source
            .directories
            .get("programdata")
            .filter(|_| record.source.host == context.host() && record.is_complete());
        // The state before a restore has only what that replaced.
        place
            .filter(|_| !record.is_safety())
            .is_some_and(|place| named.as_deref().is_none_or(|named| named == Path::new(place)))
    };
    let has_database = |record: &SnapshotRecord| {
        is_it(record) && record.category("database").is_some_and(|found| found.files > 0)
    };
    let newest = match Catalog::newest(repository, has_database).map_err(ops::Error::from)? {
        None => Catalog::newest(repository, is_it).map_err(ops::Error::from)?,
        newest => newest,
    };
    Ok(newest.and_then(|(id, record)| {
        record
            .source
            .directories
            .get("programdata")
            .map(PathBuf::from)
            .map(|place| (id, record, place))
    }))
}

/// The options that name the directories of a snapshot.
fn arguments(record: &SnapshotRecord) -> String {
    let options = Arrangement::options_of(&record.source.directories);
    options
        .into_iter()
        .map(|(option, path)| format!(" {option} {}", render::argument(Path::new(&path))))
        .collect()
}

fn left(place: &Path) -> Left {
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Left::Nothing("does not exist");
        }
        Err(_) => return Left::Other,
    };
    let names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name())
        .filter(|name| name != "lost+found")
        .collect();
    match names.as_slice() {
        [] => Left::Nothing("is empty"),
        [name] if name == ".jellyfin-data" => Left::Marker,
        _ => Left::Other,
    }
}
