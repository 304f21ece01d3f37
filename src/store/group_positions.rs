//! Where each group of a recipe stands in it, found by its hash. Only numbers are kept: a database
//! of a gigabyte has 700,000 groups, and the recipe has their hashes.

use hashbrown::HashTable;

use crate::chunk::PageHash;

/// The positions of the groups of one recipe.
#[derive(Debug)]
pub struct GroupPositions(HashTable<u32>);

impl GroupPositions {
    /// Of a recipe's hashes. Of groups that are the same, the last is found.
    pub fn new(hashes: &[PageHash]) -> GroupPositions {
        let mut table = HashTable::with_capacity(hashes.len());
        let of = |position: u32| hashes.get(position as usize);
        for (hash, position) in hashes.iter().zip(0..) {
            table
                .entry(
                    key(hash),
                    |other| of(*other) == Some(hash),
                    |other| of(*other).map_or(0, key),
                )
                .and_modify(|known| *known = position)
                .or_insert(position);
        }
        GroupPositions(table)
    }

    /// The position of a group; `hashes` are those that this was made of.
    pub fn find(&self, hashes: &[PageHash], hash: &PageHash) -> Option<u32> {
        let is_it = |position: &u32| hashes.get(*position as usize) == Some(hash);
        self.0.find(key(hash), is_it).copied()
    }
}

/// Half of a hash is enough to spread groups.
fn key(hash: &PageHash) -> u64 {
    u64::from_le_bytes(*hash.last_chunk().unwrap_or(&[0; 8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_the_last_of_each(bytes: Vec<u8>, wanted: u8) {
            let hashes: Vec<PageHash> = bytes.iter().map(|byte| [*byte; 16]).collect();
            let last = bytes.iter().rposition(|byte| *byte == wanted).map(|last| last as u32);
            proptest::prop_assert_eq!(GroupPositions::new(&hashes).find(&hashes, &[wanted; 16]), last);
        }
    }
}
