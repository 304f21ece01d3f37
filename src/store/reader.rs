//! A chunk's bytes, verified against its hash before anyone gets them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::chunk::{ChunkId, Hashing};

use super::extent;
use super::extent_row::ExtentRow;
use super::index::{Index, Located};
use super::place::Place;
use super::read_ahead::ExtentBytes;
use super::seal::Binding;
use super::shared_index::IndexRef;
use super::{Error, Repository, pack_name};

/// Decoded extents that a reader keeps: neighbours in path order lie in the same one.
const KEPT_EXTENTS: usize = 4;
/// Decoded extents that are kept by who goes through the manifests of many snapshots, whose nodes
/// lie to and fro: some 12 MiB.
pub const KEPT_FOR_ALL: usize = 256;

/// A decoded extent, and those of its chunks that were verified: what lies in memory does not
/// change.
struct KeptExtent {
    /// Number of its pack in the index, and its number in the pack.
    key: (u32, u32),
    pack: [u8; 16],
    row: ExtentRow,
    bytes: Arc<Vec<u8>>,
    verified: Vec<u32>,
}

impl KeptExtent {
    fn chunk(&self, place: Place) -> Chunk {
        let start = place.offset as usize;
        Chunk { extent: self.bytes.clone(), range: start..start.saturating_add(place.len as usize) }
    }
}

/// Reads chunks; one for each thread.
pub struct ChunkReader<'r> {
    repository: &'r Repository,
    index: IndexRef<'r>,
    hashing: Hashing,
    kept: Vec<KeptExtent>,
    keeps: usize,
    /// Whether what is read is proved by its stored bytes alone.
    checks: bool,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    /// Compressed bytes, in a buffer that is used again.
    stored: Vec<u8>,
    source: Box<ExtentBytes>,
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
        ChunkReader::with(repository, IndexRef::Lent(index))
    }

    /// The same with the repository's own index.
    ///
    /// # Errors
    /// As [`Repository::index`].
    pub fn of(repository: &'r Repository) -> Result<ChunkReader<'r>, Error> {
        Ok(ChunkReader::with(repository, IndexRef::Shared(repository.index()?)))
    }

    fn with(repository: &'r Repository, index: IndexRef<'r>) -> ChunkReader<'r> {
        ChunkReader {
            repository,
            index,
            hashing: repository.hashing(),
            kept: Vec::new(),
            keeps: KEPT_EXTENTS,
            checks: false,
            zstd: None,
            stored: Vec::new(),
            source: Box::default(),
            held: Held::default(),
        }
    }

    /// A reader that knows chunks beside those of the packs.
    pub fn holding(self, held: Held) -> ChunkReader<'r> {
        ChunkReader { held, ..self }
    }

    /// A reader that keeps more decoded extents: for who goes to and fro.
    pub fn keeping(self, extents: usize) -> ChunkReader<'r> {
        ChunkReader { keeps: extents.max(1), ..self }
    }

    /// A reader that proves the stored bytes of each extent: for who proves what is in them only
    /// when all of it is there.
    pub fn checking(self) -> ChunkReader<'r> {
        ChunkReader { checks: true, ..self }
    }

    /// How ids are made in the repository.
    pub fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Another reader of the same repository, with nothing kept.
    pub fn sibling(&self) -> ChunkReader<'r> {
        ChunkReader::with(self.repository, self.index.clone())
            .holding(self.held.clone())
            .keeping(self.keeps)
    }

    /// Length of a chunk in bytes.
    pub fn len_of(&self, id: &ChunkId) -> Result<u32, Error> {
        Ok(self.index.find(id)?.ok_or(Error::Unknown { id: *id })?.len)
    }

    /// The bytes of a chunk.
    pub fn read(&mut self, id: &ChunkId) -> Result<Chunk, Error> {
        if let Some(held) = self.held.get(id) {
            return Ok(Chunk { extent: held.clone(), range: 0..held.len() });
        }
        let place = self.index.find(id)?.ok_or(Error::Unknown { id: *id })?;
        let hashing = self.hashing.clone();
        let kept = self.extent(id, place)?;
        let chunk = kept.chunk(place);
        if kept.verified.contains(&place.offset) {
            return Ok(chunk);
        }
        // A range beyond the extent gives no bytes, whose hash is not the chunk's.
        if hashing.id(&chunk) != *id {
            return Err(Error::Chunk { id: *id, pack: pack_name(&kept.pack) });
        }
        kept.verified.push(place.offset);
        Ok(chunk)
    }

    /// The bytes that lie under a recipe's id, which is not their hash: whoever reads them must
    /// prove them.
    pub(super) fn read_recipe_bytes(&mut self, id: &ChunkId) -> Result<Chunk, Error> {
        let place = self.index.find(id)?.ok_or(Error::Unknown { id: *id })?;
        let kept = self.extent(id, place)?;
        if !kept.row.kind.is_recipe() {
            return Err(Error::Recipe { id: *id, what: "something else lies under its id" });
        }
        Ok(kept.chunk(place))
    }

    /// The bytes of a chunk that holds pages: whoever reads them proves each page that is wanted by
    /// its own hash.
    pub(super) fn read_pages_chunk(&mut self, id: &ChunkId) -> Result<Chunk, Error> {
        let place = self.index.find(id)?.ok_or(Error::Unknown { id: *id })?;
        Ok(self.extent(id, place)?.chunk(place))
    }

    /// Whether the repository holds a chunk.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, Error> {
        self.index.contains(id)
    }

    fn extent(&mut self, id: &ChunkId, place: Place) -> Result<&mut KeptExtent, Error> {
        let key = (place.pack, place.extent);
        let kept = match self.kept.iter().position(|kept| kept.key == key) {
            // What was used last lies last, and goes last.
            Some(at) => self.kept.remove(at),
            None => {
                let located = self.index.located(place)?.ok_or(Error::Unknown { id: *id })?;
                // The buffer of what goes is used again, unless somebody still reads in it: a new
                // one costs a page fault for each of its pages.
                let gone = if self.kept.len() >= self.keeps {
                    Arc::try_unwrap(self.kept.remove(0).bytes).ok()
                } else {
                    None
                };
                let bytes = self.load(place.pack, &located, gone.unwrap_or_default())?;
                KeptExtent {
                    key,
                    pack: located.pack,
                    row: located.row,
                    bytes: Arc::new(bytes),
                    verified: Vec::new(),
                }
            }
        };
        Ok(self.kept.push_mut(kept))
    }

    /// Reads an extent and decodes it into `buffer`.
    fn load(
        &mut self,
        number: u32,
        located: &Located,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<u8>, Error> {
        let damaged =
            |what| Error::Extent { pack: located.pack_name(), extent: located.extent, what };
        let row = &located.row;
        let mut sealed = std::mem::take(&mut self.stored);
        self.source.read(self.repository, &self.index, number, located, &mut sealed)?;
        // Who reads chunks and pages proves them by their own hashes: the checksum is asked for
        // what has none, and for the reason of a failure.
        let sealer = self.repository.sealer();
        let reason = |what, sealed: &[u8]| {
            damaged(if extent::has_checksum(row, sealed, sealer) {
                what
            } else {
                "its stored bytes do not have their checksum"
            })
        };
        if (row.kind.is_recipe() || self.checks) && !extent::has_checksum(row, &sealed, sealer) {
            return Err(reason("", &sealed));
        }
        let binding = Binding { kind: "extent", id: &located.pack, position: located.extent };
        let opened = sealer.open_ref(binding, &sealed).map(|opened| match opened {
            Cow::Borrowed(_) => None,
            Cow::Owned(stored) => Some(stored),
        });
        let Some(opened) = opened else {
            return Err(reason("it was sealed for another place or with another key", &sealed));
        };
        let mut stored = opened.unwrap_or(sealed);
        let zstd = match &mut self.zstd {
            Some(zstd) => zstd,
            None => self.zstd.insert(zstd::bulk::Decompressor::new().map_err(Error::Compress)?),
        };
        if let Err(what) = extent::decode(row, &mut stored, zstd, &mut buffer) {
            return Err(if sealer.is_keyed() { damaged(what) } else { reason(what, &stored) });
        }
        self.stored = stored;
        Ok(buffer)
    }
}
