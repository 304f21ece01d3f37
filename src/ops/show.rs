//! `show`: one snapshot, and what it alone keeps in the repository.

use std::collections::HashSet;

use crate::chunk::ChunkId;
use crate::manifest::{Catalog, Content, Piece, SnapshotId, Xattrs, leaves, read_leaf};
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::content::list_pieces;
use super::databases::{DatabaseCost, costs_of, databases_of, stored_bytes};
use super::reach::RecipeBodies;
use super::select::categories;

/// What is shown beside the record.
#[derive(Debug, Default)]
pub struct Shown {
    /// Stored bytes of content that no other snapshot uses: what deleting it, and pruning, would
    /// free at most.
    pub unique_stored: u64,
    /// Its databases, and what each added since the snapshot of the same source before.
    pub databases: Vec<DatabaseCost>,
    /// Why the rest is not known: part of the repository is damaged.
    pub damage: Option<Error>,
}

/// Finds out what a snapshot alone keeps. Reads the manifests' leaves that other snapshots do not
/// share with it.
pub fn show(repository: &Repository, catalog: &Catalog, id: SnapshotId) -> Result<Shown, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut shown = Shown::default();
    let found = find_unique(catalog, id, &mut reader).and_then(|unique| {
        shown.unique_stored = stored_bytes(unique, &index)?;
        shown.databases = costs_of(&catalog.snapshots, id, &mut reader, &index)?;
        Ok(())
    });
    match found {
        Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => shown.damage = Some(error),
        other => other?,
    }
    Ok(shown)
}

/// What an entry, or many, need.
#[derive(Default)]
struct Needed {
    chunks: HashSet<ChunkId>,
    databases: HashSet<ChunkId>,
}

fn find_unique(
    catalog: &Catalog,
    id: SnapshotId,
    reader: &mut ChunkReader<'_>,
) -> Result<HashSet<ChunkId>, Error> {
    let (mut own, mut others) = (HashSet::new(), HashSet::new());
    for (other, record) in &catalog.snapshots {
        let set = if *other == id { &mut own } else { &mut others };
        for (_, category) in categories(record) {
            let below = leaves(reader, category.manifest)?;
            if below.is_empty() {
                set.insert(category.manifest);
            } else {
                set.extend(below.into_iter().map(|child| child.id));
            }
        }
    }
    // What leaves that it alone has need, less what other leaves need as well.
    let mut unique = Needed::default();
    for leaf in own.difference(&others) {
        unique.take(leaf, reader)?;
        unique.chunks.insert(*leaf);
    }
    if unique.chunks.is_empty() {
        return Ok(unique.chunks);
    }
    let mut shared = Needed::default();
    for leaf in &others {
        shared.take(leaf, reader)?;
        unique.chunks.retain(|chunk| !shared.chunks.contains(chunk));
        shared.chunks.clear();
    }
    for leaf in own.intersection(&others) {
        shared.take(leaf, reader)?;
        unique.chunks.retain(|chunk| !shared.chunks.contains(chunk));
        shared.chunks.clear();
    }
    unique.databases.retain(|database| !shared.databases.contains(database));
    let extents = unique_extents(catalog, id, &unique.databases, reader)?;
    unique.chunks.extend(extents);
    Ok(unique.chunks)
}

/// Extents and recipes of databases that no other snapshot has. Neighbours in time share most: they
/// are asked first, and no more than it takes.
fn unique_extents(
    catalog: &Catalog,
    id: SnapshotId,
    databases: &HashSet<ChunkId>,
    reader: &mut ChunkReader<'_>,
) -> Result<HashSet<ChunkId>, Error> {
    let (mut extents, mut recipes) = (HashSet::new(), RecipeBodies::default());
    for database in databases {
        extents.extend(
            recipes
                .chain(database, reader)?
                .recipe
                .live_extents()
                .into_iter()
                .map(|(extent, _)| extent),
        );
    }
    let at = catalog.snapshots.iter().position(|(known, _)| *known == id).unwrap_or(0);
    let mut neighbours: Vec<_> =
        catalog.snapshots.iter().enumerate().filter(|(number, _)| *number != at).collect();
    neighbours.sort_by_key(|(number, _)| number.abs_diff(at));
    let mut asked = HashSet::new();
    for (_, (_, record)) in neighbours {
        if extents.is_empty() {
            break;
        }
        for (_, database) in databases_of(record, reader)? {
            if asked.insert(database) && recipes.may_need(&database, &extents, reader)? {
                for (extent, _) in recipes.chain(&database, reader)?.recipe.live_extents() {
                    extents.remove(&extent);
                }
            }
        }
    }
    extents.extend(databases);
    Ok(extents)
}

impl Needed {
    /// Adds what the entries of a leaf need.
    fn take(&mut self, leaf: &ChunkId, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        for entry in read_leaf(reader, leaf)? {
            if let Xattrs::Chunk(id) = entry.xattrs {
                self.chunks.insert(id);
            }
            match entry.content() {
                Some(Content::Pages(id)) => {
                    self.databases.insert(*id);
                }
                Some(Content::Listed(lists)) => self.chunks.extend(lists),
                Some(Content::Pieces(_)) | None => {}
            }
            if let Some(content) = entry.content() {
                list_pieces(reader, content, |_, piece| {
                    if let Piece::Chunk(id) = piece {
                        self.chunks.insert(id);
                    }
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}
