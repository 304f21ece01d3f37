//! `run`: does what is due now, and ends. For cron and systemd timers; `serve` does the same again
//! and again.

use jiff::Zoned;
use serde_json::json;

use crate::service::{ConfigError, Job, JobLog, Level, Loaded, Outcome, due, run_hook};
use crate::store::Repository;

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::service_args::RunArgs;
use super::super::{Exit, json as to_json, output};
use super::facts::{Claim, Schedules, Whose, claim, is_made, open, past};
use super::notice::Looked;
use super::quiet::Patience;
use super::{jobs, notice};

pub fn run(context: &Context, args: &RunArgs) -> Result<Exit, Failure> {
    let loaded = context.settings()?;
    let schedules = Schedules::of(loaded)?;
    let now = Zoned::now().with_time_zone(context.zone.clone());
    let chosen = if args.job.is_empty() {
        due_now(context, loaded, &schedules, &now, !args.dry_run)?
    } else {
        named(&args.job)?
    };
    if args.dry_run {
        return tell_plan(context, &schedules, &chosen, &now);
    }
    let mut patience = Patience::default();
    let done = do_all(context, loaded, &chosen, |job| {
        // Who names a job wants it now.
        if args.job.is_empty() { patience.wait(context, loaded, job) } else { Ok(None) }
    })?;
    let Some(done) = done else {
        return tell_busy(context);
    };
    let later = Zoned::now().with_time_zone(context.zone.clone());
    let Looked { standing, is_news, .. } =
        notice::look_and_tell(context, loaded, &schedules, &done, &later)?;
    let next = schedules.next(&later);
    if context.global.json {
        let jobs: Vec<_> = done.iter().map(|(job, outcome)| json!({"job": job, "ok": outcome.is_ok, "what": outcome.words, "ms": outcome.took_ms})).collect();
        let next: Vec<_> =
            next.iter().map(|(job, time)| json!({"job": job, "time": time.timestamp()})).collect();
        to_json::print(&json!({"jobs": jobs, "next": next, "standing": standing}));
    } else {
        let mut out = String::new();
        for (job, outcome) in &done {
            if !context.global.quiet || !outcome.is_ok {
                out.push_str(&line(*job, outcome));
            }
        }
        if done.is_empty() && !context.global.quiet {
            out.push_str(&format!("Nothing is due. {}\n", next_words(&next)));
        }
        output::print_outcome(&out, done.is_empty(), "the jobs were run")?;
        // Who wants quiet is told what is new, and not the same every five minutes.
        if standing.level != Level::Good && (is_news || !context.global.quiet) {
            notice::tell(&standing);
        }
    }
    let is_ok = done.iter().all(|(_, outcome)| outcome.is_ok);
    Ok(match (is_ok, standing.level) {
        (false, _) => Exit::Failed,
        (true, Level::Good) => Exit::Done,
        (true, _) => Exit::Problems,
    })
}

/// A job and what became of it, in a line.
pub fn line(job: Job, outcome: &Outcome) -> String {
    format!("{}{}: {}\n", job.name(), if outcome.is_ok { "" } else { " failed" }, outcome.words)
}

/// When the jobs are done next.
pub fn next_words(next: &[(Job, Zoned)]) -> String {
    let words: Vec<String> = next
        .iter()
        .map(|(job, time)| format!("{} at {}", job.name(), time.strftime("%Y-%m-%d %H:%M")))
        .collect();
    if words.is_empty() {
        "No job is scheduled.".to_owned()
    } else {
        format!("Next: {}.", words.join(", "))
    }
}

/// The jobs that are due. Where the repository's disk is away and a program is there to mount it,
/// that is asked first.
pub fn due_now(
    context: &Context,
    loaded: &Loaded,
    schedules: &Schedules,
    now: &Zoned,
    may_mount: bool,
) -> Result<Vec<Job>, Failure> {
    let hooks = &loaded.config.hooks;
    if may_mount && !hooks.before.is_empty() && !is_made(&context.repository_path()?) {
        let limit = hooks.limit().map_err(|what| ConfigError::Value { section: "hooks", what })?;
        // Where it fails the job that follows tells why.
        let ends = || context.monitor.interrupt.is_raised();
        crate::tolerate(run_hook(&hooks.before, &[("JELLYVAULT_JOB", "look")], limit, &ends));
    }
    let repository = open(context)?.ok();
    let log = repository.as_ref().map(log_of).unwrap_or_default();
    let whose = Whose::find(context);
    let mut found = Vec::new();
    for (job, schedule) in schedules.iter() {
        // A repository that is not there has nothing to be forgotten or checked.
        if repository.is_none() && job != Job::Snapshot {
            continue;
        }
        if due(
            schedule,
            past((loaded, repository.as_ref()), &log, job, &whose, now.timestamp())?,
            now,
        )
        .is_some()
        {
            found.push(job);
        }
    }
    Ok(found)
}

/// What became of the jobs of a repository.
pub fn log_of(repository: &Repository) -> JobLog {
    repository.job_log_file().map(|path| JobLog::read(&path)).unwrap_or_default()
}

/// Does jobs one after the other, and notes what became of each; nothing where another process does
/// them. `quiet` waits for the moment of each; what it says of that is noted, too.
pub fn do_all(
    context: &Context,
    loaded: &Loaded,
    chosen: &[Job],
    mut quiet: impl FnMut(Job) -> Result<Option<String>, Failure>,
) -> Result<Option<Vec<(Job, Outcome)>>, Failure> {
    let mut done = Vec::new();
    let mut claimed = None;
    for job in chosen {
        let remark = quiet(*job)?;
        if claimed.is_none()
            && let Ok(repository) = open(context)?
        {
            match claim(&repository) {
                Claim::Ours(lock) => claimed = Some(lock),
                Claim::Others => return Ok(None),
            }
        }
        let mut outcome = jobs::run(context, loaded, *job)?;
        if let Some(remark) = remark {
            outcome.words.push_str(&format!(" ({remark})"));
        }
        if let Ok(repository) = open(context)? {
            note(context, &repository, *job, &outcome);
        }
        if let Err(error) =
            loaded.config.notify.ping(outcome.is_ok, &format!("{}: {}", job.name(), outcome.words))
        {
            context.complain(&format!(
                "the result could not be sent to the healthchecks address: {error}"
            ));
        }
        done.push((*job, outcome));
    }
    Ok(Some(done))
}

/// Another process is at it: that is no failure of this one.
fn tell_busy(context: &Context) -> Result<Exit, Failure> {
    let what = "another jellyvault is already running the jobs of this repository";
    if context.global.json {
        to_json::print(&json!({"jobs": [], "busy": what}));
    } else if !context.global.quiet {
        output::print(&format!("Nothing was done: {what}.\n"))?;
    }
    Ok(Exit::Done)
}

/// Notes a job that was done outside of a run.
pub fn remember(context: &Context, job: Job, outcome: &Outcome) {
    if let Ok(Ok(repository)) = open(context) {
        note(context, &repository, job, outcome);
    }
}

fn note(context: &Context, repository: &Repository, job: Job, outcome: &Outcome) {
    let Some(path) = repository.job_log_file() else { return };
    let mut log = JobLog::read(&path);
    log.note(job, outcome.clone());
    if let Err(error) = log.write(&path) {
        context.complain(&format!(
            "could not record that the job {} has run ({error}), so it may run again",
            job.name()
        ));
    }
}

fn named(names: &[String]) -> Result<Vec<Job>, Failure> {
    let job = |name: &String| {
        let found = Job::ALL.into_iter().find(|job| job.name() == name);
        found.ok_or_else(|| {
            Failure::usage(
                &format!("there is no job {name:?}"),
                "The jobs are snapshot, copy, retention, check, drill and report.",
            )
        })
    };
    let wanted = names.iter().map(job).collect::<Result<Vec<_>, _>>()?;
    Ok(Job::ALL.into_iter().filter(|job| wanted.contains(job)).collect())
}

fn tell_plan(
    context: &Context,
    schedules: &Schedules,
    chosen: &[Job],
    now: &Zoned,
) -> Result<Exit, Failure> {
    let next = schedules.next(now);
    if context.global.json {
        let next: Vec<_> =
            next.iter().map(|(job, time)| json!({"job": job, "time": time.timestamp()})).collect();
        to_json::print(&json!({"due": chosen, "next": next}));
    } else if !context.global.quiet {
        let names: Vec<&str> = chosen.iter().map(|job| job.name()).collect();
        let begin = if names.is_empty() {
            "Nothing is due.".to_owned()
        } else {
            format!("Due now: {}.", names.join(", "))
        };
        output::print(&format!(
            "{begin} {}\nNothing was done: this was a dry run.\n",
            next_words(&next)
        ))?;
    }
    Ok(Exit::Done)
}
