//! What do two states of a database say? Their rows, read from the pages themselves, so that only
//! what changed is read: SQLite's file format (<https://www.sqlite.org/fileformat2.html>), tables
//! matched by name and rows by primary key.

mod btree;
mod compare;
mod differing_leaves;
mod groups;
mod index;
mod key;
mod leftovers;
mod long_row;
mod pages;
mod record;
mod row_stream;
mod schema;
mod sides;

pub use compare::{Compared, RowChange, TableChange, compare_databases};
pub use index::{FoundRow, Lookup};
pub use pages::Pages;
pub use record::{Row, Value, same};
pub use schema::{Column, Database, Table};
pub use sides::Sides;

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Its bytes are not those of a database.
    #[error("page {page} of the database cannot be right: {what}")]
    Page {
        /// The page, from 1.
        page: u32,
        /// What about it.
        what: &'static str,
    },
    /// Its schema.
    #[error("the schema of table {table} cannot be read")]
    Schema {
        /// The table.
        table: String,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The file that rows wait in.
    #[error("rows that wait for their match cannot be kept in a temporary file")]
    Leftovers(#[source] rusqlite::Error),
    /// A file.
    #[error("a copy of the database cannot be read")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// Whether the error means that stored bytes are missing or wrong.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Store(error) => error.is_damage(),
            Error::Page { .. } | Error::Schema { .. } => true,
            Error::Leftovers(_) | Error::Io(_) => false,
        }
    }
}
