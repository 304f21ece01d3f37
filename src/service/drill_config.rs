//! When it is tried whether a restore works, and how much is restored.

use serde::{Deserialize, Serialize};

use super::config_error::ConfigError;
use super::one_or_many::OneOrMany;
use super::schedule::Schedule;
use super::timing::Timing;

/// Files that are restored where nothing is said.
const FILES: usize = 50;

/// Restore drills.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrillConfig {
    /// As of snapshots.
    pub every: Option<String>,
    /// As of snapshots.
    pub at: Option<OneOrMany>,
    /// As of snapshots.
    pub days: Option<OneOrMany>,
    /// As of snapshots.
    pub cron: Option<String>,
    /// As of snapshots.
    pub enabled: Option<bool>,
    /// Files that are restored, chosen at random.
    pub files: Option<usize>,
}

impl DrillConfig {
    /// When; on Sundays where nothing is said.
    ///
    /// # Errors
    /// A time that is none.
    pub fn schedule(&self) -> Result<Schedule, ConfigError> {
        let DrillConfig { every, at, days, cron, enabled, .. } = self;
        Timing { section: "drill", every, at, days, cron, enabled }
            .schedule(|| Schedule::at(&["05:30".to_owned()], &["sun".to_owned()]))
    }

    /// How many files.
    pub fn files(&self) -> usize {
        self.files.unwrap_or(FILES)
    }
}
