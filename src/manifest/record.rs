//! The snapshot record: one point in time, naming one manifest per category, with what later steps
//! must know of the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chunk::ChunkId;
use crate::progress::Problem;

use super::snapshot_id::SnapshotId;

/// Something that was found out, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    /// What.
    pub value: String,
    /// How, for the user.
    pub how: String,
    /// Whether it is exact; otherwise a lower bound or a guess.
    pub exact: bool,
}

/// Absolute directories (UTF-8, lossy) by name: `data`, `config`, `metadata`, ….
pub type Directories = BTreeMap<String, String>;

/// Where a snapshot came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// Hash that names the source: host and directories. Snapshots of one source follow one
    /// another.
    pub key: String,
    /// The machine's name.
    pub host: String,
    /// How the instance was found, for the user.
    pub how: String,
    /// Its directories as this machine sees them.
    pub directories: Directories,
    /// Its directories as the server sees them (a container's view), where the database tells.
    pub seen_by_server: Directories,
}

impl SourceRecord {
    /// Where the server keeps its metadata, as it sees it, if that is a place of its own
    /// (MetadataPath).
    pub fn own_metadata_path(&self) -> Option<&str> {
        let (data, metadata) =
            (self.directories.get("programdata")?, self.directories.get("metadata")?);
        let is_usual = metadata
            .strip_prefix(data.trim_end_matches('/'))
            .is_some_and(|rest| rest.trim_end_matches('/') == "/metadata");
        (!is_usual).then(|| self.seen_by_server.get("metadata").unwrap_or(metadata).as_str())
    }

    /// Where the server keeps its database, as it sees it, if that is not its data directory.
    pub fn own_database_path(&self) -> Option<&str> {
        let here = self.directories.get("database")?;
        Some(self.seen_by_server.get("database").unwrap_or(here).as_str())
    }
}

/// What is known of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its version.
    pub version: Option<Learnt>,
    /// Its id (`data/device.txt`).
    pub id: Option<String>,
    /// Newest EF Core migration: the schema.
    pub schema: Option<String>,
    /// Newest code migration.
    pub code_migration: Option<String>,
    /// Hash of the migration history, to tell two schemas with the same newest migration apart.
    pub history: Option<String>,
}

/// One category of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryRecord {
    /// Root of its manifest.
    pub manifest: ChunkId,
    /// Entries of any kind.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
}

/// Counts of files against the parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Files in the snapshot.
    pub total: u64,
    /// Not in the parent.
    pub new: u64,
    /// Read again because they looked changed.
    pub changed: u64,
    /// Taken from the parent, unread.
    pub unchanged: u64,
    /// In the parent, not here.
    pub gone: u64,
}

/// Counts of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Bytes of all files.
    pub source: u64,
    /// Bytes that were read.
    pub read: u64,
    /// Bytes of chunks that the repository did not have, before compression.
    pub new_raw: u64,
    /// Bytes that the packs of this capture take.
    pub new_stored: u64,
}

/// Names of owners, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owners {
    /// Users.
    pub users: BTreeMap<u32, String>,
    /// Groups.
    pub groups: BTreeMap<u32, String>,
}

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// When the capture began, nanoseconds since 1970.
    pub time_ns: i64,
    /// The snapshot of the same source before it.
    pub parent: Option<SnapshotId>,
    /// A name given by the user.
    pub label: Option<String>,
    /// Words of the user.
    pub note: Option<String>,
    /// Version of jellyvault that took it.
    pub program: String,
    /// Where it came from.
    pub source: SourceRecord,
    /// The server.
    pub server: ServerRecord,
    /// The categories that were captured, by name.
    pub categories: BTreeMap<String, CategoryRecord>,
    /// Files, counted.
    pub files: Files,
    /// Bytes, counted.
    pub bytes: Bytes,
    /// How long the capture took, in milliseconds.
    pub took_ms: u64,
    /// Globs that the user excluded.
    pub excluded: Vec<String>,
    /// Problems, the first 10,000 by name.
    pub problems: Vec<Problem>,
    /// All problems, counted.
    pub problem_count: u64,
    /// What the user should know and is no problem.
    pub remarks: Vec<String>,
    /// Names of owners.
    pub owners: Owners,
}

impl SnapshotRecord {
    /// Whether it tells which server it is of: not so a plain folder, a zip without the server's
    /// id, or one that was recovered without.
    pub fn is_of_a_server(&self) -> bool {
        let directories = &self.source.directories;
        self.server.id.is_some() || (!directories.is_empty() && !directories.contains_key("folder"))
    }

    /// A category's record, if it was captured.
    pub fn category(&self, name: &str) -> Option<&CategoryRecord> {
        self.categories.get(name)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
