//! What is a database made of? A recipe: for each page its hash and its place, an extent and a slot
//! in it. Written whole, or as what differs from the recipe of an older state (`docs/format.md`,
//! "Recipes").

use std::collections::HashMap;
use std::sync::Arc;

use crate::chunk::{ChunkId, PageHash};
use crate::limits::{PAGES_MAX, RECIPE_BYTES_MAX, RECIPE_DEPTH_MAX, RECIPE_PART_BYTES};

use super::bytes::{Bytes, Truncated, push_signed, push_varint};
use super::cells_body::CellsBody;
use super::cells_of_recipe::Cells;

/// Pages that writers put into one extent, in bytes: in twice as many they compress by 3 % better,
/// and who looks for a row decompresses twice as much.
pub const PAGES_EXTENT_BYTES: usize = 128 << 10;

/// Where a page lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagePlace {
    /// Number of its extent in [`Recipe::extents`].
    pub extent: u32,
    /// Number of the page in the extent; of a group of cells its first byte there.
    pub slot: u32,
}

/// The pages of one state of a database, all of them; or the groups of cells that its pages are
/// built from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipe {
    /// Bytes of a page: a power of two from 512 to 65,536.
    pub page_bytes: u32,
    /// Hash of each page, or group, in order.
    pub hashes: Vec<PageHash>,
    /// Place of each page, or group, in order.
    pub places: Vec<PagePlace>,
    /// How pages are built from groups; nothing where pages are kept as they are.
    pub cells: Option<Arc<Cells>>,
    /// The extents that places point into, and perhaps others; each is one chunk of pages, or
    /// groups.
    pub extents: Vec<ChunkId>,
    /// More than that of the recipe behind it; 0 for a whole one.
    pub depth: u8,
    /// The whole recipe that this one goes back to; itself where it is whole.
    pub whole: ChunkId,
}

impl Recipe {
    /// Length of the database in bytes.
    pub fn bytes(&self) -> u64 {
        self.pages() as u64 * u64::from(self.page_bytes)
    }

    /// Pages of the database.
    pub fn pages(&self) -> usize {
        self.cells.as_ref().map_or(self.hashes.len(), |cells| cells.pages as usize)
    }

    /// Where a page or group begins in its extent, and its length, in bytes.
    pub fn span(&self, number: usize) -> Option<(u32, u32)> {
        let slot = self.places.get(number)?.slot;
        match &self.cells {
            Some(cells) => Some((slot, *cells.lens.get(number)?)),
            None => Some((slot.checked_mul(self.page_bytes)?, self.page_bytes)),
        }
    }

    /// The chunk that a page or group lies in, and its slot there.
    pub(super) fn chunk_of(&self, page: usize) -> Option<(&ChunkId, u32)> {
        let place = self.places.get(page)?;
        Some((self.extents.get(place.extent as usize)?, place.slot))
    }

    /// The extents that hold at least one of the pages, each with how many: what deletion must
    /// keep, and where it pays to rewrite.
    pub fn live_extents(&self) -> Vec<(ChunkId, u32)> {
        let mut counts = vec![0u32; self.extents.len()];
        for place in &self.places {
            if let Some(count) = counts.get_mut(place.extent as usize) {
                *count += 1;
            }
        }
        let mut live = HashMap::new();
        for (id, count) in self.extents.iter().zip(counts).filter(|(_, count)| *count > 0) {
            *live.entry(*id).or_insert(0) += count;
        }
        let mut live: Vec<_> = live.into_iter().collect();
        live.sort_unstable();
        live
    }
}

/// A recipe being put together from a chain of stored ones, the newest first: each tells of the
/// pages that those before it left open.
#[derive(Debug, Default)]
pub(super) struct Resolving {
    recipe: Recipe,
    /// Pages from here on were cut off by a newer recipe, whatever an older one says of them.
    limit: usize,
    begun: bool,
}

/// The place of a page that no recipe told of yet.
const OPEN: PagePlace = PagePlace { extent: u32::MAX, slot: 0 };

impl Resolving {
    /// Takes the next older recipe.
    pub(super) fn take(&mut self, id: ChunkId, body: &RecipeBody) {
        let pages = body.pages as usize;
        let recipe = &mut self.recipe;
        if !self.begun {
            self.begun = true;
            self.limit = pages;
            recipe.page_bytes = body.page_bytes;
            recipe.depth = body.depth;
            recipe.hashes.resize(pages, [0; 16]);
            recipe.places.resize(pages, OPEN);
        }
        self.limit = self.limit.min(pages);
        recipe.whole = id;
        let mut numbers = vec![u32::MAX; body.extents.len()];
        let mut hashes = body.hashes.as_slice();
        for run in &body.runs {
            let (told, behind) = hashes.split_at(hashes.len().min(run.pages as usize));
            hashes = behind;
            let pages = run.page as usize..(run.page as usize + told.len()).min(self.limit);
            let (Some(places), Some(slots)) =
                (recipe.places.get_mut(pages.clone()), recipe.hashes.get_mut(pages))
            else {
                continue;
            };
            let (true, Some(number)) =
                (places.contains(&OPEN), numbers.get_mut(run.place.extent as usize))
            else {
                continue;
            };
            if *number == u32::MAX {
                *number = recipe.extents.len() as u32;
                recipe.extents.extend(body.extents.get(run.place.extent as usize));
            }
            for (((slot, place), hash), told) in (run.place.slot..).zip(places).zip(slots).zip(told)
            {
                if *place == OPEN {
                    (*place, *hash) = (PagePlace { extent: *number, slot }, *told);
                }
            }
        }
    }

    /// The recipe; nothing where pages are left open.
    pub(super) fn finish(self) -> Option<Recipe> {
        self.recipe.places.iter().all(|place| *place != OPEN).then_some(self.recipe)
    }
}

/// Pages one after another whose places are one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRun {
    /// The first page, from 0.
    pub page: u32,
    /// How many.
    pub pages: u32,
    /// Place of the first.
    pub place: PagePlace,
}

/// A recipe as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeBody {
    /// Bytes of a page.
    pub page_bytes: u32,
    /// More than that of the recipe that it builds on; 0 for a whole one.
    pub depth: u8,
    /// The recipe that tells of the pages that no run names; nothing for a whole one.
    pub base: Option<ChunkId>,
    /// Pages of the database.
    pub pages: u32,
    /// Extents that the runs point into.
    pub extents: Vec<ChunkId>,
    /// The pages that this recipe tells of, in order.
    pub runs: Vec<PageRun>,
    /// Their hashes.
    pub hashes: Vec<PageHash>,
    /// What it has beside groups, where it is one of cells; `pages`, `runs` and `hashes` are then
    /// those of groups.
    pub cells: Option<CellsBody>,
}

const VERSION: u8 = 1;
pub(super) const CELLS_VERSION: u8 = 2;
const INLINE: u8 = 0;
const IN_PARTS: u8 = 1;

impl RecipeBody {
    /// All of a recipe.
    pub fn whole(recipe: &Recipe) -> RecipeBody {
        RecipeBody::of(recipe, None)
    }

    /// What a recipe says beyond `base`, which is stored under `id`.
    pub fn beyond(recipe: &Recipe, id: ChunkId, base: &Recipe) -> RecipeBody {
        RecipeBody::of(recipe, Some((id, base)))
    }

    fn of(recipe: &Recipe, base: Option<(ChunkId, &Recipe)>) -> RecipeBody {
        let mut body = RecipeBody {
            page_bytes: recipe.page_bytes,
            depth: base.map_or(0, |(_, base)| base.depth + 1),
            base: base.map(|(id, _)| id),
            pages: recipe.hashes.len() as u32,
            extents: Vec::new(),
            runs: Vec::new(),
            hashes: Vec::new(),
            cells: None,
        };
        let mut numbers = HashMap::new();
        for (page, (hash, place)) in recipe.hashes.iter().zip(&recipe.places).enumerate() {
            if base.is_some_and(|(_, base)| {
                base.hashes.get(page) == Some(hash) && base.chunk_of(page) == recipe.chunk_of(page)
            }) {
                continue;
            }
            let extent = *numbers.entry(place.extent).or_insert_with(|| {
                body.extents.extend(recipe.extents.get(place.extent as usize));
                body.extents.len() as u32 - 1
            });
            body.hashes.push(*hash);
            body.push_page(page as u32, PagePlace { extent, slot: place.slot });
        }
        body
    }

    /// The bytes of a recipe.
    pub fn encode(&self) -> Vec<u8> {
        if let Some(cells) = &self.cells {
            return self.encode_cells(cells);
        }
        let mut out = vec![VERSION, INLINE, self.page_bytes.trailing_zeros() as u8, self.depth];
        if let Some(base) = &self.base {
            out.extend_from_slice(&base.0);
        }
        for count in [self.pages as usize, self.extents.len(), self.runs.len()] {
            push_varint(&mut out, count as u64);
        }
        let (mut end, mut extent) = (0, 0);
        for run in &self.runs {
            push_varint(&mut out, u64::from(run.page - end));
            push_varint(&mut out, u64::from(run.pages));
            push_signed(&mut out, i64::from(run.place.extent) - extent);
            push_varint(&mut out, u64::from(run.place.slot));
            (end, extent) = (run.page + run.pages, i64::from(run.place.extent));
        }
        self.extents.iter().for_each(|id| out.extend_from_slice(&id.0));
        self.hashes.iter().for_each(|hash| out.extend_from_slice(hash));
        out
    }

    /// Reads what [`RecipeBody::encode`] wrote; refuses whatever contradicts itself.
    pub fn decode(bytes: &[u8]) -> Result<RecipeBody, Truncated> {
        if bytes.first() == Some(&CELLS_VERSION) {
            return RecipeBody::decode_cells(bytes);
        }
        let mut at = Bytes(bytes);
        let (version, form, log2, depth) = (at.u8()?, at.u8()?, at.u8()?, at.u8()?);
        if version != VERSION
            || form != INLINE
            || !(9..=16).contains(&log2)
            || depth > RECIPE_DEPTH_MAX
            || bytes.len() > RECIPE_BYTES_MAX
        {
            return Err(Truncated);
        }
        let base = if depth > 0 { Some(ChunkId(at.array()?)) } else { None };
        let pages = at.length(PAGES_MAX)? as u32;
        let extents = at.length(PAGES_MAX)?;
        let count = at.length(PAGES_MAX)?;
        let slots = (crate::limits::EXTENT_RAW_BYTES_MAX >> log2) as u64;
        let (mut runs, mut end, mut extent, mut told) =
            (Vec::with_capacity(count.min(at.0.len() / 4)), 0u64, 0i64, 0usize);
        for _ in 0..count {
            let page = end.checked_add(at.varint()?).ok_or(Truncated)?;
            let len = at.varint()?;
            extent = extent.checked_add(at.signed()?).ok_or(Truncated)?;
            let slot = at.varint()?;
            end = page
                .checked_add(len)
                .filter(|end| len > 0 && *end <= u64::from(pages))
                .ok_or(Truncated)?;
            if extent < 0
                || extent >= extents as i64
                || slot.checked_add(len).is_none_or(|slots_used| slots_used > slots)
            {
                return Err(Truncated);
            }
            told += len as usize;
            runs.push(PageRun {
                page: page as u32,
                pages: len as u32,
                place: PagePlace { extent: extent as u32, slot: slot as u32 },
            });
        }
        let ids = at.take(extents.checked_mul(32).ok_or(Truncated)?)?;
        let extents = ids.as_chunks().0.iter().map(|id| ChunkId(*id)).collect();
        let hashes = at.take(told * 16)?.as_chunks().0.to_vec();
        if !at.is_empty() || (base.is_none() && told != pages as usize) {
            return Err(Truncated);
        }
        Ok(RecipeBody {
            page_bytes: 1 << log2,
            depth,
            base,
            pages,
            extents,
            runs,
            hashes,
            cells: None,
        })
    }
}

impl RecipeBody {
    /// Tells of the next page's place; its hash stands in [`RecipeBody::hashes`].
    pub fn push_page(&mut self, page: u32, place: PagePlace) {
        match self.runs.last_mut() {
            Some(run) if run.follows(page, place) => run.pages += 1,
            _ => self.runs.push(PageRun { page, pages: 1, place }),
        }
    }
}

impl PageRun {
    fn follows(&self, page: u32, place: PagePlace) -> bool {
        self.page + self.pages == page
            && self.place.extent == place.extent
            && self.place.slot + self.pages == place.slot
    }
}

/// What stands under a recipe's id where the recipe is too large for one chunk: its length and the
/// chunks that hold it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeParts {
    /// Length of the recipe in bytes.
    pub bytes: usize,
    /// Its parts, each [`RECIPE_PART_BYTES`] but the last.
    pub parts: Vec<ChunkId>,
}

impl RecipeParts {
    /// The bytes of the list.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, IN_PARTS];
        push_varint(&mut out, self.bytes as u64);
        self.parts.iter().for_each(|id| out.extend_from_slice(&id.0));
        out
    }

    /// Reads what [`RecipeParts::encode`] wrote; nothing where the bytes are a recipe themselves.
    pub fn decode(bytes: &[u8]) -> Result<Option<RecipeParts>, Truncated> {
        let Some(rest) = bytes.strip_prefix(&[VERSION, IN_PARTS]) else { return Ok(None) };
        let mut at = Bytes(rest);
        let bytes = at.length(RECIPE_BYTES_MAX)?;
        let ids = at.take(bytes.div_ceil(RECIPE_PART_BYTES) * 32)?;
        if !at.is_empty() {
            return Err(Truncated);
        }
        Ok(Some(RecipeParts {
            bytes,
            parts: ids.as_chunks().0.iter().map(|id| ChunkId(*id)).collect(),
        }))
    }
}

#[cfg(test)]
#[path = "recipe_tests.rs"]
mod tests;
