//! No item is its own ancestor: the server could not tell which of them to insert first.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Kind, Table};
use super::{Repairs, name_row, set};

/// An item that belongs to others, by row numbers; 0 for none. A million of them take 32 MB.
struct Item {
    rowid: i64,
    named: [i64; 2],
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    /// On the way from an item to those above it.
    Open,
    Done,
}

/// Cuts each cycle of parents and owners at the item that closes it.
pub(super) fn mend(db: &Connection, table: &Table, repairs: &mut Repairs) -> rusqlite::Result<()> {
    let columns: Vec<&str> = ["ParentId", "OwnerId"]
        .into_iter()
        .filter(|name| {
            table.references.contains_key(*name)
                && table.property(name).is_some_and(|property| property.kind == Kind::Guid)
        })
        .collect();
    let named = |at: usize| {
        columns.get(at).map_or("0".to_owned(), |name| format!("coalesce((SELECT p.rowid FROM \"BaseItems\" AS p WHERE p.\"Id\" = c.\"{name}\"), 0)"))
    };
    // Every reference leads somewhere by now.
    let sql = format!(
        "SELECT rowid, parent, owner FROM (SELECT c.rowid AS rowid, {} AS parent, {} AS owner FROM \"BaseItems\" AS c) WHERE parent <> 0 OR owner <> 0 ORDER BY rowid",
        named(0),
        named(1)
    );
    let mut statement = db.prepare(&sql)?;
    let item = |row: &rusqlite::Row<'_>| {
        Ok(Item { rowid: row.get(0)?, named: [row.get(1)?, row.get(2)?], state: State::New })
    };
    let mut items: Vec<Item> = statement.query_map([], item)?.collect::<rusqlite::Result<_>>()?;
    drop(statement);
    let mut cuts = Vec::new();
    for at in 0..items.len() {
        walk(&mut items, at, &mut cuts);
    }
    for (rowid, at) in cuts {
        let Some(column) = columns.get(at) else { continue };
        let row = name_row(db, table, rowid)?;
        if set(db, table, rowid, column, &Value::Null)? {
            repairs.push(
                table,
                row,
                Some(column),
                "the item is its own ancestor",
                "the reference was removed",
            );
        }
    }
    Ok(())
}

/// Goes up from an item; notes the links that lead back to where it came from.
fn walk(items: &mut [Item], start: usize, cuts: &mut Vec<(i64, usize)>) {
    // (item, the next of its links)
    let mut path = vec![(start, 0)];
    while let Some((here, next)) = path.last_mut() {
        let (here, link) = (*here, *next);
        *next += 1;
        let Some(item) = items.get_mut(here).filter(|item| link > 0 || item.state == State::New)
        else {
            path.pop();
            continue;
        };
        item.state = State::Open;
        let rowid = item.rowid;
        match item.named.get(link).copied() {
            None => {
                item.state = State::Done;
                path.pop();
            }
            Some(0) => {}
            // One that belongs to nothing is in no cycle, and not in the list.
            Some(other) => {
                if let Ok(above) = items.binary_search_by_key(&other, |item| item.rowid) {
                    match items.get(above).map(|item| item.state) {
                        Some(State::Open) => cuts.push((rowid, link)),
                        Some(State::New) => path.push((above, 0)),
                        _ => {}
                    }
                }
            }
        }
    }
}
