//! Why no instance was found.

/// No instance, or several.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// None.
    #[error("no Jellyfin instance was found on this machine")]
    None {
        /// Where it was looked for, and for what.
        looked: Vec<String>,
    },
    /// Several.
    #[error("{}", several(found.len()))]
    Several {
        /// Data directory and how it was found.
        found: Vec<(String, String)>,
    },
    /// The directory that was named is none.
    #[error("{path} does not look like a Jellyfin data directory")]
    NotOne {
        /// The directory.
        path: String,
        /// What was looked for in it.
        looked: Vec<String>,
    },
    /// The directory that was named is not there.
    #[error("the directory {path} does not exist")]
    Missing {
        /// The directory.
        path: String,
    },
    /// The directory that was named is none, but one above or below it is.
    #[error("{path} is not a Jellyfin data directory, but {found} is one")]
    Nearby {
        /// The directory.
        path: String,
        /// The one that is meant, most likely.
        found: String,
    },
}

/// One is told as well, where it is not taken unasked.
fn several(count: usize) -> String {
    match count {
        1 => "a Jellyfin server runs on this machine, but its data belongs to another user than it runs as, so it is not used unasked".to_owned(),
        count => format!("{count} Jellyfin instances were found on this machine"),
    }
}
