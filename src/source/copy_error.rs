//! Why a database could not be copied.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::scratch::NoSpace;

/// How long a copy waits for locks that another process holds only for a moment.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A database that could not be copied in any way.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// A file could not be read or written.
    #[error("cannot {verb} {path}")]
    Io {
        /// The verb, as a word for the user.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk has too little room for it.
    #[error(transparent)]
    NoSpace(#[from] NoSpace),
    /// SQLite failed for another reason than the database's own bytes: a full disk, an I/O error,
    /// missing rights.
    #[error("SQLite could not copy it")]
    Sqlite(#[from] rusqlite::Error),
    /// Another file was put in its place while it was opened.
    #[error("the file was replaced while it was opened")]
    Swapped,
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// It changed under every copy.
    #[error("it changed each time it was copied, for {} seconds", PATIENCE.as_secs())]
    Restless,
    /// Locked for longer than any server does.
    #[error("the database stayed locked for {} seconds", PATIENCE.as_secs())]
    Locked,
}
