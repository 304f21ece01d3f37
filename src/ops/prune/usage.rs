//! How much of each pack is needed? One pass over the index, nothing else is read.

use std::collections::HashMap;

use crate::chunk::ChunkId;
use crate::store::{Index, Repository, pack_name};

use super::super::Error;
use super::super::reach::Reached;

/// A pack, and what of it is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackUsage {
    /// Its number in the index that it was counted with.
    pub number: u32,
    /// Its id.
    pub id: [u8; 16],
    /// Bytes of its file.
    pub bytes: u64,
    /// Stored bytes that nothing needs; a chunk's share of a compressed extent counts.
    pub unused: u64,
    /// Whether anything in it is needed.
    pub is_needed: bool,
    /// Whether it holds recipes, which must go before the pages that they lead to.
    pub holds_recipes: bool,
    /// Extents of pages of which few are needed, with the stored bytes that moving those would
    /// free.
    pub sparse: Vec<(ChunkId, u64)>,
}

/// Counts what of each pack is needed; and how many needed chunks were met.
pub fn usage(
    repository: &Repository,
    index: &Index,
    reached: &Reached,
) -> Result<(Vec<PackUsage>, u64), Error> {
    let mut found = 0;
    let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
    let sizes: HashMap<String, u64> =
        listed.into_iter().map(|file| (file.name, file.size_bytes)).collect();
    let mut packs = HashMap::new();
    for (number, id) in index.packs()? {
        let extents = index.extents_of(number)?;
        let usage = PackUsage {
            number,
            id,
            bytes: sizes.get(&pack_name(&id)).copied().unwrap_or_default(),
            holds_recipes: extents.iter().any(|extent| extent.kind.is_recipe()),
            ..PackUsage::default()
        };
        let live = vec![0u32; extents.len()];
        packs.insert(number, (usage, extents, live));
    }
    index.for_each_chunk(|id, place| {
        let Some((usage, extents, live)) = packs.get_mut(&place.pack) else { return Ok(()) };
        let (Some(row), Some(live)) =
            (extents.get(place.extent as usize), live.get_mut(place.extent as usize))
        else {
            return Ok(());
        };
        if let Some(slots) = reached.pages.get(id) {
            (usage.is_needed, found) = (true, found + 1);
            // Where many pages are needed the others stay: they cost less than moving all.
            *live = row.raw_bytes;
            if slots.is_sparse(row.raw_bytes) {
                let unused = row.raw_bytes - slots.live_bytes(row.raw_bytes);
                let stored = u64::from(unused) * u64::from(row.stored_bytes)
                    / u64::from(row.raw_bytes.max(1));
                usage.sparse.push((*id, stored));
                usage.unused += stored;
            }
        } else if reached.chunks.contains(id) {
            (usage.is_needed, found) = (true, found + 1);
            *live = live.saturating_add(place.len).min(row.raw_bytes);
        }
        Ok(())
    })?;
    let mut usages: Vec<PackUsage> = packs
        .into_values()
        .map(|(mut usage, extents, live)| {
            for (extent, live) in extents.iter().zip(live) {
                let unused = u64::from(extent.raw_bytes - live) * u64::from(extent.stored_bytes);
                usage.unused += unused / u64::from(extent.raw_bytes.max(1));
            }
            if !usage.is_needed {
                usage.unused = usage.bytes;
            }
            usage
        })
        .collect();
    usages.sort_unstable_by_key(|usage| usage.number);
    Ok((usages, found))
}
