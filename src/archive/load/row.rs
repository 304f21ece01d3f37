//! One JSON object of a table becomes the values of a row.

use std::collections::{HashMap, HashSet};
use std::fmt;

use rusqlite::types::Value;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::cell::{UNSURE, is_sure_real, is_sure_text};
use super::super::schema::{Class, Kind, Property, Table};
use super::super::text::{date_of_json, read_base64, read_guid, stored_guid};

/// Most key frames of one row: 100 hours at 10 a second.
const TICKS_MAX: usize = 4_000_000;
/// No column's name is longer.
const NAME_CHARS_MAX: usize = 64;

/// A row's values, in the order of the table's columns, and what is nested in it.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub values: Vec<Value>,
    /// `ProfileImage`: path and date.
    pub avatar: Option<(String, String)>,
    /// `NormalizedUsername` is not there.
    pub lacks_normalized: bool,
    /// Names with values that the table has no property for.
    pub unknown: Vec<String>,
    /// Values that do not fit: position and what is wrong.
    pub faults: Vec<(usize, &'static str)>,
}

/// Where each property stands.
pub(super) struct Plan<'t> {
    columns: Vec<&'t Property>,
    by_name: HashMap<&'t str, usize>,
    /// Properties that are no columns, whose values are of other tables.
    others: HashSet<&'t str>,
}

impl<'t> Plan<'t> {
    pub(super) fn new(table: &'t Table) -> Plan<'t> {
        let columns: Vec<&Property> = table.columns().collect();
        let by_name =
            columns.iter().enumerate().map(|(at, property)| (property.name.as_str(), at)).collect();
        let others = table
            .properties
            .iter()
            .filter(|property| !property.is_column())
            .map(|property| property.name.as_str())
            .collect();
        Plan { columns, by_name, others }
    }
}

/// Reads one object.
pub(super) struct RowSeed<'p, 't>(pub &'p Plan<'t>);

impl<'de> DeserializeSeed<'de> for RowSeed<'_, '_> {
    type Value = Row;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Row, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_, '_> {
    type Value = Row;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row, A::Error> {
        let Plan { columns, .. } = self.0;
        let mut found: Vec<Option<Value>> = vec![None; columns.len()];
        let mut row = Row::default();
        while let Some(key) = map.next_key_seed(KeySeed(self.0))? {
            match key {
                Key::Column(at) => {
                    let Some(property) = columns.get(at) else { continue };
                    let value = map.next_value_seed(CellSeed(property))?;
                    match (value, found.get_mut(at)) {
                        (Ok(value), Some(slot)) => *slot = Some(value),
                        (Err(what), _) => row.faults.push((at, what)),
                        _ => {}
                    }
                }
                Key::Avatar => {
                    row.avatar = map
                        .next_value::<Option<Avatar>>()?
                        .map(|avatar| (avatar.path, avatar.last_modified))
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
                Key::Unknown(name) => {
                    row.unknown.extend(map.next_value::<Option<IgnoredAny>>()?.map(|_| name))
                }
            }
        }
        for (at, (value, property)) in found.into_iter().zip(columns).enumerate() {
            if value.is_none()
                && (property.required || property.filled)
                && !row.faults.iter().any(|(known, _)| *known == at)
            {
                row.faults.push((at, "is missing"));
            }
            row.lacks_normalized |= value.is_none() && property.name == "NormalizedUsername";
            row.values.push(value.unwrap_or_else(|| absent(property)));
        }
        Ok(row)
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Avatar {
    path: String,
    last_modified: String,
}

/// What a property is that the object does not name: what .NET would make of it.
fn absent(property: &Property) -> Value {
    match property.kind {
        _ if property.nullable => Value::Null,
        // A row number that is left out is handed out anew.
        Kind::Int if property.name == "Id" => Value::Null,
        Kind::Guid => Value::Text(stored_guid(&[0; 16])),
        Kind::Date => Value::Text(super::super::text::Date::MIN.stored()),
        Kind::Text => Value::Text(String::new()),
        Kind::Float | Kind::Double => Value::Real(0.0),
        Kind::Bytes => Value::Blob(Vec::new()),
        Kind::Ticks => Value::Text("[]".to_owned()),
        _ => Value::Integer(0),
    }
}

enum Key {
    Column(usize),
    Avatar,
    Other,
    Unknown(String),
}

struct KeySeed<'k, 't>(&'k Plan<'t>);

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_> {
    type Value = Key;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_> {
    type Value = Key;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a property")
    }
    fn visit_str<E: Error>(self, name: &str) -> Result<Key, E> {
        Ok(match self.0.by_name.get(name) {
            Some(at) => Key::Column(*at),
            None if name == "ProfileImage" => Key::Avatar,
            None if self.0.others.contains(name) => Key::Other,
            None => Key::Unknown(name.chars().take(NAME_CHARS_MAX).collect()),
        })
    }
}

/// Reads one value; what does not fit its property is told, not thrown, so that the next row can be
/// read.
struct CellSeed<'t>(&'t Property);

type Cell = Result<Value, &'static str>;

impl<'de> DeserializeSeed<'de> for CellSeed<'_> {
    type Value = Cell;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cell, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CellSeed<'_> {
    type Value = Cell;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Cell, E> {
        Ok(if self.0.nullable { Ok(Value::Null) } else { Err("has no value") })
    }

    fn visit_bool<E: Error>(self, is: bool) -> Result<Cell, E> {
        // As 0 or 1 it would be a whole number's value too.
        Ok(if matches!(self.0.kind, Kind::Bool | Kind::Unsure(Class::Integer)) {
            Ok(Value::Integer(i64::from(is)))
        } else {
            Err("is a boolean, but another type is expected")
        })
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Cell, E> {
        Ok(match self.0.kind {
            Kind::Float | Kind::Double => self.real(number as f64),
            Kind::Int if i32::try_from(number).is_err() => Err("is a number that does not fit"),
            Kind::Uint if u32::try_from(number).is_err() => Err("is a number that does not fit"),
            Kind::Int | Kind::Long | Kind::Uint | Kind::Unsure(Class::Integer) => {
                Ok(Value::Integer(number))
            }
            Kind::Unsure(Class::Real) => self.real(number as f64),
            _ => Err("is a number, but another type is expected"),
        })
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Cell, E> {
        match i64::try_from(number) {
            Ok(number) => self.visit_i64(number),
            Err(_) if matches!(self.0.kind, Kind::Float | Kind::Double) => {
                Ok(self.real(number as f64))
            }
            Err(_) => Ok(Err("is a number that does not fit")),
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Cell, E> {
        // 2020.0 is a whole number to whoever wrote it.
        if matches!(self.0.kind, Kind::Int | Kind::Long | Kind::Uint)
            && number.fract() == 0.0
            && number.abs() < 9e15
        {
            return self.visit_i64(number as i64);
        }
        Ok(if matches!(self.0.kind, Kind::Float | Kind::Double | Kind::Unsure(Class::Real)) {
            self.real(number)
        } else {
            Err("is a fraction, but another type is expected")
        })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cell, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Cell, E> {
        Ok(match self.0.kind {
            Kind::Text => Ok(Value::Text(text)),
            Kind::Unsure(Class::Text) if is_sure_text(&text) => Ok(Value::Text(text)),
            Kind::Unsure(_) => Err(UNSURE),
            Kind::Guid => {
                read_guid(&text).map(|guid| Value::Text(stored_guid(&guid))).ok_or("is not a GUID")
            }
            Kind::Date => {
                date_of_json(&text).map(|date| Value::Text(date.stored())).ok_or("is not a date")
            }
            Kind::Bytes => read_base64(&text).map(Value::Blob).ok_or("is not base64"),
            _ => Err("is text, but another type is expected"),
        })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Cell, A::Error> {
        if self.0.kind != Kind::Ticks {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Err("is a list, but another type is expected"));
        }
        let mut text = String::from("[");
        let mut count = 0;
        while let Some(tick) = seq.next_element::<i64>()? {
            count += 1;
            if count > TICKS_MAX {
                return Err(A::Error::custom("a list is too long"));
            }
            if count > 1 {
                text.push(',');
            }
            text.push_str(&tick.to_string());
        }
        text.push(']');
        Ok(Ok(Value::Text(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Cell, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err("is an object, but another type is expected"))
    }
}

impl CellSeed<'_> {
    fn real(&self, number: f64) -> Cell {
        if matches!(self.0.kind, Kind::Unsure(_)) && !is_sure_real(number) {
            return Err(UNSURE);
        }
        let narrow = if self.0.kind == Kind::Float { f64::from(number as f32) } else { number };
        if narrow.is_finite() {
            Ok(Value::Real(narrow))
        } else {
            Err("is a number that does not fit")
        }
    }
}
