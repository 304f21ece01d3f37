//! What is asked of shapes when two states are compared: which pages are alike, where each cell
//! begins, where rows end.

use std::ops::Range;

use super::layout;
use super::map::{PagePlan, Shapes, Slot};
use super::shape::{Chain, PageShape};

impl Shapes {
    /// Whether pages of two databases are built in the same way, whatever their cells hold.
    pub fn are_alike(&self, plan: &PagePlan, other: &Shapes, other_plan: &PagePlan) -> bool {
        let below = |shapes: &Shapes, plan: &PagePlan| match plan.slot {
            Slot::Inner(number) => {
                shapes.inner.get(number as usize).map(|inner| inner.children.clone())
            }
            _ => None,
        };
        let end = |shapes: &Shapes, plan: &PagePlan| match plan.slot {
            Slot::Chained(number) => shapes
                .chained
                .get(number as usize)
                .map(|chained| (chained.next, chained.patches.clone())),
            _ => None,
        };
        (self.page_bytes, self.usable) == (other.page_bytes, other.usable)
            && plan.shape == other_plan.shape
            && below(self, plan) == below(other, other_plan)
            && end(self, plan) == end(other, other_plan)
    }

    /// Whether the end of some cell of a page may lie where no shape tells of it: in a page that is
    /// kept as it is. `page` counts from 0.
    pub fn has_unknown_ends(&self, page: usize) -> bool {
        let shape = match self.slots.get(page) {
            Some(Slot::Leaf { shape, .. }) => self.shape(*shape, page),
            Some(Slot::Inner(number)) => {
                self.inner.get(*number as usize).and_then(|inner| self.shape(inner.shape, page))
            }
            _ => None,
        };
        shape.is_none_or(|shape| shape.chains.iter().any(|chain| chain.pages.is_empty()))
    }

    /// The parts of the sequence that lie in overflow pages of a page's cells; each cell ends
    /// before its part. `page` counts from 0.
    pub fn overflow(&self, page: usize) -> Vec<Range<u64>> {
        let parts = |shape: &PageShape, start: &dyn Fn(&Chain) -> u64| -> Vec<Range<u64>> {
            shape
                .chains
                .iter()
                .filter(|chain| chain.bytes > 0)
                .map(|chain| start(chain)..start(chain) + chain.bytes)
                .collect()
        };
        match self.slots.get(page) {
            Some(Slot::Leaf { shape, at }) => self
                .shape(*shape, page)
                .map_or(Vec::new(), |shape| parts(&shape, &|chain| at + chain.at)),
            Some(Slot::Inner(number)) => {
                let Some(inner) = self.inner.get(*number as usize) else { return Vec::new() };
                let Some(shape) = self.shape(inner.shape, page) else { return Vec::new() };
                let end = |chain: &Chain| {
                    let start = inner.starts.get(chain.cell).copied().unwrap_or(0);
                    start + shape.lens.get(chain.cell).copied().unwrap_or(0) as u64
                };
                parts(&shape, &end)
            }
            _ => Vec::new(),
        }
    }

    /// Where each cell of a page begins in the sequence; nothing for a page that has none there by
    /// themselves. `page` counts from 0, `bytes` is the page.
    pub fn cell_starts(&self, page: usize, bytes: &[u8]) -> Option<Vec<u64>> {
        match self.slots.get(page)? {
            Slot::Inner(number) => {
                self.inner.get(*number as usize).map(|inner| inner.starts.clone())
            }
            Slot::Leaf { shape, at } => {
                let shape = self.shape(*shape, page)?;
                let cells = layout::parse(bytes, page as u32 + 1, self.usable)?.cells;
                let (mut starts, mut at) = (Vec::with_capacity(cells.len()), *at);
                for (number, (_, size)) in cells.iter().enumerate() {
                    starts.push(at);
                    let chained = shape.chain_of(number).map_or(0, |chain| chain.bytes);
                    at += size.content as u64 + chained;
                }
                Some(starts)
            }
            _ => None,
        }
    }
}
