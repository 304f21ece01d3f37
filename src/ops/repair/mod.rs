//! `repair`: what is damaged is mended with what is at hand (parity, another copy, the source's unchanged file); what cannot be is
//! named, and taken out of the snapshots that have it. Nothing goes before what takes its place is durable.

mod from_packs;
mod from_source;
mod list;
mod packs;
mod trim;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::{Catalog, FileHash, SnapshotId, Standing, accept_list};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, PackStreams, Parity, Repository, pack_id, pack_name, parity_name, parity_pack, snapshot_name};

use super::check::{BadChunks, CheckReport, Trees};
use super::ingest::packer::Packer;
use super::{CheckOptions, Error, Monitor, Share, check};

use self::packs::BadPack;

/// How to repair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepairOptions {
    /// Trust what is not seen to be damaged: no data is read.
    pub quick: bool,
    /// Find out what would be done, change nothing.
    pub dry_run: bool,
    /// Write recovery blocks for all packs from now on, in thousandths of their size; 0 removes them.
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
        RepairOptions { quick: false, dry_run: false, add_parity: None, give_up_missing: false, threads: 0, wait: super::prune::WAIT }
    }
}

/// Something that was mended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mended {
    /// A file of the repository, or a path of snapshots.
    pub path: String,
    /// What was done.
    pub what: String,
}

/// A path of a snapshot that is lost for good, or a whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LostPath {
    /// The snapshot, as it was.
    pub snapshot: Option<SnapshotId>,
    /// The snapshot that stands for it now, without what is lost.
    pub now: Option<SnapshotId>,
    /// The path.
    pub path: String,
    /// Why it is lost.
    pub what: String,
    /// Entries that it stands for.
    pub entries: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RepairReport {
    /// Nothing was changed: what is told would be done.
    pub dry_run: bool,
    /// What was wrong before.
    pub found: CheckReport,
    /// What was mended.
    pub mended: Vec<Mended>,
    /// What is lost for good.
    pub lost: Vec<LostPath>,
    /// Entries that are lost, counted.
    pub lost_count: u64,
}

/// Lost paths that are named; beyond them they are counted.
const LOST_NAMED_MAX: usize = 100_000;

impl RepairReport {
    fn mended(&mut self, path: impl Into<String>, what: impl Into<String>) {
        self.mended.push(Mended { path: path.into(), what: what.into() });
    }

    fn lost(&mut self, lost: LostPath) {
        self.lost_count += lost.entries.max(1);
        if self.lost.len() < LOST_NAMED_MAX {
            self.lost.push(lost);
        }
    }
}

/// Mends a repository; alone with it all the while.
///
/// # Errors
/// [`Error::StillInUse`] where others use the repository for longer than `wait`, [`Error::Refused`] where most packs are gone and nobody gave them
/// up, [`Error::Interrupted`], and [`Error::Store`] where it cannot be read or written: what cannot be read is not taken for lost.
pub fn repair(repository: &Repository, options: &RepairOptions, monitor: &Monitor) -> Result<RepairReport, Error> {
    let outcome = if options.dry_run {
        look(repository, options, monitor)
    } else {
        let _work = super::prune::alone_at_work(repository, options.wait, monitor)?;
        repository.exclusively(&|waited| super::prune::still_waits(waited, options.wait, monitor), || work(repository, options, monitor))
    };
    outcome.map_err(|error| match error.unread_file() {
        Some(name) => packs::unread(name),
        None => error,
    })
}

fn examine(repository: &Repository, options: &RepairOptions, monitor: &Monitor) -> Result<CheckReport, Error> {
    let read = if options.quick { Share::Nothing } else { Share::All };
    check(repository, &CheckOptions { read, threads: options.threads }, monitor)
}

/// What would be done.
fn look(repository: &Repository, options: &RepairOptions, monitor: &Monitor) -> Result<RepairReport, Error> {
    let mut report = RepairReport { dry_run: options.dry_run, found: examine(repository, options, monitor)?, ..RepairReport::default() };
    if report.found.findings.iter().any(|finding| finding.name == "packs") {
        report.mended("packs", "snapshots can be rebuilt from trees that belong to no snapshot");
    }
    let known = Index::open(repository, IndexMode::UseAndList)?;
    refuse_absence(repository, &known, options)?;
    let mut bad = HashSet::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(_) => report.mended(pack_name(&id), "it can be repaired from its parity"),
            None if report.found.unread.contains(&pack_name(&id)) => return Err(packs::unread(&pack_name(&id))),
            None => drop(bad.insert(id)),
        }
    }
    let lost_chunks: BadChunks = report.found.bad_chunks.iter().filter(|(pack, ..)| bad.contains(pack)).map(|(_, chunk, what)| (*chunk, *what)).collect();
    let catalog = Catalog::load(repository)?;
    let mut damage = CheckReport::default();
    let mut trees = Trees::new(repository, &known, lost_chunks);
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut damage, monitor)?;
    }
    for damage in damage.damage {
        if from_source::could_be_read(repository, &known, &catalog, &damage)? {
            report.mended(damage.path, "can be read again from the server, where the file is unchanged");
            continue;
        }
        report.lost(LostPath { snapshot: Some(damage.snapshot), now: None, path: damage.path, what: damage.what, entries: damage.entries });
    }
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

fn work(repository: &Repository, options: &RepairOptions, monitor: &Monitor) -> Result<RepairReport, Error> {
    super::prune::finish_forgetting(repository)?;
    // What a prune or repair gave up and left behind counts again: it is looked at like all else.
    let known = Index::open(repository, IndexMode::UseAndList)?;
    if !known.condemned().is_empty()
        && let Some(place) = repository.index_place()
    {
        place.remove().map_err(|source| crate::store::Error::Local { verb: "remove", path: place.path.clone(), source })?;
    }
    let mut report = RepairReport { dry_run: options.dry_run, found: examine(repository, options, monitor)?, ..RepairReport::default() };
    refuse_absence(repository, &known, options)?;
    refuse_newer(repository, &report.found)?;
    monitor.progress.phase(Phase::Mend, 0, 0);
    let config_damage = repository.config_damage();
    if !config_damage.is_empty() || options.add_parity.is_some() {
        repository.rewrite_config(options.add_parity)?;
        config_damage.iter().for_each(|(name, _)| report.mended(*name, "restored from the other copy of the settings"));
    }

    for name in repository.key_slots()?.mend(repository.backend())? {
        report.mended(name, "restored from its second copy: the same passphrase opens it");
    }

    list::records_from_copies(repository, &mut report)?;

    // Packs: as they were by their parity, or what is left of them into new ones.
    let mut bad = Vec::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(bytes) => {
                packs::replace(repository, &id, &bytes)?;
                report.mended(pack_name(&id), "repaired from its parity: its content is as before");
            }
            // It could not be read a moment ago: what is read now need not be all of it.
            None if report.found.unread.contains(&pack_name(&id)) => return Err(packs::unread(&pack_name(&id))),
            None => bad.push(packs::examine(repository, &known, &id)?),
        }
    }
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
    if !index.commit_without(&given_up)?
        && let Some(place) = repository.index_place()
    {
        place.remove().map_err(|source| crate::store::Error::Local { verb: "remove", path: place.path.clone(), source })?;
    }
    for pack in &bad {
        super::prune::remove_pack(repository, &pack.id)?;
        let what = if pack.trailer.is_some() { "deleted; everything readable in it is in new packs" } else { "deleted: nothing in it could be read" };
        report.mended(pack_name(&pack.id), what);
    }
    repository.backend().sync().map_err(crate::store::Error::from)?;
    put_parity_right(repository, options.add_parity, &mut report, monitor)?;
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

/// What a later program wrote is not damaged, only not known.
fn refuse_newer(repository: &Repository, found: &CheckReport) -> Result<(), Error> {
    let mut newer = Catalog::newer(repository)?;
    for id in &found.damaged_packs {
        if packs::is_newer(repository, id)? {
            newer = Some(pack_name(id));
        }
    }
    match newer {
        None => Ok(()),
        Some(name) => Err(Error::Refused {
            what: format!("{name} was written by a newer jellyvault; nothing was changed"),
            hint: "Install a newer version of jellyvault and repair with it.".to_owned(),
        }),
    }
}

/// Packs that are gone altogether look like a disk that is not there: nothing is given up for that.
fn refuse_absence(repository: &Repository, known: &Index, options: &RepairOptions) -> Result<(), Error> {
    let here = repository.backend().list("packs/").map_err(crate::store::Error::from)?.iter().filter(|file| pack_id(&file.name).is_some()).count();
    let gone = known.lost().len();
    let is_absent = gone > here || (here == 0 && !Catalog::ids(repository)?.is_empty());
    if !is_absent || options.give_up_missing {
        return Ok(());
    }
    Err(Error::Refused {
        what: match gone {
            0 => "all packs of the repository are missing, but there are snapshots; nothing was changed".to_owned(),
            gone => format!("{gone} packs of the repository are missing and {here} are present; nothing was changed"),
        },
        hint: "Is a disk not mounted, or was the repository copied only in part? Bring the packs back. If they are lost for good: jellyvault repair --give-up-missing."
            .to_owned(),
    })
}

/// Copies what is whole of damaged packs into new ones.
fn salvage(repository: &Repository, index: &Index, bad: &[BadPack], report: &mut RepairReport) -> Result<(), Error> {
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

/// What the source still has is stored again; what is lost then is taken out of the snapshots: (old, new) records, and records that
/// cannot be read.
fn mend_snapshots(repository: &Repository, index: &Index, report: &mut RepairReport, monitor: &Monitor) -> Result<(NewRecords, Vec<SnapshotId>), Error> {
    let catalog = Catalog::load(repository)?;
    let mut damage = damage_in(repository, index, &catalog, monitor)?;
    while damage.damage_count > 0 {
        from_source::store_again(repository, index, &catalog, &damage, report, monitor)?;
        let left = damage_in(repository, index, &catalog, monitor)?;
        // Only so many are named at a time: once more, as long as that helps.
        let is_all = left.damage_count == damage.damage_count || damage.damage.len() as u64 == damage.damage_count;
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
        for (old, record) in catalog.snapshots.iter().filter(|(id, _)| damage.damaged_snapshots.contains(id)) {
            let mut own = CheckReport::default();
            trees.snapshot(*old, record, &mut own, monitor)?;
            let (id, record) = (trim::new_id(old)?, trim::without(record, &own, &mut trees, &mut packer, index, &mut streams)?);
            trim::store_copy(id, &record, &mut packer, index, &mut streams)?;
            records.push((*old, id, record, own));
        }
        trim::flush(&mut packer, &mut streams)?;
        streams.finish()?;
        for (old, id, record, own) in records {
            let hash = Catalog::write(repository, id, &record)?;
            for damage in own.damage {
                report.lost(LostPath { snapshot: Some(old), now: Some(id), path: damage.path, what: damage.what, entries: damage.entries });
            }
            new.push((old, id, hash));
        }
    }
    let mut unreadable = Vec::new();
    for (name, error) in &catalog.damaged {
        let id = Catalog::ids(repository)?.into_iter().find(|id| snapshot_name(&id.0) == *name);
        report.lost(LostPath { snapshot: id, now: None, path: name.clone(), what: format!("the whole snapshot: {}", super::in_one_line(error)), entries: 0 });
        unreadable.extend(id);
    }
    Ok((new, unreadable))
}

fn damage_in(repository: &Repository, index: &Index, catalog: &Catalog, monitor: &Monitor) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    let mut trees = Trees::new(repository, index, HashMap::new());
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut report, monitor)?;
    }
    Ok(report)
}

/// Every pack has whole parity of the share that the settings say, or none has.
fn put_parity_right(repository: &Repository, add: Option<u32>, report: &mut RepairReport, monitor: &Monitor) -> Result<(), Error> {
    let permille = add.unwrap_or(repository.config().parity_permille);
    list::put_copies_right(repository, permille, report)?;
    let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
    let packs: HashSet<_> = listed.iter().filter_map(|file| pack_id(&file.name)).collect();
    let parities: HashSet<_> = listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
    for id in parities.iter().filter(|id| !packs.contains(*id) || permille == 0) {
        repository.backend().remove(&parity_name(id)).map_err(crate::store::Error::from)?;
        report.mended(parity_name(id), "deleted: it belongs to no pack");
    }
    if permille > 0 {
        monitor.progress.phase(Phase::Mend, packs.len() as u64, 0);
        for id in &packs {
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            monitor.progress.advance(1, 0);
            let is_right = parities.contains(id) && add.is_none() && Parity::read(repository.backend(), id).is_ok_and(|parity| parity.damaged_blocks() == 0);
            if !is_right {
                Parity::write(repository.backend(), id, permille)?;
                report.mended(parity_name(id), "parity written");
            }
        }
    }
    Ok(repository.backend().sync().map_err(crate::store::Error::from)?)
}
