//! `restore` through the running server: watch state, one picture, a playlist or a collection.

use serde_json::json;

use crate::manifest::{SnapshotId, SnapshotRecord, file_name};
use crate::ops::{self, InstanceTarget, ListKind, WatchStateOptions, image_word_of_file};
use crate::server::{
    self, Jellyfin, ListOptions, ListReport, PictureOptions, PictureReport, ServerError,
    ThroughServer, kind_of_word,
};
use crate::store::Repository;

use super::args::RestoreArgs;
use super::context::Context;
use super::failure::Failure;
use super::restore_target::{same_target, target_of};
use super::snapshot::tell_problems;
use super::watch_words::watch_words;
use super::{Exit, jellyfin, json as to_json, output, render, titles};

/// The running server, where watch state is to be set through it: there is a key, and the server
/// answers. One that neither answers nor has its database open is stopped.
pub fn for_watch_state(
    context: &Context,
    target: &InstanceTarget,
    snapshot: &(SnapshotId, SnapshotRecord),
) -> Result<Option<Jellyfin>, Failure> {
    let Some(client) = jellyfin::client(context)? else { return Ok(None) };
    match Jellyfin::connect(client, jellyfin::known(&target.server, &snapshot.1)?) {
        Ok(jellyfin) => Ok(Some(jellyfin)),
        Err(error @ ServerError::Unreachable { .. }) if !ops::is_running(target)? => {
            context.say(&format!(
                "Note: {error}. It is taken for stopped, and its database is changed directly."
            ));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// `--user NAME --watch-state` while the server runs.
pub fn watch_state(
    context: &Context,
    args: &RestoreArgs,
    (repository, target, snapshot): (&Repository, &InstanceTarget, &(SnapshotId, SnapshotRecord)),
    (jellyfin, options): (&Jellyfin, &WatchStateOptions),
) -> Result<Exit, Failure> {
    let named = |unsettable: &[server::Unsettable]| {
        for unset in unsettable {
            context.say(&format!("Note: {}: {}.", unset.item, unset.what));
        }
    };
    let done = server::restore_watch_state(
        repository,
        snapshot,
        target,
        (jellyfin, options),
        &context.monitor,
        named,
    )?;
    let problems = done.problems();
    if context.global.json {
        to_json::print(&done);
    } else {
        if !context.global.quiet {
            let words = words(context, args, (&done, jellyfin), &snapshot.0);
            output::print_outcome(&words, args.dry_run, "the watch state was restored")?;
        }
        if !problems.is_empty() {
            tell_problems(context, problems.len() as u64, &problems);
        }
    }
    Ok(if problems.is_empty() { Exit::Done } else { Exit::Problems })
}

fn words(
    context: &Context,
    args: &RestoreArgs,
    (done, jellyfin): (&ThroughServer, &Jellyfin),
    id: &SnapshotId,
) -> String {
    let report = &done.report;
    let mut out = String::new();
    if let Some(safety) = &report.safety {
        // What had no state before is only taken back by a restore that removes.
        let delete = if done.has_added { " --delete" } else { "" };
        out.push_str(&format!(
            "Took snapshot {0} of the database before the change. To undo: {1} restore {0} --watch-state --user {2}{delete}{3}\n",
            render::short(safety),
            context.command_name(),
            render::argument(report.user.as_ref()),
            same_target(args)
        ));
    }
    let server =
        if jellyfin.about.name.is_empty() { "the server" } else { jellyfin.about.name.as_str() };
    let would = if report.dry_run { "would be" } else { "was" };
    out.push_str(&format!(
        "The watch state {would} set through the running server ({server}, version {}).\n",
        jellyfin.about.version
    ));
    let unsaved = ops::WatchStateReport { safety: None, ..report.clone() };
    out.push_str(&watch_words(
        &unsaved,
        &render::short(id),
        report.dry_run,
        context.global.verbose,
        &(context.command_name(), same_target(args)),
    ));
    out
}

/// `--through-server`, `--playlist`, `--collection`.
pub fn run(context: &Context, args: &RestoreArgs) -> Result<Exit, Failure> {
    let what = if args.through_server {
        "--through-server"
    } else {
        "restoring a playlist or a collection"
    };
    let client = jellyfin::needed(context, what)?;
    let repository = context.open()?;
    let target = target_of(context, &repository, args)?;
    context.mean_server(&repository, target.server.id.as_deref())?;
    let catalog = context.catalog_named(&repository, &[&args.snapshot.name])?;
    let snapshot = context.resolve(&catalog, &args.snapshot.name)?;
    if !args.other_server {
        ops::check_server(&snapshot.0, &snapshot.1, &target)?;
    }
    let jellyfin = Jellyfin::connect(client, jellyfin::known(&target.server, &snapshot.1)?)?;
    let list = args
        .playlist
        .as_deref()
        .map(|name| (ListKind::Playlist, name))
        .or(args.collection.as_deref().map(|name| (ListKind::Collection, name)));
    match list {
        Some((kind, name)) => {
            let options =
                ListOptions { kind, name, dry_run: args.dry_run, other_server: args.other_server };
            let report = server::restore_list(
                &repository,
                snapshot,
                &target,
                (&jellyfin, options),
                &context.monitor,
            )?;
            tell_list(context, &report, &render::short(&snapshot.0))
        }
        None => picture(context, args, (&repository, &target, snapshot), &jellyfin),
    }
}

fn tell_list(context: &Context, report: &ListReport, id: &str) -> Result<Exit, Failure> {
    let exit = if report.problems.is_empty() { Exit::Done } else { Exit::Problems };
    if context.global.json {
        to_json::print(
            &json!({"list": report, "dry_run": report.dry_run, "problems": report.problems}),
        );
        return Ok(exit);
    }
    let would = if report.dry_run { "would be" } else { "was" };
    let entries = render::plural(report.added.len() as u64, "entry", "entries");
    let owner = report.owner.as_ref().map_or_else(String::new, |owner| format!(" of {owner}"));
    let cover = if report.cover { " and its cover" } else { "" };
    let begin = format!("The {} {}{owner} {would}", report.kind.word(), report.name);
    let mut out = if report.created {
        format!("{begin} made again from snapshot {id}, with {entries}{cover}.\n")
    } else if report.added.is_empty() && !report.cover {
        format!(
            "The {} {}{owner} has all entries of snapshot {id} that are in the library. Nothing {would} changed.\n",
            report.kind.word(),
            report.name
        )
    } else {
        format!(
            "{begin} completed from snapshot {id}: {entries}{cover} added at its end, {} already there.\n",
            report.present
        )
    };
    for name in &report.added {
        out.push_str(&format!("  + {name}\n"));
    }
    if !context.global.quiet {
        output::print_outcome(&out, report.dry_run, "it was restored")?;
    }
    if !report.problems.is_empty() {
        tell_problems(context, report.problems.len() as u64, &report.problems);
    }
    Ok(exit)
}

fn picture(
    context: &Context,
    args: &RestoreArgs,
    (repository, target, snapshot): (&Repository, &InstanceTarget, &(SnapshotId, SnapshotRecord)),
    jellyfin: &Jellyfin,
) -> Result<Exit, Failure> {
    let (Some(title), Some(word)) = (args.item.first(), args.item.get(1)) else {
        return Err(Failure::usage(
            "--through-server sets one picture, and none was named",
            "Name it after the title: --item TITLE poster --through-server.",
        ));
    };
    let (item, path) = titles::one_picture(repository, snapshot, title, word)?;
    let name = String::from_utf8_lossy(file_name(&path)).into_owned();
    let kind = image_word_of_file(&name).and_then(kind_of_word).filter(|_| item.kind != "user").ok_or_else(|| {
        Failure::refused(
            &format!("{name} of {} cannot be set through the server; nothing was changed", item.name),
            "Through the server: poster, logo, thumbnail, banner, art, disc. Restore other pictures as files: --in-place instead of --through-server.",
        )
    })?;
    let mut bytes = Vec::new();
    ops::cat(repository, snapshot, &path, &mut bytes)?;
    let options = PictureOptions { kind, dry_run: true };
    let planned = server::restore_picture(jellyfin, item.id, &bytes, options)?;
    if args.dry_run {
        return tell_picture(context, &planned, (&item.name, &name), &snapshot.0, None);
    }
    let safety = if args.no_safety_snapshot {
        None
    } else {
        ops::keep_pictures(
            repository,
            target,
            (&item.name, word),
            context.host(),
            &context.monitor,
        )?
    };
    let report = server::restore_picture(
        jellyfin,
        item.id,
        &bytes,
        PictureOptions { dry_run: false, ..options },
    )?;
    let undo = safety.map(|safety| {
        let id = format!("{:032x}", item.id);
        format!(
            "{} restore {} --item {id} {} --through-server{}",
            context.command_name(),
            render::short(&safety),
            render::argument(word.as_ref()),
            same_target(args)
        )
    });
    tell_picture(context, &report, (&item.name, &name), &snapshot.0, safety.zip(undo))
}

fn tell_picture(
    context: &Context,
    report: &PictureReport,
    (item, name): (&str, &str),
    id: &SnapshotId,
    safety: Option<(SnapshotId, String)>,
) -> Result<Exit, Failure> {
    let is_dry = report.tag.is_none();
    // A picture beside the media is in no snapshot, so nobody can bring it back.
    let is_kept = report.path_before.as_ref().is_none_or(|path| path.contains("/metadata/"));
    if context.global.json {
        to_json::print(&json!({
            "picture": report, "item": item, "file": name, "dry_run": is_dry, "replaced_is_in_a_snapshot": is_kept && !is_dry && safety.is_some(),
            "safety_snapshot": safety.map(|(id, _)| id.to_string()), "problems": [],
        }));
        return Ok(Exit::Done);
    }
    let mut out = String::new();
    if let Some((safety, undo)) = safety.filter(|_| report.tag_before.is_some() && is_kept) {
        out.push_str(&format!(
            "Took snapshot {} of the pictures before the change. To undo: {undo}\n",
            render::short(&safety)
        ));
    }
    let would = if is_dry { "would be" } else { "was" };
    out.push_str(&format!(
        "{name} of {item} {would} set through the server from snapshot {} ({}).",
        render::short(id),
        render::size(report.bytes as u64)
    ));
    out.push_str(if is_dry {
        " Nothing was changed.\n"
    } else {
        " The server shows it now; reload the page in the browser.\n"
    });
    if let Some(path) = report.path_before.as_ref().filter(|_| !is_kept) {
        context.say(&format!(
            "Note: the picture that {} before lies beside the media ({path}), which is part of no snapshot.",
            if is_dry { "is shown" } else { "was shown" }
        ));
    }
    if !context.global.quiet {
        output::print_outcome(&out, is_dry, "the picture was set")?;
    }
    Ok(Exit::Done)
}
