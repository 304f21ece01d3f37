//! A private copy of a database of somebody else's: of what is in it nothing is believed.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::progress::Interrupt;

/// Longest value that is read of a database, in bytes: the key frames of 100 hours have 48 MB.
const VALUE_BYTES_MAX: i32 = 64 << 20;
/// Memory that all of SQLite may take, in bytes: some of its steps read a key of an index whole,
/// whatever the length of a value may be. The move of a library takes half of it.
const HEAP_BYTES_MAX: i64 = 384 << 20;
/// Steps of SQLite's machine between two looks at the clock.
const PROGRESS_OPS: i32 = 20_000;
/// Time that a check may take, whatever the size, and bytes for which it may take a second more: a
/// slow disk reads more.
const CHECK_TIME: Duration = Duration::from_secs(20);
const CHECK_BYTES_A_SECOND: u64 = 4 << 20;

/// A connection to a private file that nobody else has open, to read rows; leaves nothing beside it.
/// Of the file nothing is believed: its schema may call no function, and no value may be larger than
/// any of Jellyfin's. What is asked of it ends when the user stops.
pub fn open_private(path: &Path, interrupt: &Interrupt) -> rusqlite::Result<Connection> {
    let mut db = open_raw(path)?;
    watch(&mut db, interrupt)?;
    refuse_computed(&db)?;
    Ok(db)
}

/// The same for whoever evaluates nothing of its schema.
fn open_raw(path: &Path) -> rusqlite::Result<Connection> {
    let uri = format!("{}?immutable=1", file_uri(path));
    let db = Connection::open_with_flags(
        uri,
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    wary(&db)?;
    Ok(db)
}

/// Sets a connection to a database of somebody else's on its guard.
pub fn wary(db: &Connection) -> rusqlite::Result<()> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // No server has any, and one of somebody else's could run for ever.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    db.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX)?;
    db.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    db.pragma_update(None, "hard_heap_limit", HEAP_BYTES_MAX)?;
    Ok(())
}

/// Ends what is asked of a connection when the user stops.
pub fn watch(db: &mut Connection, interrupt: &Interrupt) -> rusqlite::Result<()> {
    let interrupt = interrupt.clone();
    db.progress_handler(PROGRESS_OPS, Some(move || interrupt.is_raised()))
}

fn watch_for(db: &mut Connection, time: Duration, interrupt: &Interrupt) -> rusqlite::Result<()> {
    let (until, interrupt) = (Instant::now() + time, interrupt.clone());
    db.progress_handler(PROGRESS_OPS, Some(move || interrupt.is_raised() || Instant::now() > until))
}

/// The same, and what is asked of it ends also when it takes longer than any of Jellyfin's.
pub fn open_private_for(
    path: &Path,
    time: Duration,
    interrupt: &Interrupt,
) -> rusqlite::Result<Connection> {
    let mut db = open_raw(path)?;
    watch_for(&mut db, time, interrupt)?;
    refuse_computed(&db)?;
    Ok(db)
}

/// Tables that could be named like SQLite's own functions, and so take their place.
const SHADOWS: &str = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'pragma\\_%' ESCAPE '\\' OR name LIKE 'json\\_%' ESCAPE '\\'";

/// Refuses a database with computed columns. No server has any; one of somebody else's could take
/// hours for a single row, in a step of SQLite that nothing ends.
pub fn refuse_computed(db: &Connection) -> rusqlite::Result<()> {
    let refused = |what: String| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_AUTH);
        Err(rusqlite::Error::SqliteFailure(code, Some(what)))
    };
    if db.query_row(SHADOWS, [], |row| row.get::<_, i64>(0))? > 0 {
        return refused("it has a table with a name of SQLite's own functions, which no Jellyfin server creates".to_owned());
    }
    match tables(db)?.computed.first() {
        Some(name) => {
            refused(format!("{name} has computed columns, which no Jellyfin server creates"))
        }
        None => Ok(()),
    }
}

/// The tables of a database.
struct Tables {
    plain: Vec<String>,
    /// Those with columns whose values are computed when a row is read.
    computed: Vec<String>,
}

/// Asked by statements, whose place no table of the database can take.
fn tables(db: &Connection) -> rusqlite::Result<Tables> {
    let mut found = Tables { plain: Vec::new(), computed: Vec::new() };
    let mut list = db.prepare("PRAGMA main.table_list")?;
    let mut rows = list.query([])?;
    while let Some(row) = rows.next()? {
        let (schema, name, kind): (String, String, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        if schema != "main" || kind != "table" {
            continue;
        }
        let mut columns =
            db.prepare(&format!("PRAGMA main.table_xinfo(\"{}\")", name.replace('"', "\"\"")))?;
        let is_computed = columns
            .query_map([], |row| row.get::<_, i64>("hidden"))?
            .collect::<rusqlite::Result<Vec<_>>>()?
            .iter()
            .any(|hidden| matches!(hidden, 2 | 3));
        if is_computed { found.computed.push(name) } else { found.plain.push(name) }
    }
    Ok(found)
}

/// `PRAGMA quick_check` on a private file; what it found where it is not well.
pub fn quick_check(path: &Path, interrupt: &Interrupt) -> Result<(), String> {
    let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
    let time = CHECK_TIME + Duration::from_secs(bytes / CHECK_BYTES_A_SECOND);
    let _held_up = interrupt.out_of_hand();
    let found = open_raw(path).and_then(|mut copy| {
        watch_for(&mut copy, time, interrupt)?;
        // A constraint of somebody else's may cost a second for each row; whether it holds is not
        // asked here.
        copy.execute_batch("PRAGMA ignore_check_constraints = ON")?;
        check_tables(&copy)
    });
    match found {
        Ok(rows) if rows == ["ok"] => Ok(()),
        Ok(rows) => Err(rows.join("; ").replace('\n', " ")),
        Err(e) if e.sqlite_error_code() == Some(rusqlite::ErrorCode::OperationInterrupted) => {
            Err(if interrupt.is_raised() {
                "interrupted".to_owned()
            } else {
                "checking it takes too long for a database of Jellyfin".to_owned()
            })
        }
        Err(e) => Err(e.to_string()),
    }
}

/// What SQLite's check says of a database. Tables with computed columns are left out: their values
/// would be computed.
fn check_tables(copy: &Connection) -> rusqlite::Result<Vec<String>> {
    let names = |sql: &str| -> rusqlite::Result<Vec<String>> {
        copy.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    };
    let tables = tables(copy)?;
    if tables.computed.is_empty() {
        return names("PRAGMA quick_check(3)");
    }
    for table in &tables.plain {
        let found = names(&format!("PRAGMA quick_check('{}')", table.replace('\'', "''")))?;
        if found != ["ok"] {
            return Ok(found);
        }
    }
    Ok(vec!["ok".to_owned()])
}

/// A path as SQLite's URI, whatever bytes it has.
pub(super) fn file_uri(path: &Path) -> String {
    let mut uri = String::from("file:");
    let bytes = path.as_os_str().as_bytes();
    // Two slashes would begin the name of a machine; one means the same.
    let own =
        bytes.iter().position(|byte| *byte != b'/').map_or(0, |first| first.saturating_sub(1));
    for byte in bytes.get(own..).unwrap_or_default() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
#[path = "private_db_tests.rs"]
mod tests;
