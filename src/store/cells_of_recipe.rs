//! What a recipe of cells has beyond its groups: their lengths, and how pages are built from them.

use std::sync::{Arc, OnceLock};

use crate::chunk::PageHash;

use super::bytes::Truncated;
use super::cells::Shapes;
use super::group_names::HASH_BYTES;

/// What a recipe of cells has beyond its groups.
#[derive(Debug)]
pub struct Cells {
    /// What its groups' hashes are salted with.
    pub salt: [u8; 16],
    /// Pages of the database.
    pub pages: u32,
    /// Length of each group in bytes.
    pub lens: Vec<u32>,
    /// Where each group begins in the sequence, and where the last one ends.
    pub starts: Vec<u64>,
    page_bytes: u32,
    /// The shapes as they are stored, decompressed.
    pub(super) encoded: Arc<Vec<u8>>,
    /// Decoded when the first page is asked for: who counts groups does not need them.
    shapes: OnceLock<Result<Shapes, Truncated>>,
}

impl Cells {
    /// Of its parts, whose shapes are not looked at.
    pub(super) fn unread(parts: CellsParts) -> Cells {
        let CellsParts { page_bytes, pages, salt, shapes, lens } = parts;
        Cells {
            salt,
            pages,
            starts: starts_of(&lens),
            lens,
            page_bytes,
            encoded: Arc::new(shapes),
            shapes: OnceLock::new(),
        }
    }

    /// The shapes of its pages.
    ///
    /// # Errors
    /// Where they cannot be read, or take more or less than the groups have.
    pub fn shapes(&self) -> Result<&Shapes, Truncated> {
        let decode = || {
            let shapes = Shapes::decode(
                self.encoded.clone(),
                self.page_bytes as usize,
                self.pages as usize,
            )?;
            if self.starts.last() == Some(&shapes.sequence_bytes()) {
                Ok(shapes)
            } else {
                Err(Truncated)
            }
        };
        self.shapes.get_or_init(decode).as_ref().map_err(|error| *error)
    }
}

impl PartialEq for Cells {
    fn eq(&self, other: &Cells) -> bool {
        (self.salt, self.pages, &self.lens, &self.encoded)
            == (other.salt, other.pages, &other.lens, &other.encoded)
    }
}

impl Eq for Cells {}

fn starts_of(lens: &[u32]) -> Vec<u64> {
    let mut starts = Vec::with_capacity(lens.len() + 1);
    let mut at = 0;
    starts.push(at);
    starts.extend(lens.iter().map(|len| {
        at += u64::from(*len);
        at
    }));
    starts
}

/// Groups whose hashes or lengths are hashed at once.
const HASHED_AT_ONCE: usize = 8192;

/// The first 16 bytes of the hash over what a recipe comes to.
pub(super) fn proof(page_bytes: u32, cells: &Cells, hashes: &[PageHash]) -> [u8; 16] {
    let mut bytes = Vec::with_capacity(HASHED_AT_ONCE * HASH_BYTES);
    let mut hasher =
        blake3::Hasher::new_derive_key("jellyvault 2026-11-30 proof of a recipe of cells");
    hasher.update(&page_bytes.to_le_bytes());
    hasher.update(&cells.pages.to_le_bytes());
    hasher.update(&cells.salt);
    hasher.update(&(hashes.len() as u64).to_le_bytes());
    for hashes in hashes.chunks(HASHED_AT_ONCE) {
        bytes.clear();
        hashes.iter().for_each(|hash| bytes.extend(hash.iter().take(HASH_BYTES)));
        hasher.update(&bytes);
    }
    for lens in cells.lens.chunks(HASHED_AT_ONCE) {
        bytes.clear();
        lens.iter().for_each(|len| bytes.extend_from_slice(&len.to_le_bytes()));
        hasher.update(&bytes);
    }
    hasher.update(&cells.encoded);
    let mut proof = [0; 16];
    hasher.finalize_xof().fill(&mut proof);
    proof
}

/// A recipe of cells from its groups.
#[derive(Debug)]
pub struct CellsParts {
    /// Bytes of a page.
    pub page_bytes: u32,
    /// Pages of the database.
    pub pages: u32,
    /// What the groups' hashes are salted with.
    pub salt: [u8; 16],
    /// The shapes.
    pub shapes: Vec<u8>,
    /// Lengths of the groups.
    pub lens: Vec<u32>,
}
