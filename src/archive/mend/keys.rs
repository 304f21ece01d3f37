//! No two rows have the same key, and no user is without a name.

use std::collections::HashSet;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Kind, Schema, Table};
use super::{Repairs, leave_out, name_row, rows_of, set};

/// Leaves out what repeats a key; users are renamed instead, because all that is theirs would go
/// with them.
pub(super) fn mend(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    _: i128,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    if let Some(key) = handed_out(schema, table) {
        // The server would give such a row a new id, and all that belongs to it would belong to
        // nothing.
        let zero = super::super::text::stored_guid(&[0; 16]);
        for rowid in rows_of(
            db,
            &format!("SELECT rowid FROM \"{}\" WHERE \"{key}\" = '{zero}'", table.name),
        )? {
            leave_out(
                db,
                table,
                rowid,
                Some(key),
                "its id is zero, which the server treats as no id",
                repairs,
            )?;
        }
    }
    for rowid in repeated(db, table, &table.key)? {
        leave_out(
            db,
            table,
            rowid,
            None,
            format!("another row has the same {}", table.key.join(", ")),
            repairs,
        )?;
    }
    if table.name == "Users" {
        name_users(db, table, repairs)?;
    }
    for unique in &table.unique {
        for rowid in repeated(db, table, unique)? {
            leave_out(
                db,
                table,
                rowid,
                None,
                format!("another row has the same {}", unique.join(", ")),
                repairs,
            )?;
        }
    }
    Ok(())
}

/// The key of a table to whose rows others belong, where it is an id that the server hands out.
fn handed_out<'t>(schema: &Schema, table: &'t Table) -> Option<&'t str> {
    let [key] = table.key.as_slice() else { return None };
    let is_guid = table.property(key).is_some_and(|property| property.kind == Kind::Guid);
    let is_named = schema
        .tables
        .iter()
        .any(|other| other.references.values().any(|parent| *parent == table.name));
    (is_guid && is_named).then_some(key)
}

/// Rows whose columns repeat those of a row before them. NULL is never the same as NULL.
fn repeated(db: &Connection, table: &Table, columns: &[String]) -> rusqlite::Result<Vec<i64>> {
    let list = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let known = columns
        .iter()
        .map(|name| format!("\"{name}\" IS NOT NULL"))
        .collect::<Vec<_>>()
        .join(" AND ");
    // Not through an index, which may be what is wrong.
    rows_of(
        db,
        &format!(
            "SELECT number FROM (SELECT rowid AS number, row_number() OVER (PARTITION BY {list} ORDER BY rowid) AS nth FROM \"{}\" NOT INDEXED WHERE {known}) WHERE nth > 1 ORDER BY number",
            table.name
        ),
    )
}

/// A user as the table has it.
struct User {
    rowid: i64,
    id: String,
    name: String,
    normalized: Option<String>,
}

/// Each user has a name of its own, which is also its own when upper and lower case are taken for
/// the same.
fn name_users(db: &Connection, table: &Table, repairs: &mut Repairs) -> rusqlite::Result<()> {
    let normalizes = table.property("NormalizedUsername").is_some();
    let column = if normalizes { "\"NormalizedUsername\"" } else { "NULL" };
    let mut statement = db.prepare(&format!(
        "SELECT rowid, \"Id\", \"Username\", {column} FROM \"Users\" ORDER BY rowid"
    ))?;
    let read = |row: &rusqlite::Row<'_>| {
        Ok(User { rowid: row.get(0)?, id: row.get(1)?, name: row.get(2)?, normalized: row.get(3)? })
    };
    let users: Vec<User> = statement.query_map([], read)?.collect::<rusqlite::Result<_>>()?;
    let compared = |name: &str| if normalizes { normalized(name) } else { name.to_owned() };
    let mut taken: HashSet<String> = HashSet::new();
    // Nobody is given a name that another has of old.
    let all: HashSet<String> = users.iter().map(|user| compared(&user.name)).collect();
    for user in users {
        let mut new = if user.name.is_empty() {
            format!("user-{}", user.id.chars().take(8).collect::<String>().to_lowercase())
        } else {
            user.name.clone()
        };
        let base = new.clone();
        let mut number = 2;
        while taken.contains(&compared(&new)) || (new != user.name && all.contains(&compared(&new)))
        {
            new = format!("{base}-{number}");
            number += 1;
        }
        let row = name_row(db, table, user.rowid)?;
        if new != user.name && set(db, table, user.rowid, "Username", &Value::Text(new.clone()))? {
            let what = if user.name.is_empty() {
                "the user has no name".to_owned()
            } else {
                format!("another user is also called {}", user.name)
            };
            repairs.push(
                table,
                row.clone(),
                Some("Username"),
                what,
                format!("the user was renamed to {new}; watch state and settings are kept"),
            );
        }
        // A name that the server itself would normalise otherwise is kept as it is, as long as it
        // is nobody else's.
        if normalizes && (new != user.name || user.normalized.as_deref().is_none_or(str::is_empty))
        {
            let to = normalized(&new);
            if set(db, table, user.rowid, "NormalizedUsername", &Value::Text(to.clone()))?
                && new == user.name
            {
                repairs.push(
                    table,
                    row,
                    Some("NormalizedUsername"),
                    "it is empty",
                    format!("written as \"{to}\""),
                );
            }
        }
        taken.insert(compared(&new));
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

/// Names that differ, but would not in a schema that compares them without regard to case, where
/// this one does not.
pub(crate) fn clashing_names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare("SELECT \"Username\" FROM \"Users\" ORDER BY rowid")?;
    let names: Vec<String> =
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let clashes = |name: &&String| {
        names.iter().filter(|other| normalized(other) == normalized(name)).count() > 1
    };
    Ok(names.iter().filter(clashes).cloned().collect())
}
