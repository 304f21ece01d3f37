//! B-trees in pages: which pages a table has, and what lies in one of them.

use std::collections::HashSet;

use super::Error;
use super::pages::{Page, Pages};
use crate::store::cells::{PageKind, local_bytes, varint};

/// Deepest tree that is believed: 2³² pages of fan-out two.
const DEPTH_MAX: usize = 32;
/// Longest row that is believed, in bytes: SQLite's own limit.
const PAYLOAD_MAX: u64 = 1 << 30;

/// A page of a B-tree, opened.
pub(super) struct Node {
    pub number: u32,
    pub kind: PageKind,
    page: Page,
    header: usize,
    cells: usize,
    usable: usize,
}

/// A cell: what a leaf or an index page holds.
pub(super) struct Cell<'p> {
    /// The page below, left of this cell; of inner pages only.
    pub child: Option<u32>,
    /// The row's number; of tables only.
    pub number: Option<i64>,
    /// Length of the whole payload.
    pub payload_bytes: usize,
    /// The part that lies in the page.
    pub local: &'p [u8],
    /// The first overflow page of the rest.
    pub overflow: Option<u32>,
}

/// Bytes of a page that are used: all but those that an extension reserved (header, offset 20).
pub(super) fn usable_bytes(pages: &mut Pages<'_>) -> Result<usize, Error> {
    let reserved = pages.page(1)?.get(20).copied().unwrap_or(0);
    let usable = pages.page_bytes().saturating_sub(usize::from(reserved));
    if usable < 480 {
        Err(Error::Page { page: 1, what: "it reserves more of each page than SQLite allows" })
    } else {
        Ok(usable)
    }
}

impl Node {
    pub(super) fn open(pages: &mut Pages<'_>, number: u32, usable: usize) -> Result<Node, Error> {
        let wrong = |what| Error::Page { page: number, what };
        let page = pages.page(number)?;
        let header = if number == 1 { 100 } else { 0 };
        let kind = page
            .get(header)
            .copied()
            .and_then(PageKind::from_byte)
            .ok_or_else(|| wrong("it should be part of a table and is not"))?;
        let cells = u16_at(&page, header + 3).ok_or_else(|| wrong("it is too short"))?;
        Ok(Node { number, kind, page, header, cells, usable })
    }

    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    pub(super) fn cells(&self) -> usize {
        self.cells
    }

    fn wrong(&self) -> Error {
        Error::Page { page: self.number, what: "what it holds does not lie where it says" }
    }

    /// The page below, right of all cells; of inner pages only.
    pub(super) fn rightmost(&self) -> Result<Option<u32>, Error> {
        if self.kind.is_leaf() {
            Ok(None)
        } else {
            u32_at(&self.page, self.header + 8).map(Some).ok_or_else(|| self.wrong())
        }
    }

    pub(super) fn cell(&self, at: usize) -> Result<Cell<'_>, Error> {
        self.cell_at(at).ok_or_else(|| self.wrong())
    }

    fn cell_at(&self, at: usize) -> Option<Cell<'_>> {
        let pointers = self.header + if self.kind.is_leaf() { 8 } else { 12 };
        let start = u16_at(&self.page, pointers + 2 * at)?;
        let mut rest = self.page.get(start..self.usable)?;
        let mut child = None;
        if !self.kind.is_leaf() {
            child = Some(u32_at(rest, 0)?);
            rest = rest.get(4..)?;
        }
        if self.kind == PageKind::InnerTable {
            let (number, _) = varint(rest)?;
            return Some(Cell {
                child,
                number: Some(number as i64),
                payload_bytes: 0,
                local: &[],
                overflow: None,
            });
        }
        let (len, after) = varint(rest)?;
        let (number, payload) = if self.kind == PageKind::LeafTable {
            varint(after).map(|(number, rest)| (Some(number as i64), rest))?
        } else {
            (None, after)
        };
        let payload_bytes = usize::try_from(len).ok().filter(|_| len <= PAYLOAD_MAX)?;
        let in_page = local_bytes(self.kind.is_index(), self.usable, payload_bytes);
        let local = payload.get(..in_page)?;
        let overflow = if in_page < payload_bytes { Some(u32_at(payload, in_page)?) } else { None };
        Some(Cell { child, number, payload_bytes, local, overflow })
    }

    /// An overflow page: the one behind it, and its part of a payload.
    pub(super) fn overflow_page(
        &self,
        pages: &mut Pages<'_>,
        number: u32,
    ) -> Result<(Option<u32>, Vec<u8>), Error> {
        let page = pages.page(number)?;
        let body = page.get(4..self.usable).ok_or_else(|| self.wrong())?;
        Ok((u32_at(&page, 0), body.to_vec()))
    }

    /// The pages below, in order.
    pub(super) fn children(&self) -> Result<Vec<u32>, Error> {
        let mut children = Vec::with_capacity(self.cells + 1);
        for at in 0..self.cells {
            children.extend(self.cell(at)?.child);
        }
        children.extend(self.rightmost()?);
        Ok(children)
    }
}

/// The whole payload of a cell. `overflow` is told each overflow page that it takes.
pub(super) fn payload(
    pages: &mut Pages<'_>,
    node: &Node,
    cell: &Cell<'_>,
    overflow: &mut impl FnMut(u32),
) -> Result<Vec<u8>, Error> {
    let mut bytes = cell.local.to_vec();
    let mut next = cell.overflow;
    while bytes.len() < cell.payload_bytes {
        let Some(number) = next.filter(|number| *number != 0) else {
            return Err(Error::Page { page: node.number, what: "a row in it ends too early" });
        };
        overflow(number);
        let page = pages.page(number)?;
        let body = page.get(4..node.usable).ok_or_else(|| node.wrong())?;
        let take = body.len().min(cell.payload_bytes - bytes.len());
        bytes.extend_from_slice(body.get(..take).unwrap_or(body));
        next = u32_at(&page, 0);
    }
    Ok(bytes)
}

/// The overflow pages of a cell, followed until one of them is `wanted`.
pub(super) fn chain_meets(
    pages: &mut Pages<'_>,
    cell: &Cell<'_>,
    usable: usize,
    wanted: &HashSet<u32>,
) -> Result<bool, Error> {
    let (mut next, mut left) = (cell.overflow, cell.payload_bytes.saturating_sub(cell.local.len()));
    while let Some(number) = next.filter(|number| *number != 0 && left > 0) {
        if wanted.contains(&number) {
            return Ok(true);
        }
        next = u32_at(&pages.page(number)?, 0);
        left = left.saturating_sub(usable - 4);
    }
    Ok(false)
}

/// The pages of a tree, each in key order: inner ones are read, leaves are only named.
pub(super) struct TreePages {
    pub leaves: Vec<u32>,
    pub inner: Vec<u32>,
}

/// Finds the pages of the tree below `root`.
pub(super) fn tree_pages(
    pages: &mut Pages<'_>,
    root: u32,
    usable: usize,
) -> Result<TreePages, Error> {
    // All leaves lie at one depth: one way down tells it.
    let mut depth = 0;
    let mut at = root;
    loop {
        let node = Node::open(pages, at, usable)?;
        if node.kind.is_leaf() {
            break;
        }
        depth += 1;
        at = node.children()?.first().copied().ok_or_else(|| node.wrong())?;
        if depth > DEPTH_MAX {
            return Err(Error::Page { page: root, what: "the tree below it has no end" });
        }
    }
    let mut found = TreePages { leaves: Vec::new(), inner: Vec::new() };
    let mut level = vec![root];
    let limit = pages.count() as usize;
    for _ in 0..depth {
        let mut below = Vec::new();
        let mut ahead = 0;
        for (done, number) in level.iter().enumerate() {
            if done >= ahead {
                ahead = done + pages.read_ahead(level.get(done..).unwrap_or_default())?;
            }
            below.extend(Node::open(pages, *number, usable)?.children()?);
            if below.len() > limit {
                return Err(Error::Page {
                    page: root,
                    what: "the tree below it has more pages than the database",
                });
            }
        }
        found.inner.append(&mut level);
        level = below;
    }
    found.leaves = level;
    Ok(found)
}

/// Pages that hold nothing: the freelist.
pub(super) fn free_pages(pages: &mut Pages<'_>) -> Result<HashSet<u32>, Error> {
    let mut free = HashSet::new();
    let mut trunk = u32_at(&pages.page(1)?, 32).unwrap_or(0);
    while trunk != 0 && free.insert(trunk) {
        let page = pages.page(trunk)?;
        let count = u32_at(&page, 4).unwrap_or(0) as usize;
        free.extend((0..count.min(page.len() / 4)).filter_map(|at| u32_at(&page, 8 + 4 * at)));
        trunk = u32_at(&page, 0).unwrap_or(0);
    }
    Ok(free)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
