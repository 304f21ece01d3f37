//! Brings the copies of the repository up to date.

use std::collections::HashSet;
use std::path::Path;

use jiff::Timestamp;

use crate::manifest::{Catalog, Chain, Policy, SnapshotId};
use crate::ops::{self, Forget, PruneOptions, SyncOptions};
use crate::service::Loaded;
use crate::store::Repository;

use super::super::context::Context;
use super::super::copied::{failed, note, open_copy};
use super::super::failure::Failure;
use super::super::render;
use super::facts::{PRUNE_WAIT, is_made};

/// All of them; one that fails does not keep the others from being brought up to date. One that is
/// not there is no failure: its disk is not connected, and the overview says for how long.
pub fn run(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let source = context.open()?;
    context.catalog(&source)?;
    let policy = loaded.config.copy.policy()?;
    let places = loaded.config.copy.places();
    if places.is_empty() {
        return Ok((true, "[copy] names no directory (to), so nothing was copied".to_owned()));
    }
    let (mut words, mut is_well) = (Vec::new(), true);
    for place in &places {
        // None is made here: a disk that is not mounted would get it on the disk below.
        if !is_made(place) {
            words.push(format!("{}: not there (is its disk connected?)", place.display()));
            continue;
        }
        match bring_up_to_date(context, &source, place, policy.as_ref()) {
            Ok((is_whole, said)) => {
                is_well &= is_whole;
                words.push(said);
            }
            Err(failure) if failure.is_interrupt() => return Err(failure),
            Err(failure) => {
                is_well = false;
                words.push(format!("{}: {}", place.display(), failure.in_one_line()));
            }
        }
    }
    Ok((is_well, words.join("; ")))
}

fn bring_up_to_date(
    context: &Context,
    source: &Repository,
    place: &Path,
    policy: Option<&Policy>,
) -> Result<(bool, String), Failure> {
    let began = Timestamp::now();
    let target = open_copy(context, source, place)?.map_err(ops::Error::from)?;
    let report = ops::sync(source, &target, &SyncOptions::default(), &context.monitor)
        .map_err(|error| failed(error, place))?;
    let mut is_whole = report.problems.is_empty();
    let mut words = format!(
        "{}: {} copied ({})",
        place.display(),
        render::plural(report.snapshots.len() as u64, "snapshot", "snapshots"),
        render::size(report.bytes)
    );
    if let Some(problem) = report.problems.first() {
        words.push_str(&format!(", but {}: {}", problem.path, problem.what));
    }
    if is_whole {
        note(source, place, began);
    }
    if let Some(policy) = policy {
        let (is_pruned, said) = forget_in(context, (source, &target), policy)?;
        is_whole &= is_pruned;
        words.push_str(&said);
    }
    Ok((is_whole, words))
}

/// Forgets in a copy what its own rules do not keep and nobody protects, and frees the space.
fn forget_in(
    context: &Context,
    (source, target): (&Repository, &Repository),
    policy: &Policy,
) -> Result<(bool, String), Failure> {
    let catalog = Catalog::load(target).map_err(ops::Error::from)?;
    let protected: HashSet<SnapshotId> =
        Chain::kept(source).map_err(ops::Error::from)?.into_iter().collect();
    let plan = Forget::By(policy.clone());
    let forgetting = ops::plan_forget(target, &catalog, &plan, &context.zone, &context.monitor)?;
    let mut dropped = forgetting.dropped();
    dropped.retain(|id| !protected.contains(id));
    ops::forget(target, &dropped)?;
    let options = PruneOptions { wait: PRUNE_WAIT, ..PruneOptions::default() };
    let report = ops::prune(target, &options, &context.monitor)?;
    let mut words = String::new();
    if !dropped.is_empty() || report.freed > 0 {
        words = format!(
            ", {} forgotten there ({} freed)",
            render::plural(dropped.len() as u64, "snapshot", "snapshots"),
            render::size(report.freed)
        );
    }
    if let Some(problem) = report.problems.first() {
        words.push_str(&format!(", but {}: {}", problem.path, problem.what));
    }
    Ok((report.problems.is_empty(), words))
}
