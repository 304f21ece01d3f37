//! What went wrong, as few words: what programs branch on, and what stands as `kind` in the JSON of
//! an error.

use super::Error;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The zip is damaged, hostile, or no backup.
    BadZip,
    /// Another process is at work.
    Busy,
    /// Stored bytes are missing or wrong.
    Damaged,
    /// There is no room.
    DiskFull,
    /// A fault of this program, or of the machine.
    Failed,
    /// The index was damaged; it is made anew by the next try.
    IndexDamaged,
    /// The user ended it.
    Interrupted,
    /// The operating system, the disk or the network said no.
    Io,
    /// It was written by a later program.
    NewerFormat,
    /// The file system keeps no locks.
    NoLocks,
    /// The passphrase is wrong, or there is none.
    Locked,
    /// There is no repository.
    NoRepository,
    /// No Jellyfin instance was found, or nothing is in it.
    NoSource,
    /// The folder holds something else.
    NotEmpty,
    /// What was asked for is not there.
    NotFound,
    /// It would do harm, so nothing was done.
    Refused,
    /// A repository is there already.
    RepositoryExists,
    /// What was asked for makes no sense.
    Usage,
}

impl ErrorKind {
    /// The word that stands for it in JSON; it never changes.
    pub fn word(self) -> &'static str {
        match self {
            ErrorKind::BadZip => "bad-zip",
            ErrorKind::Busy => "busy",
            ErrorKind::Damaged => "damaged",
            ErrorKind::DiskFull => "disk-full",
            ErrorKind::Failed => "failed",
            ErrorKind::IndexDamaged => "index-damaged",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Io => "io",
            ErrorKind::NewerFormat => "newer-format",
            ErrorKind::NoLocks => "no-locks",
            ErrorKind::Locked => "locked",
            ErrorKind::NoRepository => "no-repository",
            ErrorKind::NoSource => "no-source",
            ErrorKind::NotEmpty => "not-empty",
            ErrorKind::NotFound => "not-found",
            ErrorKind::Refused => "refused",
            ErrorKind::RepositoryExists => "repository-exists",
            ErrorKind::Usage => "usage",
        }
    }
}

impl Error {
    /// What went wrong, for who goes on from it.
    pub fn kind(&self) -> ErrorKind {
        use crate::store::Error as S;
        match self {
            Error::Store(error) | Error::Manifest(crate::manifest::Error::Store(error)) => {
                match error {
                    S::NoRepository { .. } => ErrorKind::NoRepository,
                    S::Locked
                    | S::KeysLost
                    | S::Forged { .. }
                    | S::NoSecret { .. }
                    | S::WrongPassphrase { .. }
                    | S::Key { .. } => ErrorKind::Locked,
                    S::NoSettings { .. } => ErrorKind::Damaged,
                    S::Exists { .. } => ErrorKind::RepositoryExists,
                    S::NotEmpty { .. } => ErrorKind::NotEmpty,
                    S::Newer { .. } => ErrorKind::NewerFormat,
                    S::Busy { .. } => ErrorKind::Busy,
                    S::NoLocks { .. } => ErrorKind::NoLocks,
                    S::IndexDamaged { .. } => ErrorKind::IndexDamaged,
                    S::Backend(error) if error.is_disk_full() => ErrorKind::DiskFull,
                    error if error.is_damage() => ErrorKind::Damaged,
                    _ => ErrorKind::Io,
                }
            }
            Error::Manifest(error) if error.is_damage() => ErrorKind::Damaged,
            Error::Manifest(_) => ErrorKind::Failed,
            Error::Name(_)
            | Error::NoPath { .. }
            | Error::InNoSnapshot { .. }
            | Error::OnNeitherSide { .. }
            | Error::NoTable { .. }
            | Error::NoUser { .. } => ErrorKind::NotFound,
            Error::Rows(error) if error.is_damage() => ErrorKind::Damaged,
            Error::Rows(_) | Error::WatchState { .. } | Error::Mount { .. } => ErrorKind::Io,
            Error::Find(_) | Error::EmptySource { .. } => ErrorKind::NoSource,
            Error::Interrupted => ErrorKind::Interrupted,
            Error::StillInUse { .. } => ErrorKind::Refused,
            Error::Glob { .. } | Error::NotAFile { .. } => ErrorKind::Usage,
            Error::Unreadable { source, .. } | Error::HalfDone { source, .. } => source.kind(),
            Error::Refused { .. } => ErrorKind::Refused,
            Error::Source { .. } | Error::Target { .. } | Error::Output(_) => ErrorKind::Io,
            Error::Zip { source, .. } => match **source {
                crate::archive::ZipError::Io(_) => ErrorKind::Io,
                _ => ErrorKind::BadZip,
            },
            Error::NotABackup { .. }
            | Error::Load { source: crate::archive::LoadError::Json { .. }, .. } => {
                ErrorKind::BadZip
            }
            Error::Load { .. } => ErrorKind::Failed,
            Error::ReadBack { .. } => ErrorKind::Io,
            Error::Mend(crate::archive::MendError::Lacks { .. }) => ErrorKind::Refused,
            Error::Mend(_) => ErrorKind::Damaged,
            Error::System { .. } | Error::Unmended { .. } => ErrorKind::Failed,
        }
    }
}
