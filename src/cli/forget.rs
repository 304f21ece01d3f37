//! `forget`, and `keep`, which protects from it.

use std::collections::{HashMap, HashSet};

use serde_json::json;

use crate::manifest::{Catalog, Policy, SnapshotId, SnapshotRecord, display, instance_of};
use crate::ops::documents::ForgetDocument;
use crate::ops::{self, AlreadyMarked, Forget, Forgetting, PruneOptions};
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::upkeep_args::{ForgetArgs, KeepArgs};
use super::{Exit, json as to_json, prune, render};

pub fn run(context: &Context, args: &ForgetArgs) -> Result<Exit, Failure> {
    let policy = args.rules.policy();
    if policy.is_empty() && args.snapshots.is_empty() {
        return Err(Failure::usage(
            "no snapshots or retention rules given",
            "Give rules, for example --keep-hourly 24 --keep-daily 7 --keep-weekly 4 --keep-monthly 12, or snapshots. Add --dry-run to see the result first.",
        ));
    }
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let policy = Policy { server: context.server.borrow().clone(), ..policy };
    let forget = if args.snapshots.is_empty() {
        Forget::By(policy)
    } else {
        Forget::These(named(context, &repository, &catalog, &args.snapshots)?)
    };
    let mut forgetting =
        ops::plan_forget(&repository, &catalog, &forget, &context.zone, &context.monitor)?;
    let dropped = forgetting.dropped();
    if !args.dry_run {
        ops::forget(&repository, &dropped)?;
    }
    // Told when it is done: a reader who went away ends the program.
    let forgot =
        format!("Forgot {}", render::plural(dropped.len() as u64, "snapshot", "snapshots"));
    if !context.global.json && !context.global.quiet {
        let plan = shown(context, &catalog, &forgetting, matches!(forget, Forget::These(_)));
        output::print_outcome(&plan, args.dry_run || dropped.is_empty(), &forgot)?;
    }
    let pruned = match args.prune {
        true => {
            let without =
                if args.dry_run { dropped.iter().copied().collect() } else { HashSet::new() };
            let marked = AlreadyMarked { without, needed: std::mem::take(&mut forgetting.needed) };
            let options = PruneOptions {
                max_unused: args.max_unused,
                dry_run: args.dry_run,
                wait: args.wait.wait,
                ..PruneOptions::default()
            };
            Some(ops::prune_marked(&repository, &options, marked, &context.monitor)?)
        }
        false => None,
    };
    let exit = if catalog.damaged.is_empty() {
        pruned.as_ref().map_or(Exit::Done, prune::exit)
    } else {
        Exit::Problems
    };
    if context.global.json {
        to_json::print(&ForgetDocument::of(&catalog, &forgetting, args.dry_run, pruned.as_ref()));
        return Ok(exit);
    }
    if args.dry_run {
        if pruned.is_none() && !context.global.quiet {
            output::print("Nothing was changed: this was a dry run.\n")?;
        }
    } else if !dropped.is_empty() && pruned.is_none() && !context.global.quiet {
        let words = format!("{forgot}. Run jellyvault prune to free the space.\n");
        output::print_done(&words, &forgot)?;
    }
    if let Some(report) = &pruned {
        prune::tell(context, report, args.dry_run)?;
    }
    Ok(exit)
}

fn named(
    context: &Context,
    repository: &Repository,
    catalog: &Catalog,
    names: &[String],
) -> Result<Vec<SnapshotId>, Failure> {
    // A time means the newest snapshot at or before it: too vague for something that drops.
    if let Some(name) = names.iter().find(|name| {
        name.get(4..5) == Some("-")
            && name.get(..4).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()))
    }) {
        return Err(Failure::usage(
            &format!("{name:?} is a time, and it is not clear which snapshot it means"),
            "Use the snapshot's id or label: run jellyvault list to see them.",
        ));
    }
    let mut ids = names
        .iter()
        .map(|name| Ok(context.resolve_in(repository, catalog, name)?.0))
        .collect::<Result<Vec<_>, Failure>>()?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Each snapshot with its reason, and what forgetting would free.
fn shown(
    context: &Context,
    catalog: &Catalog,
    forgetting: &Forgetting,
    only_dropped: bool,
) -> String {
    let records: HashMap<SnapshotId, &SnapshotRecord> =
        catalog.snapshots.iter().map(|(id, record)| (*id, record)).collect();
    let instances: HashSet<&str> = records.values().map(|record| instance_of(record)).collect();
    let mut rows = vec![["ID", "TIME", "", "REASON", "LABEL"].map(str::to_owned).to_vec()];
    for verdict in &forgetting.verdicts {
        let Some(record) = records.get(&verdict.id) else { continue };
        let goes = verdict.reasons.is_empty();
        if only_dropped && !goes {
            continue;
        }
        let reason = match (goes, only_dropped) {
            (true, true) => "named".to_owned(),
            (true, false) => "no rule keeps it".to_owned(),
            _ => verdict.reasons.join(", "),
        };
        let mut row = vec![render::short(&verdict.id), render::time(record.time_ns, &context.zone)];
        // Most snapshots have no label: an empty cell.
        row.extend([
            if goes { "forget" } else { "keep" }.to_owned(),
            reason,
            display(record.label.as_deref().unwrap_or_default().as_bytes()),
        ]);
        if instances.len() > 1 {
            row.push(ops::source_name(record));
        }
        rows.push(row);
    }
    if let Some(header) = rows.first_mut().filter(|_| instances.len() > 1) {
        header.push("SOURCE".to_owned());
    }
    let mut out = render::table(&rows, &[]);
    let dropped = forgetting.dropped().len() as u64;
    let would_free = match forgetting.would_free {
        Some(bytes) => format!("prune would free {}", render::size(bytes)),
        None => "the space this would free is unknown, because part of the repository is damaged"
            .to_owned(),
    };
    out.push_str(&match dropped {
        0 => "Nothing to forget.\n".to_owned(),
        _ => format!(
            "{} of {} to forget; {would_free}.\n",
            render::count(dropped),
            render::plural(forgetting.verdicts.len() as u64, "snapshot", "snapshots")
        ),
    });
    out
}

/// Marks snapshots.
pub fn keep(context: &Context, args: &KeepArgs) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let ids = named(context, &repository, &catalog, &args.snapshots)?;
    ops::keep(&repository, &ids, !args.off)?;
    if context.global.json {
        let marked: Vec<_> =
            ids.iter().map(|id| json!({"id": id.to_string(), "keep": !args.off})).collect();
        to_json::print(&json!({"snapshots": marked}));
    } else if !context.global.quiet {
        let list: Vec<_> = ids.iter().map(render::short).collect();
        let list = list.join(", ");
        let words = match args.off {
            true => format!("No longer protected: {list}. Retention rules apply to them again.\n"),
            false => format!(
                "Protected: {list}. forget keeps them until you run jellyvault keep --off SNAPSHOT.\n"
            ),
        };
        output::print_done(&words, "the marks of these snapshots were changed")?;
    }
    Ok(Exit::Done)
}
