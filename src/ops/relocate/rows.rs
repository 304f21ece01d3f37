//! The rows of a private copy of the database, rewritten: one transaction, all references checked
//! afterwards.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, params_from_iter};

use crate::progress::Interrupt;

use super::columns::{COLUMNS, Holds};
use super::constraints::{Lifted, quoted};
use super::mapping::Mapping;
use super::pending::{PENDING, RowOf, is_taken, settle};
use super::plan::Named;
use super::statistics::Statistics;

/// Rows that are read before they are written, at most: memory.
const BATCH_ROWS: usize = 2_000;

/// What SQLite keeps in memory while rows change, and while an index is sorted: then it takes a
/// multiple of this.
const ROWS_CACHE_KIB: i64 = 144 * 1024;
const SORT_CACHE_KIB: i64 = 16 * 1024;

/// Threads that sort an index.
const SORT_THREADS: i64 = 2;

/// Rows of one table change in so many combinations of columns, each with a statement of its own.
const STATEMENTS_MAX: usize = 256;

/// More new ids than these, and indexes are made anew.
const INDEXED_IDS_MAX: usize = 10_000;

/// What was changed.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Values that should be JSON and are not: they stay.
    pub unread: Named,
    /// References to rows that are not there.
    pub broken: u64,
    /// Rows whose new key another row has when all is done: this copy is worth nothing, and the next
    /// one keeps these rows as they are.
    pub taken: Vec<RowOf>,
}

/// How indexes are kept right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexes {
    /// They are dropped and sorted anew. A key that is there twice is an error then.
    Remade,
    /// With each row. A row whose new key is another's already stays as it is.
    Kept,
}

impl Indexes {
    /// What is faster for a mapping.
    pub(super) fn for_mapping(mapping: &Mapping) -> Indexes {
        if mapping.ids.len() > INDEXED_IDS_MAX { Indexes::Remade } else { Indexes::Kept }
    }
}

/// Rewrites a private copy. References between rows are counted only afterwards: who finds some
/// that lead nowhere counts those of another copy.
pub(super) fn rewrite(
    db: &mut Connection,
    mapping: &Mapping,
    (indexes, kept): (Indexes, &HashSet<RowOf>),
    interrupt: &Interrupt,
) -> Result<Rewritten, rusqlite::Error> {
    let mut done = Rewritten::default();
    let tables = tables_of(db, &mut done.unread)?;
    let names = tables.iter().map(|table| table.name.as_str());
    let lifted =
        if indexes == Indexes::Remade { Lifted::of(db, names)? } else { Lifted::default() };
    let statistics = Statistics::of(db, indexes == Indexes::Remade)?;
    let transaction = db.transaction()?;
    // Where no key is looked at meanwhile, none can be in another's way.
    let pending = indexes == Indexes::Kept && mapping.ids.overlap();
    for table in &tables {
        if interrupt.is_raised() {
            return Ok(done);
        }
        let dropped = if indexes == Indexes::Remade {
            drop_indexes(&transaction, table)?
        } else {
            Vec::new()
        };
        let changed = Table { db: &transaction, table, mapping, kept, pending, interrupt }
            .rewrite(&mut done.unread)?;
        make_indexes(&transaction, &dropped)?;
        tracing::debug!(table = table.name, changed, "rewrote a table");
        if changed > 0 {
            done.rows.insert(table.name.clone(), changed);
        }
    }
    if pending {
        for table in &tables {
            let columns = table.columns.iter().filter(|(_, holds)| *holds != Holds::Json);
            let columns = columns.map(|(column, _)| column.as_str());
            settle(&transaction, (&table.name, table.row), columns, &mut done.taken)?;
        }
        if !done.taken.is_empty() {
            return Ok(done);
        }
    }
    transaction.commit()?;
    lifted.put_back(db)?;
    statistics.put_back(db)?;
    tracing::debug!("counting references that lead nowhere");
    done.broken = broken_references(db)?;
    Ok(done)
}

/// Opens a private copy for rewriting. It is thrown away if that fails, so that no log of it is
/// kept.
pub(super) fn open(path: &std::path::Path) -> rusqlite::Result<(Connection, JournalMode)> {
    let db = Connection::open(path)?;
    crate::source::wary(&db)?;
    crate::source::refuse_computed(&db)?;
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    db.pragma_update(None, "foreign_keys", false)?;
    let mode = JournalMode(db.pragma_query_value(None, "journal_mode", |row| row.get(0))?);
    // No journal: what fails is thrown away.
    db.pragma_update(None, "journal_mode", "OFF")?;
    db.pragma_update(None, "synchronous", "OFF")?;
    db.pragma_update(None, "cache_size", -ROWS_CACHE_KIB)?;
    db.pragma_update(None, "threads", SORT_THREADS)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok((db, mode))
}

/// The journal mode that a database had.
pub(super) struct JournalMode(String);

/// Closes it, in the journal mode that it had.
pub(super) fn close(db: Connection, mode: &JournalMode) -> rusqlite::Result<()> {
    db.pragma_update(None, "journal_mode", &mode.0)?;
    db.close().map_err(|(_, error)| error)
}

/// How many references lead to no row.
pub(super) fn broken_references(db: &Connection) -> rusqlite::Result<u64> {
    let mut statement = db.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while rows.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// A table and those of its columns that may change.
struct TableOf {
    name: String,
    /// What its rows are numbered by.
    row: &'static str,
    columns: Vec<(String, Holds)>,
}

/// The tables that may change: the known ones, and whatever else refers to items.
fn tables_of(db: &Connection, unread: &mut Named) -> rusqlite::Result<Vec<TableOf>> {
    let mut names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name")?;
    let names =
        names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut tables = Vec::new();
    for name in names {
        let mut info = db.prepare(&format!("PRAGMA table_info({})", quoted(&name)))?;
        let has =
            info.query_map([], |row| row.get(1))?.collect::<rusqlite::Result<Vec<String>>>()?;
        let mut keys = db.prepare(&format!("PRAGMA foreign_key_list({})", quoted(&name)))?;
        let keys = keys
            .query_map([], |row| Ok((row.get(2)?, row.get(3)?)))?
            .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
        let known = COLUMNS
            .iter()
            .find(|(table, _)| *table == name)
            .map_or(&[][..], |(_, columns)| columns);
        let refers = |column: &str| {
            matches!(column, "ItemId" | "ParentItemId")
                || keys
                    .iter()
                    .any(|(table, from)| table == "BaseItems" && from.eq_ignore_ascii_case(column))
        };
        let row = ["rowid", "_rowid_", "oid"]
            .into_iter()
            .find(|row| !has.iter().any(|column| column.eq_ignore_ascii_case(row)));
        let columns: Vec<(String, Holds)> = has
            .into_iter()
            .filter_map(|column| {
                let holds =
                    known.iter().find(|(known, _)| *known == column).map(|(_, holds)| *holds);
                holds.or_else(|| refers(&column).then_some(Holds::Id)).map(|holds| (column, holds))
            })
            .collect();
        let is_numbered = db.query_row(
            "SELECT wr = 0 AND type = 'table' FROM pragma_table_list(?1) WHERE schema = 'main'",
            [&name],
            |row| row.get(0),
        )?;
        match row.filter(|_| is_numbered) {
            _ if columns.is_empty() => {}
            Some(row) => tables.push(TableOf { name, row, columns }),
            None => unread.add(|| format!("the table {name}")),
        }
    }
    Ok(tables)
}

struct Table<'a> {
    db: &'a Connection,
    table: &'a TableOf,
    mapping: &'a Mapping,
    /// Rows that stay as they are.
    kept: &'a HashSet<RowOf>,
    pending: bool,
    interrupt: &'a Interrupt,
}

/// The changed values of a row, by the number of their column.
type Changes = Vec<(usize, String)>;

/// Rows that change, by their rowid, and the last row that was looked at, if more may follow.
type Batch = (Vec<(i64, Changes)>, Option<i64>);

impl Table<'_> {
    /// Rewrites the table batch by batch; how many rows changed.
    fn rewrite(&self, unread: &mut Named) -> rusqlite::Result<u64> {
        let (mut after, mut changed) = (i64::MIN, 0);
        loop {
            if self.interrupt.is_raised() {
                return Ok(changed);
            }
            let (batch, last) = self.batch(after, unread)?;
            for (row, changes) in &batch {
                let is_kept =
                    !self.kept.is_empty() && self.kept.contains(&(self.table.name.clone(), *row));
                let updated = if is_kept { Ok(false) } else { self.update(*row, changes) };
                match updated {
                    Ok(true) => changed += 1,
                    Ok(false) => unread.add(|| taken_words(&self.table.name, *row)),
                    // Watch state of a film that was once at both places: the row that has the new
                    // key stays, and so does this one.
                    Err(error) if is_taken(&error) => {
                        unread.add(|| taken_words(&self.table.name, *row));
                    }
                    Err(error) => return Err(error),
                }
            }
            match last {
                Some(last) if last < i64::MAX => after = last + 1,
                _ => return Ok(changed),
            }
        }
    }

    /// The rows that change among the next ones, and the last that was looked at.
    fn batch(&self, from: i64, unread: &mut Named) -> rusqlite::Result<Batch> {
        let columns: Vec<String> =
            self.table.columns.iter().map(|(column, _)| quoted(column)).collect();
        let (row, table) = (self.table.row, quoted(&self.table.name));
        let sql = format!(
            "SELECT {row}, {} FROM {table} WHERE {row} >= ?1 ORDER BY {row} LIMIT {BATCH_ROWS}",
            columns.join(", ")
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        let mut rows = statement.query([from])?;
        let (mut batch, mut last, mut seen) = (Vec::new(), None, 0);
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            (last, seen) = (Some(id), seen + 1);
            let mut changes = Changes::new();
            for (at, (column, holds)) in self.table.columns.iter().enumerate() {
                if let Some(new) = self.new_value(
                    row.get_ref(at + 1)?,
                    *holds,
                    || format!("{}.{column} of row {id}", self.table.name),
                    unread,
                ) {
                    changes.push((at, new));
                }
            }
            if !changes.is_empty() {
                batch.push((id, changes));
            }
        }
        Ok((batch, last.filter(|_| seen == BATCH_ROWS)))
    }

    fn new_value(
        &self,
        value: ValueRef<'_>,
        holds: Holds,
        place: impl FnOnce() -> String,
        unread: &mut Named,
    ) -> Option<String> {
        let text = match value {
            ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
            ValueRef::Blob(_) => None,
            ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => return None,
        };
        let Some(text) = text else {
            unread.add(place);
            return None;
        };
        let new = match holds {
            Holds::Id => self.mapping.ids.of_column(text),
            Holds::Ids => self.mapping.ids.in_text(text),
            Holds::Path => self.mapping.path(text),
            Holds::Value => self.mapping.value(text),
            Holds::Json if !self.mapping.may_change(text) => None,
            Holds::Json => super::json::replace_strings(text, |text| self.mapping.value(text))
                .unwrap_or_else(|_| {
                    unread.add(place);
                    None
                }),
        };
        if self.pending && holds != Holds::Json {
            new.map(|new| format!("{PENDING}{new}"))
        } else {
            new
        }
    }

    fn update(&self, row: i64, changes: &Changes) -> rusqlite::Result<bool> {
        let set: Vec<String> = changes
            .iter()
            .enumerate()
            .filter_map(|(number, (at, _))| {
                Some(format!("{} = ?{}", quoted(&self.table.columns.get(*at)?.0), number + 2))
            })
            .collect();
        let sql = format!(
            "UPDATE {} SET {} WHERE {} = ?1",
            quoted(&self.table.name),
            set.join(", "),
            self.table.row
        );
        let values = std::iter::once(Value::Integer(row))
            .chain(changes.iter().map(|(_, new)| Value::Text(new.clone())));
        self.db.prepare_cached(&sql)?.execute(params_from_iter(values))?;
        Ok(true)
    }
}

fn taken_words(table: &str, row: i64) -> String {
    format!("row {row} of {table} (another row has its new key already)")
}

/// Drops the indexes over columns that change; how each is made again.
fn drop_indexes(db: &Connection, table: &TableOf) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ?1 AND sql IS NOT NULL ORDER BY rowid")?;
    let all = statement
        .query_map([&table.name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    let names_one =
        |sql: &String| table.columns.iter().any(|(column, _)| sql.contains(&quoted(column)));
    let mut dropped = Vec::new();
    for (name, sql) in all.into_iter().filter(|(_, sql)| names_one(sql)) {
        db.execute(&format!("DROP INDEX {}", quoted(&name)), [])?;
        dropped.push(sql);
    }
    Ok(dropped)
}

fn make_indexes(db: &Connection, made: &[String]) -> rusqlite::Result<()> {
    if made.is_empty() {
        return Ok(());
    }
    db.pragma_update(None, "cache_size", -SORT_CACHE_KIB)?;
    made.iter().try_for_each(|sql| db.execute_batch(sql))?;
    db.pragma_update(None, "cache_size", -ROWS_CACHE_KIB)
}
