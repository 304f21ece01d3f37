//! A damaged pack: mended by its parity, or what is whole of it saved.

use crate::backend::{Backend, Error as BackendError, Listed, Span, write_new};
use crate::limits::PACK_FILE_BYTES_MAX;
use crate::store::{
    ChunkRow, Codec, ExtentKind, ExtentReader, FilledExtent, Index, PackStreams, PackTrailer,
    Parity, Repository, TrailerError, pack_name, read_whole_trailer,
};

use super::super::Error;
use super::super::ingest::refill::Refill;

/// Streams of packs: data, pages, nodes and lists.
pub(super) const STREAMS: usize = 3;
/// Pieces that are read one by one where a disk cannot read all, in bytes.
const SECTOR_BYTES: usize = 4096;

/// A pack that is given up.
pub(super) struct BadPack {
    pub id: [u8; 16],
    /// Its table of contents, where that can be known; it may be another pack's that has this name.
    pub trailer: Option<PackTrailer>,
}

fn store_error(error: BackendError) -> Error {
    crate::store::Error::from(error).into()
}

/// What is left of a file's bytes, zeros where the disk cannot read it; and whether it cannot.
fn bytes_left(backend: &dyn Backend, name: &str) -> Result<(Vec<u8>, bool), Error> {
    match backend.read(name, Span::Whole { limit: PACK_FILE_BYTES_MAX }) {
        Ok(bytes) => return Ok((bytes, false)),
        Err(BackendError::Io { .. }) => {}
        Err(BackendError::Missing { .. } | BackendError::TooLarge { .. }) => {
            return Ok((Vec::new(), false));
        }
        Err(error) => return Err(store_error(error)),
    }
    let size = backend
        .list(name)
        .map_err(store_error)?
        .iter()
        .find(|file| file.name == name)
        .map_or(0, |file| file.size_bytes as usize);
    let (mut bytes, mut failed) = (Vec::with_capacity(size), false);
    while bytes.len() < size {
        let len = SECTOR_BYTES.min(size - bytes.len());
        match backend.read(name, Span::At { offset: bytes.len() as u64, len }) {
            Ok(piece) => bytes.extend_from_slice(&piece),
            Err(BackendError::Io { .. }) => {
                failed = true;
                bytes.resize(bytes.len() + len, 0);
            }
            Err(error) => return Err(store_error(error)),
        }
    }
    Ok((bytes, failed))
}

/// The pack's bytes as they were, if its parity can give them. Where it cannot, and it is the disk
/// that fails, nothing may be given up.
pub(super) fn mend(repository: &Repository, id: &[u8; 16]) -> Result<Option<Vec<u8>>, Error> {
    let (bytes, is_disk) = bytes_left(repository.backend(), &pack_name(id))?;
    let parity = match Parity::read(repository.backend(), id) {
        Ok(parity) => Some(parity),
        Err(error) if error.is_damage() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(mended) = parity.and_then(|parity| parity.mend(&bytes)) {
        return Ok(Some(mended));
    }
    if is_disk { Err(unread(&pack_name(id))) } else { Ok(None) }
}

/// A file that the disk does not give: nobody knows what is lost of it.
pub(super) fn unread(name: &str) -> Error {
    Error::Refused {
        what: format!("{name} could not be read from the disk, so it is unknown whether its data is lost. No snapshot was changed"),
        hint: "Check that the disk is connected and that you have permission to read the repository's directory, then run the same command again. If the disk is failing, copy the repository to a healthy disk with a tool that continues after read errors, such as ddrescue, and repair the copy.".to_owned(),
    }
}

/// Puts the mended bytes in the pack's place, in one step: until then the damaged file stands.
pub(super) fn replace(repository: &Repository, id: &[u8; 16], bytes: &[u8]) -> Result<(), Error> {
    write_new(repository.backend(), &pack_name(id), bytes).map_err(store_error)
}

/// What can be known of a pack that is not mended: its table of contents, found in what is left of
/// the file, or as the index knows it.
pub(super) fn examine(
    repository: &Repository,
    index: &Index,
    id: &[u8; 16],
) -> Result<BadPack, Error> {
    let (bytes, is_disk) = bytes_left(repository.backend(), &pack_name(id))?;
    if is_disk {
        return Err(unread(&pack_name(id)));
    }
    // The index knows all extents, the heads those that are whole.
    let trailer = match PackTrailer::recover_written(&bytes, repository.sealer()) {
        Some(trailer) => Some(trailer),
        None => index
            .trailer_of(id)?
            .or_else(|| PackTrailer::from_heads(id, &bytes, repository.sealer())),
    };
    Ok(BadPack { id: *id, trailer })
}

/// Whether a pack was written by a later program, and is not one of ours whose version was damaged.
pub(super) fn is_newer(repository: &Repository, id: &[u8; 16]) -> Result<bool, Error> {
    let name = pack_name(id);
    let size_bytes = repository
        .backend()
        .list(&name)
        .map_err(store_error)?
        .iter()
        .find(|file| file.name == name)
        .map_or(0, |file| file.size_bytes);
    let says_newer = matches!(
        read_whole_trailer(
            repository.backend(),
            repository.sealer(),
            &Listed { name: name.clone(), size_bytes },
            id
        ),
        Err(crate::store::Error::Pack { source: TrailerError::Newer(_), .. })
    );
    if !says_newer {
        return Ok(false);
    }
    let (bytes, _) = bytes_left(repository.backend(), &name)?;
    let is_mendable =
        Parity::read(repository.backend(), id).is_ok_and(|parity| parity.mend(&bytes).is_some());
    Ok(!is_mendable && PackTrailer::recover_written(&bytes, repository.sealer()).is_none())
}

/// Saves the chunks that are whole and in no other pack; how many.
pub(super) fn salvage(
    repository: &Repository,
    index: &Index,
    pack: &BadPack,
    streams: &mut PackStreams<'_>,
) -> Result<u64, Error> {
    let Some(trailer) = &pack.trailer else { return Ok(0) };
    let mut extents = ExtentReader::new(repository)?;
    let mut refill = Refill::new(repository.config().compression_level)?;
    let mut saved = 0;
    let mut sink = |extent: FilledExtent| match extent.kind {
        ExtentKind::Recipe { .. } => Ok(streams.append_last(extent)?),
        kind => Ok::<_, Error>(streams.append(stream_of(kind), extent)?),
    };
    for (number, row) in (0..).zip(&trailer.extents) {
        let chunks: Vec<ChunkRow> =
            trailer.chunks.iter().filter(|chunk| chunk.extent == number).copied().collect();
        for (id, bytes) in extents.good_chunks((&pack.id, &trailer.pack), number, row, &chunks)? {
            let is_new = index.claim(&id)?;
            if !is_new && row.kind.is_recipe() {
                // Of two recipes the one with the smaller depth counts, which may be this one.
                index.claim_again(&id);
            }
            if is_new || row.kind.is_recipe() {
                saved += 1;
                refill.push(row.kind, row.codec == Codec::Zstd, id, &bytes, &mut sink)?;
            }
        }
    }
    refill.close(&mut sink)?;
    Ok(saved)
}

fn stream_of(kind: ExtentKind) -> usize {
    match kind {
        ExtentKind::Pages => 1,
        ExtentKind::Node | ExtentKind::List => 2,
        ExtentKind::Data | ExtentKind::Recipe { .. } => 0,
    }
}
