//! Am I safe? One sentence and one level, from what the repository says.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::ops::ErrorKind;

use super::job::Job;
use super::job_log::{Outcome, SuddenLoss};
use super::level::Level;

/// A snapshot that comes a quarter of a period late is late; so is one by ten minutes where the
/// period is short.
const LATE_MIN: SignedDuration = SignedDuration::from_mins(10);
/// What is not a day old is not lost, however often snapshots are to be taken.
const OLD_MIN: SignedDuration = SignedDuration::from_hours(24);
/// Without a schedule, so long may the last snapshot be ago.
const UNSCHEDULED: SignedDuration = SignedDuration::from_hours(24);
/// A repository that nobody checked for so long may have rotted.
const UNCHECKED: SignedDuration = SignedDuration::from_hours(24 * 31);

/// The newest snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSnapshot {
    /// When it was taken.
    pub time: Timestamp,
    /// Problems that it has.
    pub problems: u64,
    /// Whether it can stand for the server.
    pub is_complete: bool,
    /// Its id, as people type it.
    pub id: String,
}

/// A repository that cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Why, in words.
    pub why: String,
    /// What kind of fault that is.
    pub kind: ErrorKind,
    /// Whether the service's user may not read or write it.
    pub is_denied: bool,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Why the repository cannot be opened; nothing where it can.
    pub away: Option<Away>,
    /// How long it may be away before that is an alarm.
    pub absent_after: SignedDuration,
    /// The newest snapshot of the server.
    pub last: Option<LastSnapshot>,
    /// When the newest complete one was taken.
    pub last_complete: Option<Timestamp>,
    /// Snapshots of the server.
    pub snapshots: u64,
    /// How long it is from one snapshot to the next, where they are taken by a schedule.
    pub period: Option<SignedDuration>,
    /// How long a snapshot may wait for a quiet moment of the server.
    pub wait_max: SignedDuration,
    /// Jobs that failed and were not done since.
    pub failures: Vec<(Job, Outcome)>,
    /// Much that was gone at once, and nobody has looked at.
    pub loss: Option<SuddenLoss>,
    /// Copies of the repository: where, and when each was last brought up to date. Nothing where the
    /// job has not run yet.
    pub copies: Vec<(String, Option<Timestamp>)>,
    /// How old a copy may be.
    pub copy_age_max: SignedDuration,
    /// The last check that found nothing wrong; nothing where none was made by the schedule.
    pub checked: Option<Timestamp>,
    /// Whether checks are made by a schedule.
    pub checks_are_scheduled: bool,
}

/// Something that is not as it should be, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// What tells it from other reasons while it lasts: no times, no numbers that grow.
    #[serde(skip)]
    pub key: String,
    /// What, and what that means.
    pub what: String,
    /// What to do.
    pub todo: String,
}

/// How it stands, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The worst of the reasons.
    pub level: Level,
    /// In one sentence.
    pub sentence: String,
    /// Why it is not good.
    pub reasons: Vec<Reason>,
    /// It may be well again soon by itself: nobody is told yet.
    #[serde(skip)]
    pub is_passing: bool,
}

impl Standing {
    /// From what is known at a moment.
    pub fn of(facts: &Facts, now: Timestamp) -> Standing {
        let mut found: Vec<(Level, Reason)> = Vec::new();
        if let Some(facts_of) = &facts.away {
            found.push(away(facts_of, facts.absent_after, now));
        } else {
            found.extend(of_age(facts, now));
            found.extend(of_problems(facts));
            found.extend(facts.failures.iter().map(|(job, outcome)| of_failure(*job, outcome)));
            found.extend(of_checks(facts, now));
            found.extend(of_copies(facts, now));
            found.extend(facts.loss.as_ref().map(|loss| of_loss(loss, now)));
        }
        found.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        let level = found.first().map_or(Level::Good, |(level, _)| *level);
        let begin = match level {
            Level::Good => "Protected.",
            Level::Attention => "Protected, but something needs your attention.",
            Level::Bad => "Not protected.",
        };
        let sentence = format!("{begin} {}", last_words(facts, now));
        let reasons = found.into_iter().map(|(_, reason)| reason).collect();
        Standing {
            level,
            sentence: sentence.trim_end().to_owned(),
            reasons,
            is_passing: facts.away.is_some() && level != Level::Bad,
        }
    }
}

fn last_words(facts: &Facts, now: Timestamp) -> String {
    if facts.away.is_some() {
        return String::new();
    }
    let Some(last) = &facts.last else { return String::new() };
    let checked = facts.checked.map_or_else(String::new, |checked| {
        format!(" The repository was checked {} ago.", age(checked, now))
    });
    let newest = facts.copies.iter().filter_map(|(_, copied)| *copied).max();
    let which = if facts.copies.len() > 1 { "newest copy" } else { "copy" };
    let copied = newest.map_or_else(String::new, |copied| {
        format!(" The {which} was brought up to date {} ago.", age(copied, now))
    });
    let count = if facts.snapshots == 1 {
        "there is 1 snapshot".to_owned()
    } else {
        format!("there are {} snapshots", facts.snapshots)
    };
    format!("The last snapshot was taken {} ago; {count}.{copied}{checked}", age(last.time, now))
}

fn away(away: &Away, absent_after: SignedDuration, now: Timestamp) -> (Level, Reason) {
    let Away { why, kind, is_denied, since } = away;
    let since_words = since
        .filter(|since| *since < now)
        .map_or_else(String::new, |since| format!(" (for {} so far)", age(since, now)));
    let is_long = *kind == ErrorKind::Locked
        || since.is_none_or(|since| since.duration_until(now) >= absent_after);
    let reason = Reason {
        key: "away".to_owned(),
        what: format!(
            "the repository is unavailable{since_words}, so no snapshots are taken: {why}"
        ),
        todo: if *kind == ErrorKind::Locked {
            "Correct the passphrase that the service is given (passphrase_file or passphrase_command in [encryption]); a lost one is replaced with jellyvault key recover.".to_owned()
        } else if *is_denied {
            "Run jellyvault as the user who owns the repository, or as root.".to_owned()
        } else if *kind == ErrorKind::NoRepository {
            "If there was one, mount or connect its disk. Otherwise take the first snapshot: jellyvault snapshot".to_owned()
        } else {
            "If its disk is not connected, mount or connect it: snapshots then continue automatically. If it is connected, run: jellyvault check".to_owned()
        },
    };
    (if is_long { Level::Bad } else { Level::Attention }, reason)
}

fn of_age(facts: &Facts, now: Timestamp) -> Option<(Level, Reason)> {
    let Some(complete) = facts.last_complete else {
        let what = if facts.last.is_some() {
            "there is no complete snapshot yet"
        } else {
            "there is no snapshot yet"
        };
        return Some((
            Level::Bad,
            Reason {
                key: "age".to_owned(),
                what: what.to_owned(),
                todo: "Take one: jellyvault snapshot".to_owned(),
            },
        ));
    };
    let period = facts.period.unwrap_or(UNSCHEDULED);
    let age_of_it = complete.duration_until(now);
    let late = (period + period / 4).max(period + LATE_MIN).saturating_add(facts.wait_max);
    let old = (period * 3).max(OLD_MIN);
    let level = if age_of_it > old.max(late) { Level::Bad } else { Level::Attention };
    if age_of_it <= late {
        return None;
    }
    let what = format!("the last complete snapshot is {} old", age(complete, now));
    let newer = facts.last.as_ref().filter(|last| !last.is_complete && last.time > complete);
    let (what, todo) = match newer {
        Some(last) => (
            format!("{what}; newer ones lack a part that the server needs"),
            format!(
                "See what is missing: jellyvault show {}. If it was removed on purpose, accept that once: jellyvault snapshot --accept-loss",
                last.id
            ),
        ),
        None => (what, "Is jellyvault serve (or the timer for jellyvault run) running? Run jellyvault run to see what fails.".to_owned()),
    };
    Some((level, Reason { key: "age".to_owned(), what, todo }))
}

fn of_problems(facts: &Facts) -> Option<(Level, Reason)> {
    let last = facts.last.as_ref().filter(|last| last.problems > 0)?;
    let (count, one) = (last.problems, last.problems == 1);
    let what = format!(
        "the last snapshot has {count} {}: {}",
        if one { "problem" } else { "problems" },
        if last.is_complete {
            "some files may be missing or incomplete"
        } else {
            "a part that the server needs is missing from it"
        }
    );
    Some((
        Level::Attention,
        Reason {
            key: format!("problems {}", last.is_complete),
            what,
            todo: format!("See what: jellyvault show {}", last.id),
        },
    ))
}

fn of_failure(job: Job, outcome: &Outcome) -> (Level, Reason) {
    let (level, what, todo) = match job {
        Job::Snapshot => (
            Level::Attention,
            "the last attempt to take a snapshot failed",
            "Fix the cause. jellyvault tries again after ten minutes.",
        ),
        Job::Copy => (
            Level::Attention,
            "a copy of the repository could not be brought up to date",
            "Fix the cause. jellyvault tries again after ten minutes.",
        ),
        Job::Retention => (
            Level::Attention,
            "old snapshots could not be removed",
            "Fix the cause. jellyvault tries again after ten minutes.",
        ),
        Job::Check if outcome.is_damage => (
            Level::Bad,
            "the check found damage in the repository",
            "Run jellyvault check to see the details, then jellyvault repair, then jellyvault run --job check",
        ),
        Job::Drill if outcome.is_damage => (
            Level::Bad,
            "the restore drill failed, so a restore may not bring everything back",
            "Run jellyvault check to see whether the repository is damaged, then jellyvault repair, then jellyvault run --job drill",
        ),
        Job::Drill => (
            Level::Attention,
            "the restore drill could not be done",
            "Fix the cause. jellyvault tries again after ten minutes.",
        ),
        Job::Report => (
            Level::Attention,
            "the report could not be sent",
            "Test the notifications: jellyvault notify test",
        ),
        Job::Check => (
            Level::Attention,
            "the repository could not be checked",
            "Fix the cause. jellyvault tries again after ten minutes.",
        ),
    };
    let key = format!("failed {}", job.name());
    (level, Reason { key, what: format!("{what}: {}", outcome.words), todo: todo.to_owned() })
}

fn of_loss(loss: &SuddenLoss, now: Timestamp) -> (Level, Reason) {
    let id = loss.before.get(..12).unwrap_or(&loss.before);
    let what = format!(
        "a large part of the server's data disappeared {} ago: {}. The last snapshot before that, {id}, is now protected from forget",
        age(loss.seen, now),
        loss.words
    );
    let todo = format!(
        "Was a disk with media not mounted during a library scan? Mount it, stop Jellyfin, then run: jellyvault restore {id} --in-place. If the data was \
         deleted on purpose, dismiss this with: jellyvault keep --off {id}"
    );
    (Level::Attention, Reason { key: format!("loss {} {}", loss.before, loss.words), what, todo })
}

fn of_checks(facts: &Facts, now: Timestamp) -> Option<(Level, Reason)> {
    let checked = facts.checked.filter(|_| facts.checks_are_scheduled)?;
    (checked.duration_until(now) > UNCHECKED).then(|| {
        let what = format!("the repository was last checked {} ago", age(checked, now));
        (
            Level::Attention,
            Reason {
                key: "unchecked".to_owned(),
                what,
                todo: "Check it now: jellyvault run --job check".to_owned(),
            },
        )
    })
}

/// Copies that were not brought up to date for long, or never.
fn of_copies(facts: &Facts, now: Timestamp) -> Vec<(Level, Reason)> {
    let reason = |(place, copied): &(String, Option<Timestamp>)| {
        let (what, todo) = match copied {
            None => (
                format!("there is no copy of the repository at {place} yet"),
                format!(
                    "Connect or mount its disk. Create the copy once: jellyvault sync --to {place}"
                ),
            ),
            Some(copied) if copied.duration_until(now) > facts.copy_age_max => (
                format!(
                    "the copy at {place} was last brought up to date {} ago",
                    age(*copied, now)
                ),
                "Connect or mount its disk, then run: jellyvault run --job copy".to_owned(),
            ),
            Some(_) => return None,
        };
        Some((Level::Attention, Reason { key: format!("copy {place}"), what, todo }))
    };
    facts.copies.iter().filter_map(reason).collect()
}

/// How long ago something was: `4 minutes`, `18 days`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = then.duration_until(now).as_secs().max(0);
    let (number, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
#[path = "standing_tests.rs"]
mod tests;
