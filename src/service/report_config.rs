//! When a report is sent.

use serde::{Deserialize, Serialize};

use super::config_error::ConfigError;
use super::one_or_many::OneOrMany;
use super::schedule::Schedule;
use super::timing::Timing;

/// Reports.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
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
}

impl ReportConfig {
    /// When; on Monday mornings where nothing is said.
    ///
    /// # Errors
    /// A time that is none.
    pub fn schedule(&self) -> Result<Schedule, ConfigError> {
        let ReportConfig { every, at, days, cron, enabled } = self;
        Timing { section: "report", every, at, days, cron, enabled }
            .schedule(|| Schedule::at(&["09:00".to_owned()], &["mon".to_owned()]))
    }
}
