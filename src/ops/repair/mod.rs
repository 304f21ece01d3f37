//! `repair`: what is damaged is mended with what is at hand (parity, another copy, the source's
//! unchanged file); what cannot be is named, and taken out of the snapshots that have it. Nothing
//! goes before what takes its place is durable.

mod from_packs;
mod from_source;
mod list;
mod packs;
mod parity;
mod refuse;
mod report;
mod trim;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::{Catalog, FileHash, SnapshotId, Standing, accept_list};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, PackStreams, Repository, pack_name, snapshot_name};

use super::check::{BadChunks, CheckReport, Trees};
use super::ingest::packer::Packer;
use super::{CheckOptions, Error, Monitor, Share, check};

use self::packs::BadPack;
use self::parity::put_parity_right;
use self::refuse::{refuse_absence, refuse_closed, refuse_newer};

pub use self::report::{LostPath, Mended, RepairReport};

/// How to repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairOptions {
    /// Trust what is not seen to be damaged: no data is read.
    pub quick: bool,
    /// Find out what would be done, change nothing.
    pub dry_run: bool,
    /// Write recovery blocks for all packs from now on, in thousandths of their size; 0 removes
    /// them.
    pub add_parity: Option<u32>,
    /// Go on though most packs are gone: what they held is given up.
    pub give_up_missing: bool,
    /// Threads; 0 means one for each core.
    pub threads: usize,
    /// How long other processes that use the repository are waited for.
    pub wait: Duration,
}

impl Default for RepairOptions {
    fn default() -> RepairOptions {
        RepairOptions {
            quick: false,
            dry_run: false,
            add_parity: None,
            give_up_missing: false,
            threads: 0,
            wait: super::prune::WAIT,
        }
    }
}

/// Mends a repository; alone with it all the while.
///
/// # Errors
/// [`Error::StillInUse`] where others use the repository for longer than `wait`, [`Error::Refused`]
/// where most packs are gone and nobody gave them up, [`Error::Interrupted`], and [`Error::Store`]
/// where it cannot be read or written: what cannot be read is not taken for lost.
pub fn repair(
    repository: &Repository,
    options: &RepairOptions,
    monitor: &Monitor,
) -> Result<RepairReport, Error> {
    let outcome = if options.dry_run {
        look(repository, options, monitor)
    } else {
        let _work = super::prune::alone_at_work(repository, options.wait, monitor)?;
        repository
            .exclusively(&|waited| super::prune::still_waits(waited, options.wait, monitor), || {
                work(repository, options, monitor)
            })
    };
    outcome.map_err(|error| match error.unread_file() {
        Some(name) => packs::unread(name),
        None => error,
    })
}

fn examine(
    repository: &Repository,
    options: &RepairOptions,
    monitor: &Monitor,
) -> Result<CheckReport, Error> {
    let read = if options.quick { Share::Nothing } else { Share::All };
    check(repository, &CheckOptions { read, threads: options.threads }, monitor)
}

/// What would be done.
fn look(
    repository: &Repository,
    options: &RepairOptions,
    monitor: &Monitor,
) -> Result<RepairReport, Error> {
    let mut report = RepairReport {
        dry_run: options.dry_run,
        found: examine(repository, options, monitor)?,
        ..RepairReport::default()
    };
    if report.found.findings.iter().any(|finding| finding.name == "packs") {
        report.mended("packs", "snapshots can be rebuilt from trees that belong to no snapshot");
    }
    let known = Index::open(repository, IndexMode::UseAndList)?;
    refuse_absence(repository, &known, options)?;
    refuse_closed(repository, &report.found)?;
    let mut bad = HashSet::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(_) => report.mended(pack_name(&id), "it can be repaired from its parity"),
            None if report.found.unread.contains(&pack_name(&id)) => {
                return Err(packs::unread(&pack_name(&id)));
            }
            None => drop(bad.insert(id)),
        }
    }
    let lost_chunks: BadChunks = report
        .found
        .bad_chunks
        .iter()
        .filter(|(pack, ..)| bad.contains(pack))
        .map(|(_, chunk, what)| (*chunk, *what))
        .collect();
    let catalog = Catalog::load(repository)?;
    let mut damage = CheckReport::default();
    let mut trees = Trees::new(repository, &known, lost_chunks);
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut damage, monitor)?;
    }
    for damage in damage.damage {
        if from_source::could_be_read(repository, &known, &catalog, &damage)? {
            report.mended(
                damage.path,
                "can be read again from the server, where the file is unchanged",
            );
            continue;
        }
        report.lost(LostPath {
            snapshot: Some(damage.snapshot),
            now: None,
            path: damage.path,
            what: damage.what,
            entries: damage.entries,
        });
    }
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

fn work(
    repository: &Repository,
    options: &RepairOptions,
    monitor: &Monitor,
) -> Result<RepairReport, Error> {
    super::prune::finish_forgetting(repository)?;
    // What a prune or repair gave up and left behind counts again: it is looked at like all else.
    let known = Index::open(repository, IndexMode::UseAndList)?;
    if !known.condemned().is_empty() {
        remove_index(repository)?;
    }
    let mut report = RepairReport {
        dry_run: options.dry_run,
        found: examine(repository, options, monitor)?,
        ..RepairReport::default()
    };
    refuse_absence(repository, &known, options)?;
    refuse_newer(repository, &report.found)?;
    refuse_closed(repository, &report.found)?;
    monitor.progress.phase(Phase::Mend, 0, 0);
    let config_damage = repository.config_damage();
    if !config_damage.is_empty() || options.add_parity.is_some() {
        repository.rewrite_config(options.add_parity)?;
        config_damage.iter().for_each(|(name, _)| {
            report.mended(*name, "restored from the other copy of the settings")
        });
    }

    for name in repository.key_slots()?.mend(repository.backend())? {
        report.mended(name, "restored from its second copy: the same passphrase opens it");
    }

    list::records_from_copies(repository, &mut report)?;

    let bad = mend_packs(repository, &known, &mut report)?;
    let given_up: HashSet<[u8; 16]> = bad.iter().map(|pack| pack.id).collect();
    let index = Index::open_without(repository, IndexMode::Rebuild, &given_up)?;
    if report.found.findings.iter().any(|finding| finding.name == "index.redb") {
        report.mended("index.redb", "rebuilt from the packs");
    }
    salvage(repository, &index, &bad, &mut report)?;
    let recovered = from_packs::records(repository, &index, &mut report, monitor)?;
    let (snapshots, lost_records) = mend_snapshots(repository, &index, &mut report, monitor)?;
    list::change_list(repository, (snapshots, recovered), lost_records, &mut report)?;
    Standing::settle(repository, jiff::Timestamp::now().as_nanosecond() as i64)?;
    accept_list(repository)?;

    // From here on nothing needs the damaged packs.
    if !index.commit_without(&given_up)? {
        remove_index(repository)?;
    }
    for pack in &bad {
        super::prune::remove_pack(repository, &pack.id)?;
        let what = if pack.trailer.is_some() {
            "deleted; everything readable in it is in new packs"
        } else {
            "deleted: nothing in it could be read"
        };
        report.mended(pack_name(&pack.id), what);
    }
    repository.backend().sync().map_err(crate::store::Error::from)?;
    put_parity_right(repository, options.add_parity, &mut report, monitor)?;
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

/// Without an index file all trailers are read the next time.
fn remove_index(repository: &Repository) -> Result<(), Error> {
    let Some(place) = repository.index_place() else { return Ok(()) };
    Ok(place.remove().map_err(|source| crate::store::Error::Local {
        verb: "remove",
        path: place.path.clone(),
        source,
    })?)
}

/// Makes packs what they were, by their parity; those that parity does not help.
fn mend_packs(
    repository: &Repository,
    known: &Index,
    report: &mut RepairReport,
) -> Result<Vec<BadPack>, Error> {
    let mut bad = Vec::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(bytes) => {
                packs::replace(repository, &id, &bytes)?;
                report.mended(pack_name(&id), "repaired from its parity: its content is as before");
            }
            // It could not be read a moment ago: what is read now need not be all of it.
            None if report.found.unread.contains(&pack_name(&id)) => {
                return Err(packs::unread(&pack_name(&id)));
            }
            None => bad.push(packs::examine(repository, known, &id)?),
        }
    }
    Ok(bad)
}

/// Copies what is whole of damaged packs into new ones.
fn salvage(
    repository: &Repository,
    index: &Index,
    bad: &[BadPack],
    report: &mut RepairReport,
) -> Result<(), Error> {
    if bad.is_empty() {
        return Ok(());
    }
    let mut streams = PackStreams::new(repository, index, packs::STREAMS);
    for pack in bad {
        let saved = packs::salvage(repository, index, pack, &mut streams)?;
        if saved > 0 {
            report.mended(pack_name(&pack.id), format!("{saved} intact chunks were saved"));
        }
    }
    streams.finish()?;
    Ok(())
}

/// New records in place of old ones.
type NewRecords = Vec<(SnapshotId, SnapshotId, FileHash)>;

/// What the source still has is stored again; what is lost then is taken out of the snapshots:
/// (old, new) records, and records that cannot be read.
fn mend_snapshots(
    repository: &Repository,
    index: &Index,
    report: &mut RepairReport,
    monitor: &Monitor,
) -> Result<(NewRecords, Vec<SnapshotId>), Error> {
    let catalog = Catalog::load(repository)?;
    let mut damage = damage_in(repository, index, &catalog, monitor)?;
    while damage.damage_count > 0 {
        from_source::store_again(repository, index, &catalog, &damage, report, monitor)?;
        let left = damage_in(repository, index, &catalog, monitor)?;
        // Only so many are named at a time: once more, as long as that helps.
        let is_all = left.damage_count == damage.damage_count
            || damage.damage.len() as u64 == damage.damage_count;
        damage = left;
        if is_all {
            break;
        }
    }
    let mut new = Vec::new();
    if !damage.damaged_snapshots.is_empty() {
        let config = repository.config();
        let mut packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
        let mut streams = PackStreams::new(repository, index, packs::STREAMS);
        let mut trees = Trees::new(repository, index, HashMap::new());
        let mut records = Vec::new();
        for (old, record) in
            catalog.snapshots.iter().filter(|(id, _)| damage.damaged_snapshots.contains(id))
        {
            let mut own = CheckReport::default();
            trees.snapshot(*old, record, &mut own, monitor)?;
            let (id, record) = (
                trim::new_id(old)?,
                trim::without(record, &own, &mut trees, &mut packer, index, &mut streams)?,
            );
            trim::store_copy(id, &record, &mut packer, index, &mut streams)?;
            records.push((*old, id, record, own));
        }
        trim::flush(&mut packer, &mut streams)?;
        streams.finish()?;
        for (old, id, record, own) in records {
            let hash = Catalog::write(repository, id, &record)?;
            for damage in own.damage {
                report.lost(LostPath {
                    snapshot: Some(old),
                    now: Some(id),
                    path: damage.path,
                    what: damage.what,
                    entries: damage.entries,
                });
            }
            new.push((old, id, hash));
        }
    }
    let mut unreadable = Vec::new();
    for (name, error) in &catalog.damaged {
        let id = Catalog::ids(repository)?.into_iter().find(|id| snapshot_name(&id.0) == *name);
        report.lost(LostPath {
            snapshot: id,
            now: None,
            path: name.clone(),
            what: format!("the whole snapshot: {}", super::in_one_line(error)),
            entries: 0,
        });
        unreadable.extend(id);
    }
    Ok((new, unreadable))
}

fn damage_in(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    monitor: &Monitor,
) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    let mut trees = Trees::new(repository, index, HashMap::new());
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut report, monitor)?;
    }
    Ok(report)
}
