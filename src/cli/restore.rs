//! `restore`.

use std::io::IsTerminal;

use serde::Serialize;

use crate::manifest::{SnapshotId, typed_path};
use crate::ops::{self, MovePlan, RestoreOptions, RestoreReport, Selection, WatchStateOptions};
use crate::source::{Category, DATABASE_PATH};
use crate::store::Repository;

use super::args::RestoreArgs;
use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::move_words::{changed_words, checklist, part_words};
use super::output;
use super::restore_target::{same_target, target_of};
use super::snapshot::{tell_problems, wanted};
use super::watch_words::watch_words;
use super::{
    Exit, json as to_json, place, relocate, render, restore_again, restore_server, restore_target,
    service, titles,
};

/// Paths that a dry run with `--delete` names without `--verbose`.
const DELETED_SHOWN: usize = 50;

pub fn run(context: &Context, args: RestoreArgs) -> Result<Exit, Failure> {
    refuse_contradictions(&args)?;
    if let Some(user) = args.user.clone().filter(|_| args.watch_state) {
        return watch_state(context, &args, user);
    }
    if args.through_server || args.playlist.is_some() || args.collection.is_some() {
        return restore_server::run(context, &args);
    }
    if let Some(dir) = &args.to {
        place::refuse_remote_place(dir, "targets", "--to")?;
    }
    let categories = wanted(&args.only, &[])?;
    let repository = context.open()?;
    let (id, record, destination, start) = restore_target::choose(context, &repository, &args)?;
    if args.arm {
        return service::arm(context, &args.snapshot.name, &id);
    }
    let snapshot = (id, record);
    let mut paths: Vec<Vec<u8>> = args.path.iter().map(|path| typed_path(path)).collect();
    if let Some(title) = args.item.first() {
        paths = titles::paths(&repository, &snapshot, title, args.item.get(1).map(String::as_str))?;
    }
    let selection = Selection { categories, paths };
    let is_move = args.map.is_wanted() && selection.touches(Category::Database, DATABASE_PATH);
    relocate::check_selection(&args.map, args.in_place, &selection)?;
    let options = options(context, &args, &repository, selection, is_move)?;
    let moving = args
        .map
        .is_wanted()
        .then(|| {
            relocate::of_restore(
                context,
                &repository,
                &args.map,
                args.layout,
                (&snapshot.1, &destination),
            )
        })
        .transpose()?;
    if let (Some((moving, _)), true) = (&moving, args.dry_run) {
        return relocate::tell_plan(context, &repository, &snapshot, moving, |plan| {
            relocate::left_behind(plan, &snapshot.1, &options.selection, &destination)
        });
    }
    confirm_delete(context, &args, &repository.config().id)?;
    if let Some(dir) = args.to.as_ref().filter(|_| !args.dry_run) {
        // Before it is filled: a restore that is stopped goes on with the same command.
        Known::load().remember_restored(dir, &repository.config().id, false);
    }
    let again = |error| restore_again::failure(error, &args.snapshot.name, &snapshot.0);
    let (report, plan) = match moving {
        Some((moving, here)) => relocate::restore(
            context,
            &repository,
            (&args.snapshot.name, &snapshot),
            (&moving, here),
            (&destination, &options),
        )?,
        None => (
            ops::restore(&repository, &snapshot, &destination, &options, &context.monitor)
                .map_err(again)?,
            None,
        ),
    };
    if let Some(dir) = args.to.as_ref().filter(|_| !args.dry_run) {
        Known::load().remember_restored(
            dir,
            &repository.config().id,
            args.delete && options.selection.is_all(),
        );
    }
    tell(context, &args, &snapshot.0, (&report, plan.as_ref()), start.as_deref(), options.is_move)?;
    let problems: Vec<_> =
        report.problems.iter().cloned().chain(plan.iter().flat_map(MovePlan::problems)).collect();
    if problems.is_empty() {
        return Ok(Exit::Done);
    }
    tell_problems(context, problems.len() as u64, &problems);
    Ok(Exit::Problems)
}

/// Options that cannot be had together.
fn refuse_contradictions(args: &RestoreArgs) -> Result<(), Failure> {
    if args.keep_old && !args.in_place {
        return Err(Failure::usage(
            "--keep-old renames the server's own directories, so it needs --in-place",
            "With --to, give a new directory instead.",
        ));
    }
    if args.arm && args.delete && !args.yes {
        return Err(Failure::usage(
            "an armed restore cannot ask before it deletes files, so --delete needs --yes",
            "Add --yes, or leave out --delete.",
        ));
    }
    if let (Some(to), Some(place)) = (&args.to, &args.place) {
        return Err(Failure::usage(
            &format!(
                "{} stands where the server's data directory is named, which --to does not use; nothing was restored",
                render::argument(place)
            ),
            &format!(
                "To restore only that path of the snapshot, use --path {}. To restore everything into {}, leave it out.",
                render::argument(place),
                render::argument(to)
            ),
        ));
    }
    Ok(())
}

/// How the snapshot is restored.
fn options(
    context: &Context,
    args: &RestoreArgs,
    repository: &Repository,
    selection: Selection,
    is_move: bool,
) -> Result<RestoreOptions, Failure> {
    Ok(RestoreOptions {
        is_private: false,
        selection,
        delete: args.delete,
        replace_pictures: args.replace_pictures || args.item.len() > 1,
        keep_old: args.keep_old,
        dry_run: args.dry_run,
        force: args.force,
        // Whoever names the layout says where the server sees its directories.
        same_directories: args.same_directories || args.map.map_layout.is_some(),
        is_move,
        before_move: None,
        other_server: args.other_server,
        owners: restore_target::owners(args)?,
        safety_snapshot: !args.no_safety_snapshot,
        host: context.host(),
        stamp: jiff::Timestamp::now()
            .to_zoned(context.zone.clone())
            .strftime("%Y%m%dT%H%M%S")
            .to_string(),
        trusts_repository: args.trust_repository || Known::load().has_made(&repository.config().id),
        threads: 0,
    })
}

/// The answer.
fn tell(
    context: &Context,
    args: &RestoreArgs,
    id: &SnapshotId,
    (report, plan): (&RestoreReport, Option<&MovePlan>),
    start: Option<&str>,
    is_move: bool,
) -> Result<(), Failure> {
    if context.global.json {
        to_json::print(&Restored { report, start, plan });
    } else if !context.global.quiet {
        let place = args
            .to
            .as_ref()
            .map_or_else(|| "in place".to_owned(), |dir| format!("to {}", dir.display()));
        let done = format!("snapshot {} was restored {place}", render::short(id));
        // Folders have other names now: they go, or both would be there.
        let delete = if is_move { " --delete" } else { "" };
        let undo = (context.command_name(), format!("{}{delete}", same_target(args)));
        let mut answer =
            words(report, &place, &render::short(id), args.dry_run, context.global.verbose, &undo);
        if let Some(plan) = plan {
            answer.push_str(&if is_move {
                format!("{}{}", changed_words(plan), checklist(plan))
            } else {
                part_words(plan)
            });
        }
        output::print_outcome(&answer, args.dry_run, &done)?;
        for remark in &report.remarks {
            context.say(&format!("Note: {remark}."));
        }
        if let Some(start) = start.filter(|_| !args.dry_run) {
            context.say(&format!("{start}."));
        }
    }
    Ok(())
}

/// `--delete` makes a directory what the snapshot is: in one that no restore made, that is asked
/// first.
fn confirm_delete(context: &Context, args: &RestoreArgs, repository: &str) -> Result<(), Failure> {
    let Some(dir) = args.to.as_ref().filter(|_| args.delete && !args.dry_run && !args.yes) else {
        return Ok(());
    };
    let is_empty = std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    if is_empty || Known::load().has_restored(dir, repository) {
        return Ok(());
    }
    let what = format!(
        "{} was not created by a restore, and --delete would delete everything in it that is not in the snapshot",
        dir.display()
    );
    if std::io::stdin().is_terminal() && !context.global.json {
        context.ask(&format!("{what}. Continue? [y/N] "))?;
        return Ok(());
    }
    Err(Failure::usage(
        &format!("{what}; nothing was changed"),
        "Add --dry-run to see what would be deleted, then add --yes. Without --delete nothing is deleted.",
    ))
}

/// `--user NAME --watch-state`.
fn watch_state(context: &Context, args: &RestoreArgs, user: String) -> Result<Exit, Failure> {
    let repository = context.open()?;
    let target = target_of(context, &repository, args)?;
    context.mean_server(&repository, target.server.id.as_deref())?;
    let catalog = context.catalog_named(&repository, &[&args.snapshot.name])?;
    let snapshot = context.resolve(&catalog, &args.snapshot.name)?;
    if args.arm {
        return service::arm(context, &args.snapshot.name, &snapshot.0);
    }
    let options = WatchStateOptions {
        user,
        delete: args.delete,
        dry_run: args.dry_run,
        other_server: args.other_server,
        no_safety_snapshot: args.no_safety_snapshot,
        host: context.host(),
    };
    if let Some(jellyfin) = restore_server::for_watch_state(context, &target, snapshot)? {
        return restore_server::watch_state(
            context,
            args,
            (&repository, &target, snapshot),
            (&jellyfin, &options),
        );
    }
    let report =
        ops::restore_watch_state(&repository, snapshot, &target, &options, &context.monitor)?;
    let lost = report.problems();
    let exit = if report.must_stop.is_none() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        to_json::print(&report);
        return Ok(if lost.is_empty() { exit } else { Exit::Problems });
    }
    if !context.global.quiet {
        let undo = (context.command_name(), same_target(args));
        let words = watch_words(
            &report,
            &render::short(&snapshot.0),
            args.dry_run,
            context.global.verbose,
            &undo,
        );
        output::print_outcome(&words, args.dry_run, "the watch state was restored")?;
    }
    if lost.is_empty() {
        return Ok(exit);
    }
    tell_problems(context, lost.len() as u64, &lost);
    Ok(Exit::Problems)
}

/// A restore, and how to start the server that was stopped for it.
#[derive(Serialize)]
struct Restored<'r> {
    #[serde(flatten)]
    report: &'r RestoreReport,
    start: Option<&'r str>,
    /// What was changed in the snapshot, where paths were.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'r MovePlan>,
}

fn words(
    report: &RestoreReport,
    place: &str,
    id: &str,
    dry_run: bool,
    verbose: bool,
    (jellyvault, target): &(String, String),
) -> String {
    let would = if dry_run { "would be " } else { "" };
    let mut out = String::new();
    if let Some(safety) = &report.safety {
        out.push_str(&format!(
            "Took snapshot {0} of the state before the restore. To undo: {jellyvault} restore {0} --in-place{target}\n",
            render::short(safety)
        ));
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
        out.push_str(&format!("{path} {would}deleted\n"));
    }
    if dry_run && !verbose && report.deleted_paths.len() > DELETED_SHOWN {
        out.push_str(&format!(
            "… and {} more (--verbose shows them)\n",
            render::count(report.deleted - DELETED_SHOWN as u64)
        ));
    }
    if report.unknown > 0 {
        let named =
            report.unknown_paths.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
        out.push_str(&format!(
            "{} kept although the snapshot does not contain {}: it could not read or did not include that part ({named}{})\n",
            render::plural(report.unknown, "path is", "paths are"),
            if report.unknown == 1 { "it" } else { "them" },
            if report.unknown > 5 { ", …" } else { "" }
        ));
    }
    out.push_str(&format!(
        "Snapshot {id} {}restored {place}: {} {would}written ({}), {} already up to date{}{}.\n",
        if dry_run { "would be " } else { "" },
        render::plural(report.files, "file", "files"),
        render::size(report.bytes),
        render::count(report.unchanged),
        if report.metadata > 0 {
            format!(" (metadata of {} corrected)", render::count(report.metadata))
        } else {
            String::new()
        },
        if report.deleted > 0 {
            format!(", {} {would}deleted", render::count(report.deleted))
        } else {
            String::new()
        },
    ));
    out
}
