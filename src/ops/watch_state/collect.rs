//! What a snapshot's database knows of one user: rows of `UserData`, and by what their items can be found again.

use crate::database::{Lookup, Value};

use super::super::Error;
use super::super::rows::{Id, State, View, item_name, stored_id};

/// A row of `UserData`.
pub(super) struct SavedRow {
    pub item: Id,
    /// Name and value of each column.
    pub columns: Vec<(String, Value)>,
}

/// An item, by what it is known when its id changed (its file moved).
pub(super) struct SavedItem {
    pub name: String,
    /// Name and value of the columns that say which it is.
    pub marks: Vec<(&'static str, Value)>,
}

/// A user's watch state.
pub(super) struct Saved {
    pub user: Id,
    pub name: String,
    pub rows: Vec<SavedRow>,
    pub items: std::collections::BTreeMap<Id, SavedItem>,
}

/// Columns of `BaseItems` that together say which film, episode or song it is.
const MARKS: [&str; 7] = ["Type", "Name", "SeriesName", "ParentIndexNumber", "IndexNumber", "Album", "ProductionYear"];

/// Reads it.
pub(super) fn collect(state: &State<'_>, name: &str) -> Result<Saved, Error> {
    let mut database = state.open()?;
    let (mut user, mut all) = (None, Vec::new());
    Lookup::new(&mut database).scan("Users", |table, row| {
        let view = View { table, row: &row };
        let own = view.text("Username").unwrap_or_default();
        if own.to_lowercase() == name.to_lowercase() {
            user = view.id("Id").map(|id| (id, own.clone()));
        }
        all.push(own);
        true
    })?;
    let Some((user, name)) = user else {
        all.sort();
        return Err(Error::NoUser { user: name.to_owned(), users: all.join(", ") });
    };
    let mut saved = Saved { user, name, rows: Vec::new(), items: Default::default() };
    Lookup::new(&mut database).scan("UserData", |table, row| {
        let view = View { table, row: &row };
        if let (Some(item), true) = (view.id("ItemId"), view.id("UserId") == Some(user)) {
            let columns = table.columns.iter().map(|column| column.name.clone()).zip(row.values.iter().cloned()).collect();
            saved.rows.push(SavedRow { item, columns });
        }
        true
    })?;
    for row in &saved.rows {
        if saved.items.contains_key(&row.item) {
            continue;
        }
        let Some((table, item)) = Lookup::new(&mut database).by_text("BaseItems", &stored_id(row.item))? else { continue };
        let view = View { table: &table, row: &item };
        let marks = MARKS.iter().filter_map(|column| Some((*column, view.get(column)?.clone()))).collect();
        saved.items.insert(row.item, SavedItem { name: item_name(view).name, marks });
    }
    Ok(saved)
}
