//! The rows in which two states differ. Leaves that both have are skipped unread; rows of the
//! others are matched by number, then by key.

use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::differing_leaves::{Leaves, Seen, touched_leaves};
use super::key::{key_columns, same_keys};
use super::leftovers::{Leftovers, Side};
use super::record::{Row, same};
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

impl RowChange {
    /// What two rows come to; nothing where no column differs that both tables have.
    fn of(before: Option<Row>, after: Option<Row>, pairs: &[(usize, usize)]) -> Option<RowChange> {
        let changed = match (&before, &after) {
            (Some(before), Some(after)) => {
                let changed = differing_columns(pairs, before, after);
                if changed.is_empty() {
                    return None;
                }
                changed
            }
            _ => Vec::new(),
        };
        Some(RowChange { before, after, changed })
    }
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

impl TableChange {
    fn count(&mut self, row: &RowChange) {
        match (&row.before, &row.after) {
            (Some(_), Some(_)) => self.changed += 1,
            (None, _) => self.added += 1,
            (_, None) => self.removed += 1,
        }
    }
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
    let mut names: Vec<String> =
        tables.0.iter().chain(&tables.1).map(|table| table.name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let mut compared = Compared::default();
    let mut pass = Pass { seen: Seen::none_of(before, after), leftovers: Leftovers::default() };
    let groups = before.pages.prepare(&mut after.pages)?;
    let mut skipped = Vec::new();
    for name in &names {
        let has_name = |table: &&Arc<Table>| table.name.eq_ignore_ascii_case(name);
        let sides = Sides {
            before: tables.0.iter().find(has_name).map(Arc::as_ref),
            after: tables.1.iter().find(has_name).map(Arc::as_ref),
        };
        let mut change = describe(sides);
        let leaves = match &groups {
            Some(groups) => pass.seen.differing_groups(before, after, sides, groups)?,
            None => pass.seen.differing(before, after, sides)?,
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
    // A row's end may lie in overflow pages, and may have changed there alone. Groups tell of that,
    // or that it is not known.
    let ends =
        if groups.is_some() { HashSet::new() } else { pass.seen.changed_ends(before, after)? };
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
    compared.tables.retain(|table| {
        *table != TableChange { name: table.name.clone(), ..TableChange::default() }
    });
    Ok(compared)
}

/// What of the tables themselves differs.
fn describe(sides: Sides<'_>) -> TableChange {
    let lacks = |own: &Table, other: &Table| {
        own.columns
            .iter()
            .filter(|column| other.column(&column.name).is_none())
            .map(|column| column.name.clone())
            .collect()
    };
    let (new_columns, gone_columns) = match (sides.before, sides.after) {
        (Some(before), Some(after)) => (lacks(after, before), lacks(before, after)),
        _ => (Vec::new(), Vec::new()),
    };
    let name = sides.table().map(|table| table.name.clone()).unwrap_or_default();
    TableChange {
        name,
        new_columns,
        gone_columns,
        is_new: sides.before.is_none(),
        is_gone: sides.after.is_none(),
        ..TableChange::default()
    }
}

struct Pass {
    seen: Seen,
    leftovers: Leftovers,
}

impl Pass {
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
        let alike = matches!((sides.before, sides.after), (Some(own), Some(other)) if own.is_written_like(other))
            && before.encoding == after.encoding;
        let mut tell = |gone, came| match RowChange::of(gone, came, &pairs) {
            Some(found) => {
                change.count(&found);
                each(sides, found)
            }
            None => Ok(()),
        };
        let (mut left, mut right) = leaves.rows();
        let (mut gone, mut came) =
            (left.next(before, &mut self.seen.before)?, right.next(after, &mut self.seen.after)?);
        loop {
            let order = match (&gone, &came) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some(gone), Some(came)) => gone.number.cmp(&came.number),
            };
            if order.is_eq()
                && alike
                && matches!((&gone, &came), (Some(gone), Some(came)) if gone.number.is_some() && gone.body == came.body)
            {
                (gone, came) = (
                    left.next(before, &mut self.seen.before)?,
                    right.next(after, &mut self.seen.after)?,
                );
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
                gone = left.next(before, &mut self.seen.before)?;
            }
            if order.is_ge() {
                came = right.next(after, &mut self.seen.after)?;
            }
            let key_of = |row: &Option<Row>, side: Side| row.as_ref().map(|row| key.of(row, side));
            let (own_key, other_key) = (key_of(&own, Side::Before), key_of(&other, Side::After));
            match (own, other) {
                (Some(own), Some(other))
                    if own.number.is_some() && same_keys(&own_key, &other_key) =>
                {
                    tell(Some(own), Some(other))?
                }
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
}

/// Columns that both tables have: (number before, number after).
fn column_pairs(sides: Sides<'_>) -> Vec<(usize, usize)> {
    let (Some(before), Some(after)) = (sides.before, sides.after) else { return Vec::new() };
    before
        .columns
        .iter()
        .enumerate()
        .filter_map(|(at, column)| Some((at, after.column(&column.name)?)))
        .collect()
}

fn differing_columns(pairs: &[(usize, usize)], gone: &Row, came: &Row) -> Vec<(usize, usize)> {
    let differ =
        |(own, other): &(usize, usize)| match (gone.values.get(*own), came.values.get(*other)) {
            (Some(own), Some(other)) => !same(own, other),
            _ => false,
        };
    pairs.iter().copied().filter(differ).collect()
}
