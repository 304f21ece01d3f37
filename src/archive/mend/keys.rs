//! No two rows have the same key, and no user is without a name.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Schema, Table};
use super::{Repairs, leave_out, name_row, rows_of, set};

/// Leaves out what repeats a key; users are renamed instead, because all that is theirs would go with them.
pub(super) fn mend(db: &Connection, _: &Schema, table: &Table, _: i128, repairs: &mut Repairs) -> rusqlite::Result<()> {
    for rowid in repeated(db, table, &table.key)? {
        leave_out(db, table, rowid, None, format!("another row has the same {}", table.key.join(", ")), repairs)?;
    }
    if table.name == "Users" {
        name_users(db, table, repairs)?;
    }
    for unique in &table.unique {
        for rowid in repeated(db, table, unique)? {
            leave_out(db, table, rowid, None, format!("another row has the same {}", unique.join(", ")), repairs)?;
        }
    }
    Ok(())
}

/// Rows whose columns repeat those of a row before them. NULL is never the same as NULL.
fn repeated(db: &Connection, table: &Table, columns: &[String]) -> rusqlite::Result<Vec<i64>> {
    let list = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let known = columns.iter().map(|name| format!("\"{name}\" IS NOT NULL")).collect::<Vec<_>>().join(" AND ");
    // Not through an index, which may be what is wrong.
    rows_of(
        db,
        &format!(
            "SELECT number FROM (SELECT rowid AS number, row_number() OVER (PARTITION BY {list} ORDER BY rowid) AS nth FROM \"{}\" NOT INDEXED WHERE {known}) WHERE nth > 1 ORDER BY number",
            table.name
        ),
    )
}

/// Each user has a name of its own, which is also its own when upper and lower case are taken for the same.
fn name_users(db: &Connection, table: &Table, repairs: &mut Repairs) -> rusqlite::Result<()> {
    let normalizes = table.property("NormalizedUsername").is_some();
    let column = if normalizes { "\"NormalizedUsername\"" } else { "NULL" };
    let mut statement = db.prepare(&format!("SELECT rowid, \"Id\", \"Username\", {column} FROM \"Users\" ORDER BY rowid"))?;
    let users: Vec<(i64, String, String, Option<String>)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?.collect::<rusqlite::Result<_>>()?;
    let same = |a: &str, b: &str| if normalizes { normalized(a) == normalized(b) } else { a == b };
    let mut taken: Vec<String> = Vec::new();
    for (rowid, id, name, was_normalized) in users {
        let mut new = if name.is_empty() { format!("user-{}", id.chars().take(8).collect::<String>().to_lowercase()) } else { name.clone() };
        let base = new.clone();
        let mut number = 2;
        while taken.iter().any(|other| same(other, &new)) {
            new = format!("{base}-{number}");
            number += 1;
        }
        let row = name_row(db, table, rowid)?;
        if new != name {
            let what = if name.is_empty() { "the user has no name".to_owned() } else { format!("another user is called {name} too") };
            // An index over duplicates is damaged anyway; what it still refuses is left out below.
            if set(db, table, rowid, "Username", &Value::Text(new.clone()))? {
                repairs.push(table, row.clone(), Some("Username"), what, format!("the user is called {new} now; watch state and settings are kept"));
            }
        }
        // A name that the server itself would normalise otherwise is kept as it is, as long as it is nobody else's.
        if normalizes && (new != name || was_normalized.as_deref().is_none_or(str::is_empty)) {
            let to = normalized(&new);
            if set(db, table, rowid, "NormalizedUsername", &Value::Text(to.clone()))? && new == name {
                repairs.push(table, row, Some("NormalizedUsername"), "it is empty", format!("written as \"{to}\""));
            }
        }
        taken.push(new);
    }
    Ok(())
}

/// A user's name as the server compares it (`ToUpperInvariant`, which maps character to character).
pub(crate) fn normalized(name: &str) -> String {
    name.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(upper), None) => upper,
                _ => c,
            }
        })
        .collect()
}

/// Names that differ, but would not in a schema that compares them without regard to case, where this one does not.
pub(crate) fn clashing_names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("SELECT \"Username\" FROM \"Users\" ORDER BY rowid")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let clashes = |name: &&String| names.iter().filter(|other| normalized(other) == normalized(name)).count() > 1;
    Ok(names.iter().filter(clashes).cloned().collect())
}
