//! Pictures that a dashboard puts where its server does not look, seen on real servers
//! (`docs/zip.md`, "Pictures").

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::version;

use super::super::ls::short;
use super::Place;

/// The first version that unpacks a zip's metadata to its place (Jellyfin issue 15829).
const FIRST_RIGHT: [u32; 4] = [10, 11, 7, 0];

/// What applies to this zip, and to the server for whose dashboard it is, where that is known.
pub(super) fn remarks(
    (id, record): &(SnapshotId, SnapshotRecord),
    place: Option<&Place>,
) -> Vec<String> {
    let mut remarks = Vec::new();
    let afterwards = format!("jellyvault restore {} --in-place --only metadata", short(id));
    let oldest = place
        .and_then(Place::exact_version)
        .or_else(|| record.server.version.as_ref().map(|version| version.value.as_str()));
    let is_misplaced = oldest.is_none_or(|version| version::parse(version) < FIRST_RIGHT);
    if is_misplaced {
        remarks.push(format!(
            "Jellyfin 10.11.0 to 10.11.6 unpack posters and other pictures to a directory that they do not use. Restore the zip with 10.11.7 or newer. Or run this afterwards, with the \
             server running or stopped: {afterwards}"
        ));
    }
    if let Some(path) = record.source.own_metadata_path()
        && place.is_none_or(|place| !place.has_metadata_at(path))
    {
        remarks.push(format!(
            "the snapshot's server keeps its pictures in {path}. Before the restore, set that path in the dashboard of the server that restores the zip (Dashboard, General, \
             Metadata path) and restart it. Otherwise they are unpacked to a directory that it does not use. To fix that afterwards: {afterwards}"
        ));
    }
    remarks
}
