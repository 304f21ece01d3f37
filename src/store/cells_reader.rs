//! Pages of a database that is kept as cells and shapes: the parts of the sequence that they need
//! are read, each extent once, and put together.

use std::ops::Range;

use crate::chunk::ChunkId;

use super::cells::{Content, PagePlan};
use super::cells_of_recipe::Cells;
use super::recipe::Recipe;
use super::{ChunkReader, Error};

/// Parts of a sequence, in its order. Used again, it needs no new memory.
#[derive(Default)]
pub struct Parts {
    /// They do not touch each other.
    ranges: Vec<Range<u64>>,
    /// Where each begins in `bytes`.
    offsets: Vec<usize>,
    bytes: Vec<u8>,
}

impl Parts {
    /// Makes room for all that these plans need.
    fn make_room(&mut self, plans: &[PagePlan]) {
        let mut wanted: Vec<Range<u64>> = plans
            .iter()
            .flat_map(|plan| plan.ranges.iter().cloned())
            .filter(|range| !range.is_empty())
            .collect();
        wanted.sort_unstable_by_key(|range| range.start);
        self.ranges.clear();
        self.offsets.clear();
        for range in wanted {
            match self.ranges.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => self.ranges.push(range),
            }
        }
        let mut len = 0;
        for range in &self.ranges {
            self.offsets.push(len);
            len += (range.end - range.start) as usize;
        }
        // All of it is overwritten: groups follow each other without a gap.
        self.bytes.resize(len, 0);
    }

    /// The numbers of the groups that they lie in, in order.
    fn groups(&self, starts: &[u64]) -> Vec<usize> {
        let mut groups: Vec<usize> = Vec::new();
        for range in &self.ranges {
            let first = starts.partition_point(|start| *start <= range.start).saturating_sub(1);
            let end = starts.partition_point(|start| *start < range.end);
            let from = groups.last().map_or(first, |last| first.max(last + 1));
            groups.extend(from..end);
        }
        groups
    }

    /// Takes what is wanted of a group that begins at `start`.
    fn put(&mut self, start: u64, group: &[u8]) {
        let end = start + group.len() as u64;
        let first = self.ranges.partition_point(|range| range.end <= start);
        for (range, offset) in self
            .ranges
            .iter()
            .zip(&self.offsets)
            .skip(first)
            .take_while(|(range, _)| range.start < end)
        {
            let (from, to) = (range.start.max(start), range.end.min(end));
            let part =
                group.get((from - start) as usize..(to - start) as usize).unwrap_or_default();
            let at = offset + (from - range.start) as usize;
            if let Some(slot) = self.bytes.get_mut(at..at + part.len()) {
                slot.copy_from_slice(part);
            }
        }
    }
}

/// Who proves what is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Each group is proved by its hash.
    Groups,
    /// Whoever asks proves the pages.
    Later,
}

fn damage(id: &ChunkId, what: &'static str) -> Error {
    Error::Recipe { id: *id, what }
}

/// How to build some pages.
fn plans(
    id: &ChunkId,
    cells: &Cells,
    pages: impl Iterator<Item = usize>,
) -> Result<Vec<PagePlan>, Error> {
    let shapes =
        cells.shapes().map_err(|_| damage(id, "the shapes of its pages do not fit its groups"))?;
    pages
        .map(|page| {
            shapes.plan(page).ok_or_else(|| damage(id, "it has fewer pages than the database"))
        })
        .collect()
}

fn build(
    id: &ChunkId,
    cells: &Cells,
    plan: &PagePlan,
    parts: &Parts,
    out: &mut [u8],
) -> Result<(), Error> {
    let shapes = cells.shapes().ok();
    shapes
        .and_then(|shapes| shapes.build(plan, parts, out))
        .ok_or_else(|| damage(id, "the cells of a page do not fit its shape"))
}

impl Content for Parts {
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        if range.is_empty() {
            return Some(&[]);
        }
        let at = self.ranges.partition_point(|known| known.end < range.end);
        let known = self.ranges.get(at).filter(|known| known.start <= range.start)?;
        let start = self.offsets.get(at)? + (range.start - known.start) as usize;
        self.bytes.get(start..start + (range.end - range.start) as usize)
    }
}

impl ChunkReader<'_> {
    /// Calls `each` with (number from 0, bytes) of some pages, in the order in which they are asked
    /// for.
    pub(super) fn read_cell_pages(
        &mut self,
        id: &ChunkId,
        (recipe, cells): (&Recipe, &Cells),
        pages: &[usize],
        mut each: impl FnMut(usize, &[u8]),
    ) -> Result<(), Error> {
        let (mut parts, mut out) = (Parts::default(), vec![0; recipe.page_bytes as usize]);
        let plans = plans(id, cells, pages.iter().copied())?;
        self.fill(id, (recipe, cells), &plans, &mut parts, Proof::Groups)?;
        for (page, plan) in pages.iter().zip(&plans) {
            build(id, cells, plan, &parts, &mut out)?;
            each(*page, &out);
        }
        Ok(())
    }

    /// Builds pages of a database that is kept as cells into `out`, one after another. Its groups
    /// are not proved: whoever asks proves all of its pages together.
    pub fn build_pages(
        &mut self,
        id: &ChunkId,
        recipe: &Recipe,
        pages: Range<usize>,
        parts: &mut Parts,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let Some(cells) = &recipe.cells else { return self.read_pages(id, recipe, pages, out) };
        let size = recipe.page_bytes as usize;
        let plans = plans(id, cells, pages)?;
        self.fill(id, (recipe, cells), &plans, parts, Proof::Later)?;
        // What was in it does not matter: each page is written whole.
        out.resize(plans.len() * size, 0);
        for (plan, page) in plans.iter().zip(out.chunks_exact_mut(size)) {
            build(id, cells, plan, parts, page)?;
        }
        Ok(())
    }

    /// Reads what some pages are built from.
    fn fill(
        &mut self,
        id: &ChunkId,
        (recipe, cells): (&Recipe, &Cells),
        plans: &[PagePlan],
        parts: &mut Parts,
        proof: Proof,
    ) -> Result<(), Error> {
        parts.make_room(plans);
        let groups = parts.groups(&cells.starts);
        self.read_groups(id, (recipe, cells), groups, proof, |start, group| parts.put(start, group))
    }

    /// Calls `each` with (where it begins in the sequence, bytes) of some groups, in the order in
    /// which they lie.
    fn read_groups(
        &mut self,
        id: &ChunkId,
        (recipe, cells): (&Recipe, &Cells),
        groups: Vec<usize>,
        proof: Proof,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<(), Error> {
        let damaged = |what| Error::Recipe { id: *id, what };
        let hashing = self.hashing().groups(&cells.salt);
        let mut order = Vec::with_capacity(groups.len());
        for group in groups {
            let place =
                recipe.places.get(group).ok_or_else(|| damaged("a group of cells has no place"))?;
            order.push((place.extent, place.slot, group));
        }
        order.sort_unstable();
        let mut open: Option<(u32, super::Chunk)> = None;
        for (extent_number, slot, group) in order {
            let extent = match &open {
                Some((number, chunk)) if *number == extent_number => chunk,
                _ => {
                    let chunk_id = recipe
                        .extents
                        .get(extent_number as usize)
                        .ok_or_else(|| damaged("a group of cells has no place"))?;
                    &open.insert((extent_number, self.read_pages_chunk(chunk_id)?)).1
                }
            };
            let len = cells.lens.get(group).copied().unwrap_or(0) as usize;
            let bytes = extent
                .get(slot as usize..slot as usize + len)
                .ok_or_else(|| damaged("a group of cells lies beyond its extent"))?;
            if proof == Proof::Groups && recipe.hashes.get(group) != Some(&hashing.hash(bytes)) {
                return Err(damaged("other cells lie in the place of a group"));
            }
            each(cells.starts.get(group).copied().unwrap_or(0), bytes);
        }
        Ok(())
    }
}
