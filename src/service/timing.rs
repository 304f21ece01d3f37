//! The keys by which a section of the configuration says when: `every`, `at` with `days`, `cron`,
//! `enabled`.

use super::config_error::ConfigError;
use super::one_or_many::OneOrMany;
use super::schedule::Schedule;

/// The keys of one section.
pub(super) struct Timing<'c> {
    pub section: &'static str,
    pub every: &'c Option<String>,
    pub at: &'c Option<OneOrMany>,
    pub days: &'c Option<OneOrMany>,
    pub cron: &'c Option<String>,
    pub enabled: &'c Option<bool>,
}

impl Timing<'_> {
    /// The schedule that they mean; the usual one where they say nothing.
    pub(super) fn schedule(
        &self,
        usual: impl Fn() -> Result<Schedule, String>,
    ) -> Result<Schedule, ConfigError> {
        let wrong = |what: String| ConfigError::Value { section: self.section, what };
        let said = [self.every.is_some(), self.at.is_some(), self.cron.is_some()]
            .iter()
            .filter(|is_said| **is_said)
            .count();
        if said > 1 {
            return Err(wrong("give only one of every, at and cron".to_owned()));
        }
        if self.days.is_some() && self.at.is_none() {
            return Err(wrong("days needs at, for example at = \"03:00\"".to_owned()));
        }
        let schedule = match (self.every, self.at, self.cron) {
            (Some(every), _, _) => Schedule::every(every).map_err(|what| format!("every: {what}")),
            (_, Some(at), _) => {
                let days = self.days.as_ref().map(OneOrMany::all).unwrap_or_default();
                Schedule::at(&at.all(), &days).map_err(|what| format!("at: {what}"))
            }
            (_, _, Some(cron)) => Schedule::cron(cron).map_err(|what| format!("cron: {what}")),
            _ => usual(),
        };
        let schedule = schedule.map_err(wrong)?;
        Ok(if *self.enabled == Some(false) { Schedule::Never } else { schedule })
    }
}
