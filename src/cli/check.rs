//! `check`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ops::{self, CheckOptions, CheckReport, Damage};

use super::context::Context;
use super::failure::Failure;
use super::upkeep_args::CheckArgs;
use super::{Exit, json as to_json, render};

/// Damaged paths that are named on a terminal.
const SHOWN_MAX: usize = 40;

pub fn run(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let repository = context.open()?;
    // Without --read-data no content is read.
    let report = ops::check(&repository, &CheckOptions { read: args.read_data.unwrap_or_default(), threads: 0 }, context.watch())?;
    if context.global.json {
        to_json::print(&document(&report));
    } else if !context.global.quiet || !report.is_ok() {
        render::print(&words(context, &report))?;
    }
    Ok(if report.is_ok() { Exit::Done } else { Exit::Problems })
}

/// What was found, for programs.
pub fn document(report: &CheckReport) -> Value {
    let files: Vec<Value> = report.findings.iter().map(|finding| json!({"name": finding.name, "what": finding.what})).collect();
    let of_snapshots = report
        .damage
        .iter()
        .map(|damage| json!({"snapshot": damage.snapshot.to_string(), "path": damage.path, "what": damage.what, "entries": damage.entries}));
    let of_repository = report.findings.iter().map(|finding| json!({"snapshot": null, "path": finding.name, "what": finding.what}));
    let read = &report.read;
    json!({
        "ok": report.is_ok(), "snapshots": report.snapshots, "packs": report.packs, "pack_bytes": report.pack_bytes,
        "read": {
            "packs": read.packs, "bytes": read.bytes, "of_packs": read.of_packs, "of_bytes": read.of_bytes, "never_read": read.never_read,
            "oldest": (read.oldest > 0).then(|| to_json::time((read.oldest as i64).saturating_mul(1_000_000_000))),
        },
        "files": files, "unread": report.unread, "damage": of_repository.chain(of_snapshots).collect::<Vec<_>>(), "damage_count": report.damage_count, "remarks": report.remarks,
    })
}

fn words(context: &Context, report: &CheckReport) -> String {
    let read = &report.read;
    let mut out = format!(
        "Checked {} and {} ({}).\n",
        render::plural(report.snapshots, "snapshot", "snapshots"),
        render::plural(report.packs, "pack", "packs"),
        render::size(report.pack_bytes)
    );
    let share = match (read.packs, read.of_packs) {
        (0, 0) => String::new(),
        (0, _) => "No data was read; --read-data does that.\n".to_owned(),
        (packs, all) if packs == all => format!("Read all of their data ({}).\n", render::size(read.bytes)),
        (packs, all) => format!(
            "Read the data of {} of {} packs ({} of {}).\n",
            render::count(packs),
            render::count(all),
            render::size(read.bytes),
            render::size(read.of_bytes)
        ),
    };
    out.push_str(&share);
    if read.packs < read.of_packs && read.never_read > 0 {
        out.push_str(&format!("{} of {} packs were never read since they were written.\n", render::count(read.never_read), render::count(read.of_packs)));
    } else if read.packs < read.of_packs && read.oldest > 0 {
        out.push_str(&format!("Every pack was read since {}.\n", render::time((read.oldest as i64).saturating_mul(1_000_000_000), &context.zone)));
    }
    for remark in &report.remarks {
        out.push_str(&format!("Note: {remark}.\n"));
    }
    if report.is_ok() {
        out.push_str(if report.packs == 0 {
            "All is well; no data is stored yet.\n"
        } else if read.packs == read.of_packs {
            "All is well: every byte is what was written.\n"
        } else {
            "All lists, indexes and packs are there and fit together. Data that was not read may still be damaged.\n"
        });
        return out;
    }
    if !report.findings.is_empty() {
        out.push_str("\nDamaged files of the repository:\n");
        report.findings.iter().for_each(|finding| out.push_str(&format!("  {}: {}\n", finding.name, finding.what)));
    }
    if report.damage_count > 0 {
        out.push_str(&format!("\nWhat cannot be brought back ({} in all snapshots):\n", render::plural(report.damage_count, "entry", "entries")));
        out.push_str(&by_path(&report.damage));
    } else if !report.findings.iter().any(|finding| finding.name.starts_with("snapshots/")) {
        out.push_str("\nEvery file of every snapshot can still be brought back, as far as was looked.\n");
    }
    if !report.unread.is_empty() {
        let files = render::plural(report.unread.len() as u64, "file", "files");
        out.push_str(&format!(
            "\n{files} of the repository could not be read. What they hold may be intact. Check that the disk is connected and that you may read the folder, \
             then check again. If the disk is failing, copy the repository to a healthy one first.\n"
        ));
    }
    if report.unread.len() < report.findings.len().max(1) {
        out.push_str("\nRun jellyvault repair to fix what can be fixed, or jellyvault repair --dry-run to see what that is. Check the disk: its SMART values, its cable, the machine's memory.\n");
    }
    out
}

/// Damaged paths, each with the snapshots that have it.
pub fn by_path(damage: &[Damage]) -> String {
    let mut paths: BTreeMap<(&str, &str), Vec<&Damage>> = BTreeMap::new();
    for damage in damage {
        paths.entry((&damage.path, &damage.what)).or_default().push(damage);
    }
    let mut out = String::new();
    for ((path, what), of) in paths.iter().take(SHOWN_MAX) {
        let (first, last) = (of.first().map(|damage| render::short(&damage.snapshot)), of.last().map(|damage| render::short(&damage.snapshot)));
        let snapshots = match (of.len(), first, last) {
            (1, Some(only), _) => format!("in snapshot {only}"),
            (count, Some(first), Some(last)) => format!("in {count} snapshots, {first} to {last}"),
            _ => String::new(),
        };
        let entries = of.first().map_or(1, |damage| damage.entries);
        let many = if entries > 1 { format!(" ({})", render::plural(entries, "entry", "entries")) } else { String::new() };
        out.push_str(&format!("  {path}{many}, {snapshots}: {what}\n"));
    }
    if paths.len() > SHOWN_MAX {
        out.push_str(&format!("  … and {} more paths; --json names them.\n", render::count((paths.len() - SHOWN_MAX) as u64)));
    }
    out
}
