//! A set of very many ids in little memory: six bytes of each.

use crate::chunk::ChunkId;

const SHARDS: usize = 1 << 16;

/// Remembers ids by 48 of their bits. It may take an id that is not in it for one that is (with 10⁷
/// ids one such question in 28 million), never the other way round: garbage may stay, nothing that
/// is needed goes.
#[derive(Debug)]
pub struct IdSet {
    /// By the first two bytes; in each the four bytes behind them, sorted.
    shards: Vec<Vec<u32>>,
    len: u64,
}

impl Default for IdSet {
    fn default() -> IdSet {
        IdSet { shards: vec![Vec::new(); SHARDS], len: 0 }
    }
}

fn split(id: &ChunkId) -> (usize, u32) {
    let [a, b, c, d, e, f, ..] = id.0;
    (usize::from(u16::from_be_bytes([a, b])), u32::from_be_bytes([c, d, e, f]))
}

impl IdSet {
    /// Puts an id in; false where it was there.
    pub fn insert(&mut self, id: &ChunkId) -> bool {
        let (shard, key) = split(id);
        let Some(shard) = self.shards.get_mut(shard) else { return false };
        match shard.binary_search(&key) {
            Ok(_) => false,
            Err(at) => {
                if shard.len() == shard.capacity() {
                    // An eighth more, not twice as much: the whole must stay small.
                    shard.reserve_exact(shard.len() / 8 + 4);
                }
                shard.insert(at, key);
                self.len += 1;
                true
            }
        }
    }

    /// Whether an id is there.
    pub fn contains(&self, id: &ChunkId) -> bool {
        let (shard, key) = split(id);
        self.shards.get(shard).is_some_and(|shard| shard.binary_search(&key).is_ok())
    }

    /// How many are there.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether none is there.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        self.shards.len() * size_of::<Vec<u32>>()
            + self.shards.iter().map(|shard| shard.capacity() * 4).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn id(n: u64) -> ChunkId {
        crate::chunk::Hashing::default().id(&n.to_le_bytes())
    }

    proptest! {
        #[test]
        fn it_holds_what_was_put_in_and_nothing_else(put in proptest::collection::vec(0u64..3000, 0..2000)) {
            let mut set = IdSet::default();
            let mut model = HashSet::new();
            for n in put {
                prop_assert_eq!(set.insert(&id(n)), model.insert(n));
            }
            prop_assert_eq!(set.len(), model.len() as u64);
            for n in 0..3000 {
                prop_assert_eq!(set.contains(&id(n)), model.contains(&n));
            }
        }
    }

    #[test]
    fn a_million_ids_take_seven_megabytes() {
        let mut set = IdSet::default();
        for n in 0..1_000_000u64 {
            set.insert(&id(n));
        }
        assert_eq!(set.len(), 1_000_000);
        assert!(set.memory_bytes() < 7_000_000, "{}", set.memory_bytes());
    }
}
