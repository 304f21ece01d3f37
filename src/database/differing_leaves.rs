//! The pages with rows in which two states of a table differ: known by the hashes of pages, or by
//! the groups of cells that they hold.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::chunk::PageHash;

use super::Error;
use super::btree::{self, Node};
use super::groups::{GroupSet, Groups};
use super::row_stream::{RowStream, mark};
use super::schema::{Database, Table};
use super::sides::Sides;

/// Leaves of a table.
#[derive(Default)]
pub(super) struct Leaves {
    /// Of the earlier state alone.
    pub(super) before: Vec<u32>,
    /// Of the later state alone.
    pub(super) after: Vec<u32>,
    /// Of both: (page before, page after).
    pub(super) same: Vec<(u32, u32)>,
    /// Where only rows in some groups of cells count: the groups of each state, and those that
    /// count.
    pub(super) only: Option<((Groups, Groups), Arc<GroupSet>)>,
}

impl Leaves {
    /// Their rows, of the earlier state and of the later one.
    pub(super) fn rows(&self) -> (RowStream<'_>, RowStream<'_>) {
        match &self.only {
            Some(((own, other), set)) => (
                RowStream::new(&self.before, Some((own.clone(), set.clone()))),
                RowStream::new(&self.after, Some((other.clone(), set.clone()))),
            ),
            None => (RowStream::new(&self.before, None), RowStream::new(&self.after, None)),
        }
    }
}

/// Pages of each state whose use is known.
pub(super) struct Seen {
    pub(super) before: Vec<bool>,
    pub(super) after: Vec<bool>,
}

impl Seen {
    /// Nothing is known of two databases yet.
    pub(super) fn none_of(before: &Database<'_>, after: &Database<'_>) -> Seen {
        Seen {
            before: vec![false; before.pages.count() as usize + 1],
            after: vec![false; after.pages.count() as usize + 1],
        }
    }

    /// The pages with rows in which a table differs.
    pub(super) fn differing(
        &mut self,
        before: &mut Database<'_>,
        after: &mut Database<'_>,
        sides: Sides<'_>,
    ) -> Result<Leaves, Error> {
        let (own, other) = match (sides.before, sides.after) {
            (Some(own), Some(other)) => (own, other),
            (Some(own), None) => {
                return Ok(Leaves {
                    before: pages_with_rows(before, own, &mut self.before)?,
                    ..Leaves::default()
                });
            }
            (None, Some(other)) => {
                return Ok(Leaves {
                    after: pages_with_rows(after, other, &mut self.after)?,
                    ..Leaves::default()
                });
            }
            (None, None) => return Ok(Leaves::default()),
        };
        let tree = btree::tree_pages(&mut after.pages, other.root, after.usable)?;
        let is_alike = before.usable == after.usable;
        let stands = |page: &u32| {
            before.pages.hash(*page).is_some()
                && before.pages.hash(*page) == after.pages.hash(*page)
        };
        if is_alike && own.root == other.root && tree.inner.iter().chain(&tree.leaves).all(stands) {
            // The tree leads to the same pages, and they stand where they stood: the earlier one
            // need not be walked.
            mark(&mut self.before, tree.inner.iter().chain(&tree.leaves).copied());
            mark(&mut self.after, tree.inner.iter().chain(&tree.leaves).copied());
            let same = tree.inner.into_iter().chain(tree.leaves).map(|page| (page, page)).collect();
            return Ok(Leaves { same, ..Leaves::default() });
        }
        let after_pages = pages_with_rows(after, other, &mut self.after)?;
        let before_pages = pages_with_rows(before, own, &mut self.before)?;
        let mut known: HashMap<PageHash, u32> = before_pages
            .iter()
            .filter_map(|page| Some((before.pages.hash(*page)?, *page)))
            .collect();
        let mut leaves = Leaves::default();
        for page in after_pages {
            match after
                .pages
                .hash(page)
                .filter(|_| is_alike && own.is_written_like(other))
                .and_then(|hash| known.remove(&hash))
            {
                Some(twin) => leaves.same.push((twin, page)),
                None => leaves.after.push(page),
            }
        }
        let same: HashSet<u32> = leaves.same.iter().map(|(page, _)| *page).collect();
        leaves.before = before_pages.into_iter().filter(|page| !same.contains(page)).collect();
        Ok(leaves)
    }

    /// The same by groups of cells: pages with rows in groups that one state alone has.
    pub(super) fn differing_groups(
        &mut self,
        before: &mut Database<'_>,
        after: &mut Database<'_>,
        sides: Sides<'_>,
        groups: &(Groups, Groups),
    ) -> Result<Leaves, Error> {
        let own = sides
            .before
            .map_or(Ok(Vec::new()), |table| pages_with_rows(before, table, &mut self.before))?;
        let other = sides
            .after
            .map_or(Ok(Vec::new()), |table| pages_with_rows(after, table, &mut self.after))?;
        let is_alike = matches!((sides.before, sides.after), (Some(own), Some(other)) if own.is_written_like(other));
        if !is_alike || before.usable != after.usable || before.encoding != after.encoding {
            return Ok(Leaves { before: own, after: other, ..Leaves::default() });
        }
        let (own_groups, other_groups) = (groups.0.of_pages(&own), groups.1.of_pages(&other));
        let mut differing: GroupSet =
            own_groups.symmetric_difference(&other_groups).copied().collect();
        groups.0.add_unknown(&own, &mut differing);
        groups.1.add_unknown(&other, &mut differing);
        if differing.is_empty() {
            return Ok(Leaves::default());
        }
        groups.0.add_beginnings(&own, &mut differing);
        groups.1.add_beginnings(&other, &mut differing);
        let (before, after) =
            (groups.0.pages_in(own, &differing), groups.1.pages_in(other, &differing));
        Ok(Leaves {
            before,
            after,
            only: Some((groups.clone(), Arc::new(differing))),
            ..Leaves::default()
        })
    }

    /// Overflow pages that both states have in the same place with other content, and that no row
    /// read so far is known to use.
    pub(super) fn changed_ends(
        &self,
        before: &mut Database<'_>,
        after: &mut Database<'_>,
    ) -> Result<HashSet<u32>, Error> {
        let (free_before, free_after) =
            (btree::free_pages(&mut before.pages)?, btree::free_pages(&mut after.pages)?);
        let unseen = |seen: &[bool], page: u32| !seen.get(page as usize).copied().unwrap_or(true);
        let changed = (2..=before.pages.count().min(after.pages.count())).filter(|page| {
            before.pages.hash(*page) != after.pages.hash(*page)
                && unseen(&self.before, *page)
                && unseen(&self.after, *page)
                && !free_before.contains(page)
                && !free_after.contains(page)
        });
        let changed: Vec<u32> = changed.collect();
        let mut ends = HashSet::new();
        let mut ahead = 0;
        for (at, page) in changed.iter().enumerate() {
            if at >= ahead {
                ahead = at + after.pages.read_ahead(changed.get(at..).unwrap_or_default())?;
            }
            // A page of a tree begins with 2, 5, 10 or 13; an overflow page with the number of the
            // next one, whose first byte is 0 up to 2²⁴ pages. Beyond that any page may be one.
            let first = after.pages.page(*page)?.first().copied().unwrap_or(0);
            if first == 0 || after.pages.count() >= 1 << 24 {
                ends.insert(*page);
            }
        }
        Ok(ends)
    }
}

/// The pages of a table that hold rows: its leaves; where the table is its own index, the inner
/// pages too.
fn pages_with_rows(
    database: &mut Database<'_>,
    table: &Table,
    seen: &mut [bool],
) -> Result<Vec<u32>, Error> {
    let tree = btree::tree_pages(&mut database.pages, table.root, database.usable)?;
    mark(seen, tree.inner.iter().chain(&tree.leaves).copied());
    let root = Node::open(&mut database.pages, table.root, database.usable)?;
    let is_index = root.kind.is_index();
    Ok(if is_index { [tree.inner, tree.leaves].concat() } else { tree.leaves })
}

/// Leaves that are the same on both sides, of which a row ends in one of these overflow pages.
pub(super) fn touched_leaves(
    after: &mut Database<'_>,
    same: &[(u32, u32)],
    ends: &HashSet<u32>,
) -> Result<Vec<(u32, u32)>, Error> {
    let mut touched = Vec::new();
    let numbers: Vec<u32> = same.iter().map(|(_, page)| *page).collect();
    let mut ahead = 0;
    for (at, pair) in same.iter().enumerate() {
        if at >= ahead {
            ahead = at + after.pages.read_ahead(numbers.get(at..).unwrap_or_default())?;
        }
        let node = Node::open(&mut after.pages, pair.1, after.usable)?;
        for cell in 0..node.cells() {
            if btree::chain_meets(&mut after.pages, &node.cell(cell)?, after.usable, ends)? {
                touched.push(*pair);
                break;
            }
        }
    }
    Ok(touched)
}
