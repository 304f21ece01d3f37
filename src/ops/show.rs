//! `show`: one snapshot, and what it alone keeps in the repository.

use std::collections::HashSet;

use crate::chunk::ChunkId;
use crate::manifest::{Catalog, Content, Entry, Kind, SnapshotId, Xattrs, leaves, read_leaf};
use crate::store::{ChunkReader, Index, IndexMode, Repository};

use super::Error;
use super::content::list_pieces;
use super::databases::{DatabaseCost, costs_of, stored_bytes};
use super::select::categories;

/// What is shown beside the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Stored bytes of content that no other snapshot uses: what deleting it, and pruning, would free at most.
    pub unique_stored: u64,
    /// Its databases, and what each added since the snapshot of the same source before.
    pub databases: Vec<DatabaseCost>,
}

/// Finds out what a snapshot alone keeps. Reads the manifests' leaves that other snapshots do not share with it.
pub fn show(repository: &Repository, catalog: &Catalog, id: SnapshotId) -> Result<Shown, Error> {
    let index = Index::open(repository, IndexMode::Use)?;
    let mut reader = ChunkReader::new(repository, &index);
    let (mut own, mut others) = (HashSet::new(), HashSet::new());
    for (other, record) in &catalog.snapshots {
        let set = if *other == id { &mut own } else { &mut others };
        for (_, category) in categories(record) {
            let below = leaves(&mut reader, category.manifest)?;
            if below.is_empty() {
                set.insert(category.manifest);
            } else {
                set.extend(below.into_iter().map(|child| child.id));
            }
        }
    }
    // Chunks of leaves that it alone has, less those that other snapshots' own leaves name as well.
    let mut unique = HashSet::new();
    for leaf in own.difference(&others) {
        each_chunk_of_leaf(&mut reader, leaf, |chunk| unique.extend([chunk]))?;
        unique.insert(*leaf);
    }
    if !unique.is_empty() {
        for leaf in &others {
            each_chunk_of_leaf(&mut reader, leaf, |chunk| forget(&mut unique, &chunk))?;
        }
        for leaf in own.intersection(&others) {
            each_chunk_of_leaf(&mut reader, leaf, |chunk| forget(&mut unique, &chunk))?;
        }
    }
    let databases = costs_of(&catalog.snapshots, id, &mut reader, &index)?;
    Ok(Shown { unique_stored: stored_bytes(unique, &index)?, databases })
}

fn forget(chunks: &mut HashSet<ChunkId>, chunk: &ChunkId) {
    chunks.remove(chunk);
}

fn each_chunk_of_leaf(reader: &mut ChunkReader<'_>, leaf: &ChunkId, mut each: impl FnMut(ChunkId)) -> Result<(), Error> {
    for entry in read_leaf(reader, leaf)? {
        each_chunk(reader, &entry, &mut each)?;
    }
    Ok(())
}

/// Every chunk that an entry needs.
fn each_chunk(reader: &mut ChunkReader<'_>, entry: &Entry, each: &mut impl FnMut(ChunkId)) -> Result<(), Error> {
    if let Xattrs::Chunk(id) = entry.xattrs {
        each(id);
    }
    let Kind::File { content, .. } = &entry.kind else { return Ok(()) };
    match content {
        Content::Listed(lists) => lists.iter().for_each(|id| each(*id)),
        Content::Pages(id) => {
            reader.recipe_chunks(id)?.into_iter().for_each(&mut *each);
            reader.recipe(id)?.live_extents().into_iter().for_each(|(extent, _)| each(extent));
        }
        Content::Pieces(_) => {}
    }
    list_pieces(reader, content, |_, piece| {
        if let crate::manifest::Piece::Chunk(id) = piece {
            each(id);
        }
        Ok(())
    })
}
