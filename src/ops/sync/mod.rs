//! `sync`: the same repository once more in another folder, on a USB disk or a mounted NAS. Packs
//! and records are copied as they are.
//!
//! The copy has a list of snapshots and a retention of its own. It is whole at every moment: what a
//! snapshot needs is there and was read back before the snapshot is listed. Nothing is deleted in
//! it.

mod packs;

use serde::{Deserialize, Serialize};

use crate::backend::Listed;
use crate::manifest::{Catalog, Chain, SnapshotId, SnapshotRecord, Standing, went_back};
use crate::progress::{Phase, Problem};
use crate::store::{Index, IndexMode, Location, Repository, pack_id};

use super::adopt::adopt;
use super::check::{CheckReport, Trees};
use super::copy::shown;
use super::reach::Reached;
use super::taken::Taken;
use super::{Error, ErrorKind, Monitor};

/// How to sync.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncOptions {
    /// Bring snapshots again that were copied before and forgotten in the copy.
    pub again: bool,
    /// Say what would be copied.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SyncReport {
    /// Snapshots that the copy did not have.
    pub snapshots: Vec<SnapshotId>,
    /// Packs that were copied.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots in the copy afterwards.
    pub in_copy: u64,
    /// Snapshots that were forgotten in the copy, and so not copied again.
    pub forgotten_there: u64,
    /// Nothing was copied.
    pub dry_run: bool,
    /// Snapshots that could not be copied, and why.
    pub problems: Vec<Problem>,
}

/// Brings what a repository has into its copy.
///
/// # Errors
/// [`Error::Refused`] where the target is another repository, or what the source holds is damaged;
/// else where a file cannot be read or written.
pub fn sync(
    source: &Repository,
    target: &Repository,
    options: &SyncOptions,
    monitor: &Monitor,
) -> Result<SyncReport, Error> {
    refuse_others(source, target)?;
    if !options.dry_run {
        // A copy whose making was cut off may lack it.
        target.complete_config()?;
        source.key_slots()?.mirror(target.backend())?;
    }
    let (ours, theirs) = (Catalog::load(source)?, Catalog::load(target)?);
    if !options.dry_run {
        adopt(target, &theirs)?;
    }
    let kept = Chain::kept(source)?;
    let mut taken = Taken::read(target)?;
    let has = |id: &SnapshotId| theirs.snapshots.iter().any(|(other, _)| other == id);
    let mut report = SyncReport { dry_run: options.dry_run, ..SyncReport::default() };
    // What is there can be copied; what is missing must not go unnoticed.
    report.problems.extend(went_back(source)?.map(|went_back| went_back.problem()));
    for (name, error) in &ours.damaged {
        report.problems.push(Problem {
            path: name.clone(),
            what: format!("it was not copied: {}", super::in_one_line(error)),
        });
    }
    let missing: Vec<_> = ours.snapshots.iter().filter(|(id, _)| !has(id)).cloned().collect();
    let (new, forgotten): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|(id, _)| options.again || !taken.has(id));
    report.forgotten_there = forgotten.len() as u64;
    if !new.is_empty() {
        copy(source, target, new, options, &mut report, monitor, |target, (id, record)| {
            Catalog::publish(target, *id, record, kept.contains(id))?;
            Ok(taken.add(target, *id)?)
        })?;
    }
    report.in_copy = theirs.snapshots.len() as u64 + report.snapshots.len() as u64;
    Ok(report)
}

/// Copies what new snapshots need, looks whether it is whole there, and lists them.
fn copy(
    source: &Repository,
    target: &Repository,
    new: Vec<(SnapshotId, SnapshotRecord)>,
    options: &SyncOptions,
    report: &mut SyncReport,
    monitor: &Monitor,
    mut list: impl FnMut(&Repository, &(SnapshotId, SnapshotRecord)) -> Result<(), Error>,
) -> Result<(), Error> {
    monitor.progress.phase(Phase::Mark, new.len() as u64, 0);
    let (own, there) = (source.index()?, target.index()?);
    let mut reached = Reached::default();
    let mut readers = Reached::readers(source, &own);
    let mut whole = Vec::new();
    for snapshot in new {
        match reached.add(&snapshot, &mut readers, monitor) {
            Ok(()) => whole.push(snapshot),
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let what = format!(
                    "it was not copied, because part of it is damaged here ({}). Run jellyvault check",
                    super::in_one_line(&error)
                );
                report.problems.push(Problem { path: super::ls::short(&snapshot.0), what });
            }
            Err(error) => return Err(error),
        }
        monitor.progress.advance(1, 0);
    }
    let needed = packs::needed(source, &own, &there, &reached)?;
    (report.packs, report.bytes) =
        (needed.len() as u64, needed.iter().map(|pack| pack.size_bytes).sum());
    if options.dry_run {
        report.snapshots = whole.into_iter().map(|(id, _)| id).collect();
        return Ok(());
    }
    Standing::begin(target, jiff::Timestamp::now().as_nanosecond().try_into().unwrap_or_default())?;
    packs::copy(source, target, &needed, monitor)?;
    let index = index_of(target, &needed)?;
    for snapshot in whole {
        if let Some(what) = fault(target, &index, &snapshot, monitor)? {
            let what = format!(
                "it was not listed in the copy, because part of it cannot be read there ({what}). Run jellyvault check on both"
            );
            report.problems.push(Problem { path: super::ls::short(&snapshot.0), what });
            continue;
        }
        list(target, &snapshot)?;
        report.snapshots.push(snapshot.0);
    }
    Ok(())
}

/// The index of the copy with the packs that came. One that the copy's own prune removed before is
/// remembered as garbage: that is forgotten.
fn index_of(target: &Repository, came: &[Listed]) -> Result<Index, Error> {
    target.forget_index();
    let index = Index::open(target, IndexMode::Use)?;
    let condemned = index.condemned();
    if !came.iter().any(|file| pack_id(&file.name).is_some_and(|id| condemned.contains(&id))) {
        return Ok(index);
    }
    if let Some(place) = target.index_place() {
        place.remove().map_err(|source| crate::store::Error::Local {
            verb: "remove",
            path: place.path.clone(),
            source,
        })?;
    }
    Ok(Index::open(target, IndexMode::Use)?)
}

/// What is wrong with a snapshot in the copy.
fn fault(
    target: &Repository,
    index: &Index,
    snapshot: &(SnapshotId, SnapshotRecord),
    monitor: &Monitor,
) -> Result<Option<String>, Error> {
    let mut found = CheckReport::default();
    Trees::new(target, index, Default::default()).snapshot(
        snapshot.0,
        &snapshot.1,
        &mut found,
        monitor,
    )?;
    let damage = found.damage.first().map(|damage| format!("{}: {}", damage.path, damage.what));
    Ok(damage.or_else(|| {
        found.findings.first().map(|finding| format!("{}: {}", finding.name, finding.what))
    }))
}

/// A copy has the id of what it is a copy of.
fn refuse_others(source: &Repository, target: &Repository) -> Result<(), Error> {
    let real = |location: &Location| match location {
        Location::Folder(folder) => std::fs::canonicalize(folder).ok(),
        Location::Memory => None,
    };
    let (from, to) = (real(source.location()), real(target.location()));
    if to.is_some() && from == to {
        return Err(Error::Refused {
            what: "the copy would be the repository itself".to_owned(),
            hint: "Give another directory with --to.".to_owned(),
        });
    }
    if source.config().id == target.config().id {
        return Ok(());
    }
    Err(Error::Refused {
        what: format!("{} is another repository, not a copy of this one; nothing was changed", shown(target.location())),
        hint: "Give an empty directory with --to, or the directory of an earlier copy. To bring snapshots into another repository, use jellyvault copy."
            .to_owned(),
    })
}
