//! Commands that were started from the page, remembered over a restart of the service.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::service::{read_json, write_json};

use super::run::{Outcome, Run};

/// Bytes of a command's output that are remembered: its end, where errors are.
const WORDS_BYTES_MAX: usize = 8 << 10;
const CUT: &str = "[The beginning of the output was not kept over the restart.]\n";
const LOST: &str = "The service ended while this was running, so the result is not known. Check what it was for, then run it again if you need to.\n";

/// The file.
pub struct RunLog(pub PathBuf);

impl RunLog {
    /// What was remembered, the oldest first; nothing where the file is missing or damaged. What
    /// was running has ended with the service.
    pub fn read(&self) -> VecDeque<Run> {
        let mut runs: VecDeque<Run> = read_json(&self.0);
        for run in runs.iter_mut().filter(|run| run.outcome.is_none()) {
            run.outcome = Some(Outcome { code: 1, words: LOST.to_owned(), ended: run.began });
        }
        runs
    }

    /// Remembers them. Where that fails, the list is shorter after a restart, and nothing else.
    pub fn write(&self, runs: &VecDeque<Run>) {
        let mut runs = runs.clone();
        for outcome in runs.iter_mut().filter_map(|run| run.outcome.as_mut()) {
            let words = &outcome.words;
            if words.len() > WORDS_BYTES_MAX {
                let kept = words.ceil_char_boundary(words.len() - WORDS_BYTES_MAX);
                outcome.words = [CUT, words.get(kept..).unwrap_or_default()].concat();
            }
        }
        crate::tolerate(write_json(&self.0, &runs));
    }
}
