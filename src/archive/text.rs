//! Scalars as .NET writes them into JSON, and as Jellyfin stores them in SQLite (`docs/zip.md`,
//! "Values").

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A moment in UTC with .NET's resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// The second.
    pub second: jiff::civil::DateTime,
    /// Ticks of 100 ns on top.
    pub ticks: u32,
}

impl Date {
    /// The first moment that .NET knows; its default.
    pub const MIN: Date = Date { second: jiff::civil::date(1, 1, 1).at(0, 0, 0, 0), ticks: 0 };

    /// A moment of a snapshot.
    pub fn of_ns(ns: i128) -> Date {
        let stamp = jiff::Timestamp::from_nanosecond(ns)
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime();
        let ticks = stamp.subsec_nanosecond() / 100;
        Date { second: without_fraction(stamp), ticks: ticks.unsigned_abs() }
    }

    /// As the database holds it: `2026-01-02 03:04:05.1234567`, without trailing zeros.
    pub fn stored(self) -> String {
        let mut out = self.second.strftime("%Y-%m-%d %H:%M:%S").to_string();
        self.push_fraction(&mut out);
        out
    }

    /// As JSON holds it, without quotes: `2026-01-02T03:04:05.1234567Z`.
    pub fn json(self) -> String {
        let mut out = self.second.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.push_fraction(&mut out);
        out.push('Z');
        out
    }

    /// The moment, nanoseconds since 1970.
    pub fn ns(self) -> i128 {
        let seconds = self
            .second
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(0, |zoned| zoned.timestamp().as_second());
        i128::from(seconds) * 1_000_000_000 + i128::from(self.ticks) * 100
    }

    fn push_fraction(self, out: &mut String) {
        if self.ticks > 0 {
            // Writing to a String cannot fail.
            crate::tolerate(write!(out, ".{}", format!("{:07}", self.ticks).trim_end_matches('0')));
        }
    }
}

fn without_fraction(moment: jiff::civil::DateTime) -> jiff::civil::DateTime {
    moment.with().subsec_nanosecond(0).build().unwrap_or(moment)
}

/// What a text says as a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadDate {
    /// In the form that Jellyfin writes.
    Usual(Date),
    /// In another form that can be understood.
    Unusual(Date),
}

/// Reads a date as the database holds it: Jellyfin's own form, ISO 8601 with or without offset, or
/// the invariant culture's.
pub fn read_date(text: &str) -> Option<ReadDate> {
    if let Some(date) = usual(text.as_bytes()) {
        return Some(ReadDate::Usual(date));
    }
    let text = text.trim();
    iso(text).or_else(|| spelled(text)).map(ReadDate::Unusual)
}

/// `yyyy-MM-dd HH:mm:ss[.f{1,7}]`, digits only, no allocation: this is every date of a healthy
/// database.
fn usual(bytes: &[u8]) -> Option<Date> {
    let number = |from: usize, len: usize| -> Option<u32> {
        bytes
            .get(from..from + len)?
            .iter()
            .try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
    };
    let is = |at: usize, byte: u8| bytes.get(at) == Some(&byte);
    if !(is(4, b'-') && is(7, b'-') && is(10, b' ') && is(13, b':') && is(16, b':')) {
        return None;
    }
    let ticks = match bytes.len() {
        19 => 0,
        len @ 21..=27 if is(19, b'.') => number(20, len - 20)? * 10_u32.pow(27 - len as u32),
        _ => return None,
    };
    let small = |from| number(from, 2).and_then(|n| i8::try_from(n).ok());
    let day =
        jiff::civil::Date::new(i16::try_from(number(0, 4)?).ok()?, small(5)?, small(8)?).ok()?;
    let time = jiff::civil::Time::new(small(11)?, small(14)?, small(17)?, 0).ok()?;
    (day.year() >= 1).then(|| Date { second: day.to_datetime(time), ticks })
}

/// ISO 8601: `T` or space, any number of fraction digits, `Z` or an offset, or the day alone.
fn iso(text: &str) -> Option<Date> {
    let stamp = text
        .parse::<jiff::Timestamp>()
        .ok()
        .map(|stamp| stamp.to_zoned(jiff::tz::TimeZone::UTC).datetime());
    let moment = stamp
        .or_else(|| text.parse().ok())
        .or_else(|| text.parse::<jiff::civil::Date>().ok().map(|day| day.at(0, 0, 0, 0)))?;
    dated(moment)
}

/// As .NET's invariant culture and mail write it: `06/10/2026 12:34:56`,
/// `Wed, 10 Jun 2026 12:34:56 GMT`.
fn spelled(text: &str) -> Option<Date> {
    if let Ok(stamp) = jiff::fmt::rfc2822::parse(text) {
        return dated(stamp.timestamp().to_zoned(jiff::tz::TimeZone::UTC).datetime());
    }
    let forms = ["%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M"];
    let moment = forms.iter().find_map(|form| jiff::civil::DateTime::strptime(form, text).ok());
    dated(moment.or_else(|| {
        jiff::civil::Date::strptime("%m/%d/%Y", text).ok().map(|day| day.at(0, 0, 0, 0))
    })?)
}

/// A Julian day, which is how SQLite keeps a date as a number, rounded to milliseconds.
pub fn julian(day: f64) -> Option<Date> {
    const UNIX_EPOCH: f64 = 2_440_587.5;
    if !(1_721_425.5..5_373_484.5).contains(&day) {
        return None;
    }
    let ms = ((day - UNIX_EPOCH) * 86_400_000.0).round();
    dated(
        jiff::Timestamp::from_millisecond(ms as i64)
            .ok()?
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime(),
    )
}

fn dated(moment: jiff::civil::DateTime) -> Option<Date> {
    (moment.year() >= 1).then(|| Date {
        second: without_fraction(moment),
        ticks: moment.subsec_nanosecond().unsigned_abs() / 100,
    })
}

/// A date as JSON holds it, `Z` or any offset; one without is taken as UTC.
pub fn date_of_json(text: &str) -> Option<Date> {
    let bytes = text.as_bytes();
    // What the server writes, without a detour.
    if let Some(body) = bytes.strip_suffix(b"Z")
        && body.get(10) == Some(&b'T')
        && body.len() <= 27
    {
        let mut copy = [0; 27];
        let copy = copy.get_mut(..body.len())?;
        copy.copy_from_slice(body);
        *copy.get_mut(10)? = b' ';
        if let Some(date) = usual(copy) {
            return Some(date);
        }
    }
    iso(text)
}

/// 16 bytes of a GUID in the order in which it is written.
pub type Guid = [u8; 16];

/// Reads a GUID in any form that .NET writes: `D`, `N`, `B`, `P`; upper or lower case.
pub fn read_guid(text: &str) -> Option<Guid> {
    let text = text.trim();
    let inner = text.strip_prefix('{').map_or(Some(text), |rest| rest.strip_suffix('}'))?;
    let inner =
        inner.strip_prefix('(').map_or(Some(inner), |rest| rest.strip_suffix(')'))?.as_bytes();
    let mut out = [0; 16];
    let mut nibbles = 0usize;
    for (at, byte) in inner.iter().enumerate() {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'-' if inner.len() == 36 && matches!(at, 8 | 13 | 18 | 23) => continue,
            _ => return None,
        };
        let slot = out.get_mut(nibbles / 2)?;
        *slot = *slot << 4 | value;
        nibbles += 1;
    }
    (nibbles == 32 && matches!(inner.len(), 32 | 36)).then_some(out)
}

/// A GUID from 16 raw bytes, as .NET lays them out: the first three fields little-endian.
pub fn guid_of_bytes(bytes: &[u8]) -> Option<Guid> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = <[u8; 16]>::try_from(bytes).ok()?;
    let [i, j, k, l, m, n, o, p] = rest;
    Some([d, c, b, a, f, e, h, g, i, j, k, l, m, n, o, p])
}

/// Appends a GUID in form `D`, upper case as in the database or lower case as in JSON.
pub fn push_guid(out: &mut Vec<u8>, guid: &Guid, upper: bool) {
    for (at, byte) in guid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend([hex_digit(byte >> 4, upper), hex_digit(byte & 15, upper)]);
    }
}

/// The digit of a number below 16.
fn hex_digit(nibble: u8, upper: bool) -> u8 {
    match nibble {
        0..10 => b'0' + nibble,
        _ if upper => b'A' + nibble - 10,
        _ => b'a' + nibble - 10,
    }
}

/// A GUID as the database holds it.
pub fn stored_guid(guid: &Guid) -> String {
    let mut out = Vec::with_capacity(36);
    push_guid(&mut out, guid, true);
    out.into_iter().map(char::from).collect()
}

/// Appends a string with its quotes, escaped as .NET's default encoder does: ASCII but what HTML
/// gives a meaning, all else as `\uXXXX`.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '\\' => out.extend(b"\\\\"),
            '\u{8}' => out.extend(b"\\b"),
            '\t' => out.extend(b"\\t"),
            '\n' => out.extend(b"\\n"),
            '\u{c}' => out.extend(b"\\f"),
            '\r' => out.extend(b"\\r"),
            '"' | '\'' | '<' | '>' | '&' | '+' | '`' | '\u{7f}' => push_escape(out, c as u16),
            ' '..='~' => out.push(c as u8),
            _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| push_escape(out, *unit)),
        }
    }
    out.push(b'"');
}

fn push_escape(out: &mut Vec<u8>, unit: u16) {
    out.extend(b"\\u");
    for shift in [12, 8, 4, 0] {
        out.push(hex_digit((unit >> shift & 15) as u8, true));
    }
}

/// Appends a `double` as .NET writes it: the shortest digits that lead back to it. Finite only.
pub fn push_double(out: &mut Vec<u8>, value: f64) {
    push_digits(out, &format!("{value:e}"), 17);
}

/// Appends a `float` as .NET writes it. Finite only.
pub fn push_float(out: &mut Vec<u8>, value: f32) {
    push_digits(out, &format!("{value:e}"), 9);
}

/// From `d.ddde-7` to .NET's form: plain up to `plain_max` digits before the point and four zeros
/// behind it, else `E+XX`.
fn push_digits(out: &mut Vec<u8>, shortest: &str, plain_max: i32) {
    let (sign, shortest) = shortest.strip_prefix('-').map_or(("", shortest), |rest| ("-", rest));
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((shortest, "0"));
    let digits: Vec<u8> = mantissa.bytes().filter(|b| *b != b'.').collect();
    // The value is 0.digits × 10^scale.
    let scale = exponent.parse::<i32>().unwrap_or(0) + 1;
    out.extend(sign.bytes());
    if digits == b"0" {
        out.push(b'0');
    } else if (-3..=plain_max).contains(&scale) {
        let whole = usize::try_from(scale).unwrap_or(0);
        match whole {
            0 => out.push(b'0'),
            _ => out.extend((0..whole).map(|at| digits.get(at).copied().unwrap_or(b'0'))),
        }
        if digits.len() > whole {
            out.push(b'.');
            out.extend((scale..0).map(|_| b'0'));
            out.extend(digits.iter().skip(whole));
        }
    } else {
        let (first, rest) = digits.split_first().unwrap_or((&b'0', &[]));
        out.push(*first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend(rest);
        }
        let exponent = scale - 1;
        out.extend(
            format!("E{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs()).bytes(),
        );
    }
}

/// Appends bytes in base64 with its quotes; `+` is escaped as in every string.
pub fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for letter in STANDARD.encode(bytes).bytes() {
        if letter == b'+' { push_escape(out, u16::from(b'+')) } else { out.push(letter) }
    }
    out.push(b'"');
}

/// Reads base64, padded as the standard says.
pub fn read_base64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The ticks in a JSON array of integers, and nothing else.
pub fn read_ticks(text: &str) -> Option<Vec<i64>> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
