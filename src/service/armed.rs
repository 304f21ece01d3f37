//! A restore that waits for the next start of Jellyfin: before that start nobody holds the
//! database. It is done once, whatever comes of it.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::job_log::{read_json, write_json};

/// Nobody expects a restore any more that was ordered so long ago.
const GOOD_FOR: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Armed {
    /// What waits.
    pub order: Option<ArmedOrder>,
    /// What came of the last one.
    pub last: Option<ArmedOutcome>,
}

/// A restore that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedOrder {
    /// The arguments of the command.
    pub arguments: Vec<String>,
    /// The directory that it was given in.
    pub directory: PathBuf,
    /// When it was given.
    pub since: Timestamp,
}

/// What came of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedOutcome {
    /// The arguments of the command.
    pub arguments: Vec<String>,
    /// The exit code of the command.
    pub code: i32,
    /// What it said.
    pub words: String,
    /// When it ended.
    pub ended: Timestamp,
}

impl ArmedOrder {
    /// Whether it is too old to be done.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.since.duration_until(now) > GOOD_FOR
    }
}

impl Armed {
    /// Reads the file.
    pub fn read(path: &Path) -> Armed {
        read_json(path)
    }

    /// Writes it, all of it or none.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        write_json(path, self)
    }
}
