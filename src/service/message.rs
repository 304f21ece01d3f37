//! A message to the user, and why it could not be sent.

use std::time::Duration;

use super::hooks::HookError;
use super::level::Level;

/// The longest that one way of telling may take.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A message to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// In a few words.
    pub title: String,
    /// In sentences.
    pub body: String,
    /// How bad it is.
    pub level: Level,
}

/// Why somebody could not be told.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server did not take it.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// It was not reached.
    #[error("{0}")]
    Transport(String),
    /// The program failed.
    #[error(transparent)]
    Program(#[from] HookError),
    /// There is no mailer.
    #[error(
        "there is no sendmail program. Name your mail server with smtp in [notify], or install one, for example msmtp-mta"
    )]
    NoMailer,
    /// The mailer failed.
    #[error("sendmail failed ({0})")]
    Mailer(String),
}
