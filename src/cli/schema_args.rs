//! Arguments of the schema commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::source_args::SourceArgs;

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// List the known schemas of Jellyfin's database
    List,
    /// Learn the schema of a newer server from its database and one of its own backups
    ///
    /// Create a backup in Jellyfin (Dashboard, Backups), then run this on the server's machine. The
    /// zip in data/backups is found automatically. A learned schema is used only if it reproduces
    /// that zip exactly. Snapshots that were imported earlier with tables of this schema then get
    /// their database.
    Learn(LearnArgs),
    /// Add a schema from a file written by schema show
    Add {
        /// The schema file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write a schema to standard output, for use on another machine
    Show {
        /// Name of the schema, as shown by schema list
        name: String,
    },
}

/// What to learn from.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// Jellyfin's own backup zip [default: the newest of the same version in data/backups]
    #[arg(value_name = "ZIP", value_hint = ValueHint::FilePath)]
    pub zip: Option<PathBuf>,
    /// Use the database of this snapshot instead of the server's
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
    /// Jellyfin's data directory [default: found automatically]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "snapshot")]
    pub data_dir: Option<PathBuf>,
    /// Jellyfin's configuration directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Jellyfin's database file, if it is not in the data directory
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "snapshot")]
    pub database: Option<PathBuf>,
}

impl LearnArgs {
    /// Which instance.
    pub fn source(&self) -> SourceArgs {
        SourceArgs {
            data_dir: self.data_dir.clone(),
            config_dir: self.config_dir.clone(),
            database: self.database.clone(),
            ..SourceArgs::default()
        }
    }
}
