//! Recovery blocks beside a pack: whatever is damaged of it, up to their number, can be computed
//! from the rest (`docs/format.md`, "Parity"). Reed-Solomon over blocks of the pack's file; the
//! pack itself is not changed.

use std::collections::BTreeMap;

use crate::backend::{Backend, Span, write_new};
use crate::limits::PACK_FILE_BYTES_MAX;

use super::bytes::{Bytes, Truncated};
use super::{Error, pack_name};

const MAGIC: &[u8; 6] = b"JVPARI";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 64;
const SUM_BYTES: usize = 8;
const HASH_BYTES: usize = 32;
/// A sector of most disks.
const BLOCK_BYTES: usize = 4096;
/// Packs below this size have smaller blocks, in bytes.
const SMALL_PACK_BYTES: usize = 128 << 10;
const SMALL_BLOCK_BYTES: usize = 512;
/// Most blocks of a pack; larger packs have larger blocks.
const BLOCKS_MAX: usize = 16 << 10;
/// The largest parity file: as many recovery blocks as there are blocks, and the table.
const PARITY_BYTES_MAX: usize = PACK_FILE_BYTES_MAX + (8 << 20);

/// What a parity file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity {
    /// The pack.
    pub pack: [u8; 16],
    /// Length of the pack's file in bytes.
    pub pack_bytes: u64,
    block_bytes: usize,
    /// The first eight bytes of the BLAKE3 hash of each block of the pack; the last block is filled
    /// up with zeros.
    sums: Vec<[u8; SUM_BYTES]>,
    /// The recovery blocks, each with its own sum; those that are damaged are missing.
    recovery: Vec<Option<Vec<u8>>>,
}

/// The name of the parity file of a pack.
pub fn parity_name(pack: &[u8; 16]) -> String {
    let name = pack_name(pack);
    format!("{}.parity", name.strip_suffix(".pack").unwrap_or(&name))
}

/// The pack that a parity file belongs to, by its name.
pub fn parity_pack(name: &str) -> Option<[u8; 16]> {
    super::pack_id(&format!("{}.pack", name.strip_suffix(".parity")?))
}

fn sum(block: &[u8], block_bytes: usize) -> [u8; SUM_BYTES] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(block);
    // The last block is shorter than the others.
    if block.len() < block_bytes {
        hasher.update(&vec![0; block_bytes - block.len()]);
    }
    let mut sum = [0; SUM_BYTES];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

fn padded(block: &[u8], block_bytes: usize) -> Vec<u8> {
    let mut block = block.to_vec();
    block.resize(block_bytes, 0);
    block
}

impl Parity {
    /// Computes recovery blocks for a share of a pack in thousandths, so many that a run of damage
    /// of that share is mended wherever it begins.
    pub fn of(pack: &[u8; 16], bytes: &[u8], permille: u32) -> Result<Parity, Error> {
        let mut block_bytes =
            if bytes.len() < SMALL_PACK_BYTES { SMALL_BLOCK_BYTES } else { BLOCK_BYTES };
        while bytes.len().div_ceil(block_bytes) > BLOCKS_MAX {
            block_bytes *= 2;
        }
        let blocks: Vec<&[u8]> = bytes.chunks(block_bytes).collect();
        let share = (bytes.len() as u64 * u64::from(permille)).div_ceil(1000) as usize;
        let count = (share.div_ceil(block_bytes) + 1).min(blocks.len().max(1));
        let failed = |source| Error::Parity {
            pack: pack_name(pack),
            what: "its recovery blocks cannot be computed",
            source,
        };
        let mut encoder =
            reed_solomon_simd::ReedSolomonEncoder::new(blocks.len(), count, block_bytes)
                .map_err(failed)?;
        for block in &blocks {
            match block.len() == block_bytes {
                true => encoder.add_original_shard(block),
                false => encoder.add_original_shard(padded(block, block_bytes)),
            }
            .map_err(failed)?;
        }
        let encoded = encoder.encode().map_err(failed)?;
        let recovery = encoded.recovery_iter().map(|block| Some(block.to_vec())).collect();
        let sums = blocks.iter().map(|block| sum(block, block_bytes)).collect();
        Ok(Parity { pack: *pack, pack_bytes: bytes.len() as u64, block_bytes, sums, recovery })
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            HEADER_BYTES
                + HASH_BYTES
                + (self.sums.len() + self.recovery.len()) * SUM_BYTES
                + self.recovery.len() * self.block_bytes,
        );
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.pack);
        out.extend_from_slice(&self.pack_bytes.to_le_bytes());
        for count in [self.block_bytes, self.sums.len(), self.recovery.len()] {
            out.extend_from_slice(&(count as u32).to_le_bytes());
        }
        out.resize(HEADER_BYTES, 0);
        self.sums.iter().for_each(|sum| out.extend_from_slice(sum));
        let blocks = || self.recovery.iter().flatten();
        blocks().for_each(|block| out.extend_from_slice(&sum(block, self.block_bytes)));
        let hash = blake3::hash(&out);
        out.extend_from_slice(hash.as_bytes());
        blocks().for_each(|block| out.extend_from_slice(block));
        out
    }

    /// Reads a parity file. Its table must be right; recovery blocks that are damaged are left out.
    pub fn decode(bytes: &[u8]) -> Result<Parity, &'static str> {
        let short = |Truncated| "it is cut short";
        let mut at = Bytes(bytes);
        if at.take(6).map_err(short)? != MAGIC {
            return Err("it does not begin as a parity file does");
        }
        if at.u16().map_err(short)? != VERSION {
            return Err(
                "it has a version that this program does not know; a newer jellyvault does",
            );
        }
        let (pack, pack_bytes) = (at.array().map_err(short)?, at.u64().map_err(short)?);
        let mut number = || at.u32().map(|n| n as usize).map_err(short);
        let (block_bytes, blocks, recovery) = (number()?, number()?, number()?);
        let reserved = at.take(HEADER_BYTES - 44).map_err(short)?;
        let fits = block_bytes.is_power_of_two()
            && (SMALL_BLOCK_BYTES..=1 << 20).contains(&block_bytes)
            && blocks <= BLOCKS_MAX
            && recovery <= blocks.max(1)
            && pack_bytes.div_ceil(block_bytes as u64) == blocks as u64
            && reserved.iter().all(|byte| *byte == 0);
        if !fits {
            return Err("its numbers contradict each other");
        }
        let table = HEADER_BYTES + (blocks + recovery) * SUM_BYTES;
        let sums = at.take(blocks * SUM_BYTES).map_err(short)?;
        let recovery_sums = at.take(recovery * SUM_BYTES).map_err(short)?;
        let hash: [u8; HASH_BYTES] = at.array().map_err(short)?;
        if blake3::hash(bytes.get(..table).unwrap_or_default()) != hash {
            return Err("its table does not have its hash");
        }
        if at.0.len() > recovery * block_bytes {
            return Err("bytes follow its end");
        }
        let mut blocks_at = at.0.chunks_exact(block_bytes);
        let recovery = recovery_sums
            .chunks_exact(SUM_BYTES)
            .map(|wanted| {
                blocks_at
                    .next()
                    .filter(|block| sum(block, block_bytes).as_slice() == wanted)
                    .map(<[u8]>::to_vec)
            })
            .collect();
        let sums = sums.chunks_exact(SUM_BYTES).filter_map(|sum| sum.try_into().ok()).collect();
        Ok(Parity { pack, pack_bytes, block_bytes, sums, recovery })
    }

    /// Reads the parity file of a pack.
    pub fn read(backend: &dyn Backend, pack: &[u8; 16]) -> Result<Parity, Error> {
        let name = parity_name(pack);
        let bytes = backend.read(&name, Span::Whole { limit: PARITY_BYTES_MAX })?;
        let damaged = |what: &str| Error::Record { name: name.clone(), what: what.to_owned() };
        let parity = Parity::decode(&bytes).map_err(damaged)?;
        if parity.pack == *pack { Ok(parity) } else { Err(damaged("it belongs to another pack")) }
    }

    /// Computes the parity of a pack that is there, and writes it beside.
    pub fn write(backend: &dyn Backend, pack: &[u8; 16], permille: u32) -> Result<(), Error> {
        let bytes = backend.read(&pack_name(pack), Span::Whole { limit: PACK_FILE_BYTES_MAX })?;
        Ok(write_new(backend, &parity_name(pack), &Parity::of(pack, &bytes, permille)?.encode())?)
    }

    /// How many recovery blocks are damaged.
    pub fn damaged_blocks(&self) -> usize {
        self.recovery.iter().filter(|block| block.is_none()).count()
    }

    /// Blocks of a pack's bytes that are not what they were.
    pub fn wrong_blocks(&self, bytes: &[u8]) -> Vec<usize> {
        let mut blocks = bytes.chunks(self.block_bytes);
        let is_wrong = |(number, wanted): (usize, &[u8; SUM_BYTES])| {
            blocks
                .next()
                .is_none_or(|block| sum(block, self.block_bytes) != *wanted)
                .then_some(number)
        };
        self.sums.iter().enumerate().filter_map(is_wrong).collect()
    }

    /// The pack's bytes as they were, from what is left of them; nothing where too much is lost.
    pub fn mend(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let wrong = self.wrong_blocks(bytes);
        let mut mended = bytes.to_vec();
        mended.resize(self.sums.len() * self.block_bytes, 0);
        if !wrong.is_empty() {
            let is_right = |number: &usize| wrong.binary_search(number).is_err();
            let blocks = mended
                .chunks_exact(self.block_bytes)
                .enumerate()
                .filter(|(number, _)| is_right(number));
            let recovery = self
                .recovery
                .iter()
                .enumerate()
                .filter_map(|(number, block)| Some((number, block.as_ref()?)));
            let found: BTreeMap<usize, Vec<u8>> =
                reed_solomon_simd::decode(self.sums.len(), self.recovery.len(), blocks, recovery)
                    .ok()?;
            for (number, block) in found {
                mended
                    .get_mut(number * self.block_bytes..(number + 1) * self.block_bytes)?
                    .copy_from_slice(&block);
            }
        }
        mended.truncate(usize::try_from(self.pack_bytes).ok()?);
        self.wrong_blocks(&mended).is_empty().then_some(mended)
    }
}

#[cfg(test)]
#[path = "parity_tests.rs"]
mod tests;
