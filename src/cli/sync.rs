//! `sync`.

use std::path::Path;

use crate::manifest::Catalog;
use crate::ops::{self, SyncOptions, SyncReport};
use crate::store::{Error, Repository};

use super::context::Context;
use super::copied::{failed, note_if_scheduled, open_copy};
use super::copy_args::SyncArgs;
use super::failure::Failure;
use super::known::Known;
use super::meant::refuse_lost_list;
use super::{Exit, json as to_json, output, place, render};

pub fn run(context: &Context, args: &SyncArgs) -> Result<Exit, Failure> {
    let source = context.open()?;
    let options = SyncOptions { again: args.again, dry_run: args.dry_run };
    place::refuse_remote_place(&args.to, "copies", "--to")?;
    refuse_lost_list(&source, &Catalog::load(&source).map_err(ops::Error::from)?)?;
    let began = jiff::Timestamp::now();
    let report = match target(context, &source, args)? {
        Some(target) => ops::sync(&source, &target, &options, &context.monitor)
            .map_err(|error| failed(error, &args.to))?,
        None => of_nothing(&source)?,
    };
    let is_well = report.problems.is_empty();
    if is_well && !args.dry_run {
        note_if_scheduled(context, &source, &args.to, began);
    }
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet || !is_well {
        let words = words(&report, &args.to);
        output::print_outcome(&words, args.dry_run, "the repository was synced")?;
    }
    Ok(if is_well { Exit::Done } else { Exit::Problems })
}

/// The copy; it is made where there is none. Nothing where none is, and a dry run makes none.
fn target(
    context: &Context,
    source: &Repository,
    args: &SyncArgs,
) -> Result<Option<Repository>, Failure> {
    let mut known = Known::load();
    let made = match open_copy(context, source, &args.to)? {
        Ok(target) => target,
        Err(Error::NoRepository { .. }) if known.last_used(&args.to).is_some() && !args.init => {
            return Err(Failure::gone(
                &known,
                &args.to,
                "If you deleted the copy and want a new one, add --init.",
            ));
        }
        Err(Error::NoRepository { .. }) if args.dry_run => return Ok(None),
        Err(Error::NoRepository { .. }) => {
            let made = context
                .with_access(|access| Repository::init_copy(&args.to, source, access))
                .map_err(ops::Error::from)?;
            context.say(&format!("Created an empty copy at {}.", args.to.display()));
            made
        }
        Err(error) => return Err(ops::Error::from(error).into()),
    };
    if made.config().id == source.config().id {
        known.remember(&args.to, made.config().is_encrypted());
    }
    Ok(Some(made))
}

fn of_nothing(source: &Repository) -> Result<SyncReport, Failure> {
    let catalog = Catalog::load(source).map_err(ops::Error::from)?;
    let listed =
        source.backend().list("packs/").map_err(|error| ops::Error::from(Error::from(error)))?;
    let packs = listed.iter().filter(|file| crate::store::pack_id(&file.name).is_some());
    let (count, bytes) =
        packs.fold((0, 0), |(count, bytes), pack| (count + 1, bytes + pack.size_bytes));
    Ok(SyncReport {
        snapshots: catalog.snapshots.iter().map(|(id, _)| *id).collect(),
        packs: count,
        bytes,
        dry_run: true,
        ..SyncReport::default()
    })
}

fn words(report: &SyncReport, to: &Path) -> String {
    let copied = format!(
        "{} ({}, {})",
        render::plural(report.snapshots.len() as u64, "snapshot", "snapshots"),
        render::plural(report.packs, "pack", "packs"),
        render::size(report.bytes)
    );
    let mut out = match (report.snapshots.is_empty(), report.dry_run) {
        (true, _) => format!("Nothing new: {} has every snapshot.\n", to.display()),
        (false, true) => format!(
            "Would copy {copied} to {}. Nothing was changed: this was a dry run.\n",
            to.display()
        ),
        (false, false) => {
            format!("Copied {copied} to {}, and verified them there.\n", to.display())
        }
    };
    if !report.dry_run {
        out.push_str(&format!(
            "The copy has {}.\n",
            render::plural(report.in_copy, "snapshot", "snapshots")
        ));
    }
    if report.forgotten_there > 0 {
        out.push_str(&format!(
            "{} forgotten in the copy before and not copied again. To copy them again, add --again.\n",
            render::plural(report.forgotten_there, "snapshot was", "snapshots were")
        ));
    }
    for problem in &report.problems {
        out.push_str(&format!("Problem: {}: {}\n", problem.path, problem.what));
    }
    out
}
