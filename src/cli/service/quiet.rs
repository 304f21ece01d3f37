//! A scheduled snapshot waits for a quiet moment of the server, and not for long.

use std::time::{Duration, Instant};

use crate::server::{Jellyfin, Task};
use crate::service::Loaded;

use super::super::args::SourceArgs;
use super::super::context::Context;
use super::super::failure::Failure;
use super::super::{jellyfin, source};

/// So often the server is asked.
pub const PAUSE: Duration = Duration::from_secs(5);
/// And so often it is looked whether the user wants to end.
const BREATH: Duration = Duration::from_millis(100);

/// Since when a snapshot waits.
#[derive(Default)]
pub struct Patience {
    since: Option<(Instant, String)>,
}

/// What to do now.
pub enum Verdict {
    /// Take it, with a remark on what was waited for.
    Go(Option<String>),
    /// Look again later.
    Wait,
}

impl Patience {
    /// Whether a snapshot waits.
    pub fn is_waiting(&self) -> bool {
        self.since.is_some()
    }

    /// Looks whether the server is busy with something that a snapshot is better taken after.
    pub fn look(&mut self, context: &Context, loaded: &Loaded) -> Verdict {
        let max = loaded
            .config
            .jellyfin
            .wait_max()
            .ok()
            .and_then(|max| Duration::try_from(max).ok())
            .unwrap_or_default();
        if max.is_zero() {
            return Verdict::Go(None);
        }
        match (busy(context, loaded), self.since.take()) {
            (Err(why), _) => Verdict::Go(why),
            (Ok(None), None) => Verdict::Go(None),
            (Ok(None), Some((since, task))) => Verdict::Go(Some(format!(
                "taken after the server's task {task:?} ended, {} later",
                words(since.elapsed())
            ))),
            (Ok(Some(task)), Some((since, _))) if since.elapsed() >= max => {
                Verdict::Go(Some(format!(
                    "the server's task {task:?} was still running after {}, so the snapshot was taken meanwhile",
                    words(max)
                )))
            }
            (Ok(Some(task)), since) => {
                if since.is_none() {
                    context.say(&format!("Waiting for the server's task {task:?} to end before the snapshot, at most {}.", words(max)));
                }
                self.since = Some(since.unwrap_or_else(|| (Instant::now(), task)));
                Verdict::Wait
            }
        }
    }

    /// Waits until it may be taken; the remark.
    pub fn wait(&mut self, context: &Context, loaded: &Loaded) -> Result<Option<String>, Failure> {
        let max = loaded
            .config
            .jellyfin
            .wait_max()
            .ok()
            .and_then(|max| Duration::try_from(max).ok())
            .unwrap_or_default();
        loop {
            if let Verdict::Go(remark) = self.look(context, loaded) {
                return Ok(remark);
            }
            let until = Instant::now() + PAUSE.min(max);
            while Instant::now() < until {
                if context.monitor.interrupt.is_raised() {
                    return Err(crate::ops::Error::Interrupted.into());
                }
                std::thread::sleep(BREATH);
            }
        }
    }
}

/// The name of what the server is busy with; nothing where it is quiet, or nobody can be asked. An
/// error is a remark on why it could not be asked; a server that is stopped or starts needs none.
fn busy(context: &Context, loaded: &Loaded) -> Result<Option<String>, Option<String>> {
    let remark = |why: String| {
        Some(format!("the server could not be asked whether a library scan runs: {why}"))
    };
    let Some(client) =
        loaded.config.jellyfin.client().map_err(|error| remark(error.to_string()))?
    else {
        return Err(None);
    };
    let server = source::find(context, &SourceArgs::default())
        .map(|(_, spec)| spec.server)
        .unwrap_or_default();
    let tasks = Jellyfin::connect(client, jellyfin::expected(&server, None))
        .and_then(|jellyfin| jellyfin.running_tasks());
    match tasks {
        Ok(tasks) => Ok(tasks.into_iter().find(Task::is_heavy).map(|task| task.name)),
        Err(error) if error.is_passing() => Err(None),
        Err(error) => Err(remark(error.to_string())),
    }
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
