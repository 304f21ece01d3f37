//! A command that was started from the page, and its result.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::board::Far;

/// A command that was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: u64,
    /// What it is for: `Restore 3 paths from 01jd…`.
    pub title: String,
    /// The whole command as it is typed in a terminal.
    pub shown: String,
    /// When it began.
    pub began: Timestamp,
    /// Its result; none while it runs.
    pub outcome: Option<Outcome>,
    /// How far it is.
    #[serde(skip)]
    pub far: Far,
    /// Its process, while it runs.
    #[serde(skip)]
    pub(super) pid: Option<i32>,
    /// Whether the user cancelled it.
    pub is_cancelled: bool,
}

/// The result of a command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its exit code: 0 done, 3 done with problems, 130 cancelled.
    pub code: i32,
    /// Its output.
    pub words: String,
    /// When it ended.
    pub ended: Timestamp,
}
