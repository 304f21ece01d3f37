//! A page from its shape and its cells, and what of a page its shape alone would not give.

use super::cell::{CellSize, PageKind, measure, shortest};
use super::shape::{Chain, PageShape, Patch};

/// Least room of a cell in a page, in bytes.
const ROOM_MIN: usize = 4;

/// Where each cell of a page goes, the first byte.
fn places(shape: &PageShape, usable: usize, sizes: &[usize]) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = Vec::new();
    if !shape.ranks.is_empty() {
        order.resize(sizes.len(), usize::MAX);
        for (cell, rank) in shape.ranks.iter().enumerate() {
            let slot = order.get_mut(*rank).filter(|slot| **slot == usize::MAX)?;
            *slot = cell;
        }
    }
    let mut places = vec![0; sizes.len()];
    let mut gaps = shape.gaps.iter().peekable();
    let mut at = usable;
    for rank in 0..sizes.len() {
        if let Some((_, bytes)) = gaps.next_if(|(place, _)| *place == rank) {
            at = at.checked_sub(*bytes)?;
        }
        let cell = if order.is_empty() { rank } else { *order.get(rank)? };
        at = at.checked_sub((*sizes.get(cell)?).max(ROOM_MIN))?;
        *places.get_mut(cell)? = at;
    }
    Some(places)
}

/// Builds a page into `out`, which is as long as a page. `children`: the pages below, of inner
/// pages. `cells`: the content of each cell, without page numbers; of no use to inner pages of
/// tables. Nothing where shape and cells do not fit each other.
pub(super) fn build(
    shape: &PageShape,
    usable: usize,
    children: &[u32],
    cells: &[&[u8]],
    out: &mut [u8],
) -> Option<()> {
    out.fill(0);
    let before = if shape.kind.is_leaf() { 0 } else { 4 };
    let keys: Vec<Vec<u8>> = shape.keys.iter().map(|key| shortest(*key as u64)).collect();
    let content = |cell: usize| -> Option<&[u8]> {
        if shape.kind == PageKind::InnerTable {
            keys.get(cell).map(Vec::as_slice)
        } else {
            cells.get(cell).copied()
        }
    };
    let mut sizes = Vec::with_capacity(shape.cells);
    for cell in 0..shape.cells {
        sizes.push(before + content(cell)?.len());
    }
    for chain in &shape.chains {
        *sizes.get_mut(chain.cell)? += 4;
    }
    let places = places(shape, usable, &sizes)?;
    let header = shape.header();
    let begin = places.iter().copied().min().unwrap_or(usable);
    let pointers = header + shape.kind.header_bytes();
    *out.get_mut(header)? = shape.kind.byte();
    write(out, header + 3, &(shape.cells as u16).to_be_bytes())?;
    // 65,536 is written as 0.
    write(out, header + 5, &(begin as u16).to_be_bytes())?;
    if before > 0 {
        write(out, header + 8, &children.get(shape.cells)?.to_be_bytes())?;
    }
    for (cell, place) in places.iter().enumerate() {
        write(out, pointers + 2 * cell, &(*place as u16).to_be_bytes())?;
        if before > 0 {
            write(out, *place, &children.get(cell)?.to_be_bytes())?;
        }
        write(out, place + before, content(cell)?)?;
    }
    for chain in &shape.chains {
        let end = places.get(chain.cell)? + sizes.get(chain.cell)?;
        write(out, end - 4, &chain.first.to_be_bytes())?;
    }
    put(&shape.patches, out)
}

/// Builds an overflow page.
pub(super) fn build_overflow(
    next: u32,
    content: &[u8],
    patches: &[Patch],
    out: &mut [u8],
) -> Option<()> {
    out.fill(0);
    out.get_mut(..4)?.copy_from_slice(&next.to_be_bytes());
    out.get_mut(4..4 + content.len())?.copy_from_slice(content);
    put(patches, out)
}

fn put(patches: &[Patch], out: &mut [u8]) -> Option<()> {
    patches.iter().try_for_each(|patch| write(out, patch.at, &patch.bytes))
}

fn write(out: &mut [u8], at: usize, bytes: &[u8]) -> Option<()> {
    out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
    Some(())
}

/// Equal bytes that do not end a patch: less than what a new one takes.
const JOINED: usize = 3;

/// What `page` has where `built` has something else.
pub(super) fn difference(built: &[u8], page: &[u8]) -> Vec<Patch> {
    let mut patches: Vec<Patch> = Vec::new();
    if built == page {
        return patches;
    }
    for (at, (_, byte)) in
        built.iter().zip(page).enumerate().filter(|(_, (built, byte))| built != byte)
    {
        match patches.last_mut() {
            Some(patch) if at - (patch.at + patch.bytes.len()) <= JOINED => {
                let known = patch.at + patch.bytes.len();
                patch.bytes.extend_from_slice(page.get(known..=at).unwrap_or_default());
            }
            _ => patches.push(Patch { at, bytes: vec![*byte] }),
        }
    }
    patches
}

/// A page of a B-tree taken apart.
pub(super) struct Parsed {
    pub shape: PageShape,
    /// The pages below.
    pub children: Vec<u32>,
    /// Where each cell's content lies in the page, and what it takes.
    pub cells: Vec<(usize, CellSize)>,
}

fn u16_at(page: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_be_bytes(*page.get(at..)?.first_chunk()?).into())
}

pub(super) fn u32_at(page: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*page.get(at..)?.first_chunk()?))
}

/// Takes a page apart; nothing where it is no page of a B-tree, or not one that could be built
/// again. Its chains have no pages yet.
pub(super) fn parse(page: &[u8], number: u32, usable: usize) -> Option<Parsed> {
    let header = if number == 1 { 100 } else { 0 };
    let kind = PageKind::from_byte(*page.get(header)?)?;
    let count = u16_at(page, header + 3)?;
    let pointers = header + kind.header_bytes();
    if pointers + 2 * count > usable {
        return None;
    }
    let mut parsed = Parsed {
        shape: PageShape::new(number, kind, count),
        children: Vec::new(),
        cells: Vec::with_capacity(count),
    };
    // (where it begins, which cell, its room)
    let mut rooms = Vec::with_capacity(count);
    for cell in 0..count {
        // A builder may write pointers and cells in any order, so they must not overlap.
        let start =
            u16_at(page, pointers + 2 * cell).filter(|start| *start >= pointers + 2 * count)?;
        let mut at = start;
        if !kind.is_leaf() {
            parsed.children.push(u32_at(page, start)?);
            at += 4;
        }
        let rest = page.get(at..usable)?;
        let size = if kind == PageKind::InnerTable {
            let (key, behind) = super::varint(rest)?;
            parsed.shape.keys.push(key as i64);
            CellSize { content: rest.len() - behind.len(), overflow: 0 }
        } else {
            measure(kind, usable, rest)?
        };
        let mut end = at + size.content;
        if size.overflow > 0 {
            let first = u32_at(page, end).filter(|_| end + 4 <= usable)?;
            parsed.shape.chains.push(Chain { cell, first, ..Chain::default() });
            end += 4;
        }
        match kind {
            PageKind::InnerIndex => parsed.shape.lens.push(size.content),
            PageKind::InnerTable => {}
            _ => parsed.shape.content += size.content,
        }
        rooms.push((start, cell, (end - start).max(ROOM_MIN)));
        parsed.cells.push((at, size));
    }
    if !kind.is_leaf() {
        parsed.children.push(u32_at(page, header + 8)?);
    }
    order(&mut parsed.shape, rooms, usable)?;
    Some(parsed)
}

/// Finds the order in which cells lie, and what is free between them; nothing where they overlap.
fn order(
    shape: &mut PageShape,
    mut rooms: Vec<(usize, usize, usize)>,
    usable: usize,
) -> Option<()> {
    let is_sorted = rooms.is_sorted_by(|a, b| a.0 > b.0);
    if !is_sorted {
        rooms.sort_unstable_by_key(|(start, ..)| std::cmp::Reverse(*start));
        shape.ranks = vec![0; rooms.len()];
    }
    let mut above = usable;
    for (rank, (start, cell, room)) in rooms.iter().enumerate() {
        let gap = above.checked_sub(start + room)?;
        if gap > 0 {
            shape.gaps.push((rank, gap));
        }
        if let Some(slot) = shape.ranks.get_mut(*cell) {
            *slot = rank;
        }
        above = *start;
    }
    Some(())
}
