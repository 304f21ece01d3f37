//! What is known of the state before: which pages are the same, and where their cells lie in its
//! sequence.

use super::map::{Shapes, Slot};
use super::shape::{Chain, PageShape};

/// The state before.
pub struct Before<'b> {
    /// The shapes of its pages.
    pub shapes: &'b Shapes,
    /// Where each of its groups begins in the sequence, and where the last one ends.
    pub starts: &'b [u64],
    /// Whether a page, counted from 1, is the same in both states.
    pub is_same: &'b dyn Fn(u32) -> bool,
    /// Whether one of its groups can be named without its bytes.
    pub is_there: &'b dyn Fn(usize) -> bool,
}

/// Where the sequence of the state before has come to, while it is the same.
pub(super) struct At {
    pub(super) position: u64,
    /// The group that this lies in, or begins.
    pub(super) group: usize,
    /// What of that group was passed over, in order, with where each piece begins.
    pub(super) passed: Vec<(u64, Piece)>,
}

/// A leaf of the state before.
pub(super) struct KnownLeaf<'b> {
    /// Where its cells begin, …
    pub(super) start: u64,
    /// … and how many bytes they take.
    pub(super) bytes: u64,
    /// Its shape, without the order of its cells.
    pub(super) shape: PageShape,
    /// The whole shape, as it is stored.
    pub(super) encoded: &'b [u8],
}

/// A part of the sequence.
pub(super) enum Piece {
    /// A leaf's cells.
    Leaf(u32),
    /// A cell of an inner page.
    Cell(u32, usize),
}

impl Before<'_> {
    fn slot(&self, page: u32) -> Option<Slot> {
        if !(self.is_same)(page) {
            return None;
        }
        self.shapes.slots.get(page as usize - 1).copied()
    }

    fn is_same_chain(&self, chain: &Chain) -> bool {
        !chain.pages.is_empty() && chain.pages.iter().all(|page| (self.is_same)(*page))
    }

    /// A leaf, if all pages that it needs are the same.
    pub(super) fn leaf(&self, page: u32) -> Option<KnownLeaf<'_>> {
        let Some(Slot::Leaf { shape, at }) = self.slot(page) else { return None };
        let (shape, encoded) = self.shapes.skim(shape, page as usize - 1)?;
        let is_whole = shape.chains.iter().all(|chain| self.is_same_chain(chain));
        let bytes =
            shape.content as u64 + shape.chains.iter().map(|chain| chain.bytes).sum::<u64>();
        is_whole.then_some(KnownLeaf { start: at, bytes, shape, encoded })
    }

    /// Where a cell of an inner page of an index begins, and how many bytes it takes, if all pages
    /// that it needs are the same.
    pub(super) fn inner_cell(
        &self,
        page: u32,
        cell: usize,
        chain: Option<&Chain>,
    ) -> Option<(u64, u64)> {
        let Some(Slot::Inner(number)) = self.slot(page) else { return None };
        let inner = self.shapes.inner.get(number as usize)?;
        let shape = self.shapes.shape(inner.shape, page as usize - 1)?;
        let pages = |chain: Option<&Chain>| chain.map(|chain| (chain.pages.clone(), chain.bytes));
        let is_whole = pages(shape.chain_of(cell)) == pages(chain)
            && chain.is_none_or(|chain| self.is_same_chain(chain));
        let bytes = *shape.lens.get(cell)? as u64 + chain.map_or(0, |chain| chain.bytes);
        Some((*inner.starts.get(cell)?, bytes)).filter(|_| is_whole)
    }

    /// Whether a tree ended at a position: a group may have ended there for that alone.
    pub(super) fn ends_tree(&self, position: u64) -> bool {
        self.shapes.tree_ends.binary_search(&position).is_ok()
    }

    /// The shape that a page of a tree has.
    pub(super) fn shape(&self, page: u32) -> Option<PageShape> {
        let place = match self.slot(page)? {
            Slot::Leaf { shape, .. } => shape,
            Slot::Inner(number) => self.shapes.inner.get(number as usize)?.shape,
            Slot::Raw(_) | Slot::Chained(_) => return None,
        };
        self.shapes.shape(place, page as usize - 1)
    }

    pub(super) fn start_of(&self, group: usize) -> u64 {
        self.starts.get(group).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn end_of(&self, group: usize) -> u64 {
        self.start_of(group + 1)
    }

    /// The group that begins at a position.
    pub(super) fn group_at(&self, position: u64) -> Option<usize> {
        self.starts.binary_search(&position).ok().filter(|group| group + 1 < self.starts.len())
    }
}
