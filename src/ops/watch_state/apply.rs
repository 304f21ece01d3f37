//! A user's watch state on its way into a server's database: one transaction, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::types::Value as SqlValue;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params_from_iter,
};

use crate::database::Value;
use crate::source::{AsOwner, LiveFile, is_right_file, refuse_computed, wary};

use super::super::rows::{Id, PLACEHOLDER, read_id, stored_id};
use super::super::{Error, clean_name};
use super::collect::{Saved, SavedRow};
use super::state::{ItemState, STATE_COLUMNS};
use super::{WatchStateOptions, WatchStateReport};

/// What became of an item's state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemChange {
    /// The item.
    pub name: String,
    /// What the server said of it; nothing where it said nothing.
    pub before: Option<String>,
    /// What it says now; nothing where the row was removed.
    pub after: Option<String>,
}

/// Columns that say which row it is.
const KEY: [&str; 3] = ["ItemId", "UserId", "CustomDataKey"];

/// Writes it into the database at `path`, which nobody else has open.
pub(super) fn apply(
    file: &LiveFile,
    saved: &Saved<'_>,
    options: &WatchStateOptions,
) -> Result<WatchStateReport, Error> {
    let path = file.shown();
    let failed = |source: rusqlite::Error| Error::WatchState { path: path.to_path_buf(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let _lowered = file.stat().ok().and_then(|stat| AsOwner::of(&stat));
    let mut db = Connection::open_with_flags(file.path(), flags).map_err(failed)?;
    wary(&db).and_then(|()| refuse_computed(&db)).map_err(failed)?;
    db.execute_batch("PRAGMA foreign_keys = ON").map_err(failed)?;
    let transaction =
        db.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(failed)?;
    // Nothing is written to a file that was put in this one's place, or beside the log of another.
    if !is_right_file(&transaction, file).map_err(failed)? {
        return Err(Error::Target {
            verb: "open",
            path: path.to_path_buf(),
            source: std::io::Error::other("it was replaced by another file"),
        });
    }
    let report = Writer { db: &transaction, saved, options, path }.run(path)?;
    if options.dry_run {
        transaction.rollback().map_err(failed)?;
    } else {
        transaction.commit().map_err(failed)?;
        // The log goes into the file now: a server that starts next finds no file of another user's
        // beside it.
        db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    }
    db.close().map_err(|(_, error)| failed(error))?;
    Ok(report)
}

/// Writes one user's state.
pub(super) struct Writer<'a, 'r> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) saved: &'a Saved<'r>,
    options: &'a WatchStateOptions,
    path: &'a Path,
}

/// An item's state in words, before and after.
type Said = BTreeMap<Id, (Option<String>, Option<String>)>;

impl Writer<'_, '_> {
    fn run(&self, path: &Path) -> Result<WatchStateReport, Error> {
        let failed =
            |source: rusqlite::Error| Error::WatchState { path: path.to_path_buf(), source };
        let (user, name) = self.user()?;
        let columns = self.columns().map_err(failed)?;
        let mut report = WatchStateReport { user: name, ..WatchStateReport::default() };
        let mut said = Said::new();
        let (mut aside, mut lost, mut again, mut kept) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for row in &self.saved.rows {
            // What waited for its item then waits on, unless it waits already.
            if row.item == PLACEHOLDER {
                self.put_aside(row, &user, &columns, false).map_err(failed)?;
                continue;
            }
            match self.place(row.item)? {
                Some(item) => {
                    if item != row.item {
                        again.insert(item);
                    }
                    kept.insert((item, self.key_of(row, item)));
                    self.write(row, item, &user, &columns, &mut said).map_err(failed)?;
                }
                None => {
                    let waits = self.put_aside(row, &user, &columns, true).map_err(failed)?;
                    (if waits { &mut aside } else { &mut lost }).insert(row.item);
                }
            }
        }
        if self.options.delete {
            self.remove_others(&user, &kept, &mut said).map_err(failed)?;
        }
        for (item, (before, after)) in said {
            if before == after {
                report.unchanged += 1;
            } else {
                report.changed.push(ItemChange { name: self.name(item)?, before, after });
            }
        }
        report.changed.sort_by(|a, b| a.name.cmp(&b.name));
        report.found_again = again.len() as u64;
        let unnamed = || "an item without a name".to_owned();
        let names = |items: &BTreeSet<Id>| -> Result<Vec<String>, Error> {
            items
                .iter()
                .map(|item| Ok(self.saved.name_of(*item)?.unwrap_or_else(unnamed)))
                .collect()
        };
        report.put_aside = names(&aside)?;
        report.lost = names(&lost.difference(&aside).copied().collect())?;
        report.lost.sort();
        report.put_aside.sort();
        Ok(report)
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> Error {
        Error::WatchState { path: self.path.to_path_buf(), source }
    }

    /// Columns of the server's table.
    fn columns(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.db.prepare("SELECT name FROM pragma_table_info('UserData')")?;
        statement.query_map([], |row| row.get(0))?.collect()
    }

    /// The row's key under the item: where the key is the item's own id, it changes with it.
    fn key_of(&self, row: &SavedRow, item: Id) -> String {
        let key = row
            .columns
            .iter()
            .find(|(name, _)| name == "CustomDataKey")
            .and_then(|(_, value)| value.text())
            .unwrap_or_default();
        if item != row.item && read_id(&key) == Some(row.item) {
            stored_id(item).to_lowercase()
        } else {
            key
        }
    }

    fn write(
        &self,
        row: &SavedRow,
        item: Id,
        user: &str,
        columns: &[String],
        said: &mut Said,
    ) -> rusqlite::Result<()> {
        let key = self.key_of(row, item);
        let before = self.words(item, user, &key)?;
        let values = self.values(row, item, user, &key, columns);
        self.upsert(&values, &Self::replacing(&values, ""))?;
        // State that waits for the item's return would meet this row when the server takes it back.
        let waiting =
            "DELETE FROM UserData WHERE ItemId = ?1 AND UserId = ?2 AND CustomDataKey = ?3";
        self.db.prepare_cached(waiting)?.execute((stored_id(PLACEHOLDER), user, &key))?;
        let after = self.words(item, user, &key)?;
        // An item's rows, one for each of its keys, say the same: one that differs is told.
        let slot = said.entry(item).or_insert((before.clone(), after.clone()));
        if slot.0 == slot.1 {
            *slot = (before, after);
        }
        Ok(())
    }

    /// A state whose item is gone waits at the placeholder, as the server itself keeps it; nothing
    /// is put beside a state of the same key that has its item, which the server could not bring
    /// together, nor where there is no placeholder: false then.
    fn put_aside(
        &self,
        row: &SavedRow,
        user: &str,
        columns: &[String],
        from_now: bool,
    ) -> rusqlite::Result<bool> {
        let key = self.key_of(row, row.item);
        let sql = "SELECT EXISTS (SELECT 1 FROM BaseItems WHERE Id = ?1) AND NOT EXISTS (SELECT 1 FROM UserData WHERE UserId = ?2 AND CustomDataKey = ?3 AND ItemId <> ?1)";
        if !self
            .db
            .prepare_cached(sql)?
            .query_row((stored_id(PLACEHOLDER), user, &key), |row| row.get(0))?
        {
            return Ok(false);
        }
        let mut values = self.values(row, PLACEHOLDER, user, &key, columns);
        // From now on, so that the server's clean-up gives it its time; what waits already has its
        // date.
        let now: String =
            self.db
                .query_row("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')", [], |row| row.get(0))?;
        if let Some(slot) = values.iter_mut().find(|(name, _)| name == "RetentionDate" && from_now)
        {
            slot.1 = SqlValue::Text(now);
        }
        self.upsert(
            &values,
            &Self::replacing(&values, if from_now { "RetentionDate" } else { "" }),
        )?;
        Ok(true)
    }

    fn values(
        &self,
        row: &SavedRow,
        item: Id,
        user: &str,
        key: &str,
        columns: &[String],
    ) -> Vec<(String, SqlValue)> {
        let own = row.columns.iter().filter(|(name, _)| columns.contains(name));
        own.map(|(name, value)| {
            let value = match name.as_str() {
                "ItemId" => SqlValue::Text(stored_id(item)),
                "UserId" => SqlValue::Text(user.to_owned()),
                "CustomDataKey" => SqlValue::Text(key.to_owned()),
                _ => sql_value(value),
            };
            (name.clone(), value)
        })
        .collect()
    }

    /// All columns but the key, and but `kept`, from the new row.
    fn replacing(values: &[(String, SqlValue)], kept: &str) -> String {
        let replaced =
            values.iter().filter(|(name, _)| !KEY.contains(&name.as_str()) && name != kept);
        let sets: Vec<String> =
            replaced.map(|(name, _)| format!("\"{name}\" = excluded.\"{name}\"")).collect();
        format!("UPDATE SET {}", sets.join(", "))
    }

    fn upsert(&self, values: &[(String, SqlValue)], on_conflict: &str) -> rusqlite::Result<()> {
        let names: Vec<String> = values.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let marks: Vec<String> = (1..=values.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "INSERT INTO UserData ({}) VALUES ({}) ON CONFLICT (\"ItemId\", \"UserId\", \"CustomDataKey\") DO {on_conflict}",
            names.join(", "),
            marks.join(", ")
        );
        self.db
            .prepare_cached(&sql)?
            .execute(params_from_iter(values.iter().map(|(_, value)| value)))?;
        Ok(())
    }

    fn remove_others(
        &self,
        user: &str,
        kept: &BTreeSet<(Id, String)>,
        said: &mut Said,
    ) -> rusqlite::Result<()> {
        let mut statement =
            self.db.prepare("SELECT ItemId, CustomDataKey FROM UserData WHERE UserId = ?1")?;
        let all: Vec<(String, String)> = statement
            .query_map([user], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        for (stored, key) in all {
            let Some(item) = read_id(&stored)
                .filter(|item| *item != PLACEHOLDER && !kept.contains(&(*item, key.clone())))
            else {
                continue;
            };
            let before = self.words(item, user, &key)?;
            self.db.execute(
                "DELETE FROM UserData WHERE ItemId = ?1 AND UserId = ?2 AND CustomDataKey = ?3",
                (&stored, user, &key),
            )?;
            said.entry(item).or_insert((before, None));
        }
        Ok(())
    }

    /// What a row says, in people's words.
    fn words(&self, item: Id, user: &str, key: &str) -> rusqlite::Result<Option<String>> {
        let sql = format!(
            "SELECT {STATE_COLUMNS} FROM UserData WHERE ItemId = ?1 AND UserId = ?2 AND CustomDataKey = ?3"
        );
        let mut statement = self.db.prepare_cached(&sql)?;
        statement
            .query_row((stored_id(item), user, key), |row| Ok(ItemState::read(row)?.words()))
            .optional()
    }

    fn name(&self, item: Id) -> Result<String, Error> {
        if let Some(known) = self.saved.name_of(item)? {
            return Ok(known);
        }
        let sql = "SELECT CASE WHEN SeriesName IS NULL OR instr(Name, SeriesName) THEN '' ELSE SeriesName || ' ' END || coalesce(Name, '(without a name)') FROM BaseItems WHERE Id = ?1";
        let found: Option<String> = self
            .db
            .query_row(sql, [stored_id(item)], |row| row.get(0))
            .optional()
            .map_err(|source| self.failed(source))?;
        Ok(found.map_or_else(
            || "an item that is not in the database".to_owned(),
            |name| clean_name(&name),
        ))
    }
}

pub(super) fn sql_value(value: &Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Integer(number) => SqlValue::Integer(*number),
        Value::Real(number) => SqlValue::Real(*number),
        Value::Text(text) => SqlValue::Text(String::from_utf8_lossy(text).into_owned()),
        Value::Blob(bytes) => SqlValue::Blob(bytes.clone()),
    }
}
