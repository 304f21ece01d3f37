//! Slots of schedules, over years and zones.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};
use proptest::prelude::*;

use super::Schedule;

/// Zones of four kinds: Europe, the south (summer in January), half an hour of summer time, none.
const ZONES: [&str; 4] = ["Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "UTC"];

fn at(text: &str) -> Zoned {
    text.parse().unwrap()
}

fn daily(times: &[&str], days: &[&str]) -> Schedule {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    Schedule::at(&owned(times), &owned(days)).unwrap()
}

#[test]
fn slots_are_those_of_the_wall_clock() {
    let every = Schedule::every("6h").unwrap();
    assert_eq!(
        every.latest(&at("2026-11-30T13:00[Europe/Berlin]")),
        Some(at("2026-11-30T12:00[Europe/Berlin]"))
    );
    assert_eq!(
        every.next(&at("2026-11-30T13:00[Europe/Berlin]")),
        Some(at("2026-11-30T18:00[Europe/Berlin]"))
    );
    assert_eq!(
        every.next(&at("2026-11-30T18:00[Europe/Berlin]")),
        Some(at("2026-12-01T00:00[Europe/Berlin]"))
    );
    let nightly = daily(&["03:00"], &[]);
    assert_eq!(
        nightly.latest(&at("2026-11-30T02:59[Europe/Berlin]")),
        Some(at("2026-11-29T03:00[Europe/Berlin]"))
    );
    assert_eq!(
        nightly.latest(&at("2026-11-30T03:00[Europe/Berlin]")),
        Some(at("2026-11-30T03:00[Europe/Berlin]"))
    );
    let weekly = daily(&["03:00", "15:30"], &["mon", "Friday"]);
    // The 30th of November 2026 is a Monday.
    assert_eq!(weekly.latest(&at("2026-11-30T02:00[UTC]")), Some(at("2026-11-27T15:30[UTC]")));
    assert_eq!(weekly.next(&at("2026-11-30T15:30[UTC]")), Some(at("2026-12-04T03:00[UTC]")));
    let cron = Schedule::cron("15 4 * * 0").unwrap();
    assert_eq!(cron.next(&at("2026-11-30T00:00[UTC]")), Some(at("2026-12-06T04:15[UTC]")));
}

#[test]
fn a_time_that_the_clock_skips_comes_an_hour_later_and_one_that_comes_twice_once() {
    let nightly = daily(&["02:30"], &[]);
    assert_eq!(
        nightly.latest(&at("2026-03-29T12:00[Europe/Berlin]")),
        Some(at("2026-03-29T03:30[Europe/Berlin]"))
    );
    let twice = at("2026-10-25T12:00[Europe/Berlin]");
    assert_eq!(
        nightly.latest(&twice).unwrap().timestamp(),
        "2026-10-25T00:30:00Z".parse::<Timestamp>().unwrap()
    );
}

#[test]
fn what_is_no_schedule_is_told_in_words() {
    for (wrong, says) in [
        (Schedule::every("soon"), "not a duration"),
        (Schedule::every("10s"), "outside the range"),
        (Schedule::every("1y"), "not a duration"),
        (Schedule::at(&["3:00".to_owned()], &[]), "not a time"),
        (Schedule::at(&[], &[]), "no time"),
        (Schedule::at(&["03:00".to_owned()], &["mo".to_owned()]), "not a day"),
        (Schedule::cron("* * *"), "five fields"),
        (Schedule::cron("* * * * * *"), "five fields"),
        (Schedule::cron("99 * * * *"), "not a cron expression"),
        (Schedule::cron("0 0 30 2 *"), "never comes"),
    ] {
        assert!(wrong.clone().unwrap_err().contains(says), "{wrong:?}");
    }
}

fn schedules() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        prop::sample::select(vec!["1m", "7m", "15m", "1h", "6h", "1d", "36h", "7d"])
            .prop_map(|text| Schedule::every(text).unwrap()),
        (
            prop::collection::vec((0..24u8, 0..60u8), 1..4),
            prop::collection::vec(prop::sample::select(vec!["mon", "wed", "sun"]), 0..3)
        )
            .prop_map(|(times, days)| {
                let times: Vec<String> = times
                    .into_iter()
                    .map(|(hour, minute)| format!("{hour:02}:{minute:02}"))
                    .collect();
                Schedule::at(&times, &days.into_iter().map(str::to_owned).collect::<Vec<_>>())
                    .unwrap()
            }),
        prop::sample::select(vec!["0 3 * * *", "30 2 * * *", "15 4 * * 0", "0 0 1 * *"])
            .prop_map(|text| Schedule::cron(text).unwrap()),
    ]
}

proptest! {
    /// Slots are in order, none lies between one and the next, and asking a moment before or after
    /// changes nothing.
    #[test]
    fn latest_and_next_agree(schedule in schedules(), zone in prop::sample::select(ZONES.to_vec()), second in 1_767_225_600i64..2_082_758_400) {
        let zone = TimeZone::get(zone).unwrap();
        let now = Timestamp::from_second(second).unwrap().to_zoned(zone);
        let (latest, next) = (schedule.latest(&now).unwrap(), schedule.next(&now).unwrap());
        prop_assert!(latest <= now && now < next, "{latest} {now} {next}");
        prop_assert_eq!(schedule.latest(&latest).unwrap().timestamp(), latest.timestamp());
        prop_assert_eq!(schedule.latest(&next).unwrap().timestamp(), next.timestamp());
        prop_assert_eq!(schedule.next(&latest).unwrap().timestamp(), next.timestamp());
        let before = next.checked_sub(SignedDuration::from_secs(1)).unwrap();
        prop_assert_eq!(schedule.latest(&before).unwrap().timestamp(), latest.timestamp());
    }
}
