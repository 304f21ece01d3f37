//! Primary keys and unique columns of a private copy, as plain indexes for a while: kept up to date
//! row by row their indexes would cost most of the time, because new ids fall all over them. Sorted
//! once afterwards they cost little, and a key that is there twice is still noticed.

use rusqlite::{Connection, OptionalExtension};

/// What was lifted: how each table and each of its own indexes was described.
#[derive(Debug, Default)]
pub(super) struct Lifted {
    /// Name and SQL of a table.
    tables: Vec<(String, String)>,
    /// Name of an index of a constraint, and its name meanwhile.
    indexes: Vec<(String, String)>,
}

/// An index of a constraint as a statement could have made it.
struct Own {
    name: String,
    columns: Vec<String>,
}

impl Lifted {
    /// Turns the constraints of these tables into indexes, where that can be done exactly.
    pub(super) fn of<'t>(
        db: &Connection,
        tables: impl Iterator<Item = &'t str>,
    ) -> rusqlite::Result<Lifted> {
        let mut lifted = Lifted::default();
        db.pragma_update(None, "writable_schema", true)?;
        for table in tables {
            lifted.lift(db, table)?;
        }
        reload(db)?;
        Ok(lifted)
    }

    fn lift(&mut self, db: &Connection, table: &str) -> rusqlite::Result<()> {
        let Some(own) = own_indexes(db, table)?.filter(|own| !own.is_empty()) else {
            return Ok(());
        };
        let Some(plain) = without_constraints(db, table)? else { return Ok(()) };
        let sql: String = db.query_row(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1",
            [table],
            |row| row.get(0),
        )?;
        db.execute(
            "UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1",
            [table, &plain],
        )?;
        self.tables.push((table.to_owned(), sql));
        for index in own {
            let meanwhile = format!("jellyvault_{}", self.indexes.len());
            let sql = format!(
                "CREATE UNIQUE INDEX {} ON {} ({})",
                quoted(&meanwhile),
                quoted(table),
                index.columns.join(", ")
            );
            db.execute(
                "UPDATE sqlite_schema SET name = ?2, sql = ?3 WHERE type = 'index' AND name = ?1",
                [&index.name, &meanwhile, &sql],
            )?;
            self.indexes.push((index.name, meanwhile));
        }
        Ok(())
    }

    /// Makes them constraints again. All indexes are there again.
    pub(super) fn put_back(self, db: &Connection) -> rusqlite::Result<()> {
        db.pragma_update(None, "writable_schema", true)?;
        for (name, meanwhile) in &self.indexes {
            db.execute(
                "UPDATE sqlite_schema SET name = ?1, sql = NULL WHERE type = 'index' AND name = ?2",
                [name, meanwhile],
            )?;
        }
        for (table, sql) in &self.tables {
            db.execute(
                "UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1",
                [table, sql],
            )?;
        }
        reload(db)
    }
}

/// A name as SQL takes it, whatever is in it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Reads the schema again.
fn reload(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA writable_schema = RESET")
}

/// The indexes that belong to a table's constraints; nothing where one is of a kind that no server
/// has.
fn own_indexes(db: &Connection, table: &str) -> rusqlite::Result<Option<Vec<Own>>> {
    let mut list = db.prepare(&format!("PRAGMA index_list({})", quoted(table)))?;
    let names = list
        .query_map([], |row| Ok((row.get(1)?, row.get(3)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    let mut found = Vec::new();
    for (name, _) in names.into_iter().filter(|(_, origin)| origin != "c") {
        let mut info = db.prepare(&format!("PRAGMA index_xinfo({})", quoted(&name)))?;
        let parts =
            info.query_map([], |row| Ok((row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)))?;
        let mut columns = Vec::new();
        for part in parts {
            let (column, is_descending, collation, is_key): (Option<String>, bool, String, bool) =
                part?;
            let is_usual = ["BINARY", "NOCASE", "RTRIM"].contains(&collation.as_str());
            match column {
                _ if !is_key => {}
                Some(column) if is_usual => columns.push(format!(
                    "{} COLLATE {collation}{}",
                    quoted(&column),
                    if is_descending { " DESC" } else { "" }
                )),
                _ => return Ok(None),
            }
        }
        found.push(Own { name, columns });
    }
    Ok(Some(found))
}

/// Name, declared type, default, place in the key and whether it is hidden or computed.
type Column = (String, String, Option<String>, i64, i64);

/// Whether a default is a number, a text or bytes as they stand, or NULL: as every column has that
/// was added later.
fn is_literal(text: &str) -> bool {
    let text = text.trim();
    let is_quoted = |text: &str| {
        let body = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
        body.is_some_and(|body| !body.replace("''", "").contains('\''))
    };
    let bytes = text.strip_prefix(['x', 'X']);
    ["NULL", "TRUE", "FALSE"].iter().any(|word| text.eq_ignore_ascii_case(word))
        || text.parse::<f64>().is_ok_and(|_| text.contains(|c: char| c.is_ascii_digit()))
        || is_quoted(text)
        || bytes.is_some_and(is_quoted)
}

/// A table of the same columns with nothing else said but their defaults; nothing where its rows are
/// kept in another way.
fn without_constraints(db: &Connection, table: &str) -> rusqlite::Result<Option<String>> {
    let kind = db
        .query_row(
            "SELECT wr = 0 AND type = 'table' FROM pragma_table_list(?1) WHERE schema = 'main'",
            [table],
            |row| row.get::<_, bool>(0),
        )
        .optional()?;
    let mut info = db.prepare(&format!("PRAGMA table_xinfo({})", quoted(table)))?;
    let columns = info.query_map([], |row| {
        Ok((row.get(1)?, row.get(2)?, row.get(4)?, row.get(5)?, row.get(6)?))
    })?;
    let columns = columns.collect::<rusqlite::Result<Vec<Column>>>()?;
    let keys = columns.iter().filter(|(_, _, _, key, _)| *key > 0).count();
    let is_plain = |(_, _, default, _, hidden): &Column| {
        *hidden == 0 && default.as_deref().is_none_or(is_literal)
    };
    if kind != Some(true) || !columns.iter().all(is_plain) {
        return Ok(None);
    }
    let described = columns.iter().map(|(name, declared, default, key, _)| {
        // The number of its row, which is kept nowhere else.
        let is_row_number = *key > 0 && keys == 1 && declared.eq_ignore_ascii_case("INTEGER");
        // Rows from before the column was added do not have it: they take its default.
        let default =
            default.as_ref().map_or_else(String::new, |default| format!(" DEFAULT {default}"));
        format!(
            "{} {}{}{default}",
            quoted(name),
            affinity(declared),
            if is_row_number { " PRIMARY KEY" } else { "" }
        )
    });
    Ok(Some(format!(
        "CREATE TABLE {} ({})",
        quoted(table),
        described.collect::<Vec<_>>().join(", ")
    )))
}

/// A declared type with the same affinity (SQLite's documentation, "Datatypes", 3.1).
fn affinity(declared: &str) -> &'static str {
    let declared = declared.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
    if has(&["INT"]) {
        "INTEGER"
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        "TEXT"
    } else if declared.is_empty() || has(&["BLOB"]) {
        "BLOB"
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        "REAL"
    } else {
        "NUMERIC"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE \"a b\" (\"I\"\"d\" TEXT NOT NULL CONSTRAINT \"PK\" PRIMARY KEY, n INT UNIQUE, x NUMERIC CHECK (x > 0));
        CREATE TABLE pair (a TEXT NOT NULL, b TEXT NOT NULL COLLATE NOCASE, PRIMARY KEY (a, b DESC));
        CREATE TABLE row (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, t TEXT UNIQUE);
        CREATE TABLE apart (k TEXT PRIMARY KEY) WITHOUT ROWID;
        INSERT INTO \"a b\" VALUES ('k1', 1, 2.5), ('k2', NULL, 3), ('k3', NULL, 4);
        INSERT INTO pair VALUES ('x', 'Y'), ('x', 'Z');
        INSERT INTO row VALUES (7, 'seven'), (9, NULL);
        INSERT INTO apart VALUES ('k');
        ALTER TABLE pair ADD COLUMN later INTEGER NOT NULL DEFAULT 7;
        ALTER TABLE pair ADD COLUMN words TEXT NOT NULL DEFAULT 'it''s';
        ALTER TABLE pair ADD COLUMN minus REAL DEFAULT -1.5;
        CREATE TABLE odd (k TEXT PRIMARY KEY, at TEXT DEFAULT CURRENT_TIMESTAMP);";

    fn described(db: &Connection) -> Vec<(String, Option<String>)> {
        let mut all = db.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
        all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn constraints_come_back_as_they_were_and_hold() {
        let dir = tempfile::tempdir().unwrap();
        let db = Connection::open(dir.path().join("a.db")).unwrap();
        db.execute_batch(SCHEMA).unwrap();
        let before = described(&db);
        let lifted = Lifted::of(&db, ["a b", "pair", "row", "apart", "odd"].into_iter()).unwrap();
        assert_eq!(lifted.indexes.len(), 4, "{lifted:?}");
        let remade: Vec<String> = described(&db)
            .into_iter()
            .filter(|(name, _)| name.starts_with("jellyvault_"))
            .filter_map(|(_, sql)| sql)
            .collect();
        for number in 0..remade.len() {
            db.execute_batch(&format!("DROP INDEX jellyvault_{number}")).unwrap();
        }
        // Row by row this could not be done.
        db.execute_batch("UPDATE \"a b\" SET n = 3 - n WHERE n IS NOT NULL; UPDATE pair SET b = 'q' || rowid; UPDATE row SET t = 'nine' WHERE id = 9").unwrap();
        remade.iter().for_each(|sql| db.execute_batch(sql).unwrap());
        lifted.put_back(&db).unwrap();
        assert_eq!(described(&db), before);
        let added: Vec<(i64, String, f64)> = db
            .prepare("SELECT later, words, minus FROM pair")
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(added, vec![(7, "it's".to_owned(), -1.5); 2]);
        drop(db);
        let db = Connection::open(dir.path().join("a.db")).unwrap();
        let whole: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        assert!(
            db.execute("INSERT INTO pair (a, b) VALUES ('x', 'Q1')", []).is_err(),
            "the key and its collation hold"
        );
        assert!(db.execute("INSERT INTO row (t) VALUES ('nine')", []).is_err());
        let next: i64 = db
            .query_row("INSERT INTO row (t) VALUES ('ten') RETURNING id", [], |row| row.get(0))
            .unwrap();
        assert_eq!(next, 10, "numbers go on");
    }
}
