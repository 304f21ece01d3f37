//! What is due? Decided from the clock, the schedule and what was done, and from nothing else.

use jiff::{SignedDuration, Timestamp, Zoned};

use super::schedule::Schedule;

/// What failed is tried again after this time, or with the next slot, whichever comes first.
const AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// What is known of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When it was last done: when the newest one that succeeded began.
    pub done: Option<Timestamp>,
    /// When it was last tried in vain.
    pub failed: Option<Timestamp>,
}

/// The slot that a job is due for; nothing where it was done, or failed just now.
///
/// What was done at a time that is still to come was done by a wrong clock, and does not count.
pub fn due(schedule: &Schedule, past: Past, now: &Zoned) -> Option<Zoned> {
    let slot = schedule.latest(now)?;
    let is_before = |time: &Timestamp| *time <= now.timestamp();
    if past.done.filter(is_before).is_some_and(|done| done >= slot.timestamp()) {
        return None;
    }
    let failed = past.failed.filter(is_before).filter(|failed| *failed >= slot.timestamp());
    let rests = failed.is_some_and(|failed| failed.duration_until(now.timestamp()) < AGAIN);
    (!rests).then_some(slot)
}

/// When to look again: at the next slot, or when something that failed is to be tried again.
pub fn look_again(schedule: &Schedule, past: Past, now: &Zoned) -> Option<Timestamp> {
    let next = schedule.next(now)?.timestamp();
    let failed = past.failed.filter(|failed| past.done.is_none_or(|done| done < *failed));
    let again = failed
        .and_then(|failed| failed.checked_add(AGAIN).ok())
        .filter(|again| *again > now.timestamp());
    Some(again.map_or(next, |again| again.min(next)))
}

#[cfg(test)]
#[path = "due_tests.rs"]
mod tests;
