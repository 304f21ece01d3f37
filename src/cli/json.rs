//! The same facts for programs: one document on standard output, times in RFC 3339 UTC, sizes in bytes, ids in full.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Map, Value, json};

use crate::manifest::{SnapshotId, SnapshotRecord, display};
use crate::progress::Problem;

use super::render;

/// Whether an answer could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a document. A reader who went away takes nothing from the outcome, which the exit code tells.
pub fn print(document: &Value) {
    match writeln!(std::io::stdout().lock(), "{document}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => IS_LOST.store(true, Ordering::Relaxed),
        _ => {}
    }
}

/// Whether an answer could not be written: a full disk behind a redirection.
pub fn is_lost() -> bool {
    IS_LOST.load(Ordering::Relaxed)
}

/// A moment.
pub fn time(time_ns: i64) -> String {
    render::moment(time_ns).to_string()
}

/// A document about a path, which it carries exactly: as text where it is UTF-8, else as people see it and in base64.
pub fn with_path(path: &[u8], mut document: Value) -> Value {
    let text = std::str::from_utf8(path);
    if let Some(map) = document.as_object_mut() {
        map.insert("path".to_owned(), json!(text.map_or_else(|_| display(path), str::to_owned)));
        if text.is_err() {
            map.insert("path_base64".to_owned(), json!(BASE64_STANDARD.encode(path)));
        }
    }
    document
}

/// Problems.
pub fn problems(problems: &[Problem]) -> Value {
    problems.iter().map(|p| json!({"path": p.path, "what": p.what})).collect()
}

/// A snapshot.
pub fn snapshot(id: Option<&SnapshotId>, record: &SnapshotRecord) -> Value {
    let categories: Map<String, Value> = record
        .categories
        .iter()
        .map(|(name, c)| (name.clone(), json!({"manifest": c.manifest.to_hex(), "files": c.files, "bytes": c.bytes, "entries": c.entries})))
        .collect();
    let version = record.server.version.as_ref();
    json!({
        "id": id.map(ToString::to_string),
        "time": time(record.time_ns),
        "parent": record.parent.map(|id| id.to_string()),
        "label": record.label,
        "note": record.note,
        "host": record.source.host,
        "server_version": version.map(|v| v.value.clone()),
        "server_version_how": version.map(|v| v.how.clone()),
        "server_version_exact": version.map(|v| v.exact),
        "server_id": record.server.id,
        "schema": record.server.schema,
        "code_migration": record.server.code_migration,
        "source": {"how": record.source.how, "directories": record.source.directories, "seen_by_server": record.source.seen_by_server},
        "categories": categories,
        "files": {"total": record.files.total, "new": record.files.new, "changed": record.files.changed, "unchanged": record.files.unchanged, "gone": record.files.gone},
        "bytes": {"source": record.bytes.source, "read": record.bytes.read, "new_raw": record.bytes.new_raw, "new_stored": record.bytes.new_stored},
        "problem_count": record.problem_count,
        "complete": record.is_complete(), "upgrading": record.is_upgrading(),
        "safety": record.is_safety(),
        "excluded": record.excluded,
        "program": record.program,
    })
}
