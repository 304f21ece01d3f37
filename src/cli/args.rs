//! What can be typed. Help texts live here; `docs/cli.md` is made from them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

pub use super::restore_args::RestoreArgs;
use super::schema_args::SchemaCommand;
pub use super::source_args::SourceArgs;
use super::upkeep_args::{CheckArgs, ForgetArgs, KeepArgs, PruneArgs, RepairArgs};

/// Snapshots of a Jellyfin server that cost only what changed.
///
/// A snapshot holds the server's database, configuration, posters, people, trickplay sheets, subtitles, attachments and
/// plugins as they were at one moment. Taking one under a running server is safe.
#[derive(Debug, Parser)]
#[command(name = "jellyvault", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done but with problems (named in the answer), 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// For every command.
#[derive(Debug, Args)]
pub struct Global {
    /// The repository's folder [default: $XDG_DATA_HOME/jellyvault; for root /var/lib/jellyvault]
    #[arg(long, global = true, env = "JELLYVAULT_REPO", hide_env_values = true, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub repo: Option<PathBuf>,
    /// The server that is meant, by its name, id or data directory, where the repository holds snapshots of several
    #[arg(long, global = true, value_name = "NAME|ID|PATH")]
    pub server: Option<String>,
    /// Answer with one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: remarks, every problem by name
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Where private copies of databases are made [default: the repository, or the system's temporary directory where that is read-only]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub scratch_dir: Option<PathBuf>,
    /// Write although the file system of the repository has no locks: no other jellyvault may work with it meanwhile
    #[arg(long, global = true)]
    pub no_lock: bool,
    /// Show no progress bar, not even on a terminal
    #[arg(long, global = true)]
    pub no_progress: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository
    ///
    /// The first snapshot makes one too, so this is needed only to choose where it is, or how it is protected, beforehand.
    Init {
        /// Protect it with a passphrase (not in this version)
        #[arg(long)]
        encrypt: bool,
        /// Write recovery blocks beside each pack, such as 3%: damage up to that share of a pack can then be mended by repair
        #[arg(long, value_name = "SHARE", value_parser = super::durations::permille)]
        parity: Option<u32>,
    },
    /// Show which Jellyfin instance is found, and what a snapshot of it would hold
    Source(SourceArgs),
    /// Take a snapshot
    ///
    /// Only what changed since the last snapshot of the same instance is read and stored. The database is copied with SQLite's
    /// own online backup while the server runs.
    Snapshot(SnapshotArgs),
    /// List the snapshots, newest last
    List,
    /// Show one snapshot: its categories, its server, its problems, and what deleting it would free
    Show {
        #[command(flatten)]
        snapshot: SnapArg,
    },
    /// List what lies in a snapshot
    Ls {
        /// SNAPSHOT or SNAPSHOT:PATH, such as latest:config
        #[arg(value_name = "SNAPSHOT[:PATH]")]
        place: String,
        /// All that lies below, too
        #[arg(short, long)]
        recursive: bool,
        /// The folders of the film, series, person, playlist or user of this title
        #[arg(long, value_name = "TITLE")]
        item: Option<String>,
    },
    /// Write one file of a snapshot to standard output
    Cat {
        /// The file, such as latest:config/system.xml; with --item the snapshot
        #[arg(value_name = "SNAPSHOT:PATH")]
        place: String,
        /// One picture of what is called so: --item "Salt Bridge" poster
        #[arg(long, value_names = ["TITLE", "PICTURE"], num_args = 2)]
        item: Vec<String>,
    },
    /// Bring a snapshot back, whole or in part
    ///
    /// With --to the snapshot's logical tree is rebuilt below a directory: config, data, metadata, plugins, root. With
    /// --in-place the instance's own directories are made what they were; the server must be stopped for that, unless only
    /// metadata, trickplay, subtitles or attachments come back. Only what differs is written.
    Restore(RestoreArgs),
    /// Show what changed between two snapshots, or since one
    ///
    /// With two names the changes from the first to the second; with one, from it to what lies in the source now; without a name, from
    /// the latest snapshot to now. Files that hold the same in another place count as moved.
    #[command(
        after_long_help = "Exit codes: 0 done; 2 wrong usage; 3 part of the live source could not be looked at. With --exit-code as the program diff ends: 0 nothing changed, 1 something changed, 2 trouble."
    )]
    Diff(DiffArgs),
    /// Find files in all snapshots, by name, path or content
    ///
    /// Each path is told with its versions: from which snapshot to which it was there, and as what.
    Find(FindArgs),
    /// Show when a file appeared, changed and vanished
    History(HistoryArgs),
    /// Show snapshots as directories, to be read only (FUSE)
    ///
    /// With one name all snapshots lie in that directory, each under its time and id; with two, the tree of one. It stays until Ctrl-C or umount.
    Mount(MountArgs),
    /// Write a zip that Jellyfin itself restores
    ///
    /// With --tables (the default) it is what the server's own backup writes, for the dashboard and for --restore-archive of a server
    /// of the same schema; avatars, the server's id, attachments and the splash screen are kept, which the server's own backup loses.
    /// With --exact it holds the database page for page: the dashboard of the same or any newer server brings everything back but
    /// plugins, and migrates it as in an upgrade.
    #[command(after_long_help = format!("An exact zip: {}", super::export::EXACT_RULES))]
    Export(ExportArgs),
    /// Take in the zips that Jellyfin's own backup made
    ///
    /// Each becomes a snapshot, dated as the zip says, that shares what it can with all others. Its tables become a database again: it
    /// is listed, shown, restored in place and exported as any other snapshot. So a zip that a newer server cannot restore becomes, by
    /// export --exact, one that it can.
    Import(ImportArgs),
    /// Drop snapshots from the list, by rules or by name
    ///
    /// Rules add up: a snapshot stays if any of them wants it. Each instance is judged for itself, and snapshots of the same categories
    /// among themselves. A label protects a snapshot, unless --keep-label names others; so does the mark of snapshot --keep or of keep.
    /// Space is freed by prune, which --prune runs at once.
    Forget(ForgetArgs),
    /// Mark snapshots so that no rule of forget drops them
    Keep(KeepArgs),
    /// Free the space that no snapshot needs
    ///
    /// First shows a plan: packs (files of the repository) that stay, that are removed, and that are removed after what is needed of
    /// them was written into new ones. It can be stopped at any point; the next run goes on. Snapshots and restores may run meanwhile:
    /// only to remove files it waits until it is alone for a moment.
    Prune(PruneArgs),
    /// Prove that everything is there, readable and right
    ///
    /// The structure is always checked: settings, list, tables of contents, index, manifests. --read-data reads the data too and proves
    /// every byte; a share of it reads what was not read for longest, so that regular checks get round to all. What is damaged is told
    /// as files and snapshots.
    Check(CheckArgs),
    /// Mend what is damaged, and name what is lost
    ///
    /// Damage is mended from parity, from another copy in the repository, or from the source where a file is unchanged. What is lost for
    /// good is named and taken out of the snapshots that had it: each of them is replaced by one without it, under a new id. The index is
    /// made anew. Nothing is removed before what takes its place is safe on disk.
    Repair(RepairArgs),
    /// Schemas of Jellyfin's database: those that are known, and how to learn a newer one
    Schema {
        #[command(subcommand)]
        command: SchemaCommand,
    },
    /// Sizes by category, deduplication and compression, growth over time
    Stats,
    /// Write a shell's completion script to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual page to standard output
    Man,
    /// Write the command line's reference as Markdown to standard output
    #[command(hide = true)]
    MarkdownHelp,
}

/// A snapshot's name.
#[derive(Debug, Args)]
pub struct SnapArg {
    /// A snapshot: its id or a unique beginning of it, latest, latest~N, its label, or a time such as 2026-11-22 or 2026-11-22T10:00
    #[arg(value_name = "SNAPSHOT")]
    pub name: String,
}

/// How to capture.
#[derive(Debug, Args)]
pub struct SnapshotArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    /// Capture this folder as it is, whatever it holds, instead of an instance
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["data_dir", "named_dir", "config_dir", "metadata_dir", "only", "skip"])]
    pub plain: Option<PathBuf>,
    /// Only these categories: database, config, metadata, subtitles, trickplay, attachments, plugins, other
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',', conflicts_with = "skip")]
    pub only: Vec<String>,
    /// All categories but these
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub skip: Vec<String>,
    /// Leave out what fits: a name such as *.bif, or a logical path such as metadata/People/**
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,
    /// A name for the snapshot, such as "before 12.0"
    #[arg(long)]
    pub label: Option<String>,
    /// A note to keep with it
    #[arg(long)]
    pub note: Option<String>,
    /// Mark it: no rule of forget drops it
    #[arg(long)]
    pub keep: bool,
    /// Make a new repository although one was here before
    #[arg(long)]
    pub init: bool,
    /// Say what would be read, store nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not enter directories on other file systems
    #[arg(long)]
    pub one_file_system: bool,
    /// Files that are gone since the last complete snapshot were deleted on purpose: do not report them
    #[arg(long)]
    pub accept_loss: bool,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The earlier snapshot [default: latest]
    #[arg(value_name = "SNAPSHOT")]
    pub before: Option<String>,
    /// The later snapshot [default: the source as it is now]
    #[arg(value_name = "SNAPSHOT")]
    pub after: Option<String>,
    /// Only these categories
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Only this path with all below it, or what fits a pattern: a name such as *.jpg, or a path such as metadata/**/poster.*
    #[arg(long, value_name = "PATH|GLOB")]
    pub path: Vec<String>,
    /// Only the counts, and what happened
    #[arg(long)]
    pub stat: bool,
    /// What changed in the database, too: who watched what, which films are new, what an upgrade did
    #[arg(long)]
    pub rows: bool,
    /// Every row of this table that differs (--rows is meant)
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub table: Vec<String>,
    /// Every row of this user's that differs
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Every row of items with this in their name, or with this id, that differs
    #[arg(long, value_name = "NAME|ID")]
    pub item: Vec<String>,
    /// Compare the rows of this database instead of Jellyfin's own, such as data/playback_reporting.db
    #[arg(long, value_name = "PATH")]
    pub database: Option<String>,
    /// What changed inside: lines of texts (secrets are left out), width and height of pictures
    #[arg(long, short = 'p')]
    pub patch: bool,
    /// Show passwords, tokens and what else is hidden otherwise: for your own eyes
    #[arg(long)]
    pub show_secrets: bool,
    /// The tree that a terminal shows, where the output is none
    #[arg(long, conflicts_with = "stat")]
    pub tree: bool,
    /// End as the program diff does: 0 nothing changed, 1 something changed, 2 trouble
    #[arg(long)]
    pub exit_code: bool,
    /// Compare with this folder
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with_all = ["after", "data_dir", "config_dir", "metadata_dir"])]
    pub plain: Option<PathBuf>,
    #[command(flatten)]
    pub source: LiveArgs,
}

/// What to find.
#[derive(Debug, Args)]
pub struct FindArgs {
    /// A title (or part of it), a path with all below it, or a pattern: a name such as *.jpg, or a path such as metadata/**/poster.*
    #[arg(value_name = "TITLE|PATH|GLOB")]
    pub patterns: Vec<String>,
    /// Only in this snapshot
    #[arg(long = "in", value_name = "SNAPSHOT")]
    pub within: Option<String>,
    /// Only files that hold the same bytes as this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub same_as: Option<PathBuf>,
}

/// What to mount, and where.
#[derive(Debug, Args)]
pub struct MountArgs {
    /// The snapshot, if only one is meant, and an empty directory
    #[arg(value_name = "[SNAPSHOT] DIR", num_args = 1..=2, required = true)]
    pub place: Vec<String>,
    /// Add a folder "titles" to each snapshot: films, people and playlists by name, with links to their folders
    #[arg(long)]
    pub titles: bool,
    /// Other users may look as well, as far as the files' modes let them
    #[arg(long)]
    pub allow_other: bool,
}

/// Whose history.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A path inside the snapshots, such as config/system.xml
    #[arg(value_name = "PATH", required_unless_present = "item")]
    pub path: Option<String>,
    /// One picture of what is called so in the newest snapshot: --item "Salt Bridge" poster
    #[arg(long, value_names = ["TITLE", "PICTURE"], num_args = 2, conflicts_with = "path")]
    pub item: Vec<String>,
}

/// The live source that something is compared with.
#[derive(Debug, Args, Default)]
pub struct LiveArgs {
    /// The instance's data directory; without it, that of the snapshot, or the one that is found
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub data_dir: Option<PathBuf>,
    /// Its configuration directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub config_dir: Option<PathBuf>,
    /// Its metadata directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "after")]
    pub metadata_dir: Option<PathBuf>,
    /// Follow links to whole folders of Jellyfin (what the snapshot followed is followed anyway)
    #[arg(long, conflicts_with = "after")]
    pub follow_roots: bool,
}

/// How to export.
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub snapshot: SnapArg,
    /// The zip [default: jellyfin-backup-TIME.zip in this directory]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "to_jellyfin")]
    pub file: Option<PathBuf>,
    /// Tables as the server writes them (the default)
    #[arg(long, conflicts_with = "exact")]
    pub tables: bool,
    /// The database page for page: for the dashboard only, of the same or a newer server, with no task running
    #[arg(long)]
    pub exact: bool,
    /// Only these, and always the configuration: database, metadata, subtitles, trickplay, attachments
    #[arg(long, value_name = "CATEGORY", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Put it where the dashboard of the instance on this machine lists it, if it fits that server
    #[arg(long)]
    pub to_jellyfin: bool,
    /// Tables for another version than the snapshot's: 10.11.10 or 10.11.11 from 10.11.0 to 10.11.9
    #[arg(long = "for", value_name = "VERSION", conflicts_with = "exact")]
    pub target: Option<String>,
    /// Replace a file that stands there
    #[arg(long)]
    pub force: bool,
    /// The server sees the same directories as when the snapshot was taken (a container with the same volumes)
    #[arg(long, requires = "to_jellyfin")]
    pub same_directories: bool,
    /// The instance's data directory; without it the instance is looked for
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "to_jellyfin")]
    pub data_dir: Option<PathBuf>,
    /// Its configuration directory, if it lies elsewhere
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "to_jellyfin")]
    pub config_dir: Option<PathBuf>,
}

/// How to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A zip, or a folder of them such as data/backups
    #[arg(required = true, value_name = "ZIP", value_hint = ValueHint::AnyPath)]
    pub zips: Vec<PathBuf>,
    /// A name for the snapshots
    #[arg(long)]
    pub label: Option<String>,
    /// A note to keep with them
    #[arg(long)]
    pub note: Option<String>,
    /// Make a new repository although one was here before
    #[arg(long)]
    pub init: bool,
    /// Import a zip though the repository has it already
    #[arg(long)]
    pub force: bool,
}
