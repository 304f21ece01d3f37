//! A table's rows as the server would write them into its backup: one JSON array, minified,
//! properties in the order of their class.

use rusqlite::Connection;

use super::cell;
use super::schema::{Kind, Property, Schema, Table};
use super::text::push_string;

/// Why a table could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DumpError<E> {
    /// SQLite could not read it.
    #[error("the table {table} cannot be read")]
    Sqlite {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A value that a server could not read: rows are mended before they are written, so this is a
    /// fault of jellyvault's.
    #[error("{table}.{column} {what}, and was not fixed")]
    Fault {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The schema was learnt from a zip that did not tell how this is written.
    #[error("{table}{} has values, and had none in the zip that its schema was learnt from", column.as_ref().map_or_else(String::new, |column| format!(".{column}")))]
    Unlearnt {
        /// The table.
        table: String,
        /// The column; nothing where the table was empty.
        column: Option<String>,
    },
    /// Whoever takes the bytes failed.
    #[error("{0}")]
    Out(E),
}

/// What differs from the server's own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DumpStyle {
    /// Avatars stand inside their users, where a restore keeps them; the server's own backup loses
    /// them.
    pub nested_avatars: bool,
}

/// Bytes that are handed on at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Writes a table; `out` receives blocks of bytes, in order.
pub fn dump_table<E>(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    style: DumpStyle,
    out: &mut dyn FnMut(&mut Vec<u8>) -> Result<(), E>,
) -> Result<u64, DumpError<E>> {
    let failed = |source| DumpError::Sqlite { table: table.name.clone(), source };
    let columns: Vec<String> =
        table.columns().map(|property| format!("\"{}\"", property.name)).collect();
    let only = if style.nested_avatars && table.name == "ImageInfos" {
        " WHERE \"UserId\" IS NULL"
    } else {
        ""
    };
    // As the server asks: without an order, which is the order of the rows in the file.
    let mut statement = db
        .prepare(&format!("SELECT {} FROM \"{}\"{only}", columns.join(", "), table.name))
        .map_err(failed)?;
    let mut avatars = if style.nested_avatars && table.name == "Users" {
        Some(Avatars::new(db, schema).map_err(failed)?)
    } else {
        None
    };
    let keys: Vec<Vec<u8>> = table.properties.iter().map(|property| key(&property.name)).collect();
    let (mut rows, mut count, mut block) =
        (statement.query([]).map_err(failed)?, 0, Vec::with_capacity(BLOCK_BYTES + (16 << 10)));
    block.push(b'[');
    while let Some(row) = rows.next().map_err(failed)? {
        if table.is_unseen {
            return Err(DumpError::Unlearnt { table: table.name.clone(), column: None });
        }
        if count > 0 {
            block.push(b',');
        }
        count += 1;
        let mut column = 0;
        for (at, (property, key)) in table.properties.iter().zip(&keys).enumerate() {
            block.push(if at == 0 { b'{' } else { b',' });
            block.extend_from_slice(key);
            match property.kind {
                Kind::Reference if property.name == "ProfileImage" && avatars.is_some() => {
                    let id = row.get_ref(0).map_err(failed)?;
                    if let Some(avatars) = &mut avatars {
                        avatars.push(id, &mut block)?;
                    }
                }
                Kind::Reference => block.extend(b"null"),
                Kind::Collection => block.extend(b"[]"),
                _ => {
                    let value = row.get_ref(column).map_err(failed)?;
                    column += 1;
                    let (cell, _) =
                        cell::read(property, value).map_err(|what| fault(table, property, what))?;
                    cell.push_json(&mut block);
                }
            }
        }
        block.push(b'}');
        if block.len() >= BLOCK_BYTES {
            out(&mut block).map_err(DumpError::Out)?;
            block.clear();
        }
    }
    block.push(b']');
    out(&mut block).map_err(DumpError::Out)?;
    Ok(count)
}

fn fault<E>(table: &Table, property: &Property, what: &'static str) -> DumpError<E> {
    match property.kind {
        Kind::Unsure(_) => {
            DumpError::Unlearnt { table: table.name.clone(), column: Some(property.name.clone()) }
        }
        _ => DumpError::Fault { table: table.name.clone(), column: property.name.clone(), what },
    }
}

fn key(name: &str) -> Vec<u8> {
    let mut key = Vec::new();
    push_string(&mut key, name);
    key.push(b':');
    key
}

/// The avatars of users, as the nested object that a restore takes with its user.
struct Avatars<'a> {
    statement: rusqlite::Statement<'a>,
    columns: Vec<(Vec<u8>, super::schema::Property)>,
}

impl<'a> Avatars<'a> {
    fn new(db: &'a Connection, schema: &Schema) -> rusqlite::Result<Avatars<'a>> {
        let statement = db.prepare(
            "SELECT \"Path\", \"LastModified\" FROM \"ImageInfos\" WHERE \"UserId\" = ?1",
        )?;
        let table = schema.table("ImageInfos");
        let columns = ["Path", "LastModified"]
            .iter()
            .filter_map(|name| Some((key(name), table?.property(name)?.clone())))
            .collect();
        Ok(Avatars { statement, columns })
    }

    fn push<E>(
        &mut self,
        user: rusqlite::types::ValueRef<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), DumpError<E>> {
        let failed = |source| DumpError::Sqlite { table: "ImageInfos".to_owned(), source };
        let user = rusqlite::types::Value::try_from(user)
            .map_err(|_| failed(rusqlite::Error::InvalidQuery))?;
        let mut rows = self.statement.query([user]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else {
            out.extend(b"null");
            return Ok(());
        };
        for (at, (key, property)) in self.columns.iter().enumerate() {
            out.push(if at == 0 { b'{' } else { b',' });
            out.extend_from_slice(key);
            let (cell, _) =
                cell::read(property, row.get_ref(at).map_err(failed)?).map_err(|what| {
                    DumpError::Fault {
                        table: "ImageInfos".to_owned(),
                        column: property.name.clone(),
                        what,
                    }
                })?;
            cell.push_json(out);
        }
        out.push(b'}');
        Ok(())
    }
}

/// Writes `HistoryRow.json`: the migrations, in the order of their ids.
pub fn dump_history(history: &[(String, String)]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, (id, version)) in history.iter().enumerate() {
        out.extend(if at == 0 { &b"{\"MigrationId\":"[..] } else { b",{\"MigrationId\":" });
        push_string(&mut out, id);
        out.extend(b",\"ProductVersion\":");
        push_string(&mut out, version);
        out.push(b'}');
    }
    out.push(b']');
    out
}

/// The migration history of a database, in the order of the ids; empty where there is none.
pub fn read_history(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let has: i64 = db.query_row("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '__EFMigrationsHistory'", [], |row| row.get(0))?;
    if has == 0 {
        return Ok(Vec::new());
    }
    let mut statement = db.prepare("SELECT \"MigrationId\", \"ProductVersion\" FROM \"__EFMigrationsHistory\" ORDER BY \"MigrationId\"")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
