//! Copies of the repository on other disks: where they are, when they are brought up to date, and
//! what stays in them.

use std::path::PathBuf;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::manifest::{Count, Policy};

use super::config_error::ConfigError;
use super::notify::duration;
use super::one_or_many::OneOrMany;
use super::retention_config::RetentionConfig;
use super::schedule::Schedule;
use super::timing::Timing;

/// Copies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopyConfig {
    /// Directories of copies that `jellyvault sync` made.
    pub to: Option<OneOrMany>,
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
    /// How long a copy's disk may be away before that is an alarm.
    pub absent_after: Option<String>,
    /// As of retention, in the copies.
    pub keep_last: Option<Count>,
    /// As of retention, in the copies.
    pub keep_hourly: Option<Count>,
    /// As of retention, in the copies.
    pub keep_daily: Option<Count>,
    /// As of retention, in the copies.
    pub keep_weekly: Option<Count>,
    /// As of retention, in the copies.
    pub keep_monthly: Option<Count>,
    /// As of retention, in the copies.
    pub keep_yearly: Option<Count>,
    /// As of retention, in the copies.
    pub keep_within: Option<String>,
}

impl CopyConfig {
    /// When; at four where nothing is said, and never where there are no copies.
    ///
    /// # Errors
    /// A time that is none.
    pub fn schedule(&self) -> Result<Schedule, ConfigError> {
        let CopyConfig { every, at, days, cron, enabled, .. } = self;
        let schedule = Timing { section: "copy", every, at, days, cron, enabled }
            .schedule(|| Schedule::at(&["04:00".to_owned()], &[]))?;
        Ok(if self.places().is_empty() { Schedule::Never } else { schedule })
    }

    /// Where the copies are.
    pub fn places(&self) -> Vec<PathBuf> {
        self.to.iter().flat_map(OneOrMany::all).map(PathBuf::from).collect()
    }

    /// Which snapshots stay in the copies; all where nothing is said.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn policy(&self) -> Result<Option<Policy>, ConfigError> {
        let rules = RetentionConfig {
            keep_last: self.keep_last,
            keep_hourly: self.keep_hourly,
            keep_daily: self.keep_daily,
            keep_weekly: self.keep_weekly,
            keep_monthly: self.keep_monthly,
            keep_yearly: self.keep_yearly,
            keep_within: self.keep_within.clone(),
            ..RetentionConfig::default()
        };
        let is_said = rules.says_something();
        rules.policy_of("copy").map(|policy| is_said.then_some(policy))
    }

    /// How long the disk of a copy may be away; a day where nothing is said.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn absent_after(&self) -> Result<SignedDuration, ConfigError> {
        duration("absent_after", self.absent_after.as_deref())
            .map_err(|what| ConfigError::Value { section: "copy", what })
    }

    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first that does not.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.schedule()?;
        self.policy()?;
        self.absent_after()?;
        match self.places().iter().find(|place| !place.is_absolute()) {
            Some(place) => Err(ConfigError::Value {
                section: "copy",
                what: format!(
                    "to: {:?} must be the absolute path of a directory, which begins with /",
                    place.display().to_string()
                ),
            }),
            None => Ok(()),
        }
    }
}
