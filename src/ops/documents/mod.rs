//! What a program reads of a report: the JSON of the command line, and of whatever else calls the
//! engine. Times are RFC 3339 in UTC, sizes bytes, ids whole; `docs/cli.md` and the users of it
//! rely on every name.

mod upkeep;
mod work;

pub use super::moment::time;
pub use upkeep::ForgetDocument;
pub use work::ImportedZip;

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;
use serde_json::Value;

use crate::manifest::{
    ByteCounts, CategoryRecord, Directories, Files, SnapshotId, SnapshotRecord, display,
};

/// A document about a path, which it carries exactly: as text where it is UTF-8, else as people see
/// it and in base64.
pub fn with_path(path: &[u8], mut document: Value) -> Value {
    let text = std::str::from_utf8(path);
    if let Some(map) = document.as_object_mut() {
        map.insert("path".to_owned(), text.map_or_else(|_| display(path), str::to_owned).into());
        if text.is_err() {
            map.insert("path_base64".to_owned(), BASE64_STANDARD.encode(path).into());
        }
    }
    document
}

/// A snapshot as programs see it.
#[derive(Clone, Debug, Serialize)]
pub struct SnapshotDocument<'r> {
    id: Option<String>,
    time: String,
    parent: Option<String>,
    label: Option<&'r str>,
    note: Option<&'r str>,
    host: &'r str,
    server_version: Option<&'r str>,
    server_version_how: Option<&'r str>,
    server_version_exact: Option<bool>,
    server_id: Option<&'r str>,
    schema: Option<&'r str>,
    code_migration: Option<&'r str>,
    source: SourceDocument<'r>,
    categories: BTreeMap<&'r str, CategoryDocument>,
    files: FilesDocument,
    bytes: BytesDocument,
    problem_count: u64,
    complete: bool,
    upgrading: bool,
    upgrading_from: Option<&'r str>,
    upgrading_to: Option<&'r str>,
    safety: bool,
    excluded: &'r [String],
    program: &'r str,
}

#[derive(Clone, Debug, Serialize)]
struct SourceDocument<'r> {
    how: &'r str,
    directories: &'r Directories,
    seen_by_server: &'r Directories,
}

#[derive(Clone, Debug, Serialize)]
struct CategoryDocument {
    manifest: String,
    files: u64,
    bytes: u64,
    entries: u64,
}

impl CategoryDocument {
    fn of(record: &CategoryRecord) -> CategoryDocument {
        CategoryDocument {
            manifest: record.manifest.to_hex(),
            files: record.files,
            bytes: record.bytes,
            entries: record.entries,
        }
    }
}

/// Files of a snapshot against the one before it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct FilesDocument {
    total: u64,
    new: u64,
    changed: u64,
    unchanged: u64,
    gone: u64,
}

impl From<&Files> for FilesDocument {
    fn from(files: &Files) -> FilesDocument {
        FilesDocument {
            total: files.total,
            new: files.new,
            changed: files.changed,
            unchanged: files.unchanged,
            gone: files.gone,
        }
    }
}

/// Bytes of a snapshot.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct BytesDocument {
    source: u64,
    read: u64,
    new_raw: u64,
    new_stored: u64,
}

impl From<&ByteCounts> for BytesDocument {
    fn from(bytes: &ByteCounts) -> BytesDocument {
        BytesDocument {
            source: bytes.source,
            read: bytes.read,
            new_raw: bytes.new_raw,
            new_stored: bytes.new_stored,
        }
    }
}

impl<'r> SnapshotDocument<'r> {
    /// Of a snapshot; without an id of one that was not kept.
    pub fn of(id: Option<&SnapshotId>, record: &'r SnapshotRecord) -> SnapshotDocument<'r> {
        let version = record.server.version.as_ref();
        SnapshotDocument {
            id: id.map(ToString::to_string),
            time: time(record.time_ns),
            parent: record.parent.map(|id| id.to_string()),
            label: record.label.as_deref(),
            note: record.note.as_deref(),
            host: &record.source.host,
            server_version: version.map(|version| version.value.as_str()),
            server_version_how: version.map(|version| version.how.as_str()),
            server_version_exact: version.map(|version| version.exact),
            server_id: record.server.id.as_deref(),
            schema: record.server.schema.as_deref(),
            code_migration: record.server.code_migration.as_deref(),
            source: SourceDocument {
                how: &record.source.how,
                directories: &record.source.directories,
                seen_by_server: &record.source.seen_by_server,
            },
            categories: record
                .categories
                .iter()
                .map(|(name, category)| (name.as_str(), CategoryDocument::of(category)))
                .collect(),
            files: (&record.files).into(),
            bytes: (&record.bytes).into(),
            problem_count: record.problem_count,
            complete: record.is_complete(),
            upgrading: record.is_upgrading(),
            upgrading_from: record.upgrade().and_then(|(from, _)| from),
            upgrading_to: record.upgrade().map(|(_, to)| to),
            safety: record.is_safety(),
            excluded: &record.excluded,
            program: &record.program,
        }
    }
}
