//! The name of a chunk: the BLAKE3 hash of its plain bytes, keyed in an encrypted repository.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

/// 32 bytes that name a chunk.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkId(pub [u8; 32]);

/// The order of their bytes. Two ids nearly always differ in the first eight, which are compared as
/// one number.
impl Ord for ChunkId {
    fn cmp(&self, other: &ChunkId) -> Ordering {
        self.low64()
            .swap_bytes()
            .cmp(&other.low64().swap_bytes())
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ChunkId {
    fn partial_cmp(&self, other: &ChunkId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ChunkId {
    /// The id as 64 hex digits.
    pub fn to_hex(self) -> String {
        blake3::Hash::from_bytes(self.0).to_hex().to_string()
    }

    /// The first eight bytes as a little-endian number: ids are uniform, so any part of one is a
    /// hash.
    pub fn low64(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Display for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// What a database page is known by.
pub type PageHash = [u8; 16];

/// How ids are made in one repository.
#[derive(Clone, Default)]
pub struct Hashing {
    /// The id key of an encrypted repository; without one ids are plain hashes.
    pub key: Option<[u8; 32]>,
    /// What the cuts of large files depend on in an encrypted repository; 0 in others.
    pub cut_seed: u64,
}

impl Hashing {
    /// The id of `bytes`.
    pub fn id(&self, bytes: &[u8]) -> ChunkId {
        ChunkId(match &self.key {
            None => *blake3::hash(bytes).as_bytes(),
            Some(key) => *blake3::keyed_hash(key, bytes).as_bytes(),
        })
    }

    /// The name of a database page among the pages of databases: the first 16 bytes of its hash.
    pub fn page(&self, bytes: &[u8]) -> PageHash {
        first_half(&self.id(bytes))
    }

    /// The identity of a database: the hash over its pages' hashes, in a domain of its own, so that
    /// no chunk can have it.
    pub fn database(&self, page_bytes: u32, pages: &[PageHash]) -> ChunkId {
        let mut hasher = blake3::Hasher::new_derive_key(
            "jellyvault 2026-11-22 identity of a database from its pages",
        );
        if let Some(key) = &self.key {
            hasher.update(key);
        }
        hasher.update(&page_bytes.to_le_bytes());
        // In one piece: sixteen bytes at a time the hash cannot use wide registers.
        hasher.update(pages.as_flattened());
        ChunkId(*hasher.finalize().as_bytes())
    }

    /// The first 16 bytes of the hash of a path: where manifest nodes are cut, and what the scan
    /// cache knows a path by.
    pub fn path_key(&self, path: &[u8]) -> [u8; 16] {
        first_half(&self.id(path))
    }
}

fn first_half(id: &ChunkId) -> [u8; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = id.0;
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

impl fmt::Debug for Hashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.key.is_some() { "Hashing(keyed)" } else { "Hashing(plain)" })
    }
}

/// A hasher for maps of ids that takes eight of their bytes as they are.
#[derive(Default)]
pub struct ChunkIdHasher(u64);

impl Hasher for ChunkIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        // Sharded maps share their ids' first bytes, so the hash is taken from the ninth on.
        if let Some(part) = bytes.get(8..16).and_then(|part| part.try_into().ok()) {
            self.0 = u64::from_le_bytes(part);
        }
    }
    fn write_usize(&mut self, _: usize) {}
}

impl ChunkIdHasher {
    /// For `HashMap::with_hasher`.
    pub fn build() -> BuildHasherDefault<ChunkIdHasher> {
        BuildHasherDefault::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn ids_sort_like_their_bytes(a: [u8; 32], b: [u8; 32], shared in 0..=32usize) {
            let mut b = b;
            b[..shared].copy_from_slice(&a[..shared]);
            proptest::prop_assert_eq!(ChunkId(a).cmp(&ChunkId(b)), a.cmp(&b));
        }
    }
}
