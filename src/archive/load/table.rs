//! The rows of one table, one after another, into a database that is empty or a neighbour's.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use rusqlite::types::Value;
use rusqlite::{Connection, Statement};
use serde::de::{Deserializer, Error, SeqAccess, Visitor};

use super::super::lenient::lenient;
use super::super::mend::keys::normalized;
use super::super::mend::values::instead;
use super::super::schema::Table;
use super::row::{Plan, Row, RowSeed};
use super::{Avatars, LoadError, column_list};

/// Rows that are named; beyond them they are counted.
pub(super) const NAMED_MAX: usize = 100;
/// Names that are tried for a user whose own is taken.
const RENAMES_MAX: usize = 1000;

/// What became of a table's rows.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Rows in the database.
    pub rows: u64,
    /// Rows that were written, because the neighbour lacked them or had others.
    pub written: u64,
    /// Rows that do not fit the table, and what was done, in words; the first hundred.
    pub told: Vec<String>,
    /// All of them, counted.
    pub told_count: u64,
    /// Columns with values that the table does not have; the first hundred.
    pub unknown: BTreeSet<String>,
    /// Avatars that stand in their users.
    pub avatars: Avatars,
}

/// Reads a table's rows, in order. Each gets a row number behind the one before it, so that a dump
/// gives them in the order of the zip; where a neighbour has the same row further on, it stays as
/// it is, pages and all.
pub fn load_table(
    db: &Connection,
    table: &Table,
    json: impl Read,
    stop: &dyn Fn() -> bool,
) -> Result<Loaded, LoadError> {
    let sqlite = |source| LoadError::Sqlite { table: table.name.clone(), source };
    let plan = Plan::new(table);
    let mut target = Target::new(db, table).map_err(sqlite)?;
    let mut failure = None;
    let mut loaded = Loaded::default();
    let rows = Rows {
        plan: &plan,
        failure: &mut failure,
        take: |mut row: Row| {
            let names = std::mem::take(&mut row.unknown);
            loaded
                .unknown
                .extend(names.into_iter().take(NAMED_MAX.saturating_sub(loaded.unknown.len())));
            if stop() {
                Err(rusqlite::Error::StatementChangedRows(0))
            } else {
                target.take(row, &mut loaded)
            }
        },
    };
    let mut deserializer = serde_json::Deserializer::from_reader(lenient(json));
    let outcome = deserializer.deserialize_seq(rows).and_then(|()| deserializer.end());
    if stop() {
        return Err(LoadError::Stopped);
    }
    if let Some(source) = failure {
        return Err(sqlite(source));
    }
    outcome
        .map_err(|error| LoadError::Json { table: table.name.clone(), what: error.to_string() })?;
    target.finish().map_err(sqlite)?;
    Ok(loaded)
}

/// Hands each row of an array on.
struct Rows<'p, 't, F> {
    plan: &'p Plan<'t>,
    failure: &'p mut Option<rusqlite::Error>,
    take: F,
}

impl<'de, F: FnMut(Row) -> rusqlite::Result<()>> Visitor<'de> for Rows<'_, '_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(row) = seq.next_element_seed(RowSeed(self.plan))? {
            if let Err(error) = (self.take)(row) {
                *self.failure = Some(error);
                return Err(A::Error::custom("the database failed"));
            }
        }
        Ok(())
    }
}

/// Whether a row has a key of another's, or lacks a value.
fn is_clash(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation)
}

/// The table that rows are put into.
struct Target<'d> {
    db: &'d Connection,
    table: &'d Table,
    /// Positions of the key's columns.
    key: Vec<usize>,
    /// Where a user's name stands, and the name by which the server compares it.
    username: Option<(usize, Option<usize>)>,
    has_row_numbers: bool,
    is_neighbour: bool,
    /// Row number of the last row that is in place.
    last: i64,
    find: Statement<'d>,
    insert: Statement<'d>,
    remove: Statement<'d>,
    remove_at: Statement<'d>,
    update: Statement<'d>,
}

impl<'d> Target<'d> {
    fn new(db: &'d Connection, table: &'d Table) -> rusqlite::Result<Target<'d>> {
        let columns = column_list(table);
        let count = table.columns().count();
        let name = &table.name;
        let key: Vec<usize> = table
            .key
            .iter()
            .filter_map(|key| table.columns().position(|column| column.name == *key))
            .collect();
        let by_key = table
            .key
            .iter()
            .enumerate()
            .map(|(at, key)| format!("\"{key}\" = ?{}", at + 1))
            .collect::<Vec<_>>()
            .join(" AND ");
        let has_row_numbers = table.has_row_numbers();
        let marks = |from: usize| {
            (from..from + count).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ")
        };
        // Where the key is the row number, naming both would name it twice.
        let insert = if has_row_numbers {
            format!("INSERT INTO \"{name}\" ({columns}) VALUES ({})", marks(1))
        } else {
            format!(
                "INSERT INTO \"{name}\" (rowid, {columns}) VALUES (?{}, {})",
                count + 1,
                marks(1)
            )
        };
        let set = table
            .columns()
            .enumerate()
            .map(|(at, column)| format!("\"{}\" = ?{}", column.name, at + 1))
            .collect::<Vec<_>>()
            .join(", ");
        let rows: i64 =
            db.query_row(&format!("SELECT EXISTS (SELECT 1 FROM \"{name}\")"), [], |row| {
                row.get(0)
            })?;
        let at = |name: &str| table.columns().position(|column| column.name == name);
        Ok(Target {
            db,
            table,
            username: at("Username").map(|name| (name, at("NormalizedUsername"))),
            key,
            has_row_numbers,
            is_neighbour: rows > 0,
            last: i64::MIN,
            find: db.prepare(&format!("SELECT rowid, {columns} FROM \"{name}\" WHERE {by_key}"))?,
            insert: db.prepare(&insert)?,
            remove: db
                .prepare(&format!("DELETE FROM \"{name}\" WHERE rowid > ?1 AND rowid < ?2"))?,
            remove_at: db.prepare(&format!("DELETE FROM \"{name}\" WHERE rowid = ?1"))?,
            update: db
                .prepare(&format!("UPDATE \"{name}\" SET {set} WHERE rowid = ?{}", count + 1))?,
        })
    }

    fn take(&mut self, mut row: Row, loaded: &mut Loaded) -> rusqlite::Result<()> {
        for (at, fault) in &row.faults {
            let Some(property) = self.table.columns().nth(*at) else { continue };
            let stays = instead(self.table, property);
            let done = if stays.is_some() { "left empty" } else { "the row was left out" };
            self.tell(&row.values, &format!("{} {fault}; {done}", property.name), loaded);
            match (stays, row.values.get_mut(*at)) {
                (Some(value), Some(slot)) => *slot = value,
                _ => return Ok(()),
            }
        }
        if row.lacks_normalized {
            self.normalize_name(&mut row.values);
        }
        if let (Some((path, date)), Some(user)) =
            (row.avatar, self.key.first().and_then(|at| row.values.get(*at)))
        {
            loaded.avatars.push((user.clone(), path, date));
        }
        let placed = match self.place(&row.values) {
            // What the neighbour has further on stands in the way of a key; if it is this moment's
            // too, it comes again.
            Err(error) if self.is_neighbour && is_clash(&error) => {
                self.clear_way(&row.values).and_then(|()| self.place(&row.values))
            }
            Err(error) if is_clash(&error) && self.username.is_some() => {
                self.place_renamed(&mut row.values, error, loaded)
            }
            placed => placed,
        };
        match placed {
            Ok(written) => {
                loaded.rows += 1;
                loaded.written += u64::from(written);
                Ok(())
            }
            Err(error) if !self.is_neighbour && is_clash(&error) => {
                self.tell(
                    &row.values,
                    "another row has the same key; the row was left out",
                    loaded,
                );
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The name that the server compares, where the zip does not tell it: its class makes it of the
    /// name.
    fn normalize_name(&self, values: &mut [Value]) {
        let Some((name, Some(normal))) = self.username else { return };
        if let (Some(Value::Text(name)), Some(slot)) =
            (values.get(name).cloned(), values.get_mut(normal))
        {
            *slot = Value::Text(normalized(&name));
        }
    }

    /// A second user of one name is renamed: with the user all would go that is theirs.
    fn place_renamed(
        &mut self,
        values: &mut Vec<Value>,
        mut error: rusqlite::Error,
        loaded: &mut Loaded,
    ) -> rusqlite::Result<bool> {
        let Some((name_at, normal_at)) = self.username else { return Err(error) };
        let Some(Value::Text(name)) = values.get(name_at).cloned() else { return Err(error) };
        let before = values.clone();
        for number in 2..RENAMES_MAX {
            let new = format!("{name}-{number}");
            for (at, text) in [(Some(name_at), new.clone()), (normal_at, normalized(&new))] {
                if let Some(slot) = at.and_then(|at| values.get_mut(at)) {
                    *slot = Value::Text(text);
                }
            }
            match self.place(values) {
                Err(next) if is_clash(&next) => error = next,
                placed => {
                    self.tell(
                        &before,
                        &format!(
                            "another user is also called {name}; this user was renamed to {new}"
                        ),
                        loaded,
                    );
                    return placed;
                }
            }
        }
        *values = before;
        Err(error)
    }

    /// Puts a row in its place; whether anything was written.
    fn place(&mut self, values: &[Value]) -> rusqlite::Result<bool> {
        if self.is_neighbour
            && let Some((rowid, same)) = self.known(values)?
            && rowid > self.last
        {
            // What lies between was there, and is no more.
            let from = self.last;
            self.remove.execute([from, rowid])?;
            if !same {
                self.update.execute(rusqlite::params_from_iter(
                    values.iter().chain([&Value::Integer(rowid)]),
                ))?;
            }
            self.last = rowid;
            return Ok(!same);
        }
        let number = match self.key.first().and_then(|at| values.get(*at)) {
            Some(Value::Integer(id)) if self.has_row_numbers => *id,
            _ => self.last.max(0).saturating_add(1),
        };
        if self.has_row_numbers && number <= self.last {
            // Out of order, or twice: row numbers are what they are.
            self.insert.execute(rusqlite::params_from_iter(values))?;
            return Ok(true);
        }
        if self.is_neighbour {
            let from = self.last;
            self.remove.execute([from, number])?;
            self.remove_at.execute([number])?;
        }
        if self.has_row_numbers {
            let own = [Value::Integer(number)];
            let values = values
                .iter()
                .enumerate()
                .map(|(at, value)| if Some(&at) == self.key.first() { &own[0] } else { value });
            self.insert.execute(rusqlite::params_from_iter(values))?;
        } else {
            self.insert.execute(rusqlite::params_from_iter(
                values.iter().chain([&Value::Integer(number)]),
            ))?;
        }
        self.last = number;
        Ok(true)
    }

    /// Removes rows of the neighbour that were not reached yet and have a key of this row's.
    fn clear_way(&self, values: &[Value]) -> rusqlite::Result<()> {
        for unique in &self.table.unique {
            let by = unique
                .iter()
                .enumerate()
                .map(|(at, name)| format!("\"{name}\" = ?{}", at + 2))
                .collect::<Vec<_>>()
                .join(" AND ");
            let of_row = unique.iter().filter_map(|name| {
                values.get(self.table.columns().position(|column| column.name == *name)?)
            });
            let last = Value::Integer(self.last);
            let sql = format!("DELETE FROM \"{}\" WHERE rowid > ?1 AND {by}", self.table.name);
            self.db
                .prepare_cached(&sql)?
                .execute(rusqlite::params_from_iter(std::iter::once(&last).chain(of_row)))?;
        }
        Ok(())
    }

    /// The neighbour's row of this key: its number, and whether it is the same.
    fn known(&mut self, values: &[Value]) -> rusqlite::Result<Option<(i64, bool)>> {
        let key: Vec<&Value> = self.key.iter().filter_map(|at| values.get(*at)).collect();
        if key.contains(&&Value::Null) {
            return Ok(None);
        }
        let mut rows = self.find.query(rusqlite::params_from_iter(key))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let rowid = row.get(0)?;
        for (at, value) in values.iter().enumerate() {
            if row.get_ref(at + 1)? != rusqlite::types::ValueRef::from(value) {
                return Ok(Some((rowid, false)));
            }
        }
        Ok(Some((rowid, true)))
    }

    /// Keeps what is to be said of a row.
    fn tell(&self, values: &[Value], what: &str, loaded: &mut Loaded) {
        loaded.told_count += 1;
        if loaded.told.len() >= NAMED_MAX {
            return;
        }
        let key = self.table.key.iter().zip(&self.key).filter_map(|(name, at)| {
            let shown = match values.get(*at)? {
                Value::Text(text) => text.chars().take(60).collect(),
                Value::Integer(number) => number.to_string(),
                _ => "nothing".to_owned(),
            };
            Some(format!("{name}={shown}"))
        });
        loaded.told.push(format!("the row {}: {what}", key.collect::<Vec<_>>().join(", ")));
    }

    /// Removes what the neighbour has behind the last row.
    fn finish(&mut self) -> rusqlite::Result<()> {
        if self.is_neighbour {
            self.remove.execute([self.last, i64::MAX])?;
            self.remove_at.execute([i64::MAX])?;
        }
        Ok(())
    }
}
