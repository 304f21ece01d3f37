//! Durations, counts, shares and sizes as people type them.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

use crate::manifest::Count;
use crate::ops::{MaxUnused, Share};

/// A span of time in calendar units: 48h, 7d, 2mo, 1y, 1y6mo.
pub fn span(text: &str) -> Result<Span, String> {
    let span: Span =
        text.parse().map_err(|_| "not a duration such as 48h, 7d, 2mo or 1y".to_owned())?;
    if span.is_negative() || span.is_zero() {
        Err("must be longer than zero".to_owned())
    } else {
        Ok(span)
    }
}

/// A span of time in seconds; a day has 24 hours.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: Span =
        text.parse().map_err(|_| "not a duration such as 30s, 10m or 2h".to_owned())?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length; use days".to_owned())?;
    Duration::try_from(signed).map_err(|_| "must not be negative".to_owned())
}

/// How many to keep.
pub fn count(text: &str) -> Result<Count, String> {
    match text {
        "all" | "unlimited" => Ok(Count::All),
        _ => match text.parse() {
            Ok(0) => Err("must be at least 1; leave out the option to disable the rule".to_owned()),
            Ok(number) => Ok(Count::Newest(number)),
            Err(_) => Err("neither a number nor all".to_owned()),
        },
    }
}

/// A share in hundredths.
pub fn percent(text: &str) -> Option<f64> {
    text.strip_suffix('%')?.trim().parse().ok().filter(|percent| (0.0..=100.0).contains(percent))
}

/// A size in bytes: 500MB, 2GiB, 1024B.
pub fn bytes(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    let unit: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        // A bare number is a share whose % was forgotten, likelier than not.
        "b" => 1.0,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1_048_576.0,
        "g" | "gib" => 1_073_741_824.0,
        "t" | "tib" => 1_099_511_627_776.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit) as u64)
}

/// How much waste prune tolerates.
pub fn max_unused(text: &str) -> Result<MaxUnused, String> {
    if text == "unlimited" {
        return Ok(MaxUnused::Unlimited);
    }
    let share = percent(text).filter(|percent| *percent < 100.0).map(MaxUnused::Percent);
    share
        .or_else(|| bytes(text).map(MaxUnused::Bytes))
        .ok_or_else(|| "not a share such as 5%, a size such as 2GiB, or unlimited".to_owned())
}

/// How much of the data check reads.
pub fn share(text: &str) -> Result<Share, String> {
    if text == "all" {
        return Ok(Share::All);
    }
    if let Some(time) = text.strip_prefix("unread:") {
        return duration(time).map(Share::UnreadFor);
    }
    let known = percent(text)
        .map(Share::Percent)
        .or_else(|| duration(text).ok().map(Share::For))
        .or_else(|| bytes(text).map(Share::Bytes));
    known.ok_or_else(|| {
        "not a share such as 10%, a size such as 5GiB, a time such as 15m, or unread:30d".to_owned()
    })
}

/// A share in thousandths.
pub fn permille(text: &str) -> Result<u32, String> {
    let thousandths = percent(text)
        .map(|percent| percent * 10.0)
        .ok_or_else(|| "not a share such as 3%".to_owned())?;
    if thousandths > 0.0 && thousandths < 1.0 {
        Err("must be at least 0.1%".to_owned())
    } else {
        Ok(thousandths.round() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_is_understood_and_nonsense_is_not() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert!(duration("1mo").is_err() && duration("soon").is_err() && duration("-5m").is_err());
        assert!(
            span("2mo").is_ok() && span("1y").is_ok() && span("0d").is_err() && span("x").is_err()
        );
        assert_eq!((count("7"), count("all")), (Ok(Count::Newest(7)), Ok(Count::All)));
        assert!(count("0").is_err() && count("-1").is_err());
        assert_eq!(max_unused("5%"), Ok(MaxUnused::Percent(5.0)));
        assert_eq!(max_unused("2GiB"), Ok(MaxUnused::Bytes(2 << 30)));
        assert_eq!(max_unused("1.5 MB"), Ok(MaxUnused::Bytes(1_500_000)));
        assert_eq!(share("10%"), Ok(Share::Percent(10.0)));
        assert_eq!(share("15m"), Ok(Share::For(Duration::from_secs(900))));
        assert_eq!(share("5GiB"), Ok(Share::Bytes(5 << 30)));
        assert_eq!(share("unread:30d"), Ok(Share::UnreadFor(Duration::from_secs(30 * 86_400))));
        assert!(share("some").is_err() && share("unread:").is_err() && share("101%").is_err());
        assert_eq!((permille("3%"), permille("0.5%"), permille("0%")), (Ok(30), Ok(5), Ok(0)));
        assert!(permille("0.01%").is_err() && permille("3").is_err());
        assert!(
            max_unused("100%").is_err()
                && max_unused("5").is_err()
                && max_unused("much").is_err()
                && max_unused("").is_err()
        );
    }
}
