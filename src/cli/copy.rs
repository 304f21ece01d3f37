//! `copy`.

use crate::manifest::{Catalog, SnapshotId, SnapshotRecord, instance_of};
use crate::ops::{self, CopyOptions, CopyReport};
use crate::store::{Access, Error, Repository};

use super::context::Context;
use super::copied::failed;
use super::copy_args::CopyArgs;
use super::failure::Failure;
use super::known::Known;
use super::meant::refuse_lost_list;
use super::{Exit, json as to_json, output, passphrase, place, render};

pub fn run(context: &Context, args: &CopyArgs) -> Result<Exit, Failure> {
    place::refuse_remote_place(&args.to, "repositories", "--to")?;
    let source = context.open()?;
    let catalog = Catalog::load(&source).map_err(ops::Error::from)?;
    refuse_lost_list(&source, &catalog)?;
    context.choose_server(&source, &catalog)?;
    let snapshots = wanted(context, &source, &catalog, args)?;
    let target = open(context, args)?;
    let options = CopyOptions {
        snapshots,
        again: args.again,
        dry_run: args.dry_run,
        trusts_source: Known::load().has_made(&source.config().id),
    };
    let report = ops::copy(&source, &target, &options, &context.monitor)
        .map_err(|error| failed(error, &args.to))?;
    let is_well = report.problems.is_empty();
    if context.global.json {
        to_json::print(&report);
    } else if !context.global.quiet || !is_well {
        let words = words(&report, args);
        output::print_outcome(&words, args.dry_run, "the snapshots were copied")?;
    }
    Ok(if is_well { Exit::Done } else { Exit::Problems })
}

/// Which snapshots are copied; all where nothing is said.
fn wanted(
    context: &Context,
    source: &Repository,
    catalog: &Catalog,
    args: &CopyArgs,
) -> Result<Option<Vec<SnapshotId>>, Failure> {
    let named = |name: &String| Ok(context.resolve_in(source, catalog, name)?.0);
    if !args.snapshots.is_empty() {
        return args.snapshots.iter().map(named).collect::<Result<_, Failure>>().map(Some);
    }
    let policy = args.rules.policy();
    let server = context.server.borrow().clone();
    let by_rules = if policy.is_empty() {
        None
    } else {
        Some(ops::kept_by_rules(source, catalog, &policy, &context.zone)?)
    };
    if by_rules.is_none() && server.is_none() {
        return Ok(None);
    }
    let is_wanted = |(id, record): &&(SnapshotId, SnapshotRecord)| {
        by_rules.as_ref().is_none_or(|kept| kept.contains(id))
            && server.as_deref().is_none_or(|server| server == instance_of(record))
    };
    Ok(Some(catalog.snapshots.iter().filter(is_wanted).map(|(id, _)| *id).collect()))
}

/// The target, by a passphrase of its own where it has one.
fn open(context: &Context, args: &CopyArgs) -> Result<Repository, Failure> {
    let keys = |slots: &crate::store::encryption::KeySlots| {
        let (file, command) = (&args.to_passphrase_file, &args.to_passphrase_command);
        passphrase::unlock_other(context, slots, (file.as_deref(), command.as_deref()), &args.to)
            .map(|(_, keys)| keys)
    };
    let opened = context.with_access(|access| {
        Repository::open_as(
            &args.to,
            &Access { keys: &keys, cache_home: access.cache_home.clone(), waiting: access.waiting },
        )
    });
    let known = Known::load();
    let target = match opened {
        Err(Error::NoRepository { .. }) if known.last_used(&args.to).is_some() => {
            return Err(Failure::gone(
                &known,
                &args.to,
                "If you deleted it, create a new one with jellyvault init.",
            ));
        }
        Err(Error::NoRepository { path }) => {
            return Err(Failure::not_found(
                &format!("there is no repository at {} to copy into", path.display()),
                &format!(
                    "Create it first: jellyvault --repo {} init, with --encrypt if it is to be encrypted.",
                    render::argument(&args.to)
                ),
            ));
        }
        opened => opened.map_err(ops::Error::from)?,
    };
    context.refuse_plain(&args.to, &target)?;
    Ok(target)
}

fn words(report: &CopyReport, args: &CopyArgs) -> String {
    let count = |count: usize| render::plural(count as u64, "snapshot", "snapshots");
    let to = args.to.display();
    let mut out = match (report.snapshots.is_empty(), report.dry_run) {
        (true, _) => format!(
            "Nothing to copy to {to}: {} there already.\n",
            render::plural(report.were_there, "snapshot is", "snapshots are")
        ),
        (false, true) => format!(
            "Would copy {} to {to}. Nothing was changed: this was a dry run.\n",
            count(report.snapshots.len())
        ),
        (false, false) => format!(
            "Copied {} to {to}; {} new data stored there.\n",
            count(report.snapshots.len()),
            render::size(report.stored)
        ),
    };
    if report.forgotten_there > 0 {
        out.push_str(&format!(
            "{} forgotten there before and not copied again. To copy them again, add --again.\n",
            render::plural(report.forgotten_there, "snapshot was", "snapshots were")
        ));
    }
    for problem in &report.problems {
        out.push_str(&format!("Problem: {}: {}\n", problem.path, problem.what));
    }
    out
}
