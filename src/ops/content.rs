//! The bytes of a file of a snapshot, piece by piece.

use crossbeam_channel::bounded;

use crate::chunk::ChunkId;
use crate::limits::LIST_BYTES_MAX;
use crate::manifest::{self, Content, Piece, decode_pieces};
use crate::store::{ChunkReader, Parts, Recipe};

use super::Error;

/// Calls `each` with every piece of a content that has pieces, lists followed; a database's pages
/// have none.
pub fn list_pieces(
    reader: &mut ChunkReader<'_>,
    content: &Content,
    mut each: impl FnMut(&mut ChunkReader<'_>, Piece) -> Result<(), Error>,
) -> Result<(), Error> {
    match content {
        Content::Pieces(pieces) => pieces.iter().try_for_each(|piece| each(reader, *piece)),
        Content::Pages(_) => Ok(()),
        Content::Listed(lists) => lists.iter().try_for_each(|id| {
            read_list(reader, id)?.into_iter().try_for_each(|piece| each(reader, piece))
        }),
    }
}

fn read_list(reader: &mut ChunkReader<'_>, id: &ChunkId) -> Result<Vec<Piece>, Error> {
    let damaged = |what| manifest::Error::Node { id: *id, what };
    let chunk = reader.read(id)?;
    if chunk.len() > LIST_BYTES_MAX {
        return Err(damaged("a file's chunk list is too long").into());
    }
    Ok(decode_pieces(&chunk).map_err(|_| damaged("a file's chunk list cannot be read"))?)
}

/// Pages that are read and handed on at once, in bytes: extents that lie scattered are read once
/// for so many.
const PAGES_BYTES: usize = 8 << 20;

/// Hands a file's bytes to `write` as (offset, bytes), holes left out; the bytes must come to
/// `size` exactly.
pub fn write_content(
    reader: &mut ChunkReader<'_>,
    content: &Content,
    size: u64,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut offset = 0u64;
    if let Content::Pages(id) = content {
        let recipe = reader.recipe(id)?;
        if recipe.bytes() != size {
            return Err(manifest::Error::Node {
                id: *id,
                what: "the size of a database does not match its pages",
            }
            .into());
        }
        if recipe.cells.is_some() {
            return write_built(reader, id, &recipe, write);
        }
        let step = PAGES_BYTES / recipe.page_bytes.max(512) as usize;
        let mut bytes = Vec::new();
        for first in (0..recipe.pages()).step_by(step) {
            reader.read_pages(
                id,
                &recipe,
                first..(first + step).min(recipe.pages()),
                &mut bytes,
            )?;
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
    Err(manifest::Error::Node { id, what: "the size of a file does not match its chunks" }.into())
}

/// Batches of pages that are built ahead.
const BUILT_AHEAD: usize = 2;

/// The same of a database that is built from cells: its pages are built on a thread of their own,
/// and all together proved by its identity.
fn write_built(
    reader: &ChunkReader<'_>,
    id: &ChunkId,
    recipe: &Recipe,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (page_bytes, pages) = (recipe.page_bytes.max(512) as usize, recipe.pages());
    let (to, built) = bounded::<Result<Vec<u8>, crate::store::Error>>(BUILT_AHEAD);
    let (give_back, room) = bounded::<Vec<u8>>(BUILT_AHEAD + 2);
    let hashing = reader.hashing();
    let mut hashes = Vec::with_capacity(pages);
    let mut offset = 0;
    std::thread::scope(|scope| {
        let mut reader = reader.sibling().checking();
        scope.spawn(move || {
            let (step, mut parts) = (PAGES_BYTES / page_bytes, Parts::default());
            for first in (0..pages).step_by(step) {
                let mut bytes = room.try_recv().unwrap_or_default();
                let outcome = reader
                    .build_pages(
                        id,
                        recipe,
                        first..(first + step).min(pages),
                        &mut parts,
                        &mut bytes,
                    )
                    .map(|()| bytes);
                let is_error = outcome.is_err();
                if to.send(outcome).is_err() || is_error {
                    return;
                }
            }
        });
        // Dropped at the first error, which ends the thread.
        let built = built;
        for bytes in &built {
            let bytes = bytes?;
            hashes.extend(bytes.chunks_exact(page_bytes).map(|page| hashing.page(page)));
            write(offset, &bytes)?;
            offset += bytes.len() as u64;
            crate::tolerate(give_back.try_send(bytes));
        }
        Ok::<(), Error>(())
    })?;
    if hashing.database(recipe.page_bytes, &hashes) == *id {
        return Ok(());
    }
    Err(crate::store::Error::Recipe { id: *id, what: "its pages are not those of the database" }
        .into())
}
