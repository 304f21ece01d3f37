//! Every row that names another finds it.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Schema, Table};
use super::super::text::Date;
use super::placeholder::PLACEHOLDER;
use super::{Repairs, leave_out, name_row, rows_of, set, show};

/// Binds orphans elsewhere where that is what the server does, and leaves out the others.
pub(super) fn mend(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    time_ns: i128,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    for (column, parent) in &table.references {
        let Some([key]) = schema.table(parent).map(|parent| parent.key.as_slice()) else {
            continue;
        };
        let orphans = rows_of(
            db,
            &format!(
                "SELECT c.rowid FROM \"{}\" AS c WHERE c.\"{column}\" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM \"{parent}\" AS p WHERE p.\"{key}\" = c.\"{column}\") ORDER BY c.rowid",
                table.name
            ),
        )?;
        let nullable = table.property(column).is_some_and(|property| property.nullable);
        for rowid in orphans {
            let sql = format!("SELECT \"{column}\" FROM \"{}\" WHERE rowid = ?1", table.name);
            let named = db
                .prepare_cached(&sql)?
                .query_row([rowid], |row| Ok(show(column, row.get_ref(0)?)))?;
            let row = name_row(db, table, rowid)?;
            let what = format!("it refers to {named} in {parent}, which does not exist");
            if nullable {
                if set(db, table, rowid, column, &Value::Null)? {
                    repairs.push(table, row, Some(column), what, "the reference was removed");
                    continue;
                }
            } else if table.name == "UserData"
                && parent == "BaseItems"
                && detach(db, table, rowid, time_ns)?
            {
                repairs.push(
                    table,
                    row,
                    Some(column),
                    what,
                    "the watch state is kept as that of a deleted item, as the server does",
                );
                continue;
            }
            leave_out(db, table, rowid, Some(column), what, repairs)?;
        }
    }
    Ok(())
}

/// Binds watch state to the placeholder, as the server does when an item goes; false where the same
/// is bound there already.
fn detach(db: &Connection, table: &Table, rowid: i64, time_ns: i128) -> rusqlite::Result<bool> {
    if !set(db, table, rowid, "ItemId", &Value::Text(PLACEHOLDER.to_owned()))? {
        return Ok(false);
    }
    db.prepare_cached("UPDATE \"UserData\" SET \"RetentionDate\" = ?1 WHERE rowid = ?2 AND \"RetentionDate\" IS NULL")?
        .execute((Date::of_ns(time_ns).stored(), rowid))?;
    Ok(true)
}
