//! What can be typed to bring a snapshot back.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::args::SnapArg;

/// How to restore.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    pub snapshot: SnapArg,
    /// The instance's data directory, as with --data-dir
    #[arg(value_name = "DATA_DIR", value_hint = ValueHint::DirPath, conflicts_with = "data_dir")]
    pub place: Option<PathBuf>,
    /// Rebuild the tree below this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, required_unless_present_any = ["in_place", "watch_state"], conflicts_with_all = ["in_place", "watch_state"])]
    pub to: Option<PathBuf>,
    /// Restore into the instance's own directories
    #[arg(long, group = "instance")]
    pub in_place: bool,
    /// Bring one user's watch state back into the stopped server's database: watched, position, favourites, ratings
    #[arg(long, group = "instance", requires = "user", conflicts_with_all = ["in_place", "only", "path", "keep_old", "force", "same_directories"])]
    pub watch_state: bool,
    /// Whose watch state
    #[arg(long, value_name = "NAME", requires = "watch_state")]
    pub user: Option<String>,
    /// Only these categories
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only this path of the snapshot, with all below it
    #[arg(long, value_name = "PATH")]
    pub path: Vec<String>,
    /// Only what belongs to the film, series, person, playlist or user of this title, or one picture of it: --item "Salt Bridge" poster
    #[arg(long, value_name = "TITLE [PICTURE]", num_args = 1..=2, conflicts_with_all = ["path", "watch_state"])]
    pub item: Vec<String>,
    /// Remove pictures of other names that the server would show in place of the restored ones (--item with a picture does so by itself)
    #[arg(long)]
    pub replace_pictures: bool,
    /// Do not ask before --delete removes files of a directory that no restore made
    #[arg(short, long)]
    pub yes: bool,
    /// Remove what the snapshot lacks
    #[arg(long)]
    pub delete: bool,
    /// First move what is there to NAME.bak-TIME
    #[arg(long, requires = "in_place")]
    pub keep_old: bool,
    /// Say what would be done, change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go on though the installed server is older than the snapshot's, or the snapshot's database is damaged
    #[arg(long)]
    pub force: bool,
    /// The server sees the same directories as when the snapshot was taken (a container with the same volumes)
    #[arg(long, requires = "in_place")]
    pub same_directories: bool,
    /// Do not take a snapshot of what is there before the database or the configuration is replaced or changed
    #[arg(long, requires = "instance")]
    pub no_safety_snapshot: bool,
    /// Restore although the data that is there belongs to another server than the snapshot's, and is lost by that
    #[arg(long, requires = "instance")]
    pub other_server: bool,
    /// For a machine that has no Jellyfin yet: make the directories of this layout (docker, linuxserver, debian, portable) [default: the snapshot's]
    #[arg(long, value_name = "LAYOUT", conflicts_with = "watch_state")]
    pub layout: Option<crate::source::Arrangement>,
    /// Who gets what belonged to the server's user: UID:GID, or keep for the snapshot's own numbers [default: the owner of the data directory]
    #[arg(long, value_name = "UID:GID|keep", conflicts_with_all = ["watch_state", "no_owner"])]
    pub owner: Option<String>,
    /// Set no owners: everything belongs to the user who runs this
    #[arg(long, conflicts_with = "watch_state")]
    pub no_owner: bool,
    /// Restore set-user-id bits, capabilities and attributes of the system, though the repository was not made by you on this machine
    #[arg(long, conflicts_with = "watch_state")]
    pub trust_repository: bool,
    /// Write through links that lead to whole folders of Jellyfin, such as data/trickplay on another disk; without it they are in the way
    #[arg(long, requires = "in_place", conflicts_with = "keep_old")]
    pub follow_roots: bool,
    /// Its database file, if it lies elsewhere
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "instance")]
    pub database: Option<PathBuf>,
    /// The instance's data directory; without it the instance is looked for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "instance")]
    pub data_dir: Option<PathBuf>,
    /// Its configuration directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Its metadata directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub metadata_dir: Option<PathBuf>,
}

impl RestoreArgs {
    /// The data directory, however it was named.
    pub fn data_dir(&self) -> Option<&PathBuf> {
        self.data_dir.as_ref().or(self.place.as_ref())
    }
}
