//! The items of a library: which get a new id, and are their files where they will be looked for?

use std::collections::BTreeMap;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::Connection;

use crate::archive::{Guid, ReadDate, read_date, read_guid, stored_guid};
use crate::manifest::Directories;
use crate::progress::Interrupt;

use super::super::Error;
use super::ids::NewIds;
use super::item_id::{Formula, Spelling, id_of_season};
use super::mapping::ItemFolders;
use super::plan::Named;
use super::prefixes::{Prefixes, rest_within};

/// A view of a user: its id is made of names and of the ids of folders in the data directory, which
/// stay.
const USER_VIEW: &str = "MediaBrowser.Controller.Entities.UserView";
/// A season, which may have no folder.
const SEASON: &str = "MediaBrowser.Controller.Entities.TV.Season";
/// Media whose times differ by less was not changed, as the server sees it; in seconds.
const TIME_TOLERANCE: f64 = 1.0;

/// Directories that the server keeps for itself.
pub(super) const OWN: [&str; 5] = ["data", "metadata", "root", "plugins", "config"];

/// What was found out about the items.
#[derive(Debug, Default)]
pub(super) struct Items {
    /// Ids that change.
    pub ids: NewIds,
    /// All items.
    pub count: u64,
    /// Items whose path changes and whose id is not that of their path: they keep it.
    pub unlike: Named,
    /// Seasons without a folder whose id the formula does not give: they keep it, and the server
    /// finds them by their series and number.
    pub seasons: Named,
    /// Directories of media in the server's data directory that move along with it.
    pub along: BTreeMap<String, String>,
    /// Media files that are not at their new path.
    pub missing: Named,
    /// Media files that are there.
    pub present: u64,
    /// Media files whose time is another than the library's.
    pub changed: Named,
}

/// How ids were made, and how they are to be.
pub(super) struct Formulas<'f> {
    pub old: &'f Formula,
    pub new: &'f Formula,
    pub prefixes: &'f Prefixes,
    /// Those of the server's own directories alone.
    pub by_name: &'f Prefixes,
    pub folders: &'f ItemFolders,
    /// The server's own directories, in which no media is looked for.
    pub own: &'f Directories,
    /// Whether media is at its new path on this machine, and is looked for.
    pub looks_for_media: bool,
}

/// A row of `BaseItems`.
struct Item {
    id: Guid,
    kind: String,
    path: Option<String>,
    series: Option<Guid>,
    index: Option<i64>,
    name: String,
    is_folder: bool,
    modified: Option<String>,
}

/// Files in folders of items that lie in folders of items, and so on: so deep is looked.
const DEPTH_MAX: usize = 4;

/// Goes through all items.
pub(super) fn look_at_items(
    db: &Connection,
    formulas: &Formulas<'_>,
    interrupt: &Interrupt,
) -> Result<Items, Error> {
    let mut items = Items::default();
    let (mut pairs, mut inner) = (Vec::new(), Vec::new());
    each_item(db, "\"Path\" <> ''", interrupt, |item| {
        items.count += 1;
        match &item.path {
            Some(path) if formulas.folders.hold(path) => inner.push(item),
            Some(path) if item.kind != USER_VIEW => {
                pairs.extend(formulas.of_path(&item, path, &mut items))
            }
            _ => {}
        }
    })?;
    items.ids = NewIds::new(pairs);
    // Their keys have the ids of their series in them.
    let mut seasons = Vec::new();
    each_item(db, "\"Path\" IS NULL OR \"Path\" = ''", interrupt, |item| {
        items.count += 1;
        if item.kind == SEASON {
            seasons.extend(formulas.of_season(&item, &mut items));
        }
    })?;
    items.set(seasons);
    // A file in the folder of another item: its path has that item's id in it.
    for depth in 0..DEPTH_MAX {
        let unlike = std::mem::take(&mut items.unlike);
        let more: Vec<(Guid, Guid)> = inner
            .iter()
            .filter_map(|item| formulas.of_path(item, item.path.as_deref()?, &mut items))
            .collect();
        let is_known = more.iter().all(|(old, new)| items.ids.get(old) == Some(new));
        items.set(more);
        if is_known || depth + 1 == DEPTH_MAX {
            items.unlike.join(unlike);
            break;
        }
        items.unlike = unlike;
    }
    Ok(items)
}

impl Items {
    /// Sets ids, in place of what was known of them.
    fn set(&mut self, mut more: Vec<(Guid, Guid)>) {
        if !more.is_empty() {
            let changed = NewIds::new(more.clone());
            more.extend(
                self.ids
                    .iter()
                    .filter(|(old, _)| changed.get(old).is_none())
                    .map(|(old, new)| (*old, *new)),
            );
            self.ids = NewIds::new(more);
        }
    }
}

fn each_item(
    db: &Connection,
    filter: &str,
    interrupt: &Interrupt,
    mut each: impl FnMut(Item),
) -> Result<(), Error> {
    let sql = format!(
        "SELECT \"Id\", \"Type\", \"Path\", \"SeriesId\", \"IndexNumber\", coalesce(\"Name\", ''), \"IsFolder\", \"DateModified\", \"ParentId\" FROM \"BaseItems\" WHERE {filter}"
    );
    let mut statement = db.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        if interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let text = |at: usize| {
            row.get_ref(at).ok().and_then(|value| value.as_str().ok()).map(str::to_owned)
        };
        // What is no text is told when the rows are changed.
        let Some(id) = text(0).and_then(|id| read_guid(&id)) else { continue };
        let series = text(3).or_else(|| text(8)).and_then(|id| read_guid(&id));
        let number = |at: usize| row.get_ref(at).ok().and_then(|value| value.as_i64().ok());
        each(Item {
            id,
            kind: text(1).unwrap_or_default(),
            path: text(2),
            series,
            index: number(4),
            name: text(5).unwrap_or_default(),
            is_folder: number(6) == Some(1),
            modified: text(7),
        });
    }
    Ok(())
}

impl Formulas<'_> {
    fn of_path(&self, item: &Item, path: &str, items: &mut Items) -> Option<(Guid, Guid)> {
        let old = self.old.expand(path);
        let renamed = self.folders.renamed(path, &items.ids).map(|path| self.old.expand(&path));
        let new = renamed.as_deref().unwrap_or(&old);
        let new = self.prefixes.map(new).unwrap_or_else(|| new.to_owned());
        let new = new.as_str();
        if !self.is_own(&old) && old.starts_with('/') {
            if self.looks_for_media {
                look_for(item, new, items);
            }
            items.along.extend(self.along(&old));
        }
        let Some((id, spelling)) = self.spelt(
            self.old.spelling(&item.kind, &old),
            |spelling| self.old.id_of_path(&item.kind, &old, spelling),
            &item.id,
        ) else {
            if new != old
                && self.old.id_of_path(&item.kind, &old, Spelling::Exact)
                    != self.new.id_of_path(&item.kind, new, Spelling::Exact)
            {
                items.unlike.add(|| format!("{path} ({})", short_kind(&item.kind)));
            }
            return None;
        };
        let new = self.new.id_of_path(&item.kind, new, spelling);
        (new != id).then_some((id, new))
    }

    fn of_season(&self, item: &Item, items: &mut Items) -> Option<(Guid, Guid)> {
        let series = item.series?;
        let new_series = *items.ids.get(&series)?;
        let id = |series: &Guid, spelling| {
            id_of_season(&item.kind, series, item.index, &item.name, spelling)
        };
        match self.spelt(
            self.old.spelling(&item.kind, ""),
            |spelling| id(&series, spelling),
            &item.id,
        ) {
            Some((old, spelling)) => Some((old, id(&new_series, spelling))),
            None => {
                items.seasons.add(|| item.name.clone());
                None
            }
        }
    }

    /// Whether a path lies where the server alone has something: the directory that has the others
    /// in it may hold media, too.
    fn is_own(&self, path: &str) -> bool {
        let data = &self.old.program_data;
        let own = OWN.into_iter().filter_map(|name| self.own.get(name));
        path == data
            || own
                .filter(|dir| rest_within(data, dir).is_none())
                .any(|dir| rest_within(path, dir).is_some())
    }

    /// The directory that a path of media lies in, and where it will be, if it moves for the sake of
    /// the server's directories alone.
    fn along(&self, path: &str) -> Option<(String, String)> {
        let around = ["programdata", "config"].into_iter().filter_map(|name| self.own.get(name));
        let dir =
            around.filter(|dir| rest_within(path, dir).is_some()).max_by_key(|dir| dir.len())?;
        let first = rest_within(path, dir)?.split('/').nth(1)?;
        let dir = format!("{dir}/{first}");
        let new = self.by_name.map(&dir)?;
        (self.prefixes.map(&dir).as_ref() == Some(&new)).then_some((dir, new))
    }

    /// The item's id and the spelling that gives it: that of the settings, or the other, which was
    /// in force when the item was made.
    fn spelt(
        &self,
        set: Spelling,
        id_of: impl Fn(Spelling) -> Guid,
        id: &Guid,
    ) -> Option<(Guid, Spelling)> {
        let other = if set == Spelling::Exact { Spelling::Lower } else { Spelling::Exact };
        [set, other]
            .into_iter()
            .find(|spelling| id_of(*spelling) == *id)
            .map(|spelling| (*id, spelling))
    }
}

/// Looks whether a media file is at its new path, with the time that the library has.
fn look_for(item: &Item, path: &str, items: &mut Items) {
    let Ok(facts) = std::fs::metadata(Path::new(path)) else {
        items.missing.add(|| path.to_owned());
        return;
    };
    items.present += 1;
    let known = item
        .modified
        .as_deref()
        .filter(|_| !item.is_folder)
        // The first day of all is what a server writes that does not know it.
        .filter(|date| !date.starts_with("0001-01-01"))
        .and_then(read_date)
        .map(|(ReadDate::Usual(date) | ReadDate::Unusual(date))| date.ns() as f64 / 1e9);
    let has = facts
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map(|since| since.as_secs_f64());
    if let (Some(known), Some(has)) = (known, has)
        && (known - has).abs() > TIME_TOLERANCE
    {
        items.changed.add(|| path.to_owned());
    }
}

/// Refuses where two items would have one id.
pub(super) fn check_collisions(db: &Connection, ids: &NewIds) -> Result<(), Error> {
    let mut new: Vec<&Guid> = ids.iter().map(|(_, new)| new).collect();
    new.sort_unstable();
    let twice = new
        .windows(2)
        .find_map(|pair| matches!(pair, [a, b] if a == b).then(|| pair.first().copied()).flatten());
    if let Some(id) = twice {
        let both: Vec<String> = ids
            .iter()
            .filter(|(_, new)| *new == id)
            .filter_map(|(old, _)| path_of(db, old))
            .take(2)
            .collect();
        return Err(Error::Refused {
            what: format!(
                "{} would be at the same path: two directories of media would become one",
                both.join(" and ")
            ),
            hint: "Give each of the old directories a new one of its own with --map.".to_owned(),
        });
    }
    let mut statement =
        db.prepare("SELECT 1 FROM \"BaseItems\" WHERE \"Id\" = ?1").map_err(failed)?;
    // In the order of the index.
    for new in new.into_iter().filter(|new| ids.get(new).is_none()) {
        if statement.exists([stored_guid(new)]).map_err(failed)? {
            let old = ids.iter().find(|(_, other)| *other == new).map_or(new, |(old, _)| old);
            let (here, there) =
                (path_of(db, old).unwrap_or_default(), path_of(db, new).unwrap_or_default());
            return Err(Error::Refused {
                what: format!(
                    "the library has {there} already, which {here} would become. Either it was scanned at the new path before, or two directories of media would become one"
                ),
                hint: "If it was scanned there, use a snapshot from before that scan (jellyvault list): it still has everything at the old path. Otherwise give each old \
                       directory a new one of its own with --map."
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn path_of(db: &Connection, id: &Guid) -> Option<String> {
    db.query_row("SELECT \"Path\" FROM \"BaseItems\" WHERE \"Id\" = ?1", [stored_guid(id)], |row| {
        row.get::<_, Option<String>>(0)
    })
    .ok()
    .flatten()
}

/// `Movie` of `MediaBrowser.Controller.Entities.Movies.Movie`.
fn short_kind(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

/// A failure of SQLite on the private copy.
pub(super) fn failed(source: rusqlite::Error) -> Error {
    Error::Refused {
        what: format!("the paths in a private copy of the database could not be changed ({source}); nothing else was changed"),
        hint: "If the disk of the repository is full, free some space. Otherwise choose another snapshot (jellyvault list), and please report this.".to_owned(),
    }
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
