//! What cannot be brought back: told for each snapshot that has it, and kept for each node of a
//! manifest.

use serde::Serialize;

use crate::chunk::ChunkId;
use crate::manifest::SnapshotId;

use super::CheckReport;

/// Damaged files that are named; beyond them they are counted.
const NAMED_MAX: usize = 10_000;

/// A file of a snapshot, or many, that cannot be brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The logical path as it is; empty where it stands for more than one entry.
    #[serde(skip)]
    pub logical: Vec<u8>,
    /// The logical path to show; of an unreadable part of a manifest the first path in it, with `…`
    /// and the path behind it.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// Entries that it stands for.
    pub entries: u64,
}

/// Something that is wrong: the path, whether it is that entry alone, what, and how many entries it
/// stands for.
pub(super) type Fault = (Vec<u8>, bool, String, u64);

/// What is wrong below a node that is not clean.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    /// Entries of this leaf, or children of this node that cannot be read.
    pub own: Vec<Fault>,
    /// Children that are not clean.
    pub below: Vec<ChunkId>,
}

/// Puts damage into a report.
pub(super) fn push(report: &mut CheckReport, damage: Damage) {
    report.damage_count += damage.entries.max(1);
    report.damaged_snapshots.insert(damage.snapshot);
    if report.damage.len() < NAMED_MAX {
        report.damage.push(damage);
    }
}
