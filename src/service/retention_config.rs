//! When old snapshots go, and which.

use serde::{Deserialize, Serialize};

use crate::manifest::{Count, Policy};

use super::config_error::ConfigError;
use super::one_or_many::OneOrMany;
use super::schedule::Schedule;
use super::timing::Timing;

/// Forgetting and pruning.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
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
    /// The last N.
    pub keep_last: Option<Count>,
    /// One for each of the last N hours that have one.
    pub keep_hourly: Option<Count>,
    /// The same of days.
    pub keep_daily: Option<Count>,
    /// The same of weeks.
    pub keep_weekly: Option<Count>,
    /// The same of months.
    pub keep_monthly: Option<Count>,
    /// The same of years.
    pub keep_yearly: Option<Count>,
    /// All that are younger.
    pub keep_within: Option<String>,
    /// Labels that are kept.
    pub keep_label: Vec<String>,
}

impl RetentionConfig {
    /// When; at half past four where nothing is said.
    ///
    /// # Errors
    /// A time that is none.
    pub fn schedule(&self) -> Result<Schedule, ConfigError> {
        let RetentionConfig { every, at, days, cron, enabled, .. } = self;
        Timing { section: "retention", every, at, days, cron, enabled }
            .schedule(|| Schedule::at(&["04:30".to_owned()], &[]))
    }

    /// Which snapshots stay; where nothing is said all of a day, and one for each of 48 hours, 30
    /// days, 12 weeks and 24 months.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        self.policy_of("retention")
    }

    /// Whether any rule is given.
    pub(super) fn says_something(&self) -> bool {
        let counts = [
            self.keep_last,
            self.keep_hourly,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
            self.keep_yearly,
        ];
        self.keep_within.is_some() || counts.iter().any(Option::is_some)
    }

    /// The policy of a section with these keys.
    pub(super) fn policy_of(&self, section: &'static str) -> Result<Policy, ConfigError> {
        let RetentionConfig {
            keep_last,
            keep_hourly,
            keep_daily,
            keep_weekly,
            keep_monthly,
            keep_yearly,
            keep_within,
            keep_label,
            ..
        } = self;
        let wrong = |what: &str| ConfigError::Value {
            section,
            what: format!("keep_within: {what:?} is not a duration such as 48h, 7d or 2mo"),
        };
        let within = match keep_within {
            Some(text) => Some(
                text.parse::<jiff::Span>()
                    .ok()
                    .filter(|span| span.is_positive())
                    .ok_or_else(|| wrong(text))?,
            ),
            None => None,
        };
        let (last, hourly, daily, weekly) = (*keep_last, *keep_hourly, *keep_daily, *keep_weekly);
        let policy = Policy {
            server: None,
            last,
            hourly,
            daily,
            weekly,
            monthly: *keep_monthly,
            yearly: *keep_yearly,
            within,
            labels: keep_label.clone(),
        };
        let newest = |count| Some(Count::Newest(count));
        let usual = Policy {
            within: Some(jiff::Span::new().days(1)),
            hourly: newest(48),
            daily: newest(30),
            weekly: newest(12),
            monthly: newest(24),
            yearly: Some(Count::All),
            labels: policy.labels.clone(),
            ..Policy::default()
        };
        Ok(if self.says_something() { policy } else { usual })
    }
}
