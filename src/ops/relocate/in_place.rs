//! `move`: the paths of a stopped server are changed where it stands, after a snapshot of it, and back.

use serde::Serialize;

use crate::manifest::{Catalog, Directories, SnapshotId, SnapshotRecord};
use crate::source::{Arrangement, Layout};
use crate::store::Repository;

use super::super::ls::short;
use super::super::restore::{Destination, InstanceTarget, RestoreOptions, RestoreReport, copy_to_look_at, is_unfinished, live_database, restore};
use super::super::restore::{refuse_running, refuse_running_process};
use super::super::snapshot::{SnapshotOptions, snapshot};
use super::super::{Error, Monitor};
use super::moved::{forget_moved, moved_snapshot};
use super::options::MoveOptions;
use super::places::{in_data, places_of_layout, program_data_of};
use super::plan::MovePlan;

/// How the note of a snapshot begins that was taken before a move.
const BEFORE: &str = "before a move";

/// What a move did.
#[derive(Debug, Serialize)]
pub struct MoveReport {
    /// The snapshot of the state before.
    pub before: SnapshotId,
    /// What was changed.
    pub plan: MovePlan,
    /// The files.
    pub restored: RestoreReport,
}

/// Where an instance sees its directories: its database tells, else its layout, if that says it without doubt.
pub fn places_of_instance(repository: &Repository, target: &InstanceTarget, monitor: &Monitor) -> Result<Option<Directories>, Error> {
    let layout = Layout::of(&target.instance);
    let here = layout.directories();
    let seen = match live_database(&layout)?.map(|file| copy_to_look_at(&file, &repository.scratch_folder(), &monitor.interrupt)) {
        Some(Ok(copy)) => crate::source::open_private(&copy.path).ok().and_then(|db| program_data_of(&db).ok().flatten()),
        _ => None,
    };
    let arrangement = target.new_layout.or_else(|| Arrangement::of(&here));
    Ok(match (seen, arrangement) {
        (Some(data), _) if Some(&data) == here.get("programdata") => Some(of_this_machine(&here)),
        (Some(data), Some(arrangement)) if data == "/config" || data == "/config/data" => Some(places_of_layout(arrangement, &here)),
        (None, Some(arrangement)) if target.new_layout.is_some() || matches!(arrangement, Arrangement::LinuxServer | Arrangement::Debian) => {
            Some(places_of_layout(arrangement, &here))
        }
        _ => None,
    })
}

/// A server that is no container sees the directories of this machine.
pub fn of_this_machine(here: &Directories) -> Directories {
    let mut places = here.get("programdata").map(|data| in_data(data)).unwrap_or_default();
    places.extend(here.iter().filter(|(name, _)| !matches!(name.as_str(), "database" | "metadata-default")).map(|(name, dir)| (name.clone(), dir.clone())));
    places
}

/// Takes a snapshot of a stopped server, and brings it back with its paths changed.
///
/// # Errors
/// [`Error::Refused`] before anything is changed; [`Error::HalfDone`] afterwards.
pub fn move_in_place(repository: &Repository, target: &InstanceTarget, options: &MoveOptions, host: &str, monitor: &Monitor) -> Result<MoveReport, Error> {
    let layout = Layout::of(&target.instance);
    if is_unfinished(&target.instance) {
        return Err(Error::Refused {
            what: format!("an earlier move of {} was interrupted, so some of its files have the old paths and some the new", target.instance.program_data),
            hint: "Undo it first: jellyvault move --undo".to_owned(),
        });
    }
    refuse_running_process(&target.instance)?;
    live_database(&layout)?.as_ref().map_or(Ok(()), refuse_running)?;
    let own = SnapshotOptions { is_safety: true, include_generated: true, note: Some(BEFORE.to_owned()), host: host.to_owned(), ..SnapshotOptions::default() };
    let taken = snapshot(repository, &target.spec, &own, monitor)?;
    let before = taken.id.ok_or(Error::System { what: "a snapshot" })?;
    if !taken.record.is_complete() {
        return Err(Error::Refused {
            what: format!(
                "the snapshot {} of the server, which is taken first, is not complete, so the move could not be undone; nothing was changed",
                short(&before)
            ),
            hint: format!("See what is missing: jellyvault show {}", short(&before)),
        });
    }
    let moved = moved_snapshot(repository, &(before, taken.record), options, Some(layout.directories()), monitor)?;
    let restored = put_back(repository, &moved.snapshot, target, monitor);
    forget_moved(repository, moved.snapshot.0)?;
    Ok(MoveReport { before, plan: moved.plan, restored: restored.map_err(|error| unfinished(error, &before))? })
}

/// Brings back the state before the last move of the server, with a snapshot of what is there now; the snapshot that was brought back.
///
/// # Errors
/// [`Error::Refused`] where there was no move.
pub fn undo_move(repository: &Repository, target: &InstanceTarget, host: &str, monitor: &Monitor) -> Result<(SnapshotId, RestoreReport), Error> {
    let snapshot = before_move(repository, target)?;
    let options = RestoreOptions { safety_snapshot: !is_unfinished(&target.instance), host: host.to_owned(), ..whole() };
    let report = restore(repository, &snapshot, &Destination::InPlace(Box::new(target.clone())), &options, monitor)?;
    Ok((snapshot.0, report))
}

/// The snapshot that was taken before the last move of the server.
fn before_move(repository: &Repository, target: &InstanceTarget) -> Result<(SnapshotId, SnapshotRecord), Error> {
    let data = &target.instance.program_data;
    let is_its = |record: &SnapshotRecord| {
        let is_own = match (&record.server.id, &target.server.id) {
            (Some(own), Some(here)) => own == here,
            _ => record.source.directories.get("programdata") == Some(data),
        };
        is_own && record.is_safety() && record.note.as_deref() == Some(BEFORE)
    };
    Catalog::newest(repository, is_its)?.ok_or_else(|| Error::Refused {
        what: format!("this repository has no snapshot from before a move of {data}"),
        hint: "Look for a snapshot from before (jellyvault list) and restore it: jellyvault restore SNAPSHOT --in-place --delete".to_owned(),
    })
}

/// All of a snapshot, and nothing else.
fn whole() -> RestoreOptions {
    RestoreOptions { delete: true, same_directories: true, trusts_repository: true, ..RestoreOptions::default() }
}

fn put_back(repository: &Repository, snapshot: &(SnapshotId, SnapshotRecord), target: &InstanceTarget, monitor: &Monitor) -> Result<RestoreReport, Error> {
    let options = RestoreOptions { is_move: true, ..whole() };
    restore(repository, snapshot, &Destination::InPlace(Box::new(target.clone())), &options, monitor)
}

/// A move that stopped after its first write.
fn unfinished(error: Error, before: &SnapshotId) -> Error {
    match error {
        Error::HalfDone { what, source } => Error::HalfDone {
            what: format!("{what} The state before the move is in snapshot {0}. Do not start Jellyfin. To go back: jellyvault move --undo", short(before)),
            source,
        },
        error => error,
    }
}
