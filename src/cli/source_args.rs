//! Arguments that select a Jellyfin instance.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Which instance.
#[derive(Clone, Debug, Args, Default)]
pub struct SourceArgs {
    /// Jellyfin's data directory [default: found automatically]
    #[arg(value_name = "DATA_DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// The same as DATA_DIR, as other commands name it
    #[arg(long = "data-dir", value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "data_dir")]
    pub named_dir: Option<PathBuf>,
    /// Jellyfin's configuration directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Jellyfin's metadata directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub metadata_dir: Option<PathBuf>,
    /// Jellyfin's cache directory (never part of a snapshot)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache_dir: Option<PathBuf>,
    /// Jellyfin's log directory (used to find the server's version; never part of a snapshot)
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub log_dir: Option<PathBuf>,
    /// Jellyfin's database file, if database.xml names a path that differs on this machine
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub database: Option<PathBuf>,
    /// Follow symbolic links to whole Jellyfin directories, for example data/trickplay or
    /// metadata/People on another disk
    #[arg(long)]
    pub follow_roots: bool,
}

impl SourceArgs {
    /// The data directory, however it was named.
    pub fn data_dir(&self) -> Option<&PathBuf> {
        self.data_dir.as_ref().or(self.named_dir.as_ref())
    }
}
