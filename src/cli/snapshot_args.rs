//! The arguments of `snapshot`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::source_args::SourceArgs;

/// How to take a snapshot.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Take a snapshot of this directory as it is, instead of a Jellyfin server
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["data_dir", "named_dir", "config_dir", "metadata_dir", "only", "skip"])]
    pub plain: Option<PathBuf>,
    /// Include only these categories: database, config, metadata, subtitles, trickplay,
    /// attachments, plugins, other
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', conflicts_with = "skip")]
    pub only: Vec<String>,
    /// Include all categories except these
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Exclude files that match this pattern: a name (*.bif) or a path in the snapshot
    /// (metadata/People/**)
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// Label for the snapshot, for example "before 12.0"
    #[arg(long)]
    pub label: Option<String>,
    /// Note to store with the snapshot
    #[arg(long)]
    pub note: Option<String>,
    /// Protect the snapshot from forget
    #[arg(long)]
    pub keep: bool,
    /// Create a new repository even if there was one at this path before
    #[arg(long)]
    pub init: bool,
    #[command(flatten)]
    pub encrypt: super::key_args::EncryptArgs,
    /// Take a snapshot only if the installed version of Jellyfin is not that of the newest
    /// snapshot, or is not known
    #[arg(long, conflicts_with_all = ["plain", "dry_run"])]
    pub if_version_changes: bool,
    /// Show what would be read; store nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not enter directories on other file systems
    #[arg(long)]
    pub one_file_system: bool,
    /// Include data/splashscreen.png, which the server generates by itself
    #[arg(long)]
    pub include_generated: bool,
    /// Do not report files missing since the last complete snapshot: they were deleted on purpose
    #[arg(long)]
    pub accept_loss: bool,
}
