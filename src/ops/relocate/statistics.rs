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
