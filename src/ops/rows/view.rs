//! A row of a known table: its values by name, ids as numbers.

use crate::database::{Row, Table, Value};

/// An id of Jellyfin's: a GUID.
pub type Id = u128;

/// The item to which watch state goes whose item is gone (`reference/jellyfin.md` 3.5).
pub const PLACEHOLDER: Id = 1;

/// A row and the table that it is of.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub table: &'a Table,
    pub row: &'a Row,
}

impl<'a> View<'a> {
    pub fn get(&self, column: &str) -> Option<&'a Value> {
        self.row.values.get(self.table.column(column)?)
    }

    pub fn text(&self, column: &str) -> Option<String> {
        self.get(column)?.text()
    }

    /// A name as it may be shown.
    pub fn name(&self, column: &str) -> Option<String> {
        Some(super::super::clean_name(&self.text(column)?))
    }

    pub fn integer(&self, column: &str) -> Option<i64> {
        self.get(column)?.integer()
    }

    pub fn flag(&self, column: &str) -> bool {
        self.integer(column).is_some_and(|number| number != 0)
    }

    pub fn id(&self, column: &str) -> Option<Id> {
        id_of(self.get(column)?)
    }
}

/// A GUID in any of the ways in which they are stored: with dashes or without, in either case, as
/// 16 bytes.
pub fn id_of(value: &Value) -> Option<Id> {
    match value {
        Value::Text(text) => read_id(std::str::from_utf8(text).ok()?),
        // .NET writes the first three groups with the least byte first.
        Value::Blob(bytes) => {
            let [a, b, c, d, e, f, g, h, rest @ ..] =
                <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
            let mut ordered = [d, c, b, a, f, e, h, g, 0, 0, 0, 0, 0, 0, 0, 0];
            ordered.iter_mut().skip(8).zip(rest).for_each(|(slot, byte)| *slot = byte);
            Some(u128::from_be_bytes(ordered))
        }
        _ => None,
    }
}

/// A GUID as people and files write it.
pub fn read_id(text: &str) -> Option<Id> {
    let digits = || text.chars().filter(|c| *c != '-');
    let value = digits()
        .try_fold(0u128, |value, digit| Some(value << 4 | u128::from(digit.to_digit(16)?)))?;
    (digits().count() == 32).then_some(value)
}

/// A GUID as Jellyfin's database has it.
pub fn stored_id(id: Id) -> String {
    let hex = format!("{id:032X}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_same_however_it_is_written() {
        let id = read_id("0F0E0D0C-0B0A-0908-0706-050403020100").unwrap();
        assert_eq!(read_id("0f0e0d0c0b0a09080706050403020100"), Some(id));
        assert_eq!(stored_id(id), "0F0E0D0C-0B0A-0908-0706-050403020100");
        let bytes = vec![0x0c, 0x0d, 0x0e, 0x0f, 0x0a, 0x0b, 0x08, 0x09, 7, 6, 5, 4, 3, 2, 1, 0];
        assert_eq!(id_of(&Value::Blob(bytes)), Some(id));
        assert_eq!(read_id("not one"), None);
    }
}
