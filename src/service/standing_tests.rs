//! How a server stands, by what is known of it.

use jiff::{SignedDuration, Timestamp};

use super::*;

fn now() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap()
}

fn ago(minutes: i64) -> Timestamp {
    now().checked_sub(SignedDuration::from_mins(minutes)).unwrap()
}

/// A server whose last snapshot, of one each 15 minutes, is so old.
fn facts(minutes: i64) -> Facts {
    Facts {
        absent_after: SignedDuration::from_hours(24),
        last: Some(LastSnapshot {
            time: ago(minutes),
            problems: 0,
            is_complete: true,
            id: "01a2".to_owned(),
        }),
        last_complete: Some(ago(minutes)),
        snapshots: 312,
        period: Some(SignedDuration::from_mins(15)),
        checked: Some(ago(9 * 60)),
        checks_are_scheduled: true,
        ..Facts::default()
    }
}

fn level(facts: &Facts) -> Level {
    Standing::of(facts, now()).level
}

#[test]
fn a_server_with_a_fresh_snapshot_is_protected_and_the_sentence_says_so() {
    let standing = Standing::of(&facts(4), now());
    assert_eq!(standing.level, Level::Good);
    assert_eq!(
        standing.sentence,
        "Protected. The last snapshot was taken 4 minutes ago; there are 312 snapshots. The repository was checked 9 hours ago."
    );
    assert!(standing.reasons.is_empty());
}

#[test]
fn what_is_late_needs_attention_and_what_is_old_is_not_protected() {
    assert_eq!(
        (level(&facts(25)), level(&facts(26)), level(&facts(24 * 60)), level(&facts(24 * 60 + 1))),
        (Level::Good, Level::Attention, Level::Attention, Level::Bad)
    );
    let daily =
        |hours: i64| Facts { period: Some(SignedDuration::from_hours(24)), ..facts(hours * 60) };
    assert_eq!(
        (level(&daily(30)), level(&daily(31)), level(&daily(73))),
        (Level::Good, Level::Attention, Level::Bad)
    );
    let unscheduled = |hours: i64| Facts { period: None, ..facts(hours * 60) };
    assert_eq!((level(&unscheduled(29)), level(&unscheduled(80))), (Level::Good, Level::Bad));
}

#[test]
fn nothing_and_nothing_whole_are_not_protected() {
    assert_eq!(level(&Facts { last: None, last_complete: None, ..facts(1) }), Level::Bad);
    let broken = Facts { last_complete: None, ..facts(1) };
    assert!(Standing::of(&broken, now()).reasons[0].what.contains("no complete snapshot"));
}

#[test]
fn a_repository_that_is_away_is_bad_only_after_a_while() {
    let away = |minutes: i64| Facts {
        away: Some(Away {
            why: "it is missing".to_owned(),
            kind: ErrorKind::Io,
            is_denied: false,
            since: Some(ago(minutes)),
        }),
        ..facts(1)
    };
    assert_eq!((level(&away(60)), level(&away(24 * 60))), (Level::Attention, Level::Bad));
    let standing = Standing::of(&away(60), now());
    assert!(
        standing.is_passing
            && standing.reasons[0].what.contains("(for 1 hour so far)")
            && standing.reasons[0].what.contains("it is missing"),
        "{standing:?}"
    );
}

#[test]
fn problems_failures_and_old_checks_are_told_the_worst_first() {
    let outcome = |words: &str| Outcome {
        began: ago(5),
        is_ok: false,
        words: words.to_owned(),
        took_ms: 1,
        is_damage: words.contains("damaged"),
    };
    let mut facts = facts(4);
    facts.last.as_mut().unwrap().problems = 1;
    facts.failures =
        vec![(Job::Retention, outcome("disk full")), (Job::Check, outcome("2 files are damaged"))];
    facts.checked = Some(ago(60 * 24 * 40));
    facts.loss = Some(SuddenLoss {
        seen: ago(120),
        before: "01a22f79db9e00".to_owned(),
        words: "60 library items".to_owned(),
    });
    let standing = Standing::of(&facts, now());
    let what: Vec<&str> = standing.reasons.iter().map(|reason| reason.what.as_str()).collect();
    assert_eq!(standing.level, Level::Bad);
    assert_eq!(
        what,
        [
            "the check found damage in the repository: 2 files are damaged",
            "the last snapshot has 1 problem: some files may be missing or incomplete",
            "old snapshots could not be removed: disk full",
            "the repository was last checked 40 days ago",
            "a large part of the server's data disappeared 2 hours ago: 60 library items. The last snapshot before that, 01a22f79db9e, is now protected from forget",
        ]
    );
}

#[test]
fn a_snapshot_that_may_wait_for_a_library_scan_is_not_late_meanwhile() {
    let waiting = Facts { wait_max: SignedDuration::from_mins(10), ..facts(30) };
    assert_eq!((level(&facts(30)), level(&waiting)), (Level::Attention, Level::Good));
    assert_eq!(
        level(&Facts { wait_max: SignedDuration::from_mins(10), ..facts(36) }),
        Level::Attention
    );
}
