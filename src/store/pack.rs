//! One pack being written: extents as they come, then the trailer that describes them.

use std::collections::VecDeque;

use crate::backend::NewFile;

use super::extent::FilledExtent;
use super::extent_head::encode_head;
use super::extent_row::ExtentRow;
use super::index::Index;
use super::pack_layout::{HEADER_BYTES, Layout, header};
use super::seal::Sealer;
use super::seal_pool::{SealPool, SealedExtent, Sealing};
use super::trailer::{ChunkRow, PackTrailer};
use super::{Error, Repository, pack_name};

/// An open pack.
pub(super) struct PackWriter<'r> {
    file: Box<dyn NewFile>,
    number: u32,
    trailer: PackTrailer,
    offset: u64,
    sealer: &'r Sealer,
    layout: Layout,
    /// Over all that was written so far, in an encrypted repository: whoever has no key can still
    /// see that a pack is as it was.
    hasher: Option<blake3::Hasher>,
    /// Extents that are being sealed, in their order.
    sealing: VecDeque<Sealing>,
    /// Extents that were taken, and their bytes before they were sealed.
    taken: u32,
    taken_bytes: u64,
    taken_chunks: usize,
    /// Small extents are gathered here, so that each does not cost a system call.
    waiting: Vec<u8>,
}

/// Extents from this size on are written by themselves, in bytes.
const DIRECT_BYTES: usize = 64 << 10;
const WAITING_BYTES_MAX: usize = 256 << 10;

/// No extent is added to a pack with this many chunks: their table takes 18 MB, and nobody reads
/// one of more than [`crate::limits::TRAILER_BYTES_MAX`]. Beyond it there is room for 1.3 million
/// more; one extent of content is closed at 192 KiB and holds far fewer.
const PACK_CHUNKS_MAX: usize = 500_000;

impl<'r> PackWriter<'r> {
    pub(super) fn begin(
        repository: &'r Repository,
        index: &Index,
    ) -> Result<PackWriter<'r>, Error> {
        let mut pack = [0; 16];
        getrandom::fill(&mut pack).map_err(|_| Error::Random)?;
        let (sealer, layout) = (repository.sealer(), Layout::of_format(repository.config().format));
        let file = repository.backend().create(&pack_name(&pack))?;
        let number = index.add_pack(pack, true);
        let waiting = header(&pack, layout, sealer).to_vec();
        Ok(PackWriter {
            file,
            number,
            trailer: PackTrailer { pack, ..PackTrailer::default() },
            offset: HEADER_BYTES as u64,
            sealer,
            layout,
            hasher: sealer.is_keyed().then(blake3::Hasher::new),
            sealing: VecDeque::new(),
            taken: 0,
            taken_bytes: 0,
            taken_chunks: 0,
            waiting,
        })
    }

    /// Its id.
    pub(super) fn id(&self) -> [u8; 16] {
        self.trailer.pack
    }

    /// Whether it has as much as a pack should have: so many bytes, or as many chunks as its table
    /// of contents can name.
    pub(super) fn is_full(&self, pack_bytes: u64) -> bool {
        self.offset.max(self.taken_bytes) >= pack_bytes || self.taken_chunks >= PACK_CHUNKS_MAX
    }

    /// Takes an extent. It is written when it is sealed, and all that were taken before it are
    /// written.
    pub(super) fn append(
        &mut self,
        extent: FilledExtent,
        index: &Index,
        pool: &SealPool,
    ) -> Result<(), Error> {
        let number = self.taken;
        self.taken += 1;
        self.taken_bytes += extent.stored.len() as u64;
        self.taken_chunks += extent.chunks.len();
        self.sealing.push_back(pool.seal(self.trailer.pack, number, extent));
        self.write_sealed(index, pool.depth())
    }

    /// Writes what is sealed, until no more than so many are on their way.
    fn write_sealed(&mut self, index: &Index, left: usize) -> Result<(), Error> {
        while self.sealing.len() > left
            && let Some(next) = self.sealing.pop_front()
        {
            let sealed = next.take().ok_or(Error::SealingEnded)?;
            self.write_extent(sealed, index)?;
        }
        Ok(())
    }

    /// Writes an extent and tells the index where its chunks are.
    fn write_extent(&mut self, sealed: SealedExtent, index: &Index) -> Result<(), Error> {
        let number = self.trailer.extents.len() as u32;
        let SealedExtent { extent, checksum } = sealed;
        let stored = extent.stored;
        let mut row = ExtentRow {
            offset: self.offset,
            stored_bytes: stored.len() as u32,
            raw_bytes: extent.raw_bytes,
            codec: extent.codec,
            kind: extent.kind,
            checksum,
        };
        if self.layout == Layout::Two {
            let head = encode_head(&self.trailer.pack, number, &row, &extent.chunks, self.sealer);
            self.waiting.extend_from_slice(&head);
            row.offset += head.len() as u64;
        }
        self.offset = row.offset + stored.len() as u64;
        if stored.len() >= DIRECT_BYTES || self.waiting.len() + stored.len() > WAITING_BYTES_MAX {
            self.flush()?;
        }
        if stored.len() >= DIRECT_BYTES {
            self.write(stored)?;
        } else {
            self.waiting.extend_from_slice(&stored);
        }
        index.add_extent(self.number, row, &extent.chunks);
        index.spill()?;
        let mut offset = 0;
        for (id, len) in &extent.chunks {
            self.trailer.chunks.push(ChunkRow { id: *id, extent: number, offset, len: *len });
            offset += len;
        }
        self.trailer.extents.push(row);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            self.write(waiting)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        Ok(self.file.append(bytes)?)
    }

    /// Writes the trailer; the file that is left to be finished, and its length in bytes.
    pub(super) fn end(mut self, index: &Index) -> Result<(Box<dyn NewFile>, u64), Error> {
        self.write_sealed(index, 0)?;
        self.flush()?;
        let tail = self.trailer.encode(
            self.offset,
            self.layout,
            self.sealer,
            self.hasher.as_ref().map(blake3::Hasher::finalize),
        );
        let len = self.offset + tail.len() as u64;
        self.file.append(tail)?;
        tracing::debug!(bytes = len, "wrote a pack");
        Ok((self.file, len))
    }
}
