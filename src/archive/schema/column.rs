//! A column as a database declares it, and why a schema cannot be learnt.

use super::file::SchemaFileError;
use super::{Class, Kind};

/// Why a schema cannot be learnt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// SQLite failed.
    #[error("the database cannot be read")]
    Sqlite(#[from] rusqlite::Error),
    /// The zip's table is no JSON of the usual form.
    #[error("{table}.json cannot be read: {what}")]
    Json {
        /// The table.
        table: String,
        /// What is wrong.
        what: String,
    },
    /// Table and database do not fit each other.
    #[error("{table}: {what}")]
    Unfit {
        /// The table.
        table: String,
        /// In which way.
        what: String,
    },
    /// What was learnt is no schema.
    #[error(transparent)]
    File(#[from] SchemaFileError),
}

/// A column as the database declares it.
pub(super) struct Column {
    pub name: String,
    /// Nothing for bytes.
    pub class: Option<Class>,
    pub nullable: bool,
    /// Place in the key, from 1; 0 outside it.
    pub key_at: i64,
}

/// What a column may be.
pub(super) fn kinds(column: &Column) -> Vec<Kind> {
    match column.class {
        Some(Class::Text) => vec![Kind::Text, Kind::Guid, Kind::Date, Kind::Ticks],
        Some(Class::Integer) => vec![Kind::Bool, Kind::Int, Kind::Long, Kind::Uint],
        Some(Class::Real) => vec![Kind::Float, Kind::Double],
        None => vec![Kind::Bytes],
    }
}
