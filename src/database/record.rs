//! A row's bytes as values: SQLite's record format.

use crate::store::cells::varint;

use super::Error;

/// A value as SQLite stores it; texts as UTF-8 bytes, which need not be valid.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer.
    Integer(i64),
    /// A floating point number.
    Real(f64),
    /// A text.
    Text(Vec<u8>),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row: its number, where the table has numbers, and its values in the order of the table's
/// columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// SQLite's row number.
    pub number: Option<i64>,
    /// One value for each column.
    pub values: Vec<Value>,
}

/// How texts are written in a database (header, offset 56).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Utf8,
    Utf16Le,
    Utf16Be,
}

/// One more than the largest integer.
const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;

/// Whether SQLite's `IS` calls two values the same: numbers by what they are worth, not by how they
/// are stored.
pub fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Integer(i), Value::Real(r)) | (Value::Real(r), Value::Integer(i)) => {
            // Exact in both directions, or they are two numbers.
            *r == *i as f64 && (-TWO_TO_63..TWO_TO_63).contains(r) && *r as i64 == *i
        }
        (a, b) => a == b,
    }
}

impl Value {
    /// The text, as people read it.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        }
    }

    /// The integer; of a real one that is whole, too.
    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Integer(number) => Some(*number),
            Value::Real(real) if same(self, &Value::Integer(*real as i64)) => Some(*real as i64),
            _ => None,
        }
    }

    /// Appends bytes that are the same for values that are the same, and for no others.
    pub(super) fn push_key(&self, out: &mut Vec<u8>) {
        let mut tagged = |tag: u8, bytes: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match self {
            Value::Null => tagged(0, b""),
            Value::Integer(number) => tagged(1, &number.to_le_bytes()),
            Value::Real(real) => match self.integer() {
                Some(number) => tagged(1, &number.to_le_bytes()),
                None => tagged(2, &real.to_le_bytes()),
            },
            Value::Text(text) => tagged(3, text),
            Value::Blob(bytes) => tagged(4, bytes),
        }
    }
}

/// The values of a record, as many as it has.
pub(super) fn decode(payload: &[u8], encoding: Encoding, page: u32) -> Result<Vec<Value>, Error> {
    decode_from(payload, encoding).ok_or(Error::Page {
        page,
        what: "a row in it is cut short or has a value of no known kind",
    })
}

fn decode_from(payload: &[u8], encoding: Encoding) -> Option<Vec<Value>> {
    let (header_len, after_len) = varint(payload)?;
    let header_len = usize::try_from(header_len).ok()?;
    let mut header = after_len.get(..header_len.checked_sub(payload.len() - after_len.len())?)?;
    let mut body = payload.get(header_len..)?;
    let mut values = Vec::new();
    while !header.is_empty() {
        let (kind, rest) = varint(header)?;
        header = rest;
        let len = bytes_of(kind)?;
        values.push(value(kind, body.get(..len)?, encoding)?);
        body = body.get(len..)?;
    }
    Some(values)
}

/// How many bytes a value of this kind takes; nothing where there is no such kind.
pub(super) fn bytes_of(kind: u64) -> Option<usize> {
    match kind {
        0 | 8 | 9 => Some(0),
        1..=4 => Some(kind as usize),
        5 => Some(6),
        6 | 7 => Some(8),
        10 | 11 => None,
        _ => usize::try_from((kind - 12) / 2).ok(),
    }
}

/// A value of a kind.
pub(super) fn value(kind: u64, bytes: &[u8], encoding: Encoding) -> Option<Value> {
    Some(match kind {
        0 => Value::Null,
        8 => Value::Integer(0),
        9 => Value::Integer(1),
        7 => Value::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        1..=6 => Value::Integer(integer(bytes)),
        10 | 11 => return None,
        _ if kind.is_multiple_of(2) => Value::Blob(bytes.to_vec()),
        _ => Value::Text(utf8(bytes, encoding)),
    })
}

fn integer(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|byte| byte & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |value: i64, byte| (value << 8) | i64::from(*byte))
}

fn utf8(bytes: &[u8], encoding: Encoding) -> Vec<u8> {
    let units = |of: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes.chunks_exact(2).filter_map(|pair| Some(of(pair.try_into().ok()?))).collect()
    };
    match encoding {
        Encoding::Utf8 => bytes.to_vec(),
        Encoding::Utf16Le => String::from_utf16_lossy(&units(u16::from_le_bytes)).into_bytes(),
        Encoding::Utf16Be => String::from_utf16_lossy(&units(u16::from_be_bytes)).into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_cut_anywhere_is_an_error_and_never_a_panic() {
        let record = [5, 0, 1, 6, 19, 0xff, 0, 0, 0, 0, 0, 0, 1, 0, b'a', b'b', b'c'];
        let values = decode(&record, Encoding::Utf8, 1).unwrap();
        assert_eq!(
            values,
            [Value::Null, Value::Integer(-1), Value::Integer(256), Value::Text(b"abc".to_vec())]
        );
        for end in 0..record.len() {
            assert!(decode(&record[..end], Encoding::Utf8, 1).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn numbers_are_the_same_by_what_they_are_worth() {
        assert!(same(&Value::Integer(1), &Value::Real(1.0)));
        assert!(!same(&Value::Integer(i64::MAX), &Value::Real(i64::MAX as f64)));
        assert!(!same(&Value::Integer(1), &Value::Text(b"1".to_vec())));
        let key = |value: Value| {
            let mut out = Vec::new();
            value.push_key(&mut out);
            out
        };
        assert_eq!(key(Value::Integer(3)), key(Value::Real(3.0)));
        assert_ne!(key(Value::Integer(3)), key(Value::Real(3.5)));
    }
}
