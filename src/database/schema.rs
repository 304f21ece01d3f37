//! What tables does a database have? Its schema table is read as any other; what a statement of it
//! means, SQLite itself says.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use super::Error;
use super::btree::{self, Node};
use super::long_row::Body;
use super::pages::Pages;
use super::record::{Encoding, Row, Value};

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether whole numbers in it are real numbers all the same (affinity REAL).
    is_real: bool,
    /// What rows have that were written before the column was there.
    default: Value,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its columns; computed ones that are not stored are left out.
    pub columns: Vec<Column>,
    /// Columns of the primary key, by number, in the key's order; none where rows have nothing but
    /// their number.
    pub key: Vec<usize>,
    /// The root of its tree.
    pub(super) root: u32,
    /// The column that is SQLite's row number itself.
    number_column: Option<usize>,
    /// The column of each stored value.
    stored: Vec<usize>,
    /// The root of the index over its primary key.
    pub(super) key_index: Option<u32>,
    /// The `CREATE TABLE` that it was made by.
    statement: String,
}

/// One state of a database, open for reading.
pub struct Database<'r> {
    /// Its pages.
    pub pages: Pages<'r>,
    /// Its tables, by name.
    pub tables: Vec<Arc<Table>>,
    pub(super) usable: usize,
    pub(super) encoding: Encoding,
}

impl Table {
    /// The number of a column; names are told apart as SQLite does.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Whether rows of both are written in the same way.
    pub(super) fn is_written_like(&self, other: &Table) -> bool {
        self.columns == other.columns
            && self.stored == other.stored
            && self.number_column == other.number_column
    }

    /// A row from the values of its record.
    pub(super) fn row(&self, number: Option<i64>, stored: Vec<Value>) -> Row {
        let mut values: Vec<Value> =
            self.columns.iter().map(|column| column.default.clone()).collect();
        for (value, at) in stored.into_iter().zip(&self.stored) {
            let is_real = self.columns.get(*at).is_some_and(|column| column.is_real);
            if let Some(slot) = values.get_mut(*at) {
                // SQLite saves room for whole numbers in columns of real ones.
                *slot = match value {
                    Value::Integer(whole) if is_real => Value::Real(whole as f64),
                    value => value,
                };
            }
        }
        if let (Some(slot), Some(number)) =
            (self.number_column.and_then(|at| values.get_mut(at)), number)
        {
            *slot = Value::Integer(number);
        }
        Row { number, values }
    }
}

impl<'r> Database<'r> {
    /// Reads a database's schema.
    pub fn open(pages: Pages<'r>) -> Result<Database<'r>, Error> {
        Database::open_knowing(pages, &[])
    }

    /// Opens another state of a database that is open: what both have in common is taken over.
    pub fn open_beside(mut pages: Pages<'r>, other: &Database<'_>) -> Result<Database<'r>, Error> {
        pages.adopt(&other.pages);
        Database::open_knowing(pages, &other.tables)
    }

    fn open_knowing(mut pages: Pages<'r>, known: &[Arc<Table>]) -> Result<Database<'r>, Error> {
        let usable = btree::usable_bytes(&mut pages)?;
        let encoding = match btree::u32_at(&pages.page(1)?, 56) {
            Some(2) => Encoding::Utf16Le,
            Some(3) => Encoding::Utf16Be,
            _ => Encoding::Utf8,
        };
        let mut database = Database { pages, tables: Vec::new(), usable, encoding };
        database.read_schema(known)?;
        Ok(database)
    }

    /// Another reader of the same state.
    pub fn sibling(&self) -> Result<Database<'r>, Error> {
        Ok(Database {
            pages: self.pages.sibling()?,
            tables: self.tables.clone(),
            usable: self.usable,
            encoding: self.encoding,
        })
    }

    /// A table by name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        // Nearly all are asked for by the name that they have.
        let exact = self.tables.binary_search_by(|table| table.name.as_str().cmp(name));
        match exact.ok().and_then(|at| self.tables.get(at)) {
            Some(table) => Some(table),
            None => self.tables.iter().find(|table| table.name.eq_ignore_ascii_case(name)),
        }
    }

    fn read_schema(&mut self, known: &[Arc<Table>]) -> Result<(), Error> {
        let mut objects = Vec::new();
        for leaf in btree::tree_pages(&mut self.pages, 1, self.usable)?.leaves {
            let node = Node::open(&mut self.pages, leaf, self.usable)?;
            for at in 0..node.cells() {
                let (cell, encoding) = (node.cell(at)?, self.encoding);
                let body = Body::read(&mut self.pages, &node, &cell, encoding, &mut |_| {})?;
                objects.push(body.values(encoding, leaf)?);
            }
        }
        let text = |object: &[Value], at: usize| object.get(at).and_then(Value::text);
        let root = |object: &[Value]| {
            object
                .get(3)
                .and_then(Value::integer)
                .and_then(|root| u32::try_from(root).ok())
                .filter(|root| *root > 0)
        };
        let known: HashMap<&str, &Arc<Table>> =
            known.iter().map(|table| (table.name.as_str(), table)).collect();
        // By name; of several of one name, which no database has, the first.
        let mut indexes: HashMap<String, &Vec<Value>> = HashMap::new();
        for object in objects.iter().filter(|object| text(object, 0).as_deref() == Some("index")) {
            if let Some(name) = text(object, 1) {
                indexes.entry(name).or_insert(object);
            }
        }
        for object in objects.iter().filter(|object| text(object, 0).as_deref() == Some("table")) {
            // Virtual tables have no pages of their own.
            let (Some(name), Some(root), Some(sql)) =
                (text(object, 1), root(object), text(object, 4))
            else {
                continue;
            };
            let mut table = match known.get(name.as_str()).filter(|table| table.statement == sql) {
                Some(known) => Table { root, ..known.as_ref().clone() },
                None => describe(&name, root, &sql)
                    .map_err(|source| Error::Schema { table: name.clone(), source })?,
            };
            let index = indexes.get(&format!("sqlite_autoindex_{name}_1"));
            table.key_index = index
                .and_then(|object| root_of_key_index(&table, object))
                .filter(|_| table.number_column.is_none());
            if Node::open(&mut self.pages, root, self.usable)?.kind_is_index() {
                table.store_key_first();
            }
            self.tables.push(Arc::new(table));
        }
        self.tables.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}

fn root_of_key_index(table: &Table, object: &[Value]) -> Option<u32> {
    // A table with a key has its first index for it, unless the key is the row number or the table
    // is its own index.
    (!table.key.is_empty())
        .then(|| object.get(3)?.integer())
        .flatten()
        .and_then(|root| u32::try_from(root).ok())
}

impl Node {
    fn kind_is_index(&self) -> bool {
        self.kind.is_index()
    }
}

impl Table {
    /// WITHOUT ROWID: the tree is an index over the key, and the other columns follow.
    fn store_key_first(&mut self) {
        let rest: Vec<usize> =
            self.stored.iter().copied().filter(|at| !self.key.contains(at)).collect();
        self.stored = self.key.iter().copied().chain(rest).collect();
        self.number_column = None;
        self.key_index = None;
    }
}

/// What a `CREATE TABLE` says, by SQLite's word.
fn describe(name: &str, root: u32, sql: &str) -> rusqlite::Result<Table> {
    let scratch = Connection::open_in_memory()?;
    // SQLite's own tables may not be made by their names.
    let is_own = name.to_ascii_lowercase().starts_with("sqlite_");
    let (made_by, made) = if is_own {
        (sql.replacen(name, &format!("own_{name}"), 1), format!("own_{name}"))
    } else {
        (sql.to_owned(), name.to_owned())
    };
    scratch.prepare(&made_by)?.execute([])?;
    let mut table = Table {
        name: name.to_owned(),
        columns: Vec::new(),
        key: Vec::new(),
        root,
        number_column: None,
        stored: Vec::new(),
        key_index: None,
        statement: sql.to_owned(),
    };
    let mut key = Vec::new();
    let mut statement =
        scratch.prepare("SELECT name, type, dflt_value, pk, hidden FROM pragma_table_xinfo(?1)")?;
    let mut rows = statement.query([&made])?;
    while let Some(row) = rows.next()? {
        let (name, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let (default, place, hidden): (Option<String>, i64, i64) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        if hidden == 2 {
            continue;
        }
        let at = table.columns.len();
        if place > 0 {
            key.push((place, at, kind.eq_ignore_ascii_case("INTEGER")));
        }
        let default = default.map_or(Ok(Value::Null), |default| evaluate(&kind, &default))?;
        table.columns.push(Column { name, is_real: is_real(&kind), default });
        table.stored.push(at);
    }
    key.sort_unstable();
    if let [(_, at, true)] = key.as_slice() {
        // `INTEGER PRIMARY KEY DESC` is no row number; SQLite has no index for those that are.
        let has_index: bool = scratch.query_row(
            "SELECT EXISTS (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')",
            [&made],
            |row| row.get(0),
        )?;
        table.number_column = (!has_index).then_some(*at);
    }
    table.key = key.into_iter().map(|(_, at, _)| at).collect();
    Ok(table)
}

/// The affinity rules of SQLite ("Determination Of Column Affinity"), as far as they lead to REAL.
fn is_real(kind: &str) -> bool {
    let kind = kind.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    !has(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"]) && has(&["REAL", "FLOA", "DOUB"])
}

/// What a default is worth in a column of this type.
fn evaluate(kind: &str, default: &str) -> rusqlite::Result<Value> {
    let scratch = Connection::open_in_memory()?;
    let worth = || -> rusqlite::Result<Value> {
        let kind = kind.replace(['"', ';'], "");
        scratch.execute(
            &format!(
                "CREATE TABLE t (k INTEGER, c {} DEFAULT ({default}))",
                if kind.is_empty() { String::new() } else { format!("\"{kind}\"") }
            ),
            [],
        )?;
        scratch.execute("INSERT INTO t (k) VALUES (1)", [])?;
        scratch.query_row("SELECT c FROM t", [], |row| Ok(value_of(row.get_ref(0)?)))
    };
    match worth() {
        Ok(value) => Ok(value),
        // A default that is no constant cannot have been added to rows that were there.
        Err(rusqlite::Error::SqliteFailure(..) | rusqlite::Error::SqlInputError { .. }) => {
            Ok(Value::Null)
        }
        Err(error) => Err(error),
    }
}

/// A value that SQLite gives.
pub(super) fn value_of(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(text.to_vec()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}
