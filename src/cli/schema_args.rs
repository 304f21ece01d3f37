//! What can be typed about schemas.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::source_args::SourceArgs;

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// List the schemas of Jellyfin's database that are known
    List,
    /// Learn the schema of a server that is newer than this jellyvault, from one of its own backups and its database
    ///
    /// Make a backup in the dashboard (Dashboard, Backups), then run this on the server's machine: the zip is found in data/backups by itself. What
    /// was learnt is trusted only once it gives that very zip again. Snapshots that were imported before, with tables of that schema, get their
    /// database.
    Learn(LearnArgs),
    /// Add a schema from a file that somebody else learnt
    Add {
        /// The file
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Write the file of a schema to standard output, for another machine
    Show {
        /// Its name, as list shows it
        name: String,
    },
}

/// What to learn from.
#[derive(Debug, Args)]
pub struct LearnArgs {
    /// The server's own backup [default: the newest in data/backups that is of the same version]
    #[arg(value_name = "ZIP", value_hint = ValueHint::FilePath)]
    pub zip: Option<PathBuf>,
    /// Take the database of this snapshot instead of the server's
    #[arg(long, value_name = "SNAPSHOT")]
    pub snapshot: Option<String>,
    /// The instance's data directory; without it the instance is looked for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "snapshot")]
    pub data_dir: Option<PathBuf>,
    /// Its configuration directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config_dir: Option<PathBuf>,
    /// Its database file, if it lies elsewhere
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "snapshot")]
    pub database: Option<PathBuf>,
}

impl LearnArgs {
    /// Which instance.
    pub fn source(&self) -> SourceArgs {
        SourceArgs { data_dir: self.data_dir.clone(), config_dir: self.config_dir.clone(), database: self.database.clone(), ..SourceArgs::default() }
    }
}
