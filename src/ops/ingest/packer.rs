//! Bytes of files on their way into extents: read, told apart, cut, hashed, kept where they are
//! new.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use crate::chunk::{ChunkId, Class, CutParams, HEAD_BYTES, Hashing, cuts, gains};
use crate::limits::{LIST_BYTES_MAX, LISTS_MAX, PIECES_INLINE_MAX};
use crate::manifest::{Content, Piece, encode_pieces};
use crate::source::OpenFile;
use crate::store::{Cuts, ExtentBuilder, ExtentKind, FilledExtent, Index};

use super::super::Error;

/// Files up to this size are read at once, in bytes.
pub(in crate::ops) const SMALL_BYTES: u64 = 1 << 20;
/// Extents of content are closed at this size, in bytes.
const EXTENT_BYTES: usize = 192 << 10;
/// Extents of manifest nodes are closed at this size: one node should not cost the reading of many.
const NODE_EXTENT_BYTES: usize = 48 << 10;
/// A raw file from this size on begins an extent of its own, in bytes.
const ALONE_BYTES: u64 = 128 << 10;
/// How much of a large file is looked at to find cuts; more than twice the largest chunk, in bytes.
const WINDOW_BYTES: usize = 9 << 20;

/// Receives finished extents.
pub(in crate::ops) type Sink<'a> = &'a mut dyn FnMut(FilledExtent) -> Result<(), Error>;

/// One worker's buffers.
pub(in crate::ops) struct Packer {
    hashing: Hashing,
    cuts: Cuts,
    raw: ExtentBuilder,
    text: ExtentBuilder,
    nodes: ExtentBuilder,
    lists: ExtentBuilder,
    compressor: zstd::bulk::Compressor<'static>,
    trial: zstd::bulk::Compressor<'static>,
    window: Vec<u8>,
}

/// Why content could not be had.
pub(in crate::ops) enum ReadFailure {
    /// The file could not be read.
    Io(std::io::Error),
    /// The capture cannot go on.
    Fatal(Error),
}

impl From<Error> for ReadFailure {
    fn from(error: Error) -> Self {
        ReadFailure::Fatal(error)
    }
}

impl From<crate::store::Error> for ReadFailure {
    fn from(error: crate::store::Error) -> Self {
        ReadFailure::Fatal(error.into())
    }
}

impl From<std::io::Error> for ReadFailure {
    fn from(error: std::io::Error) -> Self {
        ReadFailure::Io(error)
    }
}

impl Packer {
    pub(in crate::ops) fn new(hashing: Hashing, cuts: Cuts, level: i32) -> Result<Packer, Error> {
        let compressor =
            |level| zstd::bulk::Compressor::new(level).map_err(crate::store::Error::Compress);
        Ok(Packer {
            hashing,
            cuts,
            raw: ExtentBuilder::new(ExtentKind::Data),
            text: ExtentBuilder::new(ExtentKind::Data),
            nodes: ExtentBuilder::new(ExtentKind::Node),
            lists: ExtentBuilder::new(ExtentKind::List),
            compressor: compressor(level)?,
            trial: compressor(1)?,
            window: Vec::new(),
        })
    }

    /// How ids are made.
    pub(in crate::ops) fn hashing(&self) -> &Hashing {
        &self.hashing
    }

    /// Stores a file's bytes; (its content, its length as read).
    pub(in crate::ops) fn store_file(
        &mut self,
        open: &OpenFile,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(Content, u64), ReadFailure> {
        let size = open.before.size;
        if size == 0 {
            return Ok((Content::Pieces(Vec::new()), 0));
        }
        if let Some(ranges) = open.data_ranges() {
            let (mut pieces, mut at) = (Vec::new(), 0);
            for range in ranges {
                push_hole(&mut pieces, range.start - at);
                at = range.end;
                let read =
                    self.store_range(&open.file, range.start, range.end, index, sink, &mut pieces)?;
                if read < range.end - range.start {
                    // Cut short meanwhile; the caller sees that it did not hold still.
                    return Ok((self.content(pieces, index, sink)?, range.start + read));
                }
            }
            push_hole(&mut pieces, size - at);
            return Ok((self.content(pieces, index, sink)?, size));
        }
        let mut pieces = Vec::new();
        let read = if size <= SMALL_BYTES {
            self.store_small(&open.file, size, index, sink, &mut pieces)?
        } else {
            self.store_range(&open.file, 0, size, index, sink, &mut pieces)?
        };
        Ok((self.content(pieces, index, sink)?, read))
    }

    /// Stores bytes that are read once, from something that is no file; (their content, their
    /// length as read).
    pub(in crate::ops) fn store_stream(
        &mut self,
        bytes: &mut dyn Read,
        size: u64,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(Content, u64), ReadFailure> {
        let mut pieces = Vec::new();
        let read =
            if size == 0 { 0 } else { self.store_small(bytes, size, index, sink, &mut pieces)? };
        Ok((self.content(pieces, index, sink)?, read))
    }

    /// A file that fits: read straight into the extent that most files of its kind end up in.
    fn store_small(
        &mut self,
        file: impl Read,
        size: u64,
        index: &Index,
        sink: Sink<'_>,
        pieces: &mut Vec<Piece>,
    ) -> Result<u64, ReadFailure> {
        if !self.raw.is_empty() && size >= ALONE_BYTES {
            flush(&mut self.raw, None, sink)?;
        }
        let start = self.raw.len();
        self.raw.buffer.truncate(start);
        // A little more than the file, so that reading to its end does not grow the buffer.
        self.raw.buffer.reserve(size as usize + 64);
        file.take(size).read_to_end(&mut self.raw.buffer)?;
        let bytes = self.raw.buffer.get(start..).unwrap_or_default();
        let len = bytes.len();
        if len == 0 {
            return Ok(0);
        }
        let class = Class::of(bytes.get(..HEAD_BYTES).unwrap_or(bytes));
        let params = *self.cuts.for_class(class);
        if len > params.whole as usize {
            let owned = bytes.to_vec();
            self.raw.buffer.truncate(start);
            let compress = self.compresses(class, &owned);
            for range in cuts(&owned, &params, self.hashing.cut_seed) {
                self.keep_copy(
                    owned.get(range).unwrap_or_default(),
                    compress,
                    index,
                    sink,
                    pieces,
                )?;
            }
            return Ok(len as u64);
        }
        let id = self.hashing.id(bytes);
        pieces.push(Piece::Chunk(id));
        if !index.claim(&id)? {
            self.raw.buffer.truncate(start);
            return Ok(len as u64);
        }
        let compress = match class {
            Class::Compressed => false,
            Class::Text | Class::Sqlite => true,
            Class::Other => gains(bytes, &mut self.trial),
        };
        if compress {
            self.text.push(id, bytes);
            self.raw.buffer.truncate(start);
            if self.text.len() >= EXTENT_BYTES {
                flush(&mut self.text, Some(&mut self.compressor), sink)?;
            }
        } else {
            self.raw.keep(id, len);
            if self.raw.len() >= EXTENT_BYTES {
                flush(&mut self.raw, None, sink)?;
            }
        }
        Ok(len as u64)
    }

    fn compresses(&mut self, class: Class, bytes: &[u8]) -> bool {
        match class {
            Class::Compressed => false,
            Class::Text | Class::Sqlite => true,
            Class::Other => gains(bytes, &mut self.trial),
        }
    }

    /// A part of a large file, through a window that slides; the bytes that were read.
    fn store_range(
        &mut self,
        file: &File,
        start: u64,
        end: u64,
        index: &Index,
        sink: Sink<'_>,
        pieces: &mut Vec<Piece>,
    ) -> Result<u64, ReadFailure> {
        let mut window = std::mem::take(&mut self.window);
        let outcome = self.slide(file, (start, end), &mut window, index, sink, pieces);
        window.clear();
        self.window = window;
        outcome
    }

    fn slide(
        &mut self,
        file: &File,
        (start, end): (u64, u64),
        window: &mut Vec<u8>,
        index: &Index,
        sink: Sink<'_>,
        pieces: &mut Vec<Piece>,
    ) -> Result<u64, ReadFailure> {
        let mut at = start;
        let mut class: Option<(Class, CutParams)> = None;
        window.clear();
        loop {
            at += fill(file, window, at, end)?;
            let ended = window.len() < WINDOW_BYTES;
            let (kind, params) = *class.get_or_insert_with(|| {
                let kind = Class::of(window.get(..HEAD_BYTES).unwrap_or(window));
                (kind, *self.cuts.for_class(kind))
            });
            let mut used = 0;
            for range in cuts(window, &params, self.hashing.cut_seed) {
                // The last cut of a window is only its end; it counts once nothing follows.
                if !ended && range.end == window.len() {
                    break;
                }
                let bytes = window.get(range.clone()).unwrap_or_default();
                let compress = self.compresses(kind, bytes);
                self.keep_copy(bytes, compress, index, sink, pieces)?;
                used = range.end;
            }
            window.drain(..used);
            if ended {
                return Ok(at - start);
            }
        }
    }

    fn keep_copy(
        &mut self,
        bytes: &[u8],
        compress: bool,
        index: &Index,
        sink: Sink<'_>,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), Error> {
        let id = self.hashing.id(bytes);
        pieces.push(Piece::Chunk(id));
        if !index.claim(&id)? {
            return Ok(());
        }
        let (builder, compressor) = if compress {
            (&mut self.text, Some(&mut self.compressor))
        } else {
            (&mut self.raw, None)
        };
        builder.push(id, bytes);
        if builder.len() >= EXTENT_BYTES { flush(builder, compressor, sink) } else { Ok(()) }
    }

    /// Pieces as an entry holds them: inline, or through list chunks.
    fn content(
        &mut self,
        pieces: Vec<Piece>,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<Content, ReadFailure> {
        if pieces.len() <= PIECES_INLINE_MAX {
            return Ok(Content::Pieces(pieces));
        }
        let mut lists = Vec::new();
        // 33 bytes is the longest piece.
        for part in pieces.chunks(LIST_BYTES_MAX / 33) {
            lists.push(self.store_list(&encode_pieces(part), index, sink)?);
        }
        if lists.len() > LISTS_MAX {
            return Err(ReadFailure::Io(std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                "the file has more chunks than a snapshot can store",
            )));
        }
        Ok(Content::Listed(lists))
    }

    /// Stores a list chunk.
    pub(in crate::ops) fn store_list(
        &mut self,
        bytes: &[u8],
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<ChunkId, Error> {
        store_in(&mut self.lists, &self.hashing, &mut self.compressor, bytes, index, sink)
    }

    /// Stores a manifest node.
    pub(in crate::ops) fn store_node(
        &mut self,
        bytes: &[u8],
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<ChunkId, Error> {
        store_in(&mut self.nodes, &self.hashing, &mut self.compressor, bytes, index, sink)
    }

    /// Closes all extents.
    pub(in crate::ops) fn flush(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        flush(&mut self.raw, None, sink)?;
        for builder in [&mut self.text, &mut self.lists, &mut self.nodes] {
            flush(builder, Some(&mut self.compressor), sink)?;
        }
        Ok(())
    }
}

fn store_in(
    builder: &mut ExtentBuilder,
    hashing: &Hashing,
    compressor: &mut zstd::bulk::Compressor<'static>,
    bytes: &[u8],
    index: &Index,
    sink: Sink<'_>,
) -> Result<ChunkId, Error> {
    let id = hashing.id(bytes);
    if index.claim(&id)? {
        builder.push(id, bytes);
        if builder.len() >= NODE_EXTENT_BYTES {
            flush(builder, Some(compressor), sink)?;
        }
    }
    Ok(id)
}

fn flush(
    builder: &mut ExtentBuilder,
    compressor: Option<&mut zstd::bulk::Compressor<'static>>,
    sink: Sink<'_>,
) -> Result<(), Error> {
    match builder.fill(compressor)? {
        Some(extent) => sink(extent),
        None => Ok(()),
    }
}

fn push_hole(pieces: &mut Vec<Piece>, bytes: u64) {
    if bytes > 0 {
        pieces.push(Piece::Hole(bytes));
    }
}

/// Fills the window up to [`WINDOW_BYTES`] or `end`; the bytes added.
fn fill(file: &File, window: &mut Vec<u8>, at: u64, end: u64) -> std::io::Result<u64> {
    let mut added = 0;
    while window.len() < WINDOW_BYTES && at + added < end {
        let len = window.len();
        let want = ((WINDOW_BYTES - len) as u64).min(end - at - added) as usize;
        window.resize(len + want, 0);
        let read = file.read_at(window.get_mut(len..).unwrap_or_default(), at + added);
        window.truncate(len + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => break,
            Ok(n) => added += n as u64,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(added)
}
