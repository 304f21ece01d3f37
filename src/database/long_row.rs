//! Rows longer than a server writes: of each of their long values only the beginning, the length and
//! a hash are kept, so that one cell cannot fill the memory, and two that differ still differ.

use super::Error;
use super::btree::{Cell, Node, payload};
use super::pages::Pages;
use super::record::{self, Encoding, Value};
use crate::store::cells::varint;

/// Longest row that is read whole, in bytes: some hundred thousand entries of a playlist.
const WHOLE_BYTES_MAX: usize = 8 << 20;
/// Longest list of kinds of values, in bytes: SQLite allows 32,767 columns.
const KINDS_BYTES_MAX: usize = 512 << 10;
/// What is kept of all values that are read whole, in bytes; behind that only short ones are.
const KEPT_BYTES_MAX: usize = 16 << 20;
/// What is kept of a long value, in bytes.
const HEAD_BYTES: usize = 256;

/// A row's bytes, or what is kept of it.
#[derive(PartialEq)]
pub(super) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Its values, shortened.
    Values(Vec<Value>),
}

impl Body {
    /// The body of a cell. `overflow` is told each overflow page that it takes.
    ///
    /// # Errors
    /// [`Error`] where a page cannot be read or the row ends too early.
    pub(super) fn read(
        pages: &mut Pages<'_>,
        node: &Node,
        cell: &Cell<'_>,
        encoding: Encoding,
        overflow: &mut impl FnMut(u32),
    ) -> Result<Body, Error> {
        if cell.payload_bytes <= WHOLE_BYTES_MAX {
            return payload(pages, node, cell, overflow).map(Body::Whole);
        }
        let rest = Rest {
            pages,
            node,
            piece: cell.local.to_vec(),
            at: 0,
            next: cell.overflow,
            left: cell.payload_bytes - cell.local.len(),
            overflow,
        };
        rest.values(encoding).map(Body::Values)
    }

    /// Its values, as many as it has.
    ///
    /// # Errors
    /// [`Error`] where it is no row.
    pub(super) fn values(&self, encoding: Encoding, page: u32) -> Result<Vec<Value>, Error> {
        match self {
            Body::Whole(bytes) => record::decode(bytes, encoding, page),
            Body::Values(values) => Ok(values.clone()),
        }
    }
}

/// What was not read yet of a row.
struct Rest<'a, 'p, F> {
    pages: &'a mut Pages<'p>,
    node: &'a Node,
    piece: Vec<u8>,
    at: usize,
    next: Option<u32>,
    /// Bytes behind the piece.
    left: usize,
    overflow: &'a mut F,
}

impl<F: FnMut(u32)> Rest<'_, '_, F> {
    fn values(mut self, encoding: Encoding) -> Result<Vec<Value>, Error> {
        let wrong = self.wrong();
        let (kinds_end, after) = varint(&self.piece).ok_or(wrong)?;
        let own = self.piece.len() - after.len();
        let kinds_bytes = usize::try_from(kinds_end)
            .ok()
            .and_then(|end| end.checked_sub(own))
            .filter(|bytes| *bytes <= KINDS_BYTES_MAX)
            .ok_or_else(|| self.wrong())?;
        self.at = own;
        let kinds = self.take(kinds_bytes)?;
        let (mut kinds, mut values, mut kept) = (kinds.as_slice(), Vec::new(), 0);
        while !kinds.is_empty() {
            let (kind, rest) = varint(kinds).ok_or_else(|| self.wrong())?;
            kinds = rest;
            let bytes = record::bytes_of(kind).ok_or_else(|| self.wrong())?;
            let fits = bytes <= WHOLE_BYTES_MAX && kept + bytes <= KEPT_BYTES_MAX;
            let value = if fits || bytes <= HEAD_BYTES {
                kept += bytes;
                record::value(kind, &self.take(bytes)?, encoding)
            } else {
                self.shortened(kind, bytes, encoding)?
            };
            values.push(value.ok_or_else(|| self.wrong())?);
        }
        Ok(values)
    }

    /// The beginning of a value, with how long it is and a hash of all of it.
    fn shortened(
        &mut self,
        kind: u64,
        bytes: usize,
        encoding: Encoding,
    ) -> Result<Option<Value>, Error> {
        let head = self.take(HEAD_BYTES)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        self.each_piece(bytes - HEAD_BYTES, |piece| {
            hasher.update(piece);
        })?;
        let tail = format!(" … ({bytes} bytes, BLAKE3 {})", hasher.finalize().to_hex());
        Ok(record::value(kind, &head, encoding).map(|value| match value {
            Value::Text(text) => Value::Text([text.as_slice(), tail.as_bytes()].concat()),
            Value::Blob(blob) => Value::Blob([blob.as_slice(), tail.as_bytes()].concat()),
            other => other,
        }))
    }

    fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut taken = Vec::new();
        self.each_piece(bytes, |piece| taken.extend_from_slice(piece))?;
        Ok(taken)
    }

    fn each_piece(&mut self, bytes: usize, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        let mut wanted = bytes;
        while wanted > 0 {
            if self.at >= self.piece.len() {
                self.turn_page()?;
            }
            let piece = self.piece.get(self.at..).unwrap_or_default();
            let piece = piece.get(..wanted).unwrap_or(piece);
            each(piece);
            self.at += piece.len();
            wanted -= piece.len();
        }
        Ok(())
    }

    fn turn_page(&mut self) -> Result<(), Error> {
        let number = self.next.filter(|number| *number != 0 && self.left > 0);
        let number = number.ok_or_else(|| self.wrong())?;
        (self.overflow)(number);
        let (next, body) = self.node.overflow_page(self.pages, number)?;
        self.piece = body;
        self.piece.truncate(self.left);
        self.left -= self.piece.len();
        (self.at, self.next) = (0, next);
        Ok(())
    }

    fn wrong(&self) -> Error {
        Error::Page {
            page: self.node.number,
            what: "a row in it is cut short or has a value of no known kind",
        }
    }
}
