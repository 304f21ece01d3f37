//! Configurations, right and wrong.

use std::collections::BTreeMap;

use super::*;
use crate::manifest::Count;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jellyvault.toml");
    {
        use std::io::Write;
        let mut out = tempfile::NamedTempFile::new_in(dir.path()).unwrap();
        out.write_all(text.as_bytes()).unwrap();
        out.persist(&file).unwrap();
    }
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Loaded::read(Some(&file), &environment)
}

fn error(text: &str) -> String {
    read(text, &[]).unwrap_err().to_string()
}

#[test]
fn the_example_is_what_holds_without_a_file() {
    let example = read(EXAMPLE, &[]).unwrap().config;
    let nothing = read("", &[]).unwrap().config;
    assert_eq!(
        format!("{:?}", example.retention.policy().unwrap()),
        format!("{:?}", nothing.retention.policy().unwrap())
    );
    assert_eq!(
        format!("{:?}", example.snapshots().unwrap()),
        format!("{:?}", nothing.snapshots().unwrap())
    );
    assert_eq!(
        format!("{:?}", example.retention.schedule().unwrap()),
        format!("{:?}", nothing.retention.schedule().unwrap())
    );
    assert_eq!(
        format!("{:?}", example.checks().unwrap()),
        format!("{:?}", nothing.checks().unwrap())
    );
    // Every line that is commented out is one that can be used.
    let all: String = EXAMPLE
        .lines()
        .map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line)))
        .collect();
    let all = read(&all, &[]).unwrap().config;
    assert!(
        all.notify.ntfy.is_some() && all.server.data_dir.is_some() && !all.hooks.before.is_empty()
    );
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    assert!(
        error("repo = \"/r\"\n\n[snapshot]\nevry = \"15m\"\n")
            .contains("line 4: unknown field `evry`")
    );
    assert!(error("[snapshot\n").contains("line 1"));
    assert!(
        error("[snapshot]\nevery = \"soon\"\n")
            .contains("[snapshot]: every: \"soon\" is not a duration")
    );
    assert!(
        error("[check]\nevery = \"1d\"\nat = \"03:00\"\n")
            .contains("only one of every, at and cron")
    );
    assert!(error("[check]\ndays = [\"mon\"]\n").contains("days needs at"));
    assert!(error("[check]\nread_percent = 101\n").contains("from 0 to 100"));
    assert!(error("[retention]\nkeep_daily = 0\n").contains("at least 1"));
    assert!(error("[retention]\nkeep_within = \"long\"\n").contains("not a duration"));
    assert!(error("[hooks]\ntime_limit = \"0s\"\n").contains("not a duration"));
    assert!(error("[notify]\nreminder = \"x\"\n").contains("reminder"));
}

#[test]
fn the_environment_says_the_same_as_the_file() {
    let loaded = read(
        "[snapshot]\nevery = \"1h\"\n",
        &[
            ("JELLYVAULT_SNAPSHOT_EVERY", "5m"),
            ("JELLYVAULT_CHECK_READ_PERCENT", "2.5"),
            ("JELLYVAULT_CHECK_AT", "[\"03:00\", \"15:00\"]"),
            ("JELLYVAULT_RETENTION_KEEP_DAILY", "7"),
            ("JELLYVAULT_RETENTION_ENABLED", "false"),
            ("JELLYVAULT_SERVER_DATA_DIR", "/config"),
            ("JELLYVAULT_REPO", "/elsewhere"),
            ("JELLYVAULT_SOMETHING", "else"),
        ],
    )
    .unwrap();
    let config = loaded.config;
    assert_eq!(
        (config.snapshot.every.as_deref(), config.check.read_percent),
        (Some("5m"), Some(2.5))
    );
    assert_eq!(config.retention.policy().unwrap().daily, Some(Count::Newest(7)));
    assert!(
        matches!(config.retention.schedule().unwrap(), Schedule::Never)
            && matches!(config.checks().unwrap(), Schedule::At(times, _) if times.len() == 2)
    );
    assert_eq!(config.server.data_dir.as_deref(), Some(Path::new("/config")));
    assert_eq!(loaded.variables.len(), 6);
    let wrong = read("", &[("JELLYVAULT_CHECK_READ_PERCENT", "much")]).unwrap_err().to_string();
    assert!(wrong.contains("JELLYVAULT_CHECK_READ_PERCENT"), "{wrong}");
}
