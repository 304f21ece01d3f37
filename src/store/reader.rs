//! A chunk's bytes, verified against its hash before anyone gets them.

use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::backend::Span;
use crate::chunk::{ChunkId, Hashing};

use super::extent;
use super::index::{Index, Located};
use super::seal::Binding;
use super::{Error, Repository};

/// Decoded extents that a reader keeps: neighbours in path order lie in the same one.
const KEPT_EXTENTS: usize = 4;
/// Decoded extents that are kept by who goes through the manifests of many snapshots, whose nodes lie to and fro: some 12 MiB.
pub const KEPT_FOR_ALL: usize = 256;

/// A pack and the number of an extent in it.
type ExtentKey = ([u8; 16], u32);

/// A decoded extent, and those of its chunks that were verified: what lies in memory does not change.
struct KeptExtent {
    key: ExtentKey,
    bytes: Arc<Vec<u8>>,
    verified: Vec<u32>,
}

/// Reads chunks; one for each thread.
pub struct ChunkReader<'r> {
    repository: &'r Repository,
    index: &'r Index,
    hashing: Hashing,
    kept: Vec<KeptExtent>,
    keeps: usize,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    held: Held,
}

/// Chunks that no pack holds: what a look at a live source found and did not store.
pub type Held = Arc<HashMap<ChunkId, Arc<Vec<u8>>>>;

/// Verified bytes of a chunk.
#[derive(Clone, Debug)]
pub struct Chunk {
    extent: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Deref for Chunk {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.extent.get(self.range.clone()).unwrap_or_default()
    }
}

impl<'r> ChunkReader<'r> {
    /// A reader with nothing kept.
    pub fn new(repository: &'r Repository, index: &'r Index) -> ChunkReader<'r> {
        ChunkReader { repository, index, hashing: repository.hashing(), kept: Vec::new(), keeps: KEPT_EXTENTS, zstd: None, held: Held::default() }
    }

    /// A reader that knows chunks beside those of the packs.
    pub fn holding(self, held: Held) -> ChunkReader<'r> {
        ChunkReader { held, ..self }
    }

    /// A reader that keeps more decoded extents: for who goes to and fro.
    pub fn keeping(self, extents: usize) -> ChunkReader<'r> {
        ChunkReader { keeps: extents.max(1), ..self }
    }

    /// How ids are made in the repository.
    pub fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Another reader of the same repository, with nothing kept.
    pub fn sibling(&self) -> ChunkReader<'r> {
        ChunkReader::new(self.repository, self.index).holding(self.held.clone()).keeping(self.keeps)
    }

    /// Length of a chunk in bytes.
    pub fn len_of(&self, id: &ChunkId) -> Result<u32, Error> {
        Ok(self.index.locate(id)?.ok_or(Error::Unknown { id: *id })?.len)
    }

    /// The bytes of a chunk.
    pub fn read(&mut self, id: &ChunkId) -> Result<Chunk, Error> {
        if let Some(held) = self.held.get(id) {
            return Ok(Chunk { extent: held.clone(), range: 0..held.len() });
        }
        let located = self.index.locate(id)?.ok_or(Error::Unknown { id: *id })?;
        let extent = self.extent(&located)?;
        let start = located.offset as usize;
        let chunk = Chunk { extent, range: start..start.saturating_add(located.len as usize) };
        let kept = self.kept.last_mut().filter(|kept| kept.key == (located.pack, located.extent));
        if kept.as_ref().is_some_and(|kept| kept.verified.contains(&located.offset)) {
            return Ok(chunk);
        }
        // A range beyond the extent gives no bytes, whose hash is not the chunk's.
        if self.hashing.id(&chunk) != *id {
            return Err(Error::Chunk { id: *id, pack: located.pack_name() });
        }
        if let Some(kept) = kept {
            kept.verified.push(located.offset);
        }
        Ok(chunk)
    }

    /// The bytes that lie under a recipe's id, which is not their hash: whoever reads them must prove them.
    pub(super) fn read_recipe_bytes(&mut self, id: &ChunkId) -> Result<Chunk, Error> {
        let located = self.index.locate(id)?.ok_or(Error::Unknown { id: *id })?;
        if !located.row.kind.is_recipe() {
            return Err(Error::Recipe { id: *id, what: "something else lies under its id" });
        }
        let extent = self.extent(&located)?;
        let start = located.offset as usize;
        Ok(Chunk { extent, range: start..start.saturating_add(located.len as usize) })
    }

    /// Whether the repository holds a chunk.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, Error> {
        self.index.contains(id)
    }

    fn extent(&mut self, located: &Located) -> Result<Arc<Vec<u8>>, Error> {
        let key = (located.pack, located.extent);
        if let Some(at) = self.kept.iter().position(|kept| kept.key == key) {
            // What was used last lies last, and goes last.
            let kept = self.kept.remove(at);
            let bytes = kept.bytes.clone();
            self.kept.push(kept);
            return Ok(bytes);
        }
        let damaged = |what| Error::Extent { pack: located.pack_name(), extent: located.extent, what };
        let span = Span::At { offset: located.row.offset, len: located.row.stored_bytes as usize };
        let sealed = self.repository.backend().read(&located.pack_name(), span)?;
        let binding = Binding { kind: "extent", id: &located.pack, position: located.extent };
        let stored = self.repository.config().cipher.open(binding, sealed).ok_or_else(|| damaged("it was sealed for another place"))?;
        let row = &located.row;
        if extent::is_over_stored(row.codec, row.kind) && extent::checksum(row.codec, row.kind, &stored, &[], &self.hashing) != row.checksum {
            return Err(damaged("its stored bytes do not have their checksum"));
        }
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            None => self.zstd.insert(zstd::bulk::Decompressor::new().map_err(Error::Compress)?),
        };
        let plain = Arc::new(extent::decode(&located.row, stored, zstd).map_err(damaged)?);
        if self.kept.len() >= self.keeps {
            self.kept.remove(0);
        }
        self.kept.push(KeptExtent { key, bytes: plain.clone(), verified: Vec::new() });
        Ok(plain)
    }
}
