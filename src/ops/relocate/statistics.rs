//! What the server's query planner knows of its indexes: SQLite forgets it with an index that is
//! dropped.

use rusqlite::{Connection, params_from_iter};

/// Rows of `sqlite_stat1`: table, index, and how its keys are spread.
pub(super) struct Statistics(Option<Vec<[rusqlite::types::Value; 3]>>);

/// More than a server has indexes.
const ROWS_MAX: usize = 10_000;

impl Statistics {
    /// Those of a database, where they are in danger.
    pub(super) fn of(db: &Connection, are_in_danger: bool) -> rusqlite::Result<Statistics> {
        if !are_in_danger || !db.table_exists(Some("main"), "sqlite_stat1")? {
            return Ok(Statistics(None));
        }
        let mut statement = db.prepare(&format!(
            "SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY rowid LIMIT {ROWS_MAX}"
        ))?;
        let rows = statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]))?;
        Ok(Statistics(Some(rows.collect::<rusqlite::Result<_>>()?)))
    }

    /// Writes them again. All indexes are there again.
    pub(super) fn put_back(self, db: &Connection) -> rusqlite::Result<()> {
        let Some(rows) = self.0 else { return Ok(()) };
        db.execute("DELETE FROM sqlite_stat1", [])?;
        let mut insert =
            db.prepare("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)")?;
        rows.into_iter().try_for_each(|row| insert.execute(params_from_iter(row)).map(drop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_outlive_the_index_that_they_are_of() {
        let db = Connection::open_in_memory().unwrap();
        let index = "CREATE INDEX i ON t (a)";
        db.execute_batch(&format!(
            "CREATE TABLE t (a, b); {index}; INSERT INTO t VALUES (1, 2), (1, 3), (4, 5); ANALYZE;"
        ))
        .unwrap();
        let rows = |db: &Connection| -> Vec<(String, Option<String>, String)> {
            let mut all =
                db.prepare("SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2").unwrap();
            all.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .unwrap()
                .map(Result::unwrap)
                .collect()
        };
        let before = rows(&db);
        assert!(!before.is_empty());
        let kept = Statistics::of(&db, true).unwrap();
        db.execute_batch(&format!("DROP INDEX i; {index}")).unwrap();
        assert_ne!(rows(&db), before, "SQLite forgets them");
        kept.put_back(&db).unwrap();
        assert_eq!(rows(&db), before);
    }
}
