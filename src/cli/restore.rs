//! `restore`.

use std::io::IsTerminal;

use serde_json::json;

use crate::ops::{self, InstanceTarget, RestoreOptions, RestoreReport, Selection, WatchStateOptions, WatchStateReport};

use super::args::RestoreArgs;
use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::ls::typed_path;
use super::snapshot::{tell_problems, wanted};
use super::{Exit, json as to_json, render, restore_target, source, titles};

/// Paths that a dry run with `--delete` names without `--verbose`.
const DELETED_SHOWN: usize = 50;

pub fn run(context: &Context, args: RestoreArgs) -> Result<Exit, Failure> {
    if args.keep_old && !args.in_place {
        return Err(Failure::usage(
            "--keep-old moves an instance's own directories aside; it goes with --in-place only",
            "With --to, name a new directory: what is elsewhere stays as it is.",
        ));
    }
    if let Some(user) = args.user.clone().filter(|_| args.watch_state) {
        return watch_state(context, &args, user);
    }
    let categories = wanted(&args.only, &[])?;
    let repository = context.open()?;
    let (id, record, destination, start) = restore_target::choose(context, &repository, &args)?;
    let snapshot = (id, record);
    let mut paths: Vec<Vec<u8>> = args.path.iter().map(|path| typed_path(path)).collect();
    if let Some(title) = args.item.first() {
        paths = titles::paths(&repository, &snapshot, title, args.item.get(1).map(String::as_str))?;
    }
    let options = RestoreOptions {
        selection: Selection { categories, paths },
        delete: args.delete,
        replace_pictures: args.replace_pictures || args.item.len() > 1,
        keep_old: args.keep_old,
        dry_run: args.dry_run,
        force: args.force,
        same_directories: args.same_directories,
        other_server: args.other_server,
        owners: restore_target::owners(&args)?,
        safety_snapshot: !args.no_safety_snapshot,
        host: context.host(),
        stamp: jiff::Timestamp::now().to_zoned(context.zone.clone()).strftime("%Y%m%dT%H%M%S").to_string(),
        trusts_repository: args.trust_repository || Known::load().has_made(&repository.config().id),
        threads: 0,
    };
    confirm_delete(context, &args)?;
    let report = ops::restore(&repository, &snapshot, &destination, &options, context.watch())?;
    if let Some(dir) = args.to.as_ref().filter(|_| !args.dry_run) {
        Known::load().remember_restored(dir);
    }
    if context.global.json {
        to_json::print(&document(&report, start.as_deref(), args.dry_run));
    } else if !context.global.quiet {
        let place = args.to.as_ref().map_or_else(|| "in place".to_owned(), |dir| format!("to {}", dir.display()));
        let done = format!("snapshot {} was restored {place}", render::short(&snapshot.0));
        render::print_done(&words(&report, &place, &render::short(&snapshot.0), args.dry_run, context.global.verbose), &done)?;
        for remark in &report.remarks {
            context.say(&format!("Note: {remark}."));
        }
        if let Some(start) = start.filter(|_| !args.dry_run) {
            context.say(&format!("{start}."));
        }
    }
    if report.problems.is_empty() {
        return Ok(Exit::Done);
    }
    tell_problems(context, report.problems.len() as u64, &report.problems);
    Ok(Exit::Problems)
}

/// `--delete` makes a directory what the snapshot is: in one that no restore made, that is asked first.
fn confirm_delete(context: &Context, args: &RestoreArgs) -> Result<(), Failure> {
    let Some(dir) = args.to.as_ref().filter(|_| args.delete && !args.dry_run && !args.yes) else { return Ok(()) };
    let is_empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if is_empty || Known::load().has_restored(dir) {
        return Ok(());
    }
    let what = format!("no restore has made {}, and --delete would remove all in it that the snapshot lacks", dir.display());
    if std::io::stdin().is_terminal() && !context.global.json {
        context.ask(&format!("{what}. Go on? [y/N] "))?;
        return Ok(());
    }
    Err(Failure::usage(&format!("{what}; nothing was changed"), "See what would go with --dry-run; then add --yes. Without --delete nothing is removed."))
}

fn target_of(context: &Context, args: &RestoreArgs) -> Result<InstanceTarget, Failure> {
    let (instance, spec) = source::find(context, &restore_target::named(args))?;
    let server = spec.server.clone();
    Ok(InstanceTarget { instance, spec, server })
}

/// `--user NAME --watch-state`.
fn watch_state(context: &Context, args: &RestoreArgs, user: String) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let target = target_of(context, args)?;
    context.mean_server(&repository, target.server.id.as_deref())?;
    let catalog = context.catalog_named(&repository, &[&args.snapshot.name])?;
    let snapshot = context.resolve(&catalog, &args.snapshot.name)?;
    let options = WatchStateOptions { user, delete: args.delete, dry_run: args.dry_run, no_safety_snapshot: args.no_safety_snapshot, host: context.host() };
    let report = ops::restore_watch_state(&repository, snapshot, &target, &options, context.watch())?;
    let why = "the library does not have it now, and its state could not be kept for its return (no placeholder row, or a row of the same key is in the way); it is in the snapshot still";
    let lost: Vec<_> = report.lost.iter().map(|item| crate::progress::Problem { path: item.clone(), what: why.to_owned() }).collect();
    if context.global.json {
        let changed: Vec<_> = report.changed.iter().map(|item| json!({"item": item.name, "before": item.before, "after": item.after})).collect();
        to_json::print(&json!({
            "watch_state": {"user": report.user, "changed": changed, "unchanged": report.unchanged, "put_aside": report.put_aside, "found_again": report.found_again, "lost": report.lost},
            "safety_snapshot": report.safety.map(|id| id.to_string()), "dry_run": args.dry_run, "problems": to_json::problems(&lost),
        }));
        return Ok(if lost.is_empty() { Exit::Done } else { Exit::Problems });
    }
    if !context.global.quiet {
        render::print(&watch_words(&report, &render::short(&snapshot.0), args.dry_run, context.global.verbose))?;
    }
    if lost.is_empty() {
        return Ok(Exit::Done);
    }
    tell_problems(context, lost.len() as u64, &lost);
    Ok(Exit::Problems)
}

fn watch_words(report: &WatchStateReport, id: &str, dry_run: bool, verbose: bool) -> String {
    let mut out = String::new();
    if let Some(safety) = &report.safety {
        out.push_str(&format!(
            "Took snapshot {} of the database as it was; jellyvault restore {0} --in-place --only database brings it back.\n",
            render::short(safety)
        ));
    }
    let would = if dry_run { "would be" } else { "is" };
    out.push_str(&format!(
        "Watch state of {} {would} that of snapshot {id}: {} changed, {} right already.\n",
        report.user,
        render::plural(report.changed.len() as u64, "item", "items"),
        render::count(report.unchanged)
    ));
    let shown = if verbose { usize::MAX } else { DELETED_SHOWN };
    let said = |state: &Option<String>| state.clone().unwrap_or_else(|| "nothing known".to_owned());
    for item in report.changed.iter().take(shown) {
        out.push_str(&format!("  {}: {} → {}\n", item.name, said(&item.before), said(&item.after)));
    }
    if report.changed.len() > shown {
        out.push_str(&format!("  … and {} more (--verbose names them)\n", render::count((report.changed.len() - shown) as u64)));
    }
    if report.found_again > 0 {
        let items = render::plural(report.found_again, "item has", "items have");
        out.push_str(&format!("{items} another id than in the snapshot (their files were moved); they were found by name, series and number.\n"));
    }
    if !report.put_aside.is_empty() {
        let count = report.put_aside.len() as u64;
        let names = report.put_aside.iter().take(10).cloned().collect::<Vec<_>>().join("; ");
        let more = if count > 10 { "; …" } else { "" };
        out.push_str(&format!(
            "{} of the snapshot {} not in the library now; their state {would} kept for their return, as Jellyfin keeps it: {names}{more}\n",
            render::plural(count, "item", "items"),
            if count == 1 { "is" } else { "are" }
        ));
    }
    out
}

fn document(report: &RestoreReport, start: Option<&str>, dry_run: bool) -> serde_json::Value {
    let moved: Vec<_> =
        report.moved_aside.iter().map(ops::Moved::paths).map(|(from, to)| json!({"from": from.to_string_lossy(), "to": to.to_string_lossy()})).collect();
    json!({
        "restored": {"files": report.files, "bytes": report.bytes, "unchanged": report.unchanged, "metadata": report.metadata, "deleted": report.deleted, "unknown": report.unknown},
        "safety_snapshot": report.safety.map(|id| id.to_string()), "deleted_paths": report.deleted_paths, "unknown_paths": report.unknown_paths, "moved_aside": moved, "problems": to_json::problems(&report.problems), "remarks": report.remarks, "start": start, "dry_run": dry_run,
    })
}

fn words(report: &RestoreReport, place: &str, id: &str, dry_run: bool, verbose: bool) -> String {
    let would = if dry_run { "would be " } else { "" };
    let mut out = String::new();
    if let Some(safety) = &report.safety {
        out.push_str(&format!("Took snapshot {0} of what was there; jellyvault restore {0} --in-place brings that back.\n", render::short(safety)));
    }
    for (from, to) in report.moved_aside.iter().map(ops::Moved::paths) {
        out.push_str(&format!("{} {would}moved to {}\n", from.display(), to.display()));
    }
    // What goes for good is named before it goes; afterwards where it is asked for.
    let shown = if verbose {
        usize::MAX
    } else if dry_run {
        DELETED_SHOWN
    } else {
        0
    };
    for path in report.deleted_paths.iter().take(shown) {
        out.push_str(&format!("{path} {would}removed\n"));
    }
    if dry_run && !verbose && report.deleted_paths.len() > DELETED_SHOWN {
        out.push_str(&format!("… and {} more (--verbose names them)\n", render::count(report.deleted - DELETED_SHOWN as u64)));
    }
    if report.unknown > 0 {
        let named = report.unknown_paths.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        out.push_str(&format!(
            "{} kept although the snapshot lacks {}: it could not read or did not include that part ({named}{})\n",
            render::plural(report.unknown, "path is", "paths are"),
            if report.unknown == 1 { "it" } else { "them" },
            if report.unknown > 5 { ", …" } else { "" }
        ));
    }
    out.push_str(&format!(
        "Snapshot {id} {}restored {place}: {} {would}written ({}), {} right already{}{}.\n",
        if dry_run { "would be " } else { "" },
        render::plural(report.files, "file", "files"),
        render::size(report.bytes),
        render::count(report.unchanged),
        if report.metadata > 0 { format!(" (metadata of {} put right)", render::count(report.metadata)) } else { String::new() },
        if report.deleted > 0 { format!(", {} {would}removed", render::count(report.deleted)) } else { String::new() },
    ));
    out
}
