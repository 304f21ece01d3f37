//! Is the source worth a snapshot? An empty database, settings cut to nothing or a metadata folder
//! whose disk is not mounted would look like a good snapshot of a server that lost everything.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::archive::Standing;
use crate::manifest::{
    Catalog, CategoryRecord, Entries, Entry, Kind, Learnt, ONLY_MARKERS, SnapshotId,
    SnapshotRecord, UPGRADE, display, upgrade_words,
};
use crate::progress::{Interrupt, Problem};
use crate::source::{Category, DATABASE_PATH, DatabaseFacts, ScanRoot, open_private_for, version};
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::rows::{Which, open_state};
use super::parents::Parents;

/// The library of a server before 10.11, and how long it may keep us.
pub(super) const LIBRARY: &[u8] = b"data/library.db";
const LOOK_TIME: Duration = Duration::from_secs(5);

/// Fewer files of a category may go at once without a word; of the metadata none may.
const FEW_FILES: u64 = 10;

/// Categories that do not become empty by themselves, where they lie, and the fewest files that are
/// missed.
const PLACES: [(Category, &str, u64); 5] = [
    (Category::Metadata, "metadata", 1),
    (Category::Trickplay, "data/trickplay", FEW_FILES),
    (Category::Subtitles, "data/subtitles", FEW_FILES),
    (Category::Attachments, "data/attachments", FEW_FILES),
    (Category::Plugins, "plugins", FEW_FILES),
];

/// Tables whose rows a server cannot do without, and what they are to people.
const TABLES: [(&str, &str); 2] = [("Users", "users"), ("BaseItems", "items")];

/// What an earlier snapshot holds, to compare with.
pub(super) struct Before<'r> {
    repository: &'r Repository,
    index: &'r Index,
    snapshot: Option<(SnapshotId, SnapshotRecord)>,
}

impl<'r> Before<'r> {
    /// The newest complete snapshot of the source with all that this one is asked for; where none
    /// has that, the newest complete one.
    pub(super) fn find(
        (repository, index): (&'r Repository, &'r Index),
        parents: &Parents,
        (key, server): (&str, Option<&str>),
        wanted: &[Category],
    ) -> Result<Before<'r>, Error> {
        let has_all = |record: &SnapshotRecord| {
            record.is_complete()
                && wanted.iter().all(|category| record.category(category.name()).is_some())
        };
        let Some(newest) = parents.newest.zip(parents.record.clone()) else {
            return Ok(Before::nothing(repository, index));
        };
        if has_all(&newest.1) {
            return Ok(Before { repository, index, snapshot: Some(newest) });
        }
        let is_ours = Parents::is_ours(key, server);
        let last = |is_so: &dyn Fn(&SnapshotRecord) -> bool| {
            Catalog::newest_of(repository, &parents.end, |record| is_ours(record) && is_so(record))
        };
        let snapshot = match last(&has_all)? {
            None => last(&SnapshotRecord::is_complete)?,
            whole => whole,
        };
        Ok(Before { repository, index, snapshot })
    }

    /// Nothing to compare with.
    pub(super) fn nothing(repository: &'r Repository, index: &'r Index) -> Before<'r> {
        Before { repository, index, snapshot: None }
    }

    /// The version of its server.
    fn version(&self) -> Option<&str> {
        Some(&self.snapshot.as_ref()?.1.server.version.as_ref()?.value)
    }

    fn files_of(&self, category: Category) -> u64 {
        let record =
            self.snapshot.as_ref().and_then(|(_, record)| record.category(category.name()));
        record.map_or(0, |category| category.files)
    }

    /// How many files it has below a folder, at most so many. What cannot be read says nothing.
    pub(super) fn files_in(&self, folder: &[u8], most: usize) -> usize {
        let Some((_, record)) = &self.snapshot else { return 0 };
        let Some(category) = record.category(Category::of(folder).name()) else { return 0 };
        let mut reader = ChunkReader::new(self.repository, self.index);
        Entries::within(&mut reader, category.manifest, folder)
            .map_while(Result::ok)
            .filter(|entry| matches!(entry.kind, Kind::File { .. }))
            .take(most)
            .count()
    }

    /// Whether it has files below a folder.
    pub(super) fn has_files_in(&self, folder: &[u8]) -> bool {
        self.entries(folder, |entry| matches!(entry.kind, Kind::File { .. }))
    }

    /// Whether it has a file, and one that is not empty.
    pub(super) fn has_file(&self, path: &[u8]) -> bool {
        self.entries(path, |entry| entry.path == path && entry.size() > 0)
    }

    /// Whether one of the entries at or below a path is so. What cannot be read says nothing.
    fn entries(&self, path: &[u8], is_so: impl Fn(&Entry) -> bool) -> bool {
        let Some((_, record)) = &self.snapshot else { return false };
        let mut reader = ChunkReader::new(self.repository, self.index);
        // A database may be kept among databases wherever it lies.
        let categories = [Category::of(path), Category::Database]
            .into_iter()
            .filter_map(|category| record.category(category.name()));
        categories.into_iter().any(|category| {
            Entries::within(&mut reader, category.manifest, path)
                .map_while(Result::ok)
                .any(|entry| is_so(&entry))
        })
    }

    /// Whether its database has rows in a table. One that cannot be read says nothing.
    fn has_rows(&self, table: &str) -> bool {
        // The items begin with a placeholder that every server has.
        self.has_rows_in(DATABASE_PATH, table, usize::from(table == "BaseItems"))
    }

    /// Whether its library has items.
    pub(super) fn has_library_items(&self) -> bool {
        self.has_rows_in(LIBRARY, "TypedBaseItems", 0)
    }

    fn has_rows_in(&self, database: &[u8], table: &str, but: usize) -> bool {
        let Some(snapshot) = &self.snapshot else { return false };
        let Ok(Some(state)) =
            open_state(self.repository, self.index, &Which::Snapshot(snapshot), database)
        else {
            return false;
        };
        state.has_rows(table, but).unwrap_or(false)
    }
}

/// What is wrong with the database that was copied.
pub(super) fn of_database(
    size_bytes: u64,
    facts: Option<&DatabaseFacts>,
    before: &Before<'_>,
) -> Option<String> {
    if size_bytes == 0 {
        return Some(
            "the database is empty (0 bytes), so this snapshot contains no users, watch state or library. Restore it from an earlier snapshot".to_owned(),
        );
    }
    let facts = facts?;
    if !facts.is_jellyfins {
        return Some(
            "the database has none of Jellyfin's tables, so this snapshot contains no users, watch state or library. Is it the right file?".to_owned(),
        );
    }
    let gone: Vec<&str> = TABLES
        .iter()
        .filter(|(table, _)| facts.empty_tables.contains(table) && before.has_rows(table))
        .map(|(_, word)| *word)
        .collect();
    (!gone.is_empty()).then(|| {
        format!(
            "the database no longer has {}, but the last complete snapshot has. If the server is restoring a backup right now, the next snapshot will be \
             complete. Otherwise find out what happened before you rely on this snapshot",
            gone.join(" and ")
        )
    })
}

const EMPTY_LIBRARY: &str = "the library is empty (0 bytes), so this snapshot contains no items and no watch state. Restore it from an earlier snapshot";

/// A `library.db`, which holds items and watch state before 10.11, that does not have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    /// It is worth nothing, for this reason.
    Worthless(&'static str),
    /// It has no items. A new server's has none either.
    WithoutItems,
}

/// What is told of a library that lost its items.
pub(super) const NO_ITEMS: &str = "the library no longer has items, but the last complete snapshot has. Find out what happened before you rely on this snapshot";

/// What is wrong with a library.
pub(super) fn of_library(copy: &Path, size_bytes: u64, interrupt: &Interrupt) -> Option<Library> {
    if size_bytes == 0 {
        return Some(Library::Worthless(EMPTY_LIBRARY));
    }
    let count = |sql: &str| {
        open_private_for(copy, LOOK_TIME, interrupt)?.query_row(sql, [], |row| row.get::<_, i64>(0))
    };
    // What cannot be asked is told as damage, if it is that.
    if count("SELECT count(*) FROM sqlite_schema WHERE name = 'TypedBaseItems'").ok()? == 0 {
        let what = "the library has none of Jellyfin's tables, so this snapshot contains no items and no watch state. Is it the right file?";
        return Some(Library::Worthless(what));
    }
    let items = count("SELECT count(*) FROM (SELECT 1 FROM TypedBaseItems LIMIT 1)").ok()?;
    (items == 0).then_some(Library::WithoutItems)
}

/// A server that was in the middle of an upgrade: the version that must go on with it, and what to
/// tell of it.
pub(super) fn of_upgrade(
    facts: &DatabaseFacts,
    before: &Before<'_>,
    told: Option<&Learnt>,
) -> Option<(String, Problem)> {
    let Standing::Between { to, .. } = Standing::of(&facts.migrations) else { return None };
    let told = told.filter(|told| told.exact).map(|told| told.value.as_str());
    let is_older = |from: &&str| version::parse(from) < version::parse(&to);
    let from = before.version().filter(is_older).or(told.filter(is_older));
    let what = format!(
        "{}not all migrations were finished. After a restore in place, start {to} or newer, which continues \
         the upgrade. The next snapshot after the upgrade is complete again",
        upgrade_words(from, &to)
    );
    Some((to, Problem { path: UPGRADE.to_owned(), what }))
}

/// Files that the server writes whole, and never without content: settings, those of libraries and
/// where their media lie, lists, plugins.
const OF_THE_SERVER: [(&[u8], &[u8]); 8] = [
    (b"config/", b".xml"),
    (b"root/", b".xml"),
    (b"root/", b".mblink"),
    (b"data/playlists/", b".xml"),
    (b"data/collections/", b".xml"),
    (b"data/", b"device.txt"),
    (b"plugins/configurations/", b".xml"),
    (b"plugins/", b"/meta.json"),
];

/// A settings file of the server that was cut to nothing.
pub(super) fn of_settings(path: &[u8], size_bytes: u64) -> Option<Problem> {
    if path == LIBRARY && size_bytes == 0 {
        return Some(Problem { path: display(path), what: EMPTY_LIBRARY.to_owned() });
    }
    let is_settings =
        OF_THE_SERVER.iter().any(|(folder, end)| path.starts_with(folder) && path.ends_with(end));
    (size_bytes == 0 && is_settings).then(|| Problem {
        path: display(path),
        what: "this settings file is empty (0 bytes), so its settings are lost. Restore it from an earlier snapshot, or let the server write it again"
            .to_owned(),
    })
}

/// A directory with the name of a file that the server needs.
pub(super) fn of_directory(path: &[u8]) -> Option<Problem> {
    let is_settings =
        |(folder, end): &(&[u8], &[u8])| path.starts_with(folder) && path.ends_with(end);
    OF_THE_SERVER.iter().any(is_settings).then(|| Problem {
        path: display(path),
        what: "a directory is in the place of this file, so its settings are lost. Move the directory away, and restore the file from an earlier snapshot, or \
               let the server write it again"
            .to_owned(),
    })
}

/// A file that the server needs, of which only a link is in the snapshot: what it leads to lies
/// outside of what is captured.
pub(super) fn of_link(
    path: &[u8],
    below: &[u8],
    root: &ScanRoot,
    roots: &[ScanRoot],
) -> Option<Problem> {
    let is_settings =
        |(folder, end): &(&[u8], &[u8])| path.starts_with(folder) && path.ends_with(end);
    if !path.ends_with(b".db") && !OF_THE_SERVER.iter().any(is_settings) {
        return None;
    }
    let target = std::fs::canonicalize(root.dir.join(OsStr::from_bytes(below)));
    let holds = |root: &ScanRoot, target: &Path| {
        std::fs::canonicalize(&root.dir).is_ok_and(|dir| target.starts_with(dir))
    };
    let is_captured = |target: &Path| roots.iter().any(|root| holds(root, target));
    if target.as_deref().is_ok_and(|target| is_captured(target) || target.is_dir()) {
        return None;
    }
    let leads = target.map_or_else(
        |_| "to a file that does not exist".to_owned(),
        |target| match target.is_file() {
            true => format!("to {}", target.display()),
            false => format!("to {} (a device or pipe)", target.display()),
        },
    );
    let what = format!(
        "this file is a link {leads}, outside of the server's directories, so its content is not in this snapshot. Move the file here and remove the link; \
         to keep a disk of its own for it, mount that disk in the place of the directory"
    );
    Some(Problem { path: display(path), what })
}

/// What is wrong with the source as a whole: categories that had files in the last complete
/// snapshot and have none now, or nothing at all.
pub(super) fn of_source(
    categories: &BTreeMap<String, CategoryRecord>,
    known: &[Problem],
    files_but_markers: u64,
    (roots, excludes): (&[ScanRoot], bool),
    before: &Before<'_>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    if files_but_markers == 0 {
        let directory = roots
            .iter()
            .find(|root| root.logical == b"programdata")
            .or(roots.first())
            .map(|root| root.dir.display().to_string())
            .unwrap_or_default();
        let what = match &before.snapshot {
            Some((id, record)) => format!(
                "{directory} {ONLY_MARKERS}, but the last complete snapshot ({id}) has {} files. Its disk is not mounted, or the data is \
                 gone. Mount the disk, or restore that snapshot with jellyvault restore {id} --in-place",
                record.files.total
            ),
            None => format!("{directory} {ONLY_MARKERS}. Is the disk mounted?"),
        };
        // What all of it lacks need not be told of each part.
        return vec![Problem { path: "data".to_owned(), what }];
    }
    for (category, path, least) in PLACES {
        let (then, now) = (before.files_of(category), categories.get(category.name()));
        // What the user leaves out is still there.
        let is_left_out = excludes && has_entries(roots, path);
        if !is_left_out
            && now.is_some_and(|now| now.files == 0)
            && then >= least
            && !known.iter().any(|problem| problem.path == path)
        {
            let what = format!(
                "there are no files now, but the last complete snapshot has {then}. Is the disk mounted? If they were deleted on purpose, take a snapshot with --accept-loss"
            );
            problems.push(Problem { path: path.to_owned(), what });
        }
    }
    problems
}

/// Whether the folder of a category has anything in it on the disk.
fn has_entries(roots: &[ScanRoot], path: &str) -> bool {
    let whole = |root: &&ScanRoot| root.logical == path.as_bytes();
    let (data, below) = (|root: &&ScanRoot| root.logical == b"data", path.strip_prefix("data/"));
    let folder = match (roots.iter().find(whole), below) {
        (Some(root), _) => Some(root.dir.clone()),
        (None, Some(below)) => roots.iter().find(data).map(|data| data.dir.join(below)),
        (None, None) => None,
    };
    folder
        .and_then(|folder| {
            rustix::fs::open(
                folder,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .ok()
        })
        .is_some_and(|dir| {
            rustix::fs::Dir::new(dir).is_ok_and(|names| {
                names.flatten().any(|name| !matches!(name.file_name().to_bytes(), b"." | b".."))
            })
        })
}
