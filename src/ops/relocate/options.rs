//! What the user asks of a move.

use serde::{Deserialize, Serialize};

use crate::manifest::Directories;

/// Where a server goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MoveOptions {
    /// Where it will see its own directories, by name (`programdata`, `config`, …). Those that are
    /// not named stay.
    pub places: Directories,
    /// The server's own directories stay where they are, though a directory of media that they lie
    /// in moves.
    pub own_places_stay: bool,
    /// Old and new directories of media, as it sees them.
    pub map: Vec<(String, String)>,
    /// Change the settings of plugins, too.
    pub map_plugins: bool,
    /// The new paths of media are paths of this machine: look whether the media is there.
    pub looks_for_media: bool,
    /// Whether what gives files power comes back, where a move that was interrupted is undone
    /// first.
    pub trusts_repository: bool,
    /// Go on though media is missing.
    pub allow_missing: bool,
    /// Go on though the times of media were not kept.
    pub allow_changed: bool,
}

/// How a move is undone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UndoOptions {
    /// The name of this machine, for the record of the snapshot that is taken first.
    pub host: String,
    /// Whether what gives files power comes back.
    pub trusts_repository: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
}
