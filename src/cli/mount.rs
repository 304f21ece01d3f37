//! `mount`.

use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::ops::{self, Moment, MountOptions, MountedSnapshot};

use super::args::MountArgs;
use super::context::Context;
use super::failure::Failure;
use super::snapshot::tell_problems;
use super::{Exit, json as to_json, render};

pub fn run(context: &Context, args: &MountArgs) -> Result<Exit, Failure> {
    let (name, dir) = match args.place.as_slice() {
        [name, dir] => (Some(name.as_str()), dir),
        [dir] => (None, dir),
        _ => return Err(Failure::usage("it is not said where to mount", "jellyvault mount DIR shows all snapshots, jellyvault mount SNAPSHOT DIR one.")),
    };
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let mounted: Vec<MountedSnapshot<'_>> = match name {
        Some(name) => vec![MountedSnapshot { name: String::new(), snapshot: context.resolve_in(&repository, &catalog, name)? }],
        None => catalog.snapshots.iter().map(|snapshot| MountedSnapshot { name: directory_name(context, snapshot), snapshot }).collect(),
    };
    if mounted.is_empty() {
        return Err(Failure::usage("the repository holds no snapshot yet", "Take one first: jellyvault snapshot"));
    }
    let path = std::path::Path::new(dir);
    let options = MountOptions { allow_other: args.allow_other, single: name.is_some(), titles: args.titles, threads: 0 };
    let count = mounted.len() as u64;
    let report = ops::mount(&repository, &mounted, path, &options, context.watch(), |moment| match moment {
        Moment::Ready => {
            let what = name.map_or_else(|| render::plural(count, "snapshot is", "snapshots are"), |name| format!("Snapshot {name} is"));
            context.say(&format!("{what} at {dir}, to be read only. Ctrl-C here, or umount {dir}, takes it away again."));
        }
        Moment::Busy => {
            context.say(&format!("{dir} is free again, but a program still has a file of it open; this ends when it lets go. Ctrl-C again ends it now."))
        }
    })?;
    if context.global.json {
        to_json::print(&serde_json::json!({"mounted": {"path": dir, "snapshots": count}, "problems": to_json::problems(&report.problems)}));
    }
    if report.problem_count == 0 {
        return Ok(Exit::Done);
    }
    tell_problems(context, report.problem_count, &report.problems);
    Ok(Exit::Problems)
}

/// Sorts by time, tells the id, and has no sign that a shell would stumble over but those of the label.
fn directory_name(context: &Context, (id, record): &(SnapshotId, SnapshotRecord)) -> String {
    let time = render::time(record.time_ns, &context.zone).replace(' ', "_").replace(':', "-");
    let label: String = record.label.as_deref().unwrap_or_default().chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).take(60).collect();
    let label = if label.is_empty() { label } else { format!(" {label}") };
    format!("{time}_{}{label}", render::short(id))
}
