//! What the rows of a table tell of its properties: how each value stands in the zip and in the
//! database.

use std::collections::BTreeMap;
use std::fmt;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::cell::{self, Oddity};
use super::super::text::{read_guid, stored_guid};
use super::column::{Column, LearnError, kinds};
use super::file::is_plain;
use super::{Kind, Property};

/// What the rows of one table tell.
pub(super) struct Seen<'d> {
    table: String,
    columns: Vec<String>,
    key: Vec<String>,
    find: Statement<'d>,
    /// Properties in the order of the first row; none where there is no row.
    pub order: Vec<String>,
    /// What each property may be.
    pub candidates: BTreeMap<String, Vec<Kind>>,
    /// Why reading stopped.
    pub failure: Option<LearnError>,
}

impl<'d> Seen<'d> {
    pub(super) fn new(
        db: &'d Connection,
        table: &str,
        columns: &[Column],
    ) -> Result<Seen<'d>, LearnError> {
        let key: Vec<String> = columns
            .iter()
            .filter(|column| column.key_at > 0)
            .map(|column| column.name.clone())
            .collect();
        let list = columns
            .iter()
            .map(|column| format!("\"{}\"", column.name))
            .collect::<Vec<_>>()
            .join(", ");
        let by = key
            .iter()
            .enumerate()
            .map(|(at, name)| format!("\"{name}\" = ?{}", at + 1))
            .collect::<Vec<_>>()
            .join(" AND ");
        let find = db.prepare(&format!(
            "SELECT {list} FROM \"{table}\" WHERE {}",
            if by.is_empty() { "0" } else { &by }
        ))?;
        let candidates =
            columns.iter().map(|column| (column.name.clone(), kinds(column))).collect();
        let columns = columns.iter().map(|column| column.name.clone()).collect();
        Ok(Seen {
            table: table.to_owned(),
            columns,
            key,
            find,
            order: Vec::new(),
            candidates,
            failure: None,
        })
    }

    fn row(&mut self, row: &[(String, Box<RawValue>)]) -> Result<(), LearnError> {
        let unfit = |what: String| LearnError::Unfit { table: self.table.clone(), what };
        if self.order.is_empty() {
            self.order = row.iter().map(|(name, _)| name.clone()).collect();
            if let Some(name) = self.order.iter().find(|name| !is_plain(name)) {
                return Err(unfit(format!("the property {name:?} has an unusual name")));
            }
        } else if !self.order.iter().eq(row.iter().map(|(name, _)| name)) {
            return Err(unfit(
                "its rows do not all have the same properties in the same order".to_owned(),
            ));
        }
        for (name, json) in row {
            let is_column = self.columns.contains(name);
            let shape = shape(json.get(), is_column);
            let candidates = self
                .candidates
                .entry(name.clone())
                .or_insert_with(|| vec![Kind::Reference, Kind::Collection]);
            if let Some(shape) = shape {
                candidates.retain(|kind| shape.contains(kind));
            }
            if candidates.is_empty() {
                return Err(unfit(format!("{name} contains values of different types")));
            }
        }
        self.compare(row)
    }

    /// Holds a row against the one of the same key in the database: a kind by which one becomes the
    /// other may be right, others are not.
    fn compare(&mut self, row: &[(String, Box<RawValue>)]) -> Result<(), LearnError> {
        let text_of =
            |name: &String| row.iter().find(|(known, _)| known == name).map(|(_, json)| json.get());
        for spelled in [true, false] {
            let Some(key) = self
                .key
                .iter()
                .map(|name| key_value(text_of(name)?, spelled))
                .collect::<Option<Vec<Value>>>()
            else {
                return Ok(());
            };
            let mut rows = self.find.query(rusqlite::params_from_iter(key))?;
            let Some(found) = rows.next()? else { continue };
            for (at, column) in self.columns.iter().enumerate() {
                let (Some(json), Some(candidates)) =
                    (text_of(column), self.candidates.get_mut(column))
                else {
                    continue;
                };
                let stored = found.get_ref(at)?;
                if matches!(stored, ValueRef::Null) {
                    continue;
                }
                let right: Vec<Kind> = candidates
                    .iter()
                    .copied()
                    .filter(|kind| becomes(*kind, stored, json))
                    .collect();
                // A value that none makes of it was changed between the two.
                if !right.is_empty() {
                    *candidates = right;
                }
            }
            return Ok(());
        }
        Ok(())
    }
}

/// The kinds that a JSON value can be of; nothing where it does not tell.
fn shape(json: &str, is_column: bool) -> Option<&'static [Kind]> {
    let of_column: &[Kind] = match json.as_bytes().first()? {
        b'n' if is_column => return None,
        b'n' => return Some(&[Kind::Reference]),
        b'{' => return Some(&[Kind::Reference]),
        b'[' if !is_column => return Some(&[Kind::Collection]),
        b'[' => &[Kind::Ticks],
        b't' | b'f' => &[Kind::Bool],
        b'"' => &[Kind::Text, Kind::Guid, Kind::Date, Kind::Bytes],
        _ => &[Kind::Int, Kind::Long, Kind::Uint, Kind::Float, Kind::Double],
    };
    Some(of_column)
}

/// Whether a stored value of this kind stands in JSON like this.
fn becomes(kind: Kind, stored: ValueRef<'_>, json: &str) -> bool {
    let property =
        Property { name: String::new(), kind, nullable: true, required: false, filled: false };
    match cell::read(&property, stored) {
        Ok((cell, None | Some(Oddity::Spelling))) => {
            let mut written = Vec::new();
            cell.push_json(&mut written);
            written == json.as_bytes()
        }
        _ => false,
    }
}

/// A key's value as the database has it: a GUID in its spelling there, or a text as it is.
fn key_value(json: &str, spelled: bool) -> Option<Value> {
    match serde_json::from_str(json).ok()? {
        serde_json::Value::Number(number) => number.as_i64().map(Value::Integer),
        serde_json::Value::String(text) => {
            let guid = if spelled { read_guid(&text).map(|guid| stored_guid(&guid)) } else { None };
            Some(Value::Text(guid.unwrap_or(text)))
        }
        _ => None,
    }
}

/// Hands the rows of a table on.
pub(super) struct Rows<'s, 'd>(pub &'s mut Seen<'d>);

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(RawRow(row)) = seq.next_element()? {
            if let Err(failure) = self.0.row(&row) {
                self.0.failure = Some(failure);
                return Err(serde::de::Error::custom("it does not fit"));
            }
        }
        Ok(())
    }
}

/// Hands on each row of a table's JSON as it is spelled.
pub fn each_row(json: impl std::io::Read, mut each: impl FnMut(&str)) -> serde_json::Result<()> {
    struct Spelled<F>(F);
    impl<'de, F: FnMut(&str)> Visitor<'de> for Spelled<F> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of rows")
        }
        fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
            while let Some(row) = seq.next_element::<Box<RawValue>>()? {
                (self.0)(row.get());
            }
            Ok(())
        }
    }
    serde_json::Deserializer::from_reader(super::super::lenient::lenient(json))
        .deserialize_seq(Spelled(&mut each))
}

/// A row with its values as they are spelled, in order.
struct RawRow(Vec<(String, Box<RawValue>)>);

impl<'de> serde::Deserialize<'de> for RawRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RawRow, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawRow;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row as an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawRow, A::Error> {
                let mut row = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    row.push(pair);
                }
                Ok(RawRow(row))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}
