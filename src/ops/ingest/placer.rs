//! Finds a place for each group of a database's cells: where it is already, or in a new extent.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::chunk::{Hashing, PageHash};
use crate::limits::GROUPS_MAX;
use crate::store::cells::{Before, Cutter, Host, walk_after};
use crate::store::{ChunkReader, ExtentBuilder, GroupPositions, Index, PagePlace, Recipe};

use super::super::Error;
use super::draft::Draft;
use super::namer::{Batch, Namer};
use super::packer::{ReadFailure, Sink};
use super::pages::{FEW_BYTES, GATHER_BYTES, Past, SMALL_BYTES};

/// Groups that are new to the path itself, before other databases are looked at for them.
const STRANGE_GROUPS: usize = 4096;
/// Groups that writers put into one extent, in bytes: in half as many they compress by 3 % worse.
const GROUPS_EXTENT_BYTES: usize = 256 << 10;

/// New groups that wait for an extent.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    /// (hash, length)
    groups: Vec<(PageHash, u32)>,
    numbers: HashMap<PageHash, u32>,
    /// (group of the recipe, number here)
    waiting: Vec<(u32, u32)>,
}

/// Finds a place for each group.
pub(super) struct Placer<'p, 'r> {
    pub file: &'p File,
    pub page_bytes: usize,
    pub hashing: Hashing,
    pub namer: Namer,
    /// The hash of each page that was read.
    pub pages: Vec<Option<PageHash>>,
    pub cutter: Cutter,
    pub draft: Draft,
    pub lens: Vec<u32>,
    pub base: Option<&'p Recipe>,
    /// Which extents of the base are there.
    pub present: Vec<bool>,
    /// The group of the base that is expected next.
    pub next: usize,
    pub positions: Option<GroupPositions>,
    pub strange: usize,
    pub gathered: Gathered,
    pub is_small: bool,
    pub extent: &'p mut ExtentBuilder,
    pub compressor: &'p mut zstd::bulk::Compressor<'static>,
    pub careful: &'p mut zstd::bulk::Compressor<'static>,
    pub past: &'p Past<'p>,
    pub index: &'p Index,
    pub reader: &'p mut ChunkReader<'r>,
    pub sink: Sink<'p>,
}

/// Why it stopped.
pub(super) enum Stop {
    /// The file is not what it was a moment ago.
    Changed,
    /// It has more groups than a recipe may name.
    TooMany,
    Failed(ReadFailure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error.into())
    }
}

impl From<crate::store::Error> for Stop {
    fn from(error: crate::store::Error) -> Stop {
        Stop::Failed(Error::from(error).into())
    }
}

impl Host for Placer<'_, '_> {
    type Error = Stop;

    fn page(&mut self, number: u32, out: &mut Vec<u8>) -> Result<(), Stop> {
        if self.past.interrupt.is_raised() {
            return Err(Error::Interrupted.into());
        }
        out.resize(self.page_bytes, 0);
        let at = number as usize - 1;
        match self.file.read_exact_at(out, at as u64 * self.page_bytes as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Err(Stop::Changed);
            }
            Err(error) => return Err(Stop::Failed(error.into())),
        }
        self.namer.page(at as u32, out);
        match self.namer.turn_pages() {
            Some(batch) => self.place_all(batch),
            None => Ok(()),
        }
    }

    fn cell(&mut self, bytes: &[u8]) -> Result<bool, Stop> {
        self.namer.cell(bytes);
        let ends = self.cutter.take(bytes);
        if ends {
            self.boundary()?;
        }
        Ok(ends)
    }

    fn known(&mut self, group: usize) -> Result<(), Stop> {
        let cells = self.base.and_then(|base| base.cells.as_deref());
        let len = cells.and_then(|cells| cells.lens.get(group)).ok_or(Stop::Changed)?;
        let open = self.cutter.end().unwrap_or(0);
        self.namer.known(group, *len, open);
        Ok(())
    }

    fn resume(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.namer.cell(bytes);
        self.cutter.go_on(bytes.len());
        Ok(())
    }

    fn changed(&self) -> Stop {
        Stop::Changed
    }

    fn boundary(&mut self) -> Result<(), Stop> {
        let Some(len) = self.cutter.end() else { return Ok(()) };
        self.namer.end(len);
        match self.namer.turn() {
            Some(batch) => self.place_all(batch),
            None => Ok(()),
        }
    }
}

impl Placer<'_, '_> {
    /// Walks through the database; gives the shapes of its pages.
    pub(super) fn run(&mut self, count: usize, is_same: &[bool]) -> Result<Vec<u8>, Stop> {
        let mut first = Vec::new();
        self.page(1, &mut first)?;
        let (base, present) = (self.base, self.present.clone());
        let is_there = |group: usize| {
            base.and_then(|base| base.places.get(group))
                .is_some_and(|place| present.get(place.extent as usize) == Some(&true))
        };
        let is_same_page = |page: u32| is_same.get(page as usize - 1) == Some(&true);
        let cells = base.and_then(|base| base.cells.as_deref()).filter(|_| !is_same.is_empty());
        let before = cells.and_then(|cells| {
            Some(Before {
                shapes: cells.shapes().ok()?,
                starts: &cells.starts,
                is_same: &is_same_page,
                is_there: &is_there,
            })
        });
        let shapes = walk_after(self, &first, count as u32, before.as_ref())?;
        self.boundary()?;
        while let Some(batch) = self.namer.last() {
            self.place_all(batch)?;
        }
        self.store_gathered()?;
        Ok(shapes)
    }

    fn place_all(&mut self, batch: Batch) -> Result<(), Stop> {
        for (page, hash) in &batch.hashes {
            // Some pages are read twice; they must not change in between.
            match self.pages.get_mut(*page as usize) {
                Some(known) if known.is_none_or(|known| known == *hash) => *known = Some(*hash),
                _ => return Err(Stop::Changed),
            }
        }
        let mut rest = batch.groups.as_slice();
        for ((len, name), known) in batch.lens.iter().zip(&batch.names).zip(&batch.known) {
            if let Some(known) = known {
                self.place_known(*known as usize, *len)?;
                continue;
            }
            let (group, behind) = rest.split_at(rest.len().min(*len as usize));
            self.place(*name, group)?;
            rest = behind;
        }
        self.namer.reuse(batch);
        Ok(())
    }

    fn place(&mut self, hash: PageHash, group: &[u8]) -> Result<(), Stop> {
        let number = self.lens.len();
        if number >= GROUPS_MAX {
            return Err(Stop::TooMany);
        }
        self.lens.push(group.len() as u32);
        self.draft.recipe.hashes.push(hash);
        let place = match self.in_base(&hash) {
            Some(place) => Some(place),
            None => self.elsewhere(&hash)?,
        };
        self.draft.recipe.places.push(place.unwrap_or_default());
        if place.is_none() {
            self.gathered.push(number as u32, hash, group);
            if self.gathered.bytes.len() >= GATHER_BYTES {
                self.store_gathered()?;
            }
        }
        Ok(())
    }

    /// A group of the base that was not looked at.
    fn place_known(&mut self, group: usize, len: u32) -> Result<(), Stop> {
        let known =
            self.base.and_then(|base| Some((*base.hashes.get(group)?, *base.places.get(group)?)));
        let (hash, place) = known.ok_or(Stop::Changed)?;
        if self.lens.len() >= GROUPS_MAX {
            return Err(Stop::TooMany);
        }
        self.lens.push(len);
        self.draft.recipe.hashes.push(hash);
        self.draft.recipe.places.push(place);
        self.next = group + 1;
        Ok(())
    }

    /// The place of a group that the base has, which is most often the one behind the last.
    fn in_base(&mut self, hash: &PageHash) -> Option<PagePlace> {
        let base = self.base?;
        if base.hashes.get(self.next) != Some(hash) {
            let positions = self.positions.get_or_insert_with(|| GroupPositions::new(&base.hashes));
            let Some(position) = positions.find(&base.hashes, hash) else {
                // Probably one that takes the place of the next.
                self.next += 1;
                return None;
            };
            self.next = position as usize;
        }
        let place = *base.places.get(self.next)?;
        self.next += 1;
        (self.present.get(place.extent as usize) == Some(&true)).then_some(place)
    }

    /// The place of a group that other databases have.
    fn elsewhere(&mut self, hash: &PageHash) -> Result<Option<PagePlace>, Stop> {
        self.strange += 1;
        if self.strange == STRANGE_GROUPS || (self.strange == 1 && self.base.is_none()) {
            self.past.known.add_earlier(self.reader)?;
        }
        let found = self.past.known.find(hash);
        Ok(found.map(|(extent, slot)| PagePlace { extent: self.draft.number_of(extent), slot }))
    }

    /// Puts the gathered groups into extents.
    fn store_gathered(&mut self) -> Result<(), Stop> {
        let Gathered { bytes, groups, waiting, .. } = std::mem::take(&mut self.gathered);
        let is_few = self.draft.new == 0 && bytes.len() <= FEW_BYTES;
        let limit = if self.is_small { SMALL_BYTES as usize } else { GROUPS_EXTENT_BYTES };
        let level_is_careful = self.is_small || is_few;
        let mut places = Vec::with_capacity(groups.len());
        let (mut rest, mut groups_left) = (bytes.as_slice(), groups.as_slice());
        while !groups_left.is_empty() {
            let (mut count, mut len) = (0, 0);
            while let Some((_, bytes)) =
                groups_left.get(count).filter(|_| count == 0 || len < limit)
            {
                (count, len) = (count + 1, len + *bytes as usize);
            }
            let (own, behind) = groups_left.split_at(count);
            let (content, content_behind) = rest.split_at(len.min(rest.len()));
            (groups_left, rest) = (behind, content_behind);
            let id = self.hashing.id(content);
            let (extent, mut slot) = (self.draft.number_of(id), 0);
            let mut offsets = Vec::with_capacity(own.len());
            for (hash, len) in own {
                places.push(PagePlace { extent, slot });
                offsets.push((*hash, slot));
                slot += len;
            }
            if self.index.claim(&id)? {
                self.extent.push(id, content);
                let compressor =
                    if level_is_careful { &mut *self.careful } else { &mut *self.compressor };
                if let Some(extent) = self.extent.fill(Some(compressor)).map_err(Error::from)? {
                    (self.sink)(extent)?;
                }
            }
            self.past.known.add_extent(id, offsets.into_iter());
        }
        // The snapshot reports new pages: as many as the new groups would fill.
        self.draft.new += bytes.len().div_ceil(self.page_bytes) as u64;
        for (group, number) in waiting {
            if let (Some(slot), Some(place)) =
                (self.draft.recipe.places.get_mut(group as usize), places.get(number as usize))
            {
                *slot = *place;
            }
        }
        Ok(())
    }
}

impl Gathered {
    fn push(&mut self, group: u32, hash: PageHash, bytes: &[u8]) {
        let next = self.groups.len() as u32;
        let number = *self.numbers.entry(hash).or_insert(next);
        if number == next {
            self.groups.push((hash, bytes.len() as u32));
            self.bytes.extend_from_slice(bytes);
        }
        self.waiting.push((group, number));
    }
}
