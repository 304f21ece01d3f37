//! Names of groups of cells: short, for there are many, and salted, for strangers write rows into a
//! server.

use crate::chunk::{Hashing, PageHash};

/// Bytes of a name: enough against chance. Against design there is the salt, which those who write
/// rows do not know.
pub(super) const HASH_BYTES: usize = 8;

/// A name, as long as the hash of a page: twice the same, so that any half of it is a hash for
/// maps.
pub(super) fn widened(name: &[u8; HASH_BYTES]) -> PageHash {
    let half = u128::from(u64::from_le_bytes(*name));
    (half << 64 | half).to_le_bytes()
}

impl Hashing {
    /// How the groups of cells of one database are named.
    pub fn groups(&self, salt: &[u8; 16]) -> GroupHashing {
        let mut hasher =
            blake3::Hasher::new_derive_key("jellyvault 2026-11-30 names of groups of cells");
        hasher.update(salt);
        if let Some(key) = &self.key {
            hasher.update(key);
        }
        GroupHashing(*hasher.finalize().as_bytes())
    }
}

/// Names groups of cells.
#[derive(Clone)]
pub struct GroupHashing([u8; 32]);

impl GroupHashing {
    /// The name of a group: eight bytes, twice.
    pub fn hash(&self, group: &[u8]) -> PageHash {
        let [a, b, c, d, e, f, g, h, ..] = *blake3::keyed_hash(&self.0, group).as_bytes();
        widened(&[a, b, c, d, e, f, g, h])
    }
}

impl std::fmt::Debug for GroupHashing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GroupHashing")
    }
}
