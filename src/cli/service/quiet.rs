//! Scheduled jobs wait for a quiet moment of the server, and not for long: a snapshot for the end
//! of a library scan, the jobs that read or write much also until nobody watches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::server::{Jellyfin, Task};
use crate::service::{Job, Loaded};

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::{jellyfin, source};

/// So often the server is asked.
pub const PAUSE: Duration = Duration::from_secs(5);
/// And so often it is looked whether the user wants to end.
const BREATH: Duration = Duration::from_millis(100);

/// Since when jobs wait, and for what.
#[derive(Default)]
pub struct Patience {
    since: BTreeMap<Job, (Instant, Busy)>,
}

/// What to do now.
pub enum Verdict {
    /// Do the job, with a remark on what was waited for.
    Go(Option<String>),
    /// Look again later.
    Wait,
}

/// What a server is busy with.
enum Busy {
    /// A task of its own.
    Task(String),
    /// Somebody watches.
    Playback,
}

impl Busy {
    fn words(&self) -> String {
        match self {
            Busy::Task(name) => format!("the server's task {name:?}"),
            Busy::Playback => "playback".to_owned(),
        }
    }
}

impl Patience {
    /// Whether a job waits.
    pub fn is_waiting(&self) -> bool {
        !self.since.is_empty()
    }

    /// Forgets jobs that are due no more: somebody did them.
    pub fn forget_others(&mut self, due: &[Job]) {
        self.since.retain(|job, _| due.contains(job));
    }

    /// Looks whether the server is busy with something that a job is better done after.
    pub fn look(&mut self, context: &Context, loaded: &Loaded, job: Job) -> Verdict {
        let max = longest(loaded);
        if max.is_zero() || job == Job::Report {
            return Verdict::Go(None);
        }
        match (busy(context, loaded, job), self.since.remove(&job)) {
            (Err(why), _) => Verdict::Go(why),
            (Ok(None), None) => Verdict::Go(None),
            (Ok(None), Some((since, was))) => Verdict::Go(Some(format!(
                "begun after {} ended, {} later",
                was.words(),
                words(since.elapsed())
            ))),
            (Ok(Some(busy)), Some((since, _))) if since.elapsed() >= max => {
                Verdict::Go(Some(format!(
                    "{} had not ended after {}, so it was done meanwhile",
                    busy.words(),
                    words(max)
                )))
            }
            (Ok(Some(busy)), since) => {
                if since.is_none() {
                    let (job, most) = (job.name(), words(max));
                    context.say(&format!(
                        "Waiting for {} to end before the job {job}, at most {most}.",
                        busy.words()
                    ));
                }
                let since = since.map_or_else(Instant::now, |(since, _)| since);
                self.since.insert(job, (since, busy));
                Verdict::Wait
            }
        }
    }

    /// Waits until a job may be done; the remark.
    pub fn wait(
        &mut self,
        context: &Context,
        loaded: &Loaded,
        job: Job,
    ) -> Result<Option<String>, Failure> {
        loop {
            if let Verdict::Go(remark) = self.look(context, loaded, job) {
                return Ok(remark);
            }
            let until = Instant::now() + PAUSE.min(longest(loaded));
            while Instant::now() < until {
                if context.monitor.interrupt.is_raised() {
                    return Err(crate::ops::Error::Interrupted.into());
                }
                std::thread::sleep(BREATH);
            }
        }
    }
}

/// The longest time that is waited.
fn longest(loaded: &Loaded) -> Duration {
    let max = loaded.config.jellyfin.wait_max().ok();
    max.and_then(|max| Duration::try_from(max).ok()).unwrap_or_default()
}

/// What the server is busy with; nothing where it is quiet, or nobody can be asked. An error is a
/// remark on why it could not be asked; a server that is stopped or starts needs none.
fn busy(context: &Context, loaded: &Loaded, job: Job) -> Result<Option<Busy>, Option<String>> {
    let remark =
        |why: String| Some(format!("the server could not be asked whether it is busy: {why}"));
    let Some(client) =
        loaded.config.jellyfin.client().map_err(|error| remark(error.to_string()))?
    else {
        return Err(None);
    };
    let server = source::find(context, &SourceArgs::default())
        .map(|(_, spec)| spec.server)
        .unwrap_or_default();
    let ask = || {
        let jellyfin = Jellyfin::connect(client, jellyfin::expected(&server, None))?;
        if let Some(task) = jellyfin.running_tasks()?.into_iter().find(Task::is_heavy) {
            return Ok(Some(Busy::Task(task.name)));
        }
        // A snapshot costs too little to be noticed by who watches.
        let is_watched =
            job != Job::Snapshot && jellyfin.watching()?.iter().any(|watching| !watching.is_paused);
        Ok(is_watched.then_some(Busy::Playback))
    };
    ask().map_err(
        |error: crate::server::ServerError| {
            if error.is_passing() { None } else { remark(error.to_string()) }
        },
    )
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
