//! `prune`: what no snapshot needs goes. Mark what is needed, make a plan, write anew what is
//! needed of packs that go, then remove them in a moment alone with the repository.

mod kept_trees;
mod moved_pages;
mod plan;
mod proof;
mod refuse;
mod rewrite;
mod switch;
mod usage;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::manifest::{Catalog, Chain, SnapshotId};
use crate::progress::{Phase, Problem};
use crate::store::{HeldWork, Index, IndexMode, Repository, pack_name};

use super::reach::Reached;
use super::{Error, Monitor, in_one_line};

pub use crate::progress::PlanSummary;
pub use plan::{MaxUnused, Plan};
pub(super) use switch::remove as remove_pack;

use self::kept_trees::keep_unnamed;
use self::refuse::{damaged_record, refuse_if_records_are_gone};
use self::rewrite::Rewriter;
use self::switch::{Victims, switch};

/// How to prune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PruneOptions {
    /// Waste that is tolerated.
    pub max_unused: MaxUnused,
    /// Make the plan, change nothing.
    pub dry_run: bool,
    /// Trees that no snapshot names and that may go, though nothing tells where they come from: the
    /// beginnings of their ids.
    pub given_up: Vec<String>,
    /// How long other processes that use the repository are waited for.
    pub wait: Duration,
}

impl Default for PruneOptions {
    fn default() -> PruneOptions {
        PruneOptions {
            max_unused: MaxUnused::default(),
            dry_run: false,
            given_up: Vec::new(),
            wait: WAIT,
        }
    }
}

/// How long others are waited for where nobody says: a nightly prune meets a snapshot, which takes
/// minutes at most.
pub(super) const WAIT: Duration = Duration::from_secs(30 * 60);

/// What a plan to forget found out, for the prune that follows it.
#[derive(Debug, Default)]
pub struct AlreadyMarked {
    /// Snapshots that count as forgotten already: to see what forgetting them would bring.
    pub without: HashSet<SnapshotId>,
    /// What is known to be needed: it is not gone through again.
    pub needed: Reached,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// The plan.
    pub plan: PlanSummary,
    /// It was only a plan: nothing was changed.
    pub dry_run: bool,
    /// Packs that were removed.
    pub removed: u64,
    /// Bytes that the repository's packs take less than before.
    pub freed: u64,
    /// Bytes that were written anew.
    pub written: u64,
    /// Packs that stay though the plan gave them up: snapshots taken meanwhile need them.
    pub needed_again: u64,
    /// What could not be done.
    pub problems: Vec<Problem>,
}

/// Between two tries for a lock.
const PAUSE: Duration = Duration::from_millis(100);

/// Reclaims what no snapshot needs.
///
/// # Errors
/// [`Error::StillInUse`] where others use the repository for longer than `wait`, [`Error::Refused`]
/// where its list of snapshots is damaged or gone, [`Error::Interrupted`], and [`Error::Store`]
/// where it cannot be read or written. Whatever fails, nothing that a snapshot needs is gone.
pub fn prune(
    repository: &Repository,
    options: &PruneOptions,
    monitor: &Monitor,
) -> Result<PruneReport, Error> {
    prune_marked(repository, options, AlreadyMarked::default(), monitor)
}

/// The same, behind a plan to forget.
pub(crate) fn prune_marked(
    repository: &Repository,
    options: &PruneOptions,
    marked: AlreadyMarked,
    monitor: &Monitor,
) -> Result<PruneReport, Error> {
    let _work = if options.dry_run {
        None
    } else {
        let work = alone_at_work(repository, options.wait, monitor)?;
        finish_forgetting(repository)?;
        Some(work)
    };
    let index = Index::open(repository, IndexMode::UseAndList)?;
    let catalog = Catalog::load(repository)?;
    if let Some((name, error)) = catalog.damaged.first() {
        return Err(damaged_record(name, error));
    }
    refuse_if_records_are_gone(repository, &catalog, !index.packs()?.is_empty())?;
    monitor.progress.phase(Phase::Mark, catalog.snapshots.len() as u64, 0);
    let seen: HashSet<SnapshotId> = catalog.snapshots.iter().map(|(id, _)| *id).collect();
    let mut reached =
        if marked.needed.still_holds(&seen, &index)? { marked.needed } else { Reached::default() };
    let mut readers = Reached::readers(repository, &index);
    for snapshot in catalog.snapshots.iter().filter(|(id, _)| !marked.without.contains(id)) {
        reached.add(snapshot, &mut readers, monitor)?;
        monitor.progress.advance(1, 0);
    }
    let kept_trees = keep_unnamed(
        repository,
        &index,
        &catalog,
        &options.given_up,
        &mut reached,
        &mut readers,
        monitor,
    )?;
    drop(readers);
    let (usages, found) = usage::usage(repository, &index, &reached)?;
    let plan =
        Plan::make(usages, options.max_unused, repository.config().pack_bytes, &index, &reached)?;
    let mut report =
        PruneReport { plan: plan.summary(), dry_run: options.dry_run, ..PruneReport::default() };
    let missing = (reached.chunks.len() + reached.pages.len() as u64).saturating_sub(found);
    if missing > 0 {
        let what = format!(
            "{missing} chunks that snapshots use are in no pack: they were lost or given up before. Run jellyvault check to see the files, then jellyvault repair"
        );
        tell(&mut report, monitor, Problem { path: "packs".to_owned(), what });
    }
    if let Some(what) = kept_trees {
        tell(&mut report, monitor, Problem { path: "packs".to_owned(), what });
    }
    if options.dry_run {
        return Ok(report);
    }
    monitor.progress.prune_plan(&report.plan);
    tracing::info!(plan = ?report.plan, "planned what to delete and to rewrite");
    proof::prove_index(repository, &index, &reached, &plan)?;
    let rewritten = rewrite_all(repository, &index, &reached, &plan, &mut report, monitor)?;
    // Where not all went well, the index may tell of packs that never came to be.
    let index = if report.problems.len() == usize::from(missing > 0) {
        index
    } else {
        Index::open(repository, IndexMode::UseAndList)?
    };
    let victims = Victims::of(&plan, &rewritten);
    monitor.progress.phase(
        Phase::Remove,
        victims.packs.len() as u64,
        victims.packs.iter().map(|pack| pack.bytes).sum(),
    );
    let switched =
        switch(repository, index, victims, (missing == 0, &seen), monitor, options.wait)?;
    crate::store::add_missing_parity(repository)?;
    report.removed = switched.removed;
    report.needed_again = switched.needed_again;
    report.freed = switched.removed_bytes.saturating_sub(report.written);
    Ok(report)
}

/// The lock of the one process that prunes or repairs; waits for another that has it, and is out of
/// its way meanwhile: that one waits to be alone with the repository.
pub(super) fn alone_at_work(
    repository: &Repository,
    wait: Duration,
    monitor: &Monitor,
) -> Result<Box<dyn HeldWork>, Error> {
    let start = Instant::now();
    loop {
        match repository.lock_work() {
            Err(crate::store::Error::Busy { .. }) => {
                still_waits(start.elapsed(), wait, monitor)?;
                repository.step_aside(PAUSE)?;
            }
            outcome => return Ok(outcome?),
        }
    }
}

/// Tells that others are waited for; an error where that took too long, or nobody wants it any
/// more.
pub(super) fn still_waits(
    waited: Duration,
    wait: Duration,
    monitor: &Monitor,
) -> Result<(), Error> {
    if monitor.interrupt.is_raised() {
        return Err(Error::Interrupted);
    }
    monitor.progress.waiting(waited);
    if waited < wait { Ok(()) } else { Err(Error::StillInUse { waited }) }
}

/// Writes anew what the plan says; the packs that may go then. Where anything fails that is not the
/// end of it all, packs stay.
fn rewrite_all(
    repository: &Repository,
    index: &Index,
    reached: &Reached,
    plan: &Plan,
    report: &mut PruneReport,
    monitor: &Monitor,
) -> Result<HashSet<[u8; 16]>, Error> {
    monitor.progress.phase(Phase::Rewrite, report.plan.rewritten, report.plan.moved_bytes);
    let mut rewritten = HashSet::new();
    if report.plan.rewritten == 0 {
        return Ok(rewritten);
    }
    let mut rewriter = Rewriter::new(repository, index, reached, plan)?;
    let mut outcome = Ok(());
    for (usage, _) in plan.packs.iter().filter(|(_, fate)| fate.is_rewritten()) {
        if monitor.interrupt.is_raised() {
            outcome = Err(Error::Interrupted);
            break;
        }
        match rewriter.pack(usage) {
            Ok(()) => drop(rewritten.insert(usage.id)),
            Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => {
                let what = format!(
                    "it is damaged ({}) and was not changed. Run jellyvault check to see the affected files",
                    in_one_line(&error)
                );
                tell(report, monitor, Problem { path: pack_name(&usage.id), what });
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
        monitor.progress.advance(1, usage.bytes.saturating_sub(usage.unused));
    }
    let is_complete = outcome.is_ok() && rewritten.len() as u64 == report.plan.rewritten;
    // Pages that moved need all their recipes, which lie in packs that are all to be written anew.
    let finished = outcome.and_then(|()| {
        if is_complete || plan.recipes.is_empty() {
            rewriter.finish()
        } else {
            Ok(Default::default())
        }
    });
    match finished {
        Ok(stored) => report.written = stored.stored_bytes,
        Err(error) if error.kind() == crate::ops::ErrorKind::DiskFull => {
            let what = "the disk is full, so only packs without any used data were deleted. Run jellyvault prune again, now that there is some free space";
            tell(report, monitor, Problem { path: "packs".to_owned(), what: what.to_owned() });
            rewritten.clear();
        }
        Err(error) => return Err(error),
    }
    if !is_complete && !plan.recipes.is_empty() {
        rewritten.clear();
    }
    Ok(rewritten)
}

fn tell(report: &mut PruneReport, monitor: &Monitor, problem: Problem) {
    monitor.progress.problem(&problem);
    report.problems.push(problem);
}

/// Records that `forget` gave up and could not remove any more, because it was cut off, go now.
pub(super) fn finish_forgetting(repository: &Repository) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let catalog = Catalog::load(repository)?;
    let left: Vec<_> = catalog
        .snapshots
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| chain.dropped.contains(id))
        .collect();
    if !left.is_empty() {
        Catalog::drop(repository, &left)?;
    }
    if repository.config().parity_permille == 0 {
        return Ok(());
    }
    // Second copies of records that never came to be, or whose records went. A capture writes the
    // copy first, under this lock.
    let _lock = repository.lock_list()?;
    let (chain, here) =
        (Chain::load(repository)?, Catalog::ids(repository)?.into_iter().collect::<HashSet<_>>());
    let copies = Catalog::copies(repository)?.into_iter().map(|(id, _)| id);
    let orphans: Vec<_> =
        copies.filter(|id| !chain.listed.contains_key(id) && !here.contains(id)).collect();
    if orphans.is_empty() { Ok(()) } else { Ok(Catalog::remove(repository, &orphans)?) }
}
