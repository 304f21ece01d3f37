//! What is known of the server, the repository and the jobs, for the schedule and for the overview.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp, Zoned};
use rustix::fs::{FlockOperation, Mode, OFlags};

use crate::manifest::{Catalog, Chain, SnapshotRecord};
use crate::ops::{self, ErrorKind};
use crate::service::{
    Alarm, Away, Facts, Job, JobLog, LastSnapshot, Loaded, Outcome, Past, Schedule,
};
use crate::source::{Instance, Stat};
use crate::store::Repository;

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::known;
use super::super::{jellyfin, render, source};

/// How long pruning waits for those that read: the next snapshot must not wait for a download. It
/// is tried again after ten minutes.
pub const PRUNE_WAIT: std::time::Duration = std::time::Duration::from_secs(20);

/// The configuration's schedules.
pub struct Schedules(Vec<(Job, Schedule)>);

impl Schedules {
    /// Those of the configuration.
    pub fn of(loaded: &Loaded) -> Result<Schedules, Failure> {
        let schedules = Job::ALL.into_iter().map(|job| Ok((job, loaded.config.schedule(job)?)));
        Ok(Schedules(schedules.collect::<Result<_, crate::service::ConfigError>>()?))
    }

    /// Each job with its schedule.
    pub fn iter(&self) -> impl Iterator<Item = (Job, &Schedule)> {
        self.0.iter().map(|(job, schedule)| (*job, schedule))
    }

    /// When each job is done next.
    pub fn next(&self, now: &Zoned) -> Vec<(Job, Zoned)> {
        self.iter().filter_map(|(job, schedule)| Some((job, schedule.next(now)?))).collect()
    }
}

/// The directory of the server's data, as far as that tells its snapshots from others'.
pub struct Whose {
    id: Option<String>,
    directory: Option<String>,
}

impl Whose {
    /// The server of the configuration, or the one that is found here. One that cannot be found is
    /// any.
    pub fn find(context: &Context) -> Whose {
        match source::find(context, &SourceArgs::default()) {
            Ok((instance, spec)) => Whose::of(&instance, spec.server.id),
            Err(_) => Whose { id: None, directory: None },
        }
    }

    /// The server of this instance.
    pub fn of(instance: &Instance, id: Option<String>) -> Whose {
        Whose { id, directory: Some(instance.program_data.clone()) }
    }

    /// Whether a snapshot is of it.
    pub fn has(&self, record: &SnapshotRecord) -> bool {
        if record.is_safety()
            || record.has_wrong_clock()
            || record.source.directories.contains_key("folder")
            || record.is_zip()
        {
            return false;
        }
        match (&self.id, &record.server.id) {
            (Some(own), Some(id)) => own == id,
            _ => self
                .directory
                .as_ref()
                .is_none_or(|own| record.source.directories.get("programdata") == Some(own)),
        }
    }
}

/// What the running server of the configuration says; nothing where there is no key.
pub fn ask_server(context: &Context) -> Option<Result<jellyfin::Facts, Failure>> {
    context.settings().ok()?.config.jellyfin.api_key_file.as_ref()?;
    let server = source::find(context, &SourceArgs::default())
        .map(|(_, spec)| spec.server)
        .unwrap_or_default();
    jellyfin::ask(context, &server)
}

/// Where the alarms of a repository are remembered.
pub fn alarm_file(context: &Context) -> Option<PathBuf> {
    state_file(context, "alarm")
}

/// A file of this user's about a repository, beside it: its disk may be away.
pub fn state_file(context: &Context, what: &str) -> Option<PathBuf> {
    let path = context.repository_path().ok()?;
    let absolute = std::path::absolute(&path).unwrap_or(path);
    let name: String =
        blake3::hash(absolute.as_os_str().as_encoded_bytes()).to_hex().chars().take(16).collect();
    known::state_dir().map(|dir| dir.join(format!("{what}-{name}.json")))
}

/// When each job was done. A snapshot is done when there is one, whoever took it.
pub fn past(
    (loaded, repository): (&Loaded, Option<&Repository>),
    log: &JobLog,
    job: Job,
    whose: &Whose,
    now: Timestamp,
) -> Result<Past, Failure> {
    let past = log.past(job);
    if let (Job::Report, None) = (job, past.done) {
        // The first report comes after the first week.
        let began = match repository {
            Some(repository) => Catalog::load(repository)
                .map_err(ops::Error::from)?
                .snapshots
                .first()
                .map_or(now, |(_, record)| render::moment(record.time_ns)),
            None => now,
        };
        return Ok(Past { done: Some(began), ..past });
    }
    if job == Job::Copy {
        return Ok(Past { done: copied(loaded, log).or(past.done), ..past });
    }
    let (Job::Snapshot, Some(repository)) = (job, repository) else { return Ok(past) };
    let is_past = |record: &SnapshotRecord| render::moment(record.time_ns) <= now;
    let newest = Catalog::newest(repository, |record| whose.has(record) && is_past(record))
        .map_err(ops::Error::from)?;
    Ok(Past { done: newest.map(|(_, record)| render::moment(record.time_ns)), ..past })
}

/// A repository that cannot be opened is away or locked, or was never made.
pub fn open(context: &Context) -> Result<Result<Repository, Away>, Failure> {
    match context.open() {
        Ok(repository) => Ok(Ok(repository)),
        Err(failure)
            if matches!(
                failure.kind(),
                ErrorKind::NoRepository
                    | ErrorKind::Io
                    | ErrorKind::Damaged
                    | ErrorKind::Locked
                    | ErrorKind::NewerFormat
                    | ErrorKind::Refused
            ) =>
        {
            Ok(Err(Away {
                why: failure.in_one_line(),
                kind: failure.kind(),
                is_denied: failure.is_denied(),
                since: None,
            }))
        }
        Err(failure) => Err(failure),
    }
}

/// Everything that the overview needs.
pub fn gather(
    context: &Context,
    loaded: &Loaded,
    schedules: &Schedules,
    alarm: &Alarm,
    now: &Zoned,
) -> Result<(Facts, JobLog), Failure> {
    let absent_after =
        loaded.config.notify.absent_after().unwrap_or(SignedDuration::from_hours(24));
    let repository = match open(context)? {
        Ok(repository) => repository,
        Err(away) => {
            let away = Away { since: alarm.absent_since, ..away };
            return Ok((
                Facts { away: Some(away), absent_after, ..Facts::default() },
                JobLog::default(),
            ));
        }
    };
    let log = repository.job_log_file().map(|path| JobLog::read(&path)).unwrap_or_default();
    let whose = Whose::find(context);
    let catalog = Catalog::load(&repository).map_err(ops::Error::from)?;
    let own: Vec<_> = catalog.snapshots.iter().filter(|(_, record)| whose.has(record)).collect();
    let last = own.last().map(|(id, record)| LastSnapshot {
        time: render::moment(record.time_ns),
        problems: record.problem_count,
        is_complete: record.is_complete(),
        id: render::short(id),
    });
    let last_complete = own
        .iter()
        .rev()
        .find(|(_, record)| record.is_complete())
        .map(|(_, record)| render::moment(record.time_ns));
    // A snapshot that was taken since, by whomever, is the better news.
    let newest = own.last().map(|(_, record)| render::moment(record.time_ns));
    let is_open = |(job, failed): &(Job, Outcome)| {
        *job != Job::Snapshot || newest.is_none_or(|newest| newest < failed.began)
    };
    // Who takes the protection away has looked at it.
    let kept = Chain::kept(&repository).map_err(ops::Error::from)?;
    let is_kept = |id: &str| kept.iter().any(|kept| kept.to_string() == id);
    // Who has neither a configuration nor a run behind them takes snapshots in their own way.
    let is_scheduled =
        loaded.file.is_some() || !loaded.variables.is_empty() || log != JobLog::default();
    let schedule =
        |job| schedules.iter().find(|(known, _)| *known == job).map(|(_, schedule)| schedule);
    let jellyfin = &loaded.config.jellyfin;
    let facts = Facts {
        away: None,
        // Only with a key is anything waited for.
        wait_max: jellyfin
            .api_key_file
            .as_ref()
            .and_then(|_| jellyfin.wait_max().ok())
            .unwrap_or_default(),
        absent_after,
        last,
        last_complete,
        snapshots: own.len() as u64,
        period: schedule(Job::Snapshot)
            .filter(|_| is_scheduled)
            .and_then(|schedule| schedule.period(now)),
        loss: log.loss.clone().filter(|loss| is_kept(&loss.before)),
        failures: Job::ALL
            .into_iter()
            .filter_map(|job| Some((job, log.open_failure(job)?.clone())))
            .filter(is_open)
            .collect(),
        copies: copies(loaded, &log),
        copy_age_max: copy_age_max(loaded, schedule(Job::Copy), now),
        checked: log.done.get(&Job::Check).map(|outcome| outcome.began),
        checks_are_scheduled: is_scheduled
            && !matches!(schedule(Job::Check), Some(Schedule::Never) | None),
    };
    Ok((facts, log))
}

/// The copies and when each was brought up to date, once the job has run.
fn copies(loaded: &Loaded, log: &JobLog) -> Vec<(String, Option<Timestamp>)> {
    let has_run = log.done.contains_key(&Job::Copy) || log.failed.contains_key(&Job::Copy);
    let places = loaded.config.copy.places().into_iter().filter(|_| has_run);
    places
        .map(|place| place.display().to_string())
        .map(|place| (place.clone(), log.copies.get(&place).copied()))
        .collect()
}

/// A disk may be away for a while behind the time at which its copy would have been due.
fn copy_age_max(loaded: &Loaded, schedule: Option<&Schedule>, now: &Zoned) -> SignedDuration {
    let absent_after = loaded.config.copy.absent_after();
    let period = schedule.and_then(|schedule| schedule.period(now));
    absent_after
        .unwrap_or(SignedDuration::from_hours(24))
        .saturating_add(period.unwrap_or(SignedDuration::from_hours(24)))
}

/// When all copies that are there now had been brought up to date; nothing where none is there. So
/// one whose disk was just connected is due.
fn copied(loaded: &Loaded, log: &JobLog) -> Option<Timestamp> {
    let there = loaded.config.copy.places().into_iter().filter(|place| is_made(place));
    there
        .map(|place| {
            log.copies.get(&place.display().to_string()).copied().unwrap_or(Timestamp::MIN)
        })
        .min()
}

/// Whether this process alone does the jobs of the repository.
pub enum Claim {
    /// It does, as long as this lives. Where nothing can be locked, two may do the same twice,
    /// which harms nothing.
    Ours(Option<std::fs::File>),
    /// Another one does.
    Others,
}

/// Claims the jobs of a repository.
pub fn claim(repository: &Repository) -> Claim {
    let Some(path) = repository.job_log_file().map(|path| path.with_extension("lock")) else {
        return Claim::Ours(None);
    };
    let flags =
        OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    // A repository that cannot be written to is told by the job.
    let Ok(file) =
        rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).map(std::fs::File::from)
    else {
        return Claim::Ours(None);
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Claim::Others,
        _ => Claim::Ours(Some(file)),
    }
}

/// Whether the folder of the repository is on a disk of its own that is not there now.
pub fn is_made(path: &std::path::Path) -> bool {
    Stat::of_path(&path.join("repo.toml")).is_ok()
}
