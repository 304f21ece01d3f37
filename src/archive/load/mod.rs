//! Tables of a zip become a `jellyfin.db` of their own schema: into an empty file, or into the database of a neighbouring moment, of which
//! only what differs is then written.

mod row;
mod table;

use std::io::Read;
use std::path::Path;

use rusqlite::Connection;

use super::lenient::lenient;
use super::schema::{History, Schema, Table};

pub use table::{Loaded, load_avatars, load_table};

/// Longest `HistoryRow.json` that is read, in bytes.
pub const HISTORY_BYTES_MAX: u64 = 16 << 20;

/// Why tables could not become a database.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Their text is no JSON, or no array of objects.
    #[error("{table}.json cannot be read: {what}")]
    Json {
        /// The table.
        table: String,
        /// What is wrong.
        what: String,
    },
    /// SQLite failed.
    #[error("the table {table} could not be built")]
    Sqlite {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}

/// Avatars that stand inside their users: user, path, date.
pub type Avatars = Vec<(rusqlite::types::Value, String, String)>;

/// Reads `HistoryRow.json`.
pub fn read_history_json(reader: impl Read) -> Result<History, LoadError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Row {
        migration_id: String,
        product_version: String,
    }
    let rows: Vec<Row> = serde_json::from_reader(lenient(reader)).map_err(|e| LoadError::Json { table: "HistoryRow".to_owned(), what: e.to_string() })?;
    Ok(rows.into_iter().map(|row| (row.migration_id, row.product_version)).collect())
}

/// Makes the tables of a schema in an empty file; what only speeds up reading, and what forbids nothing, comes with [`finish`].
pub fn create(path: &Path, schema: &Schema, history: &[(String, String)]) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch("PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8'")?;
    prepare(&db)?;
    let first = schema.ddl(history).filter(|statement| is_first(statement));
    first.into_iter().try_for_each(|statement| db.execute_batch(statement))?;
    Ok(db)
}

/// Opens the database of a neighbouring moment, a private copy, to make it another's.
pub fn open_neighbour(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    prepare(&db)?;
    // What no zip holds is not this moment's.
    db.execute("DELETE FROM \"HomeSection\"", [])?;
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -65536; BEGIN",
    )
}

/// Whether a statement must come before the rows: a table, or what keeps two of them from having one key.
fn is_first(statement: &str) -> bool {
    statement.starts_with("CREATE TABLE") || statement.starts_with("CREATE UNIQUE INDEX")
}

/// Completes the database: history, indexes, the header that the server's own has.
pub fn finish(db: Connection, schema: &Schema, history: &[(String, String)], is_new: bool) -> rusqlite::Result<()> {
    let same: Vec<(String, String)> = super::read_history(&db)?;
    if same != sorted(history) {
        db.execute("DELETE FROM \"__EFMigrationsHistory\"", [])?;
        let mut insert = db.prepare("INSERT INTO \"__EFMigrationsHistory\" (\"MigrationId\", \"ProductVersion\") VALUES (?1, ?2)")?;
        for row in history {
            // The same migration twice says no more than once.
            match insert.execute((&row.0, &row.1)) {
                Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
                outcome => drop(outcome?),
            }
        }
    }
    if is_new {
        schema.ddl(history).filter(|statement| !is_first(statement)).try_for_each(|statement| db.execute_batch(statement))?;
    }
    db.execute_batch("COMMIT")?;
    // The server's databases are in this mode; closing folds the log in and removes it.
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    db.close().map_err(|(_, error)| error)
}

fn sorted(history: &[(String, String)]) -> Vec<(String, String)> {
    let mut sorted = history.to_vec();
    sorted.sort();
    sorted.dedup_by(|a, b| a.0 == b.0);
    sorted
}

/// Whether a database has the very tables and indexes that the servers of this history make.
pub fn has_schema(db: &Connection, schema: &Schema, history: &[(String, String)]) -> rusqlite::Result<bool> {
    let mut statement = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let mut has: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut wants: Vec<&str> = schema.ddl(history).map(|statement| statement.trim_end_matches(';')).collect();
    has.sort();
    wants.sort_unstable();
    Ok(has == wants)
}

/// The columns of a table, quoted, one behind another.
fn column_list(table: &Table) -> String {
    table.columns().map(|property| format!("\"{}\"", property.name)).collect::<Vec<_>>().join(", ")
}
