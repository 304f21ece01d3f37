//! What can be done with a repository? One file (or folder) a verb, each reading as its story.

mod addresses;
mod adopt;
mod cat;
mod check;
mod clean;
mod compare_files;
mod content;
#[cfg(feature = "web")]
mod content_key;
mod copy;
mod databases;
mod diff;
pub mod documents;
mod drill;
mod error_kind;
mod export;
mod file_ranges;
mod find;
mod find_instance;
mod forget;
mod happened;
#[cfg(feature = "service")]
mod happened_words;
mod import;
mod ingest;
mod init;
#[cfg(feature = "service")]
mod keep_pictures;
mod kept_tables;
mod last_of_version;
mod learn_schema;
mod losses;
mod ls;
mod mask;
mod moment;
#[cfg(feature = "mount")]
mod mount;
mod move_notes;
mod nearby;
mod odd_places;
mod processes;
mod prune;
mod reach;
mod recipes;
mod relocate;
mod repair;
mod restore;
mod rows;
mod same_names;
mod saved_list;
mod secrets;
mod select;
mod servers;
mod session;
mod session_verbs;
mod settings;
mod show;
mod snapshot;
mod stats;
mod sync;
mod taken;
mod unknown;
mod wanted_paths;
mod watch_state;

pub use crate::progress::Monitor;
pub use crate::store::SharedAccess;
pub use addresses::without_secrets_in_addresses;
pub use cat::cat;
pub use check::{CheckOptions, CheckReport, Damage, Finding, ReadReport, Share, check, scrub};
pub use clean::clean_name;
pub use compare_files::Contents;
pub use content::{list_pieces, write_content};
#[cfg(feature = "web")]
pub use content_key::ContentKey;
pub use copy::{CopyOptions, CopyReport, copy};
pub use databases::DatabaseCost;
pub use diff::{Change, ChangeKind, Diff, DiffOptions, Look, Totals, Tree, diff, look};
pub use drill::{DrillOptions, DrillReport, drill};
pub use error_kind::ErrorKind;
pub use export::{
    ExportKind, ExportOptions, ExportReport, JellyfinTarget, Place, PrivateFile, database_of,
    export, export_into, place_in,
};
pub use find::{
    Found, Match, Version, Wanted, contents_of_file, find, history, same_content, snapshot_at,
};
pub use find_instance::{
    OsSurroundings, directories_of, find_instance, place_that_is_there, places_of, server_id_of,
    server_version,
};
pub use forget::{Forget, Forgetting, forget, keep, kept_by_rules, plan_forget, source_name};
pub use happened::{Happened, NewsLine, SettingLine, changed_pictures, changed_settings, happened};
#[cfg(feature = "service")]
pub use happened_words::files_in_short;
pub use import::{ImportOptions, ImportReport, build_known, import, import_open};
pub use init::init;
#[cfg(feature = "service")]
pub(crate) use keep_pictures::keep_pictures;
pub use kept_tables::count_kept_tables;
pub use last_of_version::last_of_version;
pub use learn_schema::{Learnt as LearntSchema, copy_of_live, learn_schema, zip_of_history};
pub use losses::{Loss, losses};
pub use ls::{Listing, ls};
pub use mask::lines_without_secrets;
#[cfg(feature = "mount")]
pub use mount::{Moment, MountOptions, MountReport, MountedSnapshot, mount};
pub use processes::runs_on;
#[cfg(feature = "cli")]
pub(crate) use prune::{AlreadyMarked, prune_marked};
pub use prune::{MaxUnused, PlanSummary, PruneOptions, PruneReport, prune};
pub use reach::{IdSet, Reached};
pub use recipes::Recipes;
pub use relocate::{
    MoveOptions, MovePlan, MoveReport, MovedSnapshot, Named as MovedNames, UndoOptions,
    forget_moved, incomplete, left_behind, move_in_place, moved_snapshot,
};
pub use relocate::{
    is_windows, nothing_to_move, objection, of_this_machine, places_of_instance, places_of_layout,
    plan_move, undo_move,
};
pub use repair::{LostPath, Mended, RepairOptions, RepairReport, repair};
#[cfg(feature = "service")]
pub(crate) use restore::check_server;
pub use restore::{
    Destination, InstanceTarget, Moved, Owners, RestoreOptions, RestoreReport, Selection, restore,
};
pub use rows::all_titled;
pub use rows::{
    Id, NAMES_KEPT_MAX, Namer, News, PictureFile, RowsOptions, RowsReport, Section, State, Titled,
    ToldRow, UPGRADE_SETTINGS, Which, called_so, diff_rows, image_word_of_file, item_in,
    main_database, open_state, read_id, titles,
};
pub use saved_list::{ListEntry, ListKind, ListNow, SavedList, list_now, saved_list};
pub use secrets::{HIDDEN, is_harmless, is_plain, is_secret};
pub use select::{Selected, root_of};
pub use servers::{KnownServer, named_servers, servers};
pub use session::{FileReader, Listed, Session, Snapshot, SnapshotEntry};
pub use settings::{Setting, differing_settings};
pub use show::{Shown, show};
pub use snapshot::{Server, SnapshotOptions, SnapshotReport, SourceSpec, Survey, snapshot, survey};
pub use stats::{CategoryStats, Growth, Stats, stats};
pub use sync::{SyncOptions, SyncReport, sync};
pub use unknown::Unknown;
pub use wanted_paths::WantedPaths;
pub use watch_state::{
    ItemChange, ItemState, PlannedState, WatchStateOptions, WatchStatePlan, WatchStateReport,
    plan_watch_state, restore_watch_state, users_of,
};
#[cfg(feature = "service")]
pub(crate) use watch_state::{is_running, take_safety_snapshot};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A manifest or record.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::Error),
    /// A snapshot's name.
    #[error(transparent)]
    Name(#[from] crate::manifest::NameError),
    /// The instance.
    #[error(transparent)]
    Find(#[from] crate::source::FindError),
    /// The rows of a database.
    #[error("the rows of the database cannot be compared")]
    Rows(#[from] crate::database::Error),
    /// A table that is not there.
    #[error("the database has no table {table}")]
    NoTable {
        /// The table.
        table: String,
        /// Those that are there.
        tables: String,
    },
    /// A user who is not there.
    #[error("there is no user {user:?}")]
    NoUser {
        /// The name.
        user: String,
        /// Those that are there.
        users: String,
    },
    /// Other processes used the repository all the time that was allowed for waiting.
    #[error("other jellyvault processes still used the repository after {} s, so nothing was deleted", waited.as_secs())]
    StillInUse {
        /// How long they were waited for.
        waited: std::time::Duration,
    },
    /// A mount failed or ended badly.
    #[error("cannot mount on {path}")]
    Mount {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Watch state cannot be written.
    #[error("the watch state could not be written to {path}; the database was not changed")]
    WatchState {
        /// The database.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
    /// The source cannot be opened.
    #[error("cannot open the source {path}")]
    Source {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing to capture.
    #[error("the source {path} is empty")]
    EmptySource {
        /// What was looked at.
        path: String,
    },
    /// A glob of `--exclude`.
    #[error("{glob:?} is not a valid pattern")]
    Glob {
        /// The glob.
        glob: String,
        /// Why.
        #[source]
        source: globset::Error,
    },
    /// A snapshot lacks a path.
    #[error("snapshot {snapshot} has no {path}")]
    NoPath {
        /// The snapshot, shortened.
        snapshot: String,
        /// The path.
        path: String,
    },
    /// No snapshot has a path.
    #[error("no snapshot contains {path}")]
    InNoSnapshot {
        /// The path.
        path: String,
    },
    /// Neither side of a comparison has a path.
    #[error("neither side of the comparison contains {path}")]
    OnNeitherSide {
        /// The path.
        path: String,
    },
    /// A path is not what the verb needs.
    #[error("{path} is a {kind}, not a file")]
    NotAFile {
        /// The path.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Part of a snapshot cannot be read.
    #[error("cannot read {path} of snapshot {snapshot}")]
    Unreadable {
        /// The snapshot, shortened.
        snapshot: String,
        /// The path.
        path: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// A restore would do harm.
    #[error("{what}")]
    Refused {
        /// What would happen.
        what: String,
        /// What to do instead.
        hint: String,
    },
    /// A change of a live server that stopped before it was done.
    #[error("{what}")]
    HalfDone {
        /// What is where now.
        what: String,
        /// Why it stopped.
        #[source]
        source: Box<Error>,
    },
    /// A file of the target.
    #[error("cannot {verb} {path}")]
    Target {
        /// The verb, as a word for the user.
        verb: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The rows of a database cannot be put right.
    #[error("the database's rows cannot be checked")]
    Mend(#[source] crate::archive::MendError),
    /// A zip that cannot be read, or is made to do harm.
    #[error("{path} was not imported")]
    Zip {
        /// The zip.
        path: std::path::PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<crate::archive::ZipError>,
    },
    /// A zip that is no backup of Jellyfin's.
    #[error("{path} is not a valid Jellyfin backup: {what}")]
    NotABackup {
        /// The zip.
        path: std::path::PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A zip's tables cannot become a database.
    #[error("{path} was not imported: no database can be built from its tables")]
    Load {
        /// The zip.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: crate::archive::LoadError,
    },
    /// A value was found that the server could not read, after all were mended.
    #[error(
        "{table}.{column} {what}, although the rows were fixed. This is a bug in jellyvault: please report it"
    )]
    Unmended {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A zip is not what was written.
    #[error("{path} was written, but verification failed: {what}")]
    ReadBack {
        /// The zip.
        path: std::path::PathBuf,
        /// What is wrong.
        what: String,
    },
    /// What is read goes nowhere.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
    /// The machine gives no threads or randomness.
    #[error("the operating system did not provide {what}")]
    System {
        /// What it does not give.
        what: &'static str,
    },
}

impl Error {
    /// The file of the repository whose reading failed or was refused, if that is what went wrong:
    /// it says nothing of the bytes.
    pub fn unread_file(&self) -> Option<&str> {
        match self {
            Error::Store(error) | Error::Manifest(crate::manifest::Error::Store(error)) => {
                error.unread_file()
            }
            Error::Unreadable { source, .. } => source.unread_file(),
            _ => None,
        }
    }
}

/// An error with its causes in one line.
pub(crate) fn in_one_line(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
