//! Marks what snapshots reach, each node once however many snapshots share it.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{Content, Node, Piece, SnapshotId, SnapshotRecord, Xattrs, read_node};
use crate::store::{ChunkReader, Recipe, RecipeChain};

use super::super::content::list_pieces;
use super::super::{Error, Watch};
use super::{IdSet, LiveSlots, RecipeBodies};

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
}

impl Reached {
    /// Marks all that a snapshot needs.
    pub fn add(&mut self, (id, record): (&SnapshotId, &SnapshotRecord), reader: &mut ChunkReader<'_>, watch: Watch<'_>) -> Result<(), Error> {
        let unreadable = |name: &str, source: Error| match source {
            Error::Interrupted => source,
            source => Error::Unreadable { snapshot: super::super::ls::short(id), path: name.to_owned(), source: Box::new(source) },
        };
        for (name, category) in &record.categories {
            self.tree(category.manifest, reader, watch).map_err(|error| unreadable(name, error))?;
        }
        Ok(())
    }

    fn tree(&mut self, root: ChunkId, reader: &mut ChunkReader<'_>, watch: Watch<'_>) -> Result<(), Error> {
        let mut stack = vec![(root, None)];
        while let Some((id, level)) = stack.pop() {
            if !self.nodes.insert(id) {
                continue;
            }
            if watch.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            self.chunks.insert(&id);
            match read_node(reader, &id, level)? {
                Node::Inner { level, children } => stack.extend(children.iter().rev().map(|child| (child.id, Some(level - 1)))),
                Node::Leaf(entries) => {
                    for entry in entries {
                        if let Xattrs::Chunk(id) = entry.xattrs {
                            self.chunks.insert(&id);
                        }
                        if let Some(content) = entry.content() {
                            self.content(content, reader)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn content(&mut self, content: &Content, reader: &mut ChunkReader<'_>) -> Result<(), Error> {
        match content {
            Content::Pieces(pieces) => {
                for piece in pieces {
                    if let Piece::Chunk(id) = piece {
                        self.chunks.insert(id);
                    }
                }
                Ok(())
            }
            Content::Listed(lists) => {
                for list in lists {
                    if self.lists.insert(*list) {
                        self.chunks.insert(list);
                        list_pieces(reader, &Content::Listed(vec![*list]), |_, piece| {
                            if let Piece::Chunk(id) = piece {
                                self.chunks.insert(&id);
                            }
                            Ok(())
                        })?;
                    }
                }
                Ok(())
            }
            Content::Pages(id) => {
                if self.databases.insert(*id) {
                    let chain = self.bodies.chain(id, reader)?;
                    self.database(&chain);
                }
                Ok(())
            }
        }
    }

    fn database(&mut self, chain: &RecipeChain) {
        for chunk in &chain.chunks {
            self.chunks.insert(chunk);
        }
        for (id, body) in &chain.bodies {
            self.recipes.entry(*id).or_insert_with(|| body.extents.clone());
        }
        self.take_pages(&chain.recipe);
    }

    fn take_pages(&mut self, recipe: &Recipe) {
        let mut slots = vec![LiveSlots::new(recipe.page_bytes); recipe.extents.len()];
        for place in &recipe.places {
            if let Some(slots) = slots.get_mut(place.extent as usize) {
                slots.insert(place.slot);
            }
        }
        for (extent, slots) in recipe.extents.iter().zip(slots).filter(|(_, slots)| slots.iter().next().is_some()) {
            self.pages.entry(*extent).and_modify(|all| all.join(&slots)).or_insert(slots);
        }
    }

    /// Whether a chunk is needed, wholly or in part.
    pub fn needs(&self, id: &ChunkId) -> bool {
        self.chunks.contains(id) || self.pages.contains_key(id)
    }
}
