//! What became of the jobs: a small file in the repository that one run leaves for the next. Where
//! it is lost, all counts as not done.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backend::{CacheFile, open_to_read};

use super::due::Past;
use super::job::Job;

/// Longer is none of ours.
const BYTES_MAX: u64 = 16 << 20;

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When it began.
    pub began: Timestamp,
    /// Whether it went well.
    pub is_ok: bool,
    /// What happened, in a line.
    pub words: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What it found is damage, not that it could not look.
    #[serde(default)]
    pub is_damage: bool,
}

/// Much that was gone at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuddenLoss {
    /// When it was seen.
    pub seen: Timestamp,
    /// The id of the snapshot before, which is protected.
    pub before: String,
    /// What is gone.
    pub words: String,
}

/// The log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobLog {
    /// The newest run of each job that went well.
    pub done: BTreeMap<Job, Outcome>,
    /// The newest that did not.
    pub failed: BTreeMap<Job, Outcome>,
    /// When each copy of the repository was last brought up to date, by its directory.
    pub copies: BTreeMap<String, Timestamp>,
    /// Much that was gone from one snapshot to the next, until somebody has looked at it.
    pub loss: Option<SuddenLoss>,
}

impl JobLog {
    /// Reads what earlier runs left.
    pub fn read(path: &Path) -> JobLog {
        read_json(path)
    }

    /// Leaves it for the next run, all of it or none.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        write_json(path, self)
    }

    /// Notes a run.
    pub fn note(&mut self, job: Job, outcome: Outcome) {
        let log = if outcome.is_ok { &mut self.done } else { &mut self.failed };
        log.insert(job, outcome);
    }

    /// What the schedule needs to know of a job.
    pub fn past(&self, job: Job) -> Past {
        Past {
            done: self.done.get(&job).map(|outcome| outcome.began),
            failed: self.failed.get(&job).map(|outcome| outcome.began),
        }
    }

    /// The failure of a job that was not done since.
    pub fn open_failure(&self, job: Job) -> Option<&Outcome> {
        let done = self.done.get(&job).map(|outcome| outcome.began);
        self.failed.get(&job).filter(|failed| done.is_none_or(|done| done < failed.began))
    }
}

/// What a small file of ours holds; nothing where it is not there, or damaged.
pub fn read_json<T: Default + serde::de::DeserializeOwned>(path: &Path) -> T {
    let mut bytes = Vec::new();
    let read = open_to_read(path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut bytes));
    read.ok().and_then(|_| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Writes a file, all of it or none.
pub fn write_json(path: &Path, what: &impl Serialize) -> std::io::Result<()> {
    let mut file = CacheFile::begin(path)?;
    file.append(&serde_json::to_vec_pretty(what)?)?;
    file.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_comes_back_and_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jobs.json");
        assert_eq!(JobLog::read(&path), JobLog::default());
        let began = Timestamp::from_second(1_790_000_000).unwrap();
        let outcome =
            |is_ok| Outcome { began, is_ok, words: "x".to_owned(), took_ms: 5, is_damage: false };
        let mut log = JobLog::default();
        log.note(Job::Check, outcome(false));
        log.note(Job::Retention, outcome(true));
        log.write(&path).unwrap();
        let back = JobLog::read(&path);
        assert_eq!(back, log);
        assert_eq!(
            (back.past(Job::Check).failed, back.past(Job::Retention).done),
            (Some(began), Some(began))
        );
        assert!(
            back.open_failure(Job::Check).is_some() && back.open_failure(Job::Retention).is_none()
        );
        log.done.insert(
            Job::Check,
            Outcome {
                began: began.checked_add(jiff::SignedDuration::from_secs(1)).unwrap(),
                ..outcome(true)
            },
        );
        assert!(log.open_failure(Job::Check).is_none());
        let mut file = CacheFile::begin(&path).unwrap();
        file.append(b"{\"done\": 7").unwrap();
        file.finish().unwrap();
        assert_eq!(JobLog::read(&path), JobLog::default());
    }
}
