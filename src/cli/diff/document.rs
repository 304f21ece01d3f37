//! A comparison for programs: one document, written as it is found.

use std::io::{Seek, Write};

use serde_json::{Map, Value, json};

use crate::manifest::{Entry, Kind, display};
use crate::ops::documents::{self, with_path};
use crate::ops::{self, Change, Totals};

use super::super::failure::Failure;
use super::super::ls::{known, nanoseconds};
use super::naming::Naming;
use super::{Comparison, patch, rows, tree};

/// Prints it; whether anything changed.
pub fn print(comparison: &Comparison<'_>) -> Result<bool, Failure> {
    let Comparison { args, diff, before, after, .. } = comparison;
    // Kept aside until it is whole: an error on the way is a document of its own, not the end of
    // half a one.
    let spool = tempfile::tempfile().map_err(ops::Error::Output)?;
    let mut out = std::io::BufWriter::new(spool);
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
    write(&format!("{{\"before\":{},\"after\":{},\"changes\":[", before.json(), after.json()))?;
    let mut first = true;
    let mut separator = || if std::mem::take(&mut first) { "" } else { "," };
    if !args.stat {
        let mut naming = Naming::of(comparison);
        let (mut old, mut new) = (
            before.contents(comparison.repository, comparison.index),
            after.contents(comparison.repository, comparison.index),
        );
        // Changes go out as they come: there may be a million.
        diff.for_each(|change| {
            let mut document = change_json(change, naming.name(change.path()));
            if let (true, Value::Object(map)) = (args.patch, &mut document) {
                if let Some((own, other)) = patch::dimensions(change, &mut old, &mut new)? {
                    let size = |size: Option<(usize, usize)>| {
                        size.map(|(width, height)| json!({"width": width, "height": height}))
                    };
                    map.insert(
                        "image".to_owned(),
                        json!({"before": size(own), "after": size(other)}),
                    );
                } else if let Some(text) =
                    patch::unified(change, &mut old, &mut new, args.show_secrets)?
                {
                    map.insert("patch".to_owned(), json!(text));
                }
            }
            write(&format!("{}{document}", separator()))
        })?;
    }
    write("],\"rows\":[")?;
    let mut first = true;
    let report = comparison.rows(!args.stat, |row| {
        let text =
            format!("{}{}", if first { "" } else { "," }, rows::row_json(row, comparison.shows()));
        first = false;
        write(&text)
    })?;
    let settings = match &report {
        Some(report) => Some(comparison.settings(report.upgraded)?),
        None => None,
    };
    let settings: Option<Vec<Value>> = settings.map(|all| {
        let one = |(path, s): (String, ops::Setting)| json!({"file": path, "name": s.name, "before": s.before, "after": s.after, "by_upgrade": s.by_upgrade});
        all.into_iter().map(one).collect()
    });
    let categories: Map<String, Value> = diff
        .totals
        .iter()
        .map(|(category, totals)| (category.name().to_owned(), totals_json(totals)))
        .collect();
    let mut summary = json!({"categories": categories, "total": totals_json(&diff.total()), "rows": report.as_ref().map(rows::report_json), "settings": settings});
    let library = comparison.library_rows()?;
    if let (Some(map), Some(library)) = (summary.as_object_mut(), &library) {
        map.insert("library_rows".to_owned(), rows::report_json(library));
    }
    write(&format!(
        "],\"summary\":{summary},\"unknown\":{},\"remarks\":{}}}\n",
        diff.unknown,
        json!(diff.remarks)
    ))?;
    let mut spool = out.into_inner().map_err(|error| ops::Error::Output(error.into_error()))?;
    spool.rewind().map_err(ops::Error::Output)?;
    std::io::copy(&mut spool, &mut std::io::stdout().lock()).map_err(ops::Error::Output)?;
    let differs =
        |report: Option<ops::RowsReport>| report.is_some_and(|report| !report.tables.is_empty());
    Ok(diff.has_changes() || differs(report) || differs(library))
}

fn totals_json(t: &Totals) -> Value {
    json!({
        "added": t.added, "removed": t.removed, "modified": t.modified, "moved": t.moved, "metadata": t.metadata, "directories": t.directories, "directory_times": t.directory_times,
        "bytes": {"before": t.size_before, "after": t.size_after}, "changed_bytes": {"before": t.changed_before, "after": t.changed_after},
        "stored_bytes": {"before": t.stored_before, "after": t.stored_after},
    })
}

fn change_json(change: &Change, name: Option<String>) -> Value {
    let document = json!({
        "change": change.kind.word(), "category": change.category.name(), "name": name,
        "before": change.before.as_ref().map(entry_json), "after": change.after.as_ref().map(entry_json),
    });
    with_path(change.path(), document)
}

fn entry_json(entry: &Entry) -> Value {
    let target =
        if let Kind::Symlink { target } = &entry.kind { Some(display(target)) } else { None };
    let document = json!({
        "kind": tree::kind_word(&entry.kind), "size": entry.size(), "mtime": documents::time(nanoseconds(entry.mtime)),
        "mode": format!("{:04o}", entry.mode), "uid": known(entry.uid), "gid": known(entry.gid), "target": target,
    });
    with_path(&entry.path, document)
}
