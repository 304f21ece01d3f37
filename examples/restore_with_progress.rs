//! Restores the latest snapshot to a folder and tells how far it is.
//!
//!     cargo run --example restore_with_progress -- REPOSITORY FOLDER
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example is a program")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use jellyvault::{Destination, Monitor, Phase, Problem, Progress, RestoreOptions, Session};

#[derive(Default)]
struct Counter {
    files: AtomicU64,
    expected: AtomicU64,
}

impl Progress for Counter {
    fn phase(&self, phase: Phase, files: u64, bytes: u64) {
        self.expected.store(files, Ordering::Relaxed);
        eprintln!("{}: {files} files, {bytes} bytes", phase.word());
    }
    fn advance(&self, files: u64, _bytes: u64) {
        let done = self.files.fetch_add(files, Ordering::Relaxed) + files;
        if done.is_multiple_of(1000) {
            eprintln!("{done} of {}", self.expected.load(Ordering::Relaxed));
        }
    }
    fn problem(&self, problem: &Problem) {
        eprintln!("{}: {}", problem.path, problem.what);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(place), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: restore_with_progress REPOSITORY FOLDER".into());
    };
    let session = Session::open(&place)?;
    let snapshot = session.snapshot("latest")?;
    let monitor = Monitor::new(Counter::default());
    let report = session.restore(
        &snapshot,
        &Destination::Directory(folder),
        &RestoreOptions::default(),
        &monitor,
    )?;
    println!(
        "{} files written, {} right already, {} problems",
        report.files,
        report.unchanged,
        report.problems.len()
    );
    Ok(())
}
