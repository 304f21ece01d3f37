//! One row by its key, through the index over the primary key: a few pages, however large the table
//! is.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::btree::{self, Node};
use super::long_row::Body;
use super::record::{Row, Value};
use super::schema::{Database, Table};

/// A row with its table.
pub type FoundRow = (Arc<Table>, Row);

/// Finds rows of a database.
pub struct Lookup<'d, 'r> {
    database: &'d mut Database<'r>,
}

impl<'d, 'r> Lookup<'d, 'r> {
    /// Over a database.
    pub fn new(database: &'d mut Database<'r>) -> Lookup<'d, 'r> {
        Lookup { database }
    }

    /// The row of a table whose key begins with this text, compared byte by byte; nothing where
    /// there is none, no such table or no index.
    pub fn by_text(&mut self, table: &str, key: &str) -> Result<Option<FoundRow>, Error> {
        let Some(table) = self.database.table(table).cloned() else { return Ok(None) };
        let Some(root) = table.key_index else { return Ok(None) };
        let Some(number) = self.number_of(root, key.as_bytes())? else { return Ok(None) };
        let row = self.row(&table, number)?;
        Ok(row.map(|row| (table, row)))
    }

    /// All rows of a table whose key begins with this text, `limit` at most.
    pub fn all_by_text(
        &mut self,
        table: &str,
        key: &str,
        limit: usize,
    ) -> Result<Vec<FoundRow>, Error> {
        let Some(table) = self.database.table(table).cloned() else { return Ok(Vec::new()) };
        let Some(root) = table.key_index else { return Ok(Vec::new()) };
        let mut numbers = Vec::new();
        self.numbers_of(root, key.as_bytes(), limit, 0, &mut numbers)?;
        let mut rows = Vec::new();
        for number in numbers {
            rows.extend(self.row(&table, number)?.map(|row| (table.clone(), row)));
        }
        Ok(rows)
    }

    /// Every row of a small table; `each` says whether to go on.
    pub fn scan(
        &mut self,
        table: &str,
        mut each: impl FnMut(&Table, Row) -> bool,
    ) -> Result<(), Error> {
        let Some(table) = self.database.table(table).cloned() else { return Ok(()) };
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        for leaf in btree::tree_pages(pages, table.root, *usable)?.leaves {
            let node = Node::open(pages, leaf, *usable)?;
            for at in 0..node.cells() {
                let cell = node.cell(at)?;
                let body = Body::read(pages, &node, &cell, *encoding, &mut |_| {})?;
                if !each(&table, table.row(cell.number, body.values(*encoding, leaf)?)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Row numbers of the entries below a page whose key begins with this text.
    fn numbers_of(
        &mut self,
        page: u32,
        key: &[u8],
        limit: usize,
        depth: usize,
        numbers: &mut Vec<i64>,
    ) -> Result<(), Error> {
        if depth > 32 {
            return Err(Error::Page { page, what: "the index below it has no end" });
        }
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        let (usable, encoding) = (*usable, *encoding);
        let node = Node::open(pages, page, usable)?;
        for at in 0..node.cells() {
            let cell = node.cell(at)?;
            let body = Body::read(&mut self.database.pages, &node, &cell, encoding, &mut |_| {})?;
            let values = body.values(encoding, page)?;
            let order = compare(values.first(), key);
            if order.is_ge() {
                if let Some(child) = cell.child {
                    self.numbers_of(child, key, limit, depth + 1, numbers)?;
                }
                if order.is_gt() || numbers.len() >= limit {
                    return Ok(());
                }
                numbers.extend(values.last().and_then(Value::integer));
            }
        }
        match node.rightmost()? {
            Some(child) if numbers.len() < limit => {
                self.numbers_of(child, key, limit, depth + 1, numbers)
            }
            _ => Ok(()),
        }
    }

    /// The same of many keys, which come sorted: level by level, so that what lies together is read
    /// once.
    pub fn by_texts(
        &mut self,
        table: &str,
        keys: &[String],
    ) -> Result<Vec<Option<FoundRow>>, Error> {
        let mut rows = vec![None; keys.len()];
        let Some(table) = self.database.table(table).cloned() else { return Ok(rows) };
        let Some(root) = table.key_index else { return Ok(rows) };
        let mut numbers = vec![None; keys.len()];
        self.descend(root, (0..keys.len()).collect(), |database, node, key| {
            let (found, next) =
                database.index_step(node, keys.get(key).map_or(&[], |key| key.as_bytes()))?;
            if let (Some(slot), Some(_)) = (numbers.get_mut(key), found) {
                *slot = found;
            }
            Ok(next)
        })?;
        let number_of = |key: &usize| numbers.get(*key).copied().flatten();
        let mut order: Vec<usize> =
            (0..keys.len()).filter(|key| number_of(key).is_some()).collect();
        order.sort_unstable_by_key(number_of);
        self.descend(table.root, order, |database, node, key| {
            let Some(number) = number_of(&key) else { return Ok(None) };
            let (row, next) = database.table_step(&table, node, number)?;
            if let (Some(slot), Some(row)) = (rows.get_mut(key), row) {
                *slot = Some((table.clone(), row));
            }
            Ok(next)
        })?;
        Ok(rows)
    }

    /// Goes down a tree with many keys at once; `step` says where one of them goes on.
    fn descend(
        &mut self,
        root: u32,
        keys: Vec<usize>,
        mut step: impl FnMut(&mut Database<'_>, &Node, usize) -> Result<Option<u32>, Error>,
    ) -> Result<(), Error> {
        let mut level: Vec<(u32, usize)> = keys.into_iter().map(|key| (root, key)).collect();
        for _ in 0..DEPTH_MAX {
            let (mut below, mut rest) = (Vec::with_capacity(level.len()), level.as_slice());
            while !rest.is_empty() {
                let (mut wanted, mut seen) = (Vec::new(), HashSet::new());
                let most = self.database.pages.batch();
                let count = rest
                    .iter()
                    .take_while(|(page, _)| {
                        seen.contains(page)
                            || (wanted.len() < most && {
                                wanted.push(*page);
                                seen.insert(*page)
                            })
                    })
                    .count();
                self.database.pages.read_ahead(&wanted)?;
                let (batch, behind) = rest.split_at(count);
                rest = behind;
                let mut open: Option<Node> = None;
                for (page, key) in batch {
                    let node = match open.take() {
                        Some(node) if node.number == *page => node,
                        _ => Node::open(&mut self.database.pages, *page, self.database.usable)?,
                    };
                    below.extend(step(self.database, &node, *key)?.map(|next| (next, *key)));
                    open = Some(node);
                }
            }
            if below.is_empty() {
                return Ok(());
            }
            level = below;
        }
        Err(Error::Page { page: root, what: "the tree below it has no end" })
    }

    fn number_of(&mut self, root: u32, key: &[u8]) -> Result<Option<i64>, Error> {
        let mut found = None;
        self.descend(root, vec![0], |database, node, _| {
            let (number, next) = database.index_step(node, key)?;
            found = number.or(found);
            Ok(next)
        })?;
        Ok(found)
    }

    fn row(&mut self, table: &Table, number: i64) -> Result<Option<Row>, Error> {
        let mut found = None;
        self.descend(table.root, vec![0], |database, node, _| {
            let (row, next) = database.table_step(table, node, number)?;
            found = row;
            Ok(next)
        })?;
        Ok(found)
    }
}

/// Deepest tree that is believed.
const DEPTH_MAX: usize = 32;

impl Database<'_> {
    /// What a page of an index says of a key: the row's number, and the page below where it may
    /// stand, too.
    fn index_step(&mut self, node: &Node, key: &[u8]) -> Result<(Option<i64>, Option<u32>), Error> {
        let (mut low, mut high, mut found) = (0, node.cells(), None);
        // The first cell whose key is not less.
        while low < high {
            let middle = (low + high) / 2;
            let (cell, encoding) = (node.cell(middle)?, self.encoding);
            let body = Body::read(&mut self.pages, node, &cell, encoding, &mut |_| {})?;
            let values = body.values(encoding, node.number)?;
            match compare(values.first(), key) {
                Ordering::Less => low = middle + 1,
                order => {
                    high = middle;
                    found = values.last().and_then(Value::integer).filter(|_| order.is_eq());
                }
            }
        }
        Ok((found, if low < node.cells() { node.cell(low)?.child } else { node.rightmost()? }))
    }

    /// What a page of a table says of a row's number: the row, or the page below where it may
    /// stand.
    fn table_step(
        &mut self,
        table: &Table,
        node: &Node,
        number: i64,
    ) -> Result<(Option<Row>, Option<u32>), Error> {
        let (mut low, mut high) = (0, node.cells());
        // The first cell whose number is not less.
        while low < high {
            let middle = (low + high) / 2;
            if node.cell(middle)?.number.unwrap_or(i64::MIN) < number {
                low = middle + 1
            } else {
                high = middle
            }
        }
        if low == node.cells() {
            return Ok((None, node.rightmost()?));
        }
        let cell = node.cell(low)?;
        if !node.kind.is_leaf() || cell.number != Some(number) {
            return Ok((None, cell.child));
        }
        let body = Body::read(&mut self.pages, node, &cell, self.encoding, &mut |_| {})?;
        Ok((Some(table.row(Some(number), body.values(self.encoding, node.number)?)), None))
    }
}

/// A value against a text, in SQLite's order: NULL, numbers, texts, bytes.
fn compare(value: Option<&Value>, key: &[u8]) -> Ordering {
    match value {
        None | Some(Value::Null | Value::Integer(_) | Value::Real(_)) => Ordering::Less,
        Some(Value::Text(text)) => text.as_slice().cmp(key),
        Some(Value::Blob(_)) => Ordering::Greater,
    }
}
