//! One value of one row: read as the server would read it from SQLite, written as the server would
//! write it into JSON.

use std::borrow::Cow;

use rusqlite::types::{Value, ValueRef};

use super::schema::{Class, Kind, Property};
use super::text::{
    self, Date, Guid, ReadDate, guid_of_bytes, julian, push_base64, push_double, push_float,
    push_guid, push_string, read_date, read_guid, read_ticks,
};

/// A value, understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell<'a> {
    /// NULL.
    Null,
    /// A GUID.
    Guid(Guid),
    /// A moment.
    Date(Date),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number of 32 bits.
    Float(f32),
    /// A number of 64 bits.
    Double(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// Key frames.
    Ticks(Vec<i64>),
}

/// What is odd about a value that can be understood all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing that matters to anyone but SQL: a GUID in lower case.
    Spelling,
    /// Worth a word.
    Worth(&'static str),
}

/// A value that the server could not read, and why.
pub type Fault = &'static str;

/// Reads a value.
pub fn read<'a>(
    property: &Property,
    value: ValueRef<'a>,
) -> Result<(Cell<'a>, Option<Oddity>), Fault> {
    if let ValueRef::Null = value {
        return if property.nullable { Ok((Cell::Null, None)) } else { Err("has no value") };
    }
    let (cell, oddity) = match property.kind {
        Kind::Unsure(class) => (unsure(class, value)?, None),
        Kind::Guid => guid(value)?,
        Kind::Date => date(value)?,
        Kind::Bool => {
            let (number, oddity) = integer(value);
            (Cell::Bool(number != 0), oddity)
        }
        Kind::Int | Kind::Long | Kind::Uint => {
            let (number, oddity) = integer(value);
            let range = match property.kind {
                Kind::Int => i64::from(i32::MIN)..=i64::from(i32::MAX),
                Kind::Uint => 0..=i64::from(u32::MAX),
                _ => i64::MIN..=i64::MAX,
            };
            if !range.contains(&number) {
                return Err("is a number that the server cannot hold");
            }
            (Cell::Int(number), oddity)
        }
        Kind::Float | Kind::Double => real(property.kind, value)?,
        Kind::Text => string(property, value)?,
        Kind::Bytes => match value {
            ValueRef::Blob(bytes) => (Cell::Bytes(bytes.into()), None),
            ValueRef::Text(bytes) => {
                (Cell::Bytes(bytes.into()), Some(Oddity::Worth("is text where bytes belong")))
            }
            _ => return Err("is a number where bytes belong"),
        },
        Kind::Ticks => {
            let text = match value {
                ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok(),
                _ => None,
            };
            (
                Cell::Ticks(
                    text.and_then(read_ticks).ok_or("is not a JSON array of whole numbers")?,
                ),
                None,
            )
        }
        Kind::Reference | Kind::Collection => (Cell::Null, None),
    };
    Ok((cell, oddity))
}

/// Why a value of an unsure kind cannot be written.
pub const UNSURE: Fault =
    "has a value of an unknown type (learn the schema again from a newer zip: schema learn)";

/// A value that each kind of its column would write alike.
fn unsure(class: Class, value: ValueRef<'_>) -> Result<Cell<'_>, Fault> {
    match (class, value) {
        (Class::Text, ValueRef::Text(bytes)) => {
            let text = std::str::from_utf8(bytes).map_err(|_| UNSURE)?;
            if is_sure_text(text) { Ok(Cell::Text(text.into())) } else { Err(UNSURE) }
        }
        // 0 and 1 may be false and true.
        (Class::Integer, ValueRef::Integer(number)) if !(0..=1).contains(&number) => {
            Ok(Cell::Int(number))
        }
        (Class::Real, ValueRef::Real(number)) if is_sure_real(number) => Ok(Cell::Double(number)),
        _ => Err(UNSURE),
    }
}

/// Whether a text is the same in the database and in JSON, whatever it is: no date, no list, and a
/// GUID only without letters.
pub fn is_sure_text(text: &str) -> bool {
    let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
    read_guid(text).is_none_or(|guid| !has_letters && text::stored_guid(&guid) == text)
        && read_date(text).is_none()
        && text::date_of_json(text).is_none()
        && read_ticks(text).is_none()
}

/// Whether a number is the same in 32 bits, in value and in JSON.
pub fn is_sure_real(number: f64) -> bool {
    let (mut narrow, mut wide) = (Vec::new(), Vec::new());
    push_float(&mut narrow, number as f32);
    push_double(&mut wide, number);
    narrow == wide && f64::from(number as f32) == number
}

fn guid(value: ValueRef<'_>) -> Result<(Cell<'_>, Option<Oddity>), Fault> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(read_guid);
    let (guid, oddity) = match value {
        ValueRef::Text(bytes) => {
            let guid = text(bytes).ok_or("is not a GUID")?;
            let mut usual = Vec::with_capacity(36);
            push_guid(&mut usual, &guid, true);
            let same = usual == bytes;
            let oddity = if usual.eq_ignore_ascii_case(bytes) {
                Oddity::Spelling
            } else {
                Oddity::Worth("is a GUID in another form")
            };
            (guid, (!same).then_some(oddity))
        }
        ValueRef::Blob(bytes) => (
            guid_of_bytes(bytes).or_else(|| text(bytes)).ok_or("is not a GUID")?,
            Some(Oddity::Worth("is a GUID as bytes")),
        ),
        _ => return Err("is a number where a GUID belongs"),
    };
    Ok((Cell::Guid(guid), oddity))
}

fn date(value: ValueRef<'_>) -> Result<(Cell<'_>, Option<Oddity>), Fault> {
    let number = |number: f64| {
        Ok((
            Cell::Date(julian(number).ok_or("is not a date")?),
            Some(Oddity::Worth("is a date as a number (a Julian day)")),
        ))
    };
    match value {
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes).ok().and_then(read_date) {
            Some(ReadDate::Usual(date)) => Ok((Cell::Date(date), None)),
            Some(ReadDate::Unusual(date)) => {
                Ok((Cell::Date(date), Some(Oddity::Worth("is a date in another format"))))
            }
            // SQLite turns a number into text in a column for text.
            None => number(
                std::str::from_utf8(bytes)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .ok_or("is not a date")?,
            ),
        },
        ValueRef::Integer(day) => number(day as f64),
        ValueRef::Real(day) => number(day),
        _ => Err("is not a date"),
    }
}

/// A whole number as SQLite gives it to who asks for one, whatever is stored.
fn integer(value: ValueRef<'_>) -> (i64, Option<Oddity>) {
    match value {
        ValueRef::Integer(number) => (number, None),
        ValueRef::Real(number) => (
            number as i64,
            Some(Oddity::Worth("is a floating-point number in a column of whole numbers")),
        ),
        ValueRef::Text(bytes) => {
            (leading_integer(bytes), Some(Oddity::Worth("is text in a column of whole numbers")))
        }
        ValueRef::Blob(bytes) => {
            (leading_integer(bytes), Some(Oddity::Worth("is bytes in a column of whole numbers")))
        }
        ValueRef::Null => (0, None),
    }
}

fn real(kind: Kind, value: ValueRef<'_>) -> Result<(Cell<'static>, Option<Oddity>), Fault> {
    let (number, oddity) = match value {
        ValueRef::Real(number) => (number, None),
        ValueRef::Integer(number) => (number as f64, None),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            (leading_real(bytes), Some(Oddity::Worth("is text where a number belongs")))
        }
        ValueRef::Null => (0.0, None),
    };
    let cell = if kind == Kind::Float { Cell::Float(number as f32) } else { Cell::Double(number) };
    match cell {
        Cell::Float(narrow) if !narrow.is_finite() => {
            Err("is not a finite 32-bit number, which JSON cannot express")
        }
        Cell::Double(wide) if !wide.is_finite() => {
            Err("is not a finite number, which JSON cannot express")
        }
        cell => Ok((cell, oddity)),
    }
}

/// The whole number at the beginning of a text as SQLite's own reading goes: 0 where none stands
/// there, the outermost where it is too large.
fn leading_integer(bytes: &[u8]) -> i64 {
    let text = bytes.trim_ascii_start();
    let (is_negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    // Towards the outermost from below, which has one number more than above.
    let down = digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0i64, |number, byte| {
        number.saturating_mul(10).saturating_sub(i64::from(byte - b'0'))
    });
    if is_negative { down } else { down.checked_neg().unwrap_or(i64::MAX) }
}

/// The number at the beginning of a text as SQLite's own reading goes: 0 where none stands there.
fn leading_real(bytes: &[u8]) -> f64 {
    // None of a number's characters is any other than these, so what follows them, text or not,
    // cannot matter; nor are words such as "inf" numbers.
    let is_of_number =
        |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    // No number is longer.
    let text: String = bytes
        .trim_ascii_start()
        .iter()
        .take_while(is_of_number)
        .take(400)
        .copied()
        .map(char::from)
        .collect();
    (1..=text.len()).rev().find_map(|len| text.get(..len)?.parse().ok()).unwrap_or(0.0)
}

fn string<'a>(
    property: &Property,
    value: ValueRef<'a>,
) -> Result<(Cell<'a>, Option<Oddity>), Fault> {
    let (text, oddity) = match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            let is_lossy = matches!(text, Cow::Owned(_));
            let is_blob = matches!(value, ValueRef::Blob(_));
            let oddity = if is_lossy {
                Some("is not valid UTF-8")
            } else {
                is_blob.then_some("is bytes in a text column")
            };
            (text, oddity.map(Oddity::Worth))
        }
        ValueRef::Integer(number) => {
            (number.to_string().into(), Some(Oddity::Worth("is a number where text belongs")))
        }
        ValueRef::Real(number) => {
            (number.to_string().into(), Some(Oddity::Worth("is a number where text belongs")))
        }
        ValueRef::Null => (Cow::default(), None),
    };
    if property.filled && text.is_empty() {
        return Err("is empty");
    }
    Ok((Cell::Text(text), oddity))
}

impl Cell<'_> {
    /// As the server stores it.
    pub fn stored(&self) -> Value {
        match self {
            Cell::Null => Value::Null,
            Cell::Guid(guid) => Value::Text(text::stored_guid(guid)),
            Cell::Date(date) => Value::Text(date.stored()),
            Cell::Bool(is) => Value::Integer(i64::from(*is)),
            Cell::Int(number) => Value::Integer(*number),
            Cell::Float(number) => Value::Real(f64::from(*number)),
            Cell::Double(number) => Value::Real(*number),
            Cell::Text(text) => Value::Text(text.clone().into_owned()),
            Cell::Bytes(bytes) => Value::Blob(bytes.clone().into_owned()),
            Cell::Ticks(ticks) => Value::Text(ticks_json(ticks)),
        }
    }

    /// Appends it as JSON.
    pub fn push_json(&self, out: &mut Vec<u8>) {
        match self {
            Cell::Null => out.extend(b"null"),
            Cell::Guid(guid) => {
                out.push(b'"');
                push_guid(out, guid, false);
                out.push(b'"');
            }
            Cell::Date(date) => {
                out.push(b'"');
                out.extend(date.json().bytes());
                out.push(b'"');
            }
            Cell::Bool(is) => out.extend(if *is { &b"true"[..] } else { b"false" }),
            Cell::Int(number) => out.extend(number.to_string().bytes()),
            Cell::Float(number) => push_float(out, *number),
            Cell::Double(number) => push_double(out, *number),
            Cell::Text(text) => push_string(out, text),
            Cell::Bytes(bytes) => push_base64(out, bytes),
            Cell::Ticks(ticks) => out.extend(ticks_json(ticks).bytes()),
        }
    }
}

fn ticks_json(ticks: &[i64]) -> String {
    format!("[{}]", ticks.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
#[path = "cell_tests.rs"]
mod tests;
