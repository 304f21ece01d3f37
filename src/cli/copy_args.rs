//! The arguments of commands that bring snapshots from elsewhere or to elsewhere: `import`, `copy`,
//! `sync`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::key_args::EncryptArgs;
use super::upkeep_args::RuleArgs;

/// Where the copy is.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// The directory of the copy: an empty one, or that of an earlier copy
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
    /// Also copy snapshots that were forgotten in the copy
    #[arg(long)]
    pub again: bool,
    /// Create a new copy even if there was one at this path before
    #[arg(long)]
    pub init: bool,
    /// Show what would be copied; change nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(flatten)]
    pub encrypt: EncryptArgs,
    /// A zip, or a directory of zips such as data/backups
    #[arg(required = true, value_name = "ZIP", value_hint = ValueHint::AnyPath)]
    pub zips: Vec<PathBuf>,
    /// Label for the snapshots
    #[arg(long)]
    pub label: Option<String>,
    /// Note to store with the snapshots
    #[arg(long)]
    pub note: Option<String>,
    /// Create a new repository even if there was one at this path before
    #[arg(long)]
    pub init: bool,
    /// Import zips again that are already in the repository
    #[arg(long)]
    pub force: bool,
}

/// What to copy, and where to.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Copy only these snapshots: ids or unique prefixes, labels, latest [default: all]
    #[arg(value_name = "SNAPSHOT", conflicts_with = "rules")]
    pub snapshots: Vec<String>,
    /// The repository to copy into. Create it first with jellyvault init
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: PathBuf,
    /// File with the passphrase of the repository to copy into
    #[arg(long, env = "JELLYVAULT_TO_PASSPHRASE_FILE", hide_env_values = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub to_passphrase_file: Option<PathBuf>,
    /// Command that prints the passphrase of the repository to copy into
    #[arg(long, value_name = "COMMAND", conflicts_with = "to_passphrase_file")]
    pub to_passphrase_command: Option<String>,
    #[command(flatten, next_help_heading = "Copy only the snapshots that a rule keeps")]
    pub rules: RuleArgs,
    /// Also copy snapshots that were copied before and forgotten there
    #[arg(long, help_heading = "Options")]
    pub again: bool,
    /// Show what would be copied; change nothing
    #[arg(long, help_heading = "Options")]
    pub dry_run: bool,
}
