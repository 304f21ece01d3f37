//! Jellyvault: snapshots of Jellyfin servers that cost only what changed.

//!
//! Everything is done through a [`Session`]: an open repository. What it is asked to do is plain
//! data (`…Options`), what came of it too (`…Report`), and a [`Monitor`] hears of it meanwhile and
//! may stop it. `examples/` has four small programs.
//!
//! What is named here stays; the modules behind it are for the command line, the tests and the
//! benches, and change with them.

#[doc(hidden)]
pub mod archive;
#[doc(hidden)]
pub mod backend;
#[doc(hidden)]
pub mod chunk;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod database;
#[cfg(feature = "service")]
pub(crate) mod figures;
#[doc(hidden)]
pub mod limits;
#[doc(hidden)]
pub mod manifest;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod progress;
#[cfg(feature = "service")]
#[doc(hidden)]
pub mod server;
#[cfg(feature = "service")]
#[doc(hidden)]
pub mod service;
#[doc(hidden)]
pub mod source;
#[doc(hidden)]
pub mod store;

#[cfg(feature = "web")]
#[doc(hidden)]
pub mod web;

pub use manifest::{Catalog, Entry, Kind, Policy, SnapshotId, SnapshotRecord};
pub use ops::{
    Change, ChangeKind, CheckOptions, CheckReport, Destination, Diff, DiffOptions, Error,
    ErrorKind, ExportOptions, ExportReport, FileReader, Forget, Forgetting, ImportOptions,
    ImportReport, Listed, PruneOptions, PruneReport, RepairOptions, RepairReport, RestoreOptions,
    RestoreReport, Session, Snapshot, SnapshotEntry, SnapshotOptions, SnapshotReport, SourceSpec,
    Stats, find_instance,
};
pub use progress::{Interrupt, Monitor, Phase, PlanSummary, Problem, Progress};
pub use source::Category;

/// Lets go of an outcome that changes nothing for anyone; the comment above each call says why.
/// `--log debug` says where it was a failure.
#[track_caller]
fn tolerate<T, E>(outcome: Result<T, E>) {
    if outcome.is_err() {
        tracing::debug!(at = %std::panic::Location::caller(), "a failure was passed over: it changes nothing");
    }
}
