//! A moved snapshot is planned, stored, and forgotten when it was used.

use crate::manifest::{
    Catalog, Directories, SnapshotId, SnapshotRecord, SourceRecord, instance_of,
};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, Repository};

use super::super::ls::short;
use super::super::snapshot::begin_list;
use super::super::{Error, Monitor};
use super::options::MoveOptions;
use super::plan::{MovePlan, Named};
use super::prepare::{Prepared, prepare};
use super::trees::Storing;

/// A snapshot that was made for a move.
#[derive(Clone, Debug)]
pub struct MovedSnapshot {
    /// It and its record, which is in the list until [`forget_moved`].
    pub snapshot: (SnapshotId, SnapshotRecord),
    /// What differs from the old one.
    pub plan: MovePlan,
}

/// Says what a move would change, and changes nothing.
///
/// # Errors
/// [`Error::Refused`] where the snapshot cannot be moved so.
pub fn plan_move(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    options: &MoveOptions,
    monitor: &Monitor,
) -> Result<MovePlan, Error> {
    monitor.progress.phase(Phase::Move, 0, 0);
    prepare(repository, snapshot, options, monitor).map(|prepared| prepared.plan)
}

/// Why a plan must not be carried out, unless the user allows it.
pub fn objection(plan: &MovePlan, options: &MoveOptions) -> Option<Error> {
    let first = |named: &Named| named.first.first().cloned().unwrap_or_default();
    if plan.media_missing.count > 0 && !options.allow_missing {
        return Some(Error::Refused {
            what: format!(
                "{} of {} media files and folders are not where the server will look for them on this machine, for example {}. Jellyfin's next library scan would delete what it does not find",
                plan.media_missing.count,
                plan.media_missing.count + plan.media_found,
                first(&plan.media_missing)
            ),
            hint: "Mount or copy the media first, or say where it is with --map /old=/new. If the server sees the media there although this machine does not, add --allow-missing."
                .to_owned(),
        });
    }
    if plan.media_changed.count > 0 && !options.allow_changed {
        return Some(Error::Refused {
            what: format!(
                "{} of {} media files have another modification time than in the library, for example {}. Jellyfin would read them again, and drop their chapter images, \
                 trickplay sheets, extracted subtitles and your unlocked changes",
                plan.media_changed.count,
                plan.media_found,
                first(&plan.media_changed)
            ),
            hint: "Copy the media again so that times are kept (cp -a, rsync -a). To go on anyway, add --allow-changed.".to_owned(),
        });
    }
    None
}

/// Makes the snapshot. It is listed, so that nothing deletes its data; who made it forgets it when
/// it was used.
///
/// # Errors
/// [`Error::Refused`] where the snapshot cannot be moved so; nothing was stored then.
pub fn moved_snapshot(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    options: &MoveOptions,
    directories: Option<Directories>,
    monitor: &Monitor,
) -> Result<MovedSnapshot, Error> {
    let record = &snapshot.1;
    monitor.progress.phase(Phase::Move, record.files.total, record.bytes.source);
    let prepared = prepare(repository, snapshot, options, monitor)?;
    if let Some(objection) = objection(&prepared.plan, options) {
        return Err(objection);
    }
    forget_left_over(repository, instance_of(record))?;
    repository.forget_index();
    let now = jiff::Timestamp::now();
    begin_list(repository, now.as_nanosecond())?;
    let index = Index::open(repository, IndexMode::Use)?;
    let mut storing = Storing::new(repository, &index, &prepared, monitor)?;
    let trees = match storing.trees(record) {
        Ok(trees) => trees,
        Err(error) => {
            storing.abandon()?;
            return Err(error);
        }
    };
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    let new_id = SnapshotId::at(u64::try_from(now.as_millisecond()).unwrap_or_default(), random);
    let mut moved = record_of(snapshot, &prepared, directories.unwrap_or_default());
    moved.categories = trees;
    tracing::debug!("stored what differs");
    let stored = storing.finish(new_id, &moved)?;
    if stored.packs > 0 || index.trailers_read() > 0 {
        index.commit()?;
    }
    (moved.bytes.new_raw, moved.bytes.new_stored) = (stored.raw_bytes, stored.stored_bytes);
    Catalog::publish(repository, new_id, &moved, false)?;
    Ok(MovedSnapshot { snapshot: (new_id, moved), plan: prepared.plan })
}

/// Takes snapshots of a server out of the list that were made for a move that was killed.
pub(super) fn forget_left_over(repository: &Repository, server: &str) -> Result<(), Error> {
    let is_left_over = |record: &SnapshotRecord| record.is_moved() && instance_of(record) == server;
    let left: Vec<SnapshotId> = Catalog::load(repository)?
        .snapshots
        .into_iter()
        .filter(|(_, record)| is_left_over(record))
        .map(|(id, _)| id)
        .collect();
    if left.is_empty() { Ok(()) } else { Ok(Catalog::drop(repository, &left)?) }
}

/// Takes a snapshot that was made for a move out of the list.
///
/// # Errors
/// Where the list cannot be written.
pub fn forget_moved(repository: &Repository, id: SnapshotId) -> Result<(), Error> {
    Ok(Catalog::drop(repository, &[id])?)
}

fn record_of(
    (id, record): &(SnapshotId, SnapshotRecord),
    prepared: &Prepared,
    here: Directories,
) -> SnapshotRecord {
    let to = &prepared.plan.to;
    let directories = if here.is_empty() { to.clone() } else { here };
    let source = SourceRecord { directories, seen_by_server: to.clone(), ..record.source.clone() };
    let mut moved = SnapshotRecord {
        parent: Some(*id),
        label: None,
        note: Some(format!("snapshot {} with moved paths", short(id))),
        source,
        ..record.clone()
    };
    moved.mark_moved();
    moved
}
