//! The entries of a zip as the paths of a snapshot, sorted, with the directories above them.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{DATABASE_NAME, Options, Place, Schema, ZipReader, place_of};
use crate::chunk::Hashing;
use crate::manifest::compare;
use crate::progress::Problem;
use crate::source::{Category, DATABASE_PATH};

use super::problem;

/// A path of the snapshot that is to be.
pub(super) struct Item {
    pub path: Vec<u8>,
    pub key: [u8; 16],
    pub what: What,
}

/// What stands at a path.
#[derive(Clone, Copy)]
pub(super) enum What {
    Directory,
    /// The entry of this number.
    Entry(u32),
    /// The database, which is stored already.
    Database,
}

/// All that is to be stored, by category.
pub(super) struct Plan {
    /// Number of each table's entry.
    pub tables: BTreeMap<String, u32>,
    items: Vec<(Category, Vec<Item>)>,
    problems: Vec<Problem>,
    files: u64,
    bytes: u64,
}

impl Plan {
    pub(super) fn of(zip: &ZipReader, schema: Option<&Schema>, hashing: &Hashing) -> Plan {
        let mut plan = Plan { tables: BTreeMap::new(), items: Vec::new(), problems: Vec::new(), files: 0, bytes: 0 };
        let mut found: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        let has_pages = zip.find(DATABASE_NAME).is_some();
        for (number, entry) in (0..).zip(&zip.entries) {
            let what = match place_of(&entry.name) {
                Place::Manifest | Place::History => continue,
                Place::Table(name) if has_pages => format!("the table {name} was left out: the database itself is in the zip"),
                Place::Table(name) if schema.is_none_or(|schema| schema.table(&name).is_some()) => {
                    plan.tables.insert(name, number);
                    continue;
                }
                Place::Table(_) => "no server of its version has such a table; it was left out".to_owned(),
                Place::Nothing(why) => format!("{why}; it was left out"),
                Place::File(path) if path.as_bytes() == DATABASE_PATH => continue,
                Place::File(path) => {
                    plan.files += 1;
                    plan.bytes += entry.size;
                    let path = path.into_bytes();
                    let item = Item { key: hashing.path_key(&path), what: What::Entry(number), path };
                    found.entry(Category::of(&item.path).number()).or_default().push(item);
                    continue;
                }
            };
            plan.problem(&entry.name, what);
        }
        for (number, mut items) in found {
            let Some(category) = Category::ALL.get(number).copied() else { continue };
            add_directories(category, &mut items, hashing);
            items.sort_by(|a, b| compare(&a.path, &b.path));
            plan.items.push((category, items));
        }
        plan
    }

    pub(super) fn problem(&mut self, path: &str, what: impl Into<String>) {
        self.problems.push(problem(path, what));
    }

    pub(super) fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    pub(super) fn files(&self) -> u64 {
        self.files
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The categories that the zip holds, be they empty.
    pub(super) fn categories(&self, options: &Options, has_database: bool) -> Vec<Category> {
        let said = [
            (true, Category::Config),
            (has_database, Category::Database),
            (options.metadata, Category::Metadata),
            (options.subtitles, Category::Subtitles),
            (options.trickplay, Category::Trickplay),
        ];
        let has = |category: &Category| said.iter().any(|(is, said)| *is && said == category) || self.items.iter().any(|(found, _)| found == category);
        Category::ALL.into_iter().filter(has).collect()
    }

    /// The items of each category, sorted.
    pub(super) fn into_items(self, hashing: &Hashing, has_database: bool) -> Vec<(Category, Vec<Item>)> {
        let mut items = self.items;
        if has_database {
            let path = DATABASE_PATH.to_vec();
            items.push((Category::Database, vec![Item { key: hashing.path_key(&path), path, what: What::Database }]));
        }
        items
    }
}

/// The directories above files, as far as they belong to the files' category.
fn add_directories(category: Category, items: &mut Vec<Item>, hashing: &Hashing) {
    let mut folders: BTreeSet<Vec<u8>> = BTreeSet::new();
    for item in items.iter() {
        let mut above = crate::manifest::parent(&item.path);
        while let Some(folder) = above.filter(|folder| !folder.is_empty() && Category::of(folder) == category) {
            if !folders.insert(folder.to_vec()) {
                break;
            }
            above = crate::manifest::parent(folder);
        }
    }
    items.extend(folders.into_iter().map(|path| Item { key: hashing.path_key(&path), path, what: What::Directory }));
}
