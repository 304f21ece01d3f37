//! The item to which the watch state of deleted items is bound is there.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Kind, Schema, Table};
use super::{Repairs, rows_of, set};

/// Its id.
pub(super) const PLACEHOLDER: &str = "00000000-0000-0000-0000-000000000001";

/// Puts it in where it is missing.
pub(super) fn mend(
    db: &Connection,
    schema: &Schema,
    table: &Table,
    _: i128,
    repairs: &mut Repairs,
) -> rusqlite::Result<()> {
    if table.name != "BaseItems" {
        return Ok(());
    }
    for rowid in rows_of(
        db,
        &format!(
            "SELECT rowid FROM \"BaseItems\" WHERE \"Id\" = '{PLACEHOLDER}' AND \"Type\" <> 'PLACEHOLDER'"
        ),
    )? {
        if set(db, table, rowid, "Type", &Value::Text("PLACEHOLDER".to_owned()))? {
            let what = "the placeholder for the watch state of deleted items has another type";
            repairs.push(
                table,
                format!("Id={PLACEHOLDER}"),
                Some("Type"),
                what,
                "written as \"PLACEHOLDER\"",
            );
        }
    }
    let has: i64 = db.query_row(
        "SELECT count(*) FROM \"BaseItems\" WHERE \"Id\" = ?1",
        [PLACEHOLDER],
        |row| row.get(0),
    )?;
    if has > 0 {
        return Ok(());
    }
    // 10.11 misspells it.
    let word = if schema.name.starts_with("10.") { "detacted" } else { "detached" };
    let name = format!(
        "This is a placeholder item for UserData that has been {word} from its original item"
    );
    let columns: Vec<_> =
        table.columns().filter(|column| !column.nullable || column.name == "Name").collect();
    let values: Vec<Value> = columns
        .iter()
        .map(|column| match (column.name.as_str(), column.kind) {
            ("Id", _) => Value::Text(PLACEHOLDER.to_owned()),
            ("Name", _) => Value::Text(name.clone()),
            ("Type", _) => Value::Text("PLACEHOLDER".to_owned()),
            (_, Kind::Text) => Value::Text(String::new()),
            _ => Value::Integer(0),
        })
        .collect();
    let list =
        columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ");
    let marks = vec!["?"; columns.len()].join(", ");
    db.execute(
        &format!("INSERT INTO \"BaseItems\" ({list}) VALUES ({marks})"),
        rusqlite::params_from_iter(values),
    )?;
    let what = "the placeholder for the watch state of deleted items is missing";
    repairs.push(
        table,
        format!("Id={PLACEHOLDER}"),
        None,
        what,
        "it was added, as the server creates it",
    );
    Ok(())
}
