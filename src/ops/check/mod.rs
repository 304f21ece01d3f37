//! `check`: is everything there, readable and right? The structure always, the data as far as it is
//! asked for; what is wrong is told as files and snapshots.

mod damage;
mod keys;
mod packs;
mod read;
mod read_log;
mod scrub;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backend::Span;
use crate::limits::RECORD_BYTES_MAX;
use crate::manifest::{Catalog, Chain, FileHash, SnapshotId, Standing, file_hash, went_back};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, Repository, snapshot_copy_name, snapshot_name};

use super::reach::{Unnamed, unnamed_trees};
use super::{Error, Monitor};

pub use damage::Damage;
pub(super) use packs::check_packs;
pub use read::ReadReport;
pub(super) use read::{BadChunks, is_whole_pack, read_packs};
pub use scrub::scrub;
pub(super) use trees::Trees;

/// How much of the data is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// None: the structure alone.
    #[default]
    Nothing,
    /// All.
    All,
    /// So many hundredths, those that were not read for longest first.
    Percent(f64),
    /// So many bytes, the same.
    Bytes(u64),
    /// As much as can be read in this time, the same.
    For(Duration),
    /// What was not read for so long.
    UnreadFor(Duration),
}

/// How to check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckOptions {
    /// How much of the data is read.
    pub read: Share,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// Something that is wrong with a file of the repository.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The file.
    pub name: String,
    /// What is wrong, and what that means.
    pub what: String,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct CheckReport {
    /// Snapshots that were gone through.
    pub snapshots: u64,
    /// Packs that are there.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Files of the repository that are wrong.
    pub findings: Vec<Finding>,
    /// Files of snapshots that cannot be brought back, as many as are named.
    pub damage: Vec<Damage>,
    /// All of them, counted.
    pub damage_count: u64,
    /// Every snapshot that has some.
    pub damaged_snapshots: BTreeSet<SnapshotId>,
    /// What the user should know and is no damage.
    pub remarks: Vec<String>,
    /// What was read.
    pub read: ReadReport,
    /// Packs that are damaged.
    pub damaged_packs: Vec<[u8; 16]>,
    /// Files of the repository that could not be read: nothing is known of them.
    pub unread: BTreeSet<String>,
    /// Chunks in them that are not what they should be, with the pack and what is wrong.
    pub bad_chunks: Vec<([u8; 16], crate::chunk::ChunkId, &'static str)>,
}

impl CheckReport {
    /// Whether all is well.
    pub fn is_ok(&self) -> bool {
        self.findings.is_empty() && self.damage_count == 0
    }
}

/// Checks a repository. Changes nothing but the log of what was read.
pub fn check(
    repository: &Repository,
    options: &CheckOptions,
    monitor: &Monitor,
) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    report.findings.extend(
        repository
            .config_damage()
            .into_iter()
            .map(|(name, what)| Finding { name: name.to_owned(), what }),
    );
    report.findings.extend(keys::check(repository)?);
    let index = Index::open(repository, IndexMode::UseAndList)?;
    let catalog = Catalog::load(repository)?;
    for (name, error) in &catalog.damaged {
        report.findings.push(Finding { name: name.clone(), what: super::in_one_line(error) });
    }
    check_list(repository, &mut report)?;
    check_copies(repository, &mut report)?;
    monitor.progress.phase(Phase::Check, 0, 0);
    let packs = check_packs(repository, &index, &mut report, monitor)?;
    // An index that lies would make files look lost: the packs themselves are asked.
    let index = if report.findings.iter().any(|finding| finding.name == packs::INDEX) {
        Index::open(repository, IndexMode::Rebuild)?
    } else {
        index
    };
    let bad = read_packs(repository, packs, options, &mut report, monitor)?;
    monitor.progress.phase(Phase::Check, catalog.snapshots.len() as u64, 0);
    let mut trees = Trees::new(repository, &index, bad).telling_unread();
    if !trees.are_whole(&catalog.snapshots, monitor)? {
        monitor.progress.phase(Phase::Check, catalog.snapshots.len() as u64, 0);
        for (id, record) in &catalog.snapshots {
            trees.snapshot(*id, record, &mut report, monitor)?;
            monitor.progress.advance(1, 0);
        }
    }
    report.unread.append(&mut trees.unread);
    check_unnamed(repository, &index, &catalog, &mut report, monitor)?;
    report.snapshots = catalog.snapshots.len() as u64;
    report.findings.sort();
    report.findings.dedup();
    Ok(report)
}

/// Trees that may be all that is left of snapshots whose records are gone.
fn check_unnamed(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    report: &mut CheckReport,
    monitor: &Monitor,
) -> Result<(), Error> {
    let Unnamed { trees, records } = unnamed_trees(repository, index, &catalog.snapshots, monitor)?;
    if let Some(name) = Standing::damaged_file(repository)? {
        let what = "the record of when the list of snapshots began is damaged. No snapshot is lost. Run jellyvault repair to write it again".to_owned();
        report.findings.push(Finding { name: name.to_owned(), what });
    }
    if Standing::of(repository)? == Standing::Lost {
        let what = "the list of snapshots is missing, but the repository contains data. Run jellyvault repair to write a new list".to_owned();
        report.findings.push(Finding { name: "list".to_owned(), what });
    }
    if !trees.is_empty() {
        let files: u64 = trees.iter().map(|tree| tree.files).max().unwrap_or_default();
        let what = format!(
            "{} of up to {files} files, of no listed snapshot, because records of snapshots were lost ({} can be read from copies). Run jellyvault \
             repair to recover the snapshots",
            if trees.len() == 1 {
                "there is a tree".to_owned()
            } else {
                format!("there are {} trees", trees.len())
            },
            records.len()
        );
        report.findings.push(Finding { name: "packs".to_owned(), what });
    }
    Ok(())
}

/// The list of snapshots against its chain.
fn check_list(repository: &Repository, report: &mut CheckReport) -> Result<(), Error> {
    // Where nobody may write there is nobody to wait for.
    let _lock = repository.lock_list().ok();
    if let Some(went_back) = went_back(repository)? {
        report.findings.push(Finding { name: "list".to_owned(), what: went_back.words() });
    }
    let chain = Chain::load(repository)?;
    for irregular in chain.irregularities(&record_hashes(repository)?) {
        report.findings.push(Finding { name: irregular.name, what: irregular.what });
    }
    let adopted: Vec<_> = chain
        .listed
        .values()
        .filter(|listed| listed.is_adopted)
        .map(|listed| super::ls::short(&listed.id))
        .collect();
    if !adopted.is_empty() {
        report.remarks.push(format!(
            "{} not added to the list when taken, but found later: the list is newer than the snapshot, or the snapshot was interrupted at the very end, or the record was added from elsewhere ({})",
            if adopted.len() == 1 { "one snapshot was" } else { "some snapshots were" },
            adopted.join(", ")
        ));
    }
    Ok(())
}

/// Second copies of records, in a repository with parity.
fn check_copies(repository: &Repository, report: &mut CheckReport) -> Result<(), Error> {
    // Where nobody may write there is nobody to wait for.
    let _lock = repository.lock_list().ok();
    if repository.config().parity_permille == 0 {
        return Ok(());
    }
    let hashes = record_hashes(repository)?;
    let copies: BTreeMap<SnapshotId, Vec<u8>> = Catalog::copies(repository)?.into_iter().collect();
    for (id, hash) in hashes {
        let what = match copies.get(&id) {
            None => {
                "the second copy of the snapshot's record is missing; jellyvault repair restores it"
            }
            Some(bytes) if file_hash(bytes) == hash => continue,
            Some(bytes) if Catalog::is_record(repository, id, bytes) => {
                "the second copy of the snapshot's record is another record"
            }
            Some(_) => {
                "the second copy of the snapshot's record is damaged; jellyvault repair restores it"
            }
        };
        report.findings.push(Finding { name: snapshot_copy_name(&id.0), what: what.to_owned() });
    }
    Ok(())
}

/// The hashes of the records that are there.
pub(super) fn record_hashes(
    repository: &Repository,
) -> Result<BTreeMap<SnapshotId, FileHash>, Error> {
    let mut hashes = BTreeMap::new();
    for id in Catalog::ids(repository)? {
        match repository
            .backend()
            .read(&snapshot_name(&id.0), Span::Whole { limit: RECORD_BYTES_MAX })
        {
            Ok(bytes) => drop(hashes.insert(id, file_hash(&bytes))),
            // Forgotten meanwhile, or told as damaged.
            Err(error) => match crate::store::Error::from(error) {
                error if error.is_damage() => {}
                error => return Err(error.into()),
            },
        }
    }
    Ok(hashes)
}
