//! `restore`: repository → directory, or back into the instance. Refuse what would do harm, write
//! what differs, then tidy.

mod ahead;
mod born;
mod database;
mod delete;
mod dirs;
mod dress;
mod file_writer;
mod folded;
mod hold;
mod holds;
mod job;
mod keep_old;
mod link_writer;
mod links;
mod logs;
mod moved;
mod obstacle;
mod options;
mod other_places;
mod owners;
mod pictures;
mod privileges;
mod refuse;
mod room;
mod running;
mod safety;
mod same;
mod share;
mod tally;
mod target;
mod trap;
mod tree;
mod unfinished;
mod user_pictures;
mod writer;

use crate::manifest::{CategoryRecord, SnapshotId, SnapshotRecord, display};
use crate::source::{Category, DATABASE_PATH};
use crate::store::{ChunkReader, Repository};

pub(super) use self::hold::hold;
pub(super) use self::holds::has_users_in;
use self::job::Job;
pub use self::moved::Moved;
pub use self::options::{
    Destination, InstanceTarget, Owners, RestoreOptions, RestoreReport, Selection,
};
pub(super) use self::other_places::check_directories as check_same_directories;
pub(crate) use self::refuse::check_server;
pub(super) use self::refuse::{copy_to_look_at, live_database};
pub(super) use self::running::{refuse_running, refuse_running_process};
use self::tally::Tally;
use self::target::Target;
pub(in crate::ops) use self::unfinished::{is_unfinished, state_before};
use super::ls::short;
use super::move_notes::move_begins;
use super::select::categories;
use super::{Error, Monitor};

/// Marks a server whose paths are about to change.
fn begin_move(
    repository: &Repository,
    target: &InstanceTarget,
    stored: SnapshotId,
    before: Option<SnapshotId>,
    safety: Option<SnapshotId>,
) -> Result<(), Error> {
    unfinished::mark(&target.instance, before.or(safety))?;
    // The way back restores that state itself.
    before.filter(|before| *before != stored).map_or(Ok(()), |id| move_begins(repository, id))
}

/// Restores a snapshot: refuse what would do harm, look ahead for what would stop it half-way, keep
/// what is there, then write.
pub fn restore(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    destination: &Destination,
    options: &RestoreOptions,
    monitor: &Monitor,
) -> Result<RestoreReport, Error> {
    let (stored, record) = snapshot;
    // A move holds the server already.
    let _held = match destination {
        Destination::InPlace(target) if !options.is_move && !options.dry_run => {
            Some(hold(&target.instance)?)
        }
        _ => None,
    };
    // One with moved paths is gone when this has ended: people know only the one that it was made
    // from.
    let id = &record.moved_from().unwrap_or(*stored);
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut report = RestoreReport { dry_run: options.dry_run, ..RestoreReport::default() };
    report.remarks =
        refuse_or_remark(repository, snapshot, destination, options, &mut reader, monitor)?;
    let selected: Vec<_> = categories(record)
        .filter(|(category, _)| {
            options.selection.categories.is_empty()
                || options.selection.categories.contains(category)
        })
        .collect();
    let looked = Target::open(destination, repository, true)?;
    refuse::check_open_databases(record, &mut reader, &looked, options)?;
    if matches!(destination, Destination::InPlace(_)) || may_fail(&selected, &looked) {
        ahead::look_ahead(&mut reader, &selected, destination, &looked, options, monitor)?;
    }
    drop(looked);
    let Destination::InPlace(target) = destination else {
        let job = Job {
            repository,
            index: &index,
            snapshot,
            destination,
            selected: &selected,
            options,
            monitor,
        };
        return job.write(&mut reader, &mut report).map(|()| report);
    };
    // The snapshot adds to the index.
    drop(reader);
    drop(index);
    repository.forget_index();
    report.safety = safety::keep(repository, id, target, options, monitor)?;
    if options.keep_old {
        report.moved_aside = keep_old::move_aside(target, options)?;
    }
    if options.is_move && !options.dry_run {
        begin_move(repository, target, *stored, options.before_move, report.safety)?;
    }
    let index = repository.index()?;
    let job = Job {
        repository,
        index: &index,
        snapshot,
        destination,
        selected: &selected,
        options,
        monitor,
    };
    match job.write(&mut ChunkReader::new(repository, &index), &mut report) {
        Ok(()) if options.is_move && !report.problems.is_empty() => Err(half_moved(&report)),
        Ok(()) => {
            if !options.dry_run && options.selection.touches(Category::Database, DATABASE_PATH) {
                unfinished::clear(&target.instance)?;
            }
            Ok(report)
        }
        Err(error) if options.dry_run => Err(error),
        Err(error) => Err(half_done(error, &report)),
    }
}

/// Refuses what would do harm, or says what the user should know.
fn refuse_or_remark(
    repository: &Repository,
    (id, record): &(SnapshotId, SnapshotRecord),
    destination: &Destination,
    options: &RestoreOptions,
    reader: &mut ChunkReader<'_>,
    monitor: &Monitor,
) -> Result<Vec<String>, Error> {
    for path in &options.selection.paths {
        if super::select::lookup(reader, record, path)?.is_none() {
            return Err(Error::NoPath { snapshot: short(id), path: display(path) });
        }
    }
    refuse::check_repository(repository, destination, options)?;
    let mut remarks = Vec::new();
    if let Destination::InPlace(target) = destination {
        if record.source.directories.contains_key("folder") {
            return Err(Error::Refused {
                what: format!(
                    "snapshot {} is of a plain directory, not of a Jellyfin server",
                    short(id)
                ),
                hint: "Restore it with --to DIR.".to_owned(),
            });
        }
        remarks = refuse::check(repository, id, record, target, options, &monitor.interrupt)?;
    }
    if let Destination::Arranged(_, layout) = destination {
        remarks.extend(other_places::other_layout(record, *layout));
    }
    remarks.extend(remark_of_problems(id, record));
    Ok(remarks)
}

/// Other paths that are not everywhere: no server may start on them.
fn half_moved(report: &RestoreReport) -> Error {
    let first = report
        .problems
        .first()
        .map(|problem| format!("{}: {}", problem.path, problem.what))
        .unwrap_or_default();
    let safety = report
        .safety
        .as_ref()
        .map_or_else(String::new, |id| format!(" The state before is in snapshot {}.", short(id)));
    let what = format!(
        "not everything could be written, so some files have the old paths and some the new ({first}).{safety} Jellyfin 10.11 and later refuse to start until the change \
         is finished or undone (jellyvault move --undo)"
    );
    Error::HalfDone { what, source: Box::new(Error::System { what: "access to all files" }) }
}

/// What is wrong with the snapshot itself.
fn remark_of_problems(id: &SnapshotId, record: &SnapshotRecord) -> Option<String> {
    let id = short(id);
    match record.problem_count {
        0 => None,
        1 => Some(format!(
            "this snapshot has a problem: a path is missing or incomplete, or something looked wrong when it was taken. Run jellyvault show {id} to see it"
        )),
        count => Some(format!(
            "this snapshot has {count} problems: paths are missing or incomplete, or something looked wrong when it was taken. Run jellyvault show {id} to see them"
        )),
    }
}

/// Whether the target may have too little room for all that is selected, or cannot be written to:
/// then it is worth a closer look.
fn may_fail(selected: &[(Category, &CategoryRecord)], target: &Target) -> bool {
    let bytes: u64 =
        selected.iter().map(|(_, category)| category.bytes + category.entries * 4096).sum();
    let dir = target.roots.first().and_then(|root| {
        root.dir.ancestors().find(|dir| dir.is_dir()).map(std::path::Path::to_path_buf)
    });
    let Some(dir) = dir else { return false };
    !ahead::is_changeable(&dir)
        || rustix::fs::statvfs(&dir)
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < bytes)
}

/// An in-place restore that stopped: what was moved away comes back, and what is where is told.
fn half_done(error: Error, report: &RestoreReport) -> Error {
    let safety = report.safety.as_ref().map_or_else(String::new, |id| {
        format!(" The state before the restore is in snapshot {}.", short(id))
    });
    let what = if report.moved_aside.is_empty() {
        format!(
            "the restore stopped halfway: some files are from the snapshot, others are still the old ones. The database is replaced last.{safety}"
        )
    } else {
        match keep_old::move_back(&report.moved_aside) {
            Ok(()) => format!(
                "the restore stopped halfway, and everything was changed back to the state before.{safety}"
            ),
            Err((left, why)) => {
                format!(
                    "the restore stopped halfway, and not everything could be changed back ({why}): {}.{safety}",
                    keep_old::words(&left)
                )
            }
        }
    };
    Error::HalfDone { what, source: Box::new(error) }
}

/// Names the path of a snapshot that cannot be read back.
fn unreadable(id: &SnapshotId, path: &[u8], source: Error) -> Error {
    Error::Unreadable { snapshot: short(id), path: display(path), source: Box::new(source) }
}
