//! Chunks stored together: the unit of compression, of encryption and of reading.

use crate::chunk::{ChunkId, Hashing};
use crate::limits::EXTENT_RAW_BYTES_MAX;

use super::{Error, trailer::ExtentRow};

/// How an extent's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Codec {
    pub(super) fn code(self) -> u8 {
        match self {
            Codec::Raw => 0,
            Codec::Zstd => 1,
        }
    }
    pub(super) fn from_code(code: u8) -> Option<Codec> {
        match code {
            0 => Some(Codec::Raw),
            1 => Some(Codec::Zstd),
            _ => None,
        }
    }
}

/// What an extent's chunks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentKind {
    /// Content of files.
    Data,
    /// Manifest nodes.
    Node,
    /// Lists: the pieces of large files, large sets of extended attributes.
    List,
    /// Pages of databases: each chunk is a row of pages.
    Pages,
    /// A recipe of a database. Its id is the database's identity, not the hash of its bytes, so there may be several with one id.
    Recipe {
        /// How many recipes lie between it and a whole one. The one with the fewest counts: so chains come to an end.
        depth: u8,
    },
}

impl ExtentKind {
    pub(super) fn code(self) -> u8 {
        match self {
            ExtentKind::Data => 0,
            ExtentKind::Node => 1,
            ExtentKind::List => 2,
            ExtentKind::Pages => 3,
            ExtentKind::Recipe { .. } => 4,
        }
    }

    /// A number for each kind, whatever the depth.
    pub fn number(self) -> u8 {
        self.code()
    }

    pub(super) fn from_code(code: u8, depth: u8) -> Option<ExtentKind> {
        use ExtentKind::{Data, List, Node, Pages, Recipe};
        [Data, Node, List, Pages, Recipe { depth }].into_iter().find(|kind| kind.code() == code && kind.depth() == depth)
    }

    /// The depth of a recipe; 0 for all else.
    pub(super) fn depth(self) -> u8 {
        match self {
            ExtentKind::Recipe { depth } => depth,
            _ => 0,
        }
    }

    /// Whether chunks of this extent take the place of chunks with the same ids in another that was there before. Where ids are hashes
    /// it is all one; of recipes of one depth the later counts, which a prune wrote that moved its pages.
    pub(super) fn replaces(self, other: ExtentKind) -> bool {
        match (self, other) {
            (ExtentKind::Recipe { depth }, ExtentKind::Recipe { depth: other }) => depth <= other,
            _ => true,
        }
    }

    /// Whether it holds a recipe.
    pub fn is_recipe(self) -> bool {
        matches!(self, ExtentKind::Recipe { .. })
    }

    /// Whether the ids of its chunks are the hashes of their bytes.
    fn is_named_by_hash(self) -> bool {
        !self.is_recipe()
    }

    /// Whether it holds bytes of files, not what describes them.
    pub fn is_content(self) -> bool {
        matches!(self, ExtentKind::Data | ExtentKind::Pages)
    }
}

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
            Codec::Zstd => zstd::bulk::decompress(&self.stored, self.raw_bytes as usize).map_err(Error::Compress)?,
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

    /// What is kept as an extent, compressed where a compressor is given and it gains; nothing where nothing was kept.
    pub fn fill(&mut self, compressor: Option<&mut zstd::bulk::Compressor<'_>>) -> Result<Option<FilledExtent>, Error> {
        let chunks = std::mem::take(&mut self.chunks);
        let kept = std::mem::replace(&mut self.kept, 0);
        if chunks.is_empty() {
            self.buffer.clear();
            return Ok(None);
        }
        self.buffer.truncate(kept);
        let filled = |codec, stored| FilledExtent { kind: self.kind, codec, raw_bytes: kept as u32, stored, chunks };
        if let Some(compressor) = compressor {
            let mut packed = compressor.compress(&self.buffer).map_err(Error::Compress)?;
            // Room is made for what does not shrink at all. A pack of a thousandfold smaller extents would keep all of that room.
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

/// The checksum of an extent: over its stored bytes, or, where these are the plain chunks, over the chunks' ids, which are
/// hashes of the same bytes already.
pub(super) fn checksum(codec: Codec, kind: ExtentKind, stored: &[u8], chunks: &[(ChunkId, u32)], hashing: &Hashing) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    if !is_over_stored(codec, kind) && hashing.key.is_none() {
        for (id, _) in chunks {
            hasher.update(&id.0);
        }
    } else {
        hasher.update(stored);
    }
    let mut sum = [0; 16];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

/// Whether an extent's checksum is over its stored bytes.
pub(super) fn is_over_stored(codec: Codec, kind: ExtentKind) -> bool {
    codec == Codec::Zstd || !kind.is_named_by_hash()
}

/// Puts the plain bytes of an extent into `out`; an error text where they cannot be right. `stored` is a buffer to use again then.
pub(super) fn decode(row: &ExtentRow, stored: &mut Vec<u8>, zstd: &mut zstd::bulk::Decompressor<'_>, out: &mut Vec<u8>) -> Result<(), &'static str> {
    let raw = row.raw_bytes as usize;
    if raw > EXTENT_RAW_BYTES_MAX {
        return Err("it claims to be larger than any extent");
    }
    match row.codec {
        // What is in the other buffer stays: an emptied one would be filled with zeros before it is read into.
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
        let extent = builder.fill(Some(&mut zstd::bulk::Compressor::new(1).unwrap())).unwrap().unwrap();
        assert!(extent.codec == Codec::Zstd && extent.stored.capacity() < 4096, "{} bytes of room", extent.stored.capacity());
    }

    #[test]
    fn the_buffer_of_an_extent_before_is_given_back_as_long_as_it_was() {
        let row = ExtentRow { offset: 0, stored_bytes: 3, raw_bytes: 3, codec: Codec::Raw, kind: ExtentKind::Data, checksum: [0; 16] };
        let (mut stored, mut out) = (vec![1, 2, 3], vec![9; 50]);
        decode(&row, &mut stored, &mut zstd::bulk::Decompressor::new().unwrap(), &mut out).unwrap();
        assert_eq!((out, stored), (vec![1, 2, 3], vec![9; 50]), "what is emptied would be filled with zeros before it is read into");
    }
}
