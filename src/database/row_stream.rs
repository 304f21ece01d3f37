//! The rows of some pages, one after another, and which pages were met on the way.

use std::sync::Arc;

use super::Error;
use super::btree::Node;
use super::groups::{GroupSet, Groups};
use super::long_row::Body;
use super::record::Row;
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
    pub body: Body,
    page: u32,
}

impl RawRow {
    pub(super) fn decode(&self, table: &Table, database: &Database<'_>) -> Result<Row, Error> {
        Ok(table.row(self.number, self.body.values(database.encoding, self.page)?))
    }
}

/// The rows of some pages, one after another.
pub(super) struct RowStream<'l> {
    pages: &'l [u32],
    at: usize,
    ahead: usize,
    node: Option<Node>,
    cell: usize,
    /// Only rows in these groups of cells are wanted.
    only: Option<(Groups, Arc<GroupSet>)>,
    /// Of the open page, which cells are; all where it is empty.
    wanted: Vec<bool>,
}

impl<'l> RowStream<'l> {
    pub(super) fn new(pages: &'l [u32], only: Option<(Groups, Arc<GroupSet>)>) -> RowStream<'l> {
        RowStream { pages, at: 0, ahead: 0, node: None, cell: 0, only, wanted: Vec::new() }
    }

    pub(super) fn next(
        &mut self,
        database: &mut Database<'_>,
        seen: &mut [bool],
    ) -> Result<Option<RawRow>, Error> {
        loop {
            let node = match self.node.take() {
                Some(node) => node,
                None => {
                    let Some(number) = self.pages.get(self.at) else { return Ok(None) };
                    if self.at >= self.ahead {
                        self.ahead = self.at
                            + database
                                .pages
                                .read_ahead(self.pages.get(self.at..).unwrap_or_default())?;
                    }
                    (self.at, self.cell) = (self.at + 1, 0);
                    let node = Node::open(&mut database.pages, *number, database.usable)?;
                    let wanted = self
                        .only
                        .as_ref()
                        .and_then(|(groups, set)| groups.cells_in(*number, node.page(), set));
                    self.wanted = wanted.unwrap_or_default();
                    node
                }
            };
            if self.cell >= node.cells() {
                continue;
            }
            self.cell += 1;
            if self.wanted.get(self.cell - 1) == Some(&false) {
                self.node = Some(node);
                continue;
            }
            let cell = node.cell(self.cell - 1)?;
            let (pages, encoding) = (&mut database.pages, database.encoding);
            let body = Body::read(pages, &node, &cell, encoding, &mut |page| mark(seen, [page]))?;
            let row = RawRow { number: cell.number, body, page: node.number };
            self.node = Some(node);
            return Ok(Some(row));
        }
    }
}
