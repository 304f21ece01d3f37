//! An instance as it was found: its directories, and what the user said of them.

use std::path::PathBuf;

use crate::manifest::Directories;

/// What the user named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Data directory.
    pub data: Option<String>,
    /// Configuration directory.
    pub config: Option<String>,
    /// Metadata directory.
    pub metadata: Option<String>,
    /// Cache directory.
    pub cache: Option<String>,
    /// Log directory.
    pub log: Option<String>,
    /// Its database.
    pub database: Option<String>,
    /// Follow links to whole folders.
    pub follow_roots: bool,
    /// The data directory is only what a process of the server's user says.
    pub is_proposal: bool,
    /// The configuration directory, too.
    pub config_is_proposal: bool,
    /// Places that an earlier snapshot was taken of.
    pub known: Vec<String>,
    /// Snapshots were taken of this data directory, so one that holds only the server's marker is
    /// this server's still.
    pub is_known_place: bool,
}

/// An instance and its directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// How it was found, for the user.
    pub how: String,
    /// Jellyfin's data directory (ProgramDataPath).
    pub program_data: String,
    /// Its `data` (DataPath).
    pub data: String,
    /// Configuration, where it was found.
    pub config: Option<String>,
    /// Metadata in use (InternalMetadataPath).
    pub metadata: String,
    /// Its default place, where that is another.
    pub metadata_default: Option<String>,
    /// Library definitions.
    pub root: String,
    /// Plugins.
    pub plugins: String,
    /// Directories that are never captured: cache, logs, transcodes.
    pub passing: Vec<String>,
    /// Logs, for the server's version.
    pub log: String,
    /// The database, where it is a file.
    pub database: Option<String>,
    /// The plugin that keeps the database, where it is none.
    pub database_plugin: Option<String>,
    /// Where the server sees the places that its configuration names (a container sees others than
    /// this machine): `metadata`, `database`.
    pub named_by_settings: Directories,
    /// What the configuration names and that is not here.
    pub missing: Vec<Missing>,
    /// Configuration files that are there and cannot be read: what they say of places is not known.
    pub unread_settings: Vec<String>,
    /// Settings that call a folder of the server's own, or one with such a folder in it, a cache:
    /// the setting and the folder.
    pub strange_caches: Vec<(&'static str, String)>,
    /// Directories and files that the user named, or that only root could: their paths are taken as
    /// they are.
    pub trusted: Vec<String>,
    /// Places that are right, though others could change the way to them: what a process of the
    /// server's user says, and where an earlier snapshot was taken.
    pub walked: Vec<String>,
    /// Links of the data's owner are followed to what is the owner's own, because the user says so.
    pub follows_links: bool,
    /// Folders elsewhere that links in its directories lead to and that belong to it, as the user
    /// says.
    pub linked: Vec<Linked>,
}

/// A place that the configuration names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingPath {
    /// Of the metadata.
    Metadata,
    /// Of the database.
    Database,
}

impl MissingPath {
    /// The setting that names it, for the user.
    pub fn setting(self) -> &'static str {
        match self {
            MissingPath::Metadata => "MetadataPath in system.xml",
            MissingPath::Database => "the database's path in database.xml",
        }
    }
}

/// A place that the configuration names and that is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What it is.
    pub what: MissingPath,
    /// Where it should be.
    pub path: String,
}

/// A folder right below one of the instance's directories that is a link to a folder outside all of
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    /// Its logical path.
    pub logical: Vec<u8>,
    /// The link.
    pub link: PathBuf,
    /// Where it leads, with no link left in the path.
    pub dir: PathBuf,
}
