//! `prune`: what no snapshot needs goes. Mark what is needed, make a plan, write anew what is needed of packs that go, then remove
//! them in a moment alone with the repository.

mod moved_pages;
mod plan;
mod proof;
mod rewrite;
mod switch;
mod usage;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkId;
use crate::manifest::{Catalog, Chain, SnapshotId, record_copy_id};
use crate::progress::{Phase, Problem};
use crate::store::{ChunkReader, HeldWork, Index, IndexMode, Repository, pack_name};

use super::reach::{Reached, Unnamed, UnnamedTree, unnamed_trees};
use super::{Error, Monitor, in_one_line};

pub use crate::progress::PlanSummary;
pub use plan::{Fate, MaxUnused, Plan};
pub(super) use switch::remove as remove_pack;
pub use usage::PackUsage;

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
    /// Trees that no snapshot names and that may go, though nothing tells where they come from: the beginnings of their ids.
    pub given_up: Vec<String>,
    /// How long other processes that use the repository are waited for.
    pub wait: Duration,
}

impl Default for PruneOptions {
    fn default() -> PruneOptions {
        PruneOptions { max_unused: MaxUnused::default(), dry_run: false, given_up: Vec::new(), wait: WAIT }
    }
}

/// How long others are waited for where nobody says: a nightly prune meets a snapshot, which takes minutes at most.
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
/// [`Error::StillInUse`] where others use the repository for longer than `wait`, [`Error::Refused`] where its list of snapshots is damaged or gone,
/// [`Error::Interrupted`], and [`Error::Store`] where it cannot be read or written. Whatever fails, nothing that a snapshot needs is gone.
pub fn prune(repository: &Repository, options: &PruneOptions, monitor: &Monitor) -> Result<PruneReport, Error> {
    prune_marked(repository, options, AlreadyMarked::default(), monitor)
}

/// The same, behind a plan to forget.
pub(crate) fn prune_marked(repository: &Repository, options: &PruneOptions, marked: AlreadyMarked, monitor: &Monitor) -> Result<PruneReport, Error> {
    let _work = if options.dry_run { None } else { Some(alone_at_work(repository, options.wait, monitor)?) };
    if !options.dry_run {
        finish_forgetting(repository)?;
    }
    let index = Index::open(repository, IndexMode::UseAndList)?;
    let catalog = Catalog::load(repository)?;
    if let Some((name, error)) = catalog.damaged.first() {
        return Err(damaged_record(name, error));
    }
    refuse_if_records_are_gone(repository, &catalog, !index.packs()?.is_empty())?;
    monitor.progress.phase(Phase::Mark, catalog.snapshots.len() as u64, 0);
    let seen: HashSet<SnapshotId> = catalog.snapshots.iter().map(|(id, _)| *id).collect();
    let mut reached = if marked.needed.still_holds(&seen, &index)? { marked.needed } else { Reached::default() };
    let mut readers = Reached::readers(repository, &index);
    for snapshot in catalog.snapshots.iter().filter(|(id, _)| !marked.without.contains(id)) {
        reached.add(snapshot, &mut readers, monitor)?;
        monitor.progress.advance(1, 0);
    }
    let kept_trees = keep_unnamed(repository, &index, &catalog, &options.given_up, &mut reached, &mut readers, monitor)?;
    drop(readers);
    let (usages, found) = usage::usage(repository, &index, &reached)?;
    let plan = Plan::make(usages, options.max_unused, repository.config().pack_bytes, &index, &reached)?;
    let mut report = PruneReport { plan: plan.summary(), dry_run: options.dry_run, ..PruneReport::default() };
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

    proof::prove_index(repository, &index, &reached, &plan)?;
    let rewritten = rewrite_all(repository, &index, &reached, &plan, &mut report, monitor)?;
    // Where not all went well, the index may tell of packs that never came to be.
    let index = if report.problems.len() == usize::from(missing > 0) { index } else { Index::open(repository, IndexMode::UseAndList)? };
    let goes = |(usage, fate): &&(PackUsage, Fate)| *fate == Fate::Drop || (fate.is_rewritten() && rewritten.contains(&usage.id));
    let recipe_holders = plan.packs.iter().filter(|(usage, _)| usage.holds_recipes && !plan.recipes.is_empty()).map(|(usage, _)| usage.id).collect();
    let sources = plan.packs.iter().filter(|(usage, _)| usage.sparse.iter().any(|(id, _)| plan.moved.contains(id))).map(|(usage, _)| usage.id).collect();
    let victims = Victims { packs: plan.packs.iter().filter(goes).map(|(usage, _)| usage).collect(), recipe_holders, sources };
    monitor.progress.phase(Phase::Remove, victims.packs.len() as u64, victims.packs.iter().map(|pack| pack.bytes).sum());
    let switched = switch(repository, index, victims, (missing == 0, &seen), monitor, options.wait)?;
    crate::store::add_missing_parity(repository)?;
    report.removed = switched.removed;
    report.needed_again = switched.needed_again;
    report.freed = switched.removed_bytes.saturating_sub(report.written);
    Ok(report)
}

/// Marks trees of unknown origin, which may be all that is left of snapshots, and says so.
fn keep_unnamed(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    given_up: &[String],
    reached: &mut Reached,
    readers: &mut [ChunkReader<'_>],
    monitor: &Monitor,
) -> Result<Option<String>, Error> {
    let Unnamed { trees, records } = unnamed_trees(repository, index, &catalog.snapshots, monitor)?;
    let name = |tree: &UnnamedTree| tree.root.to_string().chars().take(TREE_DIGITS).collect::<String>();
    if let Some(unknown) = given_up.iter().find(|id| id.len() < TREE_DIGITS || !trees.iter().any(|tree| tree.root.to_string().starts_with(*id))) {
        return Err(Error::Refused {
            what: format!("there is no tree {unknown} without a snapshot; nothing was deleted"),
            hint: "Run jellyvault prune --dry-run to list these trees.".to_owned(),
        });
    }
    let (dropped, kept): (Vec<_>, Vec<_>) = trees.iter().partition(|tree| given_up.iter().any(|id| tree.root.to_string().starts_with(id)));
    let mut names = Vec::new();
    for tree in kept {
        names.push(format!("{} ({} files)", name(tree), tree.files));
        reached.add_tree(tree.root, readers, monitor)?;
    }
    let is_dropped = |root: &ChunkId| dropped.iter().any(|tree| tree.root == *root);
    for (id, record) in records.iter().filter(|(_, record)| !record.categories.values().any(|category| is_dropped(&category.manifest))) {
        if let Some(reader) = readers.first() {
            reached.add_chunk(&record_copy_id(*id, record, reader.hashing())?);
        }
    }
    Ok((!names.is_empty()).then(|| {
        let more = if names.len() > TREES_NAMED_MAX { ", …" } else { "" };
        format!(
            "the list of snapshots was lost once, and {} to no listed snapshot. The data was kept. Run jellyvault repair to recover it as snapshots, or \
             delete trees that you do not need with --remove-tree: {}{more}",
            if names.len() == 1 { "1 tree of files belongs".to_owned() } else { format!("{} trees of files belong", names.len()) },
            names.iter().take(TREES_NAMED_MAX).cloned().collect::<Vec<_>>().join(", ")
        )
    }))
}

/// Digits by which a tree is named.
const TREE_DIGITS: usize = 12;
/// Trees that are named at most.
const TREES_NAMED_MAX: usize = 100;

/// The lock of the one process that prunes or repairs; waits for another that has it, and is out of its way meanwhile: that one waits to be
/// alone with the repository.
pub(super) fn alone_at_work(repository: &Repository, wait: Duration, monitor: &Monitor) -> Result<Box<dyn HeldWork>, Error> {
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

/// Tells that others are waited for; an error where that took too long, or nobody wants it any more.
pub(super) fn still_waits(waited: Duration, wait: Duration, monitor: &Monitor) -> Result<(), Error> {
    if monitor.interrupt.is_raised() {
        return Err(Error::Interrupted);
    }
    monitor.progress.waiting(waited);
    if waited < wait { Ok(()) } else { Err(Error::StillInUse { waited }) }
}

/// Writes anew what the plan says; the packs that may go then. Where anything fails that is not the end of it all, packs stay.
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
                let what = format!("it is damaged ({}) and was not changed. Run jellyvault check to see the affected files", in_one_line(&error));
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
    let finished = outcome.and_then(|()| if is_complete || plan.recipes.is_empty() { rewriter.finish() } else { Ok(Default::default()) });
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
    let left: Vec<_> = catalog.snapshots.iter().map(|(id, _)| *id).filter(|id| chain.dropped.contains(id)).collect();
    if !left.is_empty() {
        Catalog::drop(repository, &left)?;
    }
    if repository.config().parity_permille == 0 {
        return Ok(());
    }
    // Second copies of records that never came to be, or whose records went. A capture writes the copy first, under this lock.
    let _lock = repository.lock_list()?;
    let (chain, here) = (Chain::load(repository)?, Catalog::ids(repository)?.into_iter().collect::<HashSet<_>>());
    let copies = Catalog::copies(repository)?.into_iter().map(|(id, _)| id);
    let orphans: Vec<_> = copies.filter(|id| !chain.listed.contains_key(id) && !here.contains(id)).collect();
    if orphans.is_empty() { Ok(()) } else { Ok(Catalog::remove(repository, &orphans)?) }
}

/// Snapshots whose records are gone though nothing forgot them may come back: what they need must not go.
fn refuse_if_records_are_gone(repository: &Repository, catalog: &Catalog, has_packs: bool) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here: HashSet<SnapshotId> = Catalog::ids(repository)?.into_iter().collect();
    let gone: Vec<_> = chain.listed.keys().filter(|id| !here.contains(id)).map(super::ls::short).collect();
    if !gone.is_empty() {
        return Err(Error::Refused {
            what: format!(
                "nothing was deleted: records of snapshots are missing that forget did not delete ({}), so it is unknown which data they use",
                gone.join(", ")
            ),
            hint: "Restore the directory snapshots of the repository. Or run jellyvault repair, which restores records that have a second copy and gives up the others. Then prune again."
                .to_owned(),
        });
    }
    if chain.is_broken() {
        return Err(Error::Refused {
            what: "nothing was deleted: part of the list of snapshots is missing or damaged, so it is unknown which snapshots there were".to_owned(),
            hint: "Restore the directory list of the repository, or run jellyvault repair. Then prune again.".to_owned(),
        });
    }
    if catalog.snapshots.is_empty() && has_packs && chain.is_empty() {
        return Err(Error::Refused {
            what: "nothing was deleted: there are packs but no snapshots, and no record that snapshots were forgotten".to_owned(),
            hint: "Are the directories snapshots and list of the repository in place? If there never was a snapshot, take one first.".to_owned(),
        });
    }
    Ok(())
}

/// What a snapshot needs whose record cannot be read is not known: nothing may go.
fn damaged_record(name: &str, error: &crate::store::Error) -> Error {
    Error::Refused {
        what: format!("nothing was deleted: {name} cannot be read ({}), so it is unknown which data that snapshot uses", in_one_line(error)),
        hint: "Run jellyvault repair, which repairs the record or gives up the snapshot. Then prune again.".to_owned(),
    }
}
