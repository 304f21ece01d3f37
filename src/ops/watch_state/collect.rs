//! What a snapshot's database knows of one user: rows of `UserData`, and by what their items can be
//! found again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::database::{Database, Lookup, Value};
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::DATABASE_PATH;
use crate::store::Repository;

use super::super::Error;
use super::super::rows::{Id, State, View, Which, item_name, open_state, stored_id};

/// A row of `UserData`.
pub(super) struct SavedRow {
    pub item: Id,
    /// Name and value of each column.
    pub columns: Vec<(String, Value)>,
}

/// An item, by what it is known when its id changed (its file moved).
#[derive(Clone)]
struct SavedItem {
    name: String,
    /// Name and value of the columns that say which it is.
    marks: Vec<(&'static str, Value)>,
}

/// A user's watch state.
pub(super) struct Saved<'r> {
    pub user: Id,
    pub name: String,
    pub rows: Vec<SavedRow>,
    /// Items are looked up where they are wanted: most are where they were.
    items: RefCell<(Database<'r>, BTreeMap<Id, Option<SavedItem>>)>,
}

/// Columns of `BaseItems` that together say which film, episode or song it is.
const MARKS: [&str; 7] =
    ["Type", "Name", "SeriesName", "ParentIndexNumber", "IndexNumber", "Album", "ProductionYear"];

/// Reads it.
pub(super) fn collect<'r>(state: &State<'r>, name: &str) -> Result<Saved<'r>, Error> {
    let mut database = state.open()?;
    if database.table("UserData").is_none() {
        return Err(Error::Refused {
            what: "the database of the snapshot has no watch state (no table UserData)".to_owned(),
            hint: "Choose a snapshot of a server of 10.11 or newer.".to_owned(),
        });
    }
    let mut all: Vec<(Id, String)> = Vec::new();
    Lookup::new(&mut database).scan("Users", |table, row| {
        let view = View { table, row: &row };
        all.extend(view.id("Id").zip(view.name("Username")));
        true
    })?;
    let (user, name) = pick_user(&all, name)?;
    let mut rows = Vec::new();
    Lookup::new(&mut database).scan("UserData", |table, row| {
        let view = View { table, row: &row };
        if let (Some(item), true) = (view.id("ItemId"), view.id("UserId") == Some(user)) {
            let columns = table
                .columns
                .iter()
                .map(|column| column.name.clone())
                .zip(row.values.iter().cloned())
                .collect();
            rows.push(SavedRow { item, columns });
        }
        true
    })?;
    Ok(Saved { user, name, rows, items: RefCell::new((database, BTreeMap::new())) })
}

/// The names of the users that a snapshot's database knows, sorted; none where it has no database.
///
/// # Errors
/// A database that cannot be read.
pub fn users_of(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
) -> Result<Vec<String>, Error> {
    let index = repository.index()?;
    let Some(state) = open_state(repository, &index, &Which::Snapshot(snapshot), DATABASE_PATH)?
    else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    Lookup::new(&mut state.open()?).scan("Users", |table, row| {
        names.extend(View { table, row: &row }.name("Username"));
        true
    })?;
    names.sort();
    Ok(names)
}

impl Saved<'_> {
    /// What the snapshot calls an item; nothing where it has none of this id.
    pub(super) fn name_of(&self, item: Id) -> Result<Option<String>, Error> {
        Ok(self.item(item)?.map(|item| item.name))
    }

    /// By what an item can be found again.
    pub(super) fn marks_of(&self, item: Id) -> Result<Option<Vec<(&'static str, Value)>>, Error> {
        Ok(self.item(item)?.map(|item| item.marks))
    }

    fn item(&self, item: Id) -> Result<Option<SavedItem>, Error> {
        let mut items = self.items.borrow_mut();
        let (database, known) = &mut *items;
        if let Some(known) = known.get(&item) {
            return Ok(known.clone());
        }
        let row = Lookup::new(database).by_text("BaseItems", &stored_id(item))?;
        let found = row.map(|(table, row)| {
            let view = View { table: &table, row: &row };
            let marks = MARKS
                .iter()
                .filter_map(|column| Some((*column, view.get(column)?.clone())))
                .collect();
            SavedItem { name: item_name(view).name, marks }
        });
        known.insert(item, found.clone());
        Ok(found)
    }
}

/// The user of this name, letter for letter; or the only one whose name is the same but for small
/// and capital letters.
pub(super) fn pick_user(all: &[(Id, String)], name: &str) -> Result<(Id, String), Error> {
    if let Some(exact) = all.iter().find(|(_, own)| own == name) {
        return Ok(exact.clone());
    }
    let alike: Vec<_> =
        all.iter().filter(|(_, own)| own.to_lowercase() == name.to_lowercase()).collect();
    let mut names: Vec<String> = all
        .iter()
        .map(
            |(_, own)| if own.is_empty() { "(one without a name)".to_owned() } else { own.clone() },
        )
        .collect();
    names.sort();
    match alike.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(Error::NoUser { user: name.to_owned(), users: names.join(", ") }),
        _ => Err(Error::Refused {
            what: format!("several users match {name:?} if upper and lower case are ignored"),
            hint: format!(
                "Write the name exactly as in Jellyfin. The snapshot's users are: {}.",
                names.join(", ")
            ),
        }),
    }
}
