//! Recipes of databases that are kept as cells and shapes: which groups of cells follow one
//! another, where each lies, and the shapes of all pages (`docs/format.md`, "Recipes of cells").
//! Written whole, or as what differs from an older state: groups that both have are named by their
//! numbers there, so that prune can move them and write the older recipe anew.

use std::collections::HashMap;
use std::sync::Arc;

use crate::chunk::{ChunkId, PageHash};
use crate::limits::{EXTENT_RAW_BYTES_MAX, GROUPS_MAX, PAGES_MAX, RECIPE_BYTES_MAX};

use super::bytes::{Bytes, Truncated, push_signed, push_varint};
use super::cells::GROUP_BYTES_MAX;
use super::cells_body::{CellsBody, GroupCopy};
use super::cells_of_recipe::{Cells, CellsParts, proof};
use super::group_names::{HASH_BYTES, widened};
use super::group_positions::GroupPositions;
use super::packed_shapes::pack;
use super::recipe::{CELLS_VERSION as VERSION, PagePlace, PageRun, Recipe, RecipeBody};

impl Recipe {
    /// Gives a recipe whose hashes, places and extents are those of groups what makes it a recipe
    /// of cells.
    ///
    /// # Errors
    /// Where the shapes cannot be read, or take more or less than the groups have.
    pub fn with_cells(self, parts: CellsParts) -> Result<Recipe, Truncated> {
        let recipe = self.with_unread_cells(parts);
        match &recipe.cells {
            Some(cells) if cells.lens.len() == recipe.hashes.len() => cells.shapes()?,
            _ => return Err(Truncated),
        };
        Ok(recipe)
    }

    /// The same, not looked at.
    pub(super) fn with_unread_cells(self, parts: CellsParts) -> Recipe {
        Recipe { page_bytes: parts.page_bytes, cells: Some(Arc::new(Cells::unread(parts))), ..self }
    }
}

impl RecipeBody {
    /// What a recipe of cells says beyond `base`, which is stored under its id; or all of it.
    /// `positions`: where the base's groups stand, if that was looked for already.
    ///
    /// # Errors
    /// Where the shapes cannot be compressed.
    pub fn of_cells(
        recipe: &Recipe,
        cells: &Cells,
        base: Option<(ChunkId, &Recipe)>,
        mut positions: Option<GroupPositions>,
    ) -> std::io::Result<RecipeBody> {
        let base = base.and_then(|(id, base)| Some((id, base, base.cells.as_deref()?)));
        let mut body = RecipeBody {
            page_bytes: recipe.page_bytes,
            depth: base.map_or(0, |(_, base, _)| base.depth + 1),
            base: base.map(|(id, ..)| id),
            pages: recipe.hashes.len() as u32,
            extents: Vec::new(),
            runs: Vec::new(),
            hashes: Vec::new(),
            cells: None,
        };
        let (mut copies, mut lens) = (Vec::<GroupCopy>::new(), Vec::new());
        let (mut numbers, mut next) = (HashMap::new(), 0u32);
        for (at, (hash, place)) in recipe.hashes.iter().zip(&recipe.places).enumerate() {
            if let Some((_, base, _)) = base {
                let is_here = |from: u32| {
                    base.hashes.get(from as usize) == Some(hash)
                        && base.chunk_of(from as usize) == recipe.chunk_of(at)
                };
                if !is_here(next) {
                    let positions =
                        positions.get_or_insert_with(|| GroupPositions::new(&base.hashes));
                    next = positions.find(&base.hashes, hash).unwrap_or(u32::MAX);
                }
                if next != u32::MAX && is_here(next) {
                    match copies.last_mut() {
                        Some(last)
                            if last.at + last.count == at as u32
                                && last.from + last.count == next =>
                        {
                            last.count += 1
                        }
                        _ => copies.push(GroupCopy { at: at as u32, from: next, count: 1 }),
                    }
                    next += 1;
                    continue;
                }
                // The next one is probably the one after what was replaced.
                next = copies.last().map_or(0, |last| last.from + last.count);
            }
            let extent = *numbers.entry(place.extent).or_insert_with(|| {
                body.extents.extend(recipe.extents.get(place.extent as usize));
                body.extents.len() as u32 - 1
            });
            let len = cells.lens.get(at).copied().unwrap_or(0);
            body.push_group(at as u32, PagePlace { extent, slot: place.slot }, &lens);
            lens.push(len);
            body.hashes.push(*hash);
        }
        drop(positions);
        let before = base.map_or(&[][..], |(_, _, cells)| cells.encoded.as_slice());
        let own = CellsBody {
            salt: cells.salt,
            pages: cells.pages,
            copies,
            lens,
            shapes_bytes: cells.encoded.len() as u32,
            shapes: pack(&cells.encoded, before)?,
            proof: proof(recipe.page_bytes, cells, &recipe.hashes),
        };
        body.cells = Some(own);
        Ok(body)
    }

    /// Whether a reader takes a recipe of so many bytes.
    pub fn is_readable(&self, bytes: usize) -> bool {
        bytes <= RECIPE_BYTES_MAX
            && self
                .cells
                .as_ref()
                .is_none_or(|cells| cells.shapes_bytes as usize <= RECIPE_BYTES_MAX)
    }

    /// Tells of the next group's place; `lens`: the lengths of those that were told of before.
    pub fn push_group(&mut self, group: u32, place: PagePlace, lens: &[u32]) {
        if let Some(run) = self.runs.last_mut() {
            let told = lens.get(lens.len() - run.pages as usize..).unwrap_or_default();
            let end = run.place.slot + told.iter().sum::<u32>();
            if run.page + run.pages == group
                && run.place.extent == place.extent
                && end == place.slot
            {
                run.pages += 1;
                return;
            }
        }
        self.runs.push(PageRun { page: group, pages: 1, place });
    }

    /// The groups that the recipe tells of itself: number, extent's number here, first byte there,
    /// length and hash.
    pub fn told_groups(&self) -> impl Iterator<Item = (u32, PagePlace, u32, PageHash)> {
        let lens = self.cells.as_ref().map_or(&[][..], |cells| cells.lens.as_slice());
        let starts = self.runs.iter().scan(0usize, |next, run| {
            *next = next.saturating_add(run.pages as usize);
            Some((next.saturating_sub(run.pages as usize), run))
        });
        starts.flat_map(move |(start, run)| {
            let lens = lens.get(start..).unwrap_or_default().iter();
            let own = lens.zip(self.hashes.get(start..).unwrap_or_default()).zip(run.page..);
            own.take(run.pages as usize).scan(run.place.slot, move |next, ((len, hash), group)| {
                let place = PagePlace { extent: run.place.extent, slot: *next };
                *next = next.saturating_add(*len);
                Some((group, place, *len, *hash))
            })
        })
    }

    pub(super) fn encode_cells(&self, cells: &CellsBody) -> Vec<u8> {
        let mut out = vec![VERSION, 0, self.page_bytes.trailing_zeros() as u8, self.depth];
        if let Some(base) = &self.base {
            out.extend_from_slice(&base.0);
        }
        out.extend_from_slice(&cells.salt);
        for count in [
            cells.pages as usize,
            self.pages as usize,
            self.extents.len(),
            cells.copies.len(),
            self.runs.len(),
        ] {
            push_varint(&mut out, count as u64);
        }
        let (mut at, mut from) = (0, 0);
        for copy in &cells.copies {
            push_varint(&mut out, u64::from(copy.at - at));
            push_signed(&mut out, i64::from(copy.from) - from);
            push_varint(&mut out, u64::from(copy.count));
            (at, from) = (copy.at + copy.count, i64::from(copy.from) + i64::from(copy.count));
        }
        let mut extent = 0;
        for run in &self.runs {
            push_varint(&mut out, u64::from(run.pages));
            push_signed(&mut out, i64::from(run.place.extent) - extent);
            push_varint(&mut out, u64::from(run.place.slot));
            extent = i64::from(run.place.extent);
        }
        self.extents.iter().for_each(|id| out.extend_from_slice(&id.0));
        cells.lens.iter().for_each(|len| push_varint(&mut out, u64::from(*len)));
        self.hashes.iter().for_each(|hash| out.extend(hash.iter().take(HASH_BYTES)));
        push_varint(&mut out, u64::from(cells.shapes_bytes));
        super::bytes::push_bytes(&mut out, &cells.shapes);
        out.extend_from_slice(&cells.proof);
        out
    }

    /// Reads what [`RecipeBody::encode_cells`] wrote; refuses whatever contradicts itself.
    pub(super) fn decode_cells(bytes: &[u8]) -> Result<RecipeBody, Truncated> {
        let mut at = Bytes(bytes);
        let (version, form, log2, depth) = (at.u8()?, at.u8()?, at.u8()?, at.u8()?);
        if version != VERSION
            || form != 0
            || !(9..=16).contains(&log2)
            || bytes.len() > RECIPE_BYTES_MAX
        {
            return Err(Truncated);
        }
        let base = if depth > 0 { Some(ChunkId(at.array()?)) } else { None };
        let salt = at.array()?;
        let (pages, groups) = (at.length(PAGES_MAX)?, at.length(GROUPS_MAX)?);
        let (extents, copy_count, run_count) =
            (at.length(GROUPS_MAX)?, at.length(GROUPS_MAX)?, at.length(GROUPS_MAX)?);
        // Each extent is named by some run.
        if extents > run_count {
            return Err(Truncated);
        }
        if copy_count > 0 && base.is_none() {
            return Err(Truncated);
        }
        let (copies, gaps) = decode_copies(&mut at, copy_count, groups)?;
        let runs = decode_runs(&mut at, run_count, extents, gaps)?;
        let told: usize = runs.iter().map(|run| run.pages as usize).sum();
        let extents = at.take(extents * 32)?.as_chunks().0.iter().map(|id| ChunkId(*id)).collect();
        let mut lens = Vec::with_capacity(told.min(at.0.len()));
        for _ in 0..told {
            lens.push(
                at.length(GROUP_BYTES_MAX).ok().filter(|len| *len > 0).ok_or(Truncated)? as u32
            );
        }
        let hashes = at.take(told * HASH_BYTES)?.as_chunks().0.iter().map(widened).collect();
        let shapes_bytes = at.length(RECIPE_BYTES_MAX)? as u32;
        let shapes = at.prefixed(RECIPE_BYTES_MAX)?.to_vec();
        let cells = CellsBody {
            salt,
            pages: pages as u32,
            copies,
            lens,
            shapes_bytes,
            shapes,
            proof: at.array()?,
        };
        if !at.is_empty() {
            return Err(Truncated);
        }
        Ok(RecipeBody {
            page_bytes: 1 << log2,
            depth,
            base,
            pages: groups as u32,
            extents,
            runs,
            hashes,
            cells: Some(cells),
        })
    }
}

/// Groups between copies: the first, and the one behind the last.
type Gap = (usize, usize);

/// The copies, and the gaps between them.
fn decode_copies(
    at: &mut Bytes<'_>,
    copy_count: usize,
    groups: usize,
) -> Result<(Vec<GroupCopy>, Vec<Gap>), Truncated> {
    let (mut copies, mut gaps) = (Vec::new(), Vec::new());
    let (mut end, mut from) = (0usize, 0i64);
    for _ in 0..copy_count {
        let start = end + at.length(GROUPS_MAX)?;
        from = from
            .checked_add(at.signed()?)
            .filter(|from| (0..=GROUPS_MAX as i64).contains(from))
            .ok_or(Truncated)?;
        let count = at.length(GROUPS_MAX)?;
        if start + count > groups || count == 0 {
            return Err(Truncated);
        }
        gaps.push((end, start));
        copies.push(GroupCopy { at: start as u32, from: from as u32, count: count as u32 });
        (end, from) = (start + count, from + count as i64);
    }
    gaps.push((end, groups));
    Ok((copies, gaps))
}

/// The runs, which fill the gaps between the copies one after another.
fn decode_runs(
    at: &mut Bytes<'_>,
    run_count: usize,
    extents: usize,
    gaps: Vec<Gap>,
) -> Result<Vec<PageRun>, Truncated> {
    let mut runs = Vec::new();
    let (mut gaps, mut extent) = (gaps.into_iter().filter(|(start, end)| start < end), 0i64);
    let mut gap = gaps.next();
    for _ in 0..run_count {
        let count = at.length(GROUPS_MAX)?;
        extent = extent
            .checked_add(at.signed()?)
            .filter(|extent| (0..extents as i64).contains(extent))
            .ok_or(Truncated)?;
        let slot = at.length(EXTENT_RAW_BYTES_MAX)?;
        let (start, end) = gap.ok_or(Truncated)?;
        if count == 0 || start + count > end {
            return Err(Truncated);
        }
        runs.push(PageRun {
            page: start as u32,
            pages: count as u32,
            place: PagePlace { extent: extent as u32, slot: slot as u32 },
        });
        gap = if start + count == end { gaps.next() } else { Some((start + count, end)) };
    }
    if gap.is_some() { Err(Truncated) } else { Ok(runs) }
}

#[cfg(test)]
#[path = "recipe_cells_tests.rs"]
mod tests;
