//! Why the server could not be asked: what failed, at which address, and why.

use super::address::Address;

/// Why not.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// Nobody answers there.
    #[error("the Jellyfin server at {address} was not reached: {why}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        why: String,
    },
    /// The answer did not come in time.
    #[error("the Jellyfin server at {address} did not answer in time ({doing})")]
    TimedOut {
        /// Where.
        address: Address,
        /// What was asked.
        doing: &'static str,
    },
    /// It is not ready yet.
    #[error("the Jellyfin server at {address} is still starting (status 503)")]
    Starting {
        /// Where.
        address: Address,
    },
    /// The key is not one of the server's.
    #[error("the Jellyfin server at {address} does not accept the API key (status {status})")]
    WrongKey {
        /// Where.
        address: Address,
        /// The status.
        status: u16,
    },
    /// It points elsewhere, where the key must not go.
    #[error(
        "the server at {address} sends requests on to another address (status {status}), and jellyvault does not follow it"
    )]
    Redirect {
        /// Where.
        address: Address,
        /// The status.
        status: u16,
    },
    /// It refused a request.
    #[error("the Jellyfin server at {address} answered with status {status} ({doing})")]
    Status {
        /// Where.
        address: Address,
        /// What was asked.
        doing: &'static str,
        /// The status.
        status: u16,
    },
    /// The answer makes no sense.
    #[error("the answer of the server at {address} is not valid ({doing}): {what}")]
    Answer {
        /// Where.
        address: Address,
        /// What was asked.
        doing: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Another server than the one that is meant.
    #[error(
        "the server at {address} is another Jellyfin server (id {id}) than the one of the {of} (id {wanted})"
    )]
    OtherServer {
        /// Where.
        address: Address,
        /// Its id.
        id: String,
        /// Whose id it is compared with.
        of: &'static str,
        /// The id that it should have.
        wanted: String,
    },
    /// Nobody can sign in by a code.
    #[error("Quick Connect is turned off on the Jellyfin server at {address}")]
    NoQuickConnect {
        /// Where.
        address: Address,
    },
    /// Its interface lacks what is needed.
    #[error("the Jellyfin server at {address} has version {version}, and 10.11 or newer is needed")]
    TooOld {
        /// Where.
        address: Address,
        /// Its version.
        version: String,
    },
}

impl ServerError {
    /// Whether it did not refuse, but could not be asked now.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            ServerError::Unreachable { .. }
                | ServerError::TimedOut { .. }
                | ServerError::Starting { .. }
        )
    }

    /// Whether the server's answer says that what was asked for is not there: 10.11 answers 500
    /// where 12.0 answers 404.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, ServerError::Status { status: 400 | 404 | 500, .. })
    }

    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            ServerError::Unreachable { .. } => {
                "Is Jellyfin running, and is url in [jellyfin] of the configuration right? Test it with: jellyvault config check"
            }
            ServerError::TimedOut { .. } => {
                "Is the server busy? Try again later, or set a longer timeout in [jellyfin] of the configuration."
            }
            ServerError::Starting { .. } => {
                "Wait until the server has started, then run the same command again."
            }
            ServerError::WrongKey { .. } => {
                "Create an API key in the dashboard (Dashboard, API Keys) and write it to the file that api_key_file in [jellyfin] of the configuration names."
            }
            ServerError::Redirect { .. } => {
                "Set url in [jellyfin] of the configuration to the address that the server itself has, with its base path."
            }
            ServerError::Status { .. } => {
                "Look into the server's log for the reason (Dashboard, Logs)."
            }
            ServerError::Answer { .. } => {
                "Is url in [jellyfin] of the configuration the address of a Jellyfin server, with its base path if it has one?"
            }
            ServerError::OtherServer { .. } => {
                "Set url and api_key_file in [jellyfin] of the configuration to the server that the snapshots are of."
            }
            ServerError::NoQuickConnect { .. } => {
                "Turn it on in the dashboard (Dashboard, General), or sign in with the password."
            }
            ServerError::TooOld { .. } => {
                "Upgrade Jellyfin, or restore while the server is stopped."
            }
        }
    }
}

/// Why a restore through the server failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThroughError {
    /// The server.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The repository, or this machine.
    #[error(transparent)]
    Ops(#[from] crate::ops::Error),
    /// Some was changed and the rest was not.
    #[error(
        "{done} of {all} items were set, then the restore stopped. The other items were not changed"
    )]
    Halfway {
        /// Items that were set.
        done: usize,
        /// Items that were to be set.
        all: usize,
        /// The snapshot with the state before.
        safety: Option<crate::SnapshotId>,
        /// Why it stopped.
        #[source]
        source: Box<ThroughError>,
    },
    /// A list was made or begun, and is not complete.
    #[error("the {what} {name} {}, but it is not complete", if *was_made { "was made again" } else { "was changed" })]
    List {
        /// Playlist or collection.
        what: &'static str,
        /// Its name.
        name: String,
        /// It was made.
        was_made: bool,
        /// Why it is not complete.
        #[source]
        source: Box<ServerError>,
    },
}
