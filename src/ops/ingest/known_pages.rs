//! Where does a page lie already? Pages of the databases that came before, and of those that this
//! capture stored a moment ago.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::chunk::{ChunkId, ChunkIdHasher, PageHash};
use crate::manifest::{Content, Entries, Kind};
use crate::store::{ChunkReader, Recipe};

use super::super::Error;

/// Most pages that are remembered; beyond them a page that moved is stored once more. Some 50 MiB.
const KNOWN_MAX: usize = 1_800_000;

/// Shared by all workers of a capture.
pub(in crate::ops) struct KnownPages {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// (number of the extent, slot)
    pages: HashMap<PageHash, (u32, u32), BuildHasherDefault<ChunkIdHasher>>,
    extents: Vec<ChunkId>,
    numbers: HashMap<ChunkId, u32>,
    /// Databases whose pages are in the map.
    loaded: HashSet<ChunkId>,
    /// Databases whose recipes this capture stores.
    stored: HashSet<ChunkId>,
    /// A manifest with the databases of an earlier snapshot, until they are needed.
    earlier: Option<ChunkId>,
}

impl KnownPages {
    /// Knows nothing yet; will look at the databases of the manifest `earlier` where pages turn up
    /// that are not in their own past.
    pub(in crate::ops) fn new(earlier: Option<ChunkId>) -> KnownPages {
        KnownPages { inner: Mutex::new(Inner { earlier, ..Inner::default() }) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a page lies: an extent and a slot in it.
    pub(in crate::ops) fn find(&self, hash: &PageHash) -> Option<(ChunkId, u32)> {
        let inner = self.inner();
        let (extent, slot) = inner.pages.get(hash)?;
        Some((*inner.extents.get(*extent as usize)?, *slot))
    }

    /// Remembers pages or groups that were just stored in an extent, with their slots.
    pub(in crate::ops) fn add_extent(
        &self,
        extent: ChunkId,
        pages: impl Iterator<Item = (PageHash, u32)>,
    ) {
        let mut inner = self.inner();
        for (hash, slot) in pages {
            inner.add(hash, extent, slot);
        }
    }

    /// Remembers all pages of a database whose extents the repository holds.
    pub(in crate::ops) fn add(
        &self,
        id: ChunkId,
        recipe: &Recipe,
        reader: &ChunkReader<'_>,
    ) -> Result<(), Error> {
        self.inner().load(id, recipe, reader)
    }

    /// Remembers the pages of all databases of the earlier snapshot; once.
    pub(in crate::ops) fn add_earlier(&self, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        let mut inner = self.inner();
        let Some(manifest) = inner.earlier.take() else { return Ok(()) };
        let mut ids = Vec::new();
        for entry in Entries::all(reader, manifest) {
            match entry.map(|entry| entry.kind) {
                Ok(Kind::File { content: Content::Pages(id), .. }) => ids.push(id),
                Ok(_) => {}
                // What cannot be read helps nobody; `check` names it.
                Err(error) if error.is_damage() => break,
                Err(error) => return Err(error.into()),
            }
        }
        for id in ids {
            if inner.loaded.contains(&id) {
                continue;
            }
            match reader.recipe(&id) {
                Ok(recipe) => inner.load(id, &recipe, reader)?,
                Err(error) if error.is_damage() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Notes that this capture stores the recipe of a database; false where it does already.
    pub(in crate::ops) fn store(&self, id: ChunkId) -> bool {
        self.inner().stored.insert(id)
    }

    /// Whether this capture stores the recipe of a database.
    pub(in crate::ops) fn is_stored(&self, id: &ChunkId) -> bool {
        self.inner().stored.contains(id)
    }
}

impl Inner {
    fn load(
        &mut self,
        id: ChunkId,
        recipe: &Recipe,
        reader: &ChunkReader<'_>,
    ) -> Result<(), Error> {
        if !self.loaded.insert(id) {
            return Ok(());
        }
        let mut present = Vec::with_capacity(recipe.extents.len());
        for extent in &recipe.extents {
            present.push(reader.contains(extent)?);
        }
        self.pages.reserve(recipe.hashes.len().min(KNOWN_MAX.saturating_sub(self.pages.len())));
        for (hash, place) in recipe.hashes.iter().zip(&recipe.places) {
            let number = place.extent as usize;
            if let (Some(extent), Some(true)) = (recipe.extents.get(number), present.get(number)) {
                self.add(*hash, *extent, place.slot);
            }
        }
        Ok(())
    }

    fn add(&mut self, hash: PageHash, extent: ChunkId, slot: u32) {
        if self.pages.len() >= KNOWN_MAX {
            return;
        }
        let extents = &mut self.extents;
        let number = *self.numbers.entry(extent).or_insert_with(|| {
            extents.push(extent);
            extents.len() as u32 - 1
        });
        self.pages.entry(hash).or_insert((number, slot));
    }
}
