//! Rules of retention, alone and together, and against the plain words.

use proptest::prelude::*;

use super::*;
use crate::manifest::record::tests::sample;

fn snapshot(number: u8, time: &str, label: Option<&str>) -> (SnapshotId, SnapshotRecord) {
    let time_ns = time.parse::<Timestamp>().unwrap().as_nanosecond() as i64;
    (
        SnapshotId([number; 16]),
        SnapshotRecord { time_ns, label: label.map(str::to_owned), ..sample() },
    )
}

fn kept(policy: &Policy, snapshots: &[(SnapshotId, SnapshotRecord)]) -> Vec<(u8, String)> {
    let verdicts = judge(policy, snapshots, &HashSet::new(), &TimeZone::UTC, Timestamp::MAX);
    verdicts
        .into_iter()
        .filter(|v| !v.reasons.is_empty())
        .map(|v| (v.id.0[0], v.reasons.join(", ")))
        .collect()
}

#[test]
fn rules_add_up_and_each_names_its_reason() {
    let snapshots = [
        snapshot(1, "2025-12-31T23:00:00Z", None),
        snapshot(2, "2026-01-01T10:00:00Z", None),
        snapshot(3, "2026-01-01T11:00:00Z", Some("before 12.0")),
        snapshot(4, "2026-01-02T09:00:00Z", None),
        snapshot(5, "2026-01-02T09:30:00Z", None),
    ];
    let policy = Policy {
        last: Some(Count::Newest(1)),
        daily: Some(Count::Newest(2)),
        yearly: Some(Count::All),
        ..Policy::default()
    };
    let reasons = [(1, "yearly"), (3, "label \"before 12.0\", daily"), (5, "last, daily, yearly")];
    assert_eq!(kept(&policy, &snapshots), reasons.map(|(n, r)| (n, r.to_owned())));
    // A label that is not among those named protects nothing.
    let policy = Policy {
        last: Some(Count::Newest(1)),
        labels: vec!["other".to_owned()],
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &snapshots).len(), 1);
    // While a rule has some left, the oldest stays.
    let policy = Policy { daily: Some(Count::Newest(9)), ..Policy::default() };
    assert_eq!(
        kept(&policy, &snapshots[3..]),
        [(4, "oldest daily".to_owned()), (5, "daily".to_owned())]
    );
    let policy = Policy { within: Some(Span::new().hours(24)), ..Policy::default() };
    assert_eq!(kept(&policy, &snapshots).iter().map(|(n, _)| *n).collect::<Vec<_>>(), [2, 3, 4, 5]);
}

#[test]
fn each_instance_is_judged_alone_and_a_part_never_takes_the_place_of_the_whole() {
    let mut snapshots = vec![
        snapshot(1, "2026-01-01T10:00:00Z", None),
        snapshot(2, "2026-01-01T11:00:00Z", None),
        snapshot(3, "2026-01-01T12:00:00Z", None),
    ];
    for (_, record) in &mut snapshots {
        record.label = None;
    }
    snapshots[1].1.source.key = "another".to_owned();
    snapshots[2].1.categories.clear();
    let policy = Policy { last: Some(Count::Newest(1)), ..Policy::default() };
    assert_eq!(kept(&policy, &snapshots).len(), 3);
}

#[test]
fn a_snapshot_of_the_future_does_not_make_the_others_look_old() {
    let mut snapshots = vec![
        snapshot(1, "2026-01-01T10:00:00Z", None),
        snapshot(2, "2026-01-09T10:00:00Z", None),
        snapshot(3, "2027-06-01T10:00:00Z", None),
    ];
    for (_, record) in &mut snapshots {
        record.label = None;
    }
    let policy = Policy { within: Some(Span::new().days(3)), ..Policy::default() };
    let verdicts = judge(
        &policy,
        &snapshots,
        &HashSet::new(),
        &TimeZone::UTC,
        "2026-01-10T00:00:00Z".parse().unwrap(),
    );
    assert_eq!(
        verdicts.iter().map(|verdict| !verdict.reasons.is_empty()).collect::<Vec<_>>(),
        [false, true, true]
    );
    let policy = Policy { within: Some(Span::new().years(19_000)), ..Policy::default() };
    let verdicts = judge(
        &policy,
        &snapshots,
        &HashSet::new(),
        &TimeZone::UTC,
        "2026-01-10T00:00:00Z".parse().unwrap(),
    );
    assert!(
        verdicts.iter().all(|verdict| !verdict.reasons.is_empty()),
        "before all time: {verdicts:?}"
    );
}

proptest! {
    /// Against the plain words: the newest of each of the last N days, and the oldest of all
    /// where there are fewer.
    #[test]
    fn daily_keeps_the_newest_of_each_of_the_last_days(mut hours in proptest::collection::vec(0i64..2000, 1..60), wanted in 1u32..20) {
        hours.sort_unstable();
        hours.dedup();
        let snapshots: Vec<_> = hours.iter().map(|hour| {
            let time_ns = (1_700_000_000 + hour * 3600) * 1_000_000_000;
            (SnapshotId(u128::from(*hour as u64).to_be_bytes()), SnapshotRecord { time_ns, label: None, ..sample() })
        }).collect();
        let day = |hour: i64| (1_700_000_000 + hour * 3600) / 86_400;
        let mut days: BTreeMap<i64, i64> = BTreeMap::new();
        for hour in &hours {
            days.insert(day(*hour), *hour);
        }
        let mut expected: Vec<i64> = days.values().rev().take(wanted as usize).copied().collect();
        if days.len() < wanted as usize {
            expected.push(hours[0]);
        }
        expected.sort_unstable();
        expected.dedup();
        let policy = Policy { daily: Some(Count::Newest(wanted)), ..Policy::default() };
        let verdicts = judge(&policy, &snapshots, &HashSet::new(), &TimeZone::UTC, Timestamp::MAX);
        let found: Vec<i64> = verdicts.iter().filter(|v| !v.reasons.is_empty()).map(|v| u128::from_be_bytes(v.id.0) as i64).collect();
        prop_assert_eq!(found, expected);
    }
}
