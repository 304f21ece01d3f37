//! Any bytes of a file of a snapshot: where its pieces begin, its database's pages, remembered from
//! one reading to the next.

use std::sync::Arc;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entry, Kind, Piece};
use crate::store::{ChunkReader, Recipe};

use super::Error;
use super::content::list_pieces;

/// Files whose pieces are remembered.
const REMEMBERED: usize = 8;

enum Body {
    /// (where it begins, its length, the piece)
    Pieces(Vec<(u64, u64, Piece)>),
    Pages {
        id: ChunkId,
        recipe: Recipe,
    },
}

/// Reads files, a part at a time.
pub(super) struct Files<'r> {
    pub reader: ChunkReader<'r>,
    bodies: Vec<(Content, Arc<Body>)>,
}

impl<'r> Files<'r> {
    pub(super) fn new(reader: ChunkReader<'r>) -> Files<'r> {
        Files { reader, bodies: Vec::new() }
    }

    /// The bytes from `offset` on, `len` of them or up to the end.
    pub(super) fn read(
        &mut self,
        entry: &Entry,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, Error> {
        let Kind::File { size, content } = &entry.kind else { return Ok(Vec::new()) };
        let end = size.min(&offset.saturating_add(len as u64)).to_owned();
        if offset >= end {
            return Ok(Vec::new());
        }
        let body = self.body(content)?;
        let mut out = vec![0; (end - offset) as usize];
        match &*body {
            Body::Pieces(pieces) => {
                let first = pieces.partition_point(|(start, len, _)| start + len <= offset);
                for (start, _, piece) in
                    pieces.iter().skip(first).take_while(|(start, ..)| *start < end)
                {
                    // Holes are zeros already.
                    if let Piece::Chunk(id) = piece {
                        copy(&mut out, offset, *start, &self.reader.read(id)?);
                    }
                }
            }
            Body::Pages { id, recipe } => {
                let page = u64::from(recipe.page_bytes.max(1));
                let (first, last) = (offset / page, end.div_ceil(page));
                let mut bytes = Vec::new();
                self.reader.read_pages(
                    id,
                    recipe,
                    first as usize..(last as usize).min(recipe.pages()),
                    &mut bytes,
                )?;
                copy(&mut out, offset, first * page, &bytes);
            }
        }
        Ok(out)
    }

    fn body(&mut self, content: &Content) -> Result<Arc<Body>, Error> {
        if let Some((_, body)) = self.bodies.iter().find(|(known, _)| known == content) {
            return Ok(body.clone());
        }
        let body = match content {
            Content::Pages(id) => Body::Pages { id: *id, recipe: self.reader.recipe(id)? },
            content => {
                let (mut pieces, mut at) = (Vec::new(), 0);
                list_pieces(&mut self.reader, content, |reader, piece| {
                    let len = match &piece {
                        Piece::Hole(bytes) => *bytes,
                        Piece::Chunk(id) => u64::from(reader.len_of(id)?),
                    };
                    pieces.push((at, len, piece));
                    at += len;
                    Ok(())
                })?;
                Body::Pieces(pieces)
            }
        };
        let body = Arc::new(body);
        if self.bodies.len() >= REMEMBERED {
            self.bodies.remove(0);
        }
        self.bodies.push((content.clone(), body.clone()));
        Ok(body)
    }
}

/// Copies what of `bytes`, which begin at `start` of the file, lies in `out`, which begins at
/// `offset`.
fn copy(out: &mut [u8], offset: u64, start: u64, bytes: &[u8]) {
    let (skip, at) = (offset.saturating_sub(start) as usize, start.saturating_sub(offset) as usize);
    let from = bytes.get(skip..).unwrap_or_default();
    if let Some(to) = out.get_mut(at..) {
        let len = to.len().min(from.len());
        if let (Some(to), Some(from)) = (to.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
    }
}
