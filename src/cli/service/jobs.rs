//! Does a job: the same as the command of its name.

use std::time::Instant;

use jiff::Timestamp;

use crate::manifest::{Catalog, Chain, Policy};
use crate::ops::{
    self, CheckOptions, DrillOptions, Forget, PruneOptions, Session, Share, SnapshotOptions,
};
use crate::service::{ConfigError, Job, JobLog, Loaded, Outcome, SuddenLoss, run_hook};
use crate::source::Category;
use crate::store::Repository;

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::key_args::EncryptArgs;
use super::super::open_or_make::open_or_make;
use super::super::{check, render, source};
use super::copies;
use super::facts::{PRUNE_WAIT, Whose};
use super::report;

/// Hundredths of the data that a check reads where nothing is said.
const READ_PERCENT: f64 = 5.0;

/// Does a job with the programs that run around it; what became of it. An interrupt is a failure of
/// the whole.
pub fn run(context: &Context, loaded: &Loaded, job: Job) -> Result<Outcome, Failure> {
    let (began, started) = (Timestamp::now(), Instant::now());
    tracing::info!(job = job.name(), "a job begins");
    let hooks = &loaded.config.hooks;
    let limit = hooks.limit().map_err(|what| ConfigError::Value { section: "hooks", what })?;
    let variables = [("JELLYVAULT_JOB", job.name())];
    let ends = || context.monitor.interrupt.is_raised();
    let before = run_hook(&hooks.before, &variables, limit, &ends);
    let is_begun = before.is_ok();
    let done = match before {
        Ok(()) => match job {
            Job::Snapshot => snapshot(context, loaded),
            Job::Copy => copies::run(context, loaded),
            Job::Retention => retention(context, loaded),
            Job::Check => check(context, loaded),
            Job::Drill => drill(context, loaded),
            Job::Report => report::run(context, loaded),
        },
        Err(error) => Ok((
            false,
            format!(
                "the job was not run, because the program set as before in [hooks] failed: {error}"
            ),
        )),
    };
    let is_damage =
        matches!(job, Job::Check | Job::Drill) && matches!(done, Ok((false, _))) && is_begun;
    let (is_ok, mut words) = match done {
        Ok(done) => done,
        Err(failure) if failure.is_interrupt() => return Err(failure),
        Err(failure) => (false, failure.in_one_line()),
    };
    let (name, command) = if is_ok { ("after", &hooks.after) } else { ("failed", &hooks.failed) };
    if let Err(error) = run_hook(command, &variables, limit, &ends) {
        context.complain(&format!(
            "the program set as {name} in [hooks] failed (job {}): {error}",
            job.name()
        ));
        words.push_str(&format!(" (the program set as {name} in [hooks] failed: {error})"));
    }
    tracing::info!(job = job.name(), is_ok, words, "a job has ended");
    Ok(Outcome {
        began,
        is_ok,
        words,
        took_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        is_damage,
    })
}

fn snapshot(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let config = &loaded.config.snapshot;
    let own = SourceArgs::default();
    let found = source::find(context, &own);
    let repository = open_or_make(context, false, &EncryptArgs::default())?;
    // What is found beside the repository's own memory, too.
    let (instance, spec) = match found {
        Ok(_) => source::find_known(context, &own, &repository)?,
        Err(failure) if failure.is_no_instance() => {
            source::find_to_capture(context, &own, &repository)?
        }
        Err(failure) => return Err(failure),
    };
    source::refuse_another(context, &own, &repository, &spec)?;
    let only = if config.skip.is_empty() {
        Vec::new()
    } else {
        Category::ALL.into_iter().filter(|category| !config.skip.contains(category)).collect()
    };
    let options = SnapshotOptions {
        only,
        exclude: config.exclude.clone(),
        scratch: context.global.scratch_dir.clone(),
        host: context.host(),
        ..SnapshotOptions::default()
    };
    let whose = Whose::of(&instance, spec.server.id.clone());
    let before = Catalog::newest(&repository, |record| whose.has(record) && record.is_complete())
        .map_err(ops::Error::from)?;
    let report = ops::snapshot(&repository, &spec, &options, &context.monitor)?;
    if let (Some(before), Some(id)) = (&before, report.id) {
        look_for_losses(context, &repository, before, &(id, report.record.clone()))?;
    }
    let (record, id) = (&report.record, report.id.as_ref().map(render::short).unwrap_or_default());
    let problems = match record.problem_count {
        0 => String::new(),
        count => format!(", {}", render::plural(count, "problem", "problems")),
    };
    let words = format!(
        "snapshot {id}: {} new, {} changed, {} gone, {} added{problems}",
        render::count(record.files.new),
        render::count(record.files.changed),
        render::count(record.files.gone),
        render::size(record.bytes.new_stored)
    );
    Ok((true, words))
}

/// Much that is gone at once is noted, and the snapshot before is protected: rules might forget it
/// before anybody notices.
fn look_for_losses(
    context: &Context,
    repository: &Repository,
    before: &ops::Snapshot,
    after: &ops::Snapshot,
) -> Result<(), Failure> {
    let losses = ops::losses(repository, before, after, &context.monitor)?;
    let (Some(path), false) = (repository.job_log_file(), losses.is_empty()) else { return Ok(()) };
    let words: Vec<String> = losses
        .iter()
        .map(|loss| {
            format!("{} of {} {}", render::count(loss.count), render::count(loss.of), loss.what)
        })
        .collect();
    let (words, id) = (words.join(", "), before.0.to_string());
    let mut log = JobLog::read(&path);
    let known = log.loss.take().filter(|known| known.before == id);
    // Who takes the protection away has seen it: the next snapshots miss the same.
    let is_kept = Chain::kept(repository).map_err(ops::Error::from)?.contains(&before.0);
    if known.as_ref().is_some_and(|known| !is_kept && known.words == words) {
        return Ok(());
    }
    ops::keep(repository, &[before.0], true)?;
    let seen = known.map_or_else(|| render::moment(after.1.time_ns), |known| known.seen);
    log.loss = Some(SuddenLoss { seen, before: id, words });
    log.write(&path).map_err(|source| ops::Error::Target { verb: "write", path, source }.into())
}

fn retention(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let repository = context.open()?;
    let catalog = context.catalog(&repository)?;
    let policy =
        Policy { server: context.server.borrow().clone(), ..loaded.config.retention.policy()? };
    let forgetting = ops::plan_forget(
        &repository,
        &catalog,
        &Forget::By(policy),
        &context.zone,
        &context.monitor,
    )?;
    let dropped = forgetting.dropped();
    ops::forget(&repository, &dropped)?;
    let options = PruneOptions { wait: PRUNE_WAIT, ..PruneOptions::default() };
    let report = ops::prune(&repository, &options, &context.monitor)?;
    let words = format!(
        "{} forgotten, {} freed",
        render::plural(dropped.len() as u64, "snapshot", "snapshots"),
        render::size(report.freed)
    );
    match report.problems.first() {
        None => Ok((true, words)),
        Some(problem) => Ok((false, format!("{words}, but {}: {}", problem.path, problem.what))),
    }
}

fn check(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let repository = context.open()?;
    let percent = loaded.config.check.read_percent.unwrap_or(READ_PERCENT);
    let read = if percent > 0.0 { Share::Percent(percent) } else { Share::Nothing };
    let report = ops::check(&repository, &CheckOptions { read, threads: 0 }, &context.monitor)?;
    if report.is_ok() {
        return Ok((
            true,
            format!(
                "{} checked, {} read: no damage",
                render::plural(report.snapshots, "snapshot", "snapshots"),
                render::size(report.read.bytes)
            ),
        ));
    }
    let first =
        report.findings.first().map(|finding| format!("{}: {}", finding.name, finding.what));
    let first = first.unwrap_or_else(|| {
        check::by_path(&report.damage).trim().lines().next().unwrap_or_default().trim().to_owned()
    });
    let count = report.findings.len() as u64 + report.damage_count;
    Ok((false, format!("{} found; the first: {first}", render::plural(count, "fault", "faults"))))
}

fn drill(context: &Context, loaded: &Loaded) -> Result<(bool, String), Failure> {
    let repository = context.open()?;
    let whose = Whose::find(context);
    let newest = Catalog::newest(&repository, |record| whose.has(record) && record.is_complete())
        .map_err(ops::Error::from)?;
    let Some(snapshot) = newest else {
        return Ok((true, "there is no complete snapshot yet, so nothing was restored".to_owned()));
    };
    let session = Session::on(repository);
    let report = ops::drill(
        &session,
        &snapshot,
        &DrillOptions { files: loaded.config.drill.files() },
        &context.monitor,
    )?;
    let files = render::plural(report.files, "file", "files");
    let mut words = format!(
        "{files} of snapshot {} restored and compared ({})",
        render::short(&snapshot.0),
        render::size(report.bytes)
    );
    if let Some(failed) = report.failed.first() {
        let count = render::plural(report.failed.len() as u64, "file", "files");
        return Ok((
            false,
            format!(
                "{count} did not come back; the first: {}: {}. {words}",
                failed.path, failed.what
            ),
        ));
    }
    if !report.databases.is_empty() {
        words.push_str(&format!("; {} opened and checked", report.databases.join(", ")));
    }
    report
        .unsound
        .iter()
        .for_each(|problem| words.push_str(&format!(". In {}, {}", problem.path, problem.what)));
    Ok((true, words))
}
