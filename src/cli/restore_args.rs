//! Arguments of the restore command.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::map_args::{MapArgs, MapLayout};
use super::snap_arg::SnapArg;

/// How to restore.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub snapshot: SnapArg,
    /// Jellyfin's data directory, the same as --data-dir
    #[arg(value_name = "DATA_DIR", value_hint = ValueHint::DirPath, conflicts_with = "data_dir")]
    pub place: Option<PathBuf>,
    /// Restore into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present_any = ["in_place", "watch_state", "through_server", "playlist", "collection"], conflicts_with_all = ["in_place", "watch_state"])]
    pub to: Option<PathBuf>,
    /// Restore into the server's own directories
    #[arg(long, group = "instance")]
    pub in_place: bool,
    /// Restore one user's watch state (watched, position, favourites, ratings). Stop Jellyfin
    /// first. With an API key ([jellyfin] in the configuration), it can keep running
    #[arg(long, group = "instance", requires = "user", conflicts_with_all = ["in_place", "only", "path", "keep_old", "force", "same_directories", "map", "map_layout"])]
    pub watch_state: bool,
    /// User whose watch state is restored
    #[arg(long, value_name = "NAME", requires = "watch_state")]
    pub user: Option<String>,
    /// Set the picture named with --item on the running server, which shows it at once. Needs an
    /// API key ([jellyfin] in the configuration)
    #[arg(long, group = "instance", requires = "item", conflicts_with_all = ["to", "only", "path", "delete", "keep_old", "force", "arm", "map", "map_layout"])]
    pub through_server: bool,
    /// Create the playlist with this name or id again on the running server, or add the entries
    /// that it lost. Needs an API key ([jellyfin] in the configuration)
    #[arg(long, value_name = "NAME", group = "instance", conflicts_with_all = ["to", "only", "path", "item", "delete", "keep_old", "force", "arm", "map", "map_layout"])]
    pub playlist: Option<String>,
    /// The same for a collection
    #[arg(long, value_name = "NAME", group = "instance", conflicts_with_all = ["to", "only", "path", "item", "delete", "keep_old", "force", "arm", "map", "map_layout"])]
    pub collection: Option<String>,
    /// Restore only these categories: database, config, metadata, subtitles, trickplay,
    /// attachments, plugins, other
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Restore only this path of the snapshot and everything below it
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
    /// Restore only the files of the film, series, person, playlist or user with this title, or one
    /// picture of it: --item "Salt Bridge" poster
    #[arg(long, value_name = "TITLE [PICTURE]", num_args = 1..=2, conflicts_with_all = ["path", "watch_state"])]
    pub item: Vec<String>,
    /// Delete pictures with other names that Jellyfin would show instead of the restored ones
    /// (--item with a picture always does so)
    #[arg(long)]
    pub replace_pictures: bool,
    /// Do not ask before --delete deletes files in a directory that no restore created
    #[arg(short, long)]
    pub yes: bool,
    /// Delete files that are not in the snapshot
    #[arg(long)]
    pub delete: bool,
    /// First rename the existing directories to NAME.bak-TIME
    #[arg(long, requires = "in_place")]
    pub keep_old: bool,
    /// Do not restore now, but at the next start of Jellyfin, before it opens its database (needs
    /// the drop-in for jellyfin.service)
    #[arg(long, requires = "instance", conflicts_with_all = ["dry_run", "map", "map_layout"])]
    pub arm: bool,
    /// Show what would be done; change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Restore even if the installed server is older than the snapshot's, or the snapshot's
    /// database is damaged
    #[arg(long)]
    pub force: bool,
    /// Confirm that the server sees the same directories as at the time of the snapshot (a
    /// container with the same volumes)
    #[arg(long, requires = "in_place")]
    pub same_directories: bool,
    #[command(flatten)]
    pub map: MapArgs,
    /// Do not take a snapshot of the current state before the database or the configuration is
    /// changed
    #[arg(long, requires = "instance")]
    pub no_safety_snapshot: bool,
    /// Restore even if the existing data belongs to another server. The data of that server is
    /// overwritten
    #[arg(long, requires = "instance")]
    pub other_server: bool,
    /// Create the directories of this layout, for a machine without Jellyfin (docker, linuxserver,
    /// debian, portable) [default: the snapshot's]
    #[arg(long, value_name = "LAYOUT", conflicts_with = "watch_state")]
    pub layout: Option<crate::source::Arrangement>,
    /// Owner for files that belonged to the server's user: UID:GID, or keep for the numbers in the
    /// snapshot [default: the owner of the data directory]
    #[arg(long, value_name = "UID:GID|keep", conflicts_with_all = ["watch_state", "no_owner"])]
    pub owner: Option<String>,
    /// Do not restore owners: all files belong to the user who runs jellyvault
    #[arg(long, conflicts_with = "watch_state")]
    pub no_owner: bool,
    /// Restore set-user-ID bits, capabilities and system attributes even if you did not create the
    /// repository on this machine
    #[arg(long, conflicts_with = "watch_state")]
    pub trust_repository: bool,
    /// Follow symbolic links to whole Jellyfin directories, for example data/trickplay on another
    /// disk. Without it, such links are reported as conflicts
    #[arg(long, requires = "in_place", conflicts_with = "keep_old")]
    pub follow_roots: bool,
    /// Jellyfin's database file, if it is not in the data directory
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "instance")]
    pub database: Option<PathBuf>,
    /// Jellyfin's data directory [default: found automatically]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "instance")]
    pub data_dir: Option<PathBuf>,
    /// Jellyfin's configuration directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Jellyfin's metadata directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub metadata_dir: Option<PathBuf>,
}

impl RestoreArgs {
    /// The data directory, however it was named.
    pub fn data_dir(&self) -> Option<&PathBuf> {
        let behind = if let Some(MapLayout::Place(place)) = &self.map.map_layout {
            Some(place)
        } else {
            None
        };
        self.data_dir.as_ref().or(self.place.as_ref()).or(behind)
    }
}
