//! What a repair did, and what is lost for good.

use serde::Serialize;

use crate::manifest::SnapshotId;

use super::super::check::CheckReport;

/// Something that was mended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mended {
    /// A file of the repository, or a path of snapshots.
    pub path: String,
    /// What was done.
    pub what: String,
}

/// A path of a snapshot that is lost for good, or a whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostPath {
    /// The snapshot, as it was.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot that stands for it now, without what is lost.
    pub now: Option<SnapshotId>,
    /// The path.
    pub path: String,
    /// Why it is lost.
    pub what: String,
    /// Entries that it stands for.
    pub entries: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RepairReport {
    /// Nothing was changed: what is told would be done.
    pub dry_run: bool,
    /// What was wrong before.
    pub found: CheckReport,
    /// What was mended.
    pub mended: Vec<Mended>,
    /// What is lost for good.
    pub lost: Vec<LostPath>,
    /// Entries that are lost, counted.
    pub lost_count: u64,
}

/// Lost paths that are named; beyond them they are counted.
const LOST_NAMED_MAX: usize = 100_000;

impl RepairReport {
    pub(super) fn mended(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.mended.push(Mended { path: path.into(), what: what.into() });
    }

    pub(super) fn lost(&mut self, lost: LostPath) {
        self.lost_count += lost.entries.max(1);
        if self.lost.len() < LOST_NAMED_MAX {
            self.lost.push(lost);
        }
    }
}
