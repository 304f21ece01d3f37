//! The shape of a page: all that it is, but for the content of its cells.

use super::super::bytes::{Bytes, Truncated, push_signed, push_varint};
use super::cell::PageKind;

/// Bytes that a page has where its shape alone would not put them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    pub at: usize,
    pub bytes: Vec<u8>,
}

/// A cell whose payload goes on in overflow pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chain {
    /// Which cell of its page.
    pub cell: usize,
    /// The overflow page that it names.
    pub first: u32,
    /// The overflow pages whose content is in the sequence behind the cell's own; none where they
    /// do not hang together.
    pub pages: Vec<u32>,
    /// Bytes of that content.
    pub bytes: u64,
    /// In a leaf: where it begins, in bytes behind the first cell's.
    pub at: u64,
    /// (number of the overflow page in the chain, what else it has)
    pub patches: Vec<(usize, Vec<Patch>)>,
}

/// The shape of a page of a B-tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageShape {
    pub page: u32,
    pub kind: PageKind,
    /// How many cells.
    pub cells: usize,
    /// Of inner pages of tables: the cells' row numbers.
    pub keys: Vec<i64>,
    /// Of inner pages of indexes: bytes of each cell in the sequence, its overflow pages left out.
    pub lens: Vec<usize>,
    /// The place of each cell in the order in which they lie, from the page's end; empty where that
    /// is the order of the keys.
    pub ranks: Vec<usize>,
    /// (place in that order, bytes that are free behind the cell there)
    pub gaps: Vec<(usize, usize)>,
    pub chains: Vec<Chain>,
    /// Of leaves: bytes that the cells take in the sequence, their overflow pages left out.
    pub content: usize,
    pub patches: Vec<Patch>,
}

/// Stands for a page below that has no shape: its number follows.
pub(super) const FOREIGN: u8 = 0xff;
/// Stands behind the last tree.
pub(super) const END: u8 = 0xfe;

const RANKS: u8 = 4;
const GAPS: u8 = 8;
const CHAINS: u8 = 16;
const PATCHES: u8 = 32;

impl PageShape {
    /// The overflow pages of a cell.
    pub(super) fn chain_of(&self, cell: usize) -> Option<&Chain> {
        let at = self.chains.binary_search_by_key(&cell, |chain| chain.cell).ok()?;
        self.chains.get(at)
    }

    /// Where the header begins.
    pub(super) fn header(&self) -> usize {
        if self.page == 1 { 100 } else { 0 }
    }

    /// Bytes of a leaf that neither header, pointers nor cells take; negative where these overlap.
    fn free(&self, usable: usize) -> i64 {
        let taken =
            self.header() + self.kind.header_bytes() + 2 * self.cells + 4 * self.chains.len();
        usable as i64 - taken as i64
    }

    /// Appends the shape; `before` is the page of the shape before it.
    pub(super) fn encode(&self, before: u32, usable: usize, out: &mut Vec<u8>) {
        let flag = |is: bool, flag: u8| if is { flag } else { 0 };
        let flags = flag(!self.ranks.is_empty(), RANKS)
            | flag(!self.gaps.is_empty(), GAPS)
            | flag(!self.chains.is_empty(), CHAINS);
        out.push(self.kind.code() | flags | flag(!self.patches.is_empty(), PATCHES));
        push_signed(out, i64::from(self.page) - i64::from(before) - 1);
        push_varint(out, self.cells as u64);
        let mut last = 0i64;
        for key in &self.keys {
            push_signed(out, key.wrapping_sub(last));
            last = *key;
        }
        self.lens.iter().for_each(|len| push_varint(out, *len as u64));
        let mut next = 0;
        for rank in &self.ranks {
            push_signed(out, *rank as i64 - next);
            next = *rank as i64 + 1;
        }
        if !self.gaps.is_empty() {
            push_varint(out, self.gaps.len() as u64);
            let mut next = 0;
            for (rank, bytes) in &self.gaps {
                push_varint(out, (rank - next) as u64);
                push_varint(out, *bytes as u64);
                next = rank + 1;
            }
        }
        if !self.chains.is_empty() {
            push_varint(out, self.chains.len() as u64);
            let mut next = 0;
            for chain in &self.chains {
                push_varint(out, (chain.cell - next) as u64);
                next = chain.cell + 1;
                chain.encode(self.page, self.kind, out);
            }
        }
        if self.kind.is_leaf() {
            push_signed(out, self.free(usable) - self.content as i64);
        }
        if !self.patches.is_empty() {
            encode_patches(&self.patches, out);
        }
    }

    /// Reads what [`PageShape::encode`] wrote. `page_of` makes the page of what its number is
    /// beyond that of the shape before.
    pub(super) fn decode(
        at: &mut Bytes<'_>,
        page_of: impl Fn(i64) -> Option<u32>,
        usable: usize,
    ) -> Result<PageShape, Truncated> {
        PageShape::read::<true>(at, page_of, usable)
    }

    /// The same, and passes over the order of the cells and the gaps between them: who builds no
    /// page does not need them.
    pub(super) fn skim(
        at: &mut Bytes<'_>,
        page_of: impl Fn(i64) -> Option<u32>,
        usable: usize,
    ) -> Result<PageShape, Truncated> {
        PageShape::read::<false>(at, page_of, usable)
    }

    /// Appends a shape that stands encoded behind another one already: only the page's number is
    /// told from the one before.
    pub(super) fn encode_again(
        encoded: &[u8],
        (page, before): (u32, u32),
        out: &mut Vec<u8>,
    ) -> Result<(), Truncated> {
        let mut at = Bytes(encoded);
        out.push(at.u8()?);
        at.signed()?;
        push_signed(out, i64::from(page) - i64::from(before) - 1);
        out.extend_from_slice(at.0);
        Ok(())
    }

    fn read<const IS_WHOLE: bool>(
        at: &mut Bytes<'_>,
        page_of: impl Fn(i64) -> Option<u32>,
        usable: usize,
    ) -> Result<PageShape, Truncated> {
        let flags = at.u8()?;
        let kind =
            PageKind::from_code(flags & 3).filter(|_| flags < 2 * PATCHES).ok_or(Truncated)?;
        let page = page_of(at.signed()?).filter(|page| *page > 0).ok_or(Truncated)?;
        let cells = at.length(usable / 2)?;
        let mut shape = PageShape::new(page, kind, cells);
        if kind == PageKind::InnerTable {
            let mut last = 0i64;
            for _ in 0..cells {
                last = last.wrapping_add(at.signed()?);
                shape.keys.push(last);
            }
        }
        if kind == PageKind::InnerIndex {
            shape.lens = (0..cells).map(|_| at.length(usable)).collect::<Result<_, _>>()?;
            if shape.lens.iter().sum::<usize>() > usable {
                return Err(Truncated);
            }
        }
        if flags & RANKS != 0 {
            let mut next = 0i64;
            for _ in 0..cells {
                let rank = next
                    .checked_add(at.signed()?)
                    .filter(|rank| (0..cells as i64).contains(rank))
                    .ok_or(Truncated)?;
                if IS_WHOLE {
                    shape.ranks.push(rank as usize);
                }
                next = rank + 1;
            }
        }
        if flags & GAPS != 0 {
            let mut next = 0usize;
            for _ in 0..at.length(cells)? {
                let rank = next + at.length(cells)?;
                let bytes = at.length(usable)?;
                if IS_WHOLE {
                    shape.gaps.push((rank, bytes));
                }
                next = rank + 1;
            }
        }
        if flags & CHAINS != 0 {
            let mut next = 0usize;
            for _ in 0..at.length(cells)? {
                let cell = next + at.length(cells)?;
                shape.chains.push(Chain::decode(at, cell, page, kind)?);
                next = cell + 1;
            }
        }
        if kind.is_leaf() {
            let content = shape.free(usable).checked_sub(at.signed()?).ok_or(Truncated)?;
            shape.content = usize::try_from(content)
                .ok()
                .filter(|content| *content <= usable)
                .ok_or(Truncated)?;
        }
        if flags & PATCHES != 0 {
            shape.patches = decode_patches(at)?;
        }
        Ok(shape)
    }

    pub(super) fn new(page: u32, kind: PageKind, cells: usize) -> PageShape {
        let (keys, lens, ranks, gaps, chains, patches) = Default::default();
        PageShape { page, kind, cells, keys, lens, ranks, gaps, chains, content: 0, patches }
    }
}

impl Chain {
    fn encode(&self, page: u32, kind: PageKind, out: &mut Vec<u8>) {
        push_varint(out, self.pages.len() as u64);
        push_signed(out, i64::from(self.first) - i64::from(page) - 1);
        let (Some(mut before), false) = (self.pages.first().copied(), self.pages.is_empty()) else {
            return;
        };
        for page in self.pages.iter().skip(1) {
            push_signed(out, i64::from(*page) - i64::from(before) - 1);
            before = *page;
        }
        push_varint(out, self.bytes);
        if kind.is_leaf() {
            push_varint(out, self.at);
        }
        push_varint(out, self.patches.len() as u64);
        for (number, patches) in &self.patches {
            push_varint(out, *number as u64);
            encode_patches(patches, out);
        }
    }

    fn decode(
        at: &mut Bytes<'_>,
        cell: usize,
        page: u32,
        kind: PageKind,
    ) -> Result<Chain, Truncated> {
        let count = at.length(crate::limits::PAGES_MAX)?;
        let next = |before: u32, step: i64| {
            i64::from(before)
                .checked_add(1)
                .and_then(|next| u32::try_from(next.checked_add(step)?).ok())
                .ok_or(Truncated)
        };
        let first = next(page, at.signed()?)?;
        let mut chain = Chain { cell, first, ..Chain::default() };
        if count == 0 {
            return Ok(chain);
        }
        chain.pages.push(first);
        let mut before = first;
        for _ in 1..count {
            before = next(before, at.signed()?)?;
            chain.pages.push(before);
        }
        chain.bytes = at.varint()?;
        if kind.is_leaf() {
            chain.at = at.varint()?;
        }
        for _ in 0..at.length(count)? {
            let number = at.length(count)?;
            if chain.patches.last().is_some_and(|(last, _)| *last >= number) {
                return Err(Truncated);
            }
            chain.patches.push((number, decode_patches(at)?));
        }
        Ok(chain)
    }
}

pub(super) fn encode_patches(patches: &[Patch], out: &mut Vec<u8>) {
    push_varint(out, patches.len() as u64);
    let mut next = 0;
    for patch in patches {
        push_varint(out, (patch.at - next) as u64);
        super::super::bytes::push_bytes(out, &patch.bytes);
        next = patch.at + patch.bytes.len();
    }
}

pub(super) fn decode_patches(at: &mut Bytes<'_>) -> Result<Vec<Patch>, Truncated> {
    const PAGE_BYTES_MAX: usize = 1 << 16;
    let mut patches = Vec::new();
    let mut next = 0;
    for _ in 0..at.length(PAGE_BYTES_MAX)? {
        let start = next + at.length(PAGE_BYTES_MAX)?;
        let bytes = at.prefixed(PAGE_BYTES_MAX)?.to_vec();
        next = start + bytes.len();
        patches.push(Patch { at: start, bytes });
    }
    Ok(patches)
}
