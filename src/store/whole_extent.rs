//! A whole extent as it is stored, every chunk of it proved: to be copied into another pack, or to
//! know whether it is well.

use crate::backend::Span;
use crate::chunk::{ChunkId, Hashing};

use super::extent::{self, FilledExtent};
use super::extent_kind::Codec;
use super::extent_row::ExtentRow;
use super::seal::Binding;
use super::trailer::{ChunkRow, PackTrailer};
use super::{Error, Repository, pack_name};

/// Reads whole extents; one for each thread.
pub struct ExtentReader<'r> {
    repository: &'r Repository,
    hashing: Hashing,
    zstd: zstd::bulk::Decompressor<'static>,
    /// Where extents are decompressed, one after another.
    plain: Vec<u8>,
}

/// What was found in an extent.
#[derive(Debug)]
pub enum Proved {
    /// It is whole.
    Whole(FilledExtent),
    /// These of its chunks are not; for all of them where its stored bytes are wrong. With the
    /// reason.
    Damaged(Vec<ChunkId>, &'static str),
}

const FOR_ANOTHER_PLACE: &str = "it was sealed for another place or with another key";

/// The chunks of each extent of a trailer, in order.
pub fn chunks_by_extent(trailer: &PackTrailer) -> Vec<Vec<(ChunkId, u32)>> {
    let mut chunks = vec![Vec::new(); trailer.extents.len()];
    for chunk in &trailer.chunks {
        if let Some(row) = chunks.get_mut(chunk.extent as usize) {
            row.push((chunk.id, chunk.len));
        }
    }
    chunks
}

impl<'r> ExtentReader<'r> {
    /// A reader.
    pub fn new(repository: &'r Repository) -> Result<ExtentReader<'r>, Error> {
        Ok(ExtentReader {
            repository,
            hashing: repository.hashing(),
            zstd: zstd::bulk::Decompressor::new().map_err(Error::Compress)?,
            plain: Vec::new(),
        })
    }

    /// Reads and proves an extent. Bytes that are missing count as damage; a read that fails is an
    /// error and proves nothing.
    pub fn read(
        &mut self,
        pack: &[u8; 16],
        number: u32,
        row: &ExtentRow,
        chunks: Vec<(ChunkId, u32)>,
    ) -> Result<Proved, Error> {
        let span = Span::At { offset: row.offset, len: row.stored_bytes as usize };
        match self.repository.backend().read(&pack_name(pack), span).map_err(Error::from) {
            Ok(stored) => self.prove(pack, number, row, chunks, stored),
            Err(error) if error.is_damage() => {
                Ok(Proved::Damaged(ids(&chunks), "its bytes are not all there"))
            }
            Err(error) => Err(error),
        }
    }

    /// Those chunks of a damaged extent that are right, with their bytes. What it takes to know is
    /// their ids: no checksum is asked. `file` is the id in the file's name, `pack` that of the
    /// pack in it: another one may lie under that name.
    pub fn good_chunks(
        &mut self,
        (file, pack): (&[u8; 16], &[u8; 16]),
        number: u32,
        row: &ExtentRow,
        chunks: &[ChunkRow],
    ) -> Result<Vec<(ChunkId, Vec<u8>)>, Error> {
        let span = Span::At { offset: row.offset, len: row.stored_bytes as usize };
        let binding = Binding { kind: "extent", id: pack, position: number };
        let sealed =
            match self.repository.backend().read(&pack_name(file), span).map_err(Error::from) {
                Ok(sealed) => sealed,
                Err(error) if error.is_damage() => return Ok(Vec::new()),
                // A disk that fails just now says nothing of what is lost.
                Err(error) => return Err(error),
            };
        let sealer = self.repository.sealer();
        let has_checksum = extent::has_checksum(row, &sealed, sealer);
        let Some(mut stored) = sealer.open(binding, sealed) else { return Ok(Vec::new()) };
        let mut plain = Vec::new();
        if extent::decode(row, &mut stored, &mut self.zstd, &mut plain).is_err() {
            return Ok(Vec::new());
        }
        let mut good = Vec::new();
        for chunk in chunks {
            let start = chunk.offset as usize;
            let bytes =
                plain.get(start..start.saturating_add(chunk.len as usize)).unwrap_or_default();
            // What a recipe's id is the hash of is seen where the recipe is put together; its
            // extent has a checksum.
            let is_right = if row.kind.is_recipe() {
                has_checksum && !bytes.is_empty()
            } else {
                self.hashing.id(bytes) == chunk.id
            };
            if is_right {
                good.push((chunk.id, bytes.to_vec()));
            }
        }
        Ok(good)
    }

    fn prove(
        &mut self,
        pack: &[u8; 16],
        number: u32,
        row: &ExtentRow,
        chunks: Vec<(ChunkId, u32)>,
        sealed: Vec<u8>,
    ) -> Result<Proved, Error> {
        if let Some((bad, what)) = self.faults(pack, number, row, &chunks, &sealed) {
            return Ok(Proved::Damaged(bad, what));
        }
        let binding = Binding { kind: "extent", id: pack, position: number };
        let Some(stored) = self.repository.sealer().open(binding, sealed) else {
            return Ok(Proved::Damaged(ids(&chunks), FOR_ANOTHER_PLACE));
        };
        Ok(Proved::Whole(FilledExtent {
            kind: row.kind,
            codec: row.codec,
            raw_bytes: row.raw_bytes,
            stored,
            chunks,
        }))
    }

    /// What is wrong with an extent whose bytes were read already: the chunks, and the reason.
    pub fn faults(
        &mut self,
        pack: &[u8; 16],
        number: u32,
        row: &ExtentRow,
        chunks: &[(ChunkId, u32)],
        sealed: &[u8],
    ) -> Option<(Vec<ChunkId>, &'static str)> {
        let all = |what| Some((ids(chunks), what));
        let sealer = self.repository.sealer();
        if sealed.len() != row.stored_bytes as usize {
            return all("its bytes are not all there");
        }
        if !extent::has_checksum(row, sealed, sealer) {
            return all("its stored bytes do not have their checksum");
        }
        let Some(stored) =
            sealer.open_ref(Binding { kind: "extent", id: pack, position: number }, sealed)
        else {
            return all(FOR_ANOTHER_PLACE);
        };
        let unpacked = match row.codec {
            Codec::Raw => None,
            Codec::Zstd => {
                self.plain.resize(row.raw_bytes as usize, 0);
                match self.zstd.decompress_to_buffer(&stored, &mut self.plain) {
                    Ok(len) => Some(self.plain.get(..len).unwrap_or_default()),
                    Err(_) => return all("it cannot be decompressed"),
                }
            }
        };
        let mut rest = unpacked.unwrap_or(&stored);
        if rest.len() != row.raw_bytes as usize {
            return all("it does not have the length that it should have");
        }
        let mut bad = Vec::new();
        for (id, len) in chunks {
            let (bytes, behind) = rest.split_at(rest.len().min(*len as usize));
            rest = behind;
            // What a recipe's id is the hash of is proved where the recipe is put together.
            if !row.kind.is_recipe() && self.hashing.id(bytes) != *id {
                bad.push(*id);
            }
        }
        (!bad.is_empty()).then_some((bad, "its bytes do not have their hash"))
    }
}

fn ids(chunks: &[(ChunkId, u32)]) -> Vec<ChunkId> {
    chunks.iter().map(|(id, _)| *id).collect()
}
