//! A comparison for programs: one document, written as it is found.

use std::io::Write;

use serde_json::{Map, Value, json};

use crate::manifest::{Entry, Kind, display};
use crate::ops::{self, Change, Totals};

use super::super::failure::Failure;
use super::super::json as to_json;
use super::super::ls::{known, nanoseconds};
use super::{Comparison, patch, rows, tree};

/// Prints it; whether anything changed.
pub fn print(comparison: &Comparison<'_>) -> Result<bool, Failure> {
    let Comparison { args, diff, before, after, .. } = comparison;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
    write(&format!("{{\"before\":{},\"after\":{},\"changes\":[", before.json(), after.json()))?;
    let mut first = true;
    let mut separator = || if std::mem::take(&mut first) { "" } else { "," };
    if !args.stat {
        let mut naming = comparison.naming();
        let (mut old, mut new) = (before.contents(comparison.repository, comparison.index), after.contents(comparison.repository, comparison.index));
        // Changes go out as they come: there may be a million.
        diff.for_each(|change| {
            let mut document = change_json(change, naming.name(change.path()));
            if let (true, Value::Object(map)) = (args.patch, &mut document) {
                if let Some((own, other)) = patch::dimensions(change, &mut old, &mut new)? {
                    let size = |size: Option<(usize, usize)>| size.map(|(width, height)| json!({"width": width, "height": height}));
                    map.insert("image".to_owned(), json!({"before": size(own), "after": size(other)}));
                } else if let Some(text) = patch::unified(change, &mut old, &mut new)? {
                    map.insert("patch".to_owned(), json!(text));
                }
            }
            write(&format!("{}{document}", separator()))
        })?;
    }
    write("],\"rows\":[")?;
    let mut first = true;
    let report = comparison.rows(!args.stat, |row| {
        let text = format!("{}{}", if first { "" } else { "," }, rows::row_json(row));
        first = false;
        write(&text)
    })?;
    let categories: Map<String, Value> = diff.totals.iter().map(|(category, totals)| (category.name().to_owned(), totals_json(totals))).collect();
    let summary = json!({"categories": categories, "total": totals_json(&diff.total()), "rows": report.as_ref().map(rows::report_json)});
    write(&format!("],\"summary\":{summary},\"remarks\":{}}}\n", json!(diff.remarks)))?;
    out.flush().map_err(ops::Error::Output)?;
    Ok(!diff.is_empty() || report.is_some_and(|report| !report.tables.is_empty()))
}

fn totals_json(t: &Totals) -> Value {
    json!({
        "added": t.added, "removed": t.removed, "modified": t.modified, "moved": t.moved, "metadata": t.metadata, "directories": t.directories,
        "bytes": {"before": t.size_before, "after": t.size_after}, "changed_bytes": {"before": t.changed_before, "after": t.changed_after},
        "stored_bytes": {"before": t.stored_before, "after": t.stored_after},
    })
}

fn change_json(change: &Change, name: Option<String>) -> Value {
    json!({
        "path": display(change.path()), "change": change.kind.word(), "category": change.category.name(), "name": name,
        "before": change.before.as_ref().map(entry_json), "after": change.after.as_ref().map(entry_json),
    })
}

fn entry_json(entry: &Entry) -> Value {
    let target = if let Kind::Symlink { target } = &entry.kind { Some(display(target)) } else { None };
    json!({
        "path": display(&entry.path), "kind": tree::kind_word(&entry.kind), "size": entry.size(), "mtime": to_json::time(nanoseconds(entry.mtime)),
        "mode": format!("{:04o}", entry.mode), "uid": known(entry.uid), "gid": known(entry.gid), "target": target,
    })
}
