//! What came of an export, in a report.

use std::path::PathBuf;

use crate::archive::Repairs;
use crate::manifest::{Directories, SnapshotId, SnapshotRecord};

use super::contents::{Contents, Poured};
use super::{ExportOptions, ExportReport, Place, facts, pictures};

/// The report but for what the writing counts.
pub(super) fn report_of(
    snapshot: &(SnapshotId, SnapshotRecord),
    place: Option<&Place>,
    contents: &Contents<'_>,
    poured: &Poured,
    options: &ExportOptions,
) -> ExportReport {
    let (record, known, database) = (&snapshot.1, &contents.facts, contents.database.as_ref());
    let mut remarks = facts::remarks(record, database, place);
    remarks.extend(poured.folded.remark());
    if known.parts.metadata {
        remarks.extend(pictures::remarks(snapshot, place));
    }
    let mut seen = record.source.seen_by_server.clone();
    seen.remove("database");
    // The settings may name one; the others are told by the database alone.
    let is_told = seen.iter().any(|(name, _)| name != "metadata")
        || seen.get("metadata") != record.source.directories.get("metadata");
    ExportReport {
        path: PathBuf::new(),
        bytes: 0,
        entries: 0,
        kind: options.kind,
        server_version: known.server_version.clone(),
        versions: known.versions.clone(),
        directories: if is_told { seen } else { instance_directories(&record.source.directories) },
        parts: known.parts,
        repairs: Repairs::default(),
        problems: Vec::new(),
        missing: facts::missing(
            record,
            options,
            (database, contents.kept.is_some()),
            poured.has_home_sections,
            &poured.unplaced,
        ),
        remarks,
    }
}

/// The directories of an instance, without those that no path inside the database leads to.
fn instance_directories(directories: &Directories) -> Directories {
    directories
        .iter()
        .filter(|(name, _)| ["config", "data", "metadata", "programdata"].contains(&name.as_str()))
        .map(|(n, p)| (n.clone(), p.clone()))
        .collect()
}
