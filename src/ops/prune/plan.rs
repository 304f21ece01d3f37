//! What becomes of each pack? A plan that can be shown before anything is done.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkId;
use crate::progress::PlanSummary;
use crate::store::Index;

use super::super::Error;
use super::super::reach::{Reached, SlotUnit};
use super::usage::PackUsage;

/// What becomes of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays.
    Keep,
    /// Nothing in it is needed.
    Drop,
    /// What is needed of it goes into new packs: too much of it is garbage.
    Garbage,
    /// The same, because it is one of many small ones.
    Small,
    /// The same, because a recipe in it leads to pages that move.
    Recipes,
}

/// How much waste is tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MaxUnused {
    /// So many hundredths of the repository.
    Percent(f64),
    /// So many bytes.
    Bytes(u64),
    /// Any: only packs that nothing needs are removed.
    Unlimited,
}

impl Default for MaxUnused {
    fn default() -> MaxUnused {
        MaxUnused::Percent(5.0)
    }
}

/// The plan.
#[derive(Debug, Default)]
pub struct Plan {
    /// Each pack and what becomes of it.
    pub packs: Vec<(PackUsage, Fate)>,
    /// Extents of pages whose needed pages move.
    pub moved: HashSet<ChunkId>,
    /// Recipes that name them, to be written anew.
    pub recipes: HashSet<ChunkId>,
}

/// Many small packs of one size class are put together from so many on.
const SMALL_PACKS: usize = 16;
/// The smallest size class ends here, in bytes; each next one is eight times as large.
const SMALL_BYTES: u64 = 512 << 10;
/// Moving pages may cost the rewriting of so many bytes for each that it frees.
const RECIPE_COST: u64 = 8;

impl Plan {
    /// Makes the plan.
    pub fn make(
        usages: Vec<PackUsage>,
        max_unused: MaxUnused,
        pack_bytes: u64,
        index: &Index,
        reached: &Reached,
    ) -> Result<Plan, Error> {
        let fate = |usage: &PackUsage| if usage.is_needed { Fate::Keep } else { Fate::Drop };
        let mut plan = Plan {
            packs: usages
                .into_iter()
                .map(|usage| (fate(&usage), usage))
                .map(|(fate, usage)| (usage, fate))
                .collect(),
            ..Plan::default()
        };
        plan.give_up_the_worst(max_unused);
        plan.put_small_ones_together(pack_bytes);
        plan.move_pages(index, reached)?;
        Ok(plan)
    }

    /// The packs with the most garbage, until what is left is tolerated: so the cost follows the
    /// garbage.
    fn give_up_the_worst(&mut self, max_unused: MaxUnused) {
        let needed = |(usage, fate): &&(PackUsage, Fate)| *fate == Fate::Keep && usage.bytes > 0;
        let live: u64 = self
            .packs
            .iter()
            .filter(needed)
            .map(|(usage, _)| usage.bytes.saturating_sub(usage.unused))
            .sum();
        let allowed = match max_unused {
            MaxUnused::Unlimited => return,
            MaxUnused::Bytes(bytes) => bytes,
            MaxUnused::Percent(percent) => {
                (live as f64 * percent / (100.0 - percent.min(99.9))) as u64
            }
        };
        let mut left: u64 = self.packs.iter().filter(needed).map(|(usage, _)| usage.unused).sum();
        let mut candidates: Vec<&mut (PackUsage, Fate)> = self
            .packs
            .iter_mut()
            .filter(|(usage, fate)| *fate == Fate::Keep && usage.unused > 0)
            .collect();
        let share = |usage: &PackUsage| usage.unused as f64 / usage.bytes.max(1) as f64;
        candidates.sort_by(|(a, _), (b, _)| share(b).total_cmp(&share(a)));
        for (usage, fate) in candidates {
            if left <= allowed {
                break;
            }
            *fate = Fate::Garbage;
            left = left.saturating_sub(usage.unused);
        }
    }

    /// Captures every few minutes leave many small packs: those of one size are put together once
    /// there are many, so that each byte is written anew a few times only in all the years.
    fn put_small_ones_together(&mut self, pack_bytes: u64) {
        let mut upper = SMALL_BYTES;
        let mut lower = 0;
        while lower < pack_bytes / 2 {
            let in_class = |usage: &PackUsage, fate: &Fate| {
                *fate == Fate::Keep && (lower..upper.min(pack_bytes / 2)).contains(&usage.bytes)
            };
            if self.packs.iter().filter(|(usage, fate)| in_class(usage, fate)).count()
                >= SMALL_PACKS
            {
                for (_, fate) in self.packs.iter_mut().filter(|(usage, fate)| in_class(usage, fate))
                {
                    *fate = Fate::Small;
                }
            }
            (lower, upper) = (upper, upper.saturating_mul(8));
        }
    }

    /// Pages move out of sparse extents of the packs that are written anew anyway, if writing their
    /// recipes anew does not cost too much.
    fn move_pages(&mut self, index: &Index, reached: &Reached) -> Result<(), Error> {
        let sparse = self
            .packs
            .iter()
            .filter(|(_, fate)| fate.is_rewritten())
            .flat_map(|(usage, _)| &usage.sparse);
        let (mut moved, mut freed) = (HashSet::new(), 0);
        for (id, bytes) in sparse {
            if reached.pages.get(id).is_some_and(|slots| slots.unit != SlotUnit::Mixed) {
                moved.insert(*id);
                freed += bytes;
            }
        }
        let names_moved =
            |extents: &&Vec<ChunkId>| extents.iter().any(|extent| moved.contains(extent));
        let recipes: HashSet<ChunkId> = reached
            .recipes
            .iter()
            .filter(|(_, extents)| names_moved(extents))
            .map(|(id, _)| *id)
            .collect();
        let mut holders = HashSet::new();
        for id in &recipes {
            holders.extend(index.locate(id)?.map(|located| located.pack));
        }
        let is_extra =
            |usage: &PackUsage, fate: &Fate| *fate == Fate::Keep && holders.contains(&usage.id);
        let cost: u64 = self
            .packs
            .iter()
            .filter(|(usage, fate)| is_extra(usage, fate))
            .map(|(usage, _)| usage.bytes)
            .sum();
        if cost > freed.saturating_mul(RECIPE_COST) {
            return Ok(());
        }
        for (_, fate) in self.packs.iter_mut().filter(|(usage, fate)| is_extra(usage, fate)) {
            *fate = Fate::Recipes;
        }
        (self.moved, self.recipes) = (moved, recipes);
        Ok(())
    }

    /// The plan in numbers.
    pub fn summary(&self) -> PlanSummary {
        let mut sum = PlanSummary::default();
        for (usage, fate) in &self.packs {
            sum.packs += 1;
            sum.bytes += usage.bytes;
            sum.unused += usage.unused;
            match fate {
                Fate::Keep => {
                    sum.kept += 1;
                    sum.unused_after += usage.unused;
                }
                Fate::Drop => {
                    sum.dropped += 1;
                    sum.freed += usage.bytes;
                }
                Fate::Garbage | Fate::Small | Fate::Recipes => {
                    let stays: u64 = usage
                        .sparse
                        .iter()
                        .filter(|(id, _)| !self.moved.contains(id))
                        .map(|(_, bytes)| bytes)
                        .sum();
                    sum.rewritten += 1;
                    sum.freed += usage.unused.saturating_sub(stays);
                    sum.moved_bytes +=
                        usage.bytes.saturating_sub(usage.unused.saturating_sub(stays));
                    sum.unused_after += stays;
                }
            }
        }
        sum
    }
}

impl Fate {
    /// Whether what is needed of the pack is written anew.
    pub fn is_rewritten(self) -> bool {
        matches!(self, Fate::Garbage | Fate::Small | Fate::Recipes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(usages: Vec<PackUsage>, max_unused: MaxUnused) -> Plan {
        let backend = crate::backend::MemoryBackend::default();
        crate::store::Repository::init_on(&backend).unwrap();
        let repository = crate::store::Repository::open_on(Box::new(backend)).unwrap();
        let index = Index::open(&repository, crate::store::IndexMode::Use).unwrap();
        Plan::make(usages, max_unused, 32 << 20, &index, &Reached::default()).unwrap()
    }

    fn pack(number: u32, bytes: u64, unused: u64) -> PackUsage {
        PackUsage { number, bytes, unused, is_needed: unused < bytes, ..PackUsage::default() }
    }

    #[test]
    fn only_as_many_packs_are_written_anew_as_the_tolerance_asks_for() {
        let mib = 1 << 20;
        let usages = vec![
            pack(0, 32 * mib, 32 * mib),
            pack(1, 32 * mib, 16 * mib),
            pack(2, 32 * mib, mib),
            pack(3, 32 * mib, 0),
        ];
        let fates = |max| {
            plan(usages.clone(), max).packs.into_iter().map(|(_, fate)| fate).collect::<Vec<_>>()
        };
        use Fate::*;
        assert_eq!(fates(MaxUnused::Percent(5.0)), [Drop, Garbage, Keep, Keep]);
        assert_eq!(fates(MaxUnused::Percent(0.0)), [Drop, Garbage, Garbage, Keep]);
        assert_eq!(fates(MaxUnused::Unlimited), [Drop, Keep, Keep, Keep]);
        assert_eq!(fates(MaxUnused::Bytes(17 * mib)), [Drop, Keep, Keep, Keep]);
        let sum = plan(usages, MaxUnused::Percent(5.0)).summary();
        assert_eq!(
            (sum.freed, sum.moved_bytes, sum.unused_after, sum.kept),
            (48 * mib, 16 * mib, mib, 2)
        );
    }

    #[test]
    fn small_packs_are_put_together_once_there_are_many_of_one_size() {
        let small =
            |count: u32, bytes: u64| (0..count).map(|n| pack(n, bytes, 0)).collect::<Vec<_>>();
        let rewritten = |usages| plan(usages, MaxUnused::Percent(5.0)).summary().rewritten;
        assert_eq!(rewritten(small(15, 10_000)), 0);
        assert_eq!(rewritten(small(16, 10_000)), 16);
        assert_eq!(
            rewritten([small(10, 10_000), small(10, 1 << 20)].concat()),
            0,
            "two classes of ten each"
        );
        assert_eq!(rewritten(small(40, 20 << 20)), 0, "those are large enough");
    }
}
