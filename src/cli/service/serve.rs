//! `serve`: does the jobs when they are due and shows the page, until it is stopped.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::service::{Alarm, Job, Level, Loaded, Outcome, Standing, look_again};
use crate::web::Order;

use super::super::Exit;
use super::super::context::Context;
use super::super::failure::Failure;
use super::facts::{Schedules, Whose, alarm_file, gather, open, past};
use super::notice::Looked;
use super::quiet::{PAUSE, Patience, Verdict};
use super::systemd::Pulse;
use super::web::Web;
use super::{notice, round, systemd};

/// The clock is looked at so often: it may jump, and the machine may sleep.
const BREATH: Duration = Duration::from_secs(1);
/// So often it is looked whether something is due, whatever the schedule says: somebody may have
/// forgotten a snapshot, or mounted a disk.
const LOOK: SignedDuration = SignedDuration::from_secs(60);

pub fn run(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.settings()?;
    let schedules = Schedules::of(loaded)?;
    // Errors of the configuration's places are told at once, not at the first slot.
    context.say(&format!(
        "Running scheduled jobs for the repository {}. Stop with Ctrl-C.",
        context.repository_path()?.display()
    ));
    context.say(&round::next_words(&schedules.next(&now(context))));
    let web = Web::start(context, loaded)?;
    // Whoever looks at the page sees how far a job is.
    let context = &context.watched_by(web.watched(context));
    systemd::tell("READY=1");
    let mut service = Service {
        context,
        loaded,
        schedules,
        web,
        level: None,
        patience: Patience::default(),
        waiting: Vec::new(),
        pulse: Pulse::begin(),
    };
    service.show_first();
    let mut ordered = Vec::new();
    while !context.monitor.interrupt.is_raised() {
        if service.round(&std::mem::take(&mut ordered)).is_break() {
            break;
        }
        ordered = service.rest();
        ordered.append(&mut service.waiting);
    }
    systemd::tell("STOPPING=1");
    service.web.stop();
    context.say("Stopped.");
    Ok(Exit::Done)
}

/// The service while it runs.
struct Service<'c> {
    context: &'c Context,
    loaded: &'c Loaded,
    schedules: Schedules,
    web: Web,
    /// How it stood at the last look.
    level: Option<Level>,
    /// Since when jobs wait for the server.
    patience: Patience,
    /// Jobs that somebody asked for, while another process does the jobs.
    waiting: Vec<Job>,
    pulse: Pulse,
}

impl Service<'_> {
    /// Does what is due and what was ordered, and looks how things stand.
    fn round(&mut self, ordered: &[Job]) -> ControlFlow<()> {
        let (context, loaded) = (self.context, self.loaded);
        // A program that mounts a disk may take its time.
        self.pulse.works(true);
        let due = round::due_now(context, loaded, &self.schedules, &now(context), true)
            .unwrap_or_else(|failure| {
                context.complain(&failure.in_one_line());
                Vec::new()
            });
        self.pulse.works(false);
        self.patience.forget_others(&due);
        let mut done = Vec::new();
        for job in Job::ALL.into_iter().filter(|job| due.contains(job) || ordered.contains(job)) {
            // What somebody asks for is done now, whatever the server does.
            let verdict = if ordered.contains(&job) {
                Verdict::Go(None)
            } else {
                self.patience.look(context, loaded, job)
            };
            let Verdict::Go(remark) = verdict else { continue };
            self.web.board.begin(job);
            self.pulse.works(true);
            let outcome = round::do_all(context, loaded, &[job], |_| Ok(remark.clone()));
            self.web.board.end();
            self.pulse.works(false);
            match outcome {
                Ok(Some(outcome)) => done.extend(outcome),
                // A scheduled job stays due; one that was asked for is tried again.
                Ok(None) if ordered.contains(&job) => {
                    self.waiting.push(job);
                    context.say(&format!(
                        "{} {} waits: another jellyvault is running the jobs of this repository.",
                        stamp(context),
                        job.name()
                    ));
                }
                Ok(None) => {}
                Err(failure) if failure.is_interrupt() => return ControlFlow::Break(()),
                Err(failure) => context.complain(&failure.in_one_line()),
            }
        }
        done.iter().for_each(|(job, outcome)| {
            context.say(&format!("{} {}", stamp(context), round::line(*job, outcome).trim_end()))
        });
        self.look(&done);
        ControlFlow::Continue(())
    }

    /// Shows how things stand before the first job, which may take an hour. Nobody is told of it
    /// yet.
    fn show_first(&self) {
        let (context, now) = (self.context, now(self.context));
        let alarm = alarm_file(context).map(|file| Alarm::read(&file)).unwrap_or_default();
        // What is wrong is told by the first round.
        if let Ok((facts, log)) = gather(context, self.loaded, &self.schedules, &alarm, &now) {
            self.web.show(
                Standing::of(&facts, now.timestamp()),
                facts,
                log,
                self.schedules.next(&now),
            );
        }
    }

    fn look(&mut self, done: &[(Job, Outcome)]) {
        let context = self.context;
        match notice::look_and_tell(context, self.loaded, &self.schedules, done, &now(context)) {
            Ok(Looked { standing, facts, log, .. }) => {
                systemd::tell(&format!("STATUS={}", standing.sentence));
                if self.level.replace(standing.level) != Some(standing.level)
                    && (standing.level != Level::Good || self.level.is_some())
                {
                    context.say(&stamp(context));
                    notice::tell(&standing);
                }
                self.web.show(standing, facts, log, self.schedules.next(&now(context)));
            }
            Err(failure) => context.complain(&failure.in_one_line()),
        }
    }

    /// Waits until something may be due, or somebody asks for something; the jobs that were asked
    /// for.
    fn rest(&self) -> Vec<Job> {
        let mut until = wake(self.context, self.loaded, &self.schedules);
        self.web.board.wait(&self.waiting);
        if self.patience.is_waiting() || !self.waiting.is_empty() {
            until = Timestamp::now().checked_add(PAUSE).unwrap_or(until).min(until);
        }
        while !self.context.monitor.interrupt.is_raised() && Timestamp::now() < until {
            let asleep = Timestamp::now();
            self.pulse.beat();
            match self.web.order(BREATH) {
                Some(Order::Run(jobs)) => return jobs,
                Some(Order::Look) => return Vec::new(),
                None => {}
            }
            // A clock that went back must not make this a long night.
            if Timestamp::now() < asleep {
                break;
            }
        }
        Vec::new()
    }
}

fn now(context: &Context) -> Zoned {
    Zoned::now().with_time_zone(context.zone.clone())
}

fn stamp(context: &Context) -> String {
    now(context).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// When to look again.
fn wake(context: &Context, loaded: &Loaded, schedules: &Schedules) -> Timestamp {
    let now = now(context);
    let look = now.timestamp().checked_add(LOOK).unwrap_or(Timestamp::MAX);
    let Ok(Ok(repository)) = open(context) else { return look };
    let (log, whose) = (round::log_of(&repository), Whose::find(context));
    let times = schedules.iter().filter_map(|(job, schedule)| {
        let past = past((loaded, Some(&repository)), &log, job, &whose, now.timestamp()).ok()?;
        look_again(schedule, past, &now)
    });
    times.min().map_or(look, |next| next.min(look))
}
