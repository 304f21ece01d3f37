//! The main database of a snapshot as a file.

use std::path::PathBuf;

use crate::manifest::{SnapshotId, SnapshotRecord, find};
use crate::source::{Category, DATABASE_PATH, ScratchFolder};
use crate::store::{ChunkReader, Repository};

use super::super::Error;
use super::super::ls::short;
use super::database;

/// A database of a snapshot, written out into a folder of its own.
pub struct PrivateFile {
    _folder: ScratchFolder,
    /// The file.
    pub path: PathBuf,
}

/// The main database of a snapshot as a private file.
pub fn database_of(
    repository: &Repository,
    (id, record): &(SnapshotId, SnapshotRecord),
) -> Result<PrivateFile, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let category = record.category(Category::Database.name());
    let entry = category
        .map(|category| find(&mut reader, category.manifest, DATABASE_PATH))
        .transpose()?
        .flatten();
    let entry = entry.ok_or_else(|| Error::Refused {
        what: format!("snapshot {} does not contain a Jellyfin database", short(id)),
        hint: "Choose another snapshot (see jellyvault list).".to_owned(),
    })?;
    let (folder, path) =
        database::private_copy(&entry, DATABASE_PATH, id, repository, &mut reader)?;
    Ok(PrivateFile { _folder: folder, path })
}
