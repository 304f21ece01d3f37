//! A comparison for people: what happened first, then the files, then the counts.

use std::io::{IsTerminal, Write};

use crate::manifest::display;
use crate::ops::{self, Change, Totals};

use super::super::clean::Clean;
use super::super::failure::Failure;
use super::super::render;
use super::naming::Naming;
use super::tree::{self, TreeView};
use super::{Comparison, LIBRARY_PATH, NAMED, patch, rows};

/// Settings of one file that are told.
const SETTINGS_SHOWN: usize = 20;

/// Prints it; whether anything changed.
pub fn print(comparison: &Comparison<'_>) -> Result<bool, Failure> {
    let Comparison { context, args, diff, .. } = comparison;
    let report = comparison.rows(false, |_| Ok(()))?;
    let rows_changed = report.as_ref().is_some_and(|report| !report.tables.is_empty());
    let library = comparison.library_rows()?;
    let library_changed = library.as_ref().is_some_and(|report| !report.tables.is_empty());
    let changed = diff.has_changes() || rows_changed || library_changed;
    if context.global.quiet {
        return Ok(changed);
    }
    let mut out = Clean(std::io::BufWriter::new(std::io::stdout().lock()));
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
    write(&format!(
        "From {} to {}:\n\n",
        comparison.before.name(context),
        comparison.after.name(context)
    ))?;
    if !changed {
        let times = diff.total().directory_times;
        let but = if times > 0 {
            format!(", except the times of {}", render::plural(times, "directory", "directories"))
        } else {
            String::new()
        };
        write(&format!("Nothing changed{but}.\n"))?;
    }
    if let Some(report) = &report {
        let named = if context.global.verbose { NAMED.1 } else { NAMED.0 };
        write(&rows::news_words(report, named))?;
        write(&settings_words(comparison, report.upgraded)?)?;
        if rows_changed {
            write(&format!(
                "\nRows of {}:\n\n{}\n",
                display(&comparison.path),
                rows::table_words(&report.tables)
            ))?;
        } else if changed && library.as_ref().is_none_or(|report| report.tables.is_empty()) {
            write("\nNo rows of the database changed.\n\n")?;
        }
        if let Some(report) = library.filter(|report| !report.tables.is_empty()) {
            write(&format!(
                "\nRows of {}:\n\n{}\n",
                display(LIBRARY_PATH),
                rows::table_words(&report.tables)
            ))?;
        }
        if args.wants_single_rows() {
            let mut told = 0u64;
            comparison.rows(true, |row| {
                told += 1;
                write(&rows::row_words(row, comparison.shows()))
            })?;
            write(if told == 0 { "No changed row matches.\n\n" } else { "\n" })?;
        }
    }
    if diff.has_changes() || (context.global.verbose && !diff.is_empty()) {
        if !args.stat {
            write(&files(comparison)?)?;
            write("\n")?;
        }
        if args.patch {
            patches(comparison, &mut write)?;
        }
        write(&summary(comparison))?;
    }
    out.flush().map_err(ops::Error::Output)?;
    for remark in &diff.remarks {
        context.say(&format!("Note: {remark}."));
    }
    Ok(changed)
}

/// The changed files: a tree on a terminal, a line each elsewhere.
fn files(comparison: &Comparison<'_>) -> Result<String, Failure> {
    let Comparison { context, args, diff, .. } = comparison;
    let mut naming = Naming::of(comparison);
    let mut name = |change: &Change| naming.name(change.path());
    if std::io::stdout().is_terminal() || args.tree {
        let mut view = TreeView::new(context.global.verbose);
        diff.for_each(|change| {
            view.push(change, name(change));
            Ok(())
        })?;
        return Ok(format!("{}{}", tree::LEGEND, view.finish()));
    }
    let mut out = String::new();
    diff.for_each(|change| {
        if !change.is_only_a_directorys_time() || context.global.verbose {
            out.push_str(&tree::flat(change, name(change).as_deref()));
        }
        Ok(())
    })?;
    Ok(out)
}

/// Settings that are not the same, by file.
fn settings_words(comparison: &Comparison<'_>, upgraded: bool) -> Result<String, Failure> {
    let mut out = String::new();
    let mut of_file = (String::new(), 0);
    for (path, setting) in comparison.settings(upgraded)? {
        if of_file.0 != path {
            of_file = (path.clone(), 0);
        }
        of_file.1 += 1;
        if of_file.1 > SETTINGS_SHOWN && !comparison.context.global.verbose {
            if of_file.1 == SETTINGS_SHOWN + 1 {
                out.push_str(&format!("  {path}: … and more (--verbose shows them)\n"));
            }
            continue;
        }
        let value = |value: &Option<String>| {
            value.as_ref().map_or_else(
                || "not set".to_owned(),
                |value| if value.is_empty() { "empty".to_owned() } else { ops::clean_name(value) },
            )
        };
        let by = if setting.by_upgrade { "  (by the upgrade)" } else { "" };
        out.push_str(&format!(
            "  {path}: {}: {} → {}{by}\n",
            ops::clean_name(&setting.name),
            value(&setting.before),
            value(&setting.after)
        ));
    }
    Ok(if out.is_empty() { out } else { format!("Settings\n{out}") })
}

/// What changed inside the files.
fn patches(
    comparison: &Comparison<'_>,
    write: &mut impl FnMut(&str) -> Result<(), ops::Error>,
) -> Result<(), Failure> {
    let (mut before, mut after) = (
        comparison.before.contents(comparison.repository, comparison.index),
        comparison.after.contents(comparison.repository, comparison.index),
    );
    comparison.diff.for_each(|change| {
        if let Some(dimensions) = patch::dimensions(change, &mut before, &mut after)? {
            return write(&patch::picture_line(change, dimensions));
        }
        match patch::unified(change, &mut before, &mut after, comparison.args.show_secrets)? {
            Some(text) => write(&text),
            None => Ok(()),
        }
    })?;
    write("\n")?;
    Ok(())
}

/// Counts by category.
fn summary(comparison: &Comparison<'_>) -> String {
    let diff = &comparison.diff;
    let mut rows = vec![
        [
            "CATEGORY",
            "NEW",
            "GONE",
            "CHANGED",
            "MOVED",
            "METADATA",
            "SIZE BEFORE",
            "AFTER",
            "STORED BEFORE*",
            "STORED AFTER*",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    let row = |name: &str, t: &Totals| {
        let counts = [t.added, t.removed, t.modified, t.moved, t.metadata].map(render::count);
        let sizes =
            [t.size_before, t.size_after, t.stored_before, t.stored_after].map(render::size);
        [vec![name.to_owned()], counts.to_vec(), sizes.to_vec()].concat()
    };
    rows.extend(
        diff.totals
            .iter()
            .filter(|(_, totals)| totals.changes() > totals.directory_times)
            .map(|(category, totals)| row(category.name(), totals)),
    );
    rows.push(row("total", &diff.total()));
    let stored =
        if comparison.after.is_live() { "; the live source is not stored yet" } else { "" };
    render::table(&rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9])
        + &format!(
            "* space that only this side's changed files take in the repository: compressed, without data that both sides share{stored}\n"
        )
}
