//! The command-line arguments. Their doc comments are the help texts; `docs/cli.md` is generated
//! from them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::copy_args::{CopyArgs, ImportArgs, SyncArgs};
pub use super::diff_args::{DiffArgs, LiveArgs};
pub use super::key_args::EncryptArgs;
use super::key_args::KeyCommand;
use super::log::LogLevel;
pub use super::map_args::{MapArgs, MoveArgs};
pub use super::restore_args::RestoreArgs;
use super::schema_args::SchemaCommand;
use super::service_args::{
    ArmedArgs, ConfigCommand, NotifyCommand, RunArgs, SetupArgs, StatusArgs, WebCommand,
};
use super::snap_arg::SnapArg;
pub use super::snapshot_args::SnapshotArgs;
pub use super::source_args::SourceArgs;
use super::upkeep_args::{CheckArgs, ForgetArgs, KeepArgs, PruneArgs, RepairArgs};

/// Fast, deduplicated snapshots of a Jellyfin server.
///
/// A snapshot contains the server's database, configuration, posters, people, trickplay images,
/// subtitles, attachments and plugins. Each snapshot stores only what changed. Jellyfin can keep
/// running while a snapshot is taken.
#[derive(Debug, Parser)]
#[command(
    name = "jellyvault",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with problems (see the output), 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// The heading of the options that every command accepts.
pub const EVERY_COMMAND: &str = "Options of every command";

/// Options that every command accepts.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = EVERY_COMMAND)]
pub struct Global {
    /// Repository directory [default: $XDG_DATA_HOME/jellyvault, or /var/lib/jellyvault for root]
    #[arg(long, global = true, env = "JELLYVAULT_REPO", hide_env_values = true, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub repo: Option<PathBuf>,
    /// Configuration file [default: ~/.config/jellyvault/config.toml, or /etc/jellyvault.toml]
    #[arg(long, global = true, env = "JELLYVAULT_CONFIG", hide_env_values = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// File with the passphrase of an encrypted repository
    #[arg(long, global = true, env = "JELLYVAULT_PASSPHRASE_FILE", hide_env_values = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
    /// Command that prints the passphrase of an encrypted repository, run by /bin/sh
    #[arg(
        long,
        global = true,
        env = "JELLYVAULT_PASSPHRASE_COMMAND",
        hide_env_values = true,
        value_name = "COMMAND",
        conflicts_with = "passphrase_file"
    )]
    pub passphrase_command: Option<String>,
    /// Select a server by name, id or data directory, if the repository contains snapshots of
    /// several servers
    #[arg(long, global = true, value_name = "NAME|ID|PATH")]
    pub server: Option<String>,
    /// Print the result as one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only errors and problems
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more details, and every problem in full
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Write to standard error what the program does, for reports of errors
    #[arg(
        long,
        global = true,
        env = "JELLYVAULT_LOG",
        hide_env_values = true,
        value_name = "LEVEL",
        value_enum
    )]
    pub log: Option<LogLevel>,
    /// Directory for temporary copies of databases [default: the repository, or the system's
    /// temporary directory if the repository is read-only]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub scratch_dir: Option<PathBuf>,
    /// Write even if the repository's file system does not support locks. No other jellyvault may
    /// use the repository at the same time
    #[arg(long, global = true)]
    pub no_lock: bool,
    /// Do not show a progress bar
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Write the progress to standard error as lines of JSON, for programs that run jellyvault
    #[arg(long, global = true, conflicts_with = "no_progress")]
    pub progress_json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a repository
    ///
    /// The first snapshot or import also creates a repository. Use init to choose its options
    /// beforehand.
    Init {
        #[command(flatten)]
        encrypt: EncryptArgs,
        /// Store recovery data (parity) for each pack, for example 3%. The repair command can then
        /// restore that share of each pack
        #[arg(long, value_name = "SHARE", value_parser = super::durations::permille)]
        parity: Option<u32>,
    },
    /// Manage the keys of an encrypted repository: passphrases and recovery keys
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Show which Jellyfin server is found and what a snapshot would contain
    Source(SourceArgs),
    /// Copy snapshots into another repository, which can have another passphrase or none
    ///
    /// Each snapshot keeps its id, so it is copied only once. Data that the other repository
    /// already has is not stored again.
    Copy(CopyArgs),
    /// Keep a second copy of the repository in another directory, for example on a USB disk or a
    /// NAS
    ///
    /// Copies every snapshot that the copy does not have, and verifies it there. You can stop it at
    /// any time. It deletes no snapshot in the copy: the copy is a repository of its own. To delete
    /// old snapshots there, run forget with --repo.
    Sync(SyncArgs),
    /// Take a snapshot
    ///
    /// Reads and stores only what changed since the last snapshot of the same server. The database
    /// is copied with SQLite's online backup, so the server can keep running.
    Snapshot(SnapshotArgs),
    /// List snapshots, newest last
    List,
    /// Show one snapshot: its categories, server, problems, and how much space deleting it would
    /// free
    Show {
        #[command(flatten)]
        snapshot: SnapArg,
    },
    /// List the files in a snapshot
    Ls {
        /// A snapshot, or a path in one, for example latest:config
        #[arg(value_name = "SNAPSHOT[:PATH]")]
        place: String,
        /// List subdirectories too
        #[arg(short, long)]
        recursive: bool,
        /// List the directories of the film, series, person, playlist or user with this title
        #[arg(long, value_name = "TITLE")]
        item: Option<String>,
    },
    /// Write one file from a snapshot to standard output
    Cat {
        /// The file, for example latest:config/system.xml. With --item: only the snapshot
        #[arg(value_name = "SNAPSHOT:PATH")]
        place: String,
        /// Write one picture of the item with this title, the poster where none is named:
        /// --item "Salt Bridge" backdrop
        #[arg(long, value_names = ["TITLE", "PICTURE"], num_args = 1..=2)]
        item: Vec<String>,
    },
    /// Restore a snapshot, or part of it
    ///
    /// --to restores into a directory of your choice, with the subdirectories config, data,
    /// metadata, plugins and root. --in-place restores into the server's own directories. Stop
    /// Jellyfin first, unless you restore only metadata, trickplay, subtitles or attachments. Only
    /// files that differ are written.
    Restore(RestoreArgs),
    /// Change the paths of a stopped server: its media or its own directories are at another place
    /// now
    ///
    /// Takes a snapshot first. Items keep their watch state, pictures, playlists and collections,
    /// although their ids change with their paths. To bring a server to another machine or layout,
    /// use restore --map-layout or export --exact --map-layout.
    Move(MoveArgs),
    /// Show what changed between two snapshots, or since a snapshot
    ///
    /// With two snapshots: the changes from the first to the second. With one: the changes since
    /// then. Without any: the changes since the latest snapshot. A file with the same content at
    /// another path counts as moved.
    #[command(
        after_long_help = "Exit codes: 0 done; 2 wrong usage; 3 part of the server's data could not be read. With --exit-code, as the program diff: 0 nothing changed, 1 something changed, 2 failed."
    )]
    Diff(DiffArgs),
    /// Find files in all snapshots, by name, path or content
    ///
    /// Prints each path with its versions, and from which snapshot to which each version existed.
    Find(FindArgs),
    /// Show when a file was added, changed and removed
    History(HistoryArgs),
    /// Mount snapshots as read-only directories (FUSE)
    ///
    /// With a directory alone: one subdirectory for each snapshot, named by its time and id. With a
    /// snapshot and a directory: the files of that snapshot. Press Ctrl-C or run umount to end.
    Mount(MountArgs),
    /// Write a backup zip that Jellyfin can restore
    ///
    /// --tables (the default) writes the same zip as Jellyfin's own backup, for the dashboard and
    /// for --restore-archive of a server with the same schema. It also contains avatars, the
    /// server's id, attachments and the splash screen, which Jellyfin's own backup loses. --exact
    /// contains the database page for page. The dashboard of the same or any newer server restores
    /// everything from it except plugins, and migrates the database as in an upgrade.
    #[command(after_long_help = format!("Exact zips: {}", super::exact_rules::EXACT_RULES))]
    Export(ExportArgs),
    /// Import backup zips made by Jellyfin
    ///
    /// Each zip becomes a snapshot with the zip's date, deduplicated against the other snapshots.
    /// Its tables become a database again, so you can list, restore and export it as any other
    /// snapshot. If a newer server cannot restore a zip, import it and write it again with export
    /// --exact.
    Import(ImportArgs),
    /// Delete snapshots, by retention rules or by name
    ///
    /// A snapshot is kept if at least one rule keeps it. Rules apply to each server separately, and
    /// to each set of categories separately. Snapshots with a label are protected, unless
    /// --keep-label names other labels. So are snapshots protected by snapshot --keep or by the
    /// keep command. forget itself frees no space: run prune, or add --prune.
    Forget(ForgetArgs),
    /// Protect snapshots from forget
    Keep(KeepArgs),
    /// Delete data that no snapshot uses
    ///
    /// Shows a plan first: which packs (the repository's data files) are kept, deleted, or
    /// repacked. Repacking copies the data still in use into new packs before the old pack is
    /// deleted. You can stop prune at any time; the next run continues. Snapshots and restores can
    /// run at the same time. Before it deletes files, prune waits for them to finish.
    Prune(PruneArgs),
    /// Verify the repository
    ///
    /// Always checks the structure: settings, the list of snapshots, pack trailers, index and
    /// manifests. --read-data also reads and verifies the stored data. With a share, it reads the
    /// least recently verified data: --read-data=5% every night covers everything in 20 days.
    /// Damage is reported with the affected files and snapshots.
    Check(CheckArgs),
    /// Repair damage where possible and list files that are lost
    ///
    /// Restores damaged data from parity, from another copy in the repository, or from the server
    /// if the file there is unchanged. Files that are lost are listed. Each snapshot that contained
    /// one is replaced by a snapshot without it, under a new id. The index is rebuilt. Nothing is
    /// deleted before its replacement is safe on disk.
    Repair(RepairArgs),
    /// List known schemas of Jellyfin's database, or learn a newer one
    Schema {
        #[command(subcommand)]
        command: SchemaCommand,
    },
    /// Set up automatic snapshots: ask a few questions, write the configuration and take the first
    /// snapshot
    Setup(SetupArgs),
    /// Run the jobs that are due now (snapshot, copy, retention, check, drill,
    /// report), then exit: for cron and
    /// systemd timers
    ///
    /// The configuration file says when each job is due. A job that was missed, for example while
    /// the machine was off, runs once, however often it was missed.
    Run(RunArgs),
    /// Keep running: run the jobs when they are due, and show a web page (http://127.0.0.1:8788
    /// unless configured otherwise)
    Serve,
    /// Show or cancel the restore that waits for the next start of Jellyfin (restore --arm), or
    /// show its result
    Armed(ArmedArgs),
    /// Set the password of the web page, or create a token for a program
    Web {
        #[command(subcommand)]
        command: WebCommand,
    },
    /// Show whether the server is protected
    Status(StatusArgs),
    /// Check or show the configuration, or write an example
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Test the notifications
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Show sizes by category, deduplication, compression and growth
    Stats,
    /// Write a shell completion script to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output
    Man,
    /// Write the command-line reference as Markdown to standard output
    #[command(hide = true)]
    MarkdownHelp,
}

/// What to find.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// A title or part of it, a path and everything below it, or a pattern: *.jpg, or
    /// metadata/**/poster.*
    #[arg(value_name = "TITLE|PATH|GLOB")]
    pub patterns: Vec<String>,
    /// Search only this snapshot
    #[arg(long = "in", value_name = "SNAPSHOT")]
    pub within: Option<String>,
    /// Find only files with the same content as this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub same_as: Option<PathBuf>,
}

/// What to mount, and where.
#[derive(Debug, Args)]
pub struct MountArgs {
    /// An empty directory to mount to; to mount one snapshot only, name it first
    #[arg(value_name = "[SNAPSHOT] DIR", num_args = 1..=2, required = true)]
    pub place: Vec<String>,
    /// Add a directory "titles" to each snapshot: films, people and playlists by name, as links to
    /// their directories
    #[arg(long)]
    pub titles: bool,
    /// Allow other users to read files, according to the file permissions
    #[arg(long)]
    pub allow_other: bool,
}

/// File to trace.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A path in the snapshots, for example config/system.xml
    #[arg(value_name = "PATH", required_unless_present = "item")]
    pub path: Option<String>,
    /// One picture of the item with this title in the newest snapshot, all of them where none is
    /// named: --item "Salt Bridge" poster
    #[arg(long, value_names = ["TITLE", "PICTURE"], num_args = 1..=2, conflicts_with = "path")]
    pub item: Vec<String>,
}

/// How to export.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub snapshot: SnapArg,
    /// Zip file to write [default: jellyfin-backup-TIME.zip in the current directory]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "to_jellyfin")]
    pub file: Option<PathBuf>,
    /// Write the database as tables, as Jellyfin's own backup does (the default)
    #[arg(long, conflicts_with = "exact")]
    pub tables: bool,
    /// Write the database page for page: only for the dashboard of the same or a newer server, with
    /// no task running
    #[arg(long)]
    pub exact: bool,
    /// Export only these categories: database, metadata, subtitles, trickplay, attachments (the
    /// configuration is always included)
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Write the zip where the dashboard of the server on this machine lists it, if that server can
    /// restore it
    #[arg(long)]
    pub to_jellyfin: bool,
    /// Write tables for another version: 10.11.10 or 10.11.11, from snapshots of 10.11.0 to 10.11.9
    #[arg(long = "for", value_name = "VERSION", conflicts_with = "exact")]
    pub target: Option<String>,
    /// Overwrite an existing file
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub map: MapArgs,
    /// With --map or --map-layout: show what would be changed, write no zip
    #[arg(long)]
    pub dry_run: bool,
    /// Confirm that the server sees the same directories as at the time of the snapshot (a
    /// container with the same volumes)
    #[arg(long, requires = "to_jellyfin")]
    pub same_directories: bool,
    /// Jellyfin's data directory [default: found automatically]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "to_jellyfin")]
    pub data_dir: Option<PathBuf>,
    /// Jellyfin's configuration directory, if it is not in the data directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "to_jellyfin")]
    pub config_dir: Option<PathBuf>,
}
