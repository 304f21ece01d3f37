//! Of what keeps a repository well.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::manifest::Catalog;
use crate::progress::{PlanSummary, Problem};

use super::super::check::{CheckReport, Damage, Finding, ReadReport};
use super::super::forget::{Forgetting, source_name};
use super::super::moment::time;
use super::super::prune::PruneReport;

/// Damage of the repository's own files and that of snapshots, in one list.
#[derive(Serialize)]
#[serde(untagged)]
enum DamageDocument<'r> {
    OfRepository { snapshot: (), path: &'r str, what: &'r str },
    OfSnapshot(&'r Damage),
}

#[derive(Serialize)]
struct CheckDocument<'r> {
    ok: bool,
    snapshots: u64,
    packs: u64,
    pack_bytes: u64,
    read: &'r ReadReport,
    files: &'r [Finding],
    unread: &'r BTreeSet<String>,
    damage: Vec<DamageDocument<'r>>,
    damage_count: u64,
    remarks: &'r [String],
}

impl Serialize for CheckReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let of_repository = self.findings.iter().map(|finding| DamageDocument::OfRepository {
            snapshot: (),
            path: &finding.name,
            what: &finding.what,
        });
        let document = CheckDocument {
            ok: self.is_ok(),
            snapshots: self.snapshots,
            packs: self.packs,
            pack_bytes: self.pack_bytes,
            read: &self.read,
            files: &self.findings,
            unread: &self.unread,
            damage: of_repository
                .chain(self.damage.iter().map(DamageDocument::OfSnapshot))
                .collect(),
            damage_count: self.damage_count,
            remarks: &self.remarks,
        };
        document.serialize(out)
    }
}

#[derive(Serialize)]
struct PlanDocument {
    packs: PlanPacks,
    bytes: PlanBytes,
}

#[derive(Serialize)]
struct PlanPacks {
    total: u64,
    kept: u64,
    dropped: u64,
    rewritten: u64,
}

#[derive(Serialize)]
struct PlanBytes {
    total: u64,
    unused: u64,
    freed: u64,
    rewritten: u64,
    unused_after: u64,
}

impl From<&PlanSummary> for PlanDocument {
    fn from(plan: &PlanSummary) -> PlanDocument {
        PlanDocument {
            packs: PlanPacks {
                total: plan.packs,
                kept: plan.kept,
                dropped: plan.dropped,
                rewritten: plan.rewritten,
            },
            bytes: PlanBytes {
                total: plan.bytes,
                unused: plan.unused,
                freed: plan.freed,
                rewritten: plan.moved_bytes,
                unused_after: plan.unused_after,
            },
        }
    }
}

#[derive(Serialize)]
struct PruneDocument<'r> {
    plan: PlanDocument,
    dry_run: bool,
    removed: u64,
    freed: u64,
    written: u64,
    needed_again: u64,
    problems: &'r [Problem],
}

impl Serialize for PruneReport {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let document = PruneDocument {
            plan: (&self.plan).into(),
            dry_run: self.dry_run,
            removed: self.removed,
            freed: self.freed,
            written: self.written,
            needed_again: self.needed_again,
            problems: &self.problems,
        };
        document.serialize(out)
    }
}

/// A snapshot that a plan to forget judged.
#[derive(Serialize)]
struct VerdictDocument<'r> {
    id: String,
    time: String,
    label: Option<&'r str>,
    source: String,
    reason: String,
    reasons: Vec<&'r str>,
}

/// Why a snapshot goes.
const NO_RULE: &str = "no rule keeps it";

/// What forgetting does, or would do.
#[derive(Serialize)]
pub struct ForgetDocument<'r> {
    kept: Vec<VerdictDocument<'r>>,
    forgotten: Vec<VerdictDocument<'r>>,
    would_free: Option<u64>,
    dry_run: bool,
    /// The prune that followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    prune: Option<&'r PruneReport>,
}

impl<'r> ForgetDocument<'r> {
    /// Of a plan, and of the prune that followed it.
    pub fn of(
        catalog: &'r Catalog,
        forgetting: &'r Forgetting,
        dry_run: bool,
        prune: Option<&'r PruneReport>,
    ) -> ForgetDocument<'r> {
        let (mut kept, mut forgotten) = (Vec::new(), Vec::new());
        for verdict in &forgetting.verdicts {
            let Some((id, record)) = catalog.snapshots.iter().find(|(id, _)| *id == verdict.id)
            else {
                continue;
            };
            let goes = verdict.reasons.is_empty();
            let reasons: Vec<&str> = if goes {
                vec![NO_RULE]
            } else {
                verdict.reasons.iter().map(String::as_str).collect()
            };
            let row = VerdictDocument {
                id: id.to_string(),
                time: time(record.time_ns),
                label: record.label.as_deref(),
                source: source_name(record),
                reason: reasons.join(", "),
                reasons,
            };
            if goes { &mut forgotten } else { &mut kept }.push(row);
        }
        ForgetDocument { kept, forgotten, would_free: forgetting.would_free, dry_run, prune }
    }
}
