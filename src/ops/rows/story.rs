//! What happened, in people's words: from what was gathered, with names looked up.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::{Compared, Database, Error, Lookup};

use super::gather::{Gathered, UserNews};
use super::kinds::{Group, field, fields, group, image_word, words};
use super::names::Names;
use super::news::{News, PictureFile, Section};
use super::users::{WATCH_WORDS, counted, settings, watch_words};
use super::view::{Id, View, stored_id};

/// Ids that came, ids that are gone.
type CameAndGone = (Vec<Id>, Vec<Id>);

/// Items whose names are looked up to tell what they are; beyond them they are only counted.
const LOOKED_UP_MAX: usize = 5000;

pub(super) struct Teller<'t, 'r> {
    pub names: &'t mut Names,
    pub before: &'t mut Database<'r>,
    pub after: &'t mut Database<'r>,
    /// Names that are told of a list.
    pub named: usize,
    pub news: Vec<News>,
}

impl Teller<'_, '_> {
    fn add(&mut self, section: Section, about: &str, what: String, count: u64, names: Vec<String>) {
        self.news.push(News { section, about: about.to_owned(), what, count, names });
    }

    fn name(&mut self, id: Id) -> Result<Option<super::names::ItemName>, Error> {
        self.names.item(id, &mut [self.after, self.before])
    }

    fn user(&mut self, id: Id) -> Result<String, Error> {
        let found = self.names.user(id, &mut [self.after, self.before])?;
        Ok(found.unwrap_or_else(|| format!("a user who is not in the database ({})", stored_id(id).to_lowercase())))
    }

    /// Names of items, as many as are told, in order.
    fn list(&mut self, ids: &[Id]) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for id in ids.iter().take(self.named) {
            names.push(self.name(*id)?.map_or_else(|| "an item that is not in the database".to_owned(), |item| item.name));
        }
        names.sort();
        Ok(names)
    }

    /// All news.
    pub(super) fn tell(mut self, mut gathered: Gathered, compared: &Compared, files: &[PictureFile]) -> Result<Vec<News>, Error> {
        self.attach_values(&mut gathered)?;
        self.library(&gathered)?;
        self.edits(&gathered)?;
        self.pictures(&gathered, files)?;
        self.lists(&gathered)?;
        let users = std::mem::take(&mut gathered.users);
        for (id, user) in &users {
            self.of_user(*id, user, &gathered)?;
        }
        self.server(&gathered)?;
        self.upgrade(&gathered, compared);
        self.news.sort_by_key(|news| news.section);
        Ok(self.news)
    }

    /// Genres, tags and the like that items gained or lost become fields of the items.
    fn attach_values(&mut self, gathered: &mut Gathered) -> Result<(), Error> {
        for (value, (kind, items)) in std::mem::take(&mut gathered.values).into_iter().take(LOOKED_UP_MAX) {
            let mut kind = kind;
            for database in [&mut *self.after, &mut *self.before] {
                if kind.is_none()
                    && let Some((table, row)) = Lookup::new(database).by_text("ItemValues", &stored_id(value))?
                {
                    kind = View { table: &table, row: &row }.integer("Type");
                }
            }
            // ItemValueType; 6 is what items inherit, which the server works out.
            let bits = match kind {
                Some(0 | 1) => field("artists"),
                Some(2) => field("genres"),
                Some(3 | 7) => field("studios"),
                Some(4) => field("tags"),
                _ => continue,
            };
            for item in items {
                gathered.items.entry(item).or_default().fields |= bits;
            }
        }
        Ok(())
    }

    fn library(&mut self, gathered: &Gathered) -> Result<(), Error> {
        // By library and kind: came, gone.
        let mut found: BTreeMap<(Group, String, u8), CameAndGone> = BTreeMap::new();
        let mut ids: Vec<_> = gathered.items.iter().filter(|(_, news)| news.came || news.gone).collect();
        ids.sort_by_key(|(id, _)| **id);
        for (id, news) in ids {
            let group = group(news.kind);
            let library = match group {
                Group::Own => continue,
                Group::Media => {
                    let mut states = if news.came { [&mut *self.after, &mut *self.before] } else { [&mut *self.before, &mut *self.after] };
                    self.names.library(*id, news.top, &mut states)?.unwrap_or_else(|| "Library".to_owned())
                }
                Group::Library | Group::List | Group::ByName => String::new(),
            };
            let lists = found.entry((group, library, news.kind)).or_default();
            if news.came { &mut lists.0 } else { &mut lists.1 }.push(*id);
        }
        for ((_, library, kind), (came, gone)) in found {
            for (list, word) in [(came, "new"), (gone, "gone")] {
                if !list.is_empty() {
                    let names = self.list(&list)?;
                    self.add(Section::Library, &library, format!("{} {word}", counted(list.len() as u64, words(kind))), list.len() as u64, names);
                }
            }
        }
        Ok(())
    }

    fn edits(&mut self, gathered: &Gathered) -> Result<(), Error> {
        let mut edited: Vec<(Id, u32)> =
            gathered.items.iter().filter(|(_, news)| !news.came && !news.gone && news.fields != 0).map(|(id, news)| (*id, news.fields)).collect();
        edited.sort_unstable();
        let (mut names, mut count) = (Vec::new(), 0);
        for (at, (id, bits)) in edited.iter().enumerate() {
            if at >= LOOKED_UP_MAX {
                count += 1;
                continue;
            }
            let name = self.name(*id)?;
            if name.as_ref().is_some_and(|item| group(item.kind) == Group::Own) {
                continue;
            }
            count += 1;
            if names.len() < self.named {
                let name = name.map_or_else(|| "an item that is not in the database".to_owned(), |item| item.name);
                names.push(format!("{name} ({})", fields(*bits).join(", ")));
            }
        }
        names.sort();
        if count > 0 {
            self.add(Section::Library, "", format!("{} edited", counted(count, ("item", "items"))), count, names);
        }
        Ok(())
    }

    fn pictures(&mut self, gathered: &Gathered, files: &[PictureFile]) -> Result<(), Error> {
        // By item and what it shows: there before, there after.
        let mut found: BTreeMap<(Id, &'static str), (bool, bool)> = BTreeMap::new();
        for ((item, kind, _), (before, after)) in gathered.images.iter().filter(|(_, (before, after))| before != after) {
            let slot = found.entry((*item, image_word(*kind))).or_default();
            *slot = (slot.0 || *before != 0, slot.1 || *after != 0);
        }
        for file in files {
            found.entry((file.item, file.word)).or_insert(file.sides);
        }
        let stays = |id: &Id| gathered.items.get(id).is_none_or(|news| !news.came && !news.gone);
        let mut told: [(Vec<String>, u64); 3] = Default::default();
        for (at, ((item, word), (before, after))) in found.into_iter().filter(|((item, _), _)| stays(item)).enumerate() {
            let place = usize::from(before) + 2 * usize::from(after);
            let Some((names, count)) = told.get_mut(place.saturating_sub(1)) else { continue };
            if at < LOOKED_UP_MAX {
                // What is of no item that people see (views, folders) is the server's own.
                match self.names.item(item, &mut [self.after, self.before])? {
                    Some(name) if group(name.kind) != Group::Own => {
                        if names.len() < self.named {
                            names.push(format!("{word} of {}", name.name));
                        }
                    }
                    _ => continue,
                }
            }
            *count += 1;
        }
        for ((mut names, count), what) in told.into_iter().zip(["gone", "new", "changed"]) {
            if count > 0 {
                names.sort();
                self.add(Section::Library, "", format!("{} {what}", counted(count, ("picture", "pictures"))), count, names);
            }
        }
        Ok(())
    }

    fn lists(&mut self, gathered: &Gathered) -> Result<(), Error> {
        for (list, (gone, came)) in &gathered.members {
            let news = gathered.items.get(list).copied().unwrap_or_default();
            if news.came || news.gone {
                continue;
            }
            // An item that only changed its place stands on both sides.
            let only = |own: &[Id], other: &[Id]| own.iter().copied().filter(|id| !other.contains(id)).collect::<Vec<_>>();
            let (gone, came) = (only(gone, came), only(came, gone));
            let name = self.name(*list)?;
            let about = name.map_or_else(|| "a list".to_owned(), |list| format!("{} “{}”", words(list.kind).0, list.name));
            for (members, what) in [(&came, "added"), (&gone, "removed")] {
                if !members.is_empty() {
                    let names = self.list(members)?;
                    self.add(Section::Library, &about, format!("{} {what}", counted(members.len() as u64, ("item", "items"))), members.len() as u64, names);
                }
            }
            if gone.is_empty() && came.is_empty() {
                self.add(Section::Library, &about, "order changed".to_owned(), 1, Vec::new());
            }
        }
        Ok(())
    }

    fn of_user(&mut self, id: Id, user: &UserNews, gathered: &Gathered) -> Result<(), Error> {
        let name = self.user(id)?;
        let mut add = |what: String, count: u64| self.news.push(News { section: Section::Users, about: name.clone(), what, count, names: Vec::new() });
        if user.gone {
            add("user removed".to_owned(), 1);
            return Ok(());
        }
        if user.came {
            add("new user".to_owned(), 1);
        } else {
            settings(user, &mut add);
        }
        self.watch(&name, user, gathered)
    }

    fn watch(&mut self, name: &str, user: &UserNews, gathered: &Gathered) -> Result<(), Error> {
        let mut lists: BTreeMap<usize, Vec<Id>> = BTreeMap::new();
        // State moves by its key: from an item that goes to the placeholder, and back when it returns.
        let kept: BTreeSet<Id> = user.waiting.0.iter().filter_map(|key| user.keys.0.get(key).copied()).collect();
        let back: BTreeSet<Id> = user.waiting.1.iter().filter_map(|key| user.keys.1.get(key).copied()).collect();
        let cleared = user.waiting.1.iter().filter(|key| !user.keys.1.contains_key(key)).count() as u64;
        let (mut aside, mut lost) = (0u64, 0u64);
        for (item, news) in &user.watched {
            let fate = gathered.items.get(item).copied().unwrap_or_default();
            if fate.gone {
                *(if kept.contains(item) { &mut aside } else { &mut lost }) += 1;
            } else if !back.contains(item) {
                for what in watch_words(news) {
                    lists.entry(what).or_default().push(*item);
                }
            }
        }
        for (what, mut items) in lists {
            items.sort_unstable();
            let names = self.list(&items)?;
            let (one, several) = WATCH_WORDS.get(what).copied().unwrap_or_default();
            let count = items.len() as u64;
            let phrase = if count == 1 { one } else { several };
            self.add(Section::Users, name, format!("{} {phrase}", counted(count, ("item", "items"))), count, names);
        }
        let told = [
            (aside, "that was removed is kept by the server", "that were removed is kept by the server"),
            (lost, "that was removed was deleted too", "that were removed was deleted too"),
            (back.len() as u64, "that came back was restored", "that came back was restored"),
            (cleared, "that did not come back was cleared", "that did not come back was cleared"),
        ];
        for (count, one, several) in told.into_iter().filter(|(count, ..)| *count > 0) {
            let what = if count == 1 { format!("watch state of an item {one}") } else { format!("watch state of {count} items {several}") };
            self.add(Section::Users, name, what, count, Vec::new());
        }
        Ok(())
    }

    fn server(&mut self, gathered: &Gathered) -> Result<(), Error> {
        for ((user, _), (before, after)) in &gathered.devices {
            let Some((_, device, app, _)) = after.as_ref().or(before.as_ref()) else { continue };
            let what = match (before, after) {
                (None, _) => "new device",
                (_, None) => "device removed",
                (Some((.., token)), Some((.., other))) if token != other => "signed in again on",
                (Some(before), Some(after)) if before == after => continue,
                _ => "device changed",
            };
            let who = match user {
                Some(user) => self.user(*user)?,
                None => String::new(),
            };
            self.add(Section::Users, &who, format!("{what} “{device}” ({app})"), 1, Vec::new());
        }
        let only = |own: &[(String, u64)], other: &[(String, u64)]| -> Vec<String> {
            own.iter().filter(|key| !other.contains(key)).map(|(name, _)| name.clone()).collect()
        };
        let (gone, came) = (only(&gathered.keys.0, &gathered.keys.1), only(&gathered.keys.1, &gathered.keys.0));
        for (names, what) in [(came, "new"), (gone, "gone")] {
            if !names.is_empty() {
                self.add(Section::Server, "", format!("{} {what}", counted(names.len() as u64, ("API key", "API keys"))), names.len() as u64, names);
            }
        }
        if gathered.activities > 0 {
            self.add(
                Section::Server,
                "",
                format!("{} in the activity log", counted(gathered.activities, ("new entry", "new entries"))),
                gathered.activities,
                Vec::new(),
            );
        }
        let refreshed = gathered.items.values().filter(|news| news.refreshed && news.fields == 0 && !news.came && !news.gone).count() as u64;
        if refreshed > 0 {
            self.add(Section::Server, "", format!("{} refreshed by the server without changes", counted(refreshed, ("item", "items"))), refreshed, Vec::new());
        }
        for (table, count) in &gathered.unreadable {
            let what =
                format!("table {table}: {} with an invalid id, so the item or user is unknown (--table {table} shows them)", counted(*count, ("row", "rows")));
            self.add(Section::Server, "", what, *count, Vec::new());
        }
        for (table, count) in &gathered.others {
            self.add(Section::Server, "", format!("table {table}: {} changed", counted(*count, ("row", "rows"))), *count, Vec::new());
        }
        Ok(())
    }

    fn upgrade(&mut self, gathered: &Gathered, compared: &Compared) {
        let migrations = gathered.migrations.len() as u64;
        if let Some(last) = gathered.migrations.iter().max() {
            self.add(
                Section::Upgrade,
                "",
                format!("{} applied, the last one is {last}", counted(migrations, ("migration", "migrations"))),
                migrations,
                Vec::new(),
            );
        }
        if gathered.undone_migrations > 0 {
            let what = format!("{} undone: the later state is of an older version", counted(gathered.undone_migrations, ("migration is", "migrations are")));
            self.add(Section::Upgrade, "", what, gathered.undone_migrations, Vec::new());
        }
        // Statistics of SQLite's own come and go without any upgrade.
        for table in compared.tables.iter().filter(|table| !table.name.starts_with("sqlite_")) {
            let own = table.name.as_str();
            if table.is_new {
                self.add(Section::Upgrade, "", format!("new table {own} with {}", counted(table.added, ("row", "rows"))), table.added, Vec::new());
            }
            if table.is_gone {
                self.add(Section::Upgrade, "", format!("table {own} removed with {}", counted(table.removed, ("row", "rows"))), table.removed, Vec::new());
            }
            for (columns, what) in [(&table.new_columns, "new"), (&table.gone_columns, "gone")] {
                if !columns.is_empty() {
                    let count = columns.len() as u64;
                    self.add(
                        Section::Upgrade,
                        "",
                        format!("table {own}: {} {what}: {}", counted(count, ("column", "columns")), columns.join(", ")),
                        count,
                        Vec::new(),
                    );
                }
            }
        }
        for ((table, column), rows) in gathered.by_upgrade.iter().filter(|((_, column), _)| !column.is_empty()) {
            self.add(Section::Upgrade, "", format!("{table}.{column} rewritten in {}", counted(*rows, ("row", "rows"))), *rows, Vec::new());
        }
    }
}
