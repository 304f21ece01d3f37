//! The jobs.

use serde::{Deserialize, Serialize};

/// Something that is done by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Takes a snapshot.
    Snapshot,
    /// Brings copies of the repository up to date.
    Copy,
    /// Forgets old snapshots and frees their space.
    Retention,
    /// Checks the repository.
    Check,
    /// Tries whether a restore works.
    Drill,
    /// Tells how the last week went.
    Report,
}

impl Job {
    /// All, in the order in which they are done where several are due.
    pub const ALL: [Job; 6] =
        [Job::Snapshot, Job::Copy, Job::Retention, Job::Check, Job::Drill, Job::Report];

    /// Whether it may remove snapshots, here or in copies.
    pub fn may_remove(self) -> bool {
        matches!(self, Job::Copy | Job::Retention)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Job::Snapshot => "snapshot",
            Job::Copy => "copy",
            Job::Retention => "retention",
            Job::Check => "check",
            Job::Drill => "drill",
            Job::Report => "report",
        }
    }
}
