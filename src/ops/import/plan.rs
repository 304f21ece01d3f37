//! The entries of a zip as the paths of a snapshot, sorted, with the directories above them.

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{DATABASE_NAME, Place, Schema, ZipError, ZipReader, place_of};
use crate::chunk::Hashing;
use crate::limits::{PROBLEMS_NAMED_BYTES_MAX, PROBLEMS_NAMED_MAX};
use crate::manifest::{compare, is_within, parent};
use crate::progress::Problem;
use crate::source::{Category, DATABASE_PATH, KEPT_TABLES};

use super::super::kept_tables::{ORDER_NAME, kept_path};

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
    /// The names of the entries that are kept as they are.
    Order,
    /// The database, which is stored already.
    Database,
}

/// All that is to be stored: of a million entries their numbers.
pub(super) struct Plan {
    /// The tables are kept as they are, because no schema is known for them.
    pub keeps: bool,
    /// Entries that are kept as they are beside the database, because not all of them is in it.
    also: BTreeSet<u32>,
    /// Number of each table's entry.
    pub tables: BTreeMap<String, u32>,
    /// Numbers of each category's entries, in order of their paths.
    files: Vec<(Category, Vec<u32>)>,
    problems: Vec<Problem>,
    problem_bytes: usize,
    /// Files that come in.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Plan {
    pub(super) fn of(zip: &ZipReader, schema: Option<&Schema>, keeps: bool) -> Plan {
        let files = Category::ALL.into_iter().map(|category| (category, Vec::new())).collect();
        let mut plan = Plan {
            keeps,
            also: BTreeSet::new(),
            tables: BTreeMap::new(),
            files,
            problems: Vec::new(),
            problem_bytes: 0,
            count: 0,
            bytes: 0,
        };
        let has_pages = zip.find(DATABASE_NAME).is_some();
        for (number, entry) in (0..).zip(&zip.entries) {
            let what = match place_of(&zip.name(entry)) {
                Place::File(path) if is_within(path.as_bytes(), KEPT_TABLES.as_bytes()) => {
                    "left out, because no server has such a directory".to_owned()
                }
                Place::Manifest | Place::History | Place::Table(_) | Place::Nothing(_)
                    if keeps && zip.name(entry) != ORDER_NAME =>
                {
                    plan.take(number, entry.size(), Category::Database);
                    continue;
                }
                Place::Manifest | Place::History => continue,
                Place::Table(name) if has_pages => format!(
                    "the table {name} was left out, because the zip contains the database itself"
                ),
                Place::Table(name) if schema.is_none_or(|schema| schema.table(&name).is_some()) => {
                    plan.tables.insert(name, number);
                    continue;
                }
                Place::Table(_) => {
                    plan.also.insert(number);
                    plan.take(number, entry.size(), Category::Database);
                    format!(
                        "no server of this version has such a table, so it is not in the database. It is kept unchanged in {KEPT_TABLES}"
                    )
                }
                Place::Nothing(why) => format!("{why}; it was left out"),
                Place::File(path) if path.as_bytes() == DATABASE_PATH => continue,
                Place::File(path) => {
                    plan.take(number, entry.size(), Category::of(path.as_bytes()));
                    continue;
                }
            };
            plan.problem(&zip.name(entry), what);
        }
        plan.sort(zip);
        plan
    }

    /// Keeps a table as it is, too.
    pub(super) fn keep_also(&mut self, zip: &ZipReader, table: &str) {
        let Some((number, entry)) = self
            .tables
            .get(table)
            .and_then(|number| Some((*number, zip.entries.get(*number as usize)?)))
        else {
            return;
        };
        if self.also.insert(number) {
            self.take(number, entry.size(), Category::Database);
        }
        self.sort(zip);
    }

    fn sort(&mut self, zip: &ZipReader) {
        let (keeps, also) = (self.keeps, &self.also);
        let path = |number: u32| path_of(zip, number, keeps || also.contains(&number));
        for (category, files) in &mut self.files {
            // Its parts stand in other places of the zip; those of the other categories lie as they
            // lie there.
            if matches!(category, Category::Config | Category::Database) {
                files.sort_by(|a, b| compare(&path(*a), &path(*b)));
            }
        }
    }

    fn take(&mut self, number: u32, bytes: u64, category: Category) {
        self.count += 1;
        self.bytes += bytes;
        if let Some((_, files)) = self.files.get_mut(category.number()) {
            files.push(number);
        }
    }

    /// Keeps a problem; by name as long as there are not too many.
    pub(super) fn problem(&mut self, path: &str, what: impl Into<String>) {
        let problem = Problem { path: path.to_owned(), what: what.into() };
        self.problem_bytes += problem.path.len() + problem.what.len();
        if self.problems.len() < PROBLEMS_NAMED_MAX
            && self.problem_bytes <= PROBLEMS_NAMED_BYTES_MAX
        {
            self.problems.push(problem);
        }
    }

    pub(super) fn take_problems(&mut self) -> Vec<Problem> {
        std::mem::take(&mut self.problems)
    }

    /// The categories that the snapshot will have: those that the zip holds, and the configuration.
    pub(super) fn categories(
        &self,
        options: &crate::archive::Options,
        has_database: bool,
    ) -> Vec<Category> {
        let said = [
            (true, Category::Config),
            (has_database, Category::Database),
            (options.metadata, Category::Metadata),
            (options.subtitles, Category::Subtitles),
            (options.trickplay, Category::Trickplay),
        ];
        let has = |category: &Category| {
            said.iter().any(|(is, said)| *is && said == category)
                || self.files.iter().any(|(found, files)| found == category && !files.is_empty())
        };
        Category::ALL.into_iter().filter(has).collect()
    }

    /// Hands on the paths of each category in order, each directory before what lies in it.
    pub(super) fn each<E>(
        self,
        zip: &ZipReader,
        hashing: &Hashing,
        has_database: bool,
        mut take: impl FnMut(Category, Item) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut database = has_database.then(|| DATABASE_PATH.to_vec());
        let item = |path: Vec<u8>, what| Item { key: hashing.path_key(&path), path, what };
        for (category, files) in self.files.into_iter().filter(|(_, files)| !files.is_empty()) {
            let mut last: Vec<u8> = Vec::new();
            let mut emit = |path: Vec<u8>, what| {
                for folder in folders_above(&path)
                    .into_iter()
                    .filter(|folder| Category::of(folder) == category && !is_within(&last, folder))
                {
                    take(category, item(folder.to_vec(), What::Directory))?;
                }
                last.clone_from(&path);
                take(category, item(path, what))
            };
            let mut order = (self.keeps && category == Category::Database)
                .then(|| kept_path(ORDER_NAME).into_bytes());
            for number in files {
                let path = path_of(zip, number, self.keeps || self.also.contains(&number));
                if let Some(database) = database.take_if(|database| {
                    category == Category::Database && compare(database, &path).is_lt()
                }) {
                    emit(database, What::Database)?;
                }
                if let Some(order) = order.take_if(|order| compare(order, &path).is_lt()) {
                    emit(order, What::Order)?;
                }
                emit(path, What::Entry(number))?;
            }
            order.map_or(Ok(()), |order| emit(order, What::Order))?;
        }
        database.map_or(Ok(()), |database| take(Category::Database, item(database, What::Database)))
    }
}

/// The logical path of an entry that is a file.
fn path_of(zip: &ZipReader, number: u32, keeps: bool) -> Vec<u8> {
    let Some(entry) = zip.entries.get(number as usize) else { return Vec::new() };
    match place_of(&zip.name(entry)) {
        Place::File(path) => path.into_bytes(),
        _ if keeps => kept_path(&zip.name(entry)).into_bytes(),
        _ => Vec::new(),
    }
}

/// The names of the entries that are kept as they are, in the order of the zip.
pub(super) fn order_of(zip: &ZipReader) -> Result<Vec<u8>, ZipError> {
    let named = zip.entries.iter().map(|entry| (entry, zip.name(entry)));
    let kept =
        named.filter(|(_, name)| !matches!(place_of(name), Place::File(_)) && name != ORDER_NAME);
    let mut names: Vec<(u64, String)> = kept
        .map(|(entry, name)| Ok((zip.offset(entry)?, name)))
        .collect::<Result<_, ZipError>>()?;
    names.sort_unstable();
    let names: Vec<String> = names.into_iter().map(|(_, name)| name).collect();
    serde_json::to_vec(&names).map_err(|error| ZipError::Structure(error.to_string()))
}

/// The directories above a path, outermost first.
fn folders_above(path: &[u8]) -> Vec<&[u8]> {
    let mut folders: Vec<&[u8]> = std::iter::successors(parent(path), |folder| parent(folder))
        .filter(|folder| !folder.is_empty())
        .collect();
    folders.reverse();
    folders
}
