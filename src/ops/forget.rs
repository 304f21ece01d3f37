//! `forget`: snapshots that no rule wants go from the list. What they alone needed stays until
//! `prune`.

use std::collections::HashSet;

use jiff::tz::TimeZone;

use crate::manifest::{
    Catalog, Chain, ListChange, Policy, SnapshotId, SnapshotRecord, Verdict, instance_of, judge,
};
use crate::progress::Phase;
use crate::store::Repository;

use super::ls::short;
use super::reach::Reached;
use super::{Error, Monitor};

/// Which snapshots go.
#[derive(Clone, Debug)]
pub enum Forget {
    /// Those that no rule wants.
    By(Policy),
    /// These.
    These(Vec<SnapshotId>),
}

/// What would go, and stay.
#[derive(Debug, Default)]
pub struct Forgetting {
    /// Each snapshot; those without a reason to stay go.
    pub verdicts: Vec<Verdict>,
    /// Stored bytes that then nothing needs; nothing where damage hides it.
    pub would_free: Option<u64>,
    /// What the others need, for a prune that follows; nothing where it was not looked at.
    pub needed: Reached,
}

impl Forgetting {
    /// The snapshots that go.
    pub fn dropped(&self) -> Vec<SnapshotId> {
        self.verdicts
            .iter()
            .filter(|verdict| verdict.reasons.is_empty())
            .map(|verdict| verdict.id)
            .collect()
    }
}

/// Finds out what would go, and what that would free. Changes nothing.
pub fn plan_forget(
    repository: &Repository,
    catalog: &Catalog,
    forget: &Forget,
    zone: &TimeZone,
    monitor: &Monitor,
) -> Result<Forgetting, Error> {
    let kept = Chain::kept(repository)?;
    let verdicts = match forget {
        Forget::By(policy) => {
            judge(policy, &catalog.snapshots, &kept, zone, jiff::Timestamp::now())
        }
        Forget::These(ids) => {
            if let Some(id) = ids.iter().find(|id| kept.contains(id)) {
                return Err(Error::Refused {
                    what: format!(
                        "snapshot {} is protected by keep; nothing was forgotten",
                        short(id)
                    ),
                    hint: format!(
                        "Run jellyvault keep --off {} to remove the protection.",
                        short(id)
                    ),
                });
            }
            let reasons = |id: &SnapshotId| {
                if ids.contains(id) { Vec::new() } else { vec!["not named".to_owned()] }
            };
            catalog
                .snapshots
                .iter()
                .map(|(id, _)| Verdict { id: *id, reasons: reasons(id) })
                .collect()
        }
    };
    let mut forgetting = Forgetting { verdicts, would_free: Some(0), needed: Reached::default() };
    let dropped: HashSet<SnapshotId> = forgetting.dropped().into_iter().collect();
    if let Forget::By(_) = forget {
        refuse_the_last(catalog, &dropped)?;
    }
    if !dropped.is_empty() {
        match freed_by(repository, catalog, &dropped, monitor) {
            Ok((bytes, needed)) => {
                (forgetting.would_free, forgetting.needed) = (Some(bytes), needed)
            }
            Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => {
                forgetting.would_free = None
            }
            Err(error) => return Err(error),
        }
    }
    Ok(forgetting)
}

/// The snapshots that a policy keeps, and those that are protected.
pub fn kept_by_rules(
    repository: &Repository,
    catalog: &Catalog,
    policy: &Policy,
    zone: &TimeZone,
) -> Result<Vec<SnapshotId>, Error> {
    let kept = Chain::kept(repository)?;
    let verdicts = judge(policy, &catalog.snapshots, &kept, zone, jiff::Timestamp::now());
    Ok(verdicts
        .into_iter()
        .filter(|verdict| !verdict.reasons.is_empty())
        .map(|verdict| verdict.id)
        .collect())
}

/// A source as people know it: its directory.
pub fn source_name(record: &SnapshotRecord) -> String {
    let directories = &record.source.directories;
    let directory = ["programdata", "folder"].iter().find_map(|name| directories.get(*name));
    directory.cloned().unwrap_or_else(|| record.source.how.clone())
}

/// Rules that would leave an instance without any snapshot are a mistake.
fn refuse_the_last(catalog: &Catalog, dropped: &HashSet<SnapshotId>) -> Result<(), Error> {
    let left: HashSet<&str> = catalog
        .snapshots
        .iter()
        .filter(|(id, _)| !dropped.contains(id))
        .map(|(_, record)| instance_of(record))
        .collect();
    match catalog.snapshots.iter().find(|(_, record)| !left.contains(instance_of(record))) {
        None => Ok(()),
        Some((_, record)) => Err(Error::Refused {
            what: format!(
                "these rules would forget every snapshot of {}; nothing was forgotten",
                source_name(record)
            ),
            hint: "Add a rule such as --keep-last 1, or give the snapshots to delete by id."
                .to_owned(),
        }),
    }
}

/// Stored bytes of what only the dropped snapshots need; and what the others need.
fn freed_by(
    repository: &Repository,
    catalog: &Catalog,
    dropped: &HashSet<SnapshotId>,
    monitor: &Monitor,
) -> Result<(u64, Reached), Error> {
    monitor.progress.phase(Phase::Mark, catalog.snapshots.len() as u64, 0);
    let index = repository.index()?;
    let mut readers = Reached::readers(repository, &index);
    let (mut kept, mut all) = (Reached::default(), Reached::default());
    kept.note_packs(&index)?;
    let (gone, stay): (Vec<_>, Vec<_>) =
        catalog.snapshots.iter().partition(|(id, _)| dropped.contains(id));
    for snapshot in stay {
        kept.add(snapshot, &mut readers, monitor)?;
        monitor.progress.advance(1, 0);
    }
    for snapshot in gone {
        all.add_beyond(&kept, snapshot, &mut readers, monitor)?;
        monitor.progress.advance(1, 0);
    }
    let mut rows = std::collections::HashMap::new();
    let mut freed = 0;
    index.for_each_chunk(|id, place| {
        if all.needs(id) && !kept.needs(id) {
            if let std::collections::hash_map::Entry::Vacant(vacant) = rows.entry(place.pack) {
                vacant.insert(index.extents_of(place.pack)?);
            }
            if let Some(row) =
                rows.get(&place.pack).and_then(|rows| rows.get(place.extent as usize))
            {
                freed += u64::from(place.len) * u64::from(row.stored_bytes)
                    / u64::from(row.raw_bytes.max(1));
            }
        }
        Ok(())
    })?;
    Ok((freed, kept))
}

/// Drops snapshots from the list.
pub fn forget(repository: &Repository, ids: &[SnapshotId]) -> Result<(), Error> {
    super::prune::finish_forgetting(repository)?;
    if ids.is_empty() {
        return Ok(());
    }
    tracing::info!(snapshots = ?ids.iter().map(short).collect::<Vec<_>>(), "removing snapshots from the list");
    Ok(Catalog::drop(repository, ids)?)
}

/// Marks snapshots to be kept, or takes their marks away.
pub fn keep(repository: &Repository, ids: &[SnapshotId], is_kept: bool) -> Result<(), Error> {
    let marked = ids.iter().map(|id| (*id, is_kept)).collect();
    Ok(Chain::change(repository, &ListChange { marked, ..ListChange::default() })?)
}
