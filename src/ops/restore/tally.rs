//! What the writers of one restore count together.

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use crate::manifest::display;
use crate::progress::{Monitor, Problem};

use super::links::Links;
use super::{RestoreReport, obstacle};

/// Counters that all writers share.
#[derive(Default)]
pub(super) struct Tally {
    pub files: AtomicU64,
    pub bytes: AtomicU64,
    pub unchanged: AtomicU64,
    pub metadata: AtomicU64,
    pub problems: Mutex<Vec<Problem>>,
    /// Folders into which pictures were written.
    pub pictured: Mutex<HashSet<u64>>,
}

impl Tally {
    pub(super) fn problem(&self, monitor: &Monitor, path: &[u8], what: String) {
        let problem = Problem { path: display(path), what };
        monitor.progress.problem(&problem);
        if let Ok(mut problems) = self.problems.lock() {
            problems.push(problem);
        }
    }

    /// Puts everything into the report.
    pub(super) fn finish(self, links: &Links, report: &mut RestoreReport) {
        report.files = self.files.into_inner();
        report.bytes = self.bytes.into_inner();
        report.unchanged = self.unchanged.into_inner();
        report.metadata = self.metadata.into_inner();
        let mut problems = self.problems.into_inner().unwrap_or_default();
        problems.extend(links.problems());
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        report.problems = obstacle::gathered(problems);
    }
}
