//! `move`, and paths that change in `restore` and `export`.

use serde::Serialize;

use crate::manifest::{Directories, SnapshotId, SnapshotRecord};
use crate::ops::{self, Destination, InstanceTarget, MoveOptions, MovePlan};
use crate::source::{Arrangement, Category, Layout};
use crate::store::Repository;

use super::args::{MapArgs, MoveArgs, SourceArgs};
use super::context::Context;
use super::failure::Failure;
use super::known::Known;
use super::map_args::MapLayout;
use super::move_words::{done_words, plan_words};
use super::{Exit, json as to_json, output, render, restore_again, source};

pub fn run(context: &Context, args: &MoveArgs) -> Result<Exit, Failure> {
    if !args.undo && !args.map.is_wanted() {
        return Err(Failure::usage(
            "nothing to move given",
            "Give the media's old and new directory: --map /old=/new. If the server's own directories were moved: --map-layout.",
        ));
    }
    let mut named = args.source.clone();
    if let Some(MapLayout::Place(place)) = &args.map.map_layout {
        named.data_dir = named.data_dir.or_else(|| Some(place.clone()));
    }
    let repository =
        super::open_or_make::open_or_make(context, false, &super::args::EncryptArgs::default())?;
    let (instance, spec) = source::find_or_remembered(context, &named, &repository)?;
    let server = spec.server.clone();
    let target = InstanceTarget { instance, spec, server, new_layout: None };
    if args.undo {
        return undo(context, &repository, &target, args);
    }
    let here = Layout::of(&target.instance).directories();
    let options = options(
        context,
        &repository,
        &args.map,
        &Wanted { target: Some(&target), here: &here, was_container: None },
    )?;
    if args.dry_run {
        return dry_run(context, &repository, &target, &options);
    }
    let report =
        ops::move_in_place(&repository, &target, &options, &context.host(), &context.monitor)
            .map_err(|error| named_again(context, error, args))?;
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet {
        let undo = format!("{} move --undo{}", context.command_name(), same_source(&args.source));
        output::print_done(&done_words(&report, &undo), "the server was moved")?;
    }
    Ok(exit_of(context, &report.restored, &report.plan))
}

/// Whether this user made the repository.
fn trusts(repository: &Repository) -> bool {
    Known::load().has_made(&repository.config().id)
}

fn exit_of(context: &Context, restored: &ops::RestoreReport, plan: &MovePlan) -> Exit {
    let problems: Vec<_> = restored.problems.iter().cloned().chain(plan.problems()).collect();
    if problems.is_empty() {
        return Exit::Done;
    }
    super::snapshot::tell_problems(context, problems.len() as u64, &problems);
    Exit::Problems
}

fn undo(
    context: &Context,
    repository: &Repository,
    target: &InstanceTarget,
    args: &MoveArgs,
) -> Result<Exit, Failure> {
    let options = ops::UndoOptions {
        host: context.host(),
        trusts_repository: trusts(repository),
        dry_run: args.dry_run,
    };
    let (id, report) = ops::undo_move(repository, target, &options, &context.monitor)
        .map_err(|error| named_again(context, error, args))?;
    if context.global.json {
        to_json::print(&Undone { restored: &report, snapshot: id });
    } else if !context.global.quiet {
        let safety = report.safety.as_ref().map_or_else(String::new, |safety| {
            format!(" What was there is in snapshot {}.", render::short(safety))
        });
        let time = render::time((id.time_ms() as i64).saturating_mul(1_000_000), &context.zone);
        let words = if args.dry_run {
            format!(
                "The state of {time} would be restored (snapshot {}): {} would be written, {} deleted. What changed on the server since then would be lost there, and kept in a \
                 snapshot.\nNothing was changed: this was a dry run.\n",
                render::short(&id),
                render::plural(report.files, "file", "files"),
                report.deleted
            )
        } else {
            format!(
                "The state before the move was restored (snapshot {} of {time}).{safety}\n",
                render::short(&id)
            )
        };
        output::print_outcome(&words, args.dry_run, "the state before the move was restored")?;
    }
    if report.problems.is_empty() {
        return Ok(Exit::Done);
    }
    super::snapshot::tell_problems(context, report.problems.len() as u64, &report.problems);
    Ok(Exit::Problems)
}

/// A move that stopped halfway names the command that goes back, with the server that was named.
fn named_again(context: &Context, error: ops::Error, args: &MoveArgs) -> Failure {
    let is_half_done = matches!(error, ops::Error::HalfDone { .. });
    let failure = Failure::from(error);
    if !is_half_done {
        return failure;
    }
    let undo = format!("{} move --undo{}", context.command_name(), same_source(&args.source));
    failure.advising_also(&format!("To go back: {undo}"))
}

#[derive(Serialize)]
struct Undone<'r> {
    restored: &'r ops::RestoreReport,
    snapshot: SnapshotId,
}

/// A snapshot is needed to look at. It goes again.
fn dry_run(
    context: &Context,
    repository: &Repository,
    target: &InstanceTarget,
    options: &MoveOptions,
) -> Result<Exit, Failure> {
    let own = ops::SnapshotOptions { host: context.host(), ..ops::SnapshotOptions::default() };
    let taken = ops::snapshot(repository, &target.spec, &own, &context.monitor)?;
    let Some(id) = taken.id else {
        return Err(Failure::usage(
            "no snapshot could be taken",
            "Run jellyvault snapshot to see why.",
        ));
    };
    let incomplete = ops::incomplete(&taken.record);
    let told = ops::plan_move(repository, &(id, taken.record), options, &context.monitor);
    ops::forget_moved(repository, id)?;
    let plan = told?;
    let objection = incomplete.or_else(|| plan.is_empty().then(|| ops::nothing_to_move(target)));
    tell(context, &plan, objection.or_else(|| ops::objection(&plan, options)))
}

/// What a restore, an export or a move would change.
pub fn tell_plan(
    context: &Context,
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    options: &MoveOptions,
    also: impl FnOnce(&MovePlan) -> Option<ops::Error>,
) -> Result<Exit, Failure> {
    let plan = ops::plan_move(repository, snapshot, options, &context.monitor)?;
    tell(context, &plan, ops::objection(&plan, options).or_else(|| also(&plan)))
}

/// Why a restore must not change the paths of the server that is there.
pub fn left_behind(
    plan: &MovePlan,
    record: &SnapshotRecord,
    selection: &ops::Selection,
    destination: &Destination,
) -> Option<ops::Error> {
    match destination {
        Destination::InPlace(target) => ops::left_behind(plan, record, selection, target),
        Destination::Arranged(..) | Destination::Directory(_) => None,
    }
}

/// Shows a plan, and why it would be refused.
fn tell(
    context: &Context,
    plan: &MovePlan,
    objection: Option<ops::Error>,
) -> Result<Exit, Failure> {
    if context.global.json {
        to_json::print(&Planned { plan, refused: objection.as_ref().map(ToString::to_string) });
    } else if !context.global.quiet {
        output::print(&plan_words(plan))?;
    }
    match objection {
        Some(objection) if !context.global.json => {
            context.say(&format!("This would be refused: {objection}."));
            if let ops::Error::Refused { hint, .. } = &objection {
                context.say(&format!("Hint: {hint}"));
            }
            Ok(Exit::Problems)
        }
        Some(_) => Ok(Exit::Problems),
        // What the real run would tell, too.
        None if !plan.problems().is_empty() => Ok(Exit::Problems),
        None => Ok(Exit::Done),
    }
}

#[derive(Serialize)]
struct Planned<'p> {
    plan: &'p MovePlan,
    refused: Option<String>,
}

/// What is known of where a server goes.
pub struct Wanted<'w> {
    /// The instance, where there is one.
    pub target: Option<&'w InstanceTarget>,
    /// Its directories on this machine.
    pub here: &'w Directories,
    /// Whether the snapshot's server was in a container, where only media moves.
    pub was_container: Option<bool>,
}

/// What the arguments mean.
pub fn options(
    context: &Context,
    repository: &Repository,
    args: &MapArgs,
    wanted: &Wanted<'_>,
) -> Result<MoveOptions, Failure> {
    let places = match (&args.map_layout, wanted.target) {
        (None, _) => Directories::new(),
        (Some(MapLayout::Layout(layout)), _) => ops::places_of_layout(*layout, wanted.here),
        (Some(MapLayout::Auto | MapLayout::Place(_)), Some(target)) => {
            ops::places_of_instance(repository, target, &context.monitor)?
                .ok_or_else(|| unclear(wanted.here))?
        }
        (Some(MapLayout::Auto | MapLayout::Place(_)), None) => return Err(unclear(wanted.here)),
    };
    if args.map_layout.is_some() && !places.contains_key("programdata") {
        return Err(unclear(wanted.here));
    }
    let is_container = match places.get("programdata") {
        Some(seen) => Some(seen) != wanted.here.get("programdata"),
        None => match (wanted.was_container, wanted.target) {
            (Some(was), _) => was,
            (None, Some(target)) => {
                let seen = ops::places_of_instance(repository, target, &context.monitor)?;
                seen.is_none_or(|seen| seen.get("programdata") != wanted.here.get("programdata"))
            }
            (None, None) => true,
        },
    };
    Ok(MoveOptions {
        places,
        own_places_stay: args.map_layout.is_none() && wanted.target.is_some(),
        map: args.map.iter().map(|pair| (pair.0.clone(), pair.1.clone())).collect(),
        map_plugins: args.map_plugins,
        looks_for_media: !is_container,
        allow_missing: args.allow_missing,
        allow_changed: args.allow_changed,
        trusts_repository: trusts(repository),
    })
}

fn unclear(here: &Directories) -> Failure {
    let dir = here.get("programdata").map_or_else(|| "its directories".to_owned(), Clone::clone);
    Failure::usage(
        &format!(
            "it is not clear at which path the server sees {dir}: a container sees it elsewhere than this machine"
        ),
        "Give the layout: --map-layout docker or linuxserver for a container, debian for a package, portable for a server that is started with --datadir.",
    )
}

/// The options of a restore that changes paths, and the directories for its record.
pub fn of_restore(
    context: &Context,
    repository: &Repository,
    args: &MapArgs,
    layout: Option<Arrangement>,
    (record, destination): (&SnapshotRecord, &Destination),
) -> Result<(MoveOptions, Option<Directories>), Failure> {
    let (target, here) = match destination {
        Destination::InPlace(target) => {
            (Some(&**target), Layout::of(&target.instance).directories())
        }
        Destination::Arranged(instance, _) => (None, Layout::of(instance).directories()),
        Destination::Directory(_) => (None, Directories::new()),
    };
    let mut args = args.clone();
    if let (Some(MapLayout::Auto | MapLayout::Place(_)), Some(layout)) = (&args.map_layout, layout)
    {
        args.map_layout = Some(MapLayout::Layout(layout));
    }
    let seen = &record.source.seen_by_server;
    let was_container = seen
        .iter()
        .any(|(name, dir)| record.source.directories.get(name).is_some_and(|here| here != dir));
    let options = options(
        context,
        repository,
        &args,
        &Wanted { target, here: &here, was_container: Some(was_container) },
    )?;
    Ok((options, Some(here).filter(|here| !here.is_empty())))
}

/// Restores a snapshot with its paths changed.
pub fn restore(
    context: &Context,
    repository: &Repository,
    (name, snapshot): (&str, &(SnapshotId, SnapshotRecord)),
    (moving, here): (&MoveOptions, Option<Directories>),
    (destination, options): (&Destination, &ops::RestoreOptions),
) -> Result<(ops::RestoreReport, Option<MovePlan>), Failure> {
    let moved = ops::moved_snapshot(repository, snapshot, moving, here, &context.monitor)?;
    if let Some(refused) = left_behind(&moved.plan, &snapshot.1, &options.selection, destination) {
        ops::forget_moved(repository, moved.snapshot.0)?;
        return Err(refused.into());
    }
    let report = ops::restore(repository, &moved.snapshot, destination, options, &context.monitor);
    ops::forget_moved(repository, moved.snapshot.0)?;
    // The moved snapshot is gone: the same command makes it again.
    let report = report.map_err(|error| restore_again::failure(error, name, &snapshot.0))?;
    Ok((report, Some(moved.plan)))
}

/// Paths change in the database and in the settings together, or a server would start on half of
/// them.
pub fn check_selection(
    args: &MapArgs,
    in_place: bool,
    selection: &ops::Selection,
) -> Result<(), Failure> {
    let has_both = [Category::Database, Category::Config]
        .iter()
        .all(|category| selection.categories.is_empty() || selection.categories.contains(category));
    if !args.is_wanted()
        || !in_place
        || (selection.paths.is_empty() && has_both)
        || selection.is_safe_under_a_server()
    {
        return Ok(());
    }
    Err(Failure::usage(
        "paths change in the database and in the settings together, but only a part of these was selected; nothing was changed",
        "Leave out --only, --path and --item, or select both: --only database,config,metadata,… To restore only pictures, trickplay, subtitles or attachments of a \
         server that was moved already, name just these.",
    ))
}

/// The options that name the same server again, wherever they are typed.
fn same_source(args: &SourceArgs) -> String {
    let named = [
        ("--data-dir", args.data_dir()),
        ("--config-dir", args.config_dir.as_ref()),
        ("--metadata-dir", args.metadata_dir.as_ref()),
        ("--database", args.database.as_ref()),
    ];
    let absolute =
        |path: &std::path::PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
    let named = named.into_iter().filter_map(|(option, path)| {
        Some(format!(" {option} {}", render::argument(&absolute(path?))))
    });
    named.chain(args.follow_roots.then(|| " --follow-roots".to_owned())).collect()
}
