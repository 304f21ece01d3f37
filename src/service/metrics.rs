//! What monitoring reads: Prometheus' text format, in a file that is replaced whole.

use std::fmt::Write as _;
use std::path::Path;

use jiff::{Timestamp, Zoned};

use super::job::Job;
use super::job_log::JobLog;
use super::level::Level;
use super::standing::{Facts, Standing};
use crate::backend::CacheFile;

/// The metrics of a moment.
pub fn metrics(
    facts: &Facts,
    standing: &Standing,
    log: &JobLog,
    next: &[(Job, Zoned)],
    now: Timestamp,
) -> String {
    let mut out = Metrics::default();
    let level = match standing.level {
        Level::Good => 0.0,
        Level::Attention => 1.0,
        Level::Bad => 2.0,
    };
    out.metric(
        "jellyvault_build_info",
        "The version of jellyvault.",
        &[(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION")), 1.0)],
    );
    out.metric(
        "jellyvault_status",
        "0 protected, 1 needs attention, 2 not protected.",
        &[("", level)],
    );
    out.metric(
        "jellyvault_updated_timestamp_seconds",
        "When these metrics were written.",
        &[("", seconds(now))],
    );
    out.of_snapshots(facts);
    out.of_jobs(log, next);
    out.0
}

/// Writes them, all or none: a collector reads the file at any moment.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_metrics(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = CacheFile::begin(path)?;
    file.append(text.as_bytes())?;
    file.finish()
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn of_snapshots(&mut self, facts: &Facts) {
        let of = |time: Option<Timestamp>| time.map(|time| [("", seconds(time))]);
        if let Some(values) = of(facts.last.as_ref().map(|last| last.time)) {
            self.metric(
                "jellyvault_last_snapshot_timestamp_seconds",
                "When the last snapshot was taken.",
                &values,
            );
        }
        if let Some(values) = of(facts.last_complete) {
            self.metric(
                "jellyvault_last_complete_snapshot_timestamp_seconds",
                "When the last complete snapshot was taken.",
                &values,
            );
        }
        if let Some(last) = &facts.last {
            self.metric(
                "jellyvault_last_snapshot_problems",
                "Problems of the last snapshot.",
                &[("", last.problems as f64)],
            );
        }
        if facts.away.is_none() {
            self.metric(
                "jellyvault_snapshots",
                "Snapshots of the server.",
                &[("", facts.snapshots as f64)],
            );
        }
    }

    fn of_jobs(&mut self, log: &JobLog, next: &[(Job, Zoned)]) {
        let label = |job: Job| format!("job=\"{}\"", job.name());
        let labels = Job::ALL.map(|job| (job, label(job)));
        let each = |value: &dyn Fn(Job) -> Option<f64>| {
            labels
                .iter()
                .filter_map(|(job, label)| Some((label.as_str(), value(*job)?)))
                .collect::<Vec<_>>()
        };
        let done = |job| log.done.get(&job);
        let is_ok = |job| {
            (done(job).is_some() || log.failed.contains_key(&job))
                .then(|| f64::from(u8::from(log.open_failure(job).is_none())))
        };
        let took = |job| Some(done(job)?.took_ms as f64 / 1000.0);
        self.metric(
            "jellyvault_last_run_timestamp_seconds",
            "Start time of the last successful run of a job.",
            &each(&|job| Some(seconds(done(job)?.began))),
        );
        self.metric(
            "jellyvault_last_run_success",
            "1 if the last run of a job succeeded, 0 if it failed.",
            &each(&is_ok),
        );
        self.metric(
            "jellyvault_last_run_duration_seconds",
            "Duration of the last successful run of a job.",
            &each(&took),
        );
        let next: Vec<(String, f64)> =
            next.iter().map(|(job, time)| (label(*job), seconds(time.timestamp()))).collect();
        let next: Vec<(&str, f64)> =
            next.iter().map(|(label, time)| (label.as_str(), *time)).collect();
        self.metric("jellyvault_next_run_timestamp_seconds", "When a job is due next.", &next);
    }

    /// A gauge with its values by labels; nothing where it has none.
    fn metric(&mut self, name: &str, help: &str, values: &[(&str, f64)]) {
        if values.is_empty() {
            return;
        }
        // Writing to a text does not fail.
        crate::tolerate(writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} gauge"));
        for (labels, value) in values {
            let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
            crate::tolerate(writeln!(self.0, "{name}{labels} {value}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::job_log::Outcome;

    #[test]
    fn metrics_are_in_prometheus_text_format() {
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        let facts = Facts { snapshots: 3, last_complete: Some(now), ..Facts::default() };
        let standing = Standing {
            level: Level::Attention,
            sentence: String::new(),
            reasons: Vec::new(),
            is_passing: false,
        };
        let mut log = JobLog::default();
        log.note(
            Job::Check,
            Outcome {
                began: now,
                is_ok: false,
                words: String::new(),
                took_ms: 1500,
                is_damage: false,
            },
        );
        log.note(
            Job::Snapshot,
            Outcome {
                began: now,
                is_ok: true,
                words: String::new(),
                took_ms: 1500,
                is_damage: false,
            },
        );
        let text = metrics(
            &facts,
            &standing,
            &log,
            &[(Job::Check, now.to_zoned(jiff::tz::TimeZone::UTC))],
            now,
        );
        for line in [
            "jellyvault_status 1",
            "jellyvault_snapshots 3",
            "jellyvault_last_complete_snapshot_timestamp_seconds 1790000000",
            "jellyvault_last_run_success{job=\"check\"} 0",
            "jellyvault_last_run_success{job=\"snapshot\"} 1",
            "jellyvault_last_run_duration_seconds{job=\"snapshot\"} 1.5",
            "jellyvault_next_run_timestamp_seconds{job=\"check\"} 1790000000",
        ] {
            assert!(text.lines().any(|have| have == line), "{line}: {text}");
        }
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(name.starts_with("jellyvault_") && value.parse::<f64>().is_ok(), "{line}");
        }
    }
}
