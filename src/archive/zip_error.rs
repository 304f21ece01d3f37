//! Why a zip is refused.

use std::io;

/// What is wrong with a zip.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZipError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is no zip, or not whole.
    #[error("it is not a zip, or it is incomplete: {0}")]
    Structure(String),
    /// It is made to do harm, or by something that is not Jellyfin.
    #[error("{what}{}", entry.as_ref().map_or_else(String::new, |entry| format!(": {entry:?}")))]
    Hostile {
        /// What is wrong.
        what: &'static str,
        /// The entry, where it is one.
        entry: Option<String>,
    },
}

pub(super) fn hostile(what: &'static str, entry: &str) -> ZipError {
    let entry: String = entry.chars().take(200).collect();
    ZipError::Hostile { what, entry: Some(entry) }
}

/// What a reader of an entry found wrong, out of the I/O error in which it came.
pub fn of_io(error: io::Error) -> ZipError {
    match error.downcast::<ZipError>() {
        Ok(found) => found,
        Err(error) => ZipError::Io(error),
    }
}
