//! All that the index knows, gone through: packs, their extents, every chunk.

use std::collections::HashSet;
use std::sync::PoisonError;

use redb::ReadableTable;

use crate::chunk::ChunkId;

use super::Error;
use super::extent_row::ExtentRow;
use super::index::{ChunkPlace, Index};
use super::index_file::decode_extent;
use super::place::decode_place;
use super::trailer::{ChunkRow, PackTrailer};

impl Index {
    /// Every extent of every pack that is there: for statistics.
    pub fn for_each_extent(&self, mut each: impl FnMut(&ExtentRow)) -> Result<(), Error> {
        let here: HashSet<_> = self.packs()?.into_iter().map(|(number, _)| number).collect();
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        for pack in packs.values().filter_map(|pack| pack.extents.as_ref()) {
            pack.iter().for_each(&mut each);
        }
        if let Some(base) = &self.base {
            let mut rows = self.ask(|| base.extents.iter())?;
            while let Some((pack, row)) = self.ask(|| {
                rows.next()
                    .transpose()
                    .map(|row| row.map(|(key, row)| (key.value().0, decode_extent(&row.value()))))
            })? {
                if here.contains(&pack) {
                    row.iter().for_each(&mut each);
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with every chunk that is in a pack, and its place: those of the index file in
    /// the order of their ids, then those of packs that the file does not know. A chunk that
    /// several packs hold comes once, with the place that counts.
    pub fn for_each_chunk(
        &self,
        mut each: impl FnMut(&ChunkId, ChunkPlace) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let spilled = |source| self.spilled("read in", source);
        if let Some(base) = &self.base {
            let here: HashSet<_> = self.packs()?.into_iter().map(|(number, _)| number).collect();
            let has_fresh = !self.fresh.is_empty();
            let mut rows = self.ask(|| base.chunks.iter())?;
            while let Some((id, place)) = self.ask(|| {
                rows.next().transpose().map(|row| {
                    row.map(|(id, place)| (ChunkId(id.value()), decode_place(&place.value())))
                })
            })? {
                if here.contains(&place.pack)
                    && !(has_fresh && self.fresh.contains(&id).map_err(spilled)?)
                {
                    each(
                        &id,
                        ChunkPlace {
                            pack: place.pack,
                            extent: place.extent,
                            offset: place.offset,
                            len: place.len,
                        },
                    )?;
                }
            }
        }
        let mut failure = None;
        let outcome = self.fresh.for_each(|id, place| {
            each(
                id,
                ChunkPlace {
                    pack: place.pack,
                    extent: place.extent,
                    offset: place.offset,
                    len: place.len,
                },
            )
            .map_err(|error| {
                failure = Some(error);
                std::io::ErrorKind::Other.into()
            })
        });
        match failure {
            Some(error) => Err(error),
            None => outcome.map_err(spilled),
        }
    }

    /// The packs that are there, by the numbers that this index gives them.
    pub fn packs(&self) -> Result<Vec<(u32, [u8; 16])>, Error> {
        let mut found = match &self.base {
            Some(base) => self.ask(|| {
                base.packs
                    .iter()?
                    .map(|row| row.map(|(number, id)| (number.value(), id.value())))
                    .collect::<Result<Vec<_>, _>>()
            })?,
            None => Vec::new(),
        };
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        found.extend(
            packs
                .iter()
                .filter(|(_, pack)| pack.extents.is_some())
                .map(|(number, pack)| (*number, pack.id)),
        );
        found.sort_unstable();
        Ok(found)
    }

    /// A pack's table of contents as the index knows it, where the pack's own cannot be read:
    /// without chunks that other packs hold too.
    pub fn trailer_of(&self, id: &[u8; 16]) -> Result<Option<PackTrailer>, Error> {
        let Some((number, _)) = self.packs()?.into_iter().find(|(_, known)| known == id) else {
            return Ok(None);
        };
        let mut trailer =
            PackTrailer { pack: *id, extents: self.extents_of(number)?, chunks: Vec::new() };
        let mut ids = Vec::new();
        self.for_each_chunk(|id, place| {
            if place.pack == number {
                ids.push(*id);
            }
            Ok(())
        })?;
        for id in ids {
            if let Some(found) = self.locate(&id)? {
                trailer.chunks.push(ChunkRow {
                    id,
                    extent: found.extent,
                    offset: found.offset,
                    len: found.len,
                });
            }
        }
        trailer.chunks.sort_unstable_by_key(|chunk| (chunk.extent, chunk.offset));
        Ok(Some(trailer))
    }

    /// Packs that a prune gave up and left behind when it was cut off.
    pub fn condemned(&self) -> Vec<[u8; 16]> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        packs.values().filter(|pack| pack.is_condemned).map(|pack| pack.id).collect()
    }

    /// The extents of a pack, by the number that this index gives it.
    pub fn extents_of(&self, number: u32) -> Result<Vec<ExtentRow>, Error> {
        let packs = self.packs.read().unwrap_or_else(PoisonError::into_inner);
        let extents = packs.get(&number).and_then(|pack| pack.extents.as_ref());
        let (None, Some(base)) = (extents, &self.base) else {
            return Ok(extents.cloned().unwrap_or_default());
        };
        self.ask(|| {
            let mut rows = Vec::new();
            for row in base.extents.range((number, 0)..=(number, u32::MAX))? {
                rows.extend(decode_extent(&row?.1.value()));
            }
            Ok(rows)
        })
    }
}
