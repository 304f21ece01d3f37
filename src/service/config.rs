//! The configuration file: which server, which repository, when what is done, and who is told.
//!
//! Every value can be set in the environment as well: `[check] read_percent` is
//! `JELLYVAULT_CHECK_READ_PERCENT`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::source::Category;

use super::config_error::ConfigError;
use super::copy_config::CopyConfig;
use super::drill_config::DrillConfig;
use super::encryption_config::EncryptionConfig;
use super::environment::overlay;
use super::jellyfin_config::JellyfinConfig;
use super::job::Job;
use super::notify::{Notify, hidden_arguments};
use super::one_or_many::OneOrMany;
use super::report_config::ReportConfig;
use super::retention_config::RetentionConfig;
use super::schedule::Schedule;
use super::timing::Timing;
use super::web_config::WebConfig;

/// The commented example that is shipped.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Longer is none that people write, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The repository's directory.
    pub repo: Option<PathBuf>,
    /// How an encrypted repository is opened.
    pub encryption: EncryptionConfig,
    /// The server; found by itself where nothing is said.
    pub server: ServerConfig,
    /// Its interface, asked while it runs.
    pub jellyfin: JellyfinConfig,
    /// Snapshots.
    pub snapshot: SnapshotConfig,
    /// Copies of the repository.
    pub copy: CopyConfig,
    /// Forgetting and pruning.
    pub retention: RetentionConfig,
    /// Checks.
    pub check: CheckConfig,
    /// Restore drills.
    pub drill: DrillConfig,
    /// Reports.
    pub report: ReportConfig,
    /// Who is told what.
    pub notify: Notify,
    /// Programs that run around the jobs.
    pub hooks: Hooks,
    /// What monitoring reads.
    pub metrics: MetricsConfig,
    /// The page in the browser.
    pub web: WebConfig,
}

/// What monitoring reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// A file in Prometheus' text format, written after each run.
    pub file: Option<PathBuf>,
}

/// Where the server keeps its things.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Its data directory.
    pub data_dir: Option<PathBuf>,
    /// Its configuration.
    pub config_dir: Option<PathBuf>,
    /// Its metadata.
    pub metadata_dir: Option<PathBuf>,
    /// Its database.
    pub database: Option<PathBuf>,
    /// Follow links to whole folders.
    pub follow_roots: bool,
}

/// When and how snapshots are taken.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotConfig {
    /// `every = "15m"`.
    pub every: Option<String>,
    /// `at = "03:00"`.
    pub at: Option<OneOrMany>,
    /// `days = ["mon"]`.
    pub days: Option<OneOrMany>,
    /// `cron = "0 3 * * *"`.
    pub cron: Option<String>,
    /// `enabled = false`.
    pub enabled: Option<bool>,
    /// Categories that are left out.
    pub skip: Vec<Category>,
    /// What is left out, as globs.
    pub exclude: Vec<String>,
}

/// When the repository is checked, and how much of its data is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckConfig {
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
    /// Hundredths of the data that each check reads, those that were not read for longest first.
    pub read_percent: Option<f64>,
}

/// Programs that run around a job, without a shell: the program and its arguments.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hooks {
    /// Before each job. Where it fails the job is not done.
    pub before: Vec<String>,
    /// After each job that went well.
    pub after: Vec<String>,
    /// After each that failed.
    pub failed: Vec<String>,
    /// The longest that one may take.
    pub time_limit: Option<String>,
}

/// A configuration, and where its values come from.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// It.
    pub config: Config,
    /// The file, where there is one.
    pub file: Option<PathBuf>,
    /// The environment's variables that set values.
    pub variables: Vec<String>,
}

impl Loaded {
    /// Reads a file, with what the environment says instead.
    ///
    /// # Errors
    /// [`ConfigError`] with the line.
    pub fn read(
        file: Option<&Path>,
        environment: &BTreeMap<String, String>,
    ) -> Result<Loaded, ConfigError> {
        let text = match file {
            Some(path) => text_of(path)
                .map_err(|why| ConfigError::Unreadable { path: path.display().to_string(), why })?,
            None => String::new(),
        };
        let shown = file
            .map_or_else(|| "from the environment".to_owned(), |path| path.display().to_string());
        let invalid = |text: &str, error: &toml::de::Error| ConfigError::Invalid {
            path: shown.clone(),
            what: located(text, error),
        };
        // As it is first, so that what is wrong with the file is told with its line.
        let own: Config = toml::from_str(&text).map_err(|error| invalid(&text, &error))?;
        let mut table: toml::Table = text.parse().map_err(|error| invalid(&text, &error))?;
        let variables = overlay(&mut table, environment);
        let config = if variables.is_empty() {
            own
        } else {
            table.try_into().map_err(|error: toml::de::Error| ConfigError::Invalid {
                path: format!("from the environment ({})", variables.join(", ")),
                what: without_values(error.message()),
            })?
        };
        config.check()?;
        Ok(Loaded { config, file: file.map(Path::to_path_buf), variables })
    }
}

/// The text of a file, which is no pipe and not longer than people write.
fn text_of(path: &Path) -> Result<String, String> {
    let bytes =
        crate::source::read_regular(path, FILE_BYTES_MAX).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData => {
                format!(
                    "it is not a regular file, or it is larger than {} KiB",
                    FILE_BYTES_MAX >> 10
                )
            }
            _ => error.to_string(),
        })?;
    String::from_utf8(bytes).map_err(|_| "it is not text in UTF-8".to_owned())
}

/// A message of the parser without the values in it, which may be secrets.
fn without_values(message: &str) -> String {
    let Some((before, rest)) = message.split_once("string \"") else { return message.to_owned() };
    let after = rest.rsplit_once("\", expected").map_or("", |(_, after)| after);
    format!("{before}a text, expected{after}")
        .replace("expected a sequence", "expected a list of texts: [\"…\", \"…\"]")
}

/// The message of an error with its line.
fn located(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .map(|span| text.get(..span.start).unwrap_or_default().matches('\n').count() + 1);
    match line {
        Some(line) => format!("line {line}: {}", without_values(error.message())),
        None => without_values(error.message()),
    }
}

impl Config {
    /// Whether every value makes sense.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.snapshots()?;
        self.retention.schedule()?;
        self.checks()?;
        self.drill.schedule()?;
        self.report.schedule()?;
        self.copy.check()?;
        self.retention.policy()?;
        let wrong =
            |section: &'static str| move |what: String| ConfigError::Value { section, what };
        if self
            .repo
            .as_ref()
            .is_some_and(|repo| !repo.is_absolute() && !repo.to_string_lossy().contains(':'))
        {
            return Err(wrong("")("repo must be an absolute path, which begins with /".to_owned()));
        }
        let programs = [
            ("hooks", &self.hooks.before),
            ("hooks", &self.hooks.after),
            ("hooks", &self.hooks.failed),
            ("notify", &self.notify.command),
        ];
        if let Some((section, _)) =
            programs.iter().find(|(_, command)| command.first().is_some_and(String::is_empty))
        {
            return Err(wrong(section)("the name of a program is empty".to_owned()));
        }
        if let Some(glob) =
            self.snapshot.exclude.iter().find(|glob| globset::Glob::new(glob).is_err())
        {
            return Err(wrong("snapshot")(format!(
                "exclude: {glob:?} is not a pattern such as *.bif or metadata/People/**"
            )));
        }
        if self.check.read_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(wrong("check")("read_percent must be from 0 to 100".to_owned()));
        }
        self.hooks.limit().map_err(wrong("hooks"))?;
        self.jellyfin.check().map_err(wrong("jellyfin"))?;
        self.encryption.check().map_err(wrong("encryption"))?;
        self.web.check().map_err(wrong("web"))?;
        self.notify.check().map_err(wrong("notify"))
    }

    /// It without its secrets: to be shown.
    #[must_use]
    pub fn masked(&self) -> Config {
        let Hooks { before, after, failed, time_limit } = &self.hooks;
        let hooks = Hooks {
            before: hidden_arguments(before),
            after: hidden_arguments(after),
            failed: hidden_arguments(failed),
            time_limit: time_limit.clone(),
        };
        Config {
            notify: self.notify.masked(),
            encryption: self.encryption.masked(),
            hooks,
            ..self.clone()
        }
    }

    /// When a job is done.
    ///
    /// # Errors
    /// A time that is none.
    pub fn schedule(&self, job: Job) -> Result<Schedule, ConfigError> {
        match job {
            Job::Snapshot => self.snapshots(),
            Job::Copy => self.copy.schedule(),
            Job::Retention => self.retention.schedule(),
            Job::Check => self.checks(),
            Job::Drill => self.drill.schedule(),
            Job::Report if self.notify.is_empty() => Ok(Schedule::Never),
            Job::Report => self.report.schedule(),
        }
    }

    /// When snapshots are taken; every 15 minutes where nothing is said.
    ///
    /// # Errors
    /// A time that is none.
    pub fn snapshots(&self) -> Result<Schedule, ConfigError> {
        let SnapshotConfig { every, at, days, cron, enabled, .. } = &self.snapshot;
        Timing { section: "snapshot", every, at, days, cron, enabled }
            .schedule(|| Schedule::every("15m"))
    }

    /// When the repository is checked; at five where nothing is said.
    ///
    /// # Errors
    /// A time that is none.
    pub fn checks(&self) -> Result<Schedule, ConfigError> {
        let CheckConfig { every, at, days, cron, enabled, .. } = &self.check;
        Timing { section: "check", every, at, days, cron, enabled }
            .schedule(|| Schedule::at(&["05:00".to_owned()], &[]))
    }
}

impl Hooks {
    /// The longest that one may take; ten minutes where nothing is said.
    ///
    /// # Errors
    /// A duration that is none.
    pub fn limit(&self) -> Result<std::time::Duration, String> {
        let Some(text) = &self.time_limit else { return Ok(std::time::Duration::from_secs(600)) };
        let span: Option<jiff::SignedDuration> = text.parse().ok();
        span.and_then(|span| std::time::Duration::try_from(span).ok())
            .filter(|limit| !limit.is_zero())
            .ok_or_else(|| format!("time_limit: {text:?} is not a duration such as 30s or 10m"))
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
