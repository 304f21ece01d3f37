//! `copy`: snapshots into another repository, which may have other keys, other settings and
//! snapshots of its own.
//!
//! What is read is proved by its ids and stored anew, as a capture would. A snapshot keeps its id,
//! so that it is known when it is there already.

mod past;
mod tree;

use serde::{Deserialize, Serialize};

use crate::manifest::{Catalog, Chain, SnapshotId, SnapshotRecord, Standing, went_back};
use crate::progress::{Phase, Problem};
use crate::store::{Location, Repository};

use super::adopt::adopt;
use super::taken::Taken;
use super::{Error, ErrorKind, Monitor};

/// What to copy, and how.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyOptions {
    /// These snapshots alone.
    pub snapshots: Option<Vec<SnapshotId>>,
    /// Whether this user made the source. What gives files power is not restored from a snapshot of
    /// anybody else's, wherever it was copied to.
    pub trusts_source: bool,
    /// Copy snapshots again that were copied before and forgotten in the target.
    pub again: bool,
    /// Say what would be copied.
    pub dry_run: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CopyReport {
    /// Snapshots that were copied.
    pub snapshots: Vec<SnapshotId>,
    /// Snapshots that the target had already.
    pub were_there: u64,
    /// Snapshots that were forgotten in the target, and so not copied again.
    pub forgotten_there: u64,
    /// Bytes that were stored in the target.
    pub stored: u64,
    /// Nothing was copied.
    pub dry_run: bool,
    /// Snapshots that could not be copied, and why.
    pub problems: Vec<Problem>,
}

/// Copies snapshots.
///
/// # Errors
/// [`Error::Refused`] where the target is the source; else where a file cannot be read or written.
/// What was copied before stays.
pub fn copy(
    source: &Repository,
    target: &Repository,
    options: &CopyOptions,
    monitor: &Monitor,
) -> Result<CopyReport, Error> {
    if source.config().id == target.config().id {
        return Err(Error::Refused {
            what: "the target is the same repository, or a copy of it that jellyvault sync made"
                .to_owned(),
            hint: "To bring such a copy up to date, use jellyvault sync.".to_owned(),
        });
    }
    let (ours, mut theirs) = (Catalog::load(source)?, Catalog::load(target)?);
    let kept = Chain::kept(source)?;
    let mut taken = Taken::read(target)?;
    let mut report = CopyReport { dry_run: options.dry_run, ..CopyReport::default() };
    // What is there can be copied; what is missing must not go unnoticed.
    report.problems.extend(went_back(source)?.map(|went_back| went_back.problem()));
    for (name, error) in &ours.damaged {
        report.problems.push(Problem {
            path: name.clone(),
            what: format!("it was not copied: {}", super::in_one_line(error)),
        });
    }
    let wanted = ours
        .snapshots
        .iter()
        .filter(|(id, _)| options.snapshots.as_ref().is_none_or(|wanted| wanted.contains(id)));
    let (there, missing): (Vec<_>, Vec<_>) =
        wanted.partition(|(id, _)| theirs.snapshots.iter().any(|(other, _)| other == id));
    report.were_there = there.len() as u64;
    let (new, forgotten): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|(id, _)| options.again || !taken.has(id));
    report.forgotten_there = forgotten.len() as u64;
    if options.dry_run {
        report.snapshots = new.iter().map(|(id, _)| *id).collect();
        return Ok(report);
    }
    let bytes = new.iter().map(|(_, record)| record.bytes.source).sum();
    monitor.progress.phase(
        Phase::CopySnapshots,
        new.iter().map(|(_, record)| record.files.total).sum(),
        bytes,
    );
    adopt(target, &theirs)?;
    for snapshot in new {
        let (id, record) = snapshot;
        Standing::begin(
            target,
            jiff::Timestamp::now().as_nanosecond().try_into().unwrap_or_default(),
        )?;
        let before = before(snapshot, &ours, &theirs);
        match tree::copy((source, target), snapshot, before, monitor) {
            Ok((mut record, stored)) => {
                if !options.trusts_source {
                    record.mark_foreign();
                }
                Catalog::publish(target, *id, &record, kept.contains(id))?;
                taken.add(target, *id)?;
                report.stored += stored;
                report.snapshots.push(*id);
                theirs.snapshots.push((*id, record));
            }
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let what = format!(
                    "the snapshot of {} was not copied, because part of it is damaged ({})",
                    record.source.host,
                    super::in_one_line(&error)
                );
                report.problems.push(Problem { path: super::ls::short(id), what });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

/// The nearest earlier snapshot of the same server that the target has, as it is here and there:
/// what is the same is not read again.
fn before<'c>(
    (id, record): &(SnapshotId, SnapshotRecord),
    ours: &'c Catalog,
    theirs: &'c Catalog,
) -> Option<(&'c SnapshotRecord, &'c SnapshotRecord)> {
    let is_same = |other: &SnapshotRecord| {
        other.source.key == record.source.key
            || (other.server.id.is_some() && other.server.id == record.server.id)
    };
    let earlier = ours
        .snapshots
        .iter()
        .take_while(|(other, _)| other != id)
        .filter(|(_, other)| is_same(other));
    let both = earlier.filter_map(|(id, own)| {
        Some((
            own,
            theirs.snapshots.iter().find(|(other, _)| other == id).map(|(_, record)| record)?,
        ))
    });
    both.last()
}

/// Where a repository is, for messages.
pub(super) fn shown(location: &Location) -> String {
    match location {
        Location::Folder(folder) => folder.display().to_string(),
        Location::Memory => "the target".to_owned(),
    }
}
