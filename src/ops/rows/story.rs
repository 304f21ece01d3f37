//! What happened, in people's words: from what was gathered, with names looked up.

use std::collections::{BTreeMap, BTreeSet};

use crate::database::{Compared, Database, Error};

use super::facts::UserNews;
use super::gather::Gathered;
use super::names::Names;
use super::news::{News, PictureFile, Section};
use super::users::{WATCH_WORDS, counted, settings, watch_words};
use super::view::{Id, stored_id};

pub(super) struct Teller<'t, 'r> {
    pub names: &'t mut Names,
    pub before: &'t mut Database<'r>,
    pub after: &'t mut Database<'r>,
    /// Names that are told of a list.
    pub named: usize,
    pub news: Vec<News>,
}

impl Teller<'_, '_> {
    pub(super) fn add(
        &mut self,
        section: Section,
        about: &str,
        what: String,
        count: u64,
        names: Vec<String>,
    ) {
        self.news.push(News { section, about: about.to_owned(), what, count, names });
    }

    pub(super) fn name(&mut self, id: Id) -> Result<Option<super::names::ItemName>, Error> {
        self.names.item(id, &mut [self.after, self.before])
    }

    pub(super) fn user(&mut self, id: Id) -> Result<String, Error> {
        let found = self.names.user(id, &mut [self.after, self.before])?;
        Ok(found.unwrap_or_else(|| {
            format!("a user who is not in the database ({})", stored_id(id).to_lowercase())
        }))
    }

    /// Names of items, as many as are told, in order.
    pub(super) fn list(&mut self, ids: &[Id]) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for id in ids.iter().take(self.named) {
            names.push(self.name(*id)?.map_or_else(
                || "an item that is not in the database".to_owned(),
                |item| item.name,
            ));
        }
        names.sort();
        Ok(names)
    }

    /// All news.
    pub(super) fn tell(
        mut self,
        mut gathered: Gathered,
        compared: &Compared,
        files: &[PictureFile],
    ) -> Result<Vec<News>, Error> {
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

    fn of_user(&mut self, id: Id, user: &UserNews, gathered: &Gathered) -> Result<(), Error> {
        let name = self.user(id)?;
        let mut add = |what: String, count: u64| {
            self.news.push(News {
                section: Section::Users,
                about: name.clone(),
                what,
                count,
                names: Vec::new(),
            })
        };
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
        // State moves by its key: from an item that goes to the placeholder, and back when it
        // returns.
        let kept: BTreeSet<Id> =
            user.waiting.0.iter().filter_map(|key| user.keys.0.get(key).copied()).collect();
        let back: BTreeSet<Id> =
            user.waiting.1.iter().filter_map(|key| user.keys.1.get(key).copied()).collect();
        let cleared =
            user.waiting.1.iter().filter(|key| !user.keys.1.contains_key(key)).count() as u64;
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
            self.add(
                Section::Users,
                name,
                format!("{} {phrase}", counted(count, ("item", "items"))),
                count,
                names,
            );
        }
        let told = [
            (
                aside,
                "that was removed is kept by the server",
                "that were removed is kept by the server",
            ),
            (lost, "that was removed was deleted too", "that were removed was deleted too"),
            (back.len() as u64, "that came back was restored", "that came back was restored"),
            (cleared, "that did not come back was cleared", "that did not come back was cleared"),
        ];
        for (count, one, several) in told.into_iter().filter(|(count, ..)| *count > 0) {
            let what = if count == 1 {
                format!("watch state of an item {one}")
            } else {
                format!("watch state of {count} items {several}")
            };
            self.add(Section::Users, name, what, count, Vec::new());
        }
        Ok(())
    }
}
