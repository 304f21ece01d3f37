//! `restore --user NAME --watch-state`: one user's watch state from a snapshot's database into that of the stopped server.

mod apply;
mod collect;

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::{Category, DATABASE_PATH, LiveFile, copy_database};
use crate::store::{Index, IndexMode, Repository};

use super::ls::short;
use super::restore::{InstanceTarget, live_database, refuse_running};
use super::rows::{Which, open_state};
use super::snapshot::{SnapshotOptions, snapshot};
use super::{Error, Watch, in_one_line};

pub use apply::ItemChange;

/// How.
#[derive(Clone, Debug, Default)]
pub struct WatchStateOptions {
    /// The user's name.
    pub user: String,
    /// Remove what the user watched since, which the snapshot lacks.
    pub delete: bool,
    /// Say what would be done, change nothing.
    pub dry_run: bool,
    /// Take no snapshot of the database as it was.
    pub no_safety_snapshot: bool,
    /// The machine's name, for the snapshot that is taken first.
    pub host: String,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct WatchStateReport {
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
}

/// Brings the state back: looked up by item, written in one transaction, the live database snapshotted first.
pub fn restore_watch_state(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &WatchStateOptions,
    watch: Watch<'_>,
) -> Result<WatchStateReport, Error> {
    let layout = &target.spec.layout;
    let database = live_database(layout)?.ok_or_else(|| Error::Refused {
        what: format!("the instance of {} has no database to bring watch state into", target.instance.program_data),
        hint: "Start Jellyfin once, or bring the whole snapshot back: jellyvault restore SNAPSHOT --in-place.".to_owned(),
    })?;
    if !options.dry_run {
        stopped(&database)?;
    }
    // Everything is done to a private copy first, which nobody keeps: what cannot be done is told before anything changes.
    let copy = copy_database(&database, &repository.scratch_folder(), watch.interrupt).map_err(|error| Error::Refused {
        what: format!("the database that is there could not be looked at ({})", in_one_line(&error)),
        hint: "Run as the user that Jellyfin runs as, or as root.".to_owned(),
    })?;
    let tried =
        bring_back(repository, from, &LiveFile::at(&copy.path).map_err(|source| Error::Target { verb: "open", path: copy.path.clone(), source })?, options)?;
    drop(copy);
    if options.dry_run {
        return Ok(tried);
    }
    let safety = if options.no_safety_snapshot { None } else { take_safety_snapshot(repository, from, target, options, watch)? };
    stopped(&database)?;
    let report = bring_back(repository, from, &database, options)?;
    Ok(WatchStateReport { safety, ..report })
}

fn take_safety_snapshot(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &WatchStateOptions,
    watch: Watch<'_>,
) -> Result<Option<SnapshotId>, Error> {
    let safety = SnapshotOptions {
        only: vec![Category::Database],
        is_safety: true,
        note: Some(format!("before the watch state of {} was brought back from snapshot {}", options.user, short(&from.0))),
        host: options.host.clone(),
        ..SnapshotOptions::default()
    };
    let safety = snapshot(repository, &target.spec, &safety, watch)?;
    if let Some(problem) = safety.record.problems.iter().find(|problem| problem.path.as_bytes() == DATABASE_PATH) {
        return Err(Error::Refused {
            what: format!("the live database could not be snapshotted first: {}", problem.what),
            hint: "Nothing was changed. Mend what it says, then run the same command again.".to_owned(),
        });
    }
    Ok(safety.id)
}

/// From the snapshot into a database. The index is let go of behind it: the snapshot in between adds to it.
fn bring_back(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    database: &LiveFile,
    options: &WatchStateOptions,
) -> Result<WatchStateReport, Error> {
    let index = Index::open(repository, IndexMode::Use)?;
    let state = open_state(repository, &index, &Which::Snapshot(from), DATABASE_PATH)?.ok_or_else(|| Error::Refused {
        what: format!("snapshot {} has no database", short(&from.0)),
        hint: "Choose one that was taken with the category database; jellyvault show SNAPSHOT tells.".to_owned(),
    })?;
    apply::apply(database, &collect::collect(&state, &options.user)?, options)
}

/// Refuses while a server has the database open.
fn stopped(database: &LiveFile) -> Result<(), Error> {
    refuse_running(database).map_err(|error| match error {
        Error::Refused { what, .. } => {
            Error::Refused { what, hint: "Stop Jellyfin, then run the same command again; --dry-run shows what it would do while the server runs.".to_owned() }
        }
        error => error,
    })
}
