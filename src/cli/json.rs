//! The same facts for programs: one document on standard output.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

/// Whether an answer could not be written.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a document. A reader who went away takes nothing from the outcome, which the exit code
/// tells.
pub fn print(document: &impl Serialize) {
    // As a value, whose keys are sorted.
    let document = match serde_json::to_value(document) {
        Ok(document) => document,
        Err(_) => return IS_LOST.store(true, Ordering::Relaxed),
    };
    match writeln!(std::io::stdout().lock(), "{document}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            IS_LOST.store(true, Ordering::Relaxed)
        }
        _ => {}
    }
}

/// Whether an answer could not be written: a full disk behind a redirection.
pub fn is_lost() -> bool {
    IS_LOST.load(Ordering::Relaxed)
}
