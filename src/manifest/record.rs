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

/// The key of a record that `repair` made of trees in packs.
pub const RECOVERED_KEY: &str = "recovered";

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

/// What the problem of a source says of which only the markers were there.
pub const ONLY_MARKERS: &str = "contains only Jellyfin's marker files";

/// Whether a problem with this path means that something is missing that the snapshot is for: a
/// category, the database, a settings file of the server or of a library, or a whole folder of
/// pictures or libraries.
fn is_vital(path: &str) -> bool {
    let is_settings = path.ends_with(".xml")
        && ["config/", "plugins/configurations/"]
            .iter()
            .any(|dir| path.strip_prefix(dir).is_some_and(|name| !name.contains('/')));
    let is_library =
        path.starts_with("root/") && (path.ends_with(".xml") || path.ends_with(".mblink"));
    let is_folder = ["metadata/", "root/"]
        .iter()
        .any(|dir| path.strip_prefix(dir).is_some_and(|name| !name.contains('/')));
    is_settings || is_library || is_folder || VITAL.contains(&path)
}

/// Problems with these paths mean that a snapshot cannot stand for its server: what it is for is
/// missing or worthless.
const VITAL: [&str; 17] = [
    "config",
    "data",
    "data/attachments",
    "data/collections",
    "data/device.txt",
    "data/jellyfin.db",
    "data/library.db",
    "data/playlists",
    "data/subtitles",
    "data/trickplay",
    "metadata",
    "packs",
    "plugins",
    "root",
    CLOCK,
    HALF_MOVED,
    UPGRADE,
];
/// The remark of a snapshot that was taken before something replaced what was there.
const SAFETY: &str = "taken automatically, before a restore replaced this state";
/// The remark of a snapshot that was made from another for a move.
const MOVED: &str = "made automatically from an older snapshot, with the paths of another layout";
/// The remark of a snapshot that was copied from a repository of somebody else's.
const FOREIGN: &str = "copied from a repository that was not created here, so restores leave out set-user-ID bits, capabilities and system attributes";
/// The path of a problem that is about a server whose paths were changed halfway.
pub const HALF_MOVED: &str = "move";
/// The path of a problem that is about the machine's clock.
pub const CLOCK: &str = "clock";
/// The path of a problem that is about a server in the middle of an upgrade.
pub const UPGRADE: &str = "upgrade";
const UPGRADE_BEGIN: &str = "the server was in the middle of its upgrade";

/// How that problem begins. A record has the versions nowhere else: [`SnapshotRecord::upgrade`]
/// reads them from there.
pub fn upgrade_words(from: Option<&str>, to: &str) -> String {
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    format!("{UPGRADE_BEGIN}{from} to {to}: ")
}

impl SnapshotRecord {
    /// Whether nothing that the snapshot is for is missing: such a one takes no complete one's
    /// place.
    pub fn is_complete(&self) -> bool {
        self.problem_count <= self.problems.len() as u64
            && !self.problems.iter().any(|problem| is_vital(&problem.path))
    }

    /// The versions between which its server was in the middle of an upgrade: from which, where
    /// that is known, and to which.
    pub fn upgrade(&self) -> Option<(Option<&str>, &str)> {
        let problem = self.problems.iter().find(|problem| problem.path == UPGRADE)?;
        let versions = problem.what.strip_prefix(UPGRADE_BEGIN)?.split_once(':')?.0;
        match versions.strip_prefix(" from ").and_then(|versions| versions.split_once(" to ")) {
            Some((from, to)) => Some((Some(from), to)),
            None => Some((None, versions.strip_prefix(" to ")?)),
        }
    }

    /// Whether nothing but markers of Jellyfin's was there: that says nothing of what belongs
    /// there.
    pub fn has_only_markers(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.path == "data" && problem.what.contains(ONLY_MARKERS))
    }

    /// Whether its server was in the middle of an upgrade, to its version.
    pub fn is_upgrading(&self) -> bool {
        self.problems.iter().any(|problem| problem.path == UPGRADE)
    }

    /// Whether it was imported from a zip.
    pub fn is_zip(&self) -> bool {
        self.source.key.starts_with("zip-")
    }

    /// Whether nothing but its trees was left, so that `repair` made it anew.
    pub fn is_recovered(&self) -> bool {
        self.source.key == RECOVERED_KEY
    }

    /// Whether it tells which server it is of: not so a plain folder, a zip without the server's
    /// id, or one that was recovered without.
    pub fn is_of_a_server(&self) -> bool {
        let directories = &self.source.directories;
        self.server.id.is_some() || (!directories.is_empty() && !directories.contains_key("folder"))
    }

    /// Whether it was taken before something replaced what was there, or made for a move. Such a
    /// one is not `latest`, and goes after a while.
    pub fn is_safety(&self) -> bool {
        self.remarks.iter().any(|remark| remark == SAFETY || remark == MOVED)
    }

    /// Whether it was made from another snapshot for a move.
    pub fn is_moved(&self) -> bool {
        self.remarks.iter().any(|remark| remark == MOVED)
    }

    /// The snapshot that it was made from for a move.
    pub fn moved_from(&self) -> Option<SnapshotId> {
        self.parent.filter(|_| self.is_moved())
    }

    /// Says so.
    pub fn mark_moved(&mut self) {
        self.remarks.push(MOVED.to_owned());
    }

    /// Says so.
    pub fn mark_safety(&mut self) {
        self.remarks.push(SAFETY.to_owned());
    }

    /// Whether it came from a repository of somebody else's.
    pub fn is_foreign(&self) -> bool {
        self.remarks.iter().any(|remark| remark == FOREIGN)
    }

    /// Says so.
    pub fn mark_foreign(&mut self) {
        if !self.is_foreign() {
            self.remarks.push(FOREIGN.to_owned());
        }
    }

    /// Whether it was taken while the machine's clock was wrong.
    pub fn has_wrong_clock(&self) -> bool {
        self.problems.iter().any(|problem| problem.path == CLOCK)
    }

    /// A category's record, if it was captured.
    pub fn category(&self, name: &str) -> Option<&CategoryRecord> {
        self.categories.get(name)
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
pub(super) mod tests;
