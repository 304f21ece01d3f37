//! What happened to the library, in words: items, their pictures, and lists.

use std::collections::BTreeMap;

use crate::database::{Error, Lookup};

use super::gather::Gathered;
use super::kinds::{Group, field, fields, group, image_word, words};
use super::news::{PictureFile, Section};
use super::story::Teller;
use super::users::counted;
use super::view::{Id, View, stored_id};

/// Ids that came, ids that are gone.
type CameAndGone = (Vec<Id>, Vec<Id>);

/// Items whose names are looked up to tell what they are; beyond them they are only counted.
const LOOKED_UP_MAX: usize = 5000;

impl Teller<'_, '_> {
    /// Genres, tags and the like that items gained or lost become fields of the items.
    pub(super) fn attach_values(&mut self, gathered: &mut Gathered) -> Result<(), Error> {
        for (value, (kind, items)) in
            std::mem::take(&mut gathered.values).into_iter().take(LOOKED_UP_MAX)
        {
            let mut kind = kind;
            for database in [&mut *self.after, &mut *self.before] {
                if kind.is_none()
                    && let Some((table, row)) =
                        Lookup::new(database).by_text("ItemValues", &stored_id(value))?
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

    pub(super) fn library(&mut self, gathered: &Gathered) -> Result<(), Error> {
        // By library and kind: came, gone.
        let mut found: BTreeMap<(Group, String, u8), CameAndGone> = BTreeMap::new();
        let mut ids: Vec<_> =
            gathered.items.iter().filter(|(_, news)| news.came || news.gone).collect();
        ids.sort_by_key(|(id, _)| **id);
        for (id, news) in ids {
            let group = group(news.kind);
            let library = match group {
                Group::Own => continue,
                Group::Media => {
                    let mut states = if news.came {
                        [&mut *self.after, &mut *self.before]
                    } else {
                        [&mut *self.before, &mut *self.after]
                    };
                    self.names
                        .library(*id, news.top, &mut states)?
                        .unwrap_or_else(|| "Library".to_owned())
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
                    self.add(
                        Section::Library,
                        &library,
                        format!("{} {word}", counted(list.len() as u64, words(kind))),
                        list.len() as u64,
                        names,
                    );
                }
            }
        }
        Ok(())
    }

    pub(super) fn edits(&mut self, gathered: &Gathered) -> Result<(), Error> {
        let mut edited: Vec<(Id, u32)> = gathered
            .items
            .iter()
            .filter(|(_, news)| !news.came && !news.gone && news.fields != 0)
            .map(|(id, news)| (*id, news.fields))
            .collect();
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
                let name = name.map_or_else(
                    || "an item that is not in the database".to_owned(),
                    |item| item.name,
                );
                names.push(format!("{name} ({})", fields(*bits).join(", ")));
            }
        }
        names.sort();
        if count > 0 {
            self.add(
                Section::Library,
                "",
                format!("{} edited", counted(count, ("item", "items"))),
                count,
                names,
            );
        }
        Ok(())
    }

    pub(super) fn pictures(
        &mut self,
        gathered: &Gathered,
        files: &[PictureFile],
    ) -> Result<(), Error> {
        // By item and what it shows: there before, there after.
        let mut found: BTreeMap<(Id, &'static str), (bool, bool)> = BTreeMap::new();
        for ((item, kind, _), (before, after)) in
            gathered.images.iter().filter(|(_, (before, after))| before != after)
        {
            let slot = found.entry((*item, image_word(*kind))).or_default();
            *slot = (slot.0 || *before != 0, slot.1 || *after != 0);
        }
        for file in files {
            found.entry((file.item, file.word)).or_insert(file.sides);
        }
        let stays = |id: &Id| gathered.items.get(id).is_none_or(|news| !news.came && !news.gone);
        let mut told: [(Vec<String>, u64); 3] = Default::default();
        for (at, ((item, word), (before, after))) in
            found.into_iter().filter(|((item, _), _)| stays(item)).enumerate()
        {
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
                self.add(
                    Section::Library,
                    "",
                    format!("{} {what}", counted(count, ("picture", "pictures"))),
                    count,
                    names,
                );
            }
        }
        Ok(())
    }

    pub(super) fn lists(&mut self, gathered: &Gathered) -> Result<(), Error> {
        for (list, (gone, came)) in &gathered.members {
            let news = gathered.items.get(list).copied().unwrap_or_default();
            if news.came || news.gone {
                continue;
            }
            // An item that only changed its place stands on both sides.
            let only = |own: &[Id], other: &[Id]| {
                own.iter().copied().filter(|id| !other.contains(id)).collect::<Vec<_>>()
            };
            let (gone, came) = (only(gone, came), only(came, gone));
            let name = self.name(*list)?;
            let about = name.map_or_else(
                || "a list".to_owned(),
                |list| format!("{} “{}”", words(list.kind).0, list.name),
            );
            for (members, what) in [(&came, "added"), (&gone, "removed")] {
                if !members.is_empty() {
                    let names = self.list(members)?;
                    self.add(
                        Section::Library,
                        &about,
                        format!("{} {what}", counted(members.len() as u64, ("item", "items"))),
                        members.len() as u64,
                        names,
                    );
                }
            }
            if gone.is_empty() && came.is_empty() {
                self.add(Section::Library, &about, "order changed".to_owned(), 1, Vec::new());
            }
        }
        Ok(())
    }
}
