//! Chunks that the index file does not know yet: those being written by this capture, and those of packs found beside the index.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chunk::{ChunkId, ChunkIdHasher};

/// Where a chunk lies, by numbers that the index gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub pack: u32,
    pub extent: u32,
    pub offset: u32,
    pub len: u32,
}

/// A chunk that is claimed but not in a pack yet.
const CLAIMED: Place = Place { pack: u32::MAX, extent: 0, offset: 0, len: 0 };

type Shard = HashMap<ChunkId, Place, BuildHasherDefault<ChunkIdHasher>>;

/// Sharded by the id's first byte: shards in order are ids in order, each is sorted alone when it is taken out, and growing
/// one never doubles the whole.
#[derive(Debug)]
pub(super) struct Fresh {
    shards: Vec<Mutex<Shard>>,
}

impl Fresh {
    pub(super) fn new() -> Fresh {
        Fresh { shards: (0..256).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, id: &ChunkId) -> Option<MutexGuard<'_, Shard>> {
        let number = usize::from(*id.0.first()?);
        Some(self.shards.get(number)?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the chunk is here, claimed or placed.
    pub(super) fn contains(&self, id: &ChunkId) -> bool {
        self.shard(id).is_some_and(|shard| shard.contains_key(id))
    }

    /// Claims a chunk; false where somebody else has.
    pub(super) fn claim(&self, id: &ChunkId) -> bool {
        self.shard(id).is_some_and(|mut shard| shard.insert_if_absent(*id))
    }

    /// Tells where a chunk went.
    pub(super) fn place(&self, id: &ChunkId, place: Place) {
        if let Some(mut shard) = self.shard(id) {
            shard.insert(*id, place);
        }
    }

    /// Where a chunk is, if it is in a pack.
    pub(super) fn find(&self, id: &ChunkId) -> Option<Place> {
        self.shard(id)?.get(id).copied().filter(|place| *place != CLAIMED)
    }

    /// All placed chunks, sorted by id, shard by shard.
    pub(super) fn drain_sorted(&mut self) -> impl Iterator<Item = (ChunkId, Place)> + '_ {
        self.shards.iter_mut().flat_map(|shard| {
            let shard = std::mem::take(shard.get_mut().unwrap_or_else(PoisonError::into_inner));
            let mut rows: Vec<_> = shard.into_iter().filter(|(_, place)| *place != CLAIMED).collect();
            rows.sort_unstable_by_key(|(id, _)| *id);
            rows
        })
    }
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
