//! `prune`.

use crate::ops::{self, PruneOptions, PruneReport};

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::plan_words::plan_words;
use super::upkeep_args::PruneArgs;
use super::{Exit, json as to_json, render};

pub fn run(context: &Context, args: &PruneArgs) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let options = PruneOptions {
        max_unused: args.max_unused,
        dry_run: args.dry_run,
        given_up: args.remove_tree.clone(),
        wait: args.wait.wait,
    };
    let report = ops::prune(&repository, &options, &context.monitor)?;
    if context.global.json {
        to_json::print(&report);
    } else {
        tell(context, &report, args.dry_run)?;
    }
    Ok(exit(&report))
}

/// How a prune ended.
pub fn exit(report: &PruneReport) -> Exit {
    if report.problems.is_empty() { Exit::Done } else { Exit::Problems }
}

/// What came of it.
pub fn tell(context: &Context, report: &PruneReport, dry_run: bool) -> Result<(), Failure> {
    if context.global.quiet && report.problems.is_empty() {
        return Ok(());
    }
    let mut out = if dry_run { plan_words(&report.plan) } else { String::new() };
    if dry_run {
        out.push_str("Nothing was changed: this was a dry run.\n");
    } else if report.removed == 0 && report.needed_again == 0 {
        out.push_str("Nothing to delete.\n");
    } else {
        out.push_str(&format!(
            "Deleted {}; the repository is {} smaller.\n",
            render::plural(report.removed, "pack", "packs"),
            render::size(report.freed)
        ));
    }
    if report.needed_again > 0 {
        out.push_str(&format!(
            "{} kept, because a snapshot taken meanwhile uses them again.\n",
            render::plural(report.needed_again, "pack", "packs")
        ));
    }
    for problem in &report.problems {
        out.push_str(&format!("Problem: {}: {}\n", problem.path, problem.what));
    }
    output::print_outcome(&out, dry_run, "what no snapshot needs was deleted")
}
