//! The shapes of all pages of a database, and where in the sequence of cells each page finds what
//! it holds.

use std::ops::Range;
use std::sync::Arc;

use super::super::bytes::{Bytes, Truncated};
use super::cell::{PageKind, measure};
use super::shape::{END, FOREIGN, PageShape, Patch};
use super::{DEPTH_MAX, layout};

/// Gives bytes of the sequence.
pub trait Content {
    /// The bytes in a range; nothing where they are not there.
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// It has no shape: it stands behind the trees as it is; which of those pages it is.
    Raw(u32),
    /// Where its shape begins, and its first cell.
    Leaf { shape: u32, at: u64 },
    /// Which of [`Shapes::inner`].
    Inner(u32),
    /// Which of [`Shapes::chained`].
    Chained(u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inner {
    pub shape: u32,
    pub children: Vec<u32>,
    /// Where each cell begins; of indexes only.
    pub starts: Vec<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chained {
    at: u64,
    len: u32,
    pub next: u32,
    pub patches: Vec<Patch>,
}

/// The shapes of a database's pages, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    bytes: Arc<Vec<u8>>,
    pub(super) page_bytes: usize,
    pub(super) usable: usize,
    pub(super) slots: Vec<Slot>,
    pub(super) inner: Vec<Inner>,
    pub(super) chained: Vec<Chained>,
    /// Where each tree ends.
    pub(super) tree_ends: Vec<u64>,
    tree_bytes: u64,
    sequence_bytes: u64,
}

/// What one page is built from.
#[derive(Debug)]
pub struct PagePlan {
    pub(super) slot: Slot,
    pub(super) shape: Option<PageShape>,
    /// The parts of the sequence that it needs, in order.
    pub ranges: Vec<Range<u64>>,
}

/// An inner page whose children are being met.
struct Frame {
    shape: PageShape,
    at: u32,
    children: Vec<u32>,
    starts: Vec<u64>,
}

/// What is known while shapes are decoded.
struct Replay {
    usable: usize,
    slots: Vec<Slot>,
    inner: Vec<Inner>,
    chained: Vec<Chained>,
    position: u64,
    before: u32,
}

impl Shapes {
    /// Reads what [`super::walk`] wrote, of a database with `pages` pages of `page_bytes` bytes.
    ///
    /// # Errors
    /// Where the bytes contradict themselves.
    pub fn decode(
        bytes: impl Into<Arc<Vec<u8>>>,
        page_bytes: usize,
        pages: usize,
    ) -> Result<Shapes, Truncated> {
        let bytes = bytes.into();
        let mut at = Bytes(&bytes);
        let reserved = at.length(255)?;
        let usable = page_bytes
            .checked_sub(reserved)
            .filter(|usable| *usable >= 480 && u32::try_from(bytes.len()).is_ok())
            .ok_or(Truncated)?;
        let slots = vec![Slot::Raw(u32::MAX); pages];
        let mut replay = Replay {
            usable,
            slots,
            inner: Vec::new(),
            chained: Vec::new(),
            position: 0,
            before: 0,
        };
        let mut tree_ends = Vec::new();
        while at.0.first() != Some(&END) {
            replay.tree(&mut at, bytes.len())?;
            tree_ends.push(replay.position);
        }
        if at.0.len() != 1 {
            return Err(Truncated);
        }
        let Replay { mut slots, inner, chained, position, .. } = replay;
        let mut raw = 0;
        for slot in &mut slots {
            if let Slot::Raw(number) = slot {
                (*number, raw) = (raw, raw + 1);
            }
        }
        let sequence_bytes =
            position.checked_add(u64::from(raw) * page_bytes as u64).ok_or(Truncated)?;
        Ok(Shapes {
            bytes,
            page_bytes,
            usable,
            slots,
            inner,
            chained,
            tree_ends,
            tree_bytes: position,
            sequence_bytes,
        })
    }

    /// How many pages the database has.
    pub fn pages(&self) -> usize {
        self.slots.len()
    }

    /// Length of the sequence in bytes: the cells of all trees, and the pages that have no shape.
    pub fn sequence_bytes(&self) -> u64 {
        self.sequence_bytes
    }

    /// What a page is built from; `page` counts from 0.
    pub fn plan(&self, page: usize) -> Option<PagePlan> {
        let slot = *self.slots.get(page)?;
        let (mut shape, mut ranges) = (None, Vec::new());
        match slot {
            Slot::Raw(number) => {
                let start = self.tree_bytes + u64::from(number) * self.page_bytes as u64;
                ranges.push(start..start + self.page_bytes as u64);
            }
            Slot::Chained(number) => {
                let chained = self.chained.get(number as usize)?;
                ranges.push(chained.at..chained.at + u64::from(chained.len));
            }
            Slot::Inner(number) => {
                let inner = self.inner.get(number as usize)?;
                let own = self.shape(inner.shape, page)?;
                ranges.extend(
                    inner
                        .starts
                        .iter()
                        .zip(&own.lens)
                        .map(|(start, len)| *start..start + *len as u64),
                );
                shape = Some(own);
            }
            Slot::Leaf { shape: place, at } => {
                let own = self.shape(place, page)?;
                ranges = leaf_ranges(&own, at)?;
                shape = Some(own);
            }
        }
        Some(PagePlan { slot, shape, ranges })
    }

    /// Bytes of the shapes as they are stored, decompressed.
    pub(super) fn encoded_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// A shape without the order of its cells, and its encoding.
    pub(super) fn skim(&self, at: u32, page: usize) -> Option<(PageShape, &[u8])> {
        let all = self.bytes.get(at as usize..)?;
        let mut rest = Bytes(all);
        let shape = PageShape::skim(&mut rest, |_| Some(page as u32 + 1), self.usable).ok()?;
        Some((shape, all.get(..all.len() - rest.0.len())?))
    }

    pub(super) fn shape(&self, at: u32, page: usize) -> Option<PageShape> {
        PageShape::decode(
            &mut Bytes(self.bytes.get(at as usize..)?),
            |_| Some(page as u32 + 1),
            self.usable,
        )
        .ok()
    }

    /// Builds a page into `out`, which is as long as a page. Nothing where the content does not fit
    /// its shape.
    pub fn build(&self, plan: &PagePlan, content: &impl Content, out: &mut [u8]) -> Option<()> {
        match (plan.slot, &plan.shape) {
            (Slot::Raw(_), _) => {
                let bytes = content.bytes(plan.ranges.first()?.clone())?;
                out.copy_from_slice(bytes.get(..out.len())?);
                Some(())
            }
            (Slot::Chained(number), _) => {
                let chained = self.chained.get(number as usize)?;
                layout::build_overflow(
                    chained.next,
                    content.bytes(plan.ranges.first()?.clone())?,
                    &chained.patches,
                    out,
                )
            }
            (Slot::Inner(number), Some(shape)) => {
                let cells: Vec<&[u8]> = plan
                    .ranges
                    .iter()
                    .map(|range| content.bytes(range.clone()))
                    .collect::<Option<_>>()?;
                layout::build(
                    shape,
                    self.usable,
                    &self.inner.get(number as usize)?.children,
                    &cells,
                    out,
                )
            }
            (Slot::Leaf { .. }, Some(shape)) => match plan.ranges.as_slice() {
                [range] => self.build_leaf(shape, content.bytes(range.clone())?, out),
                ranges => {
                    let parts: Vec<&[u8]> = ranges
                        .iter()
                        .map(|range| content.bytes(range.clone()))
                        .collect::<Option<_>>()?;
                    self.build_leaf(shape, &parts.concat(), out)
                }
            },
            _ => None,
        }
    }

    fn build_leaf(&self, shape: &PageShape, mut content: &[u8], out: &mut [u8]) -> Option<()> {
        let mut cells = Vec::with_capacity(shape.cells);
        for _ in 0..shape.cells {
            let (cell, behind) =
                content.split_at_checked(measure(shape.kind, self.usable, content)?.content)?;
            cells.push(cell);
            content = behind;
        }
        if content.is_empty() { layout::build(shape, self.usable, &[], &cells, out) } else { None }
    }
}

/// Where a leaf's cells lie: in one piece, but for what overflow pages hold in between.
fn leaf_ranges(shape: &PageShape, at: u64) -> Option<Vec<Range<u64>>> {
    let (mut ranges, mut start, mut left) = (Vec::new(), at, shape.content as u64);
    for chain in shape.chains.iter().filter(|chain| !chain.pages.is_empty()) {
        let end = at.checked_add(chain.at)?;
        left = left.checked_sub(end.checked_sub(start)?)?;
        ranges.push(start..end);
        start = end.checked_add(chain.bytes)?;
    }
    ranges.push(start..start.checked_add(left)?);
    Some(ranges)
}

impl Replay {
    /// A tree: each page before those below it.
    fn tree(&mut self, at: &mut Bytes<'_>, all: usize) -> Result<(), Truncated> {
        let mut frames: Vec<Frame> = Vec::new();
        loop {
            let mut page = if at.0.first() == Some(&FOREIGN) && !frames.is_empty() {
                at.u8()?;
                u32::try_from(at.varint()?).map_err(|_| Truncated)?
            } else {
                let place = (all - at.0.len()) as u32;
                let before = i64::from(self.before) + 1;
                let shape = PageShape::skim(
                    at,
                    |step| u32::try_from(before.checked_add(step)?).ok(),
                    self.usable,
                )?;
                self.before = shape.page;
                if !shape.kind.is_leaf() {
                    self.claim(shape.page, Slot::Inner(u32::MAX))?;
                    if frames.len() == DEPTH_MAX {
                        return Err(Truncated);
                    }
                    frames.push(Frame {
                        shape,
                        at: place,
                        children: Vec::new(),
                        starts: Vec::new(),
                    });
                    continue;
                }
                self.leaf(&shape, place)?;
                shape.page
            };
            // The page belongs to the one above it, which may be full then, and so on.
            loop {
                let Some(frame) = frames.last_mut() else { return Ok(()) };
                let cell = frame.children.len();
                frame.children.push(page);
                if cell < frame.shape.cells {
                    if frame.shape.kind == PageKind::InnerIndex {
                        frame.starts.push(self.position);
                        let len = *frame.shape.lens.get(cell).ok_or(Truncated)? as u64;
                        self.position = self.position.checked_add(len).ok_or(Truncated)?;
                        if let Some(chain) = frame.shape.chain_of(cell) {
                            let chain = chain.clone();
                            self.chain(&chain, self.position)?;
                            self.position =
                                self.position.checked_add(chain.bytes).ok_or(Truncated)?;
                        }
                    }
                    break;
                }
                page = frame.shape.page;
                let Some(Frame { at: shape, children, starts, .. }) = frames.pop() else {
                    return Ok(());
                };
                if let Some(slot) = self.slots.get_mut(page as usize - 1) {
                    *slot = Slot::Inner(self.inner.len() as u32);
                }
                self.inner.push(Inner { shape, children, starts });
            }
        }
    }

    fn leaf(&mut self, shape: &PageShape, place: u32) -> Result<(), Truncated> {
        let at = self.position;
        self.claim(shape.page, Slot::Leaf { shape: place, at })?;
        let mut taken = shape.content as u64;
        for chain in &shape.chains {
            self.chain(chain, at.checked_add(chain.at).ok_or(Truncated)?)?;
            taken = taken.checked_add(chain.bytes).ok_or(Truncated)?;
        }
        leaf_ranges(shape, at).ok_or(Truncated)?;
        self.position = at.checked_add(taken).ok_or(Truncated)?;
        Ok(())
    }

    fn chain(&mut self, chain: &super::shape::Chain, mut at: u64) -> Result<(), Truncated> {
        let room = self.usable as u64 - 4;
        let mut left = chain.bytes;
        let mut patches = chain.patches.iter().peekable();
        for (number, page) in chain.pages.iter().enumerate() {
            let len = left.min(room);
            left -= len;
            let patches = patches
                .next_if(|(of, _)| *of == number)
                .map(|(_, patches)| patches.clone())
                .unwrap_or_default();
            self.claim(*page, Slot::Chained(self.chained.len() as u32))?;
            self.chained.push(Chained {
                at,
                len: len as u32,
                next: chain.pages.get(number + 1).copied().unwrap_or(0),
                patches,
            });
            at = at.checked_add(len).ok_or(Truncated)?;
        }
        if left == 0 { Ok(()) } else { Err(Truncated) }
    }

    /// Each page has one shape at most.
    fn claim(&mut self, page: u32, slot: Slot) -> Result<(), Truncated> {
        let own = self
            .slots
            .get_mut((page as usize).checked_sub(1).ok_or(Truncated)?)
            .filter(|own| matches!(own, Slot::Raw(_)))
            .ok_or(Truncated)?;
        *own = slot;
        Ok(())
    }
}
