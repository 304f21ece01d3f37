//! What would become of each item's state: the snapshot's is written into a private copy of the
//! live database, and what differs there is the plan. A server that runs is then asked to make the
//! same changes.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::{LiveFile, copy_database, refuse_computed, wary};
use crate::store::Repository;

use super::super::restore::{InstanceTarget, check_server, live_database};
use super::super::rows::{Id, PLACEHOLDER, read_id, stored_id};
use super::super::{Error, Monitor, clean_name, in_one_line};
use super::state::{ItemState, STATE_COLUMNS};
use super::{WatchStateOptions, WatchStateReport, bring_back, no_database};

/// What is to become of one user's watch state.
#[derive(Clone, Debug, Default)]
pub struct WatchStatePlan {
    /// The user's id on the server.
    pub user: Id,
    /// What a restore into the database would say of it: names of users and items.
    pub report: WatchStateReport,
    /// Items whose state is to change.
    pub items: Vec<PlannedState>,
}

/// An item whose state is to change.
#[derive(Clone, Debug)]
pub struct PlannedState {
    /// Its id on the server.
    pub item: Id,
    /// Its name.
    pub name: String,
    /// The state now; nothing where there is none.
    pub before: Option<ItemState>,
    /// The state to come; nothing where it is to be removed.
    pub after: Option<ItemState>,
}

/// Finds out what would change. The server may run; nothing is changed.
///
/// # Errors
/// As of [`super::restore_watch_state`].
pub fn plan_watch_state(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    target: &InstanceTarget,
    options: &WatchStateOptions,
    monitor: &Monitor,
) -> Result<WatchStatePlan, Error> {
    if !options.other_server {
        check_server(&from.0, &from.1, target)?;
    }
    let database = live_database(&target.spec.layout)?.ok_or_else(|| no_database(target))?;
    let copy = copy_database(&database, &repository.scratch_folder(), &monitor.interrupt).map_err(
        |error| Error::Refused {
            what: format!("the existing database could not be read ({})", in_one_line(&error)),
            hint: "Run as the user that Jellyfin runs as, or as root.".to_owned(),
        },
    )?;
    let failed = |source: rusqlite::Error| Error::WatchState { path: copy.path.clone(), source };
    let file = LiveFile::at(&copy.path).map_err(|source| Error::Target {
        verb: "open",
        path: copy.path.clone(),
        source,
    })?;
    let _held_up = monitor.interrupt.out_of_hand();
    let before = all_states(&copy.path).map_err(failed)?;
    let report = bring_back(
        repository,
        from,
        &file,
        &WatchStateOptions { dry_run: false, ..options.clone() },
    )?;
    let after = all_states(&copy.path).map_err(failed)?;
    let db = open(&copy.path).map_err(failed)?;
    let user: String = db
        .query_row(
            "SELECT CAST(Id AS TEXT) FROM Users WHERE Username = ?1",
            [&report.user],
            |row| row.get(0),
        )
        .map_err(failed)?;
    let user = read_id(&user).unwrap_or_default();
    let mut all: BTreeMap<Id, (Option<ItemState>, Option<ItemState>)> = BTreeMap::new();
    for ((_, item), state) in before.into_iter().filter(|((owner, _), _)| *owner == user) {
        all.entry(item).or_default().0 = Some(state.map_err(failed)?);
    }
    for ((_, item), state) in after.into_iter().filter(|((owner, _), _)| *owner == user) {
        all.entry(item).or_default().1 = Some(state.map_err(failed)?);
    }
    let mut items = Vec::new();
    for (item, (before, after)) in all {
        if before != after && item != PLACEHOLDER {
            items.push(PlannedState {
                item,
                name: name(&db, item).map_err(failed)?,
                before,
                after,
            });
        }
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(WatchStatePlan { user, report, items })
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    wary(&db)?;
    refuse_computed(&db)?;
    Ok(db)
}

/// The state of each user and item; a row that cannot be read is an error of its user alone. An
/// item has a row for each of its keys, which say the same; of rows that differ the one that was
/// played last counts.
fn all_states(path: &Path) -> rusqlite::Result<BTreeMap<(Id, Id), rusqlite::Result<ItemState>>> {
    let db = open(path)?;
    let sql = format!(
        "SELECT {STATE_COLUMNS}, CAST(UserId AS TEXT), CAST(ItemId AS TEXT) FROM UserData ORDER BY UserId, ItemId, LastPlayedDate, CustomDataKey"
    );
    let mut statement = db.prepare(&sql)?;
    let mut states = BTreeMap::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let ids: (String, String) = (row.get(9)?, row.get(10)?);
        if let (Some(user), Some(item)) = (read_id(&ids.0), read_id(&ids.1)) {
            states.insert((user, item), ItemState::read(row));
        }
    }
    Ok(states)
}

fn name(db: &Connection, item: Id) -> rusqlite::Result<String> {
    let sql = "SELECT CASE WHEN SeriesName IS NULL OR instr(Name, SeriesName) THEN '' ELSE SeriesName || ' ' END || coalesce(Name, '(without a name)') FROM BaseItems WHERE Id = ?1";
    let found: Option<String> =
        db.prepare_cached(sql)?.query_row([stored_id(item)], |row| row.get(0)).optional()?;
    Ok(found
        .map_or_else(|| "an item that is not in the database".to_owned(), |name| clean_name(&name)))
}
