//! The layout of a pack: header, extents, trailer, footer (`docs/format.md`, "Packs").

use crate::backend::{Backend, Listed, Span};
use crate::chunk::ChunkId;
use crate::limits::{EXTENT_RAW_BYTES_MAX, TRAILER_BYTES_MAX};

use super::Error;
use super::bytes::Bytes;
use super::extent_kind::{Codec, ExtentKind};
use super::extent_row::ExtentRow;
use super::pack_layout::{
    FOOTER_BYTES, FOOTER_MAGIC, HEADER_BYTES, HEADER_MAGIC, Layout, TrailerError, header,
};
use super::seal::{Binding, Sealer};

const CHUNK_ROW_BYTES: usize = 36;
/// The hash of what stands before the trailer of a pack of an encrypted repository.
const PACK_HASH_BYTES: usize = 32;
/// A trailer is read together with so much of what lies before the end, in bytes: that is one read,
/// except for packs of very many chunks.
const TAIL_BYTES: usize = 16 << 10;

/// What a trailer says of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// The chunk.
    pub id: ChunkId,
    /// Number of its extent, from 0.
    pub extent: u32,
    /// Offset in the extent's plain bytes.
    pub offset: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A pack's table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackTrailer {
    /// The pack's id.
    pub pack: [u8; 16],
    /// Its extents, in order.
    pub extents: Vec<ExtentRow>,
    /// Its chunks, in order of extent and offset.
    pub chunks: Vec<ChunkRow>,
}

impl PackTrailer {
    /// Trailer and footer, to be written behind the extents; the extents end at `offset`. In an
    /// encrypted repository the hash of all before them stands in the clear, behind the sealed
    /// rows.
    pub(super) fn encode(
        &self,
        offset: u64,
        layout: Layout,
        sealer: &Sealer,
        before: Option<blake3::Hash>,
    ) -> Vec<u8> {
        let mut ended = HEADER_BYTES as u64;
        let mut rows = Vec::with_capacity(
            self.extents.len() * layout.extent_row_bytes() + self.chunks.len() * CHUNK_ROW_BYTES,
        );
        let mut chunks = self.chunks.iter().peekable();
        for (number, extent) in self.extents.iter().enumerate() {
            let mut count = 0u32;
            while chunks.next_if(|chunk| chunk.extent as usize == number).is_some() {
                count += 1;
            }
            rows.extend_from_slice(&extent.stored_bytes.to_le_bytes());
            rows.extend_from_slice(&extent.raw_bytes.to_le_bytes());
            rows.extend_from_slice(&count.to_le_bytes());
            rows.extend_from_slice(&[
                extent.codec.code(),
                extent.kind.code(),
                extent.kind.depth(),
                0,
            ]);
            rows.extend_from_slice(&extent.checksum);
            if layout == Layout::Two {
                rows.extend_from_slice(&(extent.offset.saturating_sub(ended) as u32).to_le_bytes());
            }
            ended = extent.end();
        }
        for chunk in &self.chunks {
            rows.extend_from_slice(&chunk.id.0);
            rows.extend_from_slice(&chunk.len.to_le_bytes());
        }
        let mut out =
            sealer.seal(Binding { kind: "trailer", id: &self.pack, position: u32::MAX }, rows);
        out.extend_from_slice(before.as_ref().map_or(&[], |hash| hash.as_bytes().as_slice()));
        let trailer_bytes = out.len() as u32;
        let mut footer = Vec::with_capacity(FOOTER_BYTES);
        footer.extend_from_slice(&offset.to_le_bytes());
        footer.extend_from_slice(&trailer_bytes.to_le_bytes());
        footer.extend_from_slice(&(self.extents.len() as u32).to_le_bytes());
        footer.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
        footer.extend_from_slice(&[0; 4]);
        footer.extend_from_slice(&self.pack);
        let sum = checksum(&header(&self.pack, layout, sealer), &out, &footer);
        footer.extend_from_slice(&sum);
        footer.extend_from_slice(FOOTER_MAGIC);
        footer.push(layout.digit());
        out.extend_from_slice(&footer);
        out
    }

    /// Reads a trailer through `read(offset, len)`, which gives bytes of a pack of `size_bytes`.
    pub fn decode<E: From<TrailerError>>(
        size_bytes: u64,
        sealer: &Sealer,
        mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
    ) -> Result<PackTrailer, E> {
        let footer_at = size_bytes
            .checked_sub(FOOTER_BYTES as u64)
            .filter(|at| *at >= HEADER_BYTES as u64)
            .ok_or(TrailerError::NotAPack)?;
        let header_bytes = read(0, HEADER_BYTES)?;
        let footer_bytes = read(footer_at, FOOTER_BYTES)?;
        let footer = Footer::parse(&header_bytes, &footer_bytes, footer_at, sealer.code())?;
        let sealed = read(footer.trailer_offset, footer.trailer_bytes)?;
        if checksum(&header_bytes, &sealed, footer_bytes.get(..40).unwrap_or_default())
            != footer.checksum
        {
            return Err(TrailerError::Checksum.into());
        }
        let rows = if sealer.is_keyed() {
            sealed.get(..sealed.len().saturating_sub(PACK_HASH_BYTES)).unwrap_or_default().to_vec()
        } else {
            sealed
        };
        let rows = sealer
            .open(Binding { kind: "trailer", id: &footer.pack, position: u32::MAX }, rows)
            .ok_or(TrailerError::Checksum)?;
        Ok(footer.rows(&rows)?)
    }
}

/// What a pack of an encrypted repository says of itself to who has no key: the hash of its first
/// so many bytes. `read(offset, len)` gives bytes of the file.
pub(super) fn clear_hash<E: From<TrailerError>>(
    size_bytes: u64,
    id: &[u8; 16],
    mut read: impl FnMut(u64, usize) -> Result<Vec<u8>, E>,
) -> Result<(u64, [u8; PACK_HASH_BYTES]), E> {
    let footer_at = size_bytes
        .checked_sub(FOOTER_BYTES as u64)
        .filter(|at| *at >= HEADER_BYTES as u64)
        .ok_or(TrailerError::NotAPack)?;
    let (header, end) = (read(0, HEADER_BYTES)?, read(footer_at, FOOTER_BYTES)?);
    let code = header.get(8).copied().filter(|code| *code != 0).ok_or(TrailerError::Cipher)?;
    let footer = Footer::parse(&header, &end, footer_at, code)?;
    let sealed = read(footer.trailer_offset, footer.trailer_bytes)?;
    if checksum(&header, &sealed, end.get(..40).unwrap_or_default()) != footer.checksum {
        return Err(TrailerError::Checksum.into());
    }
    if footer.pack != *id {
        return Err(TrailerError::Name.into());
    }
    let hash = sealed.last_chunk::<PACK_HASH_BYTES>().ok_or(TrailerError::Lengths)?;
    Ok((footer.trailer_offset, *hash))
}

/// The trailer of a listed pack, checked against its name, in one read where it is of ordinary
/// size. The header, which says nothing that the footer does not, is not looked at.
///
/// # Errors
/// [`Error::Pack`] where it is damaged or of a later version, [`Error::Backend`] where it cannot be
/// read.
pub fn read_trailer(
    backend: &dyn Backend,
    sealer: &Sealer,
    listed: &Listed,
    id: &[u8; 16],
) -> Result<PackTrailer, Error> {
    read(backend, sealer, listed, id, false)
}

/// The same with the header looked at, too: for who wants to know whether the whole file is well.
///
/// # Errors
/// As [`read_trailer`].
pub fn read_whole_trailer(
    backend: &dyn Backend,
    sealer: &Sealer,
    listed: &Listed,
    id: &[u8; 16],
) -> Result<PackTrailer, Error> {
    read(backend, sealer, listed, id, true)
}

fn read(
    backend: &dyn Backend,
    sealer: &Sealer,
    listed: &Listed,
    id: &[u8; 16],
    with_header: bool,
) -> Result<PackTrailer, Error> {
    struct Failure(Error);
    let damaged = |source| Error::Pack { pack: listed.name.clone(), source };
    impl From<TrailerError> for Failure {
        fn from(source: TrailerError) -> Failure {
            Failure(Error::Pack { pack: String::new(), source })
        }
    }
    let tail = backend.read(&listed.name, Span::Tail { len: TAIL_BYTES })?;
    let tail_at = listed.size_bytes.saturating_sub(tail.len() as u64);
    let layout = match tail.split_last() {
        Some((digit, before)) if before.ends_with(FOOTER_MAGIC) => {
            Layout::of_digit(*digit).map_err(damaged)?
        }
        _ => Layout::default(),
    };
    let read = |offset: u64, len: usize| -> Result<Vec<u8>, Failure> {
        let start = offset.checked_sub(tail_at).map(|start| start as usize);
        if let Some(bytes) = start.and_then(|start| tail.get(start..start.checked_add(len)?)) {
            return Ok(bytes.to_vec());
        }
        if (offset, len) == (0, HEADER_BYTES) && !with_header {
            return Ok(header(id, layout, sealer).to_vec());
        }
        backend.read(&listed.name, Span::At { offset, len }).map_err(|e| Failure(e.into()))
    };
    let trailer = PackTrailer::decode(listed.size_bytes, sealer, read).map_err(
        |Failure(error)| match error {
            Error::Pack { source, .. } => damaged(source),
            other => other,
        },
    )?;
    if trailer.pack == *id { Ok(trailer) } else { Err(damaged(TrailerError::Name)) }
}

impl PackTrailer {
    /// Puts magics and checksum right where the lengths allow it: lets a fuzzer reach what lies
    /// behind them.
    #[doc(hidden)]
    pub fn mend_for_tests(bytes: &mut [u8]) {
        let Some(footer_at) =
            bytes.len().checked_sub(FOOTER_BYTES).filter(|at| *at >= HEADER_BYTES)
        else {
            return;
        };
        let layout = bytes
            .last()
            .map_or(Layout::One, |last| if last % 2 == 0 { Layout::One } else { Layout::Two });
        let head = header(&[7; 16], layout, &Sealer::plain());
        if let Some(slot) = bytes.get_mut(..HEADER_BYTES) {
            slot.copy_from_slice(&head);
        }
        let Some((before, footer)) = bytes.split_at_mut_checked(footer_at) else { return };
        let (Some(pack), Some(start)) =
            (footer.get_mut(20..40), footer_at.checked_sub(HEADER_BYTES))
        else {
            return;
        };
        pack.fill(0);
        if let Some(id) = pack.get_mut(4..) {
            id.copy_from_slice(&[7; 16]);
        }
        let offset = Bytes(footer).u64().map_or(start, |offset| offset as usize % (start + 1))
            + HEADER_BYTES;
        let fields = [
            (offset as u64).to_le_bytes().to_vec(),
            ((footer_at - offset) as u32).to_le_bytes().to_vec(),
        ]
        .concat();
        if let Some(slot) = footer.get_mut(..12) {
            slot.copy_from_slice(&fields);
        }
        let sum = checksum(
            &head,
            before.get(offset..).unwrap_or_default(),
            footer.get(..40).unwrap_or_default(),
        );
        if let Some(slot) = footer.get_mut(40..) {
            slot.copy_from_slice(&[sum.as_slice(), FOOTER_MAGIC, &[layout.digit()]].concat());
        }
    }
}

struct Footer {
    layout: Layout,
    trailer_offset: u64,
    trailer_bytes: usize,
    extents: u32,
    chunks: u32,
    pack: [u8; 16],
    checksum: [u8; 32],
}

impl Footer {
    fn parse(
        header: &[u8],
        footer: &[u8],
        footer_at: u64,
        code: u8,
    ) -> Result<Footer, TrailerError> {
        let mut h = Bytes(header);
        if h.take(6)? != HEADER_MAGIC {
            return Err(TrailerError::NotAPack);
        }
        let version = h.u16()?;
        if version > Layout::Two.version() {
            return Err(TrailerError::Newer(version));
        }
        if h.u8()? != code {
            return Err(TrailerError::Cipher);
        }
        if h.take(7)? != [0; 7] {
            return Err(TrailerError::Value);
        }
        let header_pack: [u8; 16] = h.array()?;
        let mut f = Bytes(footer);
        let (trailer_offset, trailer_bytes, extents, chunks, reserved) =
            (f.u64()?, f.u32()?, f.u32()?, f.u32()?, f.u32()?);
        let (pack, checksum, magic) = (f.array()?, f.array()?, f.array::<7>()?);
        if &magic != FOOTER_MAGIC {
            return Err(TrailerError::NotAPack);
        }
        let [digit] = f.array()?;
        let layout = Layout::of_digit(digit)?;
        if layout.version() != version || reserved != 0 || pack != header_pack {
            return Err(TrailerError::Value);
        }
        let trailer_bytes = trailer_bytes as usize;
        let rows = (extents as usize)
            .saturating_mul(layout.extent_row_bytes())
            .saturating_add((chunks as usize).saturating_mul(CHUNK_ROW_BYTES));
        let ends = trailer_offset.checked_add(trailer_bytes as u64) == Some(footer_at)
            && trailer_offset >= HEADER_BYTES as u64;
        if trailer_bytes > TRAILER_BYTES_MAX || rows > TRAILER_BYTES_MAX || !ends {
            return Err(TrailerError::Lengths);
        }
        Ok(Footer { layout, trailer_offset, trailer_bytes, extents, chunks, pack, checksum })
    }

    fn rows(&self, rows: &[u8]) -> Result<PackTrailer, TrailerError> {
        let split = (self.extents as usize).saturating_mul(self.layout.extent_row_bytes());
        let (extent_rows, chunk_rows) =
            rows.split_at_checked(split).ok_or(TrailerError::Lengths)?;
        if chunk_rows.len() != (self.chunks as usize).saturating_mul(CHUNK_ROW_BYTES) {
            return Err(TrailerError::Lengths);
        }
        let mut trailer = PackTrailer {
            pack: self.pack,
            extents: Vec::with_capacity(self.extents as usize),
            chunks: Vec::with_capacity(self.chunks as usize),
        };
        let (mut extents, mut chunks, mut offset) =
            (Bytes(extent_rows), Bytes(chunk_rows), HEADER_BYTES as u64);
        for number in 0..self.extents {
            let (stored_bytes, raw_bytes, count) = (extents.u32()?, extents.u32()?, extents.u32()?);
            let codec = Codec::from_code(extents.u8()?).ok_or(TrailerError::Value)?;
            let kind =
                ExtentKind::from_code(extents.u8()?, extents.u8()?).ok_or(TrailerError::Value)?;
            if extents.u8()? != 0 || raw_bytes as usize > EXTENT_RAW_BYTES_MAX {
                return Err(TrailerError::Value);
            }
            let checksum = extents.array()?;
            if self.layout == Layout::Two {
                offset =
                    offset.checked_add(u64::from(extents.u32()?)).ok_or(TrailerError::Lengths)?;
            }
            trailer.extents.push(ExtentRow {
                offset,
                stored_bytes,
                raw_bytes,
                codec,
                kind,
                checksum,
            });
            offset += u64::from(stored_bytes);
            let mut within = 0u32;
            for _ in 0..count {
                let (id, len) = (ChunkId(chunks.array()?), chunks.u32()?);
                trailer.chunks.push(ChunkRow { id, extent: number, offset: within, len });
                within = within.checked_add(len).ok_or(TrailerError::Lengths)?;
            }
            if within != raw_bytes {
                return Err(TrailerError::Lengths);
            }
        }
        if offset != self.trailer_offset || !chunks.is_empty() {
            Err(TrailerError::Lengths)
        } else {
            Ok(trailer)
        }
    }
}

fn checksum(header: &[u8], trailer: &[u8], footer: &[u8]) -> [u8; 32] {
    *blake3::Hasher::new().update(header).update(trailer).update(footer).finalize().as_bytes()
}
