//! When is a job to be done? Slots on the wall clock: `every = "15m"`, `at = "03:00"`, a cron
//! expression.
//!
//! Nothing remembers a schedule. The latest slot is computed from the clock; a job is due when what
//! was done last lies before it. So a restart, a night asleep or a clock that jumps need nothing of
//! their own, and however many slots were missed, the job is done once.

use std::str::FromStr;

use croner::Cron;
use jiff::civil::{Time, Weekday};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, ToSpan, Zoned};

/// The shortest period of a schedule.
const SHORTEST: SignedDuration = SignedDuration::from_mins(1);
/// The longest: a job that is done less often than every other month is a forgotten one.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 62);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Days that are looked through for the slots of a week.
const WEEK: i64 = 8;

/// The slots of a job.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// None.
    Never,
    /// One each period. Where it divides a day, slots begin at midnight: every 6 hours is 00:00,
    /// 06:00, 12:00 and 18:00.
    Every(SignedDuration),
    /// At these times of the wall clock on these days; no day means each.
    At(Vec<Time>, Vec<Weekday>),
    /// As a cron expression says.
    Cron(Box<Cron>),
}

impl Schedule {
    /// One each period, such as `15m`, `6h` or `1d`.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn every(text: &str) -> Result<Schedule, String> {
        let wrong = || format!("{text:?} is not a duration such as 15m, 6h or 1d");
        let span: Span = text.parse().map_err(|_| wrong())?;
        let period = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        if period < SHORTEST || period > LONGEST {
            return Err(format!("{text:?} is outside the range from 1m to 62d"));
        }
        Ok(Schedule::Every(period))
    }

    /// At times such as `03:00`, on days such as `mon`.
    ///
    /// # Errors
    /// What is wrong with the texts, in words.
    pub fn at(times: &[String], days: &[String]) -> Result<Schedule, String> {
        let time = |text: &String| {
            let is_form = text.len() == 5 && text.get(2..3) == Some(":");
            Time::from_str(text)
                .ok()
                .filter(|_| is_form)
                .ok_or_else(|| format!("{text:?} is not a time such as 03:00"))
        };
        let mut times = times.iter().map(time).collect::<Result<Vec<_>, _>>()?;
        if times.is_empty() {
            return Err("at contains no time".to_owned());
        }
        times.sort_unstable();
        times.dedup();
        Ok(Schedule::At(times, days.iter().map(|day| weekday(day)).collect::<Result<_, _>>()?))
    }

    /// Five fields: minute, hour, day, month, weekday.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    pub fn cron(text: &str) -> Result<Schedule, String> {
        let wrong =
            |why: &str| format!("{text:?} is not a cron expression such as \"0 3 * * *\": {why}");
        if text.split_whitespace().count() != 5 {
            return Err(wrong("it needs five fields: minute, hour, day, month and weekday"));
        }
        let cron =
            Cron::from_str(text).map_err(|error| wrong(error.to_string().trim_end_matches('.')))?;
        // From any moment on: what comes in one year of four comes.
        if cron
            .find_next_occurrence(&Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC), false)
            .is_err()
        {
            return Err(wrong("such a day never comes"));
        }
        Ok(Schedule::Cron(Box::new(cron)))
    }

    /// The newest slot that is not after `now`.
    pub fn latest(&self, now: &Zoned) -> Option<Zoned> {
        match self {
            Schedule::Never => None,
            Schedule::Every(period) => latest_of_period(*period, now),
            Schedule::At(times, days) => {
                slots_of_days(times, days, now, -WEEK..=0).filter(|slot| slot <= now).max()
            }
            Schedule::Cron(cron) => cron.find_previous_occurrence(now, true).ok(),
        }
    }

    /// The first slot that is after `now`.
    pub fn next(&self, now: &Zoned) -> Option<Zoned> {
        match self {
            Schedule::Never => None,
            Schedule::Every(period) => {
                let next = latest_of_period(*period, now)?.checked_add(*period).ok()?;
                // The slots of a day begin at its midnight, however long the day before was.
                let midnight = now.tomorrow().and_then(|day| day.start_of_day()).ok()?;
                Some(if divides_a_day(*period) { next.min(midnight) } else { next })
            }
            Schedule::At(times, days) => {
                slots_of_days(times, days, now, -1..=WEEK).filter(|slot| slot > now).min()
            }
            Schedule::Cron(cron) => cron.find_next_occurrence(now, false).ok(),
        }
    }

    /// About how long it is between two slots, for judging how late something is.
    pub fn period(&self, now: &Zoned) -> Option<SignedDuration> {
        let next = self.next(now)?;
        let after = self.next(&next)?;
        Some(next.timestamp().duration_until(after.timestamp()))
    }
}

fn divides_a_day(period: SignedDuration) -> bool {
    DAY.as_secs() % period.as_secs().max(1) == 0
}

fn latest_of_period(period: SignedDuration, now: &Zoned) -> Option<Zoned> {
    let period_secs = period.as_secs();
    let since =
        if divides_a_day(period) { now.start_of_day().ok()?.timestamp().as_second() } else { 0 };
    let gone = now.timestamp().as_second() - since;
    let slot = since + gone.div_euclid(period_secs) * period_secs;
    Some(Timestamp::from_second(slot).ok()?.to_zoned(now.time_zone().clone()))
}

/// The slots of days around today. A time that the clock skips in spring is one hour later on that
/// day; of a time that comes twice in autumn the first counts.
fn slots_of_days<'s>(
    times: &'s [Time],
    days: &'s [Weekday],
    now: &Zoned,
    range: std::ops::RangeInclusive<i64>,
) -> impl Iterator<Item = Zoned> + 's {
    let (today, zone) = (now.date(), now.time_zone().clone());
    let dates = range.filter_map(move |by| today.checked_add(by.days()).ok());
    let wanted = dates.filter(|date| days.is_empty() || days.contains(&date.weekday()));
    wanted.flat_map(move |date| {
        let zone = zone.clone();
        times.iter().filter_map(move |time| date.to_datetime(*time).to_zoned(zone.clone()).ok())
    })
}

/// `mon`, `Monday`.
fn weekday(text: &str) -> Result<Weekday, String> {
    const DAYS: [(&str, Weekday); 7] = [
        ("monday", Weekday::Monday),
        ("tuesday", Weekday::Tuesday),
        ("wednesday", Weekday::Wednesday),
        ("thursday", Weekday::Thursday),
        ("friday", Weekday::Friday),
        ("saturday", Weekday::Saturday),
        ("sunday", Weekday::Sunday),
    ];
    let plain = text.trim().to_lowercase();
    let found = DAYS.iter().find(|(name, _)| plain.len() >= 3 && name.starts_with(&plain));
    found.map(|(_, day)| *day).ok_or_else(|| format!("{text:?} is not a day such as mon or sunday"))
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
