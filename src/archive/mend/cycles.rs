//! No item is its own ancestor: the server could not tell which of them to insert first.

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::super::schema::{Kind, Table};
use super::super::text::{Guid, read_guid, stored_guid};
use super::{Repairs, name_row, set};

/// An item that names others: its row, and whom it names by which column.
struct Item {
    rowid: i64,
    named: Vec<(usize, Guid)>,
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
        .filter(|name| table.references.contains_key(*name) && table.property(name).is_some_and(|property| property.kind == Kind::Guid))
        .collect();
    let list = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let mut items: HashMap<Guid, Item> = HashMap::new();
    let mut order = Vec::new();
    let mut statement = db.prepare(&format!("SELECT rowid, \"Id\", {list} FROM \"{}\" WHERE coalesce({list}, NULL) IS NOT NULL ORDER BY rowid", table.name))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let Some(id) = row.get_ref(1)?.as_str().ok().and_then(read_guid) else { continue };
        let mut named = Vec::new();
        for at in 0..columns.len() {
            if let Some(other) = row.get_ref(at + 2)?.as_str().ok().and_then(read_guid) {
                named.push((at, other));
            }
        }
        order.push(id);
        items.insert(id, Item { rowid: row.get(0)?, named, state: State::New });
    }
    drop(rows);
    drop(statement);
    let mut cuts = Vec::new();
    for id in order {
        cuts.extend(walk(&mut items, id));
    }
    for (id, at) in cuts {
        let (Some(item), Some(column)) = (items.get(&id), columns.get(at)) else { continue };
        let row = name_row(db, table, item.rowid)?;
        if set(db, table, item.rowid, column, &Value::Null)? {
            repairs.push(table, row, Some(column), format!("{} is its own ancestor", stored_guid(&id)), "it belongs to nothing now");
        }
    }
    Ok(())
}

/// Goes up from an item; the links that lead back to where it came from.
fn walk(items: &mut HashMap<Guid, Item>, start: Guid) -> Vec<(Guid, usize)> {
    let mut cuts = Vec::new();
    // (item, the next of its links)
    let mut path = vec![(start, 0)];
    while let Some((id, next)) = path.last_mut() {
        let here = *id;
        let Some(item) = items.get_mut(&here).filter(|item| *next > 0 || item.state == State::New) else {
            path.pop();
            continue;
        };
        item.state = State::Open;
        let link = item.named.get(*next).copied();
        *next += 1;
        match link {
            None => {
                item.state = State::Done;
                path.pop();
            }
            Some((at, other)) => match items.get(&other).map(|other| other.state) {
                Some(State::Open) => cuts.push((here, at)),
                Some(State::New) => path.push((other, 0)),
                _ => {}
            },
        }
    }
    cuts
}
