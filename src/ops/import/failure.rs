//! Why an import ended: the zip, its tables, or anything else.

use std::path::Path;

use crate::archive::{LoadError, ZipError};

use super::super::Error;

/// Why an import ended.
pub(super) enum Failure {
    /// The zip is not what it says.
    Zip(ZipError),
    /// Its tables are no tables.
    Load(LoadError),
    /// Anything else.
    Stopped(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::Stopped(error.into())
    }
}

impl From<ZipError> for Failure {
    fn from(error: ZipError) -> Failure {
        Failure::Zip(error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        match error {
            LoadError::Stopped => Failure::Stopped(Error::Interrupted),
            error => Failure::Load(error),
        }
    }
}

impl Failure {
    /// As the error of a command, which names the zip.
    pub(super) fn in_zip(self, path: &Path) -> Error {
        match self {
            Failure::Zip(source) => {
                Error::Zip { path: path.to_path_buf(), source: Box::new(source) }
            }
            Failure::Load(source) => Error::Load { path: path.to_path_buf(), source },
            Failure::Stopped(error) => error,
        }
    }
}
