//! `restore --user NAME --watch-state`: one user's watch state from a snapshot's database into that
//! of the stopped server.

mod apply;
mod collect;
mod counterparts;
mod plan;
mod state;

use rustix::fs::{Mode, OFlags};

use serde::{Deserialize, Serialize};

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::{Category, DATABASE_PATH, LiveFile, copy_database};
use crate::store::Repository;

use super::ls::short;
use super::restore::{
    InstanceTarget, check_server, hold, live_database, refuse_running, refuse_running_process,
};
use super::rows::{Which, open_state};
use super::snapshot::{SnapshotOptions, snapshot};
use super::{Error, Monitor, in_one_line};

pub use apply::ItemChange;
pub use collect::users_of;
pub use plan::{PlannedState, WatchStatePlan, plan_watch_state};
pub use state::ItemState;

/// How.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchStateOptions {
    /// The user's name.
    pub user: String,
    /// Remove what the user watched since, which the snapshot lacks.
    pub delete: bool,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
    /// The user wants another server's watch state.
    pub other_server: bool,
    /// Take no snapshot of the database as it was.
    pub no_safety_snapshot: bool,
    /// The machine's name, for the snapshot that is taken first.
    pub host: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct WatchStateReport {
    /// Nothing was changed: what is told would be done.
    pub dry_run: bool,
    /// The user as the server knows them now.
    pub user: String,
    /// The snapshot of the live database that was taken first.
    pub safety: Option<SnapshotId>,
    /// Items whose state is another one now.
    pub changed: Vec<ItemChange>,
    /// Items whose state was right already.
    pub unchanged: u64,
    /// Items of the snapshot that the server has no more, whose state waits for their return.
    pub put_aside: Vec<String>,
    /// Items of the snapshot that the server has no more and whose state could not be kept either.
    pub lost: Vec<String>,
    /// Items of the snapshot that the server has under another id.
    pub found_again: u64,
    /// In a dry run: why the server must be stopped before it is done.
    pub must_stop: Option<String>,
}

/// Brings the state back: looked up by item, written in one transaction, the live database
/// snapshotted first.
pub fn restore_watch_state(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &WatchStateOptions,
    monitor: &Monitor,
) -> Result<WatchStateReport, Error> {
    let _held = if options.dry_run { None } else { Some(hold(&target.instance)?) };
    let layout = &target.spec.layout;
    if !options.other_server {
        check_server(&from.0, &from.1, target)?;
    }
    let database = live_database(layout)?.ok_or_else(|| no_database(target))?;
    let must_stop = match stopped(&database, target) {
        Err(Error::Refused { what, .. }) if options.dry_run => Some(what),
        other => other.map(|()| None)?,
    };
    // Everything is done to a private copy first, which nobody keeps: what cannot be done is told
    // before anything changes.
    let copy = copy_database(&database, &repository.scratch_folder(), &monitor.interrupt).map_err(
        |error| Error::Refused {
            what: format!("the existing database could not be read ({})", in_one_line(&error)),
            hint: "Run as the user that Jellyfin runs as, or as root.".to_owned(),
        },
    )?;
    // What is in a database of somebody else's may take SQLite for ever.
    let _held_up = monitor.interrupt.out_of_hand();
    let tried = bring_back(
        repository,
        from,
        &LiveFile::at(&copy.path).map_err(|source| Error::Target {
            verb: "open",
            path: copy.path.clone(),
            source,
        })?,
        options,
    )?;
    drop(copy);
    if options.dry_run {
        return Ok(WatchStateReport { dry_run: true, must_stop, ..tried });
    }
    can_be_written(&database)?;
    let safety = if options.no_safety_snapshot {
        None
    } else {
        take_safety_snapshot(repository, from, target, options, monitor)?
    };
    stopped(&database, target)?;
    let report = bring_back(repository, from, &database, options)?;
    Ok(WatchStateReport { safety, ..report })
}

/// Before a snapshot is taken for what could not be done.
fn can_be_written(database: &LiveFile) -> Result<(), Error> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&**database.dir(), database.name(), flags, Mode::empty());
    opened.map(drop).map_err(|error| Error::Target {
        verb: "write",
        path: database.shown().to_path_buf(),
        source: error.into(),
    })
}

fn no_database(target: &InstanceTarget) -> Error {
    Error::Refused {
        what: format!("the server in {} has no database to restore watch state into", target.instance.program_data),
        hint: "Start Jellyfin once, or restore the whole snapshot: jellyvault restore SNAPSHOT --in-place.".to_owned(),
    }
}

/// Whether a server has the database of this instance open, or runs on it.
#[cfg(feature = "service")]
pub(crate) fn is_running(target: &InstanceTarget) -> Result<bool, Error> {
    let database = live_database(&target.spec.layout)?;
    Ok(database.is_some_and(|database| stopped(&database, target).is_err()))
}

/// Takes a snapshot of the live database as it is, whether the server runs or not; its id.
pub(crate) fn take_safety_snapshot(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &WatchStateOptions,
    monitor: &Monitor,
) -> Result<Option<SnapshotId>, Error> {
    let safety = SnapshotOptions {
        only: vec![Category::Database],
        is_safety: true,
        note: Some(format!(
            "before the watch state of {} was restored from snapshot {}",
            options.user,
            short(&from.0)
        )),
        host: options.host.clone(),
        ..SnapshotOptions::default()
    };
    let safety = snapshot(repository, &target.spec, &safety, monitor)?;
    if let Some(problem) =
        safety.record.problems.iter().find(|problem| problem.path.as_bytes() == DATABASE_PATH)
    {
        return Err(Error::Refused {
            what: format!(
                "the snapshot of the live database, which is taken first, failed: {}",
                problem.what
            ),
            hint: "Nothing was changed. Fix the cause, then run the same command again.".to_owned(),
        });
    }
    Ok(safety.id)
}

/// From the snapshot into a database. The index is let go of behind it: the snapshot in between
/// adds to it.
fn bring_back(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    database: &LiveFile,
    options: &WatchStateOptions,
) -> Result<WatchStateReport, Error> {
    let index = repository.index()?;
    let state = open_state(repository, &index, &Which::Snapshot(from), DATABASE_PATH)?.ok_or_else(|| Error::Refused {
        what: format!("snapshot {} does not contain a database", short(&from.0)),
        hint: "Choose a snapshot with the category database: run jellyvault show SNAPSHOT to see its categories.".to_owned(),
    })?;
    apply::apply(database, &collect::collect(&state, &options.user)?, options)
}

/// Refuses while a server has the database open, or runs on it.
fn stopped(database: &LiveFile, target: &InstanceTarget) -> Result<(), Error> {
    refuse_running(database).and_then(|()| refuse_running_process(&target.instance)).map_err(|error| match error {
        Error::Refused { what, .. } => Error::Refused {
            what,
            hint: "Stop Jellyfin, then run the same command again. With --dry-run you can see the changes while the server runs.".to_owned(),
        },
        error => error,
    })
}
