//! A server that the repository knows, and whose data directory is missing or empty now: its disk is not mounted, or the data is gone.

use std::path::{Path, PathBuf};

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord};
use crate::ops::{self, SourceSpec};
use crate::source::Instance;
use crate::store::Repository;

use super::args::SourceArgs;
use super::context::Context;
use super::failure::Failure;
use super::{render, source};

/// What is left of a data directory.
enum Left {
    Nothing(&'static str),
    Marker,
    Other,
}

/// The instance that the arguments mean, beside a repository that remembers it. A data directory with only the server's marker left is told by the
/// snapshot; one with nothing at all is refused here, with what the repository knows of it.
pub fn find(context: &Context, args: &SourceArgs, repository: &Repository) -> Result<(Instance, SourceSpec), Failure> {
    let failure = match source::find_or_remembered(context, args, repository) {
        Err(failure) if failure.is_no_instance() => failure,
        found => return found,
    };
    let Some((id, record, place)) = known(context, args, repository)? else { return Err(failure) };
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
                "Its disk is probably not mounted. Mount it and try again. If the data is gone, restore it: jellyvault restore {} --in-place --data-dir {}",
                render::short(&id),
                render::argument(&place)
            ),
        )),
        Left::Marker => {
            let data_dir = args.data_dir().is_none().then(|| place.clone()).or_else(|| args.data_dir.clone());
            source::find_in_known_place(context, &SourceArgs { data_dir, ..args.clone() })
        }
        Left::Other => Err(failure),
    }
}

/// The last complete snapshot of the directory that is meant, and the directory.
fn known(context: &Context, args: &SourceArgs, repository: &Repository) -> Result<Option<(SnapshotId, SnapshotRecord, PathBuf)>, Failure> {
    let named = source::configured(context, args)?.data_dir().map(|dir| std::fs::canonicalize(dir).or_else(|_| std::path::absolute(dir)));
    let named = named.transpose().map_err(|source| ops::Error::Source { path: args.data_dir().cloned().unwrap_or_default(), source })?;
    if named.is_none() && !source::may_believe(repository) {
        return Ok(None);
    }
    let is_it = |record: &SnapshotRecord| {
        let place = record.source.directories.get("programdata").filter(|_| record.source.host == context.host() && record.is_complete());
        place.is_some_and(|place| named.as_deref().is_none_or(|named| named == Path::new(place)))
    };
    let has_database = |record: &SnapshotRecord| is_it(record) && record.category("database").is_some_and(|found| found.files > 0);
    let newest = match Catalog::newest(repository, has_database).map_err(ops::Error::from)? {
        None => Catalog::newest(repository, is_it).map_err(ops::Error::from)?,
        newest => newest,
    };
    Ok(newest.and_then(|(id, record)| record.source.directories.get("programdata").map(PathBuf::from).map(|place| (id, record, place))))
}

fn left(place: &Path) -> Left {
    let entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Left::Nothing("does not exist"),
        Err(_) => return Left::Other,
    };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).filter(|name| name != "lost+found").collect();
    match names.as_slice() {
        [] => Left::Nothing("is empty"),
        [name] if name == ".jellyfin-data" => Left::Marker,
        _ => Left::Other,
    }
}
