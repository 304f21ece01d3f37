//! Avatars that stood in their users, put where the database has them.

use rusqlite::Connection;

use super::super::text::{Date, date_of_json};
use super::table::NAMED_MAX;
use super::{Avatars, LoadError};

/// Puts avatars that stood in their users where the database has them; what is to be said of those
/// that do not fit.
pub fn load_avatars(db: &Connection, avatars: &Avatars) -> Result<Vec<String>, LoadError> {
    let sqlite = |source| LoadError::Sqlite { table: "ImageInfos".to_owned(), source };
    let mut insert = db
        .prepare("INSERT OR REPLACE INTO \"ImageInfos\" (\"Id\", \"LastModified\", \"Path\", \"UserId\") VALUES (coalesce((SELECT \"Id\" FROM \"ImageInfos\" WHERE \"UserId\" = ?3), (SELECT max(\"Id\") FROM \"ImageInfos\") + 1, 1), ?1, ?2, ?3)")
        .map_err(sqlite)?;
    let mut told = Vec::new();
    for (user, path, date) in avatars {
        let read = date_of_json(date);
        if read.is_none() && told.len() < NAMED_MAX {
            told.push(format!(
                "the date of the avatar {path} is invalid; written as 1 January of year 1"
            ));
        }
        insert.execute((read.unwrap_or(Date::MIN).stored(), path, user)).map_err(sqlite)?;
    }
    Ok(told)
}
