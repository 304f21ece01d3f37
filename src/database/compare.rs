//! The rows in which two states differ. Leaves that both have are skipped unread; rows of the others are matched by number, then by key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::chunk::PageHash;

use super::Error;
use super::btree::{self, Node};
use super::groups::{GroupSet, Groups};
use super::key::{key_columns, same_keys};
use super::leftovers::{Leftovers, Side};
use super::record::{Row, same};
use super::row_stream::{RowStream, mark};
use super::schema::{Database, Table};
use super::sides::Sides;

/// A row that is not the same.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// It before, nothing where it was not there.
    pub before: Option<Row>,
    /// It after, nothing where it is gone.
    pub after: Option<Row>,
    /// Columns that both tables have and whose values differ: (number before, number after).
    pub changed: Vec<(usize, usize)>,
}

/// A table in which something differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableChange {
    /// Its name.
    pub name: String,
    /// Rows that are new.
    pub added: u64,
    /// Rows that are gone.
    pub removed: u64,
    /// Rows of which columns differ that both tables have.
    pub changed: u64,
    /// Columns that only the later table has.
    pub new_columns: Vec<String>,
    /// Columns that only the earlier table has.
    pub gone_columns: Vec<String>,
    /// Whether the earlier state has no such table.
    pub is_new: bool,
    /// Whether the later state has no such table.
    pub is_gone: bool,
}

/// What was compared.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// Tables in which something differs, by name.
    pub tables: Vec<TableChange>,
    /// Tables whose rows were read.
    pub tables_read: Vec<String>,
}

/// Compares two states; `each` is told every row that differs, table by table.
pub fn compare_databases<E: From<Error>>(
    before: &mut Database<'_>,
    after: &mut Database<'_>,
    mut each: impl FnMut(Sides<'_>, RowChange) -> Result<(), E>,
) -> Result<Compared, E> {
    let tables = (before.tables.clone(), after.tables.clone());
    let mut names: Vec<String> = tables.0.iter().chain(&tables.1).map(|table| table.name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let mut compared = Compared::default();
    let mut pass =
        Pass { seen: (vec![false; before.pages.count() as usize + 1], vec![false; after.pages.count() as usize + 1]), leftovers: Leftovers::default() };
    let groups = before.pages.prepare(&mut after.pages)?;
    let mut skipped = Vec::new();
    for name in &names {
        let has_name = |table: &&Arc<Table>| table.name.eq_ignore_ascii_case(name);
        let sides = Sides { before: tables.0.iter().find(has_name).map(Arc::as_ref), after: tables.1.iter().find(has_name).map(Arc::as_ref) };
        let mut change = describe(sides);
        let leaves = match &groups {
            Some(groups) => pass.differing_groups(before, after, sides, groups)?,
            None => pass.differing(before, after, sides)?,
        };
        if !(leaves.before.is_empty() && leaves.after.is_empty()) {
            compared.tables_read.push(change.name.clone());
            pass.compare(before, after, sides, &leaves, &mut change, &mut each)?;
        }
        if !leaves.same.is_empty() {
            skipped.push((sides, leaves.same, compared.tables.len()));
        }
        compared.tables.push(change);
    }
    // A row's end may lie in overflow pages, and may have changed there alone. Groups tell of that, or that it is not known.
    let ends = if groups.is_some() { HashSet::new() } else { pass.changed_ends(before, after)? };
    if !ends.is_empty() {
        for (sides, same, at) in skipped {
            let touched = touched_leaves(after, &same, &ends)?;
            let (before_leaves, after_leaves) = touched.into_iter().unzip();
            let leaves = Leaves { before: before_leaves, after: after_leaves, ..Leaves::default() };
            if let (Some(change), false) = (compared.tables.get_mut(at), leaves.after.is_empty()) {
                if !compared.tables_read.contains(&change.name) {
                    compared.tables_read.push(change.name.clone());
                }
                pass.compare(before, after, sides, &leaves, change, &mut each)?;
            }
        }
    }
    compared.tables.retain(|table| *table != TableChange { name: table.name.clone(), ..TableChange::default() });
    Ok(compared)
}

/// What of the tables themselves differs.
fn describe(sides: Sides<'_>) -> TableChange {
    let lacks =
        |own: &Table, other: &Table| own.columns.iter().filter(|column| other.column(&column.name).is_none()).map(|column| column.name.clone()).collect();
    let (new_columns, gone_columns) = match (sides.before, sides.after) {
        (Some(before), Some(after)) => (lacks(after, before), lacks(before, after)),
        _ => (Vec::new(), Vec::new()),
    };
    let name = sides.table().map(|table| table.name.clone()).unwrap_or_default();
    TableChange { name, new_columns, gone_columns, is_new: sides.before.is_none(), is_gone: sides.after.is_none(), ..TableChange::default() }
}

/// Leaves of a table.
#[derive(Default)]
struct Leaves {
    /// Of the earlier state alone.
    before: Vec<u32>,
    /// Of the later state alone.
    after: Vec<u32>,
    /// Of both: (page before, page after).
    same: Vec<(u32, u32)>,
    /// Where only rows in some groups of cells count: the groups of each state, and those that count.
    only: Option<((Groups, Groups), Arc<GroupSet>)>,
}

struct Pass {
    /// Pages whose use is known, of both sides.
    seen: (Vec<bool>, Vec<bool>),
    leftovers: Leftovers,
}

impl Pass {
    /// The pages with rows in which a table differs.
    fn differing(&mut self, before: &mut Database<'_>, after: &mut Database<'_>, sides: Sides<'_>) -> Result<Leaves, Error> {
        let (own, other) = match (sides.before, sides.after) {
            (Some(own), Some(other)) => (own, other),
            (Some(own), None) => return Ok(Leaves { before: pages_with_rows(before, own, &mut self.seen.0)?, ..Leaves::default() }),
            (None, Some(other)) => return Ok(Leaves { after: pages_with_rows(after, other, &mut self.seen.1)?, ..Leaves::default() }),
            (None, None) => return Ok(Leaves::default()),
        };
        let tree = btree::tree_pages(&mut after.pages, other.root, after.usable)?;
        let is_alike = before.usable == after.usable;
        let stands = |page: &u32| before.pages.hash(*page).is_some() && before.pages.hash(*page) == after.pages.hash(*page);
        if is_alike && own.root == other.root && tree.inner.iter().chain(&tree.leaves).all(stands) {
            // The tree leads to the same pages, and they stand where they stood: the earlier one need not be walked.
            mark(&mut self.seen.0, tree.inner.iter().chain(&tree.leaves).copied());
            mark(&mut self.seen.1, tree.inner.iter().chain(&tree.leaves).copied());
            let same = tree.inner.into_iter().chain(tree.leaves).map(|page| (page, page)).collect();
            return Ok(Leaves { same, ..Leaves::default() });
        }
        let after_pages = pages_with_rows(after, other, &mut self.seen.1)?;
        let before_pages = pages_with_rows(before, own, &mut self.seen.0)?;
        let mut known: HashMap<PageHash, u32> = before_pages.iter().filter_map(|page| Some((before.pages.hash(*page)?, *page))).collect();
        let mut leaves = Leaves::default();
        for page in after_pages {
            match after.pages.hash(page).filter(|_| is_alike && own.is_written_like(other)).and_then(|hash| known.remove(&hash)) {
                Some(twin) => leaves.same.push((twin, page)),
                None => leaves.after.push(page),
            }
        }
        let same: HashSet<u32> = leaves.same.iter().map(|(page, _)| *page).collect();
        leaves.before = before_pages.into_iter().filter(|page| !same.contains(page)).collect();
        Ok(leaves)
    }

    /// The same by groups of cells: pages with rows in groups that one state alone has.
    fn differing_groups(&mut self, before: &mut Database<'_>, after: &mut Database<'_>, sides: Sides<'_>, groups: &(Groups, Groups)) -> Result<Leaves, Error> {
        let own = sides.before.map_or(Ok(Vec::new()), |table| pages_with_rows(before, table, &mut self.seen.0))?;
        let other = sides.after.map_or(Ok(Vec::new()), |table| pages_with_rows(after, table, &mut self.seen.1))?;
        let is_alike = matches!((sides.before, sides.after), (Some(own), Some(other)) if own.is_written_like(other));
        if !is_alike || before.usable != after.usable || before.encoding != after.encoding {
            return Ok(Leaves { before: own, after: other, ..Leaves::default() });
        }
        let (own_groups, other_groups) = (groups.0.of_pages(&own), groups.1.of_pages(&other));
        let mut differing: GroupSet = own_groups.symmetric_difference(&other_groups).copied().collect();
        groups.0.add_unknown(&own, &mut differing);
        groups.1.add_unknown(&other, &mut differing);
        if differing.is_empty() {
            return Ok(Leaves::default());
        }
        groups.0.add_beginnings(&own, &mut differing);
        groups.1.add_beginnings(&other, &mut differing);
        let (before, after) = (groups.0.pages_in(own, &differing), groups.1.pages_in(other, &differing));
        Ok(Leaves { before, after, only: Some((groups.clone(), Arc::new(differing))), ..Leaves::default() })
    }

    fn compare<E: From<Error>>(
        &mut self,
        before: &mut Database<'_>,
        after: &mut Database<'_>,
        sides: Sides<'_>,
        leaves: &Leaves,
        change: &mut TableChange,
        each: &mut impl FnMut(Sides<'_>, RowChange) -> Result<(), E>,
    ) -> Result<(), E> {
        let pairs = column_pairs(sides);
        let key = key_columns(sides);
        let alike = matches!((sides.before, sides.after), (Some(own), Some(other)) if own.is_written_like(other)) && before.encoding == after.encoding;
        let mut tell = |gone: Option<Row>, came: Option<Row>| -> Result<(), E> {
            let changed = match (&gone, &came) {
                (Some(gone), Some(came)) => differing_columns(&pairs, gone, came),
                _ => Vec::new(),
            };
            match (&gone, &came) {
                (Some(_), Some(_)) if changed.is_empty() => return Ok(()),
                (Some(_), Some(_)) => change.changed += 1,
                (None, _) => change.added += 1,
                (_, None) => change.removed += 1,
            }
            each(sides, RowChange { before: gone, after: came, changed })
        };
        let (mut left, mut right) = match &leaves.only {
            Some(((own, other), set)) => {
                (RowStream::new(&leaves.before, Some((own.clone(), set.clone()))), RowStream::new(&leaves.after, Some((other.clone(), set.clone()))))
            }
            None => (RowStream::new(&leaves.before, None), RowStream::new(&leaves.after, None)),
        };
        let (mut gone, mut came) = (left.next(before, &mut self.seen.0)?, right.next(after, &mut self.seen.1)?);
        loop {
            let order = match (&gone, &came) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(gone), Some(came)) => gone.number.cmp(&came.number),
            };
            if order.is_eq() && alike && matches!((&gone, &came), (Some(gone), Some(came)) if gone.number.is_some() && gone.payload == came.payload) {
                (gone, came) = (left.next(before, &mut self.seen.0)?, right.next(after, &mut self.seen.1)?);
                continue;
            }
            let own = match (sides.before, &gone) {
                (Some(table), Some(raw)) if order.is_le() => Some(raw.decode(table, before)?),
                _ => None,
            };
            let other = match (sides.after, &came) {
                (Some(table), Some(raw)) if order.is_ge() => Some(raw.decode(table, after)?),
                _ => None,
            };
            if order.is_le() {
                gone = left.next(before, &mut self.seen.0)?;
            }
            if order.is_ge() {
                came = right.next(after, &mut self.seen.1)?;
            }
            let key_of = |row: &Option<Row>, side: Side| row.as_ref().map(|row| key.of(row, side));
            let (own_key, other_key) = (key_of(&own, Side::Before), key_of(&other, Side::After));
            match (own, other) {
                (Some(own), Some(other)) if own.number.is_some() && same_keys(&own_key, &other_key) => tell(Some(own), Some(other))?,
                (own, other) => {
                    if let (Some(row), Some(key)) = (&own, &own_key) {
                        self.leftovers.push(Side::Before, key, row)?;
                    }
                    if let (Some(row), Some(key)) = (&other, &other_key) {
                        self.leftovers.push(Side::After, key, row)?;
                    }
                }
            }
        }
        self.leftovers.drain(|(gone, came)| tell(gone, came))
    }

    /// Overflow pages that both states have in the same place with other content, and that no row read so far is known to use.
    fn changed_ends(&self, before: &mut Database<'_>, after: &mut Database<'_>) -> Result<HashSet<u32>, Error> {
        let (free_before, free_after) = (btree::free_pages(&mut before.pages)?, btree::free_pages(&mut after.pages)?);
        let unseen = |seen: &[bool], page: u32| !seen.get(page as usize).copied().unwrap_or(true);
        let changed = (2..=before.pages.count().min(after.pages.count())).filter(|page| {
            before.pages.hash(*page) != after.pages.hash(*page)
                && unseen(&self.seen.0, *page)
                && unseen(&self.seen.1, *page)
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
            // A page of a tree begins with 2, 5, 10 or 13; an overflow page with the number of the next one, whose first byte is 0
            // up to 2²⁴ pages. Beyond that any page may be one.
            let first = after.pages.page(*page)?.first().copied().unwrap_or(0);
            if first == 0 || after.pages.count() >= 1 << 24 {
                ends.insert(*page);
            }
        }
        Ok(ends)
    }
}

/// The pages of a table that hold rows: its leaves; where the table is its own index, the inner pages too.
fn pages_with_rows(database: &mut Database<'_>, table: &Table, seen: &mut [bool]) -> Result<Vec<u32>, Error> {
    let tree = btree::tree_pages(&mut database.pages, table.root, database.usable)?;
    mark(seen, tree.inner.iter().chain(&tree.leaves).copied());
    let root = Node::open(&mut database.pages, table.root, database.usable)?;
    let is_index = root.kind.is_index();
    Ok(if is_index { [tree.inner, tree.leaves].concat() } else { tree.leaves })
}

/// Leaves that are the same on both sides, of which a row ends in one of these overflow pages.
fn touched_leaves(after: &mut Database<'_>, same: &[(u32, u32)], ends: &HashSet<u32>) -> Result<Vec<(u32, u32)>, Error> {
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

/// Columns that both tables have: (number before, number after).
fn column_pairs(sides: Sides<'_>) -> Vec<(usize, usize)> {
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return Vec::new() };
    before.columns.iter().enumerate().filter_map(|(at, column)| Some((at, after.column(&column.name)?))).collect()
}

fn differing_columns(pairs: &[(usize, usize)], gone: &Row, came: &Row) -> Vec<(usize, usize)> {
    let differ = |(own, other): &(usize, usize)| match (gone.values.get(*own), came.values.get(*other)) {
        (Some(own), Some(other)) => !same(own, other),
        _ => false,
    };
    pairs.iter().copied().filter(differ).collect()
}
