//! Brings the copies of the repository up to date.

use std::path::Path;

use crate::manifest::{Catalog, Policy};
use crate::ops::{self, Forget, PruneOptions, SyncOptions};
use crate::service::Loaded;
use crate::store::{Error, Repository};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::render;
use super::super::sync::open_copy;
use super::jobs::WAIT;

/// All of them; one that fails does not keep the others from being brought up to date.
pub fn run(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let source = context.open()?;
    let policy = loaded.config.copy.policy()?;
    let places = loaded.config.copy.places();
    if places.is_empty() {
        return Ok((
            true,
            "no copy is configured (to in [copy]), so nothing was copied".to_owned(),
        ));
    }
    let (mut words, mut failures) = (Vec::new(), Vec::new());
    let mut is_well = true;
    for place in &places {
        match bring_up_to_date(context, &source, place, policy.as_ref()) {
            Ok((is_whole, said)) => {
                is_well &= is_whole;
                words.push(said);
            }
            Err(failure) if failure.is_interrupt() => return Err(failure),
            Err(failure) => failures.push(failure),
        }
    }
    // One that is not there is told as that, if nothing else is wrong.
    if words.is_empty() && failures.len() == 1 {
        return Err(failures.swap_remove(0));
    }
    is_well &= failures.is_empty();
    words.extend(failures.iter().map(Failure::in_one_line));
    Ok((is_well, words.join("; ")))
}

fn bring_up_to_date(
    context: &Context,
    source: &Repository,
    place: &Path,
    policy: Option<&Policy>,
) -> Result<(bool, String), Failure> {
    let target = match open_copy(context, source, place)? {
        Ok(target) => target,
        // None is made here: a disk that is not mounted would get it on the disk below.
        Err(error @ Error::NoRepository { .. }) => {
            return Err(Failure::from(ops::Error::from(error)).saying(
                &format!(
                    "there is no copy of the repository at {}. Its disk is probably not mounted; if there never was a copy, create it once: jellyvault sync --to {}",
                    place.display(),
                    render::argument(place)
                ),
                "Mount the disk of the copy.",
            ));
        }
        Err(error) => return Err(ops::Error::from(error).into()),
    };
    let report = ops::sync(source, &target, &SyncOptions::default(), &context.monitor)?;
    let mut words = format!(
        "{}: {} copied ({})",
        place.display(),
        render::plural(report.snapshots.len() as u64, "snapshot", "snapshots"),
        render::size(report.bytes)
    );
    if let Some(problem) = report.problems.first() {
        words.push_str(&format!(", but {}: {}", problem.path, problem.what));
    }
    if let Some(policy) = policy {
        words.push_str(&forget_in(context, &target, policy)?);
    }
    Ok((report.problems.is_empty(), words))
}

/// Forgets in a copy what its own rules do not keep.
fn forget_in(context: &Context, target: &Repository, policy: &Policy) -> Result<String, Failure> {
    let catalog = Catalog::load(target).map_err(ops::Error::from)?;
    let plan = Forget::By(policy.clone());
    let forgetting = ops::plan_forget(target, &catalog, &plan, &context.zone, &context.monitor)?;
    let dropped = forgetting.dropped();
    if dropped.is_empty() {
        return Ok(String::new());
    }
    ops::forget(target, &dropped)?;
    let options = PruneOptions { wait: WAIT, ..PruneOptions::default() };
    let report = ops::prune(target, &options, &context.monitor)?;
    Ok(format!(
        ", {} forgotten there ({} freed)",
        render::plural(dropped.len() as u64, "snapshot", "snapshots"),
        render::size(report.freed)
    ))
}
