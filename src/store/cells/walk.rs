//! Takes a database apart: tree by tree, each page proved to come back from its shape and its cells
//! before either is told of. A database is not trusted: what is no tree, or leads to a page twice,
//! stays a page.

use super::super::bytes::push_varint;
use super::DEPTH_MAX;
use super::before::{At, Before};
use super::cell::PageKind;
use super::layout::{self, Parsed, u32_at};
use super::schema_row::root_in_schema;
use super::shape::{Chain, END, FOREIGN};

/// Where pages come from, and cells go.
pub trait Host {
    /// Why it fails.
    type Error;

    /// Puts a page into `out`; `number` counts from 1 and is one of the database's.
    fn page(&mut self, number: u32, out: &mut Vec<u8>) -> Result<(), Self::Error>;

    /// Takes the next cell, or part of one, of the sequence: from 1 byte to a page. Whether it ends
    /// a group.
    fn cell(&mut self, bytes: &[u8]) -> Result<bool, Self::Error>;

    /// A tree ends, or a page that is taken whole.
    fn boundary(&mut self) -> Result<(), Self::Error>;

    /// The next group is one of the state before; what was told of it is forgotten. Only of those
    /// who give such a state.
    fn known(&mut self, _group: usize) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Goes on with the open group by bytes that do not end it.
    fn resume(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.cell(bytes).map(drop)
    }

    /// A page is not what it was a moment ago.
    fn changed(&self) -> Self::Error;
}

/// Patches of leaves, and those of inner pages, may take this share of the database, as a divisor,
/// and so many bytes more: they have to be read whole before one page can be …
const PATCHES_SHARE: usize = 16;
const PATCHES_BYTES: usize = 1 << 20;
/// … and beyond that only so many bytes of a page.
const PATCH_FEW: usize = 64;

/// Bytes of shapes that a database gets in addition, in a day or so.
const GROWN: usize = 64 << 10;

/// Reads of each page on average, before what is left stays as it is.
const READS_PER_PAGE: usize = 4;

pub(super) struct Walk<'h, H: Host> {
    pub(super) host: &'h mut H,
    pub(super) usable: usize,
    taken: Vec<bool>,
    /// Reads that are left: a sound database needs two for each page at most, a hostile one leads
    /// to the same pages again and again.
    reads_left: usize,
    pub(super) shapes: Vec<u8>,
    pub(super) before_page: u32,
    pub(super) patches_left: usize,
    inner_patches_left: usize,
    built: Vec<u8>,
    /// Roots of trees that the schema names, with what is read of it.
    roots: Vec<u32>,
    pub(super) reads_schema: bool,
    pub(super) before: Option<&'h Before<'h>>,
    pub(super) at: Option<At>,
    /// Nothing was told of the group that comes next.
    pub(super) is_fresh: bool,
}

/// Walks through a database of `pages` pages, the first of which is `first`; gives its shapes.
/// Pages that have none come behind all trees, whole.
pub fn walk<H: Host>(host: &mut H, first: &[u8], pages: u32) -> Result<Vec<u8>, H::Error> {
    walk_after(host, first, pages, None)
}

/// The same behind another state of the database: what is the same there is not looked at again.
pub fn walk_after<H: Host>(
    host: &mut H,
    first: &[u8],
    pages: u32,
    before: Option<&Before<'_>>,
) -> Result<Vec<u8>, H::Error> {
    let page_bytes = first.len();
    let reserved = usize::from(first.get(20).copied().unwrap_or(0));
    let patches_left = pages as usize * page_bytes / PATCHES_SHARE + PATCHES_BYTES;
    let mut walk = Walk {
        host,
        usable: page_bytes - reserved,
        taken: vec![false; pages as usize + 1],
        reads_left: READS_PER_PAGE * (pages as usize + 1),
        // Nearly as many as before: a list that grows is copied, and has twice the room.
        shapes: Vec::with_capacity(
            before.map_or(0, |before| before.shapes.encoded_bytes() + GROWN),
        ),
        before_page: 0,
        patches_left,
        inner_patches_left: patches_left,
        built: vec![0; page_bytes],
        roots: Vec::new(),
        reads_schema: true,
        before: before.filter(|before| {
            before.shapes.page_bytes == page_bytes && before.shapes.usable == page_bytes - reserved
        }),
        at: None,
        is_fresh: true,
    };
    if walk.usable < 480 {
        // It breaks SQLite's rules: nothing in it is looked for.
        push_varint(&mut walk.shapes, 0);
        walk.usable = page_bytes;
        return walk.finish();
    }
    push_varint(&mut walk.shapes, reserved as u64);
    walk.root(1)?;
    walk.reads_schema = false;
    for root in std::mem::take(&mut walk.roots) {
        walk.root(root)?;
    }
    // Leaves that no tree names: pages that were given up keep their cells until they are used
    // again.
    for page in 1..=pages {
        if !walk.is_taken(page) {
            walk.lonely(page)?;
        }
    }
    walk.finish()
}

impl<H: Host> Walk<'_, H> {
    fn finish(mut self) -> Result<Vec<u8>, H::Error> {
        self.boundary()?;
        self.before = None;
        self.shapes.push(END);
        let mut page = Vec::new();
        for number in 1..self.taken.len() as u32 {
            if !self.is_taken(number) {
                self.host.page(number, &mut page)?;
                self.host.cell(&page)?;
                self.host.boundary()?;
            }
        }
        Ok(self.shapes)
    }

    pub(super) fn is_taken(&self, page: u32) -> bool {
        self.taken.get(page as usize).copied().unwrap_or(true)
    }

    fn may_read(&mut self) -> bool {
        let may = self.reads_left > 0;
        self.reads_left = self.reads_left.saturating_sub(1);
        may
    }

    pub(super) fn take(&mut self, page: u32, is_taken: bool) {
        if let Some(taken) = self.taken.get_mut(page as usize) {
            *taken = is_taken;
        }
    }

    fn root(&mut self, page: u32) -> Result<(), H::Error> {
        if self.visit(page, None, 0)? { self.boundary() } else { Ok(()) }
    }

    fn lonely(&mut self, number: u32) -> Result<(), H::Error> {
        let mut page = Vec::new();
        self.host.page(number, &mut page)?;
        let is_leaf = matches!(
            page.first().copied().and_then(PageKind::from_byte),
            Some(PageKind::LeafTable | PageKind::LeafIndex)
        );
        if is_leaf
            && page.iter().skip(3).take(2).any(|byte| *byte != 0)
            && self.visit_read(number, page, None, 0)?
        {
            self.boundary()
        } else {
            Ok(())
        }
    }

    /// Takes a page and all below it; false where it stays a page, and nothing is said of it.
    fn visit(
        &mut self,
        number: u32,
        is_index: Option<bool>,
        depth: usize,
    ) -> Result<bool, H::Error> {
        if number == 0 || self.is_taken(number) || depth >= DEPTH_MAX || !self.may_read() {
            return Ok(false);
        }
        if self.pass_leaf(number, is_index)? {
            return Ok(true);
        }
        let mut page = Vec::new();
        self.host.page(number, &mut page)?;
        self.visit_read(number, page, is_index, depth)
    }

    fn visit_read(
        &mut self,
        number: u32,
        page: Vec<u8>,
        is_index: Option<bool>,
        depth: usize,
    ) -> Result<bool, H::Error> {
        let Some(mut parsed) = layout::parse(&page, number, self.usable) else { return Ok(false) };
        let kind = parsed.shape.kind;
        if is_index.is_some_and(|expected| expected != kind.is_index()) {
            return Ok(false);
        }
        self.take(number, true);
        self.follow_chains(&mut parsed)?;
        let built = {
            let cells: Vec<&[u8]> = parsed
                .cells
                .iter()
                .map(|(at, size)| page.get(*at..at + size.content).unwrap_or_default())
                .collect();
            layout::build(&parsed.shape, self.usable, &parsed.children, &cells, &mut self.built)
                .is_some()
        };
        let patches = if built { layout::difference(&self.built, &page) } else { Vec::new() };
        let bytes: usize = patches.iter().map(|patch| patch.bytes.len() + 4).sum();
        if !built || !self.affords(bytes, !kind.is_leaf()) {
            self.take(number, false);
            let chained: Vec<u32> =
                parsed.shape.chains.iter().flat_map(|chain| chain.pages.iter().copied()).collect();
            chained.into_iter().for_each(|page| self.take(page, false));
            return Ok(false);
        }
        parsed.shape.patches = patches;
        parsed.shape.encode(self.before_page, self.usable, &mut self.shapes);
        self.before_page = number;
        if kind.is_leaf() {
            let mut start = self.begin_leaf(number, &parsed)?;
            for cell in 0..parsed.cells.len() {
                start = self.cell(&page, &parsed, cell, start)?;
            }
            return Ok(true);
        }
        for (at, child) in parsed.children.iter().enumerate() {
            if !self.visit(*child, Some(kind.is_index()), depth + 1)? {
                self.shapes.push(FOREIGN);
                push_varint(&mut self.shapes, u64::from(*child));
            }
            if kind == PageKind::InnerIndex && at < parsed.cells.len() {
                self.inner_cell(number, &page, &parsed, at)?;
            }
        }
        Ok(true)
    }

    /// Whether patches may take so many bytes. Inner pages have a share of their own: a tree whose
    /// root stays a page is no tree, and SQLite leaves the old content of a leaf in a root that it
    /// makes an inner page.
    fn affords(&mut self, bytes: usize, is_inner: bool) -> bool {
        let left = if is_inner { &mut self.inner_patches_left } else { &mut self.patches_left };
        let fits = bytes <= PATCH_FEW || bytes <= *left;
        if fits {
            *left = left.saturating_sub(bytes);
        }
        fits
    }

    /// Tells of a cell of an inner page of an index.
    fn inner_cell(
        &mut self,
        number: u32,
        page: &[u8],
        parsed: &Parsed,
        cell: usize,
    ) -> Result<(), H::Error> {
        if self.pass_cell(number, cell, parsed)? {
            return Ok(());
        }
        let start = self.begin_cell(number, cell, parsed)?;
        self.cell(page, parsed, cell, start).map(drop)
    }

    /// Tells of a cell's content, that in its overflow pages behind it; `start` and what is given:
    /// where it began and ended in the state before, where that is known.
    fn cell(
        &mut self,
        page: &[u8],
        parsed: &Parsed,
        number: usize,
        start: Option<u64>,
    ) -> Result<Option<u64>, H::Error> {
        let Some((at, size)) = parsed.cells.get(number) else { return Ok(start) };
        let content = page.get(*at..at + size.content).unwrap_or_default();
        if self.reads_schema && parsed.shape.kind == PageKind::LeafTable {
            self.roots.extend(root_in_schema(content));
        }
        self.tell(content, start)?;
        let mut start = start.map(|start| start + content.len() as u64);
        let Some(chain) = parsed.shape.chain_of(number).filter(|_| size.overflow > 0) else {
            return Ok(start);
        };
        let (mut left, mut overflow) = (chain.bytes as usize, Vec::new());
        for page in &chain.pages {
            self.host.page(*page, &mut overflow)?;
            let len = left.min(self.usable - 4);
            self.tell(overflow.get(4..4 + len).unwrap_or_default(), start)?;
            start = start.map(|start| start + len as u64);
            left -= len;
        }
        Ok(start)
    }

    /// Finds the overflow pages of a page's cells. A chain that ends early, or leads to a page that
    /// something else has, stays as it is.
    fn follow_chains(&mut self, parsed: &mut Parsed) -> Result<(), H::Error> {
        // Of leaves: bytes of the cells so far, their overflow pages included.
        let (mut position, mut cell, mut page) = (0u64, 0, Vec::new());
        for chain in &mut parsed.shape.chains {
            let up_to = parsed.cells.get(cell..=chain.cell).unwrap_or_default();
            position += up_to.iter().map(|(_, size)| size.content as u64).sum::<u64>();
            cell = chain.cell + 1;
            let overflow = up_to.last().map_or(0, |(_, size)| size.overflow);
            self.follow(chain, overflow, &mut page)?;
            chain.at = position;
            position += chain.bytes;
        }
        Ok(())
    }

    fn follow(
        &mut self,
        chain: &mut Chain,
        overflow: usize,
        page: &mut Vec<u8>,
    ) -> Result<(), H::Error> {
        let (mut next, mut left) = (chain.first, overflow);
        let mut is_whole = true;
        while left > 0 {
            if next == 0 || self.is_taken(next) || !self.may_read() {
                is_whole = false;
                break;
            }
            self.host.page(next, page)?;
            let len = left.min(self.usable - 4);
            let after = u32_at(page, 0).unwrap_or(0);
            left -= len;
            let built = layout::build_overflow(
                if left > 0 { after } else { 0 },
                page.get(4..4 + len).unwrap_or_default(),
                &[],
                &mut self.built,
            );
            let patches =
                if built.is_some() { layout::difference(&self.built, page) } else { Vec::new() };
            let bytes = patches.iter().map(|patch| patch.bytes.len() + 4).sum();
            if built.is_none() || !self.affords(bytes, false) {
                is_whole = false;
                break;
            }
            if !patches.is_empty() {
                chain.patches.push((chain.pages.len(), patches));
            }
            self.take(next, true);
            chain.pages.push(next);
            next = after;
        }
        if is_whole {
            chain.bytes = overflow as u64;
        } else {
            std::mem::take(&mut chain.pages).into_iter().for_each(|page| self.take(page, false));
            chain.patches.clear();
        }
        Ok(())
    }
}
