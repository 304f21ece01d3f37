//! Which user and which items of the server are those of the snapshot.

use rusqlite::params_from_iter;

use crate::database::Value;

use super::super::Error;
use super::super::rows::{Id, read_id, stored_id};
use super::apply::{Writer, sql_value};
use super::collect::pick_user;

impl Writer<'_, '_> {
    /// The user as the server stores them: by id, or by name where they were made anew. Refuses
    /// where id and name are two people's.
    pub(super) fn user(&self) -> Result<(String, String), Error> {
        let all = self.users().map_err(|source| self.failed(source))?;
        let by_id = all.iter().find(|(id, _)| read_id(id) == Some(self.saved.user));
        let is_other = |(id, name): &&(String, String)| {
            *name == self.saved.name && read_id(id) != Some(self.saved.user)
        };
        if let (Some((_, now)), Some(_)) = (by_id, all.iter().find(is_other)) {
            return Err(Error::Refused {
                what: format!(
                    "the user {} of the snapshot is now called {now}, and another user is now called {0}",
                    self.saved.name
                ),
                hint:
                    "Rename one of them in the dashboard, so that it is clear which user is meant."
                        .to_owned(),
            });
        }
        if let Some(found) = by_id {
            return Ok(found.clone());
        }
        let known: Vec<(Id, String)> =
            all.iter().filter_map(|(id, name)| Some((read_id(id)?, name.clone()))).collect();
        let (id, name) = pick_user(&known, &self.saved.name).map_err(|error| match error {
            Error::NoUser { user, users } => Error::Refused {
                what: format!("the snapshot contains the user {user}, but the server does not. Nothing was changed"),
                hint: format!(
                    "Create a user with this name (Dashboard, Users; the password does not matter), stop Jellyfin, and run the same command again. \
                     The server's users are: {users}."
                ),
            },
            error => error,
        })?;
        let stored = all
            .iter()
            .find(|(stored, _)| read_id(stored) == Some(id))
            .map_or_else(|| stored_id(id), |(stored, _)| stored.clone());
        Ok((stored, name))
    }

    fn users(&self) -> rusqlite::Result<Vec<(String, String)>> {
        let mut statement = self
            .db
            .prepare("SELECT CAST(Id AS TEXT), CAST(coalesce(Username, '') AS TEXT) FROM Users")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// The item to which a row of the snapshot belongs here: the same, or one that is the same to
    /// people.
    pub(super) fn place(&self, item: Id) -> Result<Option<Id>, Error> {
        if self.has_item(item).map_err(|source| self.failed(source))? {
            return Ok(Some(item));
        }
        let Some(marks) = self.saved.marks_of(item)? else { return Ok(None) };
        self.lookalike(&marks).map_err(|source| self.failed(source))
    }

    fn has_item(&self, item: Id) -> rusqlite::Result<bool> {
        self.db
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM BaseItems WHERE Id = ?1)")?
            .query_row([stored_id(item)], |row| row.get(0))
    }

    /// The one item that has these marks.
    fn lookalike(&self, marks: &[(&str, Value)]) -> rusqlite::Result<Option<Id>> {
        let known = |column: &&(&str, Value)| {
            ["Type", "Name"].contains(&column.0) && !matches!(column.1, Value::Null)
        };
        if marks.iter().filter(known).count() < 2 {
            return Ok(None);
        }
        let conditions: Vec<String> = marks
            .iter()
            .enumerate()
            .map(|(at, (column, _))| format!("\"{column}\" IS ?{}", at + 1))
            .collect();
        let sql = format!("SELECT Id FROM BaseItems WHERE {} LIMIT 2", conditions.join(" AND "));
        let mut statement = self.db.prepare_cached(&sql)?;
        let found: Vec<String> = statement
            .query_map(params_from_iter(marks.iter().map(|(_, value)| sql_value(value))), |row| {
                row.get(0)
            })?
            .collect::<rusqlite::Result<_>>()?;
        // Two that look alike are not told apart by a guess.
        Ok(if let [one] = found.as_slice() { read_id(one) } else { None })
    }
}
