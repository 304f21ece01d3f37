//! Times as people type them to name a snapshot.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, civil};

/// The last moment that a time names: `2026-11-22` its end, `2026-11-22T10:00` the end of that
/// minute, RFC 3339 itself.
pub(super) fn moment(name: &str, zone: &TimeZone) -> Option<Timestamp> {
    if name.get(4..5).is_none_or(|c| c != "-") {
        return None;
    }
    if let Ok(exact) = name.parse::<Timestamp>() {
        // Without a fraction the whole second is meant.
        return if name.contains('.') {
            Some(exact)
        } else {
            exact.checked_add(1.second()).ok()?.checked_sub(1.nanosecond()).ok()
        };
    }
    let (start, span) = match name.parse::<civil::Date>() {
        Ok(date) if name.len() == 10 => (date.to_datetime(civil::Time::midnight()), 1.day()),
        _ => {
            let minute = name.matches(':').count() == 1;
            (
                name.replacen(' ', "T", 1).parse::<civil::DateTime>().ok()?,
                if minute { 1.minute() } else { 1.second() },
            )
        }
    };
    let end = start.checked_add(span).ok()?.to_zoned(zone.clone()).ok()?;
    end.timestamp().checked_sub(1.nanosecond()).ok()
}
