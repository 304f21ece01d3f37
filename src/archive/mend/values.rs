//! Every value of every row is one that the server can read, and stands in the form in which it
//! would write it.

use rusqlite::Connection;
use rusqlite::types::{Value, ValueRef};

use super::super::cell::{self, Oddity};
use super::super::schema::{Kind, Property, Schema, Table};
use super::super::text::{Date, stored_guid};
use super::{Repairs, leave_out, set, show};

/// Rows that are looked at before those that need it are changed: bounds what waits in memory.
const BATCH: usize = 4096;

/// A value that is to be changed.
struct Change {
    rowid: i64,
    column: usize,
    cure: Cure,
}

/// What is to become of a value.
enum Cure {
    /// The same in its usual spelling, of which no word is said.
    Respell(Value),
    /// Another in its place, and why.
    Replace(String, Value),
    /// The end of its row, and why.
    LeaveOut(String),
}

/// Mends the values of a table.
pub(super) fn mend(
    db: &Connection,
    _: &Schema,
    table: &Table,
    _: i128,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    let columns: Vec<&Property> = table.columns().collect();
    let list =
        columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ");
    let mut statement = db.prepare(&format!(
        "SELECT rowid, {list} FROM \"{}\" WHERE rowid > ?1 ORDER BY rowid LIMIT {BATCH}",
        table.name
    ))?;
    let mut last = i64::MIN;
    loop {
        let (mut changes, mut seen) = (Vec::new(), 0);
        let mut rows = statement.query([last])?;
        while let Some(row) = rows.next()? {
            seen += 1;
            last = row.get(0)?;
            for (column, property) in columns.iter().enumerate() {
                let value = row.get_ref(column + 1)?;
                if let Some(cure) = look(table, property, value) {
                    changes.push(Change { rowid: last, column, cure });
                }
            }
        }
        drop(rows);
        apply(db, table, &columns, changes, repairs)?;
        if seen < BATCH {
            return Ok(());
        }
    }
}

/// The cure that a value needs, if any.
fn look(table: &Table, property: &Property, value: ValueRef<'_>) -> Option<Cure> {
    if matches!(property.kind, Kind::Unsure(_)) {
        // Not known to be wrong: where it cannot be written, that is said, and it is not replaced.
        return None;
    }
    match cell::read(property, value) {
        Ok((_, None)) => None,
        Ok((cell, Some(Oddity::Spelling))) => Some(Cure::Respell(cell.stored())),
        Ok((cell, Some(Oddity::Worth(what)))) => {
            Some(Cure::Replace(format!("{} {what}", quoted(property, value)), cell.stored()))
        }
        // Users are named later, with a word for it.
        Err(_) if is_users_name(table, property) && matches!(value, ValueRef::Text(b"")) => None,
        Err(fault) => {
            let what = format!("{} {fault}", quoted(property, value));
            Some(match instead(table, property) {
                Some(to) => Cure::Replace(what, to),
                None => Cure::LeaveOut(what),
            })
        }
    }
}

fn quoted(property: &Property, value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null | ValueRef::Blob(_) => "it".to_owned(),
        value => format!("\"{}\"", show(&property.name, value)),
    }
}

/// What stands for a value that cannot be read; nothing where its row must go.
pub(in crate::archive) fn instead(table: &Table, property: &Property) -> Option<Value> {
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match (table.name.as_str(), property.name.as_str()) {
        // Without a role a person's part is nameless, which is what the server writes.
        ("PeopleBaseItemMap", "Role") => return text(""),
        ("Users", "AuthenticationProviderId") => {
            return text("Jellyfin.Server.Implementations.Users.DefaultAuthenticationProvider");
        }
        ("Users", "PasswordResetProviderId") => {
            return text("Jellyfin.Server.Implementations.Users.DefaultPasswordResetProvider");
        }
        // Named after its id once that is right.
        ("Users", "Username" | "NormalizedUsername") => return text(""),
        ("ActivityLogs", "UserId") => return Some(Value::Text(stored_guid(&[0; 16]))),
        // As 12.0 does with its own backup: the server finds the key frames again.
        (_, "KeyframeTicks") => return None,
        _ => {}
    }
    if table.key.contains(&property.name) {
        return None;
    }
    if property.nullable {
        return Some(Value::Null);
    }
    match property.kind {
        Kind::Guid | Kind::Ticks => None,
        Kind::Text if property.filled => text("(unknown)"),
        Kind::Text => text(""),
        Kind::Date => Some(Value::Text(Date::MIN.stored())),
        Kind::Float | Kind::Double => Some(Value::Real(0.0)),
        Kind::Bytes => Some(Value::Blob(Vec::new())),
        _ => Some(Value::Integer(0)),
    }
}

fn is_users_name(table: &Table, property: &Property) -> bool {
    table.name == "Users" && matches!(property.name.as_str(), "Username" | "NormalizedUsername")
}

fn apply(
    db: &Connection,
    table: &Table,
    columns: &[&Property],
    changes: Vec<Change>,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    let mut gone = None;
    for change in changes {
        let Some(property) = columns.get(change.column).filter(|_| gone != Some(change.rowid))
        else {
            continue;
        };
        let name = Some(property.name.as_str());
        let (what, to) = match change.cure {
            Cure::Respell(to) => (None, to),
            Cure::Replace(what, to) => (Some(what), to),
            Cure::LeaveOut(what) => {
                gone = Some(change.rowid);
                leave_out(db, table, change.rowid, name, what, repairs)?;
                continue;
            }
        };
        // Named before its key may change.
        let row = super::name_row(db, table, change.rowid)?;
        let mut is_set = set(db, table, change.rowid, &property.name, &to)?;
        if let (false, true, Value::Text(name)) = (is_set, is_users_name(table, property), &to) {
            // With a user all would go that is theirs: better another name.
            let own = if name.is_empty() {
                format!("user-{}", change.rowid)
            } else {
                format!("{name}-{}", change.rowid)
            };
            is_set = set(db, table, change.rowid, &property.name, &Value::Text(own))?;
        }
        if is_set {
            if let Some(what) = what {
                let done = format!(
                    "written as {}",
                    if let Value::Null = to {
                        "no value".to_owned()
                    } else {
                        format!("\"{}\"", show(&property.name, (&to).into()))
                    }
                );
                repairs.push(table, row, name, what, done);
            }
        } else {
            gone = Some(change.rowid);
            let what = match what {
                Some(what) => format!("{what}, and another row already has the corrected value"),
                None => format!("another row has the same {} in another spelling", property.name),
            };
            leave_out(db, table, change.rowid, name, what, repairs)?;
        }
    }
    Ok(())
}
