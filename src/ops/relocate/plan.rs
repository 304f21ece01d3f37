//! What a move would change, for the user and for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::manifest::Directories;
use crate::progress::Problem;

/// Names that are kept of many.
const NAMED_MAX: usize = 20;

/// So many, and the first of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub first: Vec<String>,
}

impl Named {
    pub(super) fn join(&mut self, other: Named) {
        self.count += other.count;
        self.first.extend(other.first);
        self.first.truncate(NAMED_MAX);
    }

    pub(super) fn add(&mut self, name: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < NAMED_MAX {
            self.first.push(name());
        }
    }
}

/// What a move changes.
#[derive(Clone, Debug, Default, Serialize)]
pub struct MovePlan {
    /// The directories as the server saw them, by name.
    pub from: Directories,
    /// The directories as it will see them.
    pub to: Directories,
    /// Pairs of old and new directories of media.
    pub map: Vec<(String, String)>,
    /// All items of the library.
    pub items: u64,
    /// Items that get a new id.
    pub new_ids: u64,
    /// Items whose path changes and whose id Jellyfin's formula does not give: they keep their id.
    pub kept_ids: Named,
    /// Seasons without a folder whose id Jellyfin's formula does not give: they keep it, and the
    /// server finds them by their series and number.
    pub kept_seasons: Named,
    /// Directories of media that lie in the server's data directory, and where they will be.
    pub along: BTreeMap<String, String>,
    /// Rows that change, by table.
    pub rows: BTreeMap<String, u64>,
    /// Values in the database that could not be read, and stay as they are.
    pub unread: Named,
    /// Settings, playlists and collections that change, by their logical path.
    pub documents: Vec<String>,
    /// Folders of pictures, subtitles and the like that get a new name.
    pub folders: u64,
    /// Files below folders that were left over under a new name, and go.
    pub leftovers: Named,
    /// Media that was looked for and found on this machine.
    pub media_found: u64,
    /// Media that is not there.
    pub media_missing: Named,
    /// Media whose modification time is not the one in the library.
    pub media_changed: Named,
    /// Settings of plugins that contain old paths, by their logical path.
    pub plugins: Vec<String>,
    /// Settings of plugins in which old paths are left although those of plugins change.
    pub plugins_by_hand: Vec<String>,
    /// Settings of the server that still contain old paths.
    pub settings: Vec<String>,
    /// Databases of plugins, which keep old ids.
    pub plugin_databases: Vec<String>,
}

impl MovePlan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.documents.is_empty() && self.folders == 0
    }

    /// What stays as it is although it should change, or may.
    pub fn problems(&self) -> Vec<Problem> {
        let of = |named: &Named, what: &str| -> Vec<Problem> {
            let more = named.count.saturating_sub(named.first.len() as u64);
            let first = named
                .first
                .iter()
                .map(|name| Problem { path: name.clone(), what: what.to_owned() });
            first
                .chain(
                    (more > 0)
                        .then(|| Problem { path: format!("{more} more"), what: what.to_owned() }),
                )
                .collect()
        };
        let mut all = of(&self.unread, "it could not be read, so the paths in it were not changed");
        all.extend(of(&self.kept_ids, "it keeps its id, which Jellyfin did not make from its path; the server may add it anew, without its watch state"));
        all
    }
}
