//! The bytes of a file of a snapshot, piece by piece.

use crate::chunk::ChunkId;
use crate::limits::LIST_BYTES_MAX;
use crate::manifest::{self, Content, Piece, decode_pieces};
use crate::store::ChunkReader;

use super::Error;

/// Calls `each` with every piece of a content that has pieces, lists followed; a database's pages have none.
pub fn list_pieces(
    reader: &mut ChunkReader<'_>,
    content: &Content,
    mut each: impl FnMut(&mut ChunkReader<'_>, Piece) -> Result<(), Error>,
) -> Result<(), Error> {
    match content {
        Content::Pieces(pieces) => pieces.iter().try_for_each(|piece| each(reader, *piece)),
        Content::Pages(_) => Ok(()),
        Content::Listed(lists) => lists.iter().try_for_each(|id| read_list(reader, id)?.into_iter().try_for_each(|piece| each(reader, piece))),
    }
}

fn read_list(reader: &mut ChunkReader<'_>, id: &ChunkId) -> Result<Vec<Piece>, Error> {
    let damaged = |what| manifest::Error::Node { id: *id, what };
    let chunk = reader.read(id)?;
    if chunk.len() > LIST_BYTES_MAX {
        return Err(damaged("a list of pieces is too long").into());
    }
    Ok(decode_pieces(&chunk).map_err(|_| damaged("a list of pieces cannot be read"))?)
}

/// Pages that are read and handed on at once, in bytes: extents that lie scattered are read once for so many.
const PAGES_BYTES: usize = 8 << 20;

/// Hands a file's bytes to `write` as (offset, bytes), holes left out; the bytes must come to `size` exactly.
pub fn write_content(reader: &mut ChunkReader<'_>, content: &Content, size: u64, mut write: impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut offset = 0u64;
    if let Content::Pages(id) = content {
        let recipe = reader.recipe(id)?;
        if recipe.bytes() != size {
            return Err(manifest::Error::Node { id: *id, what: "a database's pages do not come to its size" }.into());
        }
        let step = PAGES_BYTES / recipe.page_bytes.max(512) as usize;
        let mut bytes = Vec::new();
        for first in (0..recipe.hashes.len()).step_by(step) {
            reader.read_pages(id, &recipe, first..(first + step).min(recipe.hashes.len()), &mut bytes)?;
            write(offset, &bytes)?;
            offset += bytes.len() as u64;
        }
    } else {
        list_pieces(reader, content, |reader, piece| {
            match piece {
                Piece::Hole(bytes) => offset = offset.saturating_add(bytes),
                Piece::Chunk(id) => {
                    let chunk = reader.read(&id)?;
                    write(offset, &chunk)?;
                    offset = offset.saturating_add(chunk.len() as u64);
                }
            }
            Ok(())
        })?;
    }
    if offset == size {
        return Ok(());
    }
    let id = ChunkId([0; 32]);
    Err(manifest::Error::Node { id, what: "a file's pieces do not come to its size" }.into())
}
