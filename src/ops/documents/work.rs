//! Of snapshots that are taken, brought back, written to zips and read from them.

use std::path::Path;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::archive::{Options as Parts, Repair};
use crate::manifest::Directories;
use crate::progress::Problem;

use super::super::export::ExportReport;
use super::super::import::ImportReport;
use super::super::restore::{Moved, RestoreReport};
use super::super::snapshot::SnapshotReport;
use super::super::watch_state::{ItemChange, WatchStateReport};
use super::{BytesDocument, FilesDocument, SnapshotDocument};

#[derive(Serialize)]
struct TakenDocument<'r> {
    snapshot: SnapshotDocument<'r>,
    files: FilesDocument,
    bytes: BytesDocument,
    seconds: f64,
    problems: &'r [Problem],
    problem_count: u64,
    remarks: &'r [String],
    files_unknown: u64,
    files_read: u64,
    packs_written: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

impl Serialize for SnapshotReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let record = &self.record;
        let document = TakenDocument {
            snapshot: SnapshotDocument::of(self.id.as_ref(), record),
            files: (&record.files).into(),
            bytes: (&record.bytes).into(),
            seconds: record.took_ms as f64 / 1000.0,
            problems: &record.problems,
            problem_count: record.problem_count,
            remarks: &record.remarks,
            files_unknown: self.files_unknown,
            files_read: self.reads,
            packs_written: self.packs,
            dry_run: self.id.is_none(),
        };
        document.serialize(out)
    }
}

#[derive(Serialize)]
struct RestoredDocument<'r> {
    restored: RestoredCounts,
    safety_snapshot: Option<String>,
    deleted_paths: &'r [String],
    unknown_paths: &'r [String],
    moved_aside: &'r [Moved],
    problems: &'r [Problem],
    remarks: &'r [String],
    dry_run: bool,
}

#[derive(Serialize)]
struct RestoredCounts {
    files: u64,
    bytes: u64,
    unchanged: u64,
    metadata: u64,
    deleted: u64,
    unknown: u64,
}

impl Serialize for RestoreReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let document = RestoredDocument {
            restored: RestoredCounts {
                files: self.files,
                bytes: self.bytes,
                unchanged: self.unchanged,
                metadata: self.metadata,
                deleted: self.deleted,
                unknown: self.unknown,
            },
            safety_snapshot: self.safety.map(|id| id.to_string()),
            deleted_paths: &self.deleted_paths,
            unknown_paths: &self.unknown_paths,
            moved_aside: &self.moved_aside,
            problems: &self.problems,
            remarks: &self.remarks,
            dry_run: self.dry_run,
        };
        document.serialize(out)
    }
}

impl Serialize for Moved {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let (from, to) = self.paths();
        let mut map = out.serialize_map(Some(2))?;
        map.serialize_entry("from", &from.to_string_lossy())?;
        map.serialize_entry("to", &to.to_string_lossy())?;
        map.end()
    }
}

/// Items whose watch state could not be kept in any way.
const NOT_KEPT: &str = "the item is not in the library, and its watch state could not be stored for later (no placeholder row, or a row with the same key \
    exists). It is still in the snapshot";

impl WatchStateReport {
    /// The items that were lost, as problems.
    pub fn problems(&self) -> Vec<Problem> {
        self.lost
            .iter()
            .map(|item| Problem { path: item.clone(), what: NOT_KEPT.to_owned() })
            .collect()
    }
}

#[derive(Serialize)]
struct WatchStateDocument<'r> {
    watch_state: WatchStateCounts<'r>,
    safety_snapshot: Option<String>,
    dry_run: bool,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct WatchStateCounts<'r> {
    user: &'r str,
    changed: Vec<ItemDocument<'r>>,
    unchanged: u64,
    put_aside: &'r [String],
    found_again: u64,
    lost: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    must_stop: Option<&'r str>,
}

#[derive(Serialize)]
struct ItemDocument<'r> {
    item: &'r str,
    before: Option<&'r str>,
    after: Option<&'r str>,
}

impl<'r> From<&'r ItemChange> for ItemDocument<'r> {
    fn from(change: &'r ItemChange) -> ItemDocument<'r> {
        ItemDocument {
            item: &change.name,
            before: change.before.as_deref(),
            after: change.after.as_deref(),
        }
    }
}

impl Serialize for WatchStateReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let document = WatchStateDocument {
            watch_state: WatchStateCounts {
                user: &self.user,
                changed: self.changed.iter().map(Into::into).collect(),
                unchanged: self.unchanged,
                put_aside: &self.put_aside,
                found_again: self.found_again,
                lost: &self.lost,
                must_stop: self.must_stop.as_deref(),
            },
            safety_snapshot: self.safety.map(|id| id.to_string()),
            dry_run: self.dry_run,
            problems: self.problems(),
        };
        document.serialize(out)
    }
}

#[derive(Serialize)]
struct ExportedDocument<'r> {
    archive: ArchiveDocument<'r>,
    repairs: &'r [Repair],
    repair_count: u64,
    problems: &'r [Problem],
    remarks: &'r [String],
}

#[derive(Serialize)]
struct ArchiveDocument<'r> {
    path: String,
    bytes: u64,
    entries: u64,
    kind: &'static str,
    server_version: &'r str,
    fits: FitsDocument<'r>,
    options: &'r Parts,
    missing: &'r [String],
}

#[derive(Serialize)]
struct FitsDocument<'r> {
    versions: &'r str,
    directories: &'r Directories,
}

impl Serialize for ExportReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let document = ExportedDocument {
            archive: ArchiveDocument {
                path: self.path.to_string_lossy().into_owned(),
                bytes: self.bytes,
                entries: self.entries,
                kind: self.kind.word(),
                server_version: &self.server_version,
                fits: FitsDocument { versions: &self.versions, directories: &self.directories },
                options: &self.parts,
                missing: &self.missing,
            },
            repairs: &self.repairs.named,
            repair_count: self.repairs.count,
            problems: &self.problems,
            remarks: &self.remarks,
        };
        document.serialize(out)
    }
}

/// A zip that was imported, and what came of it.
#[derive(Serialize)]
pub struct ImportedZip<'r> {
    zip: String,
    #[serde(flatten)]
    report: &'r ImportReport,
}

impl<'r> ImportedZip<'r> {
    /// Of the zip at this path.
    pub fn of(zip: &Path, report: &'r ImportReport) -> ImportedZip<'r> {
        ImportedZip { zip: zip.to_string_lossy().into_owned(), report }
    }
}

#[derive(Serialize)]
struct ImportDocument<'r> {
    #[serde(flatten)]
    snapshot: SnapshotDocument<'r>,
    was_there: bool,
    remarks: &'r [String],
    problems: &'r [Problem],
}

impl Serialize for ImportReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let record = &self.record;
        let snapshot = SnapshotDocument::of(Some(&self.id), record);
        ImportDocument {
            snapshot,
            was_there: self.was_there,
            remarks: &record.remarks,
            problems: &record.problems,
        }
        .serialize(out)
    }
}
