//! `export`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::manifest::{Directories, SnapshotId, SnapshotRecord};
use crate::ops::{self, ExportKind, ExportOptions, ExportReport, JellyfinTarget, Place};
use crate::source::{Category, Layout};

use super::args::{ExportArgs, SourceArgs};
use super::clean::cleaned;
use super::context::Context;
use super::exact_rules::EXACT_RULES;
use super::failure::Failure;
use super::move_words::{changed_words, checklist};
use super::output;
use super::relocate::{self, Wanted};
use super::snapshot::{tell_problems, wanted};
use super::{Exit, json as to_json, render, source};

/// Repairs that are shown by name without `--verbose`.
const SHOWN: usize = 20;

/// Names that are tried in the dashboard's folder.
const NAMES_TRIED: i64 = 3600;

pub fn run(context: &Context, args: &ExportArgs) -> Result<Exit, Failure> {
    let only = wanted(&args.only, &[])?;
    check_usage(args, &only)?;
    let repository = context.open()?;
    let (place, server) =
        if args.to_jellyfin { place(context, args, &repository)? } else { (None, None) };
    let catalog = context.catalog_named(&repository, &[&args.snapshot.name])?;
    let snapshot = context.resolve(&catalog, &args.snapshot.name)?;
    if let (Some(here), Some(own)) = (&server, &snapshot.1.server.id)
        && !here.eq_ignore_ascii_case(own)
    {
        return Err(Failure::refused(
            &format!(
                "snapshot {} is of the server with the id {own}, but the dashboard here is of the server {here}; no zip was written",
                render::short(&snapshot.0)
            ),
            "Choose a snapshot of this server (jellyvault list shows the server of each). To move a server, write the zip to a file and copy it to data/backups yourself.",
        ));
    }
    let kind = if args.exact { ExportKind::Exact } else { ExportKind::Tables };
    let file = file(context, args, snapshot, kind, place.as_ref())?;
    let moving = args.map.is_wanted().then(|| moving(context, args, &repository)).transpose()?;
    if let (Some(moving), true) = (&moving, args.dry_run) {
        return relocate::tell_plan(context, &repository, snapshot, moving, |_| None);
    }
    let moved = moving
        .map(|moving| ops::moved_snapshot(&repository, snapshot, &moving, None, &context.monitor))
        .transpose()?;
    let plan = moved.as_ref().map(|moved| &moved.plan);
    let options = ExportOptions {
        kind,
        only,
        target: args.target.clone(),
        zone: context.zone.clone(),
        as_server: false,
        force: args.force,
        threads: 0,
    };
    let exported = moved.as_ref().map_or(snapshot, |moved| &moved.snapshot);
    let report =
        ops::export(&repository, exported, &file, place.as_ref(), &options, &context.monitor);
    if let Some(moved) = &moved {
        ops::forget_moved(&repository, moved.snapshot.0)?;
    }
    let report = report?;
    if context.global.json {
        to_json::print(&Exported { report: &report, plan });
    } else if !context.global.quiet {
        let mut words = words(context, &report, snapshot, place.is_some());
        if let Some(plan) = plan {
            words.push_str(&format!("{}{}", changed_words(plan), checklist(plan)));
        }
        output::print_done(&words, &format!("{} was written", report.path.display()))?;
    }
    for remark in &report.remarks {
        context.say(&format!("Note: {remark}."));
    }
    tell_repairs(context, &report);
    let problems: Vec<_> = report
        .problems
        .iter()
        .cloned()
        .chain(plan.into_iter().flat_map(ops::MovePlan::problems))
        .collect();
    if !problems.is_empty() {
        tell_problems(context, problems.len() as u64, &problems);
    }
    Ok(if problems.is_empty() && report.repairs.count == 0 { Exit::Done } else { Exit::Problems })
}

/// A zip, and what was changed in its snapshot, where paths were.
#[derive(Serialize)]
struct Exported<'r> {
    #[serde(flatten)]
    report: &'r ExportReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'r ops::MovePlan>,
}

/// How paths change: to the directories of the server of this machine, or of another one.
fn moving(
    context: &Context,
    args: &ExportArgs,
    repository: &crate::store::Repository,
) -> Result<ops::MoveOptions, Failure> {
    if !args.to_jellyfin {
        return relocate::options(
            context,
            repository,
            &args.map,
            &Wanted { target: None, here: &Directories::new(), was_container: Some(true) },
        );
    }
    let named = SourceArgs {
        data_dir: args.data_dir.clone(),
        config_dir: args.config_dir.clone(),
        ..SourceArgs::default()
    };
    let (instance, spec) = source::find_or_remembered(context, &named, repository)?;
    let here = Layout::of(&instance).directories();
    let server = spec.server.clone();
    let target = ops::InstanceTarget { instance, spec, server, new_layout: None };
    relocate::options(
        context,
        repository,
        &args.map,
        &Wanted { target: Some(&target), here: &here, was_container: None },
    )
}

/// What no snapshot could make right.
fn check_usage(args: &ExportArgs, only: &[Category]) -> Result<(), Failure> {
    if args.dry_run && !args.map.is_wanted() {
        return Err(Failure::usage(
            "--dry-run shows which paths would change, so it needs --map or --map-layout",
            "Leave it out to write the zip.",
        ));
    }
    if let Some(category) =
        only.iter().find(|category| matches!(category, Category::Plugins | Category::Other))
    {
        return Err(Failure::usage(
            &format!("Jellyfin's backup zip cannot contain {category}"),
            "It can contain database, config, metadata, subtitles, trickplay and attachments. For other categories use jellyvault restore --only.",
        ));
    }
    let leaves_out_the_database = !only.is_empty() && !only.contains(&Category::Database);
    if args.exact && leaves_out_the_database {
        return Err(Failure::usage(
            "an exact zip needs the category database",
            "Add database to --only, or leave out --exact.",
        ));
    }
    if args.target.is_some() && leaves_out_the_database {
        return Err(Failure::usage(
            "--for changes the database's tables, but --only leaves the database out",
            "Add database to --only, or leave out --for.",
        ));
    }
    match &args.target {
        Some(target)
            if target.split('.').count() < 2
                || !target.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            Err(Failure::usage(
                &format!("{target:?} is not a version of Jellyfin"),
                "Write it as Jellyfin does, for example 10.11.11.",
            ))
        }
        _ => Ok(()),
    }
}

/// The folder where the dashboard looks, and the id of its server.
fn place(
    context: &Context,
    args: &ExportArgs,
    repository: &crate::store::Repository,
) -> Result<(Option<Place>, Option<String>), Failure> {
    let named = SourceArgs {
        data_dir: args.data_dir.clone(),
        config_dir: args.config_dir.clone(),
        ..SourceArgs::default()
    };
    let (instance, spec) = source::find_or_remembered(context, &named, repository)?;
    context.mean_server(repository, spec.server.id.as_deref())?;
    let server = spec.server.id.clone();
    let place = ops::place_in(
        &JellyfinTarget { instance, spec, same_directories: args.same_directories },
        repository,
        &context.monitor.interrupt,
    )?;
    Ok((Some(place), server))
}

/// Where the zip is to stand.
fn file(
    context: &Context,
    args: &ExportArgs,
    (_, record): &(SnapshotId, SnapshotRecord),
    kind: ExportKind,
    place: Option<&Place>,
) -> Result<PathBuf, Failure> {
    let stamp =
        render::moment(record.time_ns).to_zoned(context.zone.clone()).strftime("%Y%m%d%H%M%S");
    let name = |ending: &str| format!("jellyfin-backup-{stamp}{ending}.zip");
    if let Some(place) = place {
        return Ok(free_name(&place.folder, record.time_ns, context, args.force));
    }
    let own = name(if kind == ExportKind::Exact { "-exact" } else { "" });
    match &args.file {
        None => Ok(PathBuf::from(own)),
        Some(file) if file.as_os_str() == "-" => Err(Failure::usage(
            "a zip cannot be written to standard output, because it is verified after writing",
            "Give a file name.",
        )),
        Some(file) if file.is_dir() => Ok(file.join(own)),
        Some(file) => Ok(file.clone()),
    }
}

/// A name as the server gives it, of the snapshot's second; where one of that second is there, of
/// the next that is free.
fn free_name(folder: &Path, time_ns: i64, context: &Context, force: bool) -> PathBuf {
    let name = |seconds: i64| {
        let moment = render::moment(time_ns.saturating_add(seconds * 1_000_000_000))
            .to_zoned(context.zone.clone());
        folder.join(format!("jellyfin-backup-{}.zip", moment.strftime("%Y%m%d%H%M%S")))
    };
    (0..NAMES_TRIED)
        .map(name)
        .find(|path| force || std::fs::symlink_metadata(path).is_err())
        .unwrap_or_else(|| name(0))
}

fn words(
    context: &Context,
    report: &ExportReport,
    (id, record): &(SnapshotId, SnapshotRecord),
    for_dashboard: bool,
) -> String {
    let mut out = format!(
        "Wrote {} ({}, {}): snapshot {} of {}, {}.\n",
        report.path.display(),
        render::size(report.bytes),
        render::plural(report.entries, "entry", "entries"),
        render::short(id),
        render::time(record.time_ns, &context.zone),
        match report.kind {
            ExportKind::Tables => "like Jellyfin's own backup",
            ExportKind::Exact => "with its database page for page",
        },
    );
    out.push_str("The zip was written to disk, read back and verified.\n");
    let is_version = report.versions.starts_with(|first: char| first.is_ascii_digit());
    out.push_str(&format!(
        "Fits: {}{}",
        if is_version { "Jellyfin " } else { "" },
        report.versions
    ));
    let directories: Vec<String> =
        report.directories.iter().map(|(name, path)| format!("{name} {path}")).collect();
    if directories.is_empty() {
        out.push_str(", with the same directories as the snapshot's server.\n");
    } else {
        out.push_str(&format!(" with the directories {}.\n", directories.join(", ")));
    }
    match report.kind {
        ExportKind::Exact => out.push_str(&format!("{EXACT_RULES}\n")),
        ExportKind::Tables => out.push_str("To restore, use the dashboard (Dashboard, Backups), or start the server once with --restore-archive FILE. The server must have been started at least once before.\n"),
    }
    for missing in &report.missing {
        out.push_str(&format!("Not included: {missing}.\n"));
    }
    if for_dashboard {
        out.push_str("The dashboard now lists it.\n");
    } else {
        out.push_str("The dashboard lists it only if it is in the server's directory data/backups (--to-jellyfin writes it there).\n");
    }
    out
}

/// Rows that were put right: on standard error, even where the user wants quiet.
fn tell_repairs(context: &Context, report: &ExportReport) {
    let repairs = &report.repairs;
    if context.global.json || repairs.count == 0 {
        return;
    }
    let shown = if context.global.verbose { repairs.named.len() } else { SHOWN };
    let mut text = format!(
        "{} in the database would break Jellyfin's restore (a single one can leave the server without items and users). \
         They were fixed in the zip only; the snapshot is unchanged:\n",
        render::plural(repairs.count, "value or row", "values or rows")
    );
    for repair in repairs.named.iter().take(shown) {
        let column = repair.column.as_ref().map_or_else(String::new, |column| format!(".{column}"));
        text.push_str(&format!(
            "  {}{column} ({}): {}; {}\n",
            repair.table, repair.row, repair.what, repair.done
        ));
    }
    if repairs.count > shown as u64 {
        let hidden = if shown < repairs.named.len() {
            "--verbose shows them"
        } else {
            "only their number is recorded"
        };
        text.push_str(&format!(
            "  … and {} more ({hidden})\n",
            render::count(repairs.count - shown as u64)
        ));
    }
    use std::io::Write;
    // Where standard error is closed the exit code still tells.
    crate::tolerate(std::io::stderr().write_all(cleaned(&text).as_bytes()));
}
