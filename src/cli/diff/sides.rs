//! The two sides of a comparison: snapshots, or the live source.

use serde_json::{Value, json};

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord, display, instance_of};
use crate::ops::documents::{self, SnapshotDocument};
use crate::ops::{self, Contents, Look, SnapshotOptions, SourceSpec, State, Tree, Which};
use crate::progress::Interrupt;
use crate::source::{Category, LiveFile, is_generated};
use crate::store::{Index, Repository};

use super::super::args::{DiffArgs, LiveArgs, SourceArgs};
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::{render, source};

/// One side.
pub enum Side<'c> {
    Snapshot(&'c (SnapshotId, SnapshotRecord)),
    Live(Box<(SourceSpec, Look)>),
}

/// The sides that the arguments mean.
pub fn sides<'c>(
    context: &Context,
    repository: &Repository,
    catalog: &'c Catalog,
    args: &DiffArgs,
) -> Result<(Side<'c>, Side<'c>), Failure> {
    if let Some(dir) = &args.source.data_dir {
        let named = SourceArgs {
            data_dir: Some(dir.clone()),
            config_dir: args.source.config_dir.clone(),
            ..SourceArgs::default()
        };
        context.mean_server(repository, source::find(context, &named)?.1.server.id.as_deref())?;
    }
    let before = match &args.before {
        Some(name) => context.resolve_in(repository, catalog, name)?,
        None => newest_whole(context, repository, catalog)?,
    };
    let after = match &args.after {
        Some(name) => Side::Snapshot(context.resolve_in(repository, catalog, name)?),
        None => {
            let spec = live(context, repository, &before.1, &args.source, args.plain.as_deref())?;
            let options = SnapshotOptions {
                only: before.1.categories.keys().filter_map(|name| name.parse().ok()).collect(),
                exclude: before.1.excluded.clone(),
                host: context.host(),
                ..SnapshotOptions::default()
            };
            let look = ops::look(repository, &spec, &options, &context.monitor)?;
            Side::Live(Box::new((spec, look)))
        }
    };
    Ok((Side::Snapshot(before), after))
}

/// The latest snapshot; where that one is of a part only, the newest of the same source that has
/// more.
fn newest_whole<'c>(
    context: &Context,
    repository: &Repository,
    catalog: &'c Catalog,
) -> Result<&'c (SnapshotId, SnapshotRecord), Failure> {
    let latest = context.resolve_in(repository, catalog, "latest")?;
    // What a restore put aside is an older state, whatever came last.
    let is_meant = |record: &SnapshotRecord| {
        instance_of(record) == instance_of(&latest.1) && !record.is_safety()
    };
    let fuller = catalog.snapshots.iter().rev().filter(|(_, record)| is_meant(record));
    let fullest = fuller.clone().map(|(_, record)| record.categories.len()).max().unwrap_or(0);
    match fuller.into_iter().find(|(_, record)| record.categories.len() == fullest) {
        Some(whole) if whole.0 != latest.0 => {
            context.say(&format!(
                "Note: the latest snapshot {} does not contain all categories, so {} is used: the newest that does.",
                render::short(&latest.0),
                render::short(&whole.0)
            ));
            Ok(whole)
        }
        _ => Ok(latest),
    }
}

/// The source that a snapshot is of, as it lies on this machine; or the one that the user names.
fn live(
    context: &Context,
    repository: &Repository,
    record: &SnapshotRecord,
    named: &LiveArgs,
    plain: Option<&std::path::Path>,
) -> Result<SourceSpec, Failure> {
    if let Some(folder) = plain {
        return Ok(SourceSpec::plain(folder)?);
    }
    // What the snapshot holds of linked folders is compared with what they hold now.
    let followed = record.source.directories.keys().any(|name| name.contains('/'));
    let directory = |name: &str| {
        record.source.directories.get(name).map(std::path::PathBuf::from).filter(|dir| dir.is_dir())
    };
    if named.data_dir.is_none() && record.source.host == context.host() {
        if let Some(folder) = directory("folder") {
            return Ok(SourceSpec::plain(&folder)?);
        }
        if let Some(data) = directory("programdata") {
            let own = SourceArgs {
                data_dir: Some(data),
                config_dir: directory("config"),
                metadata_dir: directory("metadata"),
                database: record
                    .source
                    .directories
                    .get("database")
                    .map(std::path::PathBuf::from)
                    .filter(|file| file.is_file()),
                follow_roots: named.follow_roots || followed,
                ..SourceArgs::default()
            };
            return of_same_server(record, source::find(context, &own)?.1);
        }
    }
    let named = SourceArgs {
        data_dir: named.data_dir.clone(),
        config_dir: named.config_dir.clone(),
        metadata_dir: named.metadata_dir.clone(),
        follow_roots: named.follow_roots || followed,
        ..SourceArgs::default()
    };
    Ok(source::find_known(context, &named, repository)?.1)
}

/// Two servers are not compared unless the user names the directory.
fn of_same_server(record: &SnapshotRecord, spec: SourceSpec) -> Result<SourceSpec, Failure> {
    let (Some(then), Some(now)) = (record.server.id.as_deref(), spec.server.id.as_deref()) else {
        return Ok(spec);
    };
    if then == now {
        return Ok(spec);
    }
    let dir = record.source.directories.get("programdata").cloned().unwrap_or_default();
    Err(Failure::from(ops::Error::Refused {
        what: format!(
            "{dir} now belongs to another server (id {now}) than the one in the snapshot (id {then}), so a comparison would mean nothing"
        ),
        hint: format!(
            "If it is the same server with a new id (config or data/device.txt was replaced), take a snapshot of it first. To compare the two all the same, name \
             both: jellyvault diff SNAPSHOT --data-dir {dir}"
        ),
    }))
}

impl Side<'_> {
    pub fn tree(&self) -> Result<Tree, Failure> {
        match self {
            Side::Snapshot((_, record)) => Ok(Tree::of(record)?),
            Side::Live(live) => Ok(live.1.tree.clone()),
        }
    }

    /// Its contents.
    pub fn contents<'r>(&self, repository: &'r Repository, index: &'r Index) -> Contents<'r> {
        match self {
            Side::Snapshot(_) => Contents::stored(repository, index),
            Side::Live(live) => Contents::Live(live.0.layout.clone()),
        }
    }

    /// One of its databases; a live one is copied for it.
    pub fn database<'r>(
        &self,
        repository: &'r Repository,
        index: &'r Index,
        path: &[u8],
        interrupt: &Interrupt,
    ) -> Result<Option<State<'r>>, Failure> {
        match self {
            Side::Snapshot(snapshot) => {
                Ok(ops::open_state(repository, index, &Which::Snapshot(snapshot), path)?)
            }
            Side::Live(live) => {
                match live.0.layout.live_file(path).ok().filter(LiveFile::is_file) {
                    Some(file) => Ok(ops::open_state(
                        repository,
                        index,
                        &Which::Live(&file, interrupt),
                        path,
                    )?),
                    None => Ok(None),
                }
            }
        }
    }

    /// What the live source is not compared in, because the snapshot was taken without it.
    pub fn partial_against(&self, other: &Side<'_>) -> Vec<String> {
        let (Side::Snapshot((id, record)), Side::Live(live)) = (self, other) else {
            return Vec::new();
        };
        let left: Vec<String> = record
            .excluded
            .iter()
            .filter(|glob| !is_generated(glob.as_bytes()))
            .map(|glob| display(glob.as_bytes()))
            .collect();
        let left = (!left.is_empty()).then(|| {
            format!(
                "snapshot {} left out {}, which was not compared",
                render::short(id),
                left.join(", ")
            )
        });
        let missing: Vec<&str> = Category::ALL
            .into_iter()
            .map(Category::name)
            .filter(|name| record.category(name).is_none())
            .collect();
        let is_partial = live.0.layout.is_instance && !missing.is_empty();
        let partial = is_partial.then(|| {
            format!(
                "snapshot {} does not contain {}, which was not compared",
                render::short(id),
                missing.join(", ")
            )
        });
        partial.into_iter().chain(left).collect()
    }

    pub fn snapshot(&self) -> Option<&(SnapshotId, SnapshotRecord)> {
        match self {
            Side::Snapshot(snapshot) => Some(snapshot),
            Side::Live(_) => None,
        }
    }

    pub fn is_live(&self) -> bool {
        matches!(self, Side::Live(_))
    }

    /// Paths of the live source that could not be looked at.
    pub fn problems(&self) -> u64 {
        match self {
            Side::Snapshot(_) => 0,
            Side::Live(live) => live.1.record.problem_count,
        }
    }

    pub fn name(&self, context: &Context) -> String {
        match self {
            Side::Snapshot((id, record)) => {
                let label =
                    record.label.as_ref().map_or_else(String::new, |label| format!(" “{label}”"));
                format!(
                    "{}{label} ({})",
                    render::short(id),
                    render::time(record.time_ns, &context.zone)
                )
            }
            Side::Live(_) => "the live source".to_owned(),
        }
    }

    pub fn json(&self) -> Value {
        match self {
            Side::Snapshot((id, record)) => json!(SnapshotDocument::of(Some(id), record)),
            Side::Live(live) => {
                json!({"id": null, "live": true, "time": documents::time(live.1.record.time_ns), "problems": &live.1.record.problems})
            }
        }
    }
}
