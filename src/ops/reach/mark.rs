//! Marks what snapshots reach, each node once however many snapshots share it.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{
    Content, Entry, Node, Piece, SnapshotId, SnapshotRecord, Xattrs, read_leaf, read_node,
    record_copy_id,
};
use crate::store::{ChunkReader, Index, KEPT_FOR_ALL, Recipe, RecipeBody, Repository};

use super::super::content::list_pieces;
use super::super::{Error, Monitor};
use super::{IdSet, LiveSlots, RecipeBodies, SlotUnit};

/// What was reached so far.
#[derive(Default)]
pub struct Reached {
    /// Chunks of content, nodes, lists, attributes, recipes and their parts: all but pages.
    pub chunks: IdSet,
    /// Extents of pages, each with the pages that are needed.
    pub pages: HashMap<ChunkId, LiveSlots>,
    /// Recipes, each with the extents that it names itself.
    pub recipes: HashMap<ChunkId, Vec<ChunkId>>,
    /// Nodes that were gone through. Exact: what is wrongly taken for seen would be lost.
    nodes: HashSet<ChunkId>,
    databases: HashSet<ChunkId>,
    lists: HashSet<ChunkId>,
    bodies: RecipeBodies,
    /// Of which snapshots all is marked.
    snapshots: Vec<SnapshotId>,
    /// The packs that were there then.
    packs: HashSet<[u8; 16]>,
}

/// Leaves that are decoded at once, shared out among the readers.
const LEAVES_AT_ONCE: usize = 512;
/// Fewer are not worth a thread.
const LEAVES_ALONE: usize = 16;
const READERS_MAX: usize = 4;

/// What the entries of leaves name.
#[derive(Default)]
struct Named {
    chunks: Vec<ChunkId>,
    lists: Vec<ChunkId>,
    databases: Vec<ChunkId>,
}

impl Named {
    fn of(leaves: &[ChunkId], reader: &mut ChunkReader<'_>) -> Result<Named, Error> {
        let mut named = Named::default();
        for leaf in leaves {
            named.take(read_leaf(reader, leaf)?);
        }
        Ok(named)
    }

    fn take(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if let Xattrs::Chunk(id) = entry.xattrs {
                self.chunks.push(id);
            }
            match entry.content() {
                Some(Content::Pieces(pieces)) => {
                    self.chunks.extend(pieces.iter().filter_map(piece_id))
                }
                Some(Content::Listed(lists)) => self.lists.extend(lists),
                Some(Content::Pages(id)) => self.databases.push(*id),
                None => {}
            }
        }
    }
}

fn piece_id(piece: &Piece) -> Option<ChunkId> {
    match piece {
        Piece::Chunk(id) => Some(*id),
        Piece::Hole(_) => None,
    }
}

impl Reached {
    /// Readers to mark with, one for each core, as long as what they keep is little.
    pub fn readers<'r>(repository: &'r Repository, index: &'r Index) -> Vec<ChunkReader<'r>> {
        let count = std::thread::available_parallelism().map_or(2, Into::into).min(READERS_MAX);
        (0..count).map(|_| ChunkReader::new(repository, index).keeping(KEPT_FOR_ALL)).collect()
    }

    /// Marks all that a snapshot needs. After an error what is marked is not all that is needed.
    pub fn add(
        &mut self,
        snapshot: &(SnapshotId, SnapshotRecord),
        readers: &mut [ChunkReader<'_>],
        monitor: &Monitor,
    ) -> Result<(), Error> {
        self.add_beyond(&Reached::default(), snapshot, readers, monitor)
    }

    /// Marks what a snapshot needs beyond what was reached already elsewhere; some of that may be
    /// marked too.
    pub fn add_beyond(
        &mut self,
        known: &Reached,
        (id, record): &(SnapshotId, SnapshotRecord),
        readers: &mut [ChunkReader<'_>],
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let unreadable = |name: &str, source: Error| match source {
            Error::Interrupted => source,
            source => Error::Unreadable {
                snapshot: super::super::ls::short(id),
                path: name.to_owned(),
                source: Box::new(source),
            },
        };
        for (name, category) in &record.categories {
            self.tree(known, category.manifest, readers, monitor)
                .map_err(|error| unreadable(name, error))?;
        }
        // The copy of its record. A snapshot that an older program took has none.
        if let Some(reader) = readers.first_mut() {
            let copy = record_copy_id(*id, record, reader.hashing())?;
            if reader.contains(&copy)? {
                self.chunks.insert(&copy);
            }
        }
        self.snapshots.push(*id);
        Ok(())
    }

    /// Notes which packs were there while all this was marked.
    pub fn note_packs(&mut self, index: &Index) -> Result<(), Error> {
        self.packs = index.packs()?.into_iter().map(|(_, id)| id).collect();
        Ok(())
    }

    /// Whether it still holds: it is of no other snapshots than these, and the packs are the same.
    /// Another prune may have moved what a database needs, and its recipe then leads to where
    /// nothing is marked.
    pub fn still_holds(
        &self,
        snapshots: &HashSet<SnapshotId>,
        index: &Index,
    ) -> Result<bool, Error> {
        let packs: HashSet<[u8; 16]> = index.packs()?.into_iter().map(|(_, id)| id).collect();
        Ok(packs == self.packs && self.snapshots.iter().all(|id| snapshots.contains(id)))
    }

    /// Marks a tree that no snapshot names.
    pub fn add_tree(
        &mut self,
        root: ChunkId,
        readers: &mut [ChunkReader<'_>],
        monitor: &Monitor,
    ) -> Result<(), Error> {
        self.tree(&Reached::default(), root, readers, monitor)
    }

    /// Marks a chunk of its own.
    pub fn add_chunk(&mut self, id: &ChunkId) {
        self.chunks.insert(id);
    }

    fn tree(
        &mut self,
        known: &Reached,
        root: ChunkId,
        readers: &mut [ChunkReader<'_>],
        monitor: &Monitor,
    ) -> Result<(), Error> {
        let mut stack = vec![(root, None)];
        let mut leaves = Vec::new();
        while let Some((id, level)) = stack.pop() {
            if known.nodes.contains(&id) || !self.nodes.insert(id) {
                continue;
            }
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            self.chunks.insert(&id);
            if level == Some(0) {
                leaves.push(id);
                if leaves.len() == LEAVES_AT_ONCE {
                    self.leaves(known, &std::mem::take(&mut leaves), readers)?;
                }
                continue;
            }
            let Some(reader) = readers.first_mut() else { continue };
            match read_node(reader, &id, level)? {
                Node::Inner { level, children } => {
                    stack.extend(children.iter().rev().map(|child| (child.id, Some(level - 1))))
                }
                Node::Leaf(entries) => {
                    let mut named = Named::default();
                    named.take(entries);
                    self.named(known, named, reader)?;
                }
            }
        }
        self.leaves(known, &leaves, readers)
    }

    fn leaves(
        &mut self,
        known: &Reached,
        leaves: &[ChunkId],
        readers: &mut [ChunkReader<'_>],
    ) -> Result<(), Error> {
        let share = leaves.len().div_ceil(readers.len().max(1)).max(LEAVES_ALONE);
        let read = std::thread::scope(|scope| {
            let mut parts = leaves.chunks(share).zip(readers.iter_mut());
            let own = parts.next();
            let helpers: Vec<_> =
                parts.map(|(part, reader)| scope.spawn(move || Named::of(part, reader))).collect();
            let own = own.map(|(part, reader)| Named::of(part, reader));
            let others = helpers.into_iter().map(|helper| {
                helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            own.into_iter().chain(others).collect::<Vec<_>>()
        });
        let Some(reader) = readers.first_mut() else { return Ok(()) };
        read.into_iter().try_for_each(|named| self.named(known, named?, reader))
    }

    fn named(
        &mut self,
        known: &Reached,
        named: Named,
        reader: &mut ChunkReader<'_>,
    ) -> Result<(), Error> {
        for chunk in &named.chunks {
            self.chunks.insert(chunk);
        }
        for list in named.lists {
            if !known.lists.contains(&list) && self.lists.insert(list) {
                self.chunks.insert(&list);
                list_pieces(reader, &Content::Listed(vec![list]), |_, piece| {
                    if let Piece::Chunk(id) = piece {
                        self.chunks.insert(&id);
                    }
                    Ok(())
                })?;
            }
        }
        for id in named.databases {
            if !known.databases.contains(&id) && self.databases.insert(id) {
                self.database(known, id, reader)?;
            }
        }
        Ok(())
    }

    fn database(
        &mut self,
        known: &Reached,
        id: ChunkId,
        reader: &mut ChunkReader<'_>,
    ) -> Result<(), Error> {
        let (body, chunks) = self.bodies.stored(&id, reader)?;
        for chunk in &chunks {
            self.chunks.insert(chunk);
        }
        self.recipes.entry(id).or_insert_with(|| body.extents.clone());
        // What a database has of one that is marked already is marked, too.
        if body.cells.is_some()
            && body.base.is_some_and(|base| {
                self.databases.contains(&base) || known.databases.contains(&base)
            })
        {
            self.take_groups(&body);
            return Ok(());
        }
        let chain = self.bodies.chain(&id, reader)?;
        for chunk in &chain.chunks {
            self.chunks.insert(chunk);
        }
        for (id, body, _) in &chain.bodies {
            self.recipes.entry(*id).or_insert_with(|| body.extents.clone());
        }
        self.take_pages(&chain.recipe);
        Ok(())
    }

    /// Marks the groups that a recipe tells of itself.
    fn take_groups(&mut self, body: &RecipeBody) {
        for (_, place, bytes, _) in body.told_groups() {
            let Some(extent) = body.extents.get(place.extent as usize) else { continue };
            let slots =
                self.pages.entry(*extent).or_insert_with(|| LiveSlots::new(SlotUnit::Groups));
            slots.add_group(place.slot, bytes);
        }
    }

    fn take_pages(&mut self, recipe: &Recipe) {
        let unit = if recipe.cells.is_some() {
            SlotUnit::Groups
        } else {
            SlotUnit::Pages(recipe.page_bytes)
        };
        let mut slots = vec![LiveSlots::new(unit); recipe.extents.len()];
        for (number, place) in recipe.places.iter().enumerate() {
            if let (Some(slots), Some((_, bytes))) =
                (slots.get_mut(place.extent as usize), recipe.span(number))
            {
                slots.insert(place.slot, bytes);
            }
        }
        for (extent, slots) in
            recipe.extents.iter().zip(slots).filter(|(_, slots)| !slots.is_empty())
        {
            self.pages.entry(*extent).and_modify(|all| all.join(&slots)).or_insert(slots);
        }
    }

    /// Whether a chunk is needed, wholly or in part.
    pub fn needs(&self, id: &ChunkId) -> bool {
        self.chunks.contains(id) || self.pages.contains_key(id)
    }
}

impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reached({} chunks, {} extents of pages)", self.chunks.len(), self.pages.len())
    }
}
