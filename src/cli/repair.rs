//! `repair`.

use crate::ops::{self, RepairOptions, RepairReport};
use crate::store::{self, Repository};

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::upkeep_args::RepairArgs;
use super::{Exit, check, json as to_json, render};

/// Things that are named on a terminal.
const SHOWN_MAX: usize = 60;

pub fn run(context: &Context, args: &RepairArgs) -> Result<Exit, Failure> {
    let is_new_config = open_or_rebuild(context, args.dry_run)?;
    let repository = context.open()?;
    let options = RepairOptions {
        quick: args.quick,
        dry_run: args.dry_run,
        add_parity: args.add_parity,
        give_up_missing: args.give_up_missing,
        threads: 0,
        wait: args.wait.wait,
    };
    let mut report = ops::repair(&repository, &options, &context.monitor)?;
    if is_new_config {
        report.mended.push(ops::Mended {
            path: "repo.toml".to_owned(),
            what: "both settings files were missing or damaged; new ones were written".to_owned(),
        });
    }
    let is_well = report.lost_count == 0 && (report.found.is_ok() || !args.dry_run);
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet || !is_well {
        let words = words(&report, args.dry_run);
        output::print_outcome(&words, args.dry_run, "the repair ran to its end")?;
    }
    Ok(if is_well { Exit::Done } else { Exit::Problems })
}

/// New settings where both files are gone; whether they were.
fn open_or_rebuild(context: &Context, dry_run: bool) -> Result<bool, Failure> {
    let path = context.repository_path()?;
    match context.with_access(|access| Repository::open_as(&path, access)) {
        // Where one of the two were right, it would have been opened.
        Err(store::Error::NoSettings { .. } | store::Error::Config { .. }) => {
            Repository::refuse_lost_keys(&path).map_err(ops::Error::from)?;
            // Opening it, below, reports any other fault.
            if dry_run {
                return Ok(false);
            }
            context
                .with_access(|access| Repository::rebuild_config(&path, access))
                .map_err(ops::Error::from)?;
            Ok(true)
        }
        // Whatever else is wrong is told by the opening that follows.
        _ => Ok(false),
    }
}

fn words(report: &RepairReport, dry_run: bool) -> String {
    let mut out = String::new();
    if !report.found.is_ok() {
        out.push_str("Found:\n");
        report
            .found
            .findings
            .iter()
            .take(SHOWN_MAX)
            .for_each(|finding| out.push_str(&format!("  {}: {}\n", finding.name, finding.what)));
        out.push_str(&check::by_path(&report.found.damage));
    }
    if !report.mended.is_empty() {
        out.push_str(if dry_run { "Can be repaired:\n" } else { "Repaired:\n" });
        report
            .mended
            .iter()
            .take(SHOWN_MAX)
            .for_each(|mended| out.push_str(&format!("  {}: {}\n", mended.path, mended.what)));
        if report.mended.len() > SHOWN_MAX {
            out.push_str(&format!(
                "  … and {} more; --json names them.\n",
                render::count((report.mended.len() - SHOWN_MAX) as u64)
            ));
        }
    }
    if report.lost_count > 0 {
        out.push_str(if dry_run {
            "Would be lost and removed from the snapshots that contain it:\n"
        } else {
            "Lost, and removed from the snapshots that contained it:\n"
        });
        for lost in report.lost.iter().take(SHOWN_MAX) {
            let snapshot = match (lost.snapshot, lost.now) {
                (Some(old), Some(new)) => {
                    format!(", snapshot {} (now {})", render::short(&old), render::short(&new))
                }
                (Some(old), None) => format!(", snapshot {}", render::short(&old)),
                _ => String::new(),
            };
            out.push_str(&format!("  {}{snapshot}: {}\n", lost.path, lost.what));
        }
        if report.lost.len() > SHOWN_MAX {
            out.push_str(&format!(
                "  … and {} more; --json names them.\n",
                render::count((report.lost.len() - SHOWN_MAX) as u64)
            ));
        }
    }
    if dry_run && report.found.is_ok() {
        out.push_str("No problems found. There is nothing to repair.\n");
    }
    out.push_str(match (report.found.is_ok(), report.lost_count, dry_run) {
        (_, _, true) => "Nothing was changed: this was a dry run.\n",
        (true, _, false) if report.mended.is_empty() => "No problems found. There was nothing to repair.\n",
        (_, 0, false) => "Repaired: every file of every snapshot can be restored.\n",
        _ => "The snapshots contain everything that is left, and all of it can be restored. Take a snapshot now to store the lost files that the server still has.\n",
    });
    out
}
