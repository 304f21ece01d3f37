//! Which snapshots may go? Rules that add up: a snapshot stays if one of them, or its label or
//! mark, wants it.

use std::collections::{BTreeMap, HashSet};

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use serde::{Deserialize, Serialize};

use super::SnapshotId;
use super::record::SnapshotRecord;

/// How many of a kind stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "CountText", try_from = "CountText")]
pub enum Count {
    /// So many, at least 1.
    Newest(u32),
    /// All of them.
    All,
}

/// A number, or the word `all`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number of at least 1, or \"all\"")]
enum CountText {
    Number(u32),
    Word(String),
}

impl From<Count> for CountText {
    fn from(count: Count) -> CountText {
        match count {
            Count::Newest(count) => CountText::Number(count),
            Count::All => CountText::Word("all".to_owned()),
        }
    }
}

impl TryFrom<CountText> for Count {
    type Error = String;

    fn try_from(text: CountText) -> Result<Count, String> {
        match text {
            CountText::Number(count @ 1..) => Ok(Count::Newest(count)),
            CountText::Word(word) if word == "all" => Ok(Count::All),
            CountText::Number(_) => {
                Err("the number of snapshots to keep must be at least 1".to_owned())
            }
            CountText::Word(word) => {
                Err(format!("{word:?} is neither a number of snapshots nor the word all"))
            }
        }
    }
}

/// The rules. Each that is given keeps some; what none of them keeps goes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// The last N snapshots.
    pub last: Option<Count>,
    /// The newest snapshot of each of the last N hours that have one.
    pub hourly: Option<Count>,
    /// The same for days.
    pub daily: Option<Count>,
    /// The same for weeks, which begin on Monday.
    pub weekly: Option<Count>,
    /// The same for months.
    pub monthly: Option<Count>,
    /// The same for years.
    pub yearly: Option<Count>,
    /// All that are at most so much older than the newest one.
    pub within: Option<Span>,
    /// Labels that protect; where none is named, every label does.
    pub labels: Vec<String>,
    /// The only server whose snapshots may go.
    pub server: Option<String>,
}

/// What becomes of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The snapshot.
    pub id: SnapshotId,
    /// Why it stays; nothing where it goes.
    pub reasons: Vec<String>,
}

/// A rule over time: what tells its snapshots apart, and how many it wants.
struct Rule {
    name: &'static str,
    count: Count,
    of: fn(&Zoned, usize) -> String,
}

impl Count {
    /// Takes one of them; false where none is left.
    fn take(&mut self) -> bool {
        match self {
            Count::All => true,
            Count::Newest(0) => false,
            Count::Newest(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Policy {
    /// Whether no rule is given.
    pub fn is_empty(&self) -> bool {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        counts.iter().all(Option::is_none) && self.within.is_none() && self.labels.is_empty()
    }

    fn rules(&self) -> Vec<Rule> {
        type Of = fn(&Zoned, usize) -> String;
        let rules: [(&'static str, Option<Count>, Of); 6] = [
            ("last", self.last, |_, number| number.to_string()),
            ("hourly", self.hourly, |time, _| time.strftime("%Y-%m-%d %H").to_string()),
            ("daily", self.daily, |time, _| time.strftime("%Y-%m-%d").to_string()),
            ("weekly", self.weekly, |time, _| time.strftime("%G-%V").to_string()),
            ("monthly", self.monthly, |time, _| time.strftime("%Y-%m").to_string()),
            ("yearly", self.yearly, |time, _| time.strftime("%Y").to_string()),
        ];
        rules
            .into_iter()
            .filter_map(|(name, count, of)| Some(Rule { name, count: count?, of }))
            .collect()
    }

    fn protects(&self, label: &str) -> bool {
        self.labels.is_empty() || self.labels.iter().any(|wanted| wanted == label)
    }
}

/// Judges snapshots (oldest first), those of each instance for themselves, and among them those of
/// the same categories: a snapshot of the database alone never takes the place of a whole one. The
/// verdicts come in the same order.
pub fn judge(
    policy: &Policy,
    snapshots: &[(SnapshotId, SnapshotRecord)],
    kept: &HashSet<SnapshotId>,
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<Verdict> {
    let mut groups: BTreeMap<_, Vec<&(SnapshotId, SnapshotRecord)>> = BTreeMap::new();
    for snapshot in snapshots {
        let record = &snapshot.1;
        groups
            .entry((instance_of(record), record.categories.keys().collect::<Vec<_>>()))
            .or_default()
            .push(snapshot);
    }
    let judge_one = |((instance, _), group): ((&str, _), Vec<_>)| {
        let mut verdicts = judge_group(policy, &group, kept, zone, now);
        if policy.server.as_deref().is_some_and(|server| server != instance) {
            verdicts
                .iter_mut()
                .for_each(|verdict| verdict.reasons = vec!["another server".to_owned()]);
        }
        verdicts
    };
    let mut verdicts: Vec<Verdict> = groups.into_iter().flat_map(judge_one).collect();
    verdicts.sort_by_key(|verdict| verdict.id);
    verdicts
}

/// What server a snapshot is of: its id, wherever it lies. What has none is told by machine and
/// directories, or is one of the zips.
pub fn instance_of(record: &SnapshotRecord) -> &str {
    let key = record.source.key.as_str();
    record.server.id.as_deref().unwrap_or(if record.is_zip() { "zips" } else { key })
}

/// How long what a restore replaced can be brought back, in nanoseconds.
const SAFETY_NS: i128 = 14 * 86_400_000_000_000;

/// A snapshot as the rules see it.
struct Judged<'s> {
    id: SnapshotId,
    record: &'s SnapshotRecord,
    /// When it was taken; of one whose clock was wrong, when the one before it in the list was.
    time_ns: i64,
    is_complete: bool,
}

/// By the time that the snapshot tells, newest first: an imported zip is as old as its content.
fn newest_first<'s>(group: &[&'s (SnapshotId, SnapshotRecord)], now: Timestamp) -> Vec<Judged<'s>> {
    let is_wrong = |record: &SnapshotRecord| {
        record.has_wrong_clock() || i128::from(record.time_ns) > now.as_nanosecond()
    };
    let mut known = group
        .iter()
        .map(|(_, record)| record)
        .find(|record| !is_wrong(record))
        .map(|record| record.time_ns);
    let mut judged: Vec<Judged<'s>> = Vec::new();
    for (id, record) in group {
        let is_wrong = is_wrong(record);
        // In the order of the list: such a one came after the one before it.
        let time_ns = if is_wrong { known.unwrap_or(record.time_ns) } else { record.time_ns };
        known = if is_wrong { known } else { Some(time_ns) };
        judged.push(Judged {
            id: *id,
            record,
            time_ns,
            is_complete: record.is_complete() && !is_wrong && !record.is_safety(),
        });
    }
    judged.sort_by_key(|judged| std::cmp::Reverse((judged.time_ns, judged.id)));
    judged
}

fn judge_group(
    policy: &Policy,
    group: &[&(SnapshotId, SnapshotRecord)],
    kept: &HashSet<SnapshotId>,
    zone: &TimeZone,
    now: Timestamp,
) -> Vec<Verdict> {
    // 64 bits of nanoseconds are 292 years around 1970, all of which a timestamp can hold.
    let zoned = |judged: &Judged<'_>| {
        Timestamp::from_nanosecond(i128::from(judged.time_ns))
            .unwrap_or_default()
            .to_zoned(zone.clone())
    };
    let judged = newest_first(group, now);
    // A span that reaches back before all time keeps everything, never nothing.
    let since_ever = || Timestamp::MIN.to_zoned(TimeZone::UTC);
    let within = policy.within.and_then(|span| {
        Some(zoned(judged.first()?).checked_sub(span).unwrap_or_else(|_| since_ever()))
    });
    let mut verdicts: Vec<Verdict> = Vec::new();
    for one in &judged {
        let mut reasons = Vec::new();
        if kept.contains(&one.id) {
            reasons.push("protected by keep".to_owned());
        }
        if let Some(label) = one.record.label.as_deref().filter(|label| policy.protects(label)) {
            reasons.push(format!("label {label:?}"));
        }
        if one.record.is_safety() && now.as_nanosecond() - i128::from(one.time_ns) < SAFETY_NS {
            reasons.push("taken before a restore, less than 14 days ago".to_owned());
        }
        if within.as_ref().is_some_and(|since| zoned(one) >= *since) {
            reasons.push("within".to_owned());
        }
        verdicts.push(Verdict { id: one.id, reasons });
    }
    for rule in policy.rules() {
        let values: Vec<String> =
            judged.iter().enumerate().map(|(number, one)| (rule.of)(&zoned(one), number)).collect();
        for (at, reason) in kept_by(&rule, &values, &judged) {
            verdicts.extend_reason(at, reason);
        }
    }
    // The last complete one is what all else is for.
    if let Some(at) = judged.iter().position(|one| one.is_complete)
        && verdicts.get(at).is_some_and(|verdict| verdict.reasons.is_empty())
    {
        verdicts.extend_reason(at, "newest complete".to_owned());
    }
    verdicts
}

trait ExtendReason {
    fn extend_reason(&mut self, at: usize, reason: String);
}

impl ExtendReason for Vec<Verdict> {
    fn extend_reason(&mut self, at: usize, reason: String) {
        if let Some(verdict) = self.get_mut(at) {
            verdict.reasons.push(reason);
        }
    }
}

/// What a rule over time keeps of snapshots, newest first, each with its value: of each value the
/// newest complete one, as many as it wants. Incomplete ones take no complete one's place: they
/// stay beside them where theirs is the only one of its value.
fn kept_by(rule: &Rule, values: &[String], judged: &[Judged<'_>]) -> Vec<(usize, String)> {
    let mut kept = Vec::new();
    let (mut left, mut left_beside) = (rule.count, rule.count);
    let mut start = 0;
    for group in values.chunk_by(|a, b| a == b) {
        let members = start..start + group.len();
        start = members.end;
        match members.clone().find(|at| judged.get(*at).is_some_and(|one| one.is_complete)) {
            Some(at) if left.take() => kept.push((at, rule.name.to_owned())),
            Some(_) => {}
            None if left_beside.clone().take() => {
                // One that was taken before a restore is kept for a while anyway, and says why.
                let is_safety = judged.get(members.start).is_some_and(|one| one.record.is_safety());
                kept.push((
                    members.start,
                    if is_safety {
                        rule.name.to_owned()
                    } else {
                        format!("{}, incomplete", rule.name)
                    },
                ));
            }
            None => {}
        }
        // Both count the values that are behind them.
        left_beside.take();
    }
    // While some are left, the oldest stays too: history reaches as far back as it can.
    let oldest = judged.iter().rposition(|one| one.is_complete).or(judged.len().checked_sub(1));
    if let Some(at) = oldest.filter(|at| left.take() && !kept.iter().any(|(known, _)| known == at))
    {
        kept.push((at, format!("oldest {}", rule.name)));
    }
    kept
}

#[cfg(test)]
#[path = "retention_tests.rs"]
mod tests;
