//! Does a file hold an entry's content already?

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags};

use crate::chunk::{ChunkId, PageHash};
use crate::manifest::Content;
use crate::store::ChunkReader;

use super::super::Error;
use super::super::content::list_pieces;

/// Whether a file of the same length holds the content already.
pub(super) fn same_content(
    reader: &mut ChunkReader<'_>,
    buffer: &mut Vec<u8>,
    dir: BorrowedFd<'_>,
    name: &[u8],
    content: &Content,
    size: u64,
) -> Result<bool, Error> {
    let Ok(file) = rustix::fs::openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    ) else {
        return Ok(false);
    };
    let file = File::from(file);
    if let Content::Pages(id) = content {
        return same_pages(reader, buffer, &file, id, size);
    }
    let mut at = 0u64;
    let mut same = true;
    let hashing = reader.hashing().clone();
    list_pieces(reader, content, |reader, piece| {
        if !same {
            return Ok(());
        }
        let (len, id) = match piece {
            crate::manifest::Piece::Hole(len) => (len, None),
            crate::manifest::Piece::Chunk(id) => (u64::from(reader.len_of(&id)?), Some(id)),
        };
        let mut left = len;
        let mut hashed = 0;
        while left > 0 && same {
            // A chunk is compared whole; a hole, which may be vast, a mebibyte at a time.
            let step = if id.is_some() { left } else { left.min(1 << 20) };
            buffer.resize(step as usize, 0);
            same = file.read_exact_at(buffer, at + hashed).is_ok()
                && match &id {
                    Some(id) => hashing.id(buffer) == *id,
                    None => buffer.iter().all(|b| *b == 0),
                };
            hashed += step;
            left -= step;
        }
        at += len;
        Ok(())
    })?;
    Ok(same && at == size)
}

fn same_pages(
    reader: &mut ChunkReader<'_>,
    buffer: &mut Vec<u8>,
    file: &File,
    id: &ChunkId,
    size: u64,
) -> Result<bool, Error> {
    let recipe = reader.recipe(id)?;
    if recipe.bytes() != size {
        return Ok(false);
    }
    buffer.clear();
    buffer.resize(recipe.page_bytes as usize, 0);
    // The identity of a database comes from its pages.
    let hash = |page: usize| {
        file.read_exact_at(buffer, page as u64 * u64::from(recipe.page_bytes)).ok()?;
        Some(reader.hashing().page(buffer))
    };
    let hashes: Option<Vec<PageHash>> = (0..recipe.pages()).map(hash).collect();
    Ok(hashes.is_some_and(|hashes| reader.hashing().database(recipe.page_bytes, &hashes) == *id))
}
