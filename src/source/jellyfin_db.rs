//! What a copy of Jellyfin's database tells of its server: schema, code migrations, and the
//! directories that the server sees.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::manifest::Directories;

use crate::progress::Interrupt;

use super::private_db::open_private_for;

/// Time that it may take to read the facts of a database.
const FACTS_TIME: Duration = Duration::from_secs(30);
/// Most migrations, and the longest name of one: real servers have 80, of 60 characters.
const MIGRATIONS_MAX: usize = 5_000;
const MIGRATION_CHARS_MAX: usize = 250;
/// Longest path that is read of a database, in characters.
const PATH_CHARS_MAX: i64 = 4_096;

/// What was found in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Newest EF Core migration.
    pub schema: Option<String>,
    /// Newest code migration, and the server version that wrote it: a lower bound of the server's
    /// own.
    pub code_migration: Option<(String, String)>,
    /// Hash of the migration ids.
    pub history: Option<String>,
    /// Directories as the server sees them.
    pub directories: Directories,
    /// Whether it has any of Jellyfin's tables.
    pub is_jellyfins: bool,
    /// Tables that a server fills and that have no row: `Users`, `BaseItems` (but for its
    /// placeholder).
    pub empty_tables: Vec<&'static str>,
    /// Those of them that have rows. One that does not exist is in neither.
    pub filled_tables: Vec<&'static str>,
    /// All migrations in order: the id, and the version that wrote it.
    pub migrations: Vec<(String, String)>,
}

/// Tables by which Jellyfin's own database is known, of any version.
const OWN_TABLES: [&str; 5] =
    ["__EFMigrationsHistory", "Users", "BaseItems", "TypedBaseItems", "ActivityLogs"];

/// The migration history, of as many and as long rows as a server could write.
fn history(db: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let odd = |what: String| rusqlite::Error::ToSqlConversionFailure(what.into());
    // Sorted by what is read: a walk through the index would read keys whole, of whatever length.
    let sql = "SELECT substr(MigrationId, 1, ?1), substr(ProductVersion, 1, ?1) FROM __EFMigrationsHistory \
               WHERE typeof(MigrationId) = 'text' AND typeof(ProductVersion) = 'text' ORDER BY 1 LIMIT ?2";
    let mut statement = db.prepare(sql)?;
    let rows = statement
        .query_map((MIGRATION_CHARS_MAX as i64 + 1, MIGRATIONS_MAX as i64 + 1), |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
        })?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    if rows.len() > MIGRATIONS_MAX {
        return Err(odd(format!("its history has more than {MIGRATIONS_MAX} migrations")));
    }
    if rows
        .iter()
        .any(|(id, version)| id.chars().count().max(version.chars().count()) > MIGRATION_CHARS_MAX)
    {
        return Err(odd(format!(
            "its history has a migration whose name is longer than {MIGRATION_CHARS_MAX} characters"
        )));
    }
    Ok(rows)
}

/// Hash of the migration ids, in their order; nothing where there are none.
pub fn history_hash(migrations: &[(String, String)]) -> Option<String> {
    let mut ids: Vec<&str> = migrations.iter().map(|(id, _)| id.as_str()).collect();
    ids.sort_unstable();
    (!ids.is_empty()).then(|| blake3::hash(ids.join("\n").as_bytes()).to_hex().to_string())
}

/// Reads the facts; an error where the file is no database that SQLite reads.
pub fn read_facts(copy: &Path, interrupt: &Interrupt) -> rusqlite::Result<DatabaseFacts> {
    let _held_up = interrupt.out_of_hand();
    let db = open_private_for(copy, FACTS_TIME, interrupt)?;
    let mut facts = DatabaseFacts::default();
    if has_table(&db, "__EFMigrationsHistory")? {
        let rows = history(&db)?;
        // A server's version has four parts (10.11.6.0), EF Core's three (9.0.11):
        // reference/jellyfin.md 2.5.
        let is_code = |version: &str| version.split('.').count() == 4;
        facts.schema =
            rows.iter().rev().find(|(_, version)| !is_code(version)).map(|(id, _)| id.clone());
        facts.code_migration = rows
            .iter()
            .filter(|(_, version)| is_code(version))
            .max_by_key(|(_, version)| super::version::parse(version))
            .cloned();
        facts.history = history_hash(&rows);
        facts.migrations = rows;
    }
    facts.directories = directories(&db)?;
    for table in OWN_TABLES {
        facts.is_jellyfins |= has_table(&db, table)?;
    }
    for (table, sql) in
        [("Users", "SELECT count(*) FROM (SELECT 1 FROM Users LIMIT 1)"), ("BaseItems", ITEMS)]
    {
        if has_table(&db, table)? {
            let is_filled = db.query_row(sql, [], |row| row.get::<_, i64>(0))? > 0;
            let tables = if is_filled { &mut facts.filled_tables } else { &mut facts.empty_tables };
            tables.push(table);
        }
    }
    Ok(facts)
}

/// Whether there is an item beside the placeholder that every server has (`reference/jellyfin.md`
/// 3.5).
const ITEMS: &str = "SELECT count(*) > 1 FROM (SELECT 1 FROM BaseItems LIMIT 2)";

fn has_table(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1 AND rootpage > 0",
        [name],
        |row| Ok(row.get::<_, i64>(0)? > 0),
    )
}

/// Absolute paths that only the server itself can have written tell where it sees its directories.
fn directories(db: &Connection) -> rusqlite::Result<Directories> {
    let mut found = Directories::new();
    let first = |table: &str, column: &str, like: &str| -> rusqlite::Result<Option<String>> {
        if !has_table(db, table)? {
            return Ok(None);
        }
        // Table and column are constants of this file.
        let sql = format!(
            "SELECT \"{column}\" FROM \"{table}\" WHERE typeof(\"{column}\") = 'text' AND length(\"{column}\") <= ?2 AND \"{column}\" LIKE ?1 \
             AND substr(\"{column}\", 1, 1) <> '%' LIMIT 1"
        );
        match db.query_row(&sql, (like, PATH_CHARS_MAX), |row| row.get(0)) {
            Ok(path) => Ok(Some(path)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(e) => Err(e),
        }
    };
    // Avatars: <config>/users/<name>/profile.<ext>.
    if let Some(config) = first("ImageInfos", "Path", "%users%profile.%")?
        .as_deref()
        .and_then(|path| cut_components(path, 3))
    {
        found.insert("config".to_owned(), config.to_owned());
    }
    // Posters: <metadata>/library/<two digits>/<32 digits>/….
    for (table, column) in [("BaseItemImageInfos", "Path"), ("Chapters", "ImagePath")] {
        for separator in ['/', '\\'] {
            let like = format!(
                "%metadata{separator}library{separator}__{separator}________________________________{separator}%"
            );
            if let Some(path) = first(table, column, &like)?
                && let Some((metadata, _)) =
                    path.rsplit_once(&format!("{separator}library{separator}"))
            {
                found.entry("metadata".to_owned()).or_insert_with(|| metadata.to_owned());
            }
        }
    }
    Ok(found)
}

/// A path without its last `count` components, whichever separator it has.
fn cut_components(path: &str, count: usize) -> Option<&str> {
    (0..count)
        .try_fold(path, |path, _| path.rfind(['/', '\\']).and_then(|at| path.get(..at)))
        .filter(|path| !path.is_empty())
}
