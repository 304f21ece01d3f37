//! What would a server choke on when it restores these rows, and how is it put right? On a private
//! copy, before a row is written.
//!
//! A restore purges the tables first and then inserts all rows in one go: a single row that fails
//! leaves the server with nothing (`docs/zip.md`, "Fixed rows"). So each rule is applied here, and
//! each row that it touches is named.

mod cycles;
pub(super) mod keys;
mod placeholder;
mod references;
pub(super) mod values;

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::schema::{Schema, Table};

/// Repairs that are named; beyond them they are counted.
pub const REPAIRS_NAMED_MAX: usize = 100_000;
/// Characters of a value that a repair shows.
const SHOWN_CHARS: usize = 60;
/// Columns whose values are nobody's business.
const SECRET: [&str; 2] = ["Password", "AccessToken"];

/// One thing that was put right.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Repair {
    /// The table.
    pub table: String,
    /// The row, by its key: `ItemId=…, UserId=…`.
    pub row: String,
    /// The column, where it was one.
    pub column: Option<String>,
    /// What was wrong.
    pub what: String,
    /// What was done.
    pub done: String,
}

/// All that was put right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// The first [`REPAIRS_NAMED_MAX`].
    pub named: Vec<Repair>,
    /// All, counted.
    pub count: u64,
}

impl Repairs {
    fn push(
        &mut self,
        table: &Table,
        row: String,
        column: Option<&str>,
        what: impl Into<String>,
        done: impl Into<String>,
    ) {
        self.count += 1;
        if self.named.len() < REPAIRS_NAMED_MAX {
            self.named.push(Repair {
                table: table.name.clone(),
                row,
                column: column.map(str::to_owned),
                what: what.into(),
                done: done.into(),
            });
        }
    }
}

/// Why a database could not be mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MendError {
    /// A table or column that its schema names is not there.
    #[error("the database lacks {what}, which every server with its migration history has")]
    Lacks {
        /// The table or column.
        what: String,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Stopped,
    /// SQLite failed: the file itself is damaged, or the disk is full.
    #[error("the table {table} could not be checked")]
    Sqlite {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Mends a private copy of a database. `time_ns` dates what needs a date: the snapshot's time, so
/// that the same snapshot gives the same bytes. `stop` is asked between tables and batches of rows.
pub fn mend(
    db: &Connection,
    schema: &Schema,
    time_ns: i128,
    stop: &dyn Fn() -> bool,
) -> Result<Repairs, MendError> {
    let mut repairs = Repairs::default();
    for table in &schema.tables {
        check_columns(db, table)?;
    }
    prepare(db).map_err(|source| MendError::Sqlite { table: "BaseItems".to_owned(), source })?;
    type Rule = fn(&Connection, &Schema, &Table, i128, &mut Repairs) -> rusqlite::Result<()>;
    let rules: [Rule; 4] = [values::mend, placeholder::mend, keys::mend, references::mend];
    for rule in rules {
        for table in &schema.tables {
            if stop() {
                return Err(MendError::Stopped);
            }
            rule(db, schema, table, time_ns, &mut repairs)
                .map_err(|source| MendError::Sqlite { table: table.name.clone(), source })?;
        }
    }
    // A user that was left out leaves rows behind in tables that were looked at before: once more,
    // until nothing is left.
    loop {
        let before = repairs.count;
        for table in &schema.tables {
            references::mend(db, schema, table, time_ns, &mut repairs)
                .map_err(|source| MendError::Sqlite { table: table.name.clone(), source })?;
        }
        if repairs.count == before {
            break;
        }
    }
    if let Some(items) = schema.table("BaseItems") {
        cycles::mend(db, items, &mut repairs)
            .map_err(|source| MendError::Sqlite { table: items.name.clone(), source })?;
    }
    db.execute_batch("COMMIT")
        .map_err(|source| MendError::Sqlite { table: "BaseItems".to_owned(), source })?;
    Ok(repairs)
}

/// Nobody else knows the copy: nothing is waited for, and no reference is followed but by the rules
/// here.
fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA temp_store = FILE; BEGIN")
}

fn check_columns(db: &Connection, table: &Table) -> Result<(), MendError> {
    let failed = |source| MendError::Sqlite { table: table.name.clone(), source };
    let mut statement = db.prepare("SELECT name FROM pragma_table_info(?1)").map_err(failed)?;
    let has: Vec<String> = statement
        .query_map([&table.name], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(failed)?;
    if has.is_empty() {
        return Err(MendError::Lacks { what: format!("the table {}", table.name) });
    }
    match table.columns().find(|column| !has.contains(&column.name)) {
        Some(column) => {
            Err(MendError::Lacks { what: format!("the column {}.{}", table.name, column.name) })
        }
        None => Ok(()),
    }
}

/// A row as a repair names it: by its key.
fn name_row(db: &Connection, table: &Table, rowid: i64) -> rusqlite::Result<String> {
    let columns: Vec<String> = table.key.iter().map(|name| format!("\"{name}\"")).collect();
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM \"{}\" WHERE rowid = ?1",
        columns.join(", "),
        table.name
    ))?;
    statement.query_row([rowid], |row| {
        let parts = table
            .key
            .iter()
            .enumerate()
            .map(|(at, name)| Ok(format!("{name}={}", show(name, row.get_ref(at)?))));
        Ok(parts.collect::<rusqlite::Result<Vec<_>>>()?.join(", "))
    })
}

/// A value as a repair shows it: short, and not where it is a secret.
fn show(column: &str, value: ValueRef<'_>) -> String {
    if SECRET.contains(&column) && !matches!(value, ValueRef::Null | ValueRef::Text(b"")) {
        return "(not shown)".to_owned();
    }
    let text = match value {
        ValueRef::Null => return "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Blob(bytes) => return format!("{} bytes", bytes.len()),
    };
    let mut shown: String = text.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

/// Leaves a row out, by name.
fn leave_out(
    db: &Connection,
    table: &Table,
    rowid: i64,
    column: Option<&str>,
    what: impl Into<String>,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    let row = name_row(db, table, rowid)?;
    db.prepare_cached(&format!("DELETE FROM \"{}\" WHERE rowid = ?1", table.name))?
        .execute([rowid])?;
    repairs.push(table, row, column, what, "the row was left out");
    Ok(())
}

/// Sets one value; false where a unique key forbids it.
fn set(
    db: &Connection,
    table: &Table,
    rowid: i64,
    column: &str,
    value: &Value,
) -> rusqlite::Result<bool> {
    let sql = format!("UPDATE \"{}\" SET \"{column}\" = ?1 WHERE rowid = ?2", table.name);
    match db.prepare_cached(&sql)?.execute((value, rowid)) {
        Ok(_) => Ok(true),
        Err(error)
            if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The rows for which a query gives row numbers, gathered before any is changed.
fn rows_of(db: &Connection, sql: &str) -> rusqlite::Result<Vec<i64>> {
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Whether the users of one schema can have the names that they have in another; those that cannot,
/// otherwise.
pub fn clashing_names(
    db: &Connection,
    own: &Schema,
    target: &Schema,
) -> rusqlite::Result<Vec<String>> {
    let normalizes = |schema: &Schema| {
        schema.table("Users").is_some_and(|users| users.property("NormalizedUsername").is_some())
    };
    if normalizes(own) || !normalizes(target) { Ok(Vec::new()) } else { keys::clashing_names(db) }
}
