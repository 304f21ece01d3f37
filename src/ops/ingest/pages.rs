//! A database's pages on their way into extents: those that are known stay where they are, new ones
//! are compressed together, and a recipe tells where each lies.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::chunk::{ChunkId, Hashing, PageHash};
use crate::limits::{PAGES_MAX, RECIPE_PART_BYTES};
use crate::progress::Interrupt;
use crate::store::{
    ChunkReader, ExtentBuilder, ExtentKind, Index, PAGES_EXTENT_BYTES, PagePlace, Recipe,
    RecipeParts, Repository,
};

use super::super::Error;
use super::draft::Draft;
use super::known_pages::KnownPages;
use super::packer::{ReadFailure, Sink};
use super::page_hashes::PageHashes;
use super::recipe_body::{body_of, whole};
use super::recipe_proof::{Proof, prove};

/// A database up to this size has its new pages in one extent, in bytes: apart they would compress
/// half as well again.
pub(in crate::ops) const SMALL_BYTES: u64 = 4 << 20;
/// So few new pages may be compressed with more care, in bytes …
pub(in crate::ops) const FEW_BYTES: usize = 1 << 20;
/// … at this zstd level, which takes some 20 ms for them.
pub(in crate::ops) const CAREFUL_LEVEL: i32 = 9;
/// New pages are gathered up to this many bytes and sorted by kind (tables, indexes): like beside
/// like compresses better.
pub(in crate::ops) const GATHER_BYTES: usize = 4 << 20;
/// How much is read at once, in bytes; a multiple of every page size.
const WINDOW_BYTES: usize = 1 << 20;
/// Pages that are new to the path itself, before other databases are looked at for them.
const STRANGE_MAX: usize = 64;

/// One worker's buffers for databases.
pub(in crate::ops) struct PagePacker {
    pub(in crate::ops) hashing: Hashing,
    pub(in crate::ops) compressor: zstd::bulk::Compressor<'static>,
    pub(in crate::ops) careful: zstd::bulk::Compressor<'static>,
    pub(in crate::ops) extent: ExtentBuilder,
    recipes: ExtentBuilder,
    /// What names of groups are salted with, where databases are kept as cells: from format 2 on.
    salt: Option<[u8; 16]>,
}

/// What became of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ops) struct StoredPages {
    /// Its identity.
    pub id: ChunkId,
    /// Its pages.
    pub pages: u64,
    /// Those that were stored; of cells, as many pages as their bytes would fill.
    pub new: u64,
}

/// What a database is captured against.
pub(in crate::ops) struct Past<'a> {
    /// Identity of the state that the parent snapshot holds.
    pub before: Option<ChunkId>,
    /// Pages of other databases, and of those that this capture stores.
    pub known: &'a KnownPages,
    /// Asked again and again whether to stop.
    pub interrupt: &'a Interrupt,
    /// Hashes of the pages of states, on this machine.
    pub page_hashes: &'a PageHashes,
}

/// New pages that wait for an extent.
#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    hashes: Vec<PageHash>,
    numbers: HashMap<PageHash, u32>,
    /// (page of the database, number here)
    waiting: Vec<(u32, u32)>,
}

impl PagePacker {
    pub(in crate::ops) fn new(repository: &Repository) -> Result<PagePacker, Error> {
        let compressor =
            |level| zstd::bulk::Compressor::new(level).map_err(crate::store::Error::Compress);
        let config = repository.config();
        let level = config.compression_level;
        Ok(PagePacker {
            hashing: repository.hashing(),
            salt: (config.format >= 2).then(|| config.salt()),
            compressor: compressor(level)?,
            careful: compressor(level.max(CAREFUL_LEVEL))?,
            extent: ExtentBuilder::new(ExtentKind::Pages),
            recipes: ExtentBuilder::new(ExtentKind::Recipe { depth: 0 }),
        })
    }

    /// Stores a database of whole pages. Nothing where it cannot be stored so and must be taken as
    /// bytes: it has too many pages, it shrinks while it is read, or the repository's recipe of
    /// this very state is damaged.
    pub(in crate::ops) fn store(
        &mut self,
        file: &File,
        (size, page_bytes): (u64, u32),
        past: &Past<'_>,
        index: &Index,
        reader: &mut ChunkReader<'_>,
        sink: Sink<'_>,
    ) -> Result<Option<StoredPages>, ReadFailure> {
        if size / u64::from(page_bytes) > PAGES_MAX as u64 {
            return Ok(None);
        }
        let base = self.base(past.before, page_bytes, reader)?;
        let placed = match self.salt {
            Some(salt) => {
                let old_pages = base
                    .as_ref()
                    .and_then(|(id, base)| past.page_hashes.read(id, base, &self.hashing));
                let base = base.as_ref().map(|(_, base)| base);
                self.place_groups(
                    file,
                    (size, page_bytes),
                    past,
                    (base, old_pages),
                    salt,
                    index,
                    reader,
                    sink,
                )?
                .map(|placed| (placed.draft, Some(placed.pages), placed.positions))
            }
            None => self
                .place_all(file, (size, page_bytes), past, base.as_ref(), index, reader, sink)?
                .map(|draft| (draft, None, None)),
        };
        let Some((draft, pages, positions)) = placed else { return Ok(None) };
        let recipe = draft.recipe;
        let id = self.hashing.database(page_bytes, pages.as_ref().unwrap_or(&recipe.hashes));
        if let Some(pages) = &pages {
            past.page_hashes.write(&id, pages, past.before);
        }
        let stored = StoredPages { id, pages: recipe.pages() as u64, new: draft.new };
        if past.known.is_stored(&id) {
            return Ok(Some(stored));
        }
        let is_known = index.contains(&id)?;
        let depth = if is_known { prove(&id, reader)? } else { None };
        match (is_known, depth) {
            (true, Some(Proof::Whole)) => return Ok(Some(stored)),
            // Of two recipes with the same depth none would surely count.
            (true, None | Some(Proof::Broken { depth: 0, .. })) => return Ok(None),
            // What builds on a recipe of pages cannot build on one of cells.
            (true, Some(Proof::Broken { has_cells, .. }))
                if has_cells != recipe.cells.is_some() =>
            {
                return Ok(None);
            }
            _ => {}
        }
        let body =
            if is_known { whole(&recipe)? } else { body_of(&recipe, base, positions, reader)? };
        let bytes = body.encode();
        // A reader would refuse it: kept as bytes.
        if !body.is_readable(bytes.len()) {
            return Ok(None);
        }
        if past.known.store(id) {
            if is_known {
                index.claim_again(&id);
            } else if !index.claim(&id)? {
                return Ok(None);
            }
            self.store_recipe(id, bytes, body.depth, index, sink)?;
        }
        Ok(Some(stored))
    }

    /// The recipe of the state before, if it can be used.
    fn base(
        &self,
        before: Option<ChunkId>,
        page_bytes: u32,
        reader: &mut ChunkReader<'_>,
    ) -> Result<Option<(ChunkId, Recipe)>, Error> {
        let Some(id) = before else { return Ok(None) };
        match reader.recipe(&id) {
            Ok(recipe)
                if recipe.page_bytes == page_bytes
                    && recipe.cells.is_some() == self.salt.is_some() =>
            {
                Ok(Some((id, recipe)))
            }
            Ok(_) => Ok(None),
            // A damaged past is no past: the pages are stored anew.
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one database's facts and where its parts go")]
    fn place_all(
        &mut self,
        file: &File,
        (size, page_bytes): (u64, u32),
        past: &Past<'_>,
        base: Option<&(ChunkId, Recipe)>,
        index: &Index,
        reader: &mut ChunkReader<'_>,
        sink: Sink<'_>,
    ) -> Result<Option<Draft>, ReadFailure> {
        let count = (size / u64::from(page_bytes)) as usize;
        let mut draft = Draft::new(page_bytes);
        draft.recipe.hashes.reserve_exact(count);
        draft.recipe.places.reserve_exact(count);
        let mut present = Vec::new();
        if let Some((_, base)) = base {
            present = draft.build_on(base, index).map_err(Error::from)?;
        }
        let mut gathered = Gathered::default();
        let mut strange = 0;
        let mut window = vec![0; WINDOW_BYTES.min(size as usize)];
        let mut at = 0;
        while at < size {
            let len = (size - at).min(WINDOW_BYTES as u64) as usize;
            window.truncate(len);
            if past.interrupt.is_raised() {
                return Err(Error::Interrupted.into());
            }
            match file.read_exact_at(&mut window, at) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            at += len as u64;
            for bytes in window.chunks_exact(page_bytes as usize) {
                let page = draft.recipe.hashes.len();
                let hash = self.hashing.page(bytes);
                draft.recipe.hashes.push(hash);
                if let Some((_, base)) = base
                    && base.hashes.get(page) == Some(&hash)
                    && let Some(place) = base
                        .places
                        .get(page)
                        .filter(|place| present.get(place.extent as usize) == Some(&true))
                {
                    draft.recipe.places.push(*place);
                    continue;
                }
                strange += 1;
                if strange == 1
                    && let Some((id, base)) = base
                {
                    past.known.add(*id, base, reader)?;
                }
                if strange == STRANGE_MAX || (strange == 1 && base.is_none()) {
                    past.known.add_earlier(reader)?;
                }
                if let Some((extent, slot)) = past.known.find(&hash) {
                    let extent = draft.number_of(extent);
                    draft.recipe.places.push(PagePlace { extent, slot });
                    continue;
                }
                draft.recipe.places.push(PagePlace::default());
                gathered.push(page as u32, hash, bytes);
            }
            if gathered.bytes.len() >= GATHER_BYTES {
                self.store_gathered(&mut gathered, &mut draft, past.known, index, sink)?;
            }
        }
        self.store_gathered(&mut gathered, &mut draft, past.known, index, sink)?;
        Ok(Some(draft))
    }

    /// Puts the gathered pages into extents, like beside like.
    fn store_gathered(
        &mut self,
        gathered: &mut Gathered,
        draft: &mut Draft,
        known: &KnownPages,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        let size = draft.recipe.page_bytes as usize;
        let mut order: Vec<(u32, &[u8])> = (0..).zip(gathered.bytes.chunks_exact(size)).collect();
        // A page's first byte is its kind (SQLite file format, 1.6).
        order.sort_by_key(|(_, page)| page.first().copied());
        let is_small = size as u64 * draft.recipe.hashes.capacity() as u64 <= SMALL_BYTES;
        let is_few = draft.new == 0 && gathered.bytes.len() <= FEW_BYTES;
        draft.new += order.len() as u64;
        let mut places = vec![PagePlace::default(); order.len()];
        for row in
            order.chunks(if is_small { SMALL_BYTES as usize } else { PAGES_EXTENT_BYTES } / size)
        {
            let bytes = row.iter().map(|(_, page)| *page).collect::<Vec<_>>().concat();
            let id = self.hashing.id(&bytes);
            let extent = draft.number_of(id);
            for (slot, (number, _)) in (0..).zip(row) {
                if let Some(place) = places.get_mut(*number as usize) {
                    *place = PagePlace { extent, slot };
                }
            }
            if index.claim(&id)? {
                self.extent.push(id, &bytes);
                let compressor =
                    if is_small || is_few { &mut self.careful } else { &mut self.compressor };
                if let Some(extent) = self.extent.fill(Some(compressor))? {
                    sink(extent)?;
                }
            }
            known.add_extent(
                id,
                row.iter()
                    .filter_map(|(number, _)| gathered.hashes.get(*number as usize).copied())
                    .zip(0..),
            );
        }
        for (page, number) in &gathered.waiting {
            if let (Some(slot), Some(place)) =
                (draft.recipe.places.get_mut(*page as usize), places.get(*number as usize))
            {
                *slot = *place;
            }
        }
        *gathered = Gathered::default();
        Ok(())
    }

    /// Stores a recipe that was claimed.
    fn store_recipe(
        &mut self,
        id: ChunkId,
        mut bytes: Vec<u8>,
        depth: u8,
        index: &Index,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        if bytes.len() > RECIPE_PART_BYTES {
            let mut parts = RecipeParts { bytes: bytes.len(), parts: Vec::new() };
            for part in bytes.chunks(RECIPE_PART_BYTES) {
                let part_id = self.hashing.id(part);
                parts.parts.push(part_id);
                if index.claim(&part_id)? {
                    self.push_recipe(part_id, part, 0, sink)?;
                }
            }
            bytes = parts.encode();
        }
        self.push_recipe(id, &bytes, depth, sink)
    }

    fn push_recipe(
        &mut self,
        id: ChunkId,
        bytes: &[u8],
        depth: u8,
        sink: Sink<'_>,
    ) -> Result<(), Error> {
        self.recipes.kind = ExtentKind::Recipe { depth };
        self.recipes.push(id, bytes);
        match self.recipes.fill(Some(&mut self.compressor))? {
            Some(extent) => sink(extent),
            None => Ok(()),
        }
    }
}

impl Gathered {
    fn push(&mut self, page: u32, hash: PageHash, bytes: &[u8]) {
        let next = self.hashes.len() as u32;
        let number = *self.numbers.entry(hash).or_insert(next);
        if number == next {
            self.hashes.push(hash);
            self.bytes.extend_from_slice(bytes);
        }
        self.waiting.push((page, number));
    }
}
