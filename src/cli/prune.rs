//! `prune`.

use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::manifest::SnapshotId;
use crate::ops::{self, MaxUnused, PlanSummary, PruneOptions, PruneReport, Reached};
use crate::store::Repository;

use super::context::Context;
use super::failure::Failure;
use super::upkeep_args::{PruneArgs, WaitArgs};
use super::{Exit, json as to_json, render};

pub fn run(context: &Context, args: &PruneArgs) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let report = work(context, &repository, args.max_unused, args.dry_run, (HashSet::new(), Reached::default(), args.remove_tree.clone()), &args.wait)?;
    if context.global.json {
        to_json::print(&document(&report, args.dry_run));
    } else {
        tell(context, &report, args.dry_run)?;
    }
    Ok(exit(&report))
}

/// How a prune ended.
pub fn exit(report: &PruneReport) -> Exit {
    if report.problems.is_empty() { Exit::Done } else { Exit::Problems }
}

/// Prunes; the plan is shown before anything is done.
pub fn work(
    context: &Context,
    repository: &Repository,
    max_unused: MaxUnused,
    dry_run: bool,
    (without, needed, given_up): (HashSet<SnapshotId>, Reached, Vec<String>),
    wait: &WaitArgs,
) -> Result<PruneReport, Failure> {
    // With --dry-run the plan is the answer.
    let planned = |plan: &PlanSummary| {
        if !dry_run {
            context.say(words(plan).trim_end())
        }
    };
    let waiting = waiting(context, wait.wait);
    let options = PruneOptions { max_unused, dry_run, without, needed, given_up, planned: &planned, waiting: &waiting };
    Ok(ops::prune(repository, options, context.watch())?)
}

/// Says once that others are waited for, and gives up after the time that the user allows, or when they stop it.
pub fn waiting(context: &Context, limit: Duration) -> impl Fn(Duration) -> Result<(), ops::Error> {
    let told = Cell::new(false);
    move |waited| {
        if context.interrupt.is_raised() {
            return Err(ops::Error::Interrupted);
        }
        if !told.replace(true) {
            context.say("Waiting for other jellyvault processes to end (a snapshot, a restore, a mount); files are removed then.");
        }
        if waited < limit {
            return Ok(());
        }
        Err(ops::Error::Refused {
            what: format!("other jellyvault processes still used the repository after {} s, so nothing was removed", limit.as_secs()),
            hint: "End them (a mount, perhaps) and run the same command again: what was written already is used. --wait 2h waits longer.".to_owned(),
        })
    }
}

/// The plan in words.
fn words(plan: &PlanSummary) -> String {
    let mut text = format!(
        "Plan: of {} ({}) {} stay, {} are removed, {} are written anew.\n",
        render::plural(plan.packs, "pack", "packs"),
        render::size(plan.bytes),
        render::count(plan.kept),
        render::count(plan.dropped),
        render::count(plan.rewritten)
    );
    text.push_str(&format!("      {} are in no snapshot; {} of them are freed", render::size(plan.unused), render::size(plan.freed)));
    if plan.moved_bytes > 0 {
        text.push_str(&format!(", for which {} are written anew", render::size(plan.moved_bytes)));
    }
    if plan.unused_after > 0 {
        text.push_str(&format!("; {} stay, within what --max-unused tolerates", render::size(plan.unused_after)));
    }
    text.push_str(".\n");
    text
}

/// What came of it.
pub fn tell(context: &Context, report: &PruneReport, dry_run: bool) -> Result<(), Failure> {
    let mut out = if dry_run { words(&report.plan) } else { String::new() };
    if context.global.quiet && !dry_run && report.problems.is_empty() {
        return Ok(());
    }
    if dry_run {
        out.push_str("Nothing was changed: this was a dry run.\n");
    } else if report.removed == 0 && report.needed_again == 0 {
        out.push_str("Nothing to remove.\n");
    } else {
        out.push_str(&format!("Removed {}; the repository is {} smaller.\n", render::plural(report.removed, "pack", "packs"), render::size(report.freed)));
    }
    if report.needed_again > 0 {
        out.push_str(&format!("{} stay: a snapshot that was taken meanwhile needs them again.\n", render::plural(report.needed_again, "pack", "packs")));
    }
    for problem in &report.problems {
        out.push_str(&format!("Problem: {}: {}\n", problem.path, problem.what));
    }
    render::print(&out)
}

/// The same for programs.
pub fn document(report: &PruneReport, dry_run: bool) -> Value {
    let plan = &report.plan;
    json!({
        "plan": {
            "packs": {"total": plan.packs, "kept": plan.kept, "dropped": plan.dropped, "rewritten": plan.rewritten},
            "bytes": {"total": plan.bytes, "unused": plan.unused, "freed": plan.freed, "rewritten": plan.moved_bytes, "unused_after": plan.unused_after},
        },
        "dry_run": dry_run, "removed": report.removed, "freed": report.freed, "written": report.written, "needed_again": report.needed_again,
        "problems": to_json::problems(&report.problems),
    })
}
