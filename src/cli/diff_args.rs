//! Arguments of the diff command.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier snapshot [default: latest]
    #[arg(value_name = "SNAPSHOT")]
    pub before: Option<String>,
    /// The later snapshot [default: the server as it is now]
    #[arg(value_name = "SNAPSHOT")]
    pub after: Option<String>,
    /// Compare only these categories: database, config, metadata, subtitles, trickplay,
    /// attachments, plugins, other
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Compare only this path and everything below it, or paths that match a pattern: *.jpg, or
    /// metadata/**/poster.*
    #[arg(long, value_name = "PATH|GLOB")]
    pub path: Vec<String>,
    /// Show only counts and a summary
    #[arg(long)]
    pub stat: bool,
    /// Also show what changed in the database: who watched what, which films are new, what an
    /// upgrade changed
    #[arg(long)]
    pub rows: bool,
    /// Show every changed row of this table (implies --rows)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Show every changed row of this user (implies --rows)
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Show every changed row of items with this id, or with this text in their name (implies
    /// --rows)
    #[arg(long, value_name = "NAME|ID")]
    pub item: Vec<String>,
    /// Compare the rows of this database instead of Jellyfin's main database, for example
    /// data/playback_reporting.db
    #[arg(long, value_name = "PATH")]
    pub database: Option<String>,
    /// Show what changed inside files: lines of text (without secrets), width and height of
    /// pictures
    #[arg(long, short = 'p')]
    pub patch: bool,
    /// Show passwords, tokens and other values that are hidden by default
    #[arg(long)]
    pub show_secrets: bool,
    /// Always print the tree, even if the output is not a terminal
    #[arg(long, conflicts_with = "stat")]
    pub tree: bool,
    /// Use the exit codes of the program diff: 0 nothing changed, 1 something changed, 2 failed
    #[arg(long)]
    pub exit_code: bool,
    /// Compare with this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["after", "data_dir", "config_dir", "metadata_dir"])]
    pub plain: Option<PathBuf>,
    #[command(flatten)]
    pub source: LiveArgs,
}

/// The live source to compare with.
#[derive(Debug, Args, Default)]
pub struct LiveArgs {
    /// Jellyfin's data directory [default: the snapshot's, or found automatically]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub data_dir: Option<PathBuf>,
    /// Jellyfin's configuration directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub config_dir: Option<PathBuf>,
    /// Jellyfin's metadata directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub metadata_dir: Option<PathBuf>,
    /// Follow symbolic links to whole Jellyfin directories (links that the snapshot followed are
    /// always followed)
    #[arg(long, conflicts_with = "after")]
    pub follow_roots: bool,
}
