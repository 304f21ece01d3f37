//! Whether the paths in a snapshot's database are right where it is restored.

use crate::manifest::{Directories, SnapshotId, SnapshotRecord};
use crate::source::Arrangement;

use super::super::Error;
use super::super::ls::short;

/// What to know of a snapshot that is laid out for a server of another kind than its own: the paths
/// in its database stay as they are.
pub(super) fn other_layout(record: &SnapshotRecord, layout: Arrangement) -> Option<String> {
    let is_container = is_of_a_container(record);
    let own = Arrangement::of(&record.source.directories)?;
    let is_same = match layout {
        Arrangement::Docker | Arrangement::LinuxServer => is_container && own == layout,
        Arrangement::Debian => !is_container && own == layout,
        Arrangement::Portable => !is_container && own == Arrangement::Docker,
    };
    let seen = record
        .source
        .seen_by_server
        .get("metadata")
        .or(record.source.directories.get("metadata"))
        .map_or("…", String::as_str);
    (!is_same).then(|| {
        format!(
            "the database still contains the paths of the snapshot's server (its metadata is at {seen}). A server with its directories at any other path deletes \
             everything at its first library scan. Start a server with these files only if it sees the same paths, or restore again with --map-layout, which \
             changes them"
        )
    })
}

/// Whether its server saw its directories elsewhere than this machine does.
fn is_of_a_container(record: &SnapshotRecord) -> bool {
    record
        .source
        .seen_by_server
        .iter()
        .any(|(name, seen)| record.source.directories.get(name).is_some_and(|dir| dir != seen))
}

/// Refuses an instance whose directories are not those of the snapshot.
pub(in crate::ops) fn check_directories(
    id: &SnapshotId,
    record: &SnapshotRecord,
    here: &Directories,
    seen_here: &Directories,
) -> Result<(), Error> {
    let seen_then = &record.source.seen_by_server;
    // Where the database itself lies is asked elsewhere.
    let both: Vec<_> = seen_then
        .iter()
        .filter(|(name, _)| *name != "database")
        .filter_map(|(name, then)| Some((name, then, seen_here.get(name)?)))
        .collect();
    let differing = |pairs: Vec<(&String, &String, &String)>| {
        pairs
            .into_iter()
            .find(|(_, then, now)| then.trim_end_matches('/') != now.trim_end_matches('/'))
            .map(|(n, a, b)| (n.clone(), a.clone(), b.clone()))
    };
    // A container sees its own directories, wherever the volume lies on this machine.
    let is_container = is_of_a_container(record);
    let difference = if both.is_empty() && seen_here.is_empty() && is_container {
        None
    } else if both.is_empty() {
        let then = &record.source.directories;
        let pairs =
            ["config", "data", "metadata", "programdata", "root"].iter().filter_map(|name| {
                Some((then.get_key_value(*name)?, seen_here.get(*name).or(here.get(*name))?))
            });
        differing(pairs.map(|((name, then), now)| (name, then, now)).collect())
    } else {
        differing(both)
    };
    let Some((name, then, now)) = difference else { return Ok(()) };
    Err(Error::Refused {
        what: format!(
            "snapshot {} is of a server whose {name} directory was {then}, but here it is {now}. The paths in the database would be wrong, and the next library scan would delete everything",
            short(id)
        ),
        hint: "To change the paths to those of this server, add --map-layout (with export: --exact --map-layout); --dry-run shows what would change. If the server does see the \
               same directories as before (a container with the same volumes), add --same-directories. To restore only the files, use --to DIR."
            .to_owned(),
    })
}
