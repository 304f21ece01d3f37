//! What can be typed to say which instance is meant.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Which instance.
#[derive(Debug, Args, Default)]
pub struct SourceArgs {
    /// Jellyfin's data directory; without it the instance is looked for
    #[arg(value_name = "DATA_DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(long = "data-dir", value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "data_dir")]
    pub named_dir: Option<PathBuf>,
    /// Its configuration directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Its metadata directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub metadata_dir: Option<PathBuf>,
    /// Its cache directory, which is never captured
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache_dir: Option<PathBuf>,
    /// Its log directory, which tells the server's version and is never captured
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub log_dir: Option<PathBuf>,
    /// Its database file, if database.xml puts it where this machine sees it under another path
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub database: Option<PathBuf>,
    /// Follow links to whole folders of Jellyfin, such as data/trickplay or metadata/People on another disk
    #[arg(long)]
    pub follow_roots: bool,
}

impl SourceArgs {
    /// The data directory, however it was named.
    pub fn data_dir(&self) -> Option<&PathBuf> {
        self.data_dir.as_ref().or(self.named_dir.as_ref())
    }
}
