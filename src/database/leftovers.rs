//! Rows that wait for their match: those whose number tells nothing. In memory while they are few,
//! beyond that in a temporary file of SQLite's own, which vanishes with the process.

use rusqlite::Connection;

use super::Error;
use super::record::{Row, Value};

/// Which side a row is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// Rows of one table.
#[derive(Default)]
pub(super) struct Leftovers {
    database: Option<Connection>,
    waiting: u64,
}

/// A matched row: before, after.
pub(super) type Matched = (Option<Row>, Option<Row>);

impl Leftovers {
    /// Keeps a row under its key.
    pub(super) fn push(&mut self, side: Side, key: &[Value], row: &Row) -> Result<(), Error> {
        self.insert(side, key, row).map_err(Error::Leftovers)
    }

    fn insert(&mut self, side: Side, key: &[Value], row: &Row) -> rusqlite::Result<()> {
        let database = match &mut self.database {
            Some(database) => database,
            None => {
                // The empty name: a file that has no name once it is needed, and none at all before
                // that.
                let database = Connection::open("")?;
                database.execute_batch(
                    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -16000;
                     CREATE TABLE waiting (side INTEGER, key BLOB, row BLOB); BEGIN",
                )?;
                self.database.insert(database)
            }
        };
        let mut bytes = Vec::new();
        key.iter().for_each(|value| value.push_key(&mut bytes));
        self.waiting += 1;
        database.prepare_cached("INSERT INTO waiting VALUES (?1, ?2, ?3)")?.execute((
            side as i64,
            bytes,
            encode(row),
        ))?;
        Ok(())
    }

    /// Hands out all rows, those of the same key together (several of one key in their order), and
    /// forgets them.
    pub(super) fn drain<E: From<Error>>(
        &mut self,
        mut each: impl FnMut(Matched) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.waiting == 0 {
            return Ok(());
        }
        let Some(database) = &self.database else { return Ok(()) };
        let failed = Error::Leftovers;
        let mut statements = [0, 1].map(|side| {
            database.prepare(&format!(
                "SELECT key, row FROM waiting WHERE side = {side} ORDER BY key, rowid"
            ))
        });
        let [Ok(before), Ok(after)] = &mut statements else {
            let [before, after] = statements;
            return Err(before
                .and(after)
                .err()
                .map_or(Error::Page { page: 0, what: "no rows wait" }, failed)
                .into());
        };
        let (mut before, mut after) =
            (before.query([]).map_err(failed)?, after.query([]).map_err(failed)?);
        let next = |rows: &mut rusqlite::Rows<'_>| -> Result<Option<(Vec<u8>, Row)>, Error> {
            let Some(row) = rows.next().map_err(Error::Leftovers)? else { return Ok(None) };
            let (key, bytes): (Vec<u8>, Vec<u8>) =
                (row.get(0).map_err(Error::Leftovers)?, row.get(1).map_err(Error::Leftovers)?);
            // A row that cannot be read again would end the table early, without a word.
            let row =
                decode(&bytes).ok_or_else(|| Error::Leftovers(rusqlite::Error::InvalidQuery))?;
            Ok(Some((key, row)))
        };
        let (mut left, mut right) = (next(&mut before)?, next(&mut after)?);
        loop {
            let order = match (&left, &right) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((key, _)), Some((other, _))) => key.cmp(other),
            };
            let gone =
                if order.is_le() { std::mem::replace(&mut left, next(&mut before)?) } else { None };
            let came =
                if order.is_ge() { std::mem::replace(&mut right, next(&mut after)?) } else { None };
            each((gone.map(|(_, row)| row), came.map(|(_, row)| row)))?;
        }
        drop((before, after));
        drop(statements);
        database.execute("DELETE FROM waiting", []).map_err(failed)?;
        self.waiting = 0;
        Ok(())
    }
}

fn encode(row: &Row) -> Vec<u8> {
    let mut out = vec![u8::from(row.number.is_some())];
    out.extend_from_slice(&row.number.unwrap_or(0).to_le_bytes());
    for value in &row.values {
        let mut push = |tag: u8, bytes: &[u8]| {
            out.push(tag);
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        match value {
            Value::Null => push(0, b""),
            Value::Integer(number) => push(1, &number.to_le_bytes()),
            Value::Real(number) => push(2, &number.to_le_bytes()),
            Value::Text(text) => push(3, text),
            Value::Blob(bytes) => push(4, bytes),
        }
    }
    out
}

/// Reads what [`encode`] wrote.
fn decode(bytes: &[u8]) -> Option<Row> {
    let (has_number, rest) = bytes.split_first()?;
    let (number, mut rest) = rest.split_at_checked(8)?;
    let number = (*has_number == 1).then_some(i64::from_le_bytes(number.try_into().ok()?));
    let mut values = Vec::new();
    while let Some((tag, after)) = rest.split_first() {
        let (len, after) = after.split_at_checked(4)?;
        let (bytes, after) =
            after.split_at_checked(u32::from_le_bytes(len.try_into().ok()?) as usize)?;
        rest = after;
        values.push(match tag {
            0 => Value::Null,
            1 => Value::Integer(i64::from_le_bytes(bytes.try_into().ok()?)),
            2 => Value::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
            3 => Value::Text(bytes.to_vec()),
            _ => Value::Blob(bytes.to_vec()),
        });
    }
    Some(Row { number, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: i64, text: &str) -> Row {
        Row {
            number: Some(number),
            values: vec![
                Value::Null,
                Value::Real(-0.5),
                Value::Text(text.into()),
                Value::Blob(vec![0, 255]),
            ],
        }
    }

    #[test]
    fn rows_of_one_key_meet_and_several_of_one_key_meet_in_their_order() {
        let mut leftovers = Leftovers::default();
        let key = |text: &str| [Value::Text(text.into())];
        leftovers.push(Side::Before, &key("b"), &row(1, "gone")).unwrap();
        leftovers.push(Side::Before, &key("a"), &row(2, "old")).unwrap();
        leftovers.push(Side::After, &key("a"), &row(9, "new")).unwrap();
        leftovers.push(Side::After, &key("a"), &row(10, "one more")).unwrap();
        let mut met = Vec::new();
        leftovers
            .drain(|pair| -> Result<(), Error> {
                met.push(pair);
                Ok(())
            })
            .unwrap();
        assert_eq!(
            met,
            [
                (Some(row(2, "old")), Some(row(9, "new"))),
                (None, Some(row(10, "one more"))),
                (Some(row(1, "gone")), None)
            ]
        );
        let mut count = 0;
        leftovers
            .drain(|_| -> Result<(), Error> {
                count += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 0);
    }
}
