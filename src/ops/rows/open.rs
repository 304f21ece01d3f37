//! Where the rows are read: the pages of a snapshot's database, or a private copy of a live one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::chunk::{ChunkId, Hashing};
use crate::database::{Database, Lookup, Pages};
use crate::manifest::{Content, Kind, SnapshotId, SnapshotRecord, display};
use crate::progress::Interrupt;
use crate::source::{CopyError, DatabaseCopy, LiveFile, ScratchFolder, copy_database};
use crate::store::{ChunkReader, Index, Repository};

use super::super::content::write_content;
use super::super::ls::short;
use super::super::recipes::Recipes;
use super::super::select::lookup;
use super::super::{Error, in_one_line};

/// Decoded extents that a reader of pages keeps, some 256 KiB each: lookups of names go to and fro.
const KEPT_EXTENTS: usize = 48;

/// A state of a database, which can be opened more than once.
pub struct State<'r> {
    way: Way<'r>,
}

enum Way<'r> {
    /// Page by page from the repository.
    Pages { repository: &'r Repository, index: &'r Index, id: ChunkId, recipes: Arc<Recipes> },
    /// A file of our own.
    File { file: File, hashing: Hashing, _keep: Keep },
}

/// What is removed with the state.
enum Keep {
    Scratch(#[expect(dead_code, reason = "held until it is dropped")] ScratchFolder),
    Copy(#[expect(dead_code, reason = "held until it is dropped")] DatabaseCopy),
}

/// Which state.
pub enum Which<'a> {
    /// A snapshot's.
    Snapshot(&'a (SnapshotId, SnapshotRecord)),
    /// What lies in this file now; it may be in use.
    Live(&'a LiveFile, &'a Interrupt),
}

/// Opens the database at `path` of a snapshot, or a live one. Nothing where the snapshot has none.
pub fn open_state<'r>(
    repository: &'r Repository,
    index: &'r Index,
    which: &Which<'_>,
    path: &[u8],
) -> Result<Option<State<'r>>, Error> {
    match which {
        Which::Snapshot(snapshot) => of_snapshot(repository, index, snapshot, path),
        Which::Live(file, interrupt) => {
            let copy =
                copy_database(file, &repository.scratch_folder(), interrupt).map_err(|error| {
                    Error::Refused {
                        what: format!(
                            "the database {} could not be copied for the comparison ({})",
                            file.shown().display(),
                            in_one_line(&error)
                        ),
                        hint: match error {
                            CopyError::NoSpace(_) => {
                                "Free some space on the repository's disk.".to_owned()
                            }
                            _ => "Run as the user that Jellyfin runs as, or as root.".to_owned(),
                        },
                    }
                })?;
            let file = File::open(&copy.path).map_err(|source| Error::Target {
                verb: "read",
                path: copy.path.clone(),
                source,
            })?;
            Ok(Some(State {
                way: Way::File { file, hashing: repository.hashing(), _keep: Keep::Copy(copy) },
            }))
        }
    }
}

fn of_snapshot<'r>(
    repository: &'r Repository,
    index: &'r Index,
    snapshot: &(SnapshotId, SnapshotRecord),
    path: &[u8],
) -> Result<Option<State<'r>>, Error> {
    let mut reader = ChunkReader::new(repository, index);
    let Some(found) = lookup(&mut reader, &snapshot.1, path)? else { return Ok(None) };
    let Kind::File { size, content } = &found.entry.kind else {
        return Err(Error::NotAFile { path: display(path), kind: "directory" });
    };
    if let Content::Pages(id) = content {
        return Ok(Some(State {
            way: Way::Pages { repository, index, id: *id, recipes: Arc::default() },
        }));
    }
    // Kept as bytes: too large for pages, or no database.
    let scratch = repository.scratch_folder();
    let failed = |source| Error::Target {
        verb: "write a private copy of the database to",
        path: scratch.clone(),
        source,
    };
    let folder = ScratchFolder::create(&scratch).map_err(failed)?;
    folder.check_space(*size).map_err(|error| Error::Refused {
        what: format!("the rows cannot be compared: {error}"),
        hint: "Free some space on the repository's disk.".to_owned(),
    })?;
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.path.join("database"))
        .map_err(failed)?;
    write_content(&mut reader, content, *size, |offset, bytes| {
        file.write_all_at(bytes, offset).map_err(failed)
    })
    .map_err(|error| Error::Unreadable {
        snapshot: short(&snapshot.0),
        path: display(path),
        source: Box::new(error),
    })?;
    file.set_len(*size).map_err(failed)?;
    Ok(Some(State {
        way: Way::File { file, hashing: repository.hashing(), _keep: Keep::Scratch(folder) },
    }))
}

impl<'r> State<'r> {
    /// The same, with recipes that others ask for, too.
    pub fn sharing(mut self, shared: &Arc<Recipes>) -> State<'r> {
        if let Way::Pages { recipes, .. } = &mut self.way {
            recipes.clone_from(shared);
        }
        self
    }

    /// Opens it for lookups that go to and fro.
    pub(in crate::ops) fn open(&self) -> Result<Database<'r>, Error> {
        self.open_keeping(KEPT_EXTENTS, None)
    }

    /// Whether a table has more than so many rows.
    pub(in crate::ops) fn has_rows(&self, table: &str, more_than: usize) -> Result<bool, Error> {
        let mut rows = 0;
        Lookup::new(&mut self.open()?).scan(table, |_, _| {
            rows += 1;
            rows <= more_than
        })?;
        Ok(rows > more_than)
    }

    /// Whether it has a table.
    pub fn has_table(&self, name: &str) -> Result<bool, Error> {
        Ok(self.open()?.table(name).is_some())
    }

    /// Opens it, perhaps beside another state of the same database; its reader keeps so many
    /// decoded extents.
    pub(super) fn open_keeping(
        &self,
        extents: usize,
        other: Option<&Database<'_>>,
    ) -> Result<Database<'r>, Error> {
        let pages = match &self.way {
            Way::Pages { repository, index, id, recipes } => {
                let mut reader = ChunkReader::new(repository, index).keeping(extents);
                let recipe = recipes.get(id, &mut reader)?.recipe.clone();
                Pages::of_recipe(reader, *id, recipe)
            }
            Way::File { file, hashing, .. } => {
                let file = file.try_clone().map_err(|source| Error::Target {
                    verb: "read",
                    path: "the private copy of the database".into(),
                    source,
                })?;
                Pages::of_file(file, hashing)?
            }
        };
        Ok(match other {
            Some(other) => Database::open_beside(pages, other)?,
            None => Database::open(pages)?,
        })
    }
}
