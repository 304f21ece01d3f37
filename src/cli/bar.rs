//! The progress bar of a terminal: phase, files, bytes, rate, time left.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::{Phase, Problem};

use super::clean::in_a_line;

/// Draws on standard error.
pub struct Bar {
    bar: ProgressBar,
    files: AtomicU64,
    /// Files that are not shown yet: drawing costs more than counting.
    unshown: AtomicU64,
    bytes: AtomicU64,
}

const KNOWN: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";
const UNKNOWN: &str = "{spinner} {msg} {bytes} {bytes_per_sec} {elapsed}";

/// The bar that is on the terminal: it must be gone before the answer comes.
static SHOWN: OnceLock<ProgressBar> = OnceLock::new();

/// Takes the bar off the terminal; the next phase brings it back.
pub fn clear() {
    if let Some(bar) = SHOWN.get() {
        bar.finish_and_clear();
    }
}

impl Bar {
    pub fn new() -> Bar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
        let bar = SHOWN.get_or_init(|| bar).clone();
        Bar { bar, files: AtomicU64::new(0), unshown: AtomicU64::new(0), bytes: AtomicU64::new(0) }
    }

    pub fn phase(&self, phase: Phase, _files: u64, bytes: u64) {
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.bar.reset();
        if bytes > 0 {
            self.bar.set_length(bytes);
        } else {
            self.bar.unset_length();
        }
        self.bar.set_message(phase.word());
        if let Ok(style) = ProgressStyle::with_template(if bytes > 0 { KNOWN } else { UNKNOWN }) {
            self.bar.set_style(style);
        }
        self.bar.tick();
    }

    pub fn advance(&self, files: u64, bytes: u64) {
        let files = self.files.fetch_add(files, Ordering::Relaxed) + files;
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.unshown.fetch_add(1, Ordering::Relaxed).is_multiple_of(16) {
            self.bar.set_position(bytes);
            let word = self.bar.message();
            let phase = word.split_once(':').map_or(word.as_str(), |(phase, _)| phase);
            self.bar
                .set_message(format!("{phase}: {}", super::render::plural(files, "file", "files")));
        }
    }

    pub fn problem(&self, problem: &Problem) {
        self.bar.println(format!(
            "Problem: {}: {}",
            in_a_line(&problem.path),
            in_a_line(&problem.what)
        ));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
