//! One row by its key, through the index over the primary key: a few pages, however large the table is.

use std::cmp::Ordering;

use super::Error;
use super::btree::{self, Node};
use super::record::{self, Row, Value};
use super::schema::{Database, Table};

/// Finds rows of a database.
pub struct Lookup<'d, 'r> {
    database: &'d mut Database<'r>,
}

impl<'d, 'r> Lookup<'d, 'r> {
    /// Over a database.
    pub fn new(database: &'d mut Database<'r>) -> Lookup<'d, 'r> {
        Lookup { database }
    }

    /// The row of a table whose key begins with this text, compared byte by byte; nothing where there is none, no such table or no index.
    pub fn by_text(&mut self, table: &str, key: &str) -> Result<Option<(Table, Row)>, Error> {
        let Some(table) = self.database.table(table).cloned() else { return Ok(None) };
        let Some(root) = table.key_index else { return Ok(None) };
        let Some(number) = self.number_of(root, key.as_bytes())? else { return Ok(None) };
        let row = self.row(&table, number)?;
        Ok(row.map(|row| (table, row)))
    }

    /// All rows of a table whose key begins with this text, `limit` at most.
    pub fn all_by_text(&mut self, table: &str, key: &str, limit: usize) -> Result<Vec<(Table, Row)>, Error> {
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
    pub fn scan(&mut self, table: &str, mut each: impl FnMut(&Table, Row) -> bool) -> Result<(), Error> {
        let Some(table) = self.database.table(table).cloned() else { return Ok(()) };
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        for leaf in btree::tree_pages(pages, table.root, *usable)?.leaves {
            let node = Node::open(pages, leaf, *usable)?;
            for at in 0..node.cells() {
                let cell = node.cell(at)?;
                let payload = btree::payload(pages, &node, &cell, &mut |_| {})?;
                if !each(&table, table.row(cell.number, record::decode(&payload, *encoding, leaf)?)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Row numbers of the entries below a page whose key begins with this text.
    fn numbers_of(&mut self, page: u32, key: &[u8], limit: usize, depth: usize, numbers: &mut Vec<i64>) -> Result<(), Error> {
        if depth > 32 {
            return Err(Error::Page { page, what: "the index below it has no end" });
        }
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        let (usable, encoding) = (*usable, *encoding);
        let node = Node::open(pages, page, usable)?;
        for at in 0..node.cells() {
            let cell = node.cell(at)?;
            let payload = btree::payload(&mut self.database.pages, &node, &cell, &mut |_| {})?;
            let values = record::decode(&payload, encoding, page)?;
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
            Some(child) if numbers.len() < limit => self.numbers_of(child, key, limit, depth + 1, numbers),
            _ => Ok(()),
        }
    }

    fn number_of(&mut self, root: u32, key: &[u8]) -> Result<Option<i64>, Error> {
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        let (mut next, mut depth, mut found) = (Some(root), 0, None);
        while let Some(number) = next {
            depth += 1;
            if depth > 32 {
                return Err(Error::Page { page: root, what: "the index below it has no end" });
            }
            let node = Node::open(pages, number, *usable)?;
            next = node.rightmost()?;
            // The first cell whose key is not less.
            let (mut low, mut high) = (0, node.cells());
            while low < high {
                let middle = (low + high) / 2;
                let cell = node.cell(middle)?;
                let payload = btree::payload(pages, &node, &cell, &mut |_| {})?;
                let values = record::decode(&payload, *encoding, number)?;
                match compare(values.first(), key) {
                    Ordering::Less => low = middle + 1,
                    order => {
                        high = middle;
                        if order == Ordering::Equal {
                            found = values.last().and_then(Value::integer);
                        }
                        next = cell.child;
                    }
                }
            }
            if low < node.cells() {
                next = node.cell(low)?.child;
            }
        }
        Ok(found)
    }

    fn row(&mut self, table: &Table, number: i64) -> Result<Option<Row>, Error> {
        let Database { pages, usable, encoding, .. } = &mut *self.database;
        let (mut next, mut depth) = (Some(table.root), 0);
        while let Some(at) = next {
            depth += 1;
            if depth > 32 {
                return Err(Error::Page { page: table.root, what: "the tree below it has no end" });
            }
            let node = Node::open(pages, at, *usable)?;
            next = node.rightmost()?;
            for at in 0..node.cells() {
                let cell = node.cell(at)?;
                let own = cell.number.unwrap_or(i64::MIN);
                if node.kind.is_leaf() && own == number {
                    let payload = btree::payload(pages, &node, &cell, &mut |_| {})?;
                    return Ok(Some(table.row(Some(number), record::decode(&payload, *encoding, node.number)?)));
                }
                if !node.kind.is_leaf() && number <= own {
                    next = cell.child;
                    break;
                }
            }
            if node.kind.is_leaf() {
                return Ok(None);
            }
        }
        Ok(None)
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
