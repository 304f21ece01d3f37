//! What stands before each extent of a pack, and says what it holds: so that the extents can be
//! found and read where the trailer is damaged.
//!
//! A chunk's id is not in it where it is the hash of the chunk's bytes: whoever has the bytes has
//! the id.

use crate::chunk::ChunkId;
use crate::limits::{EXTENT_RAW_BYTES_MAX, TRAILER_BYTES_MAX};

use super::bytes::{Bytes, push_varint};
use super::extent_kind::{Codec, ExtentKind};
use super::extent_row::ExtentRow;
use super::pack_layout::HEADER_BYTES;
use super::seal::{Binding, Sealer};
use super::trailer::PackTrailer;

pub(super) const HEAD_MAGIC: &[u8; 4] = b"JVEX";
/// Magic, length, number of the extent.
const FIXED_BYTES: usize = 12;
const SUM_BYTES: usize = 8;
/// The smallest head, of an extent with one chunk of less than 128 bytes.
pub(super) const HEAD_BYTES_MIN: usize = FIXED_BYTES + 30 + SUM_BYTES;

/// An extent as its head describes it; its offset is that of its stored bytes, counted from the
/// head's first byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExtentHead {
    /// Number of the extent in its pack, from 0.
    pub number: u32,
    /// What a trailer says of it.
    pub row: ExtentRow,
    /// Its chunks: their lengths in bytes, and the ids of those that are no hashes.
    pub chunks: Vec<(Option<ChunkId>, u32)>,
}

/// The head of an extent; its row's offset is not used.
pub(super) fn encode_head(
    pack: &[u8; 16],
    number: u32,
    row: &ExtentRow,
    chunks: &[(ChunkId, u32)],
    sealer: &Sealer,
) -> Vec<u8> {
    let mut body = Vec::with_capacity(36 + 3 * chunks.len());
    body.extend_from_slice(&row.stored_bytes.to_le_bytes());
    body.extend_from_slice(&row.raw_bytes.to_le_bytes());
    body.extend_from_slice(&[row.codec.code(), row.kind.code(), row.kind.depth(), 0]);
    body.extend_from_slice(&row.checksum);
    push_varint(&mut body, chunks.len() as u64);
    for (id, len) in chunks {
        push_varint(&mut body, u64::from(*len));
        if row.kind.is_recipe() {
            body.extend_from_slice(&id.0);
        }
    }
    let sealed = sealer.seal(binding(pack, number), body);
    let mut out = Vec::with_capacity(FIXED_BYTES + sealed.len() + SUM_BYTES);
    out.extend_from_slice(HEAD_MAGIC);
    out.extend_from_slice(&((FIXED_BYTES + sealed.len() + SUM_BYTES) as u32).to_le_bytes());
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&sealed);
    let sum = checksum(pack, &out);
    out.extend_from_slice(&sum);
    out
}

/// The length that a head at the beginning of `bytes` says it has, in bytes.
pub(super) fn head_bytes(bytes: &[u8]) -> Option<usize> {
    let len = Bytes(bytes.get(HEAD_MAGIC.len()..)?).u32().ok()? as usize;
    (FIXED_BYTES + SUM_BYTES..=bytes.len()).contains(&len).then_some(len)
}

/// The head that stands at the beginning of `bytes`; nothing where there is none.
pub(super) fn decode_head(pack: &[u8; 16], bytes: &[u8], sealer: &Sealer) -> Option<ExtentHead> {
    let mut fixed = Bytes(bytes);
    if fixed.take(4).ok()? != HEAD_MAGIC {
        return None;
    }
    let (head_bytes, number) = (fixed.u32().ok()? as usize, fixed.u32().ok()?);
    let (before, sum) = bytes.get(..head_bytes)?.split_last_chunk::<SUM_BYTES>()?;
    if checksum(pack, before) != *sum {
        return None;
    }
    let body = sealer.open_ref(binding(pack, number), before.get(FIXED_BYTES..)?)?;
    let mut at = Bytes(&body);
    let (stored_bytes, raw_bytes) = (at.u32().ok()?, at.u32().ok()?);
    let codec = Codec::from_code(at.u8().ok()?)?;
    let kind = ExtentKind::from_code(at.u8().ok()?, at.u8().ok()?)?;
    if at.u8().ok()? != 0 || raw_bytes as usize > EXTENT_RAW_BYTES_MAX {
        return None;
    }
    let row = ExtentRow {
        offset: head_bytes as u64,
        stored_bytes,
        raw_bytes,
        codec,
        kind,
        checksum: at.array().ok()?,
    };
    let count =
        usize::try_from(at.varint().ok()?).ok().filter(|count| *count <= TRAILER_BYTES_MAX / 36)?;
    let mut chunks = Vec::with_capacity(count.min(at.0.len()));
    for _ in 0..count {
        let len = u32::try_from(at.varint().ok()?).ok()?;
        let id = if kind.is_recipe() { Some(ChunkId(at.array().ok()?)) } else { None };
        chunks.push((id, len));
    }
    let is_all = at.is_empty()
        && chunks.iter().map(|(_, len)| u64::from(*len)).sum::<u64>() == u64::from(raw_bytes);
    is_all.then_some(ExtentHead { number, row, chunks })
}

impl PackTrailer {
    /// Where the head of an extent begins: where the one before ends.
    pub fn head_start(&self, extent: usize) -> u64 {
        let before = extent.checked_sub(1).and_then(|before| self.extents.get(before));
        before.map_or(HEADER_BYTES as u64, ExtentRow::end)
    }

    /// Whether bytes are the head of an extent with these chunks. In packs of format 1 there are
    /// none.
    pub fn is_head_of(
        &self,
        extent: usize,
        chunks: &[(ChunkId, u32)],
        head: &[u8],
        sealer: &Sealer,
    ) -> bool {
        let Some(row) = self.extents.get(extent).filter(|_| !head.is_empty()) else {
            return head.is_empty();
        };
        let is_right = |found: ExtentHead| {
            let chunks = chunks.iter().map(|(id, len)| (row.kind.is_recipe().then_some(*id), *len));
            let same = ExtentRow { offset: row.offset, ..found.row } == *row;
            same && found.number as usize == extent
                && found.row.offset == head.len() as u64
                && chunks.eq(found.chunks)
        };
        decode_head(&self.pack, head, sealer).is_some_and(is_right)
    }
}

impl PackTrailer {
    /// Puts the sums of heads right where the lengths allow it: lets a fuzzer reach what lies
    /// behind them.
    #[doc(hidden)]
    pub fn mend_heads_for_tests(pack: &[u8; 16], bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.windows(HEAD_MAGIC.len()).position(|window| window == HEAD_MAGIC))
        {
            let start = at + found;
            at = start + 1;
            let Some(len) = bytes.get(start..).and_then(head_bytes) else { continue };
            let Some(head) = bytes.get_mut(start..start + len) else { continue };
            let sum = checksum(pack, head.get(..len - SUM_BYTES).unwrap_or_default());
            if let Some(slot) = head.get_mut(len - SUM_BYTES..) {
                slot.copy_from_slice(&sum);
            }
        }
    }
}

fn binding(pack: &[u8; 16], number: u32) -> Binding<'_> {
    Binding { kind: "head", id: pack, position: number }
}

/// Over the pack's id and all that stands before it.
fn checksum(pack: &[u8; 16], before: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    blake3::Hasher::new().update(pack).update(before).finalize_xof().fill(&mut sum);
    sum
}
