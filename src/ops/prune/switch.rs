//! The moment in which old packs go: alone with the repository, after a last look at what came
//! meanwhile.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::manifest::{Catalog, SnapshotId};
use crate::store::{Index, IndexMode, Repository, pack_name, parity_name};

use super::super::reach::Reached;
use super::super::{Error, Monitor};
use super::plan::{Fate, Plan};
use super::usage::PackUsage;

/// What goes.
pub(super) struct Victims<'p> {
    /// Packs of which nothing is needed any more.
    pub packs: Vec<&'p PackUsage>,
    /// Among them, those whose recipes were written anew because pages move: if one of them stays,
    /// `sources` must stay too.
    pub recipe_holders: HashSet<[u8; 16]>,
    /// Among them, those that pages moved out of.
    pub sources: HashSet<[u8; 16]>,
}

impl<'p> Victims<'p> {
    /// What the plan gives up, where what is needed of it was written anew.
    pub(super) fn of(plan: &'p Plan, rewritten: &HashSet<[u8; 16]>) -> Victims<'p> {
        let goes = |(usage, fate): &&(PackUsage, Fate)| {
            *fate == Fate::Drop || (fate.is_rewritten() && rewritten.contains(&usage.id))
        };
        let recipe_holders = plan
            .packs
            .iter()
            .filter(|(usage, _)| usage.holds_recipes && !plan.recipes.is_empty())
            .map(|(usage, _)| usage.id)
            .collect();
        let sources = plan
            .packs
            .iter()
            .filter(|(usage, _)| usage.sparse.iter().any(|(id, _)| plan.moved.contains(id)))
            .map(|(usage, _)| usage.id)
            .collect();
        Victims {
            packs: plan.packs.iter().filter(goes).map(|(usage, _)| usage).collect(),
            recipe_holders,
            sources,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Switched {
    pub removed: u64,
    pub removed_bytes: u64,
    /// Packs that a snapshot taken meanwhile needs again.
    pub needed_again: u64,
}

/// Removes the victims: the index gives them up first, recipes go before the pages that they lead
/// to.
pub(super) fn switch(
    repository: &Repository,
    index: Index,
    mut victims: Victims<'_>,
    (may_clear, seen): (bool, &HashSet<SnapshotId>),
    monitor: &Monitor,
    wait: Duration,
) -> Result<Switched, Error> {
    // Where something is missing, what an earlier run gave up stays for repair to look at.
    let condemned = if may_clear { index.condemned() } else { Vec::new() };
    if victims.packs.is_empty() && condemned.is_empty() {
        index.commit()?;
        return Ok(Switched::default());
    }
    repository.exclusively(&|waited| super::still_waits(waited, wait, monitor), || {
        let mut switched = Switched::default();
        let needed = needed_again(repository, &index, &victims, seen, monitor)?;
        if !needed.is_empty() {
            let blocks_moves = victims.recipe_holders.iter().any(|id| needed.contains(id));
            let before = victims.packs.len();
            let stays = |pack: &PackUsage| {
                needed.contains(&pack.id) || (blocks_moves && victims.sources.contains(&pack.id))
            };
            victims.packs.retain(|pack| !stays(pack));
            switched.needed_again = (before - victims.packs.len()) as u64;
        }
        let removal = victims.packs.iter().map(|pack| pack.id).collect();
        if !index.commit_without(&removal)?
            && let Some(place) = repository.index_place()
        {
            // A full disk, perhaps: without an index file all trailers are read the next time, and
            // packs that are gone are not missed.
            place.remove().map_err(|source| crate::store::Error::Local {
                verb: "remove",
                path: place.path.clone(),
                source,
            })?;
        }
        for id in condemned {
            remove(repository, &id)?;
        }
        for holds_recipes in [true, false] {
            for pack in victims.packs.iter().filter(|pack| pack.holds_recipes == holds_recipes) {
                // Once the index gave them up, stopping here leaves files that the next prune
                // removes.
                if monitor.interrupt.is_raised() {
                    return Err(Error::Interrupted);
                }
                remove(repository, &pack.id)?;
                switched.removed += 1;
                switched.removed_bytes += pack.bytes;
                monitor.progress.advance(1, pack.bytes);
            }
            repository.backend().sync().map_err(crate::store::Error::from)?;
        }
        repository.sweep_untold();
        Ok(switched)
    })
}

/// Removes a pack with its parity; one that is gone already is fine.
pub fn remove(repository: &Repository, id: &[u8; 16]) -> Result<(), Error> {
    for name in [pack_name(id), parity_name(id)] {
        match repository.backend().remove(&name) {
            Ok(()) | Err(crate::backend::Error::Missing { .. }) => {}
            Err(error) => return Err(crate::store::Error::from(error).into()),
        }
    }
    Ok(())
}

/// Victims that snapshots need which were taken since the first look. Their packs are read through
/// an index of their own; what lies in victims is known to the one that the plan was made with.
fn needed_again(
    repository: &Repository,
    index: &Index,
    victims: &Victims<'_>,
    seen: &HashSet<SnapshotId>,
    monitor: &Monitor,
) -> Result<HashSet<[u8; 16]>, Error> {
    let catalog = Catalog::load(repository)?;
    if let Some((name, error)) = catalog.damaged.first() {
        return Err(super::damaged_record(name, error));
    }
    let new: Vec<_> = catalog.snapshots.iter().filter(|(id, _)| !seen.contains(id)).collect();
    if new.is_empty() {
        return Ok(HashSet::new());
    }
    let newer = Index::open(repository, IndexMode::UseAndList)?;
    let mut readers = Reached::readers(repository, &newer);
    let mut since = Reached::default();
    for snapshot in new {
        since.add(snapshot, &mut readers, monitor)?;
    }
    let goes: HashSet<_> = victims.packs.iter().map(|pack| pack.id).collect();
    let numbers: HashMap<u32, [u8; 16]> =
        index.packs()?.into_iter().filter(|(_, id)| goes.contains(id)).collect();
    let mut needed = HashSet::new();
    index.for_each_chunk(|id, place| {
        if let Some(pack) = numbers.get(&place.pack)
            && since.needs(id)
        {
            needed.insert(*pack);
        }
        Ok(())
    })?;
    Ok(needed)
}
