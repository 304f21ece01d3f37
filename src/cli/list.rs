//! `list`.

use serde::Serialize;
use serde_json::{Value, json};

use crate::manifest::{Chain, SnapshotRecord, display, instance_of};
use crate::ops::documents::SnapshotDocument;
use crate::ops::{KnownServer, last_of_version};

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::{Exit, json as to_json, render};

/// A snapshot of the list.
#[derive(Serialize)]
struct Listed<'r> {
    #[serde(flatten)]
    snapshot: SnapshotDocument<'r>,
    keep: bool,
}

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let mut catalog = context.catalog(&repository)?;
    catalog.snapshots.retain(|(_, record)| super::servers::is_meant(context, record));
    let kept = Chain::kept(&repository).map_err(crate::ops::Error::from)?;
    let exit = if catalog.damaged.is_empty() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        let snapshots: Vec<_> = catalog
            .snapshots
            .iter()
            .map(|(id, record)| Listed {
                snapshot: SnapshotDocument::of(Some(id), record),
                keep: kept.contains(id),
            })
            .collect();
        let damaged: Vec<Value> = catalog
            .damaged
            .iter()
            .map(|(name, error)| json!({"path": name, "what": error.to_string()}))
            .collect();
        to_json::print(&json!({"snapshots": snapshots, "problems": damaged}));
        return Ok(exit);
    }
    if catalog.snapshots.is_empty() {
        output::print("No snapshots yet. Take one: jellyvault snapshot\n")?;
        return Ok(exit);
    }
    let known = crate::ops::servers(&repository, &catalog)?;
    let mut rows = vec![
        ["ID", "TIME", "VERSION", "FILES", "SIZE", "ADDED", "PROBLEMS", "LABEL"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (at, (id, record)) in catalog.snapshots.iter().enumerate() {
        rows.push(vec![
            render::short(id),
            render::time(record.time_ns, &context.zone),
            version(record),
            render::count(record.files.total),
            render::size(record.bytes.source),
            // Of one that was recovered from packs nobody knows what it added.
            if record.is_recovered() {
                "–".to_owned()
            } else {
                render::size(record.bytes.new_stored)
            },
            if record.problem_count == 0 {
                "–".to_owned()
            } else {
                render::count(record.problem_count)
            },
            // Most have none: an empty cell.
            [
                record.label.as_ref().map(|label| display(label.as_bytes())),
                kept.contains(id).then(|| {
                    last_of_version(&catalog.snapshots, at).map_or_else(
                        || "(kept)".to_owned(),
                        |version| format!("(kept: last of {version})"),
                    )
                }),
                set_aside(record).map(str::to_owned),
            ]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        ]);
    }
    if known.len() > 1 {
        rows.first_mut().into_iter().for_each(|head| head.push("SERVER".to_owned()));
        for (row, (_, record)) in rows.iter_mut().skip(1).zip(&catalog.snapshots) {
            let server = known.iter().find(|server| server.identity == instance_of(record));
            row.push(server.map(|server| shown(server, &known)).unwrap_or_default());
        }
    }
    output::print(&render::table(&rows, &[3, 4, 5, 6]))?;
    Ok(exit)
}

/// A server as it is called; with the beginning of its id, or its directory, where another is
/// called so, too.
fn shown(server: &KnownServer, known: &[KnownServer]) -> String {
    let Some(name) = &server.name else { return server.directory.clone() };
    let is_shared = known.iter().filter(|other| other.name.as_ref() == Some(name)).count() > 1;
    let more = server
        .id
        .as_ref()
        .map_or_else(|| server.directory.clone(), |id| id.chars().take(8).collect());
    if is_shared { format!("{name} ({more})") } else { name.clone() }
}

/// The server's version: `10.11.6`, `10.11.6+` where a later one is possible, `10.11.6 to 12.0.0`
/// in the middle of an upgrade.
fn version(record: &SnapshotRecord) -> String {
    let Some(version) = &record.server.version else { return "–".to_owned() };
    if record.is_upgrading() {
        let from = record
            .upgrade()
            .and_then(|(from, _)| from)
            .map(|from| format!("{from} "))
            .unwrap_or_default();
        return format!("{from}to {}", version.value);
    }
    format!("{}{}", version.value, if version.exact { "" } else { "+" })
}

/// What a snapshot that is not `latest` was made for.
fn set_aside(record: &SnapshotRecord) -> Option<&'static str> {
    if record.is_moved() {
        return Some("(for an interrupted move)");
    }
    let is_before_move = record.note.as_ref().is_some_and(|note| note.starts_with("before a move"));
    record.is_safety().then_some(if is_before_move {
        "(before a move)"
    } else {
        "(before a restore)"
    })
}
