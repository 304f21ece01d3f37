//! Retention rules in sentences.

use jiff::fmt::friendly::{Designator, Spacing, SpanPrinter};

use crate::figures::count as figure;
use crate::manifest::{Count, Policy};

/// What a policy keeps, a sentence for each rule.
pub fn retention_words(policy: &Policy) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(within) = &policy.within {
        let long = SpanPrinter::new()
            .designator(Designator::Verbose)
            .spacing(Spacing::BetweenUnitsAndDesignators)
            .span_to_string(within);
        words.push(format!("Every snapshot that is at most {long} older than the newest."));
    }
    match policy.last {
        Some(Count::Newest(1)) => words.push("The newest snapshot.".to_owned()),
        Some(Count::Newest(most)) => {
            words.push(format!("The newest {} snapshots.", figure(most.into())))
        }
        Some(Count::All) => words.push("Every snapshot.".to_owned()),
        None => {}
    }
    for (rule, one, several) in [
        (policy.hourly, "hour", "hours"),
        (policy.daily, "day", "days"),
        (policy.weekly, "week", "weeks"),
        (policy.monthly, "month", "months"),
        (policy.yearly, "year", "years"),
    ] {
        match rule {
            Some(Count::Newest(1)) => {
                words.push(format!("The newest snapshot of the last {one} that has one."));
            }
            Some(Count::Newest(most)) => words.push(format!(
                "One snapshot for each of the last {} {several} that have one.",
                figure(most.into())
            )),
            Some(Count::All) => words.push(format!("One snapshot for each {one}, forever.")),
            None => {}
        }
    }
    words.push(if policy.labels.is_empty() {
        "Every snapshot that has a label or is protected.".to_owned()
    } else {
        let labels = policy.labels.join(", ");
        format!("Every snapshot that is protected or has one of these labels: {labels}.")
    });
    words
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn each_rule_is_a_sentence() {
        let of = |text: &str| {
            let config: Config = toml::from_str(text).unwrap();
            retention_words(&config.retention.policy().unwrap())
        };
        assert_eq!(
            of(""),
            [
                "Every snapshot that is at most 1 day older than the newest.",
                "One snapshot for each of the last 48 hours that have one.",
                "One snapshot for each of the last 30 days that have one.",
                "One snapshot for each of the last 12 weeks that have one.",
                "One snapshot for each of the last 24 months that have one.",
                "One snapshot for each year, forever.",
                "Every snapshot that has a label or is protected.",
            ]
        );
        assert_eq!(
            of("[retention]\nkeep_last = 1\nkeep_daily = 1\nkeep_label = [\"a\", \"b\"]\n"),
            [
                "The newest snapshot.",
                "The newest snapshot of the last day that has one.",
                "Every snapshot that is protected or has one of these labels: a, b.",
            ]
        );
        let all = of("[retention]\nkeep_last = \"all\"\nkeep_within = \"2mo 10d\"\n");
        assert_eq!(
            all[..2],
            [
                "Every snapshot that is at most 2 months 10 days older than the newest.",
                "Every snapshot."
            ]
        );
    }
}
