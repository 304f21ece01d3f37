//! `show`.

use serde_json::json;

use crate::manifest::{Files, SnapshotId, SnapshotRecord, display};
use crate::ops::documents::SnapshotDocument;
use crate::ops::{self, Shown};
use crate::source::is_generated;

use super::clean::in_a_line;
use super::context::Context;
use super::failure::Failure;
use super::output;
use super::{Exit, json as to_json, render};

pub fn run(context: &Context, name: &str) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let (id, record) = context.resolve_in(&repository, &catalog, name)?;
    let shown = ops::show(&repository, &catalog, *id)?;
    let exit = if shown.damage.is_none() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        let databases: Vec<_> = shown
            .databases
            .iter()
            .map(|d| json!({"path": display(&d.path), "page_bytes": d.page_bytes, "pages": d.pages, "bytes": d.pages * u64::from(d.page_bytes), "new_stored": d.new_stored}))
            .collect();
        to_json::print(&json!({
            "snapshot": SnapshotDocument::of(Some(id), record), "unique_stored": shown.damage.is_none().then_some(shown.unique_stored), "databases": databases,
            "damage": shown.damage.as_ref().map(ToString::to_string),
            "problems": record.problems, "remarks": record.remarks,
            "owners": {"users": record.owners.users, "groups": record.owners.groups},
        }));
        return Ok(exit);
    }
    output::print(
        &(facts(context, id, record) + &contents(record, &shown) + &remarks(record, &shown)),
    )?;
    Ok(exit)
}

/// Where and when it was taken, of which server.
fn facts(context: &Context, id: &SnapshotId, record: &SnapshotRecord) -> String {
    let server = &record.server;
    let version = server.version.as_ref().map(|v| {
        format!(
            "Jellyfin {}{} (known from {})",
            v.value,
            if v.exact { "" } else { " or later" },
            v.how
        )
    });
    let mut rows = vec![
        ("Snapshot", Some(id.to_string())),
        (
            "Taken",
            Some(format!(
                "{}, in {}",
                render::time(record.time_ns, &context.zone),
                render::seconds(record.took_ms)
            )),
        ),
        ("Label", record.label.as_ref().map(|label| display(label.as_bytes()))),
        ("Note", record.note.as_deref().map(in_a_line)),
        ("Host", Some(record.source.host.clone())),
        ("Source", Some(record.source.how.clone())),
        ("Server", version),
        ("Schema", server.schema.clone()),
        ("Parent", record.parent.map(|parent| render::short(&parent))),
    ];
    rows.extend(
        record
            .source
            .directories
            .iter()
            .filter(|(name, _)| ["programdata", "config", "folder"].contains(&name.as_str()))
            .map(|(name, path)| match name.as_str() {
                "config" => ("Configuration", Some(path.clone())),
                "folder" => ("Folder", Some(path.clone())),
                _ => ("Data", Some(path.clone())),
            }),
    );
    let seen: Vec<String> = record
        .source
        .seen_by_server
        .iter()
        .filter(|(name, path)| record.source.directories.get(*name) != Some(path))
        .map(|(name, path)| format!("{name} as {path}"))
        .collect();
    rows.push(("The server sees", (!seen.is_empty()).then(|| seen.join(", "))));
    let rows: Vec<_> =
        rows.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?])).collect();
    render::table(&rows, &[])
}

/// What it holds, and what that costs.
fn contents(record: &SnapshotRecord, shown: &Shown) -> String {
    let mut out = String::new();
    let mut rows = vec![["CATEGORY", "FILES", "SIZE"].map(str::to_owned).to_vec()];
    rows.extend(
        record
            .categories
            .iter()
            .map(|(name, c)| vec![name.clone(), render::count(c.files), render::size(c.bytes)]),
    );
    rows.push(vec![
        "total".to_owned(),
        render::count(record.files.total),
        render::size(record.bytes.source),
    ]);
    out.push('\n');
    out.push_str(&render::table(&rows, &[1, 2]));
    let files = &record.files;
    out.push_str(&format!(
        "\n{}\nIt added {} to the repository; {}.\n",
        against(files, record.parent.is_some()),
        render::size(record.bytes.new_stored),
        match &shown.damage {
            None => format!("deleting it would free at most {}", render::size(shown.unique_stored)),
            Some(damage) => format!("how much deleting it would free is unknown, because part of the repository is damaged ({damage})"),
        }
    ));
    out
}

/// Its databases, and what should be known of it.
fn remarks(record: &SnapshotRecord, shown: &Shown) -> String {
    let mut out = String::new();
    for database in &shown.databases {
        out.push_str(&format!(
            "Database {}: {} of {} each; {} not shared with the previous snapshot.\n",
            display(&database.path),
            render::plural(database.pages, "page", "pages"),
            render::size(u64::from(database.page_bytes)),
            render::size(database.new_stored)
        ));
    }
    if !record.excluded.is_empty() {
        let left: Vec<String> = record
            .excluded
            .iter()
            .map(|glob| {
                if is_generated(glob.as_bytes()) {
                    format!("{glob} (the server generates it again by itself)")
                } else {
                    display(glob.as_bytes())
                }
            })
            .collect();
        out.push_str(&format!("Left out: {}.\n", left.join(", ")));
    }
    for remark in &record.remarks {
        out.push_str(&format!("Note: {remark}.\n"));
    }
    if record.problem_count > 0 {
        out.push_str(&format!(
            "\n{}:\n",
            render::plural(record.problem_count, "problem", "problems")
        ));
        record.problems.iter().for_each(|p| out.push_str(&format!("  {}: {}\n", p.path, p.what)));
    }
    out
}

/// What changed since the snapshot before, where there is one.
fn against(files: &Files, has_parent: bool) -> String {
    if !has_parent {
        return format!(
            "First snapshot of this source: all {} were read.",
            render::plural(files.total, "file", "files")
        );
    }
    let [new, changed, unchanged, gone] =
        [files.new, files.changed, files.unchanged, files.gone].map(render::count);
    format!(
        "Since the previous snapshot: {new} new, {changed} changed, {unchanged} unchanged, {gone} gone."
    )
}
