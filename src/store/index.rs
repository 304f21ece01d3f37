//! Which extent holds a chunk? A redb file answers; it is a cache that heals from the packs'
//! trailers, never the only copy of anything.
//!
//! The file is open for reading while a command runs and for writing only for the moment of a
//! commit. Whatever is wrong with it (missing, damaged, another repository's, held by another
//! process), the trailers of the packs that it does not know are read instead, and the next commit
//! writes it anew.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::backend::Backend;
use crate::chunk::ChunkId;

use super::extent_row::ExtentRow;
use super::fresh::Fresh;
use super::guard::guarded;
use super::index_file::{Base, IndexPlace, Removal, decode_extent, write_all, write_index};
use super::known_pack::KnownPack;
use super::pack_names::PackNames;
use super::place::Place;
use super::place::decode_place;
use super::{Error, pack_name};

/// Where a chunk lies.
#[derive(Clone, Copy, Debug)]
pub struct Located {
    /// The pack's id.
    pub pack: [u8; 16],
    /// Number of the extent in the pack.
    pub extent: u32,
    /// The extent.
    pub row: ExtentRow,
    /// Offset of the chunk in the extent's plain bytes.
    pub offset: u32,
    /// Length of the chunk in bytes.
    pub len: u32,
}

/// Where a chunk lies, by the number of its pack in one index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// Number of the pack.
    pub pack: u32,
    /// Number of the extent in the pack.
    pub extent: u32,
    /// Offset of the chunk in the extent's plain bytes.
    pub offset: u32,
    /// Length of the chunk in bytes.
    pub len: u32,
}

impl From<Place> for ChunkPlace {
    fn from(Place { pack, extent, offset, len }: Place) -> ChunkPlace {
        ChunkPlace { pack, extent, offset, len }
    }
}

/// What the index is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexMode {
    /// Use what the index file holds, heal in memory.
    Use,
    /// The same, and list all packs, whatever the index file says of their folders: for who looks
    /// whether all is well.
    UseAndList,
    /// Take the index file for absent: all trailers are read.
    Rebuild,
}

/// Finds chunks, and takes the claims on those being written.
pub struct Index {
    pub(super) base: Option<Base>,
    /// Another process writes the index file.
    pub(super) is_busy: bool,
    pub(super) fresh: Fresh,
    /// Those that the index file does not know, and those of its own that were asked for.
    pub(super) packs: RwLock<HashMap<u32, KnownPack>>,
    /// The number of the next pack.
    pub(super) next: AtomicU32,
    pub(super) names: PackNames,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) place: Option<IndexPlace>,
    pub(super) repository: String,
    /// Packs whose trailers cannot be read, with the reason.
    pub(super) damaged: Vec<Error>,
    pub(super) trailers_read: usize,
    /// Packs that the index file knew and that are gone.
    pub(super) lost: Vec<[u8; 16]>,
    /// Chunks that were claimed and are in no pack yet.
    pub(super) unplaced: AtomicU64,
}

impl Index {
    /// Makes room in memory where too many chunks are new. Called by whoever writes packs.
    pub(super) fn spill(&self) -> Result<(), Error> {
        self.fresh.spill().map_err(|source| self.spilled("write to", source))
    }

    pub(super) fn spilled(&self, verb: &'static str, source: std::io::Error) -> Error {
        let path = self
            .place
            .as_ref()
            .and_then(|place| place.path.parent())
            .map(|root| root.join("tmp"))
            .unwrap_or_default();
        Error::Local { verb, path, source }
    }

    pub(super) fn packs_mut(&mut self) -> &mut HashMap<u32, KnownPack> {
        self.packs.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Packs that could not be taken in because they are damaged.
    pub fn damaged(&self) -> &[Error] {
        &self.damaged
    }

    /// How many packs were lost since the index file was written, or cannot be read.
    pub fn missing(&self) -> usize {
        self.lost.len() + self.damaged.len()
    }

    /// Packs that the index file knew and that are gone.
    pub fn lost(&self) -> &[[u8; 16]] {
        &self.lost
    }

    /// Whether the index file could be used.
    pub fn has_file(&self) -> bool {
        self.base.is_some()
    }

    /// Whether the index file could not be used because another process writes it.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// Whether all that was ever stored is known to be there: the index file was, and so is every
    /// pack that it names.
    pub fn is_sure(&self) -> bool {
        self.base.is_some() && self.missing() == 0
    }

    /// How many trailers were read at opening: packs that the index file did not know.
    pub fn trailers_read(&self) -> usize {
        self.trailers_read
    }

    /// Gives a pack a number that the index file does not know.
    pub(super) fn add_pack(&self, id: [u8; 16], is_written: bool) -> u32 {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        packs.insert(
            number,
            KnownPack { id, is_condemned: false, is_written, extents: Some(Vec::new()) },
        );
        number
    }

    /// Makes sure that a pack which the index file speaks of is known by its number.
    fn meet_pack(&self, base: &Base, number: u32) -> Result<(), Error> {
        if self.packs.read().unwrap_or_else(PoisonError::into_inner).contains_key(&number) {
            return Ok(());
        }
        let id = self.ask(|| {
            let Some(id) = base.packs.get(number)?.map(|id| id.value()) else {
                return Err(contradiction());
            };
            if base.ids.get(id)?.is_some_and(|known| known.value() == number) {
                Ok(id)
            } else {
                Err(contradiction())
            }
        })?;
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        packs.entry(number).or_insert(KnownPack {
            id,
            is_condemned: false,
            is_written: false,
            extents: None,
        });
        Ok(())
    }

    /// Tells of an extent that was just appended to a new pack.
    pub(super) fn add_extent(&self, pack: u32, row: ExtentRow, chunks: &[(ChunkId, u32)]) {
        let mut packs = self.packs.write().unwrap_or_else(PoisonError::into_inner);
        let Some(extents) = packs.get_mut(&pack).and_then(|known| known.extents.as_mut()) else {
            return;
        };
        extents.push(row);
        let (extent, mut offset) = (extents.len() as u32 - 1, 0);
        self.unplaced.fetch_sub(chunks.len() as u64, Ordering::Relaxed);
        for (id, len) in chunks {
            self.fresh.place(id, Place { pack, extent, offset, len: *len });
            offset += len;
        }
    }

    /// Claims a chunk for writing: true for the one caller who must store it, false where it is
    /// stored or being stored.
    pub fn claim(&self, id: &ChunkId) -> Result<bool, Error> {
        let is_first =
            !self.is_fresh(id)? && self.find_in_base(id)?.is_none() && self.fresh.claim(id);
        self.unplaced.fetch_add(u64::from(is_first), Ordering::Relaxed);
        Ok(is_first)
    }

    /// Claims a recipe that is known but leads nowhere, for a whole one that takes its place.
    pub fn claim_again(&self, id: &ChunkId) {
        self.fresh.claim_again(id);
        self.unplaced.fetch_add(1, Ordering::Relaxed);
    }

    /// How many chunks were claimed and are in no pack: none once everything was stored.
    pub fn unplaced(&self) -> u64 {
        self.unplaced.load(Ordering::Relaxed)
    }

    fn is_fresh(&self, id: &ChunkId) -> Result<bool, Error> {
        self.fresh.contains(id).map_err(|source| self.spilled("read in", source))
    }

    /// Whether the repository holds the chunk, or will.
    pub fn contains(&self, id: &ChunkId) -> Result<bool, Error> {
        Ok(self.is_fresh(id)? || self.find_in_base(id)?.is_some())
    }

    fn find_in_base(&self, id: &ChunkId) -> Result<Option<Place>, Error> {
        let Some(base) = &self.base else { return Ok(None) };
        let Some(place) =
            self.ask(|| Ok(base.chunks.get(&id.0)?.map(|value| decode_place(&value.value()))))?
        else {
            return Ok(None);
        };
        self.meet_pack(base, place.pack)?;
        Ok(Some(place))
    }

    /// Where a chunk lies; nothing where no pack holds it.
    pub fn locate(&self, id: &ChunkId) -> Result<Option<Located>, Error> {
        self.find(id)?.map_or(Ok(None), |place| self.located(place))
    }

    /// The same by the number of the pack: half the work.
    pub fn place_of(&self, id: &ChunkId) -> Result<Option<ChunkPlace>, Error> {
        Ok(self.find(id)?.map(ChunkPlace::from))
    }

    /// The same for chunks that the index file does not know, or knows otherwise.
    pub(super) fn fresh_place(&self, id: &ChunkId) -> Result<Option<ChunkPlace>, Error> {
        Ok(self
            .fresh
            .find(id)
            .map_err(|source| self.spilled("read in", source))?
            .map(ChunkPlace::from))
    }

    /// The first half of [`Index::locate`]: enough for who has the extent already.
    pub(super) fn find(&self, id: &ChunkId) -> Result<Option<Place>, Error> {
        match self.fresh.find(id).map_err(|source| self.spilled("read in", source))? {
            Some(place) => Ok(Some(place)),
            None => self.find_in_base(id),
        }
    }

    /// The other half: the pack and the extent of a place.
    pub(super) fn located(&self, place: Place) -> Result<Option<Located>, Error> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        let Some(pack) = packs.get(&place.pack) else { return Ok(None) };
        let row = match (&pack.extents, &self.base) {
            (Some(extents), _) => extents.get(place.extent as usize).copied(),
            (None, Some(base)) => self.ask(|| {
                Ok(base
                    .extents
                    .get(&(place.pack, place.extent))?
                    .and_then(|row| decode_extent(&row.value())))
            })?,
            (None, None) => None,
        };
        Ok(row.map(|row| Located {
            pack: pack.id,
            extent: place.extent,
            row,
            offset: place.offset,
            len: place.len,
        }))
    }

    /// Whether there is something to commit, though no pack is new: when all packs were listed.
    pub fn is_due(&self) -> bool {
        self.base.is_some() && self.names.is_due()
    }

    /// Writes what is new into the index file: one transaction, keys sorted. Where another process
    /// holds the file, it is left alone and the next opening heals it. True where the file now
    /// knows all.
    pub fn commit(self) -> Result<bool, Error> {
        let is_current = self.base.is_some()
            && self
                .packs
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .all(|pack| pack.extents.is_none());
        if is_current && !self.is_due() {
            Ok(true)
        } else {
            self.commit_without(&Removal::default())
        }
    }

    /// The same, after what is given up was taken out.
    pub fn commit_without(mut self, removal: &Removal) -> Result<bool, Error> {
        let Some(place) = self.place.clone() else { return Ok(false) };
        let packs = std::mem::take(self.packs_mut());
        let had_base = self.base.take().is_some();
        let written = guarded(|| {
            write_index(&place, had_base, |database| {
                let seen = (&self.names, &*self.backend);
                write_all((database, &self.repository), packs, &mut self.fresh, removal, seen)
            })
        });
        Ok(match written {
            Some(Ok(is_current)) => is_current,
            Some(Err(redb::Error::Io(_))) => false,
            Some(Err(_)) | None => {
                place.discard();
                false
            }
        })
    }

    /// Asks the index file. Where it is damaged it is taken away: the next opening asks the packs.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce() -> Result<T, redb::StorageError>,
    ) -> Result<T, Error> {
        let path = self.place.as_ref().map(|place| place.path.clone()).unwrap_or_default();
        match guarded(question) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(redb::StorageError::Io(source))) => {
                Err(Error::Local { verb: "read", path, source })
            }
            // A disk that failed once is asked no more: that is no damage either.
            Some(Err(redb::StorageError::PreviousIo)) => Err(Error::Local {
                verb: "read",
                path,
                source: std::io::Error::other("an earlier read of it failed"),
            }),
            Some(Err(_)) | None => {
                self.place.iter().for_each(IndexPlace::discard);
                Err(Error::IndexDamaged { path })
            }
        }
    }
}

/// The tables of the index file do not say the same.
fn contradiction() -> redb::StorageError {
    redb::StorageError::Corrupted("a pack's number and its id do not belong together".to_owned())
}

/// The name of a pack's file, for errors.
impl Located {
    /// Name of the file that holds the chunk.
    pub fn pack_name(&self) -> String {
        pack_name(&self.pack)
    }
}
