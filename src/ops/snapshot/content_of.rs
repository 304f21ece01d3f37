//! What would a capture call a file's content? Cut and hashed as a capture does, nothing stored.

use std::os::unix::fs::FileExt;

use crate::manifest::{Content, Piece};
use crate::source::OpenFile;
use crate::store::Repository;

use super::super::ingest::packer::{Packer, ReadFailure};

/// The contents under which a snapshot may hold the file's bytes: as a database, with its holes,
/// without.
pub(in crate::ops) fn content_of(
    repository: &Repository,
    open: &OpenFile,
) -> Result<Vec<Content>, ReadFailure> {
    let index = repository.index()?;
    let config = repository.config();
    let mut packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut contents = Vec::new();
    let size = open.before.size;
    if let Some(page_bytes) = open.page_bytes()?
        && size.is_multiple_of(u64::from(page_bytes))
    {
        let (mut hashes, mut page) = (Vec::new(), vec![0; page_bytes as usize]);
        for number in 0..size / u64::from(page_bytes) {
            // By place: the file is read from its beginning below.
            open.file.read_exact_at(&mut page, number * u64::from(page_bytes))?;
            hashes.push(repository.hashing().page(&page));
        }
        contents.push(Content::Pages(repository.hashing().database(page_bytes, &hashes)));
    }
    let (content, _) = packer.store_file(open, &index, &mut |_| Ok(()))?;
    let has_holes = matches!(&content, Content::Pieces(pieces) if pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))));
    contents.push(content);
    if has_holes && size <= super::super::ingest::packer::SMALL_BYTES {
        contents.push(
            packer
                .store_stream(&mut zero_filled(open)?.as_slice(), size, &index, &mut |_| Ok(()))?
                .0,
        );
    }
    Ok(contents)
}

/// A small file's bytes, holes as zeros.
fn zero_filled(open: &OpenFile) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; open.before.size as usize];
    open.file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
