//! A playlist or a collection of a snapshot: its entries in order, whose it is, its cover; and what
//! of it the live database has.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::{Database, Lookup};
use crate::manifest::{SnapshotId, SnapshotRecord, file_name};
use crate::source::DATABASE_PATH;
use crate::store::Repository;

use super::ls::{ls, short};
use super::restore::{InstanceTarget, check_server, live_database};
use super::rows::{
    Id, View, Which, image_word_of_file, item_name, open_state, read_id, stored_id, titles,
};
use super::{Error, Monitor, clean_name};

/// Names that are listed where none is called so.
const LISTED: usize = 20;
/// Entries that one playlist may have.
const ENTRIES_MAX: usize = 100_000;

/// A playlist, or a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListKind {
    /// Of a user, in order.
    Playlist,
    /// Of the server.
    Collection,
}

impl ListKind {
    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            ListKind::Playlist => "playlist",
            ListKind::Collection => "collection",
        }
    }

    /// The column `Type` of its items.
    fn class(self) -> &'static str {
        match self {
            ListKind::Playlist => "MediaBrowser.Controller.Playlists.Playlist",
            ListKind::Collection => "MediaBrowser.Controller.Entities.Movies.BoxSet",
        }
    }
}

/// Something that a list names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// Its id; nothing where the snapshot does not have it either.
    pub id: Option<Id>,
    /// Its name.
    pub name: String,
}

/// A list of a snapshot.
#[derive(Clone, Debug)]
pub struct SavedList {
    /// What it is.
    pub kind: ListKind,
    /// Its id.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// `Audio` or `Video`.
    pub media_type: Option<String>,
    /// Whose it is.
    pub owner: Option<Id>,
    /// All users may see it.
    pub is_open: bool,
    /// It is shared with some users.
    pub is_shared: bool,
    /// What it names, in order.
    pub entries: Vec<ListEntry>,
    /// Its cover in the snapshot.
    pub cover: Option<Vec<u8>>,
}

/// What the server has of a list now.
#[derive(Clone, Debug, Default)]
pub struct ListNow {
    /// The list, where it still stands.
    pub standing: Option<Id>,
    /// Entries that are in the library.
    pub there: BTreeSet<Id>,
    /// The owner's name; nothing where the server does not have them.
    pub owner: Option<String>,
}

/// Finds a list of a snapshot by its name or id.
///
/// # Errors
/// [`Error::Refused`] where none or several are called so.
pub fn saved_list(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    kind: ListKind,
    wanted: &str,
) -> Result<SavedList, Error> {
    let index = repository.index()?;
    let state = open_state(repository, &index, &Which::Snapshot(snapshot), DATABASE_PATH)?;
    let state = state.ok_or_else(|| {
        refused(
            format!("snapshot {} does not contain a database", short(&snapshot.0)),
            "Choose another snapshot.",
        )
    })?;
    let mut database = state.open()?;
    if database.table("BaseItems").is_none() {
        return Err(refused(
            format!("snapshot {} is of a server older than 10.11", short(&snapshot.0)),
            "Choose a snapshot of a server of 10.11 or newer.",
        ));
    }
    let (list, linked) = one(lists_of(&mut database, kind)?, kind, wanted)?;
    let entries = entries_of(&mut database, list.id, linked)?;
    let mut cover = None;
    for folder in titles(repository, &index, snapshot, &stored_id(list.id))?
        .into_iter()
        .flat_map(|titled| titled.paths)
    {
        ls(repository, snapshot, &folder, false, |_, entry| {
            if image_word_of_file(&String::from_utf8_lossy(file_name(&entry.path)))
                == Some("poster")
            {
                cover.get_or_insert_with(|| entry.path.clone());
            }
            Ok(())
        })?;
    }
    Ok(SavedList { entries, cover, ..list })
}

/// Looks up what the live database has of a list.
///
/// # Errors
/// As of reading a live database.
pub fn list_now(
    repository: &Repository,
    from: &(SnapshotId, SnapshotRecord),
    (target, list): (&InstanceTarget, &SavedList),
    other_server: bool,
    monitor: &Monitor,
) -> Result<ListNow, Error> {
    if !other_server {
        check_server(&from.0, &from.1, target)?;
    }
    let live = live_database(&target.spec.layout)?;
    let live = live.ok_or_else(|| {
        refused(
            format!("the server in {} has no database", target.instance.program_data),
            "Start Jellyfin once.",
        )
    })?;
    let index = repository.index()?;
    let state =
        open_state(repository, &index, &Which::Live(&live, &monitor.interrupt), DATABASE_PATH)?;
    let Some(state) = state else { return Ok(ListNow::default()) };
    let mut database = state.open()?;
    let mut ids: Vec<Id> = list.entries.iter().filter_map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let keys: Vec<String> = ids.iter().map(|id| stored_id(*id)).collect();
    let found = Lookup::new(&mut database).by_texts("BaseItems", &keys)?;
    let there =
        ids.into_iter().zip(found).filter(|(_, row)| row.is_some()).map(|(id, _)| id).collect();
    let all = lists_of(&mut database, list.kind)?;
    let is_same = |own: &&(SavedList, _)| own.0.id == list.id;
    let is_alike = |own: &&(SavedList, _)| own.0.name == list.name && own.0.owner == list.owner;
    let standing =
        all.iter().find(is_same).or_else(|| all.iter().find(is_alike)).map(|(own, _)| own.id);
    let owner = match list.owner {
        Some(owner) => Lookup::new(&mut database).by_text("Users", &stored_id(owner))?,
        None => None,
    };
    Ok(ListNow {
        standing,
        there,
        owner: owner.and_then(|(table, row)| View { table: &table, row: &row }.name("Username")),
    })
}

fn refused(what: String, hint: &str) -> Error {
    Error::Refused { what, hint: hint.to_owned() }
}

/// Where a list of 10.11 keeps what it names: path, and perhaps an id.
type Linked = Vec<(Option<String>, Option<Id>)>;

/// All lists of a kind, without their entries and covers.
fn lists_of(
    database: &mut Database<'_>,
    kind: ListKind,
) -> Result<Vec<(SavedList, Linked)>, Error> {
    let mut found = Vec::new();
    Lookup::new(database).scan("BaseItems", |table, row| {
        let row = View { table, row: &row };
        if row.text("Type").as_deref() == Some(kind.class())
            && let (Some(id), Some(name)) = (row.id("Id"), row.name("Name"))
        {
            let data: serde_json::Value = row
                .text("Data")
                .and_then(|text| serde_json::from_str(&text).ok())
                .unwrap_or_default();
            let text = |value: &serde_json::Value, key: &str| {
                value.get(key).and_then(serde_json::Value::as_str).map(str::to_owned)
            };
            let parts = |key: &str| {
                data.get(key).and_then(serde_json::Value::as_array).cloned().unwrap_or_default()
            };
            let owner =
                text(&data, "OwnerUserId").as_deref().and_then(read_id).filter(|id| *id != 0);
            let children = parts("LinkedChildren");
            let linked = children.iter().take(ENTRIES_MAX).map(|child| {
                (text(child, "Path"), text(child, "ItemId").as_deref().and_then(read_id))
            });
            let list = SavedList {
                kind,
                id,
                name,
                media_type: text(&data, "PlaylistMediaType")
                    .or_else(|| row.text("MediaType"))
                    .filter(|kind| ["Audio", "Video"].contains(&kind.as_str())),
                owner,
                // A list that does not say so is not shown to everybody.
                is_open: data
                    .get("OpenAccess")
                    .and_then(serde_json::Value::as_bool)
                    .unwrap_or_default(),
                is_shared: !parts("Shares").is_empty(),
                entries: Vec::new(),
                cover: None,
            };
            found.push((list, linked.collect()));
        }
        true
    })?;
    Ok(found)
}

/// The one that is meant.
fn one(
    all: Vec<(SavedList, Linked)>,
    kind: ListKind,
    wanted: &str,
) -> Result<(SavedList, Linked), Error> {
    let names: Vec<String> = all
        .iter()
        .take(LISTED)
        .map(|(list, _)| format!("{} ({})", list.name, written(list.id)))
        .collect();
    let is_called = |(list, _): &(SavedList, Linked)| {
        list.name.to_lowercase() == wanted.trim().to_lowercase() || read_id(wanted) == Some(list.id)
    };
    let mut called: Vec<_> = all.into_iter().filter(is_called).collect();
    let word = kind.word();
    let shown = clean_name(wanted);
    match (called.pop(), called.is_empty()) {
        (Some(one), true) => Ok(one),
        (Some(_), false) => Err(refused(
            format!("several {word}s of the snapshot are called {shown:?}"),
            &format!("Give the id: {}.", names.join(", ")),
        )),
        (None, _) if names.is_empty() => Err(refused(
            format!("the snapshot has no {word}s"),
            "Choose an earlier snapshot: run jellyvault list.",
        )),
        (None, _) => Err(refused(
            format!("no {word} of the snapshot is called {shown:?}"),
            &format!("The snapshot has: {}.", names.join(", ")),
        )),
    }
}

/// An id as people type it.
fn written(id: Id) -> String {
    format!("{id:032x}")
}

/// What a list names: in a table of its own since 12.0, in the list's row before.
fn entries_of(
    database: &mut Database<'_>,
    list: Id,
    linked: Linked,
) -> Result<Vec<ListEntry>, Error> {
    let mut ordered = BTreeMap::new();
    for (table, row) in
        Lookup::new(database).all_by_text("LinkedChildren", &stored_id(list), ENTRIES_MAX)?
    {
        let row = View { table: &table, row: &row };
        // Other kinds of children are versions of a film.
        if let (Some(child), Some(0)) = (row.id("ChildId"), row.integer("ChildType")) {
            ordered.insert(row.integer("SortOrder").unwrap_or_default(), child);
        }
    }
    let named: Linked = if ordered.is_empty() {
        linked
    } else {
        ordered.into_values().map(|id| (None, Some(id))).collect()
    };
    let mut ids: Vec<Id> = named.iter().filter_map(|(_, id)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    let keys: Vec<String> = ids.iter().map(|id| stored_id(*id)).collect();
    let rows = Lookup::new(database).by_texts("BaseItems", &keys)?;
    let name_of = |view: View<'_>| item_name(view).name;
    let mut names: BTreeMap<Id, String> = BTreeMap::new();
    names.extend(ids.into_iter().zip(rows).filter_map(|(id, row)| {
        row.map(|(table, row)| (id, name_of(View { table: &table, row: &row })))
    }));
    // An entry without an id that the library has is known by the path of its media.
    let is_open =
        |(_, id): &&(Option<String>, Option<Id>)| !id.is_some_and(|id| names.contains_key(&id));
    let paths: BTreeSet<String> =
        named.iter().filter(is_open).filter_map(|(path, _)| path.clone()).collect();
    let mut by_path: BTreeMap<String, (Id, String)> = BTreeMap::new();
    if !paths.is_empty() {
        Lookup::new(database).scan("BaseItems", |table, row| {
            let row = View { table, row: &row };
            if let (Some(path), Some(id)) =
                (row.text("Path").filter(|path| paths.contains(path)), row.id("Id"))
            {
                by_path.insert(path, (id, name_of(row)));
            }
            true
        })?;
    }
    let entry = |(path, id): (Option<String>, Option<Id>)| match (
        id.and_then(|id| Some((id, names.get(&id)?.clone()))),
        path,
    ) {
        (Some((id, name)), _) => ListEntry { id: Some(id), name },
        (None, Some(path)) => match by_path.get(&path) {
            Some((id, name)) => ListEntry { id: Some(*id), name: name.clone() },
            None => ListEntry { id, name: clean_name(path.rsplit('/').next().unwrap_or(&path)) },
        },
        (None, None) => ListEntry { id, name: "an item that is not in the snapshot".to_owned() },
    };
    Ok(named.into_iter().map(entry).collect())
}
