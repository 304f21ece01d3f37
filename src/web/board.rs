//! What the scheduler tells the page, and what the page asks of the scheduler.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use tokio::sync::watch;

use crate::progress::{Phase, PlanSummary, Problem, Progress};
use crate::service::{Facts, Job, JobLog, Standing};

/// What the page asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// To do these jobs now.
    Run(Vec<Job>),
    /// To look how things stand: somebody changed something.
    Look,
}

/// A job that is being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Working {
    /// Which.
    pub job: Job,
    /// Since when.
    pub began: Timestamp,
    /// How far it is.
    pub far: Far,
}

/// How far work is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Far {
    /// What it is doing.
    pub phase: String,
    /// Files: done, expected (0 where unknown).
    pub files: (u64, u64),
    /// Bytes: done, expected (0 where unknown).
    pub bytes: (u64, u64),
}

/// How things stand, as the scheduler saw it last.
#[derive(Clone, Default)]
pub struct Shown {
    /// In words; nothing before the first look.
    pub standing: Option<Standing>,
    /// What the words are made of.
    pub facts: Facts,
    /// When each job is done next.
    pub next: Vec<(Job, Zoned)>,
    /// What became of the jobs.
    pub log: JobLog,
    /// Jobs that were asked for and wait: another process does the jobs of the repository.
    pub waiting: Vec<Job>,
    working: Option<(Job, Timestamp, &'static str, (u64, u64))>,
}

/// Where it hangs for all to see.
pub struct Board {
    shown: Mutex<Shown>,
    files: AtomicU64,
    bytes: AtomicU64,
    turns: watch::Sender<u64>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            shown: Mutex::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            turns: watch::Sender::new(0),
        }
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.lock());
        self.turn();
    }

    /// Tells those who watch that something is another.
    pub fn turn(&self) {
        self.turns.send_modify(|turn| *turn = turn.wrapping_add(1));
    }

    /// Hears of each change from now on.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// How things stand.
    pub fn shown(&self) -> Shown {
        let mut shown = self.lock().clone();
        // How long ago something was changes by itself.
        shown.standing = shown.standing.map(|_| Standing::of(&shown.facts, Timestamp::now()));
        shown
    }

    /// Says how things stand.
    pub fn show(&self, standing: Standing, facts: Facts, log: JobLog, next: Vec<(Job, Zoned)>) {
        self.change(|shown| {
            (shown.standing, shown.facts, shown.log, shown.next) =
                (Some(standing), facts, log, next);
        });
    }

    /// A job begins.
    pub fn begin(&self, job: Job) {
        self.change(|shown| {
            shown.waiting.retain(|waiting| *waiting != job);
            shown.working = Some((job, Timestamp::now(), "Starting", (0, 0)));
        });
    }

    /// Which jobs wait for another process.
    pub fn wait(&self, waiting: &[Job]) {
        if self.lock().waiting != waiting {
            self.change(|shown| shown.waiting = waiting.to_vec());
        }
    }

    /// A job was asked for: it is shown until it begins.
    pub fn ask(&self, job: Job) {
        self.change(|shown| {
            if !shown.waiting.contains(&job) {
                shown.waiting.push(job);
            }
        });
    }

    /// No job is being done any more.
    pub fn end(&self) {
        self.change(|shown| shown.working = None);
    }

    fn phase(&self, phase: Phase, expected: (u64, u64)) {
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.change(|shown| {
            if let Some(working) = &mut shown.working {
                (working.2, working.3) = (phase.word(), expected);
            }
        });
    }

    /// The job that is being done.
    pub fn working(&self) -> Option<Working> {
        let (job, began, phase, expected) = self.lock().working?;
        let (files, bytes) =
            (self.files.load(Ordering::Relaxed), self.bytes.load(Ordering::Relaxed));
        Some(Working {
            job,
            began,
            far: Far {
                phase: phase.to_owned(),
                files: (files, expected.0),
                bytes: (bytes, expected.1),
            },
        })
    }
}

/// Tells the board what it hears, and another who watches.
pub struct Watched {
    board: Arc<Board>,
    other: Arc<dyn Progress>,
}

impl Watched {
    /// With both.
    pub fn new(board: Arc<Board>, other: Arc<dyn Progress>) -> Watched {
        Watched { board, other }
    }
}

impl Progress for Watched {
    fn phase(&self, phase: Phase, files: u64, bytes: u64) {
        self.board.phase(phase, (files, bytes));
        self.other.phase(phase, files, bytes);
    }

    fn advance(&self, files: u64, bytes: u64) {
        self.board.files.fetch_add(files, Ordering::Relaxed);
        self.board.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.other.advance(files, bytes);
    }

    fn problem(&self, problem: &Problem) {
        self.other.problem(problem);
    }

    fn waiting(&self, waited: Duration) {
        self.other.waiting(waited);
    }

    // The job's result says what it freed: its plan would stand in the log for nothing.
    fn prune_plan(&self, _plan: &PlanSummary) {}
}
