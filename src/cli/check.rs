//! `check`.

use std::collections::BTreeMap;

use crate::ops::{self, CheckOptions, CheckReport, Damage};

use super::context::Context;
use super::failure::Failure;
use super::output;
use super::upkeep_args::CheckArgs;
use super::{Exit, json as to_json, render};

/// Damaged paths that are named on a terminal.
const SHOWN_MAX: usize = 40;

pub fn run(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    if args.without_key {
        return without_key(context);
    }
    let repository = context.open()?;
    // Without --read-data no content is read.
    let report = ops::check(
        &repository,
        &CheckOptions { read: args.read_data.unwrap_or_default(), threads: 0 },
        &context.monitor,
    )?;
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet || !report.is_ok() {
        output::print(&words(context, &report))?;
    }
    Ok(if report.is_ok() { Exit::Done } else { Exit::Problems })
}

/// By who has no passphrase.
fn without_key(context: &Context) -> Result<Exit, Failure> {
    let path = context.repository_path()?;
    if !path.is_dir() {
        return Err(ops::Error::from(crate::store::Error::NoRepository { path }).into());
    }
    let report = ops::scrub(&crate::backend::LocalBackend::new(&path), &context.monitor)?;
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet || !report.is_ok() {
        let read = format!(
            "Read {} ({}) without a key.\n",
            render::plural(report.packs, "pack", "packs"),
            render::size(report.pack_bytes)
        );
        let end = "No problems found: every file is as it was written. Whether a file is missing cannot be known without the passphrase.\n";
        let found: String = report
            .findings
            .iter()
            .map(|finding| format!("  {}: {}\n", finding.name, finding.what))
            .collect();
        output::print(
            &(read
                + &if report.is_ok() {
                    end.to_owned()
                } else {
                    format!("\nDamaged or unreadable files:\n{found}")
                }),
        )?;
    }
    Ok(if report.is_ok() { Exit::Done } else { Exit::Problems })
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
        (0, _) => "No data was read. Add --read-data to verify the data too.\n".to_owned(),
        (packs, all) if packs == all => {
            format!("Read all of their data ({}).\n", render::size(read.bytes))
        }
        (packs, all) => format!(
            "Read the data of {} of {} ({} of {}).\n",
            render::count(packs),
            render::plural(all, "pack", "packs"),
            render::size(read.bytes),
            render::size(read.of_bytes)
        ),
    };
    out.push_str(&share);
    if read.packs < read.of_packs && read.never_read > 0 {
        out.push_str(&format!(
            "{} never been read since {} written, of {}.\n",
            render::plural(read.never_read, "pack has", "packs have"),
            if read.never_read == 1 { "it was" } else { "they were" },
            render::count(read.of_packs)
        ));
    } else if read.packs < read.of_packs && read.oldest > 0 {
        out.push_str(&format!(
            "Every pack has been read since {}.\n",
            render::time((read.oldest as i64).saturating_mul(1_000_000_000), &context.zone)
        ));
    }
    for remark in &report.remarks {
        out.push_str(&format!("Note: {remark}.\n"));
    }
    if report.is_ok() {
        out.push_str(if report.packs == 0 {
            "No problems found. The repository contains no data yet.\n"
        } else if read.packs == read.of_packs {
            "No problems found: all stored data was verified.\n"
        } else {
            "No problems found: all lists, indexes and packs are present and consistent. Data that was not read may still be damaged.\n"
        });
        return out;
    }
    out + &damage_words(report)
}

/// What was found, and what to do.
fn damage_words(report: &CheckReport) -> String {
    let mut out = String::new();
    // What could not be read is not damaged, as far as anybody knows.
    let (unread, damaged): (Vec<_>, Vec<_>) =
        report.findings.iter().partition(|finding| report.unread.contains(&finding.name));
    for (heading, findings) in [
        ("Damaged files of the repository", &damaged),
        ("Files of the repository that could not be read", &unread),
    ] {
        if !findings.is_empty() {
            out.push_str(&format!("\n{heading}:\n"));
            findings.iter().for_each(|finding| {
                out.push_str(&format!("  {}: {}\n", finding.name, finding.what))
            });
        }
    }
    if report.damage_count > 0 {
        let until = if damaged.is_empty() { " until these files can be read" } else { "" };
        out.push_str(&format!(
            "\nCannot be restored{until} ({} in all snapshots):\n",
            render::plural(report.damage_count, "entry", "entries")
        ));
        out.push_str(&by_path(&report.damage));
    } else if !report.findings.iter().any(|finding| loses_snapshots(&finding.name)) {
        out.push_str(
            "\nAll files of all snapshots can still be restored, as far as was checked.\n",
        );
    }
    if !report.unread.is_empty() {
        let files = render::plural(report.unread.len() as u64, "file", "files");
        out.push_str(&format!(
            "\n{files} of the repository could not be read. Their data may be intact, and nothing was removed. Check that the disk is connected and that you may read the folder, \
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
        let (first, last) = (
            of.first().map(|damage| render::short(&damage.snapshot)),
            of.last().map(|damage| render::short(&damage.snapshot)),
        );
        let snapshots = match (of.len(), first, last) {
            (1, Some(only), _) => format!("in snapshot {only}"),
            (count, Some(first), Some(last)) => format!("in {count} snapshots, {first} to {last}"),
            _ => String::new(),
        };
        let entries = of.first().map_or(1, |damage| damage.entries);
        let many = if entries > 1 {
            format!(" ({})", render::plural(entries, "entry", "entries"))
        } else {
            String::new()
        };
        out.push_str(&format!("  {path}{many}, {snapshots}: {what}\n"));
    }
    if paths.len() > SHOWN_MAX {
        out.push_str(&format!(
            "  … and {} more paths; --json names them.\n",
            render::count((paths.len() - SHOWN_MAX) as u64)
        ));
    }
    out
}

/// Whether what is wrong with a file of the repository keeps snapshots from the list.
fn loses_snapshots(name: &str) -> bool {
    name.starts_with("snapshots/") || name == "list" || name == "packs"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Finding;

    #[test]
    fn a_file_that_could_not_be_read_is_not_called_damaged() {
        let finding =
            |name: &str| Finding { name: name.to_owned(), what: "it could not be read".to_owned() };
        let mut report = CheckReport {
            findings: vec![finding("packs/aa/a.pack")],
            damage_count: 2,
            ..CheckReport::default()
        };
        report.unread.insert("packs/aa/a.pack".to_owned());
        let said = damage_words(&report);
        assert!(
            !said.contains("Damaged files")
                && said.contains("could not be read:\n  packs/aa/a.pack"),
            "{said}"
        );
        assert!(
            said.contains("Cannot be restored until these files can be read")
                && said.contains("may be intact"),
            "{said}"
        );
        report.findings.push(finding("packs/bb/b.pack"));
        let said = damage_words(&report);
        assert!(
            said.contains("Damaged files of the repository:\n  packs/bb/b.pack")
                && said.contains("Cannot be restored ("),
            "{said}"
        );
    }
}
