//! A table of contents for a pack whose own is damaged, out of what is left of the file.

use std::collections::BTreeMap;

use crate::chunk::ChunkId;

use super::extent;
use super::extent_head::{ExtentHead, HEAD_BYTES_MIN, HEAD_MAGIC, decode_head, head_bytes};
use super::extent_kind::{Codec, ExtentKind};
use super::extent_row::ExtentRow;
use super::pack_layout::{FOOTER_BYTES, FOOTER_MAGIC, HEADER_BYTES, Layout, TrailerError, header};
use super::seal::{Binding, Sealer};
use super::trailer::{ChunkRow, PackTrailer};

impl PackTrailer {
    /// The trailer that was written, where only header, magic or what lies behind the end is wrong,
    /// or the file has another pack's name. Its own checksum must be right.
    pub fn recover_written(bytes: &[u8], sealer: &Sealer) -> Option<PackTrailer> {
        let magic_at = |(at, window): (usize, &[u8])| {
            (window == FOOTER_MAGIC).then_some(at + FOOTER_MAGIC.len() + 1)
        };
        let ends = bytes.windows(FOOTER_MAGIC.len()).enumerate().rev().filter_map(magic_at);
        std::iter::once(bytes.len()).chain(ends).find_map(|end| {
            let bytes = bytes.get(..end)?;
            Layout::ALL.into_iter().find_map(|layout| recover_at(bytes, layout, sealer))
        })
    }

    /// A trailer put together from the heads of extents: of those whose heads are whole and whose
    /// bytes are the ones that were written.
    pub fn from_heads(id: &[u8; 16], bytes: &[u8], sealer: &Sealer) -> Option<PackTrailer> {
        from_heads(id, bytes, sealer)
    }
}

fn recover_at(bytes: &[u8], layout: Layout, sealer: &Sealer) -> Option<PackTrailer> {
    let footer_at = bytes.len().checked_sub(FOOTER_BYTES).filter(|at| *at >= HEADER_BYTES)?;
    let mut footer = bytes.get(footer_at..)?.to_vec();
    footer
        .get_mut(FOOTER_BYTES - FOOTER_MAGIC.len() - 1..)?
        .copy_from_slice(&[FOOTER_MAGIC.as_slice(), &[layout.digit()]].concat());
    // The header says nothing that the footer does not.
    let pack: [u8; 16] = footer.get(24..40)?.try_into().ok()?;
    let head = header(&pack, layout, sealer);
    let read = |offset: u64, len: usize| -> Result<Vec<u8>, TrailerError> {
        let start = offset as usize;
        if (start, len) == (0, HEADER_BYTES) {
            return Ok(head.to_vec());
        }
        if start == footer_at {
            return Ok(footer.clone());
        }
        bytes.get(start..start.saturating_add(len)).map(<[u8]>::to_vec).ok_or(TrailerError::Lengths)
    };
    PackTrailer::decode(bytes.len() as u64, sealer, read).ok()
}

fn from_heads(id: &[u8; 16], bytes: &[u8], sealer: &Sealer) -> Option<PackTrailer> {
    let mut found = BTreeMap::new();
    let mut at = 0;
    // A file that is made to look like very many long heads must not take for ever: each byte is
    // looked at a few times.
    let mut budget = bytes.len().saturating_mul(4);
    while let Some(rest) = bytes.get(at..) {
        let Some(next) = rest.windows(HEAD_MAGIC.len()).position(|window| window == HEAD_MAGIC)
        else {
            break;
        };
        let start = at + next;
        at = start + 1;
        let Some(head_bytes) =
            bytes.get(start..).and_then(head_bytes).filter(|bytes| *bytes <= budget)
        else {
            continue;
        };
        budget -= head_bytes;
        let Some(head) = bytes.get(start..).and_then(|bytes| decode_head(id, bytes, sealer)) else {
            continue;
        };
        let offset = start as u64 + head.row.offset;
        if let Some(chunks) = chunks_of(id, &head, bytes, offset, sealer) {
            at = offset as usize + head.row.stored_bytes as usize;
            found.insert(head.number, (ExtentRow { offset, ..head.row }, chunks));
        }
    }
    // An extent is bound to its number, so those that are lost leave empty ones in their places;
    // each had a head in the file.
    let count = found
        .last_key_value()
        .map(|(number, _)| *number as usize + 1)
        .filter(|count| *count <= bytes.len() / HEAD_BYTES_MIN)?;
    let mut trailer =
        PackTrailer { pack: *id, extents: vec![lost_extent(); count], chunks: Vec::new() };
    for (number, (row, chunks)) in found {
        if let Some(slot) = trailer.extents.get_mut(number as usize) {
            *slot = row;
        }
        let mut offset = 0;
        for (id, len) in chunks {
            trailer.chunks.push(ChunkRow { id, extent: number, offset, len });
            offset += len;
        }
    }
    Some(trailer)
}

fn lost_extent() -> ExtentRow {
    ExtentRow {
        offset: HEADER_BYTES as u64,
        stored_bytes: 0,
        raw_bytes: 0,
        codec: Codec::Raw,
        kind: ExtentKind::Data,
        checksum: [0; 16],
    }
}

/// The chunks of an extent with their ids; nothing where its bytes are not the ones that were
/// written.
fn chunks_of(
    id: &[u8; 16],
    head: &ExtentHead,
    bytes: &[u8],
    offset: u64,
    sealer: &Sealer,
) -> Option<Vec<(ChunkId, u32)>> {
    let start = offset as usize;
    let sealed = bytes.get(start..start.checked_add(head.row.stored_bytes as usize)?)?;
    if extent::is_over_sealed(head.row.codec, head.row.kind, sealer)
        && !extent::has_checksum(&head.row, sealed, sealer)
    {
        return None;
    }
    let mut stored =
        sealer.open(Binding { kind: "extent", id, position: head.number }, sealed.to_vec())?;
    let mut plain = Vec::new();
    extent::decode(&head.row, &mut stored, &mut zstd::bulk::Decompressor::new().ok()?, &mut plain)
        .ok()?;
    let (hashing, mut rest) = (sealer.hashing(), plain.as_slice());
    let mut chunks = Vec::with_capacity(head.chunks.len());
    for (id, len) in &head.chunks {
        let (chunk, behind) = rest.split_at_checked(*len as usize)?;
        rest = behind;
        chunks.push((id.unwrap_or_else(|| hashing.id(chunk)), *len));
    }
    // The checksum of plain chunks is over their ids.
    (extent::checksum(head.row.codec, head.row.kind, sealed, &chunks, sealer) == head.row.checksum)
        .then_some(chunks)
}
