//! What a capture is asked to do, and what came of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::{Learnt, SnapshotId, SnapshotRecord};
use crate::progress::Problem;
use crate::source::{Category, Layout};

/// What is captured.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its directories.
    pub layout: Layout,
    /// How it was found, for the user.
    pub how: String,
    /// What is known of the server already.
    pub server: Server,
    /// What is known to be wrong before anything is read: directories that are not here, a database
    /// kept elsewhere.
    pub problems: Vec<Problem>,
    /// Whether a database is expected.
    pub expects_database: bool,
}

/// How it is captured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SnapshotOptions {
    /// Categories; empty means all.
    pub only: Vec<Category>,
    /// Globs to leave out.
    pub exclude: Vec<String>,
    /// Take what the server makes anew all the time, such as its splash screen.
    pub include_generated: bool,
    /// A name for the snapshot.
    pub label: Option<String>,
    /// Words for the snapshot.
    pub note: Option<String>,
    /// Mark it: no rule of `forget` drops it.
    pub is_kept: bool,
    /// It is taken before something replaces what is there.
    pub is_safety: bool,
    /// Look, but store nothing.
    pub dry_run: bool,
    /// Do not enter other file systems.
    pub one_file_system: bool,
    /// What is gone since the last complete snapshot was deleted on purpose.
    pub accept_loss: bool,
    /// Where the private copy of a database is made, instead of the repository's own disk.
    pub scratch: Option<PathBuf>,
    /// The machine's name.
    pub host: String,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct SnapshotReport {
    /// The snapshot's id; nothing after a dry run.
    pub id: Option<SnapshotId>,
    /// Its record.
    pub record: SnapshotRecord,
    /// The record's remarks that everybody should see: what is missing, or had no effect. The others
    /// say how it was done.
    pub notices: Vec<String>,
    /// Files of the snapshot before that may be there still: below directories that could not be
    /// listed.
    pub files_unknown: u64,
    /// Files that were opened and read.
    pub reads: u64,
    /// Packs that were written.
    pub packs: u64,
    /// Whether the index file knows everything now.
    pub index_is_current: bool,
}

/// What is known of a server.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its version, where something tells it exactly.
    pub version: Option<Learnt>,
    /// Its id.
    pub id: Option<String>,
}
