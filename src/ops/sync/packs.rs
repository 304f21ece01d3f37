//! The packs that a copy lacks, and how they come there: as they are, read back and proved.

use std::collections::{HashMap, HashSet};

use crate::backend::{Backend, Error as BackendError, Listed, Span};
use crate::progress::Phase;
use crate::store::{Error as StoreError, Index, Repository, pack_id, pack_name, parity_name};

use super::super::check::is_whole_pack;
use super::super::reach::Reached;
use super::super::{Error, Monitor};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 1 << 20;

/// The packs of what was reached that the copy does not have in others. Of recipes the very pack is
/// wanted: another recipe of the same database may stand too deep for those that are built on it.
pub(super) fn needed(
    source: &Repository,
    own: &Index,
    there: &Index,
    reached: &Reached,
) -> Result<Vec<Listed>, Error> {
    let ids: HashMap<u32, [u8; 16]> = own.packs()?.into_iter().collect();
    let has: HashSet<[u8; 16]> = there.packs()?.into_iter().map(|(_, id)| id).collect();
    let mut wanted: HashSet<[u8; 16]> = HashSet::new();
    own.for_each_chunk(|id, place| {
        let Some(pack) =
            ids.get(&place.pack).filter(|pack| !has.contains(*pack) && !wanted.contains(*pack))
        else {
            return Ok(());
        };
        if reached.needs(id) && (reached.recipes.contains_key(id) || !there.contains(id)?) {
            wanted.insert(*pack);
        }
        Ok(())
    })?;
    let listed = source.backend().list("packs/").map_err(StoreError::from)?;
    Ok(listed
        .into_iter()
        .filter(|file| pack_id(&file.name).is_some_and(|id| wanted.contains(&id)))
        .collect())
}

/// Copies packs with their parity.
pub(super) fn copy(
    source: &Repository,
    target: &Repository,
    packs: &[Listed],
    monitor: &Monitor,
) -> Result<(), Error> {
    monitor.progress.phase(
        Phase::Copy,
        packs.len() as u64,
        packs.iter().map(|pack| pack.size_bytes).sum(),
    );
    for pack in packs {
        let Some(id) = pack_id(&pack.name) else { continue };
        file(source, target, &pack.name, pack.size_bytes, monitor)?;
        if !is_whole_pack(target, &id, pack.size_bytes)? {
            target.backend().remove(&pack.name).map_err(StoreError::from)?;
            return Err(Error::Refused {
                what: format!(
                    "{} is damaged, in the repository or on the way to the copy, so it was not kept in the copy",
                    pack_name(&id)
                ),
                hint: "Run jellyvault check --read-data, then jellyvault repair, and sync again."
                    .to_owned(),
            });
        }
        let parity = parity_name(&id);
        match source.backend().size(&parity) {
            Ok(size) => file(source, target, &parity, size, monitor)?,
            Err(BackendError::Missing { .. }) => {}
            Err(error) => return Err(StoreError::from(error).into()),
        }
        monitor.progress.advance(1, pack.size_bytes);
    }
    Ok(target.backend().sync().map_err(StoreError::from)?)
}

/// Copies one file. It has its name only when it is all there.
fn file(
    source: &Repository,
    target: &Repository,
    name: &str,
    size: u64,
    monitor: &Monitor,
) -> Result<(), Error> {
    let (from, to): (&dyn Backend, &dyn Backend) = (source.backend(), target.backend());
    let mut new = to.create(name).map_err(StoreError::from)?;
    let mut at = 0;
    while at < size {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let len = PIECE_BYTES.min((size - at) as usize);
        let piece = from.read(name, Span::At { offset: at, len }).map_err(StoreError::from)?;
        at += piece.len() as u64;
        new.append(piece).map_err(StoreError::from)?;
    }
    Ok(new.finish().map_err(StoreError::from)?)
}
