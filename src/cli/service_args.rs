//! Arguments of what is done by itself: run, serve, status, config, notify, setup.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// What to do of what is due.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Run these jobs now, whether they are due or not: snapshot, copy, retention,
    /// check, drill, report
    #[arg(long, value_name = "JOB", value_delimiter = ',')]
    pub job: Vec<String>,
    /// Show which jobs are due now and when the others will be; run nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// How to show it.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Exit with 1 if the server is not protected, otherwise with 0: for container health checks
    /// and monitoring
    #[arg(long)]
    pub healthy: bool,
}

/// About the configuration file.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check the configuration and say what is wrong, and where
    Check,
    /// Show the configuration in effect, where it comes from, and the next runs of each job
    Show,
    /// Write a commented example to standard output
    Example,
}

/// About alarms.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum NotifyCommand {
    /// Send a test message to every destination in [notify] of the configuration
    Test,
}

/// What to do with an armed restore.
#[derive(Debug, Args)]
pub struct ArmedArgs {
    /// Run the waiting restore now: the drop-in for jellyfin.service does this
    #[arg(long, conflicts_with = "cancel")]
    pub run: bool,
    /// Cancel the waiting restore
    #[arg(long)]
    pub cancel: bool,
}

/// About the web page.
#[derive(Clone, Debug, Subcommand)]
pub enum WebCommand {
    /// Set the password: asked for at a terminal, otherwise read from standard input
    Password,
    /// Create a token for a program that reads /api/v1 or /metrics. It is shown only once
    Token {
        /// What the token is for, for example grafana
        name: String,
    },
}

/// How to set up.
#[derive(Debug, Args)]
pub struct SetupArgs {
    #[command(flatten)]
    pub encrypt: super::key_args::EncryptArgs,
    /// Do not ask: use what is given here and the defaults
    #[arg(short, long)]
    pub yes: bool,
    /// Jellyfin's data directory [default: found automatically]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub data_dir: Option<PathBuf>,
    /// How often to take a snapshot, for example 15m, 6h or 1d [default: 15m]
    #[arg(long, value_name = "DURATION")]
    pub every: Option<String>,
    /// Send alarms to this ntfy topic: its whole address, which begins with https:
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub ntfy: Option<String>,
    /// Send alarms to this e-mail address, with the system's sendmail, or through the mail server
    /// that smtp in the configuration file names
    #[arg(long, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Replace an existing configuration file
    #[arg(long)]
    pub force: bool,
}
