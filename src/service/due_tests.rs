//! What is due, over ten years of a simulated clock.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{Past, due, look_again};
use crate::service::schedule::Schedule;

fn moment(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// What happens to a machine between two looks at the clock.
#[derive(Clone, Debug)]
enum Step {
    /// It runs on for some seconds.
    On(i64),
    /// It sleeps, or is off.
    Away(i64),
    /// The program is killed in the middle of the job, which leaves nothing.
    Killed,
    /// The job fails.
    Fails,
    /// Somebody does the job by hand.
    ByHand,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (1i64..4_000).prop_map(Step::On),
        1 => (3_600i64..900_000).prop_map(Step::Away),
        1 => Just(Step::Killed),
        1 => Just(Step::Fails),
        1 => Just(Step::ByHand),
    ];
    prop::collection::vec(step, 1..400)
}

fn schedule() -> impl Strategy<Value = Schedule> {
    prop::sample::select(vec!["every 15m", "every 6h", "at 02:30", "cron 0 3 * * 0"]).prop_map(
        |text| match text.split_once(' ') {
            Some(("every", period)) => Schedule::every(period).unwrap(),
            Some(("at", time)) => Schedule::at(&[time.to_owned()], &[]).unwrap(),
            Some((_, cron)) => Schedule::cron(cron).unwrap(),
            None => unreachable!(),
        },
    )
}

proptest! {
    /// Over ten years with sleeps, crashes, failures and summer time: whenever the machine is awake
    /// and nothing failed just now, the job was done for the latest slot; for no slot is it done
    /// twice; however many were missed, it is done once.
    #[test]
    fn each_slot_is_done_once_or_caught_up_once(
        schedule in schedule(),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "UTC"]),
        start in 1_767_225_600i64..1_900_000_000,
        steps in steps(),
    ) {
        let zone = TimeZone::get(zone).unwrap();
        let (mut now, mut past, mut runs) = (moment(start), Past::default(), Vec::<Timestamp>::new());
        for step in steps {
            let zoned = now.to_zoned(zone.clone());
            let slot = due(&schedule, past, &zoned);
            match (&step, &slot) {
                (Step::ByHand, _) => past.done = Some(now),
                (Step::Fails, Some(_)) => past.failed = Some(now),
                (Step::Killed, Some(_)) | (_, None) => {}
                (_, Some(slot)) => {
                    prop_assert!(!runs.contains(&slot.timestamp()), "done twice: {slot}");
                    runs.push(slot.timestamp());
                    past.done = Some(now);
                }
            }
            if past.done == Some(now) {
                prop_assert!(due(&schedule, past, &zoned).is_none(), "due though just done");
            }
            let rests = past.failed.is_some_and(|failed| failed.duration_until(now) < SignedDuration::from_mins(10));
            if !rests && !matches!(step, Step::Killed) {
                let latest = schedule.latest(&zoned).unwrap().timestamp();
                prop_assert!(past.done.is_some_and(|done| done >= latest), "missed {latest} at {now}");
            }
            // It is never asked for later than at the next slot, and never at once.
            let again = look_again(&schedule, past, &zoned).unwrap();
            prop_assert!(again > now && again <= schedule.next(&zoned).unwrap().timestamp());
            now = now.checked_add(SignedDuration::from_secs(match step { Step::On(by) | Step::Away(by) => by, _ => 1 })).unwrap();
        }
    }
}

#[test]
fn a_clock_that_was_wrong_stops_nothing() {
    let schedule = Schedule::every("15m").unwrap();
    let now = moment(1_790_000_000).to_zoned(TimeZone::UTC);
    let in_2099 = Past { done: Some(moment(4_070_908_800)), failed: Some(moment(4_070_908_800)) };
    assert!(due(&schedule, in_2099, &now).is_some());
}

#[test]
fn what_failed_is_tried_again_after_ten_minutes_or_with_the_next_slot() {
    let schedule = Schedule::every("6h").unwrap();
    let slot = moment(1_790_013_600);
    let past = Past { done: None, failed: Some(slot) };
    let at = |minutes: i64| {
        slot.checked_add(SignedDuration::from_mins(minutes)).unwrap().to_zoned(TimeZone::UTC)
    };
    assert!(due(&schedule, past, &at(1)).is_none() && due(&schedule, past, &at(10)).is_some());
    assert_eq!(look_again(&schedule, past, &at(1)), Some(at(10).timestamp()));
    let often = Schedule::every("5m").unwrap();
    assert!(due(&often, past, &at(5)).is_some(), "the next slot is its own");
}
