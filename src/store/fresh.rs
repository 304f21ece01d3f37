//! Chunks that the index file does not know yet: those being written by this capture, and those of
//! packs found beside the index.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::io;
use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use crate::chunk::{ChunkId, ChunkIdHasher};

use super::place::Place;
use super::run_file::RunFile;

/// A chunk that is claimed but not in a pack yet.
const CLAIMED: Place = Place { pack: u32::MAX, extent: 0, offset: 0, len: 0 };

type Shard = HashMap<ChunkId, Place, BuildHasherDefault<ChunkIdHasher>>;

/// Chunks that stay in memory, at most; beyond them those that are placed go to a file. Some 25
/// MiB.
const IN_MEMORY_MAX: usize = 300_000;

/// Sharded by the id's first byte: shards in order are ids in order, each is sorted alone when it
/// is taken out, and growing one never doubles the whole.
#[derive(Debug)]
pub(super) struct Fresh {
    shards: Vec<Mutex<Shard>>,
    /// Placed chunks in the shards, at most.
    placed: AtomicUsize,
    /// What went to files, the newest last.
    runs: RwLock<Vec<RunFile>>,
    /// Where the files are made; nothing keeps all in memory.
    folder: Option<PathBuf>,
    in_memory_max: usize,
}

impl Fresh {
    pub(super) fn new(folder: Option<PathBuf>) -> Fresh {
        let shards = (0..256).map(|_| Mutex::default()).collect();
        Fresh {
            shards,
            placed: AtomicUsize::new(0),
            runs: RwLock::default(),
            folder,
            in_memory_max: IN_MEMORY_MAX,
        }
    }

    fn shard(&self, id: &ChunkId) -> Option<MutexGuard<'_, Shard>> {
        let number = usize::from(*id.0.first()?);
        Some(self.shards.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn find_in_runs(&self, id: &ChunkId) -> io::Result<Option<Place>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        for run in runs.iter().rev() {
            if let Some(place) = run.find(id)? {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// Whether the chunk is here, claimed or placed.
    pub(super) fn contains(&self, id: &ChunkId) -> io::Result<bool> {
        Ok(self.shard(id).is_some_and(|shard| shard.contains_key(id))
            || self.find_in_runs(id)?.is_some())
    }

    /// Claims a chunk that is in no run; false where somebody else has.
    pub(super) fn claim(&self, id: &ChunkId) -> bool {
        self.shard(id).is_some_and(|mut shard| shard.insert_if_absent(*id))
    }

    /// Claims a chunk whatever is known of it.
    pub(super) fn claim_again(&self, id: &ChunkId) {
        if let Some(mut shard) = self.shard(id) {
            shard.insert(*id, CLAIMED);
        }
    }

    /// Tells where a chunk went.
    pub(super) fn place(&self, id: &ChunkId, place: Place) {
        if let Some(mut shard) = self.shard(id) {
            shard.insert(*id, place);
            self.placed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Where a chunk is, if it is in a pack.
    pub(super) fn find(&self, id: &ChunkId) -> io::Result<Option<Place>> {
        match self.shard(id).and_then(|shard| shard.get(id).copied()) {
            Some(place) => Ok(Some(place).filter(|place| *place != CLAIMED)),
            None => self.find_in_runs(id),
        }
    }

    /// Moves placed chunks to a file where there are too many. A chunk is always in one of both, so
    /// nobody misses it meanwhile. Called by whoever places chunks: one thread.
    pub(super) fn spill(&self) -> io::Result<()> {
        let Some(folder) = self
            .folder
            .as_ref()
            .filter(|_| self.placed.load(Ordering::Relaxed) >= self.in_memory_max)
        else {
            return Ok(());
        };
        self.placed.store(0, Ordering::Relaxed);
        std::fs::create_dir_all(folder)?;
        let rows = self
            .shards
            .iter()
            .flat_map(|shard| sorted(&shard.lock().unwrap_or_else(PoisonError::into_inner)));
        let run = RunFile::write(folder, rows)?;
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        runs.push(run);
        drop(runs);
        for shard in &self.shards {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|_, place| *place == CLAIMED);
        }
        Ok(())
    }

    /// Whether no chunk is here.
    pub(super) fn is_empty(&self) -> bool {
        let is_empty =
            |shard: &Mutex<Shard>| shard.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        self.runs.read().unwrap_or_else(PoisonError::into_inner).is_empty()
            && self.shards.iter().all(is_empty)
    }

    /// All placed chunks, those in files first; each once, as it counts.
    pub(super) fn for_each(
        &self,
        mut each: impl FnMut(&ChunkId, Place) -> io::Result<()>,
    ) -> io::Result<()> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        for (number, run) in runs.iter().enumerate() {
            for row in run.all() {
                let (id, place) = row?;
                // A later run, or what is in memory, may say otherwise.
                let is_older = self.shard(&id).is_some_and(|shard| shard.contains_key(&id))
                    || runs.iter().skip(number + 1).try_fold(false, |found, later| {
                        Ok::<_, io::Error>(found || later.find(&id)?.is_some())
                    })?;
                if !is_older {
                    each(&id, place)?;
                }
            }
        }
        for shard in &self.shards {
            let rows = sorted(&shard.lock().unwrap_or_else(PoisonError::into_inner));
            rows.into_iter().try_for_each(|(id, place)| each(&id, place))?;
        }
        Ok(())
    }

    /// All placed chunks, sorted by id.
    pub(super) fn drain_sorted(
        &mut self,
    ) -> impl Iterator<Item = io::Result<(ChunkId, Place)>> + '_ {
        let runs = self.runs.get_mut().unwrap_or_else(PoisonError::into_inner);
        let mut sources: Vec<Peekable<Rows<'_>>> =
            runs.iter().map(|run| (Box::new(run.all()) as Rows<'_>).peekable()).collect();
        let shards = self.shards.iter_mut().flat_map(|shard| {
            sorted(&std::mem::take(shard.get_mut().unwrap_or_else(PoisonError::into_inner)))
        });
        sources.push((Box::new(shards.map(Ok)) as Rows<'_>).peekable());
        std::iter::from_fn(move || next_of(&mut sources))
    }
}

type Rows<'a> = Box<dyn Iterator<Item = io::Result<(ChunkId, Place)>> + 'a>;

/// The smallest id of sorted sources; where several have it, what the last of them says.
fn next_of(sources: &mut [Peekable<Rows<'_>>]) -> Option<io::Result<(ChunkId, Place)>> {
    let mut least: Option<ChunkId> = None;
    for source in sources.iter_mut() {
        match source.peek() {
            Some(Ok((id, _))) => least = Some(least.map_or(*id, |least| least.min(*id))),
            Some(Err(_)) => return source.next(),
            None => {}
        }
    }
    let least = least?;
    let mut found = None;
    for source in sources {
        while let Some(row) = source.next_if(|row| row.as_ref().is_ok_and(|(id, _)| *id == least)) {
            found = Some(row);
        }
    }
    found
}

/// The placed chunks of a shard, sorted.
fn sorted(shard: &Shard) -> Vec<(ChunkId, Place)> {
    let mut rows: Vec<_> = shard
        .iter()
        .filter(|(_, place)| **place != CLAIMED)
        .map(|(id, place)| (*id, *place))
        .collect();
    rows.sort_unstable_by_key(|(id, _)| *id);
    rows
}

trait InsertIfAbsent {
    fn insert_if_absent(&mut self, id: ChunkId) -> bool;
}

impl InsertIfAbsent for Shard {
    fn insert_if_absent(&mut self, id: ChunkId) -> bool {
        match self.entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(CLAIMED);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(n: u16) -> ChunkId {
        crate::chunk::Hashing::default().id(&n.to_le_bytes())
    }

    proptest! {
        #[test]
        fn what_went_to_files_is_found_and_comes_out_sorted_like_all_else(steps in proptest::collection::vec((0..400u16, any::<bool>()), 0..600)) {
            let dir = tempfile::tempdir().unwrap();
            let mut fresh = Fresh { in_memory_max: 50, ..Fresh::new(Some(dir.path().to_path_buf())) };
            let mut model = std::collections::BTreeMap::new();
            for (at, (n, is_placed)) in steps.into_iter().enumerate() {
                let place = Place { pack: 1, extent: u32::from(n), offset: at as u32, len: 7 };
                if is_placed {
                    fresh.place(&id(n), place);
                    model.insert(id(n), Some(place));
                } else if !fresh.contains(&id(n)).unwrap() {
                    prop_assert!(fresh.claim(&id(n)));
                    prop_assert!(model.insert(id(n), None).is_none());
                }
                fresh.spill().unwrap();
            }
            for n in 0..400 {
                prop_assert_eq!(fresh.contains(&id(n)).unwrap(), model.contains_key(&id(n)));
                prop_assert_eq!(fresh.find(&id(n)).unwrap(), model.get(&id(n)).copied().flatten());
            }
            let expected: Vec<_> = model.into_iter().filter_map(|(id, place)| Some((id, place?))).collect();
            prop_assert_eq!(fresh.drain_sorted().collect::<io::Result<Vec<_>>>().unwrap(), expected);
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "the files have no names");
        }
    }
}
