//! The rows of some pages, one after another, and which pages were met on the way.

use super::Error;
use super::btree::{self, Node};
use super::record::{self, Row};
use super::schema::{Database, Table};

/// Notes pages whose use is known.
pub(super) fn mark(seen: &mut [bool], pages: impl IntoIterator<Item = u32>) {
    for page in pages {
        if let Some(slot) = seen.get_mut(page as usize) {
            *slot = true;
        }
    }
}

/// A row as it lies in a page.
pub(super) struct RawRow {
    pub number: Option<i64>,
    pub payload: Vec<u8>,
    page: u32,
}

impl RawRow {
    pub(super) fn decode(&self, table: &Table, database: &Database<'_>) -> Result<Row, Error> {
        Ok(table.row(self.number, record::decode(&self.payload, database.encoding, self.page)?))
    }
}

/// The rows of some pages, one after another.
pub(super) struct RowStream<'l> {
    pages: &'l [u32],
    at: usize,
    ahead: usize,
    node: Option<Node>,
    cell: usize,
}

impl<'l> RowStream<'l> {
    pub(super) fn new(pages: &'l [u32]) -> RowStream<'l> {
        RowStream { pages, at: 0, ahead: 0, node: None, cell: 0 }
    }

    pub(super) fn next(&mut self, database: &mut Database<'_>, seen: &mut [bool]) -> Result<Option<RawRow>, Error> {
        loop {
            let node = match self.node.take() {
                Some(node) => node,
                None => {
                    let Some(number) = self.pages.get(self.at) else { return Ok(None) };
                    if self.at >= self.ahead {
                        self.ahead = self.at + database.pages.read_ahead(self.pages.get(self.at..).unwrap_or_default())?;
                    }
                    (self.at, self.cell) = (self.at + 1, 0);
                    Node::open(&mut database.pages, *number, database.usable)?
                }
            };
            if self.cell >= node.cells() {
                continue;
            }
            let cell = node.cell(self.cell)?;
            self.cell += 1;
            let payload = btree::payload(&mut database.pages, &node, &cell, &mut |page| mark(seen, [page]))?;
            let row = RawRow { number: cell.number, payload, page: node.number };
            self.node = Some(node);
            return Ok(Some(row));
        }
    }
}
