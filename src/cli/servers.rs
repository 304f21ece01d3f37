//! `--server`, and what a name means where a repository holds snapshots of several servers.

use std::collections::HashSet;

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord, instance_of};
use crate::ops::{self, KnownServer};
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;
use super::render;

/// An id with so many digits means a snapshot whoever it is of.
const ID_DIGITS: usize = 12;

/// The catalogue of one server, where the command says which or there is only one; otherwise all of
/// it.
pub fn of_one(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    names: &[&str],
) -> Result<(), Failure> {
    let mut known = ops::servers(repository, catalog)?;
    known.retain(|server| server.is_server);
    if known.len() < 2
        || context.server.borrow().is_some()
        || names.iter().all(|name| is_unmistakable(catalog, name))
    {
        return Ok(());
    }
    Err(several(context, &known))
}

/// Refuses to choose among the servers of some snapshots, unless the user named one.
pub fn refuse_several(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    counts: impl Fn(&SnapshotRecord) -> bool,
) -> Result<(), Failure> {
    if context.server.borrow().is_some() {
        return Ok(());
    }
    let mut known = ops::servers(repository, catalog)?;
    let counted: HashSet<&str> = catalog
        .snapshots
        .iter()
        .filter(|(_, record)| counts(record))
        .map(|(_, record)| instance_of(record))
        .collect();
    known.retain(|server| server.is_server && counted.contains(server.identity.as_str()));
    if known.len() < 2 { Ok(()) } else { Err(several(context, &known)) }
}

/// Whether a name means one snapshot, whichever server is meant.
fn is_unmistakable(catalog: &Catalog, name: &str) -> bool {
    let digits = name.to_ascii_lowercase();
    let is_id = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let by_id = if is_id {
        catalog.snapshots.iter().filter(|(id, _)| id.to_string().starts_with(&digits)).count()
    } else {
        0
    };
    let labelled = catalog
        .snapshots
        .iter()
        .filter(|(_, record)| record.label.as_deref() == Some(name))
        .count();
    (is_id && name.len() >= ID_DIGITS)
        || (by_id == 1 && labelled == 0)
        || (labelled == 1 && by_id == 0)
}

/// The server that `--server` names.
pub fn named(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    wanted: &str,
) -> Result<String, Failure> {
    let known = ops::named_servers(repository, catalog)?;
    let mut fitting: Vec<&KnownServer> =
        known.iter().filter(|server| server.is_called(wanted)).collect();
    if fitting.is_empty() {
        // A path is taken from the current directory, as other options take it.
        let place = std::fs::canonicalize(wanted)
            .or_else(|_| std::path::absolute(wanted))
            .map(|place| place.to_string_lossy().into_owned());
        fitting = place.map_or_else(
            |_| Vec::new(),
            |place| known.iter().filter(|server| server.is_called(&place)).collect(),
        );
    }
    match fitting.as_slice() {
        [one] => Ok(one.identity.clone()),
        // The only one has no name of its own to be looked up.
        [] if known.is_empty() => Err(Failure::usage(
            "the repository contains no snapshots yet, so there is no server to select",
            "Leave out --server.",
        )),
        [] => Err(Failure::usage(
            &format!("no server in this repository is called {wanted:?}"),
            "The repository contains these servers:",
        )
        .choosing(&list(context, &known))),
        several => Err(Failure::usage(
            &format!("{wanted:?} matches {} servers", several.len()),
            "The repository contains these servers:",
        )
        .choosing(&list(context, &known))),
    }
}

fn several(context: &Context, known: &[KnownServer]) -> Failure {
    Failure::usage(
        &format!("the repository contains snapshots of {} servers, and none was selected", known.len()),
        "Select one with --server NAME, ID or PATH, or give a snapshot's id. The repository contains:",
    )
    .choosing(&list(context, known))
}

/// One line a server.
pub fn list(context: &Context, known: &[KnownServer]) -> String {
    let rows: Vec<Vec<String>> = known
        .iter()
        .map(|server| {
            vec![
                format!("  {}", server.name.clone().unwrap_or_else(|| "–".to_owned())),
                server.id.clone().unwrap_or_else(|| "no id".to_owned()),
                format!("{} ({})", server.directory, server.host),
                format!(
                    "{}, newest {}",
                    render::plural(server.snapshots, "snapshot", "snapshots"),
                    render::time(server.newest_ns, &context.zone)
                ),
            ]
        })
        .collect();
    render::table(&rows, &[]).trim_end().to_owned()
}

/// A name that means a snapshot, but not one of the server that is meant.
pub fn of_another(name: &str, id: &SnapshotId, record: &SnapshotRecord) -> Failure {
    let whose = record.server.id.as_ref().map_or_else(
        || format!("the data on {}", record.source.host),
        |server| format!("the server {server}"),
    );
    Failure::usage(
        &format!(
            "{name:?} is snapshot {} of {whose}, not of the selected server",
            render::short(id)
        ),
        "Run jellyvault list to see the server of each snapshot. Select another server with --server. To restore one server's snapshot over another: --other-server.",
    )
}

/// Whether a snapshot is of the server that is meant.
pub fn is_meant(context: &Context, record: &SnapshotRecord) -> bool {
    context.server.borrow().as_deref().is_none_or(|meant| instance_of(record) == meant)
}
