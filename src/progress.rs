//! How does the engine speak to whoever watches? Through this one small trait; it never prints.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a command is doing, named for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Copying a database consistently.
    Database,
    /// Walking the source, reading what changed.
    Capture,
    /// Making what was stored durable.
    Commit,
    /// Writing files back.
    Restore,
    /// Comparing with what stands in the target.
    Compare,
    /// Writing a zip.
    Export,
    /// Making a database of a zip's tables.
    Build,
    /// Reading a zip.
    Import,
    /// Reading a zip back.
    ReadBack,
    /// Comparing two trees.
    Diff,
    /// Comparing the rows of two databases.
    Rows,
    /// Looking through snapshots.
    Find,
    /// Finding what snapshots need.
    Mark,
    /// Writing packs anew.
    Rewrite,
    /// Removing packs.
    Remove,
    /// Checking lists, manifests and the index.
    Check,
    /// Reading packs.
    Read,
    /// Mending.
    Mend,
    /// Copying packs to another folder.
    Copy,
    /// Copying snapshots into another repository.
    CopySnapshots,
    /// Changing paths of a snapshot.
    Move,
}

impl Phase {
    /// The word shown to the user.
    pub fn word(self) -> &'static str {
        match self {
            Phase::Database => "Copying the database",
            Phase::Capture => "Reading the source",
            Phase::Commit => "Writing to disk",
            Phase::Restore => "Restoring",
            Phase::Compare => "Finishing directories",
            Phase::Export => "Writing the zip",
            Phase::Build => "Building the database",
            Phase::Import => "Reading the zip",
            Phase::ReadBack => "Verifying the zip",
            Phase::Diff => "Comparing",
            Phase::Rows => "Comparing rows",
            Phase::Find => "Searching snapshots",
            Phase::Mark => "Finding data in use",
            Phase::Rewrite => "Repacking",
            Phase::Remove => "Deleting packs",
            Phase::Check => "Checking the structure",
            Phase::Read => "Reading packs",
            Phase::Mend => "Repairing",
            Phase::Copy => "Copying packs",
            Phase::CopySnapshots => "Copying snapshots",
            Phase::Move => "Changing paths",
        }
    }
}

/// Something that went wrong with one path while the rest went on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The logical path (bytes that are not UTF-8 shown as `\xNN`).
    pub path: String,
    /// What happened, and what became of the path.
    pub what: String,
}

/// What a prune is going to do, in numbers; bytes are stored ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSummary {
    /// Packs that are there.
    pub packs: u64,
    /// Packs that stay.
    pub kept: u64,
    /// Packs that are removed as they are.
    pub dropped: u64,
    /// Packs that are removed after what is needed of them was written to others.
    pub rewritten: u64,
    /// Bytes of all packs.
    pub bytes: u64,
    /// Bytes that nothing needs.
    pub unused: u64,
    /// Bytes that are freed.
    pub freed: u64,
    /// Bytes that are written to other packs.
    pub moved_bytes: u64,
    /// Bytes that nothing needs and that stay.
    pub unused_after: u64,
}

/// Receives counts, phases and problems from the engine; called from several threads.
pub trait Progress: Send + Sync {
    /// A new phase begins, with the number of files and bytes expected, 0 where unknown.
    fn phase(&self, phase: Phase, files: u64, bytes: u64);
    /// Files and bytes that were just dealt with.
    fn advance(&self, files: u64, bytes: u64);
    /// A problem, as soon as it is known.
    fn problem(&self, problem: &Problem);
    /// Other processes use the repository, and have been waited for so long; called now and then.
    fn waiting(&self, _waited: Duration) {}
    /// What a prune is going to do, before it does it.
    fn prune_plan(&self, _plan: &PlanSummary) {}
}

/// Who watches a verb, and may stop it. A clone watches and stops the same work.
#[derive(Clone)]
pub struct Monitor {
    /// Is told of everything.
    pub progress: Arc<dyn Progress>,
    /// Is looked at between files.
    pub interrupt: Interrupt,
}

impl Monitor {
    /// Tells `progress` of everything.
    pub fn new(progress: impl Progress + 'static) -> Monitor {
        Monitor { progress: Arc::new(progress), interrupt: Interrupt::default() }
    }
}

impl Default for Monitor {
    /// Nobody watches.
    fn default() -> Monitor {
        Monitor::new(Silent)
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("interrupt", &self.interrupt).finish_non_exhaustive()
    }
}

/// Watches nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn phase(&self, _: Phase, _: u64, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, _: &Problem) {}
}

/// Keeps all that it is told; for tests.
#[derive(Debug, Default)]
pub struct Collecting {
    /// Every problem, in the order told.
    pub problems: Mutex<Vec<Problem>>,
    /// Every phase, in the order told.
    pub phases: Mutex<Vec<Phase>>,
}

impl Progress for Collecting {
    fn phase(&self, phase: Phase, _: u64, _: u64) {
        if let Ok(mut phases) = self.phases.lock() {
            phases.push(phase);
        }
    }
    fn advance(&self, _: u64, _: u64) {}
    fn problem(&self, problem: &Problem) {
        if let Ok(mut problems) = self.problems.lock() {
            problems.push(problem.clone());
        }
    }
}

/// Set by Ctrl-C; long work looks at it between two files and stops cleanly.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    raised: Arc<AtomicBool>,
    /// Calls of which nobody knows when they return: of SQLite, or of the system, on files of
    /// somebody else's.
    out_of_hand: Arc<AtomicUsize>,
}

/// A call of which nobody knows when it returns is under way.
#[derive(Debug)]
pub struct OutOfHand(Arc<AtomicUsize>);

impl Drop for OutOfHand {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Interrupt {
    /// Marks such a call, until what it returns is dropped.
    pub fn out_of_hand(&self) -> OutOfHand {
        self.out_of_hand.fetch_add(1, Ordering::Relaxed);
        OutOfHand(self.out_of_hand.clone())
    }

    /// Whether one is under way.
    pub fn is_out_of_hand(&self) -> bool {
        self.out_of_hand.load(Ordering::Relaxed) > 0
    }

    /// Asks the work to stop.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Relaxed);
    }
    /// Whether the work was asked to stop.
    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}
