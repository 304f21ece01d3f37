//! What is seen of the work while it goes on: a bar on a terminal, and lines on standard error.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::progress::{Phase, PlanSummary, Problem, Progress};

use super::bar::{self, Bar};
use super::clean::cleaned;
use super::plan_words::plan_words;
use super::progress_lines::ProgressLines;

/// A line on standard error.
pub fn say(line: &str) {
    bar::clear();
    // Where standard error is closed nobody can be told of it.
    crate::tolerate(writeln!(std::io::stderr(), "{}", cleaned(line)));
}

/// Tells a person of the work.
pub struct Teller {
    /// On a terminal.
    pub bar: Option<Bar>,
    /// For a program.
    lines: Option<ProgressLines>,
    /// Neither `--quiet` nor `--json`.
    pub says: bool,
    has_told_of_waiting: AtomicBool,
}

impl Teller {
    pub fn new(bar: Option<Bar>, lines: Option<ProgressLines>, says: bool) -> Teller {
        Teller { bar, lines, says, has_told_of_waiting: AtomicBool::new(false) }
    }
}

impl Progress for Teller {
    fn phase(&self, phase: Phase, files: u64, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.phase(phase, files, bytes);
        }
        if let Some(lines) = &self.lines {
            lines.phase(phase, files, bytes);
        }
    }

    fn advance(&self, files: u64, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.advance(files, bytes);
        }
        if let Some(lines) = &self.lines {
            lines.advance(files, bytes);
        }
    }

    fn problem(&self, problem: &Problem) {
        if let Some(bar) = &self.bar {
            bar.problem(problem);
        }
    }

    fn waiting(&self, _waited: Duration) {
        if self.says && !self.has_told_of_waiting.swap(true, Ordering::Relaxed) {
            say(
                "Waiting for other jellyvault processes to end (snapshot, restore, mount) before deleting files.",
            );
        }
    }

    fn prune_plan(&self, plan: &PlanSummary) {
        if self.says {
            say(plan_words(plan).trim_end());
        }
    }
}
