//! Whose id is that? Names of items, libraries and users, looked up in the later state, then in the
//! earlier one.

use std::collections::HashMap;

use crate::database::{Database, Error, Lookup};

use super::kinds::{Group, group, kind_of};
use super::view::{Id, View, stored_id};

/// Where servers before 10.11 keep their items, and the table there, whose keys are bytes.
pub const LIBRARY: &[u8] = b"data/library.db";
pub const LIBRARY_ITEMS: &str = "TypedBaseItems";

/// Names that are kept; beyond that all are let go of and looked up again.
pub const KEPT_MAX: usize = 50_000;
/// Ancestors of an item that are looked at for its library.
const ANCESTORS_MAX: usize = 64;

/// Looks names up, each once.
#[derive(Default)]
pub struct Names {
    items: HashMap<Id, Option<ItemName>>,
    users: HashMap<Id, Option<String>>,
    libraries: HashMap<Id, Option<String>>,
}

/// What an item is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemName {
    /// Its name, with its series or album.
    pub name: String,
    /// Its kind, for `kinds`.
    pub kind: u8,
    /// The folder at the top of its library.
    pub top: Option<Id>,
}

impl Names {
    /// An item's name; nothing where neither state has it.
    pub fn item(
        &mut self,
        id: Id,
        states: &mut [&mut Database<'_>],
    ) -> Result<Option<ItemName>, Error> {
        if self.items.len() > KEPT_MAX {
            self.items.clear();
        }
        if let Some(known) = self.items.get(&id) {
            return Ok(known.clone());
        }
        let mut found = None;
        for database in states.iter_mut() {
            if let Some((table, row)) =
                Lookup::new(database).by_text("BaseItems", &stored_id(id))?
            {
                found = Some(item_name(View { table: &table, row: &row }));
                break;
            }
        }
        self.items.insert(id, found.clone());
        Ok(found)
    }

    /// Looks up many items at once: each page that leads to some of them is read once.
    pub fn add_items(
        &mut self,
        mut items: Vec<Id>,
        states: &mut [&mut Database<'_>],
    ) -> Result<(), Error> {
        items.retain(|id| !self.items.contains_key(id));
        // As keys they sort like the numbers that they are.
        items.sort_unstable();
        items.dedup();
        for at in 0..states.len() {
            let (earlier, rest) = states.split_at_mut(at);
            let Some(database) = rest.first_mut() else { break };
            // Two states of one database have most pages in common.
            earlier.iter().for_each(|other| database.pages.adopt(&other.pages));
            let keys: Vec<String> = items.iter().map(|id| stored_id(*id)).collect();
            let rows = Lookup::new(database).by_texts("BaseItems", &keys)?;
            let found = items.iter().zip(rows).filter_map(|(id, row)| {
                row.map(|(table, row)| (*id, Some(item_name(View { table: &table, row: &row }))))
            });
            self.items.extend(found);
            items.retain(|id| !self.items.contains_key(id));
        }
        self.items.extend(items.into_iter().map(|id| (id, None)));
        Ok(())
    }

    /// Takes in the items of a library from before 10.11, as many as are kept.
    pub fn add_library(&mut self, library: &mut Database<'_>) -> Result<(), Error> {
        Lookup::new(library).scan(LIBRARY_ITEMS, |table, row| {
            let row = View { table, row: &row };
            if let Some(id) = row.id("guid") {
                self.items.entry(id).or_insert_with(|| Some(item_name(row)));
            }
            self.items.len() < KEPT_MAX
        })
    }

    /// A user's name.
    pub fn user(
        &mut self,
        id: Id,
        states: &mut [&mut Database<'_>],
    ) -> Result<Option<String>, Error> {
        if let Some(known) = self.users.get(&id) {
            return Ok(known.clone());
        }
        let mut found = None;
        for database in states.iter_mut() {
            if let Some((table, row)) = Lookup::new(database).by_text("Users", &stored_id(id))? {
                found = View { table: &table, row: &row }.name("Username");
                break;
            }
        }
        self.users.insert(id, found.clone());
        Ok(found)
    }

    /// The library that an item lies in: one of its ancestors.
    pub fn library(
        &mut self,
        item: Id,
        top: Option<Id>,
        states: &mut [&mut Database<'_>],
    ) -> Result<Option<String>, Error> {
        if let Some(known) = top.and_then(|top| self.libraries.get(&top)) {
            return Ok(known.clone());
        }
        let mut found = None;
        for at in 0..states.len() {
            let Some(database) = states.get_mut(at) else { break };
            let mut ancestors = Vec::new();
            for (table, row) in
                Lookup::new(database).all_by_text("AncestorIds", &stored_id(item), ANCESTORS_MAX)?
            {
                ancestors.extend(View { table: &table, row: &row }.id("ParentItemId"));
            }
            // Films that were only just found may be known by their folder alone.
            ancestors.extend(top);
            for ancestor in ancestors {
                if let Some(name) = self.item(ancestor, states)?
                    && group(name.kind) == Group::Library
                {
                    found = Some(name.name);
                    break;
                }
            }
            if found.is_some() {
                break;
            }
        }
        if let Some(top) = top {
            self.libraries.insert(top, found.clone());
        }
        Ok(found)
    }
}

/// What the row of an item says of its name.
pub fn item_name(item: View<'_>) -> ItemName {
    let text = |column| item.name(column).filter(|text| !text.trim().is_empty());
    let kind = kind_of(&text("Type").unwrap_or_default());
    let own = text("Name").unwrap_or_else(|| "(without a name)".to_owned());
    let number = |column| item.integer(column);
    let name = match (super::kinds::words(kind).0, text("SeriesName")) {
        ("episode", Some(series)) => {
            let place = match (number("ParentIndexNumber"), number("IndexNumber")) {
                (Some(season), Some(episode)) => format!(" S{season:02}E{episode:02}"),
                _ => String::new(),
            };
            if own.contains(series.as_str()) { own } else { format!("{series}{place} {own}") }
        }
        ("season", Some(series)) if !own.contains(series.as_str()) => format!("{series}, {own}"),
        ("song", _) => text("Album").map_or(own.clone(), |album| format!("{own} ({album})")),
        _ => own,
    };
    ItemName { name, kind, top: item.id("TopParentId") }
}
