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
        _ => {
            return Err(Failure::usage(
                "no directory to mount to given",
                "Use jellyvault mount DIR to mount all snapshots, or jellyvault mount SNAPSHOT DIR to mount one.",
            ));
        }
    };
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let mounted: Vec<MountedSnapshot<'_>> = match name {
        Some(name) => vec![MountedSnapshot {
            name: String::new(),
            snapshot: context.resolve_in(&repository, &catalog, name)?,
        }],
        None => catalog
            .snapshots
            .iter()
            .map(|snapshot| MountedSnapshot { name: directory_name(context, snapshot), snapshot })
            .collect(),
    };
    if mounted.is_empty() {
        return Err(Failure::usage(
            "the repository contains no snapshots yet",
            "Take a snapshot first: jellyvault snapshot",
        ));
    }
    let path = std::path::Path::new(dir);
    let options = MountOptions {
        allow_other: args.allow_other,
        single: name.is_some(),
        titles: args.titles,
        threads: 0,
    };
    let count = mounted.len() as u64;
    let report = ops::mount(&repository, &mounted, path, &options, &context.monitor, |moment| {
        match moment {
        Moment::Ready => {
            let what = name.map_or_else(|| render::plural(count, "snapshot is", "snapshots are"), |name| format!("Snapshot {name} is"));
            context.say(&format!("{what} mounted read-only at {dir}. To unmount, press Ctrl-C here or run umount {dir}."));
            if !args.titles {
                context.say("To find films and people by name there, add --titles.");
            }
        }
        Moment::Busy => context.say(&format!(
            "{dir} is unmounted, but a program still has a file open there. jellyvault ends when the file is closed. Press Ctrl-C again to end it now."
        )),
    }
    })?;
    if context.global.json {
        to_json::print(
            &serde_json::json!({"mounted": {"path": dir, "snapshots": count}, "problems": report.problems}),
        );
    }
    if report.problem_count == 0 {
        return Ok(Exit::Done);
    }
    tell_problems(context, report.problem_count, &report.problems);
    Ok(Exit::Problems)
}

/// Sorts by time, tells the id, and has no sign that a shell would stumble over but those of the
/// label.
fn directory_name(context: &Context, (id, record): &(SnapshotId, SnapshotRecord)) -> String {
    let time = render::time(record.time_ns, &context.zone).replace(' ', "_").replace(':', "-");
    let label: String = record
        .label
        .as_deref()
        .unwrap_or_default()
        .chars()
        .map(|c| if c == '/' || c.is_control() { '_' } else { c })
        .take(60)
        .collect();
    let label = if label.is_empty() { label } else { format!(" {label}") };
    format!("{time}_{}{label}", render::short(id))
}
