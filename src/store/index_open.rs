//! How an index is opened: what its file says, held against the packs that are there.

use std::collections::{BTreeSet, HashSet};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU32, AtomicU64};

use redb::ReadableTableMetadata;

use super::extent_kind::ExtentKind;
use super::file_names::pack_folder;
use super::fresh::Fresh;
use super::guard::guarded;
use super::index::{Index, IndexMode};
use super::index_file::{KnownPacks, Opening, open_base};
use super::pack_names::{PackNames, folder_of, ids_in};
use super::place::Place;
use super::trailer::{PackTrailer, read_trailer};
use super::{Error, Repository, pack_id};

impl Index {
    /// Opens the index of a repository and reads the trailers of the packs that it does not know.
    pub fn open(repository: &Repository, mode: IndexMode) -> Result<Index, Error> {
        Index::open_without(repository, mode, &HashSet::new())
    }

    /// The same as if some packs were not there.
    pub fn open_without(
        repository: &Repository,
        mode: IndexMode,
        excluded: &HashSet<[u8; 16]>,
    ) -> Result<Index, Error> {
        let mut index = Index {
            base: None,
            is_busy: false,
            fresh: Fresh::new(repository.spill_folder()),
            packs: RwLock::default(),
            next: AtomicU32::new(0),
            names: PackNames::default(),
            backend: repository.shared_backend(),
            place: repository.index_place(),
            repository: repository.config().id.clone(),
            damaged: Vec::new(),
            trailers_read: 0,
            lost: Vec::new(),
            unplaced: AtomicU64::new(0),
        };
        let known =
            if mode == IndexMode::Rebuild { KnownPacks::default() } else { index.open_file() };
        index.names = if mode == IndexMode::Use && excluded.is_empty() {
            PackNames::since(
                &*index.backend,
                &known.marks,
                &known.condemned.iter().map(folder_of).collect(),
            )?
        } else {
            PackNames::all(&*index.backend, &known.marks)?
        };
        index.names.leave_out(excluded);
        let mut new = match guarded(|| index.compare(mode)) {
            Some(Ok(Some(new))) => new,
            // The file speaks of packs that are gone, or cannot be read: it is made anew from the
            // packs that are there.
            _ => {
                tracing::info!("the index file does not fit the packs, so all packs are read");
                index.base = None;
                if index.names.is_partial() {
                    index.names = PackNames::all(&*index.backend, &known.marks)?;
                }
                index.names.here.clone()
            }
        };
        for id in new.extract_if(|id| known.condemned.contains(id)) {
            let number = index.add_pack(id, false);
            if let Some(pack) = index.packs_mut().get_mut(&number) {
                (pack.is_condemned, pack.extents) = (true, None);
            }
        }
        // Only packs that the file does not know are looked at.
        for folder in new.iter().map(folder_of).collect::<BTreeSet<_>>() {
            for listed in repository.backend().list(&format!("{}/", pack_folder(folder)))? {
                let Some(id) = pack_id(&listed.name).filter(|id| new.contains(id)) else {
                    continue;
                };
                match read_trailer(repository.backend(), repository.sealer(), &listed, &id) {
                    Ok(trailer) => {
                        index.take_in(&trailer)?;
                        // A repository on a read-only disk is read all the same, with more memory.
                        crate::tolerate(index.spill());
                    }
                    Err(error) if error.is_damage() => index.damaged.push(error),
                    Err(error) => return Err(error),
                }
            }
        }
        tracing::debug!(trailers_read = index.trailers_read, "opened the index");
        Ok(index)
    }

    /// Opens the index file, if it can be used; what it says of the packs.
    fn open_file(&mut self) -> KnownPacks {
        let Some(place) = &self.place else { return KnownPacks::default() };
        match guarded(|| open_base(place, &self.repository)) {
            Some(Opening::Open(opened)) => {
                let (base, packs) = *opened;
                (self.base, self.next) = (Some(base), AtomicU32::new(packs.next));
                packs
            }
            opening => {
                self.is_busy = matches!(opening, Some(Opening::Busy));
                KnownPacks::default()
            }
        }
    }

    /// Holds the packs that are there against those of the index file: those that it does not know;
    /// nothing where it knows some that are gone, or contradicts itself.
    fn compare(
        &mut self,
        mode: IndexMode,
    ) -> Result<Option<HashSet<[u8; 16]>>, redb::StorageError> {
        let mut new = self.names.here.clone();
        let Some(base) = &self.base else { return Ok(Some(new)) };
        let mut lost = Vec::new();
        for folder in self.names.listed() {
            for row in base.ids.range(ids_in(folder))? {
                let (id, number) = row?;
                if !new.remove(&id.value()) {
                    lost.push(id.value());
                }
                // Else it is looked at when the pack is needed.
                if mode == IndexMode::UseAndList
                    && base
                        .packs
                        .get(number.value())?
                        .is_none_or(|known| known.value() != id.value())
                {
                    return Ok(None);
                }
            }
        }
        if mode == IndexMode::UseAndList && base.packs.len()? != base.ids.len()? {
            return Ok(None);
        }
        self.lost = lost;
        Ok(self.lost.is_empty().then_some(new))
    }

    fn take_in(&mut self, trailer: &PackTrailer) -> Result<(), Error> {
        self.trailers_read += 1;
        let number = self.add_pack(trailer.pack, false);
        for chunk in &trailer.chunks {
            let kind = trailer.extents.get(chunk.extent as usize).map(|extent| extent.kind);
            if kind.is_some_and(ExtentKind::is_recipe)
                && let Some(other) = self.locate(&chunk.id)?
                && !kind.is_some_and(|kind| kind.replaces(other.row.kind))
            {
                continue;
            }
            self.fresh.place(
                &chunk.id,
                Place { pack: number, extent: chunk.extent, offset: chunk.offset, len: chunk.len },
            );
        }
        if let Some(pack) = self.packs_mut().get_mut(&number) {
            pack.extents = Some(trailer.extents.clone());
        }
        Ok(())
    }
}
