//! Keys that change places: a mark stands before each new one until no old one is left.

use rusqlite::Connection;

use super::constraints::quoted;

/// Stands before a new value while an old one of the same name may still be there. No value of a
/// server begins with it.
pub(super) const PENDING: &str = "\u{1}jellyvault\u{1}";

/// A table and the number of a row.
pub(super) type RowOf = (String, i64);

/// Takes the marks off that stood before new values; rows whose key another row has then are `taken`.
pub(super) fn settle<'t>(
    db: &Connection,
    (name, row): (&str, &str),
    columns: impl Iterator<Item = &'t str>,
    taken: &mut Vec<RowOf>,
) -> rusqlite::Result<()> {
    for column in columns {
        let (column, table, len) = (quoted(column), quoted(name), PENDING.chars().count());
        let is_marked = format!("typeof({column}) = 'text' AND substr({column}, 1, {len}) = ?1");
        let set =
            format!("UPDATE {table} SET {column} = substr({column}, {}) WHERE {row} = ?1", len + 1);
        let mut marked = db.prepare(&format!("SELECT {row} FROM {table} WHERE {is_marked}"))?;
        let rows = marked
            .query_map([PENDING], |row| row.get(0))?
            .collect::<rusqlite::Result<Vec<i64>>>()?;
        // One by one: a statement that fails behind its first row could not be taken back without a
        // journal.
        let mut one = db.prepare(&set)?;
        for number in rows {
            match one.execute([number]) {
                Err(error) if is_taken(&error) => taken.push((name.to_owned(), number)),
                done => drop(done?),
            }
        }
    }
    Ok(())
}

/// Whether a row would have the key of another.
pub(super) fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}
