//! Progress for programs: lines of JSON on standard error, no more than two a second.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::progress::Phase;

/// Lines come no oftener.
const EVERY: Duration = Duration::from_millis(500);

/// How far the work is.
#[derive(Default)]
pub struct ProgressLines {
    files: AtomicU64,
    bytes: AtomicU64,
    now: Mutex<Option<Now>>,
}

struct Now {
    phase: &'static str,
    expected: (u64, u64),
    told: Instant,
}

impl ProgressLines {
    pub fn phase(&self, phase: Phase, files: u64, bytes: u64) {
        self.files.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        let now = Now { phase: phase.word(), expected: (files, bytes), told: Instant::now() };
        self.tell(&now);
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    pub fn advance(&self, files: u64, bytes: u64) {
        self.files.fetch_add(files, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        // Who finds another telling goes on: the next one tells.
        let Ok(mut now) = self.now.try_lock() else { return };
        if let Some(now) = now.as_mut().filter(|now| now.told.elapsed() >= EVERY) {
            now.told = Instant::now();
            self.tell(now);
        }
    }

    fn tell(&self, now: &Now) {
        let of = |done: &AtomicU64, expected: u64| json!({"done": done.load(Ordering::Relaxed), "expected": expected});
        let (files, bytes) = (of(&self.files, now.expected.0), of(&self.bytes, now.expected.1));
        let line = json!({"progress": {"phase": now.phase, "files": files, "bytes": bytes}});
        // Where standard error is closed nobody can be told of it.
        crate::tolerate(writeln!(std::io::stderr(), "{line}"));
    }
}
