//! `diff`.

mod tree;

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use crate::manifest::{Catalog, Entry, Kind, SnapshotId, SnapshotRecord, display};
use crate::ops::{self, Change, Diff, DiffOptions, Look, SnapshotOptions, SourceSpec, Totals, Tree, WantedPaths};
use crate::store::Repository;

use super::args::{DiffArgs, LiveArgs, SourceArgs};
use super::context::Context;
use super::failure::Failure;
use super::ls::{nanoseconds, typed_path};
use super::snapshot::wanted;
use super::{Exit, json as to_json, render, source};

use self::tree::TreeView;

/// One side: a snapshot, or the live source.
enum Side<'c> {
    Snapshot(&'c (SnapshotId, SnapshotRecord)),
    Live(Box<(SourceSpec, Look)>),
}

pub fn run(context: &Context, args: &DiffArgs) -> Result<Exit, Failure> {
    let only = wanted(&args.only, &[])?;
    let paths = paths_of(&args.path)?;
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let (before, after) = sides(context, &repository, &catalog, args)?;
    let options = DiffOptions { only, paths };
    let diff = ops::diff(&repository, &before.tree(), &after.tree(), &options, context.watch())?;
    let problems = after.problems();
    let changed = !diff.is_empty();
    if context.global.json {
        print_json(&diff, &before, &after, args)?;
    } else {
        print_words(context, &diff, &before, &after, args)?;
    }
    if problems > 0 {
        context.say(&format!("Problem: {} of the live source could not be looked at; jellyvault snapshot --dry-run names them.", render::plural(problems, "path", "paths")));
        return Ok(Exit::Problems);
    }
    Ok(if args.exit_code && changed { Exit::Failed } else { Exit::Done })
}

/// Paths and patterns as typed.
pub fn paths_of(typed: &[String]) -> Result<WantedPaths, Failure> {
    Ok(WantedPaths::new(&typed.iter().map(|text| (text.clone(), typed_path(text))).collect::<Vec<_>>())?)
}

fn sides<'c>(context: &Context, repository: &Repository, catalog: &'c Catalog, args: &DiffArgs) -> Result<(Side<'c>, Side<'c>), Failure> {
    let before = context.resolve(catalog, args.before.as_deref().unwrap_or("latest"))?;
    let after = match &args.after {
        Some(name) => Side::Snapshot(context.resolve(catalog, name)?),
        None => {
            let spec = live(context, &before.1, &args.source, args.plain.as_deref())?;
            let options = SnapshotOptions {
                only: before.1.categories.keys().filter_map(|name| name.parse().ok()).collect(),
                exclude: before.1.excluded.clone(),
                host: context.host(),
                ..SnapshotOptions::default()
            };
            let look = ops::look(repository, &spec, &options, context.watch())?;
            Side::Live(Box::new((spec, look)))
        }
    };
    Ok((Side::Snapshot(before), after))
}

/// The source that a snapshot is of, as it lies on this machine; or the one that the user names.
pub fn live(context: &Context, record: &SnapshotRecord, named: &LiveArgs, plain: Option<&std::path::Path>) -> Result<SourceSpec, Failure> {
    if let Some(folder) = plain {
        return Ok(SourceSpec::plain(folder)?);
    }
    let directory = |name: &str| record.source.directories.get(name).map(std::path::PathBuf::from).filter(|dir| dir.is_dir());
    if named.data_dir.is_none() && record.source.host == context.host() {
        if let Some(folder) = directory("folder") {
            return Ok(SourceSpec::plain(&folder)?);
        }
        if let Some(data) = directory("programdata") {
            let own = SourceArgs { data_dir: Some(data), config_dir: directory("config"), metadata_dir: directory("metadata"), ..SourceArgs::default() };
            return Ok(source::find(context, &own)?.1);
        }
    }
    let named = SourceArgs { data_dir: named.data_dir.clone(), config_dir: named.config_dir.clone(), metadata_dir: named.metadata_dir.clone(), ..SourceArgs::default() };
    Ok(source::find(context, &named)?.1)
}

impl Side<'_> {
    fn tree(&self) -> Tree {
        match self {
            Side::Snapshot((_, record)) => Tree::of(record),
            Side::Live(live) => live.1.tree.clone(),
        }
    }

    fn problems(&self) -> u64 {
        match self {
            Side::Snapshot(_) => 0,
            Side::Live(live) => live.1.record.problem_count,
        }
    }

    fn name(&self, context: &Context) -> String {
        match self {
            Side::Snapshot((id, record)) => {
                let label = record.label.as_ref().map_or_else(String::new, |label| format!(" “{label}”"));
                format!("{}{label} ({})", render::short(id), render::time(record.time_ns, &context.zone))
            }
            Side::Live(_) => "the live source".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Side::Snapshot((id, record)) => to_json::snapshot(Some(id), record),
            Side::Live(live) => json!({"id": null, "live": true, "time": to_json::time(live.1.record.time_ns), "problems": to_json::problems(&live.1.record.problems)}),
        }
    }
}

fn print_words(context: &Context, diff: &Diff, before: &Side<'_>, after: &Side<'_>, args: &DiffArgs) -> Result<(), Failure> {
    if context.global.quiet {
        return Ok(());
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
    let on_terminal = std::io::stdout().is_terminal() || args.tree;
    write(&format!("From {} to {}:\n\n", before.name(context), after.name(context)))?;
    if diff.is_empty() {
        write("Nothing changed.\n")?;
    } else {
        if !args.stat {
            if on_terminal {
                let mut view = TreeView::new(context.global.verbose);
                diff.for_each(|change| {
                    view.push(change, None);
                    Ok(())
                })?;
                write(tree::LEGEND)?;
                write(&view.finish())?;
            } else {
                diff.for_each(|change| {
                    if change.is_only_a_directorys_time() && !context.global.verbose {
                        return Ok(());
                    }
                    write(&tree::flat(change, None))
                })?;
            }
            write("\n")?;
        }
        write(&summary(diff))?;
    }
    out.flush().map_err(ops::Error::Output)?;
    for remark in &diff.remarks {
        context.say(&format!("Note: {remark}."));
    }
    Ok(())
}

/// Counts by category.
fn summary(diff: &Diff) -> String {
    let mut rows = vec![["CATEGORY", "NEW", "GONE", "CHANGED", "MOVED", "METADATA", "SIZE BEFORE", "AFTER", "ONLY BEFORE*", "ONLY AFTER*"].map(str::to_owned).to_vec()];
    let row = |name: &str, t: &Totals| {
        let counts = [t.added, t.removed, t.modified, t.moved, t.metadata].map(render::count);
        let sizes = [t.size_before, t.size_after, t.stored_before, t.stored_after].map(render::size);
        [vec![name.to_owned()], counts.to_vec(), sizes.to_vec()].concat()
    };
    rows.extend(diff.totals.iter().filter(|(_, totals)| totals.changes() > 0).map(|(category, totals)| row(category.name(), totals)));
    rows.push(row("in all", &diff.total()));
    render::table(&rows, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) + "* what the changed files of that side alone take in the repository\n"
}

fn print_json(diff: &Diff, before: &Side<'_>, after: &Side<'_>, args: &DiffArgs) -> Result<(), Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut write = |text: &str| out.write_all(text.as_bytes()).map_err(ops::Error::Output);
    write(&format!("{{\"before\":{},\"after\":{},\"changes\":[", before.json(), after.json()))?;
    let mut first = true;
    if !args.stat {
        // Changes go out as they come: there may be a million.
        diff.for_each(|change| {
            write(&format!("{}{}", if first { "" } else { "," }, change_json(change)))?;
            first = false;
            Ok(())
        })?;
    }
    let categories: Map<String, Value> = diff.totals.iter().map(|(category, totals)| (category.name().to_owned(), totals_json(totals))).collect();
    write(&format!("],\"summary\":{},\"remarks\":{}}}\n", json!({"categories": categories, "total": totals_json(&diff.total())}), json!(diff.remarks)))?;
    out.flush().map_err(ops::Error::Output)?;
    Ok(())
}

fn totals_json(t: &Totals) -> Value {
    json!({
        "added": t.added, "removed": t.removed, "modified": t.modified, "moved": t.moved, "metadata": t.metadata, "directories": t.directories,
        "bytes": {"before": t.size_before, "after": t.size_after}, "changed_bytes": {"before": t.changed_before, "after": t.changed_after},
        "stored_bytes": {"before": t.stored_before, "after": t.stored_after},
    })
}

fn change_json(change: &Change) -> Value {
    json!({
        "path": display(change.path()), "change": change.kind.word(), "category": change.category.name(),
        "before": change.before.as_ref().map(entry_json), "after": change.after.as_ref().map(entry_json),
    })
}

fn entry_json(entry: &Entry) -> Value {
    let target = if let Kind::Symlink { target } = &entry.kind { Some(display(target)) } else { None };
    json!({
        "path": display(&entry.path), "kind": tree::kind_word(&entry.kind), "size": entry.size(), "mtime": to_json::time(nanoseconds(entry.mtime)),
        "mode": format!("{:04o}", entry.mode), "uid": super::ls::known(entry.uid), "gid": super::ls::known(entry.gid), "target": target,
    })
}
