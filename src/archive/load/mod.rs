//! Tables of a zip become a `jellyfin.db` of their own schema: into an empty file, or into the
//! database of a neighbouring moment, of which only what differs is then written.

mod avatars;
mod row;
mod table;

use std::io::Read;
use std::path::Path;

use rusqlite::Connection;

use super::lenient::lenient;
use super::schema::{History, Schema, Table};

pub use avatars::load_avatars;
pub use table::{Loaded, load_table};

/// Longest `HistoryRow.json` that is read, in bytes.
pub const HISTORY_BYTES_MAX: u64 = 16 << 20;

/// Users that are looked at to tell a server.
const USERS_MAX: usize = 100;
/// Row numbers of a neighbour are below this.
const ROWID_MAX: i64 = 1 << 60;

/// Why tables could not become a database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Their text is no JSON, or no array of objects.
    #[error("{table}.json cannot be read: {what}")]
    Json {
        /// The table.
        table: String,
        /// What is wrong.
        what: String,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Stopped,
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
    let rows: Vec<Row> = serde_json::from_reader(lenient(reader))
        .map_err(|e| LoadError::Json { table: "HistoryRow".to_owned(), what: e.to_string() })?;
    Ok(rows.into_iter().map(|row| (row.migration_id, row.product_version)).collect())
}

/// Ids of the users in `Users.json`, as a database holds them: they tell one server from another.
/// The first hundred are enough.
pub fn user_ids(json: impl Read) -> Result<Vec<rusqlite::types::Value>, LoadError> {
    #[derive(serde::Deserialize)]
    struct User {
        #[serde(rename = "Id")]
        id: String,
    }
    struct Ids(Vec<rusqlite::types::Value>);
    impl<'de> serde::de::Visitor<'de> for &mut Ids {
        type Value = ();
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an array of users")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
            while let Some(user) = seq.next_element::<User>()? {
                self.0.push(rusqlite::types::Value::Text(user.id.to_uppercase()));
                if self.0.len() >= USERS_MAX {
                    return Err(serde::de::Error::custom("enough"));
                }
            }
            Ok(())
        }
    }
    let mut ids = Ids(Vec::new());
    let read = serde::Deserializer::deserialize_seq(
        &mut serde_json::Deserializer::from_reader(lenient(json)),
        &mut ids,
    );
    match read {
        Err(error) if ids.0.len() < USERS_MAX => {
            Err(LoadError::Json { table: "Users".to_owned(), what: error.to_string() })
        }
        _ => Ok(ids.0),
    }
}

/// Makes the tables of a schema in an empty file; what only speeds up reading, and what forbids
/// nothing, comes with [`finish`].
pub fn create(
    path: &Path,
    schema: &Schema,
    history: &[(String, String)],
) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    db.execute_batch("PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8'")?;
    prepare(&db)?;
    let first = schema.ddl(history).filter(|statement| is_first(statement));
    first.into_iter().try_for_each(|statement| db.execute_batch(statement))?;
    Ok(db)
}

/// Opens the database of a neighbouring moment, a private copy, to make it another's.
pub fn open_neighbour(path: &Path, schema: &Schema) -> rusqlite::Result<Connection> {
    let db = Connection::open(path)?;
    prepare(&db)?;
    // What no zip holds is not this moment's.
    db.execute_batch("DELETE FROM \"HomeSection\"; DELETE FROM \"__EFMigrationsLock\"")?;
    for table in &schema.tables {
        let columns: Vec<String> = db
            .prepare_cached("SELECT name FROM pragma_table_info(?1)")?
            .query_map([&table.name], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for column in columns.iter().filter(|column| table.property(column).is_none()) {
            db.execute(
                &format!(
                    "UPDATE \"{0}\" SET \"{column}\" = NULL WHERE \"{column}\" IS NOT NULL",
                    table.name
                ),
                [],
            )?;
        }
    }
    Ok(db)
}

fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "PRAGMA journal_mode = DELETE; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA temp_store = FILE; PRAGMA cache_size = -65536; BEGIN",
    )
}

/// Whether a statement must come before the rows: a table, or what keeps two of them from having
/// one key.
fn is_first(statement: &str) -> bool {
    statement.starts_with("CREATE TABLE") || statement.starts_with("CREATE UNIQUE INDEX")
}

/// Completes the database: history, indexes, the header that the server's own has.
pub fn finish(
    db: Connection,
    schema: &Schema,
    history: &[(String, String)],
    is_new: bool,
) -> rusqlite::Result<()> {
    let same: Vec<(String, String)> = super::read_history(&db)?;
    if same != sorted(history) {
        db.execute("DELETE FROM \"__EFMigrationsHistory\"", [])?;
        let mut insert = db.prepare("INSERT INTO \"__EFMigrationsHistory\" (\"MigrationId\", \"ProductVersion\") VALUES (?1, ?2)")?;
        for row in history {
            // The same migration twice says no more than once.
            match insert.execute((&row.0, &row.1)) {
                Err(error)
                    if error.sqlite_error_code()
                        == Some(rusqlite::ErrorCode::ConstraintViolation) => {}
                outcome => drop(outcome?),
            }
        }
    }
    if is_new {
        schema
            .ddl(history)
            .filter(|statement| !is_first(statement))
            .try_for_each(|statement| db.execute_batch(statement))?;
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
pub fn has_schema(
    db: &Connection,
    schema: &Schema,
    history: &[(String, String)],
) -> rusqlite::Result<bool> {
    let mut statement = db.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let mut has: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut wants: Vec<&str> = schema.ddl(history).collect();
    has.sort();
    wants.sort_unstable();
    if has != wants {
        return Ok(false);
    }
    // Row numbers that no server hands out leave no room before or behind them.
    for table in &schema.tables {
        let sql = format!(
            "SELECT coalesce(min(rowid), 1) > 0 AND coalesce(max(rowid), 1) < {ROWID_MAX} FROM \"{}\"",
            table.name
        );
        if !db.query_row(&sql, [], |row| row.get(0))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The columns of a table, quoted, one behind another.
fn column_list(table: &Table) -> String {
    table.columns().map(|property| format!("\"{}\"", property.name)).collect::<Vec<_>>().join(", ")
}
