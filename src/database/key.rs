//! By what are rows of two states told to be the same row?

use super::leftovers::Side;
use super::record::{Row, Value, same};
use super::schema::Table;
use super::sides::Sides;

/// The columns by which rows are told apart, on each side; none where only the row's number does.
pub(super) struct Key {
    before: Vec<usize>,
    after: Vec<usize>,
}

impl Key {
    pub(super) fn of(&self, row: &Row, side: Side) -> Vec<Value> {
        let columns = if side == Side::Before { &self.before } else { &self.after };
        if columns.is_empty() {
            return vec![row.number.map_or(Value::Null, Value::Integer)];
        }
        columns.iter().map(|at| row.values.get(*at).cloned().unwrap_or(Value::Null)).collect()
    }
}

/// The later table's key where the earlier one has its columns, or the other way round.
pub(super) fn key_columns(sides: Sides<'_>) -> Key {
    let in_other = |own: &Table, other: &Table| -> Option<Vec<usize>> {
        own.key.iter().map(|at| other.column(&own.columns.get(*at)?.name)).collect()
    };
    match (sides.before, sides.after) {
        (Some(before), Some(after)) => match (in_other(after, before), in_other(before, after)) {
            (Some(own), _) => Key { before: own, after: after.key.clone() },
            (None, Some(other)) => Key { before: before.key.clone(), after: other },
            (None, None) => Key { before: Vec::new(), after: Vec::new() },
        },
        (before, after) => Key {
            before: before.map(|t| t.key.clone()).unwrap_or_default(),
            after: after.map(|t| t.key.clone()).unwrap_or_default(),
        },
    }
}

pub(super) fn same_keys(own: &Option<Vec<Value>>, other: &Option<Vec<Value>>) -> bool {
    match (own, other) {
        (Some(own), Some(other)) => {
            own.len() == other.len() && own.iter().zip(other).all(|(a, b)| same(a, b))
        }
        _ => false,
    }
}
