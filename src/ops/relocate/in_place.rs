//! `move`: the paths of a stopped server are changed where it stands, after a snapshot of it, and
//! back.

use serde::Serialize;

use crate::manifest::{Catalog, Directories, SnapshotId, SnapshotRecord, instance_of};
use crate::source::{Arrangement, Layout};
use crate::store::Repository;

use super::super::ls::short;
use super::super::move_notes::{BEFORE, PLANNED, UNDONE, is_before_move, note, noted_id};
use super::super::restore::{
    Destination, InstanceTarget, RestoreOptions, RestoreReport, copy_to_look_at, is_unfinished,
    live_database, restore, state_before,
};
use super::super::restore::{hold, refuse_running, refuse_running_process};
use super::super::snapshot::{SnapshotOptions, snapshot};
use super::super::{Error, Monitor};
use super::moved::{forget_left_over, forget_moved, moved_snapshot};
use super::options::{MoveOptions, UndoOptions};
use super::places::{add_beside, in_data, places_of_layout, program_data_of};
use super::plan::MovePlan;

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

/// Where an instance sees its directories: its database tells, else its layout, if that says it
/// without doubt.
pub fn places_of_instance(
    repository: &Repository,
    target: &InstanceTarget,
    monitor: &Monitor,
) -> Result<Option<Directories>, Error> {
    let layout = Layout::of(&target.instance);
    let here = layout.directories();
    let seen = match live_database(&layout)?
        .map(|file| copy_to_look_at(&file, &repository.scratch_folder(), &monitor.interrupt))
    {
        Some(Ok(copy)) => crate::source::open_private(&copy.path, &monitor.interrupt)
            .ok()
            .and_then(|db| program_data_of(&db).ok().flatten()),
        // One that cannot be read tells nothing: then the layout does, or the user is asked.
        _ => None,
    };
    let arrangement = target.new_layout.or_else(|| Arrangement::of(&here));
    Ok(match (seen, arrangement) {
        (Some(data), _) if Some(&data) == here.get("programdata") => Some(of_this_machine(&here)),
        // It is no container, and its directories were moved on this machine.
        (Some(data), _) if !matches!(data.as_str(), "/config" | "/config/data") => {
            Some(of_this_machine(&here))
        }
        (Some(_), Some(arrangement)) => Some(places_of_layout(arrangement, &here)),
        (None, Some(arrangement))
            if target.new_layout.is_some()
                || matches!(arrangement, Arrangement::LinuxServer | Arrangement::Debian) =>
        {
            Some(places_of_layout(arrangement, &here))
        }
        _ => None,
    })
}

/// A server that is no container sees the directories of this machine.
pub fn of_this_machine(here: &Directories) -> Directories {
    let mut places = here.get("programdata").map(|data| in_data(data)).unwrap_or_default();
    places.extend(
        here.iter()
            .filter(|(name, _)| !matches!(name.as_str(), "database" | "metadata-default"))
            .map(|(name, dir)| (name.clone(), dir.clone())),
    );
    add_beside(&mut places);
    places
}

/// Takes a snapshot of a stopped server, and brings it back with its paths changed. An interrupted
/// move is undone first.
///
/// # Errors
/// [`Error::Refused`] before anything is changed; [`Error::HalfDone`] afterwards.
pub fn move_in_place(
    repository: &Repository,
    target: &InstanceTarget,
    options: &MoveOptions,
    host: &str,
    monitor: &Monitor,
) -> Result<MoveReport, Error> {
    let _held = hold(&target.instance)?;
    let layout = Layout::of(&target.instance);
    refuse_running_process(&target.instance)?;
    live_database(&layout)?.as_ref().map_or(Ok(()), refuse_running)?;
    if is_unfinished(&target.instance) {
        // One that was interrupted is begun again from the state before it.
        let by = UndoOptions {
            host: host.to_owned(),
            trusts_repository: options.trusts_repository,
            dry_run: false,
        };
        undo_held(repository, target, &by, monitor)?;
    }
    let own = SnapshotOptions {
        is_safety: true,
        include_generated: true,
        note: Some(PLANNED.to_owned()),
        host: host.to_owned(),
        ..SnapshotOptions::default()
    };
    let taken = snapshot(repository, &target.spec, &own, monitor)?;
    let before = taken.id.ok_or(Error::System { what: "a snapshot" })?;
    let done = changed(repository, (before, taken.record), target, options, &layout, monitor);
    if !matches!(done, Ok(_) | Err(Error::HalfDone { .. })) {
        // Nothing was changed: there is nothing to go back from.
        Catalog::drop(repository, &[before])?;
    }
    done
}

/// The move itself, after the snapshot of the state before.
fn changed(
    repository: &Repository,
    before: (SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &MoveOptions,
    layout: &Layout,
    monitor: &Monitor,
) -> Result<MoveReport, Error> {
    let id = before.0;
    if let Some(refused) = incomplete(&before.1) {
        return Err(refused);
    }
    let moved = moved_snapshot(repository, &before, options, Some(layout.directories()), monitor)?;
    if moved.plan.is_empty() {
        forget_moved(repository, moved.snapshot.0)?;
        return Err(nothing_to_move(target));
    }
    let restored = put_back(repository, (id, &moved.snapshot), target, monitor);
    forget_moved(repository, moved.snapshot.0)?;
    let restored = restored.map_err(|error| unfinished(error, &id))?;
    Ok(MoveReport { before: noted_id(&id, BEFORE), plan: moved.plan, restored })
}

/// Why a server is not moved: what its snapshot lacks would keep its old path, or come back from
/// nowhere.
pub fn incomplete(before: &SnapshotRecord) -> Option<Error> {
    let problem = before.problems.first();
    if before.problem_count == 0 {
        return None;
    }
    let problem = problem.map(|problem| format!(" ({}: {})", problem.path, problem.what));
    Some(Error::Refused {
        what: format!(
            "the snapshot of the server, which is taken first, would not be complete{}, so the move could not be undone; nothing was changed",
            problem.unwrap_or_default()
        ),
        hint: "Solve this first: jellyvault snapshot shows all problems.".to_owned(),
    })
}

/// Why a move that would change nothing is refused.
pub fn nothing_to_move(target: &InstanceTarget) -> Error {
    Error::Refused {
        what: format!(
            "no path of {} would change: the server has these paths already",
            target.instance.program_data
        ),
        hint: "Look at the paths of its libraries: jellyvault move --dry-run with the same options shows them.".to_owned(),
    }
}

/// Brings back the state before the last move of the server that was not undone, with a snapshot of
/// what is there now; the snapshot that was brought back. After an interrupted move, or an
/// interrupted restore with other paths, it is the state before that.
///
/// # Errors
/// [`Error::Refused`] where there was no move.
pub fn undo_move(
    repository: &Repository,
    target: &InstanceTarget,
    options: &UndoOptions,
    monitor: &Monitor,
) -> Result<(SnapshotId, RestoreReport), Error> {
    let _held = if options.dry_run { None } else { Some(hold(&target.instance)?) };
    undo_held(repository, target, options, monitor)
}

/// The same of a server that this process holds.
fn undo_held(
    repository: &Repository,
    target: &InstanceTarget,
    by: &UndoOptions,
    monitor: &Monitor,
) -> Result<(SnapshotId, RestoreReport), Error> {
    let is_unfinished = is_unfinished(&target.instance);
    let snapshot = if is_unfinished {
        before_interrupted(repository, target)?
    } else {
        before_move(repository, target)?
    };
    let options = RestoreOptions {
        safety_snapshot: !is_unfinished,
        host: by.host.clone(),
        is_move: true,
        before_move: Some(snapshot.0),
        trusts_repository: by.trusts_repository,
        dry_run: by.dry_run,
        ..whole()
    };
    if !by.dry_run {
        forget_left_over(repository, instance_of(&snapshot.1))?;
    }
    let report = restore(
        repository,
        &snapshot,
        &Destination::InPlace(Box::new(target.clone())),
        &options,
        monitor,
    )?;
    if is_before_move(&snapshot.1) && !by.dry_run {
        // It is not undone again: the next is the one before it.
        note(repository, &snapshot, UNDONE)?;
    }
    Ok((snapshot.0, report))
}

fn is_of(record: &SnapshotRecord, target: &InstanceTarget) -> bool {
    // A copy of a server has the same id and other paths.
    let is_other =
        matches!((&record.server.id, &target.server.id), (Some(own), Some(here)) if own != here);
    !is_other && record.source.directories.get("programdata") == Some(&target.instance.program_data)
}

/// The snapshot that was taken before the last move of the server.
fn before_move(
    repository: &Repository,
    target: &InstanceTarget,
) -> Result<(SnapshotId, SnapshotRecord), Error> {
    let found =
        Catalog::newest(repository, |record| is_of(record, target) && is_before_move(record))?;
    found.ok_or_else(|| Error::Refused {
        what: format!("this repository has no snapshot from before a move of {} that was not undone already", target.instance.program_data),
        hint: "Look for a snapshot from before (jellyvault list) and restore it: jellyvault restore SNAPSHOT --in-place --delete".to_owned(),
    })
}

/// The snapshot that has the state before a move or restore that was interrupted: the marker names
/// it. Only one that was taken for that purpose is believed.
fn before_interrupted(
    repository: &Repository,
    target: &InstanceTarget,
) -> Result<(SnapshotId, SnapshotRecord), Error> {
    // Its note may have changed meanwhile, and with it its id.
    let named = state_before(&target.instance);
    let is_named = |id: &SnapshotId| named.is_some_and(|named| named.time_ms() == id.time_ms());
    let catalog = Catalog::load(repository)?;
    let found = catalog.snapshots.into_iter().find(|(id, record)| {
        is_named(id) && record.is_safety() && !record.is_moved() && is_of(record, target)
    });
    found.ok_or_else(|| Error::Refused {
        what: format!("the change of {} was interrupted, and this repository has no snapshot of the state before it", target.instance.program_data),
        hint: "Run the command that was interrupted again: it goes on where it stopped. If it was run with another repository, name that with --repo."
            .to_owned(),
    })
}

/// All of a snapshot, and nothing else.
fn whole() -> RestoreOptions {
    RestoreOptions { delete: true, same_directories: true, ..RestoreOptions::default() }
}

fn put_back(
    repository: &Repository,
    (before, snapshot): (SnapshotId, &(SnapshotId, SnapshotRecord)),
    target: &InstanceTarget,
    monitor: &Monitor,
) -> Result<RestoreReport, Error> {
    // It was taken by this very command, of what is there.
    let options = RestoreOptions {
        is_move: true,
        before_move: Some(before),
        trusts_repository: true,
        ..whole()
    };
    restore(
        repository,
        snapshot,
        &Destination::InPlace(Box::new(target.clone())),
        &options,
        monitor,
    )
}

/// A move that stopped after its first write.
fn unfinished(error: Error, before: &SnapshotId) -> Error {
    match error {
        Error::HalfDone { what, source } => Error::HalfDone {
            what: format!(
                "{what}. The state before the move is in snapshot {0}. Do not start Jellyfin",
                short(before)
            ),
            source,
        },
        error => error,
    }
}
