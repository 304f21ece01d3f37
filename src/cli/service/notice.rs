//! Tells people how things stand, where that changed.

use jiff::Zoned;

use crate::service::{
    Alarm, Facts, Job, JobLog, Loaded, Message, Outcome, Standing, Telling, metrics, write_metrics,
};

use super::super::context::Context;
use super::super::failure::Failure;
use super::super::teller::say;
use super::facts::{Schedules, alarm_file, gather};

/// What became of jobs just now.
type Done = [(Job, Outcome)];

/// How things stand, and what that was learnt from.
pub struct Looked {
    /// In words.
    pub standing: Standing,
    /// What is known.
    pub facts: Facts,
    /// What became of the jobs.
    pub log: JobLog,
    /// Whether there was something to tell.
    pub is_news: bool,
}

/// Looks how things stand, and tells whoever is to be told.
pub fn look_and_tell(
    context: &Context,
    loaded: &Loaded,
    schedules: &Schedules,
    done: &Done,
    now: &Zoned,
) -> Result<Looked, Failure> {
    let file = alarm_file(context);
    let mut alarm = file.as_deref().map(Alarm::read).unwrap_or_default();
    let (mut facts, log) = gather(context, loaded, schedules, &alarm, now)?;
    // What failed where nothing can be noted is known at least now.
    for (job, outcome) in done.iter().filter(|(_, outcome)| !outcome.is_ok) {
        facts.failures.retain(|(known, _)| known != job);
        facts.failures.push((*job, outcome.clone()));
    }
    if let Some(away) = &mut facts.away {
        away.since = away.since.or(Some(now.timestamp()));
    }
    alarm.absent_since = facts.away.as_ref().map(|_| alarm.absent_since.unwrap_or(now.timestamp()));
    let standing = Standing::of(&facts, now.timestamp());
    if let Some(path) = &loaded.config.metrics.file {
        let text = metrics(&facts, &standing, &log, &schedules.next(now), now.timestamp());
        if let Err(error) = write_metrics(path, &text) {
            context.complain(&format!(
                "the metrics could not be written to {} ({error})",
                path.display()
            ));
        }
    }
    let notify = &loaded.config.notify;
    let (telling, next) = alarm.next(
        &standing,
        now.timestamp(),
        notify.reminder().unwrap_or(jiff::SignedDuration::from_hours(24)),
    );
    let mut is_told = true;
    if telling != Telling::Nothing && !notify.is_empty() {
        let outcomes = notify.send(&message(context, telling, &standing));
        for (name, error) in
            outcomes.iter().filter_map(|(name, outcome)| Some((name, outcome.as_ref().err()?)))
        {
            context.complain(&format!("the alarm could not be sent by {name}: {error}"));
        }
        is_told = outcomes.iter().any(|(_, outcome)| outcome.is_ok());
    }
    // Where nobody could be told it is tried again.
    let kept = if is_told { next } else { alarm };
    if let Some(Err(error)) = file.as_deref().map(|file| kept.write(file)) {
        context.complain(&format!(
            "could not save which alarms were sent ({error}), so they may be sent again"
        ));
    }
    Ok(Looked { standing, facts, log, is_news: telling != Telling::Nothing })
}

/// How things stand, on standard error.
pub fn tell(standing: &Standing) {
    say(&standing.sentence);
    standing
        .reasons
        .iter()
        .for_each(|reason| say(&format!("  {}. {}", capital(&reason.what), reason.todo)));
}

/// Each reason is a sentence of its own.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn message(context: &Context, telling: Telling, standing: &Standing) -> Message {
    let host = context.host();
    let title = match telling {
        Telling::Recovered => format!("jellyvault on {host}: all is well again"),
        Telling::Reminder => format!("jellyvault on {host}: still a problem"),
        Telling::Raised | Telling::Nothing => format!("jellyvault on {host}: a problem"),
    };
    let mut body = standing.sentence.clone();
    for reason in &standing.reasons {
        body.push_str(&format!("\n- {}. {}", capital(&reason.what), reason.todo));
    }
    Message { title, body, level: standing.level }
}
