//! Chunks stored together: the unit of compression, of encryption and of reading.

use crate::chunk::ChunkId;
use crate::limits::EXTENT_RAW_BYTES_MAX;

use super::{Error, seal::Sealer};

use super::extent_kind::{Codec, ExtentKind};
use super::extent_row::ExtentRow;

/// An extent ready for a pack.
#[derive(Debug)]
pub struct FilledExtent {
    /// What its chunks are.
    pub kind: ExtentKind,
    /// How its bytes are stored.
    pub codec: Codec,
    /// Length before compression, in bytes.
    pub raw_bytes: u32,
    /// The stored bytes, not sealed yet.
    pub stored: Vec<u8>,
    /// (id, length in bytes) of its chunks, in order.
    pub chunks: Vec<(ChunkId, u32)>,
}

impl FilledExtent {
    /// Its chunks with their plain bytes.
    pub fn into_chunks(self) -> Result<Vec<(ChunkId, Vec<u8>)>, Error> {
        let plain = match self.codec {
            Codec::Raw => self.stored,
            Codec::Zstd => zstd::bulk::decompress(&self.stored, self.raw_bytes as usize)
                .map_err(Error::Compress)?,
        };
        let mut rest = plain.as_slice();
        let mut next = |len: u32| {
            let (chunk, behind) = rest.split_at(rest.len().min(len as usize));
            rest = behind;
            chunk.to_vec()
        };
        Ok(self.chunks.into_iter().map(|(id, len)| (id, next(len))).collect())
    }
}

/// Gathers chunks for one extent; files are read straight into its buffer.
#[derive(Debug)]
pub struct ExtentBuilder {
    /// What its chunks are.
    pub kind: ExtentKind,
    /// The chunks' bytes one after another, and behind them what the caller is about to offer.
    pub buffer: Vec<u8>,
    chunks: Vec<(ChunkId, u32)>,
    kept: usize,
}

impl ExtentBuilder {
    /// An empty extent.
    pub fn new(kind: ExtentKind) -> ExtentBuilder {
        ExtentBuilder { kind, buffer: Vec::new(), chunks: Vec::new(), kept: 0 }
    }

    /// Bytes of the chunks that were kept.
    pub fn len(&self) -> usize {
        self.kept
    }

    /// Whether no chunk was kept.
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Keeps the next `len` bytes of the buffer as chunk `id`.
    pub fn keep(&mut self, id: ChunkId, len: usize) {
        self.chunks.push((id, len as u32));
        self.kept += len;
    }

    /// Copies a chunk in.
    pub fn push(&mut self, id: ChunkId, bytes: &[u8]) {
        self.buffer.truncate(self.kept);
        self.buffer.extend_from_slice(bytes);
        self.keep(id, bytes.len());
    }

    /// What is kept as an extent, compressed where a compressor is given and it gains; nothing
    /// where nothing was kept.
    pub fn fill(
        &mut self,
        compressor: Option<&mut zstd::bulk::Compressor<'_>>,
    ) -> Result<Option<FilledExtent>, Error> {
        let chunks = std::mem::take(&mut self.chunks);
        let kept = std::mem::replace(&mut self.kept, 0);
        if chunks.is_empty() {
            self.buffer.clear();
            return Ok(None);
        }
        self.buffer.truncate(kept);
        let filled = |codec, stored| FilledExtent {
            kind: self.kind,
            codec,
            raw_bytes: kept as u32,
            stored,
            chunks,
        };
        if let Some(compressor) = compressor {
            let mut packed = compressor.compress(&self.buffer).map_err(Error::Compress)?;
            // Room is made for what does not shrink at all. A pack of a thousandfold smaller
            // extents would keep all of that room.
            if packed.len() < packed.capacity() / 4 {
                packed.shrink_to_fit();
            }
            if packed.len() < kept {
                self.buffer.clear();
                return Ok(Some(filled(Codec::Zstd, packed)));
            }
        }
        let next = Vec::with_capacity(self.buffer.capacity().min(1 << 20));
        Ok(Some(filled(Codec::Raw, std::mem::replace(&mut self.buffer, next))))
    }
}

/// The checksum of an extent: over its sealed bytes, so that a scrub needs no key; or, where these
/// are the plain chunks, over the chunks' ids, which are hashes of the same bytes already.
pub(super) fn checksum(
    codec: Codec,
    kind: ExtentKind,
    sealed: &[u8],
    chunks: &[(ChunkId, u32)],
    sealer: &Sealer,
) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    if is_over_sealed(codec, kind, sealer) {
        hasher.update(sealed);
    } else {
        for (id, _) in chunks {
            hasher.update(&id.0);
        }
    }
    let mut sum = [0; 16];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// Whether an extent's checksum is over its sealed bytes.
pub(super) fn is_over_sealed(codec: Codec, kind: ExtentKind, sealer: &Sealer) -> bool {
    codec == Codec::Zstd || !kind.is_named_by_hash() || sealer.is_keyed()
}

/// Whether an extent's sealed bytes are the ones that were written, as far as its checksum tells:
/// true where it tells nothing of them.
pub(super) fn has_checksum(row: &ExtentRow, sealed: &[u8], sealer: &Sealer) -> bool {
    !is_over_sealed(row.codec, row.kind, sealer)
        || checksum(row.codec, row.kind, sealed, &[], sealer) == row.checksum
}

/// Puts the plain bytes of an extent into `out`; an error text where they cannot be right. `stored`
/// is a buffer to use again then.
pub(super) fn decode(
    row: &ExtentRow,
    stored: &mut Vec<u8>,
    zstd: &mut zstd::bulk::Decompressor<'_>,
    out: &mut Vec<u8>,
) -> Result<(), &'static str> {
    let raw = row.raw_bytes as usize;
    if raw > EXTENT_RAW_BYTES_MAX {
        return Err("it claims to be larger than any extent");
    }
    match row.codec {
        // What is in the other buffer stays: an emptied one would be filled with zeros before it is
        // read into.
        Codec::Raw => std::mem::swap(stored, out),
        Codec::Zstd => {
            out.clear();
            out.reserve_exact(raw);
            zstd.decompress_to_buffer(stored, out).map_err(|_| "it cannot be decompressed")?;
        }
    }
    if out.len() == raw { Ok(()) } else { Err("it does not have the length that it should have") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_takes_no_more_memory_than_its_stored_bytes_need() {
        let mut builder = ExtentBuilder::new(ExtentKind::Data);
        builder.push(ChunkId([1; 32]), &vec![0; 1 << 20]);
        let extent =
            builder.fill(Some(&mut zstd::bulk::Compressor::new(1).unwrap())).unwrap().unwrap();
        assert!(
            extent.codec == Codec::Zstd && extent.stored.capacity() < 4096,
            "{} bytes of room",
            extent.stored.capacity()
        );
    }

    #[test]
    fn the_buffer_of_an_extent_before_is_given_back_as_long_as_it_was() {
        let row = ExtentRow {
            offset: 0,
            stored_bytes: 3,
            raw_bytes: 3,
            codec: Codec::Raw,
            kind: ExtentKind::Data,
            checksum: [0; 16],
        };
        let (mut stored, mut out) = (vec![1, 2, 3], vec![9; 50]);
        decode(&row, &mut stored, &mut zstd::bulk::Decompressor::new().unwrap(), &mut out).unwrap();
        assert_eq!(
            (out, stored),
            (vec![1, 2, 3], vec![9; 50]),
            "what is emptied would be filled with zeros before it is read into"
        );
    }
}
