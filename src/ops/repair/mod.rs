//! `repair`: what is damaged is mended with what is at hand (parity, another copy, the source's unchanged file); what cannot be is
//! named, and taken out of the snapshots that have it. Nothing goes before what takes its place is durable.

mod from_source;
mod packs;
mod trim;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::backend::{Span, write_new};
use crate::limits::RECORD_BYTES_MAX;
use crate::manifest::{Catalog, Chain, FileHash, ListChange, SnapshotId, file_hash};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, PackStreams, Parity, Repository, pack_id, pack_name, parity_name, parity_pack, snapshot_copy_name, snapshot_name};

use super::check::{CheckReport, Trees, record_hashes};
use super::snapshot::packer::Packer;
use super::{CheckOptions, Error, Share, Watch, check};

use self::packs::BadPack;

/// How to repair.
pub struct RepairOptions<'a> {
    /// Trust what is not seen to be damaged: no data is read.
    pub quick: bool,
    /// Find out what would be done, change nothing.
    pub dry_run: bool,
    /// Write recovery blocks for all packs from now on, in thousandths of their size; 0 removes them.
    pub add_parity: Option<u32>,
    /// Threads; 0 means one for each core.
    pub threads: usize,
    /// Is called now and then while other processes use the repository, with the time that passed; may give up.
    pub waiting: &'a dyn Fn(Duration) -> Result<(), Error>,
}

/// Something that was mended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mended {
    /// A file of the repository, or a path of snapshots.
    pub path: String,
    /// What was done.
    pub what: String,
}

/// A path of a snapshot that is lost for good, or a whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default)]
pub struct RepairReport {
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
pub fn repair(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<RepairReport, Error> {
    if options.dry_run {
        return look(repository, options, watch);
    }
    let _work = repository.lock_work()?;
    repository.exclusively(options.waiting, || work(repository, options, watch))
}

fn examine(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<CheckReport, Error> {
    let read = if options.quick { Share::Nothing } else { Share::All };
    check(repository, &CheckOptions { read, threads: options.threads }, watch)
}

/// What would be done.
fn look(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<RepairReport, Error> {
    let mut report = RepairReport { found: examine(repository, options, watch)?, ..RepairReport::default() };
    let mut mendable = HashSet::new();
    for id in report.found.damaged_packs.clone() {
        if packs::mend(repository, &id)?.is_some() {
            report.mended(pack_name(&id), "its parity can mend it");
            mendable.insert(id);
        }
    }
    if mendable.len() == report.found.damaged_packs.len() && report.found.damaged_packs.len() == report.found.findings.len() {
        return Ok(report);
    }
    for damage in report.found.damage.clone() {
        report.lost(LostPath { snapshot: Some(damage.snapshot), now: None, path: damage.path, what: damage.what, entries: damage.entries });
    }
    Ok(report)
}

fn work(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<RepairReport, Error> {
    super::prune::finish_forgetting(repository)?;
    let mut report = RepairReport { found: examine(repository, options, watch)?, ..RepairReport::default() };
    watch.progress.phase(Phase::Mend, 0, 0);
    let config_damage = repository.config_damage();
    if !config_damage.is_empty() || options.add_parity.is_some() {
        repository.rewrite_config(options.add_parity)?;
        config_damage.iter().for_each(|(name, _)| report.mended(*name, "written anew from the other copy of the settings"));
    }

    records_from_copies(repository, &mut report)?;

    // Packs: as they were by their parity, or what is left of them into new ones.
    let mut bad = Vec::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(bytes) => {
                packs::replace(repository, &id, &bytes)?;
                report.mended(pack_name(&id), "computed anew from its parity: it is as it was");
            }
            None => bad.push(packs::examine(repository, &id)?),
        }
    }
    // Those that an earlier run gave up and could not remove any more count as gone.
    let left_over = Index::open(repository, IndexMode::Use)?.condemned();
    let given_up: HashSet<[u8; 16]> = bad.iter().map(|pack| pack.id).chain(left_over).collect();
    let index = Index::open_without(repository, IndexMode::Rebuild, &given_up)?;
    if report.found.findings.iter().any(|finding| finding.name == "index.redb") {
        report.mended("index.redb", "made anew from the packs");
    }
    salvage(repository, &index, &bad, &mut report)?;
    let (snapshots, lost_records) = mend_snapshots(repository, &index, &mut report, watch)?;
    change_list(repository, snapshots, lost_records, &mut report)?;

    // From here on nothing needs the damaged packs.
    if !index.commit_without(&given_up)?
        && let Some(place) = repository.index_place()
    {
        place.remove().map_err(|source| crate::store::Error::Local { verb: "remove", path: place.path.clone(), source })?;
    }
    for id in &given_up {
        super::prune::remove_pack(repository, id)?;
        report.mended(pack_name(id), "removed: what could be read of it is in new packs");
    }
    repository.backend().sync().map_err(crate::store::Error::from)?;
    put_parity_right(repository, options.add_parity, &mut report, watch)?;
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

/// Records that are damaged or gone are written again from their second copies, where the list's chain says that they should be there.
fn records_from_copies(repository: &Repository, report: &mut RepairReport) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here = record_hashes(repository)?;
    for (id, bytes) in Catalog::copies(repository)? {
        let hash = file_hash(&bytes);
        let is_right = Catalog::is_record(id, &bytes) && chain.listed.get(&id).is_none_or(|listed| listed.record == hash);
        let is_wanted = chain.listed.contains_key(&id) || here.contains_key(&id);
        if is_right && is_wanted && here.get(&id) != Some(&hash) {
            write_new(repository.backend(), &snapshot_name(&id.0), &bytes).map_err(crate::store::Error::from)?;
            report.mended(snapshot_name(&id.0), "written again from its second copy");
        }
    }
    Ok(())
}

/// Each record has its second copy where there is parity, and none is left over.
fn put_copies_right(repository: &Repository, permille: u32, report: &mut RepairReport) -> Result<(), Error> {
    let copies: HashMap<SnapshotId, FileHash> = Catalog::copies(repository)?.into_iter().map(|(id, bytes)| (id, file_hash(&bytes))).collect();
    let here = record_hashes(repository)?;
    for (id, hash) in here.iter().filter(|_| permille > 0) {
        if copies.get(id) != Some(hash) {
            let span = Span::Whole { limit: RECORD_BYTES_MAX };
            let bytes = repository.backend().read(&snapshot_name(&id.0), span).map_err(crate::store::Error::from)?;
            write_new(repository.backend(), &snapshot_copy_name(&id.0), &bytes).map_err(crate::store::Error::from)?;
            report.mended(snapshot_copy_name(&id.0), "a second copy of the record written");
        }
    }
    for id in copies.keys().filter(|id| permille == 0 || !here.contains_key(*id)) {
        repository.backend().remove(&snapshot_copy_name(&id.0)).map_err(crate::store::Error::from)?;
    }
    Ok(())
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
            report.mended(pack_name(&pack.id), format!("{saved} chunks of it are whole and were saved"));
        }
    }
    streams.finish()?;
    Ok(())
}

/// New records in place of old ones.
type NewRecords = Vec<(SnapshotId, SnapshotId, FileHash)>;

/// What the source still has is stored again; what is lost then is taken out of the snapshots: (old, new) records, and records that
/// cannot be read.
fn mend_snapshots(repository: &Repository, index: &Index, report: &mut RepairReport, watch: Watch<'_>) -> Result<(NewRecords, Vec<SnapshotId>), Error> {
    let catalog = Catalog::load(repository)?;
    let mut damage = damage_in(repository, index, &catalog, watch)?;
    while damage.damage_count > 0 {
        from_source::store_again(repository, index, &catalog, &damage, report, watch)?;
        let left = damage_in(repository, index, &catalog, watch)?;
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
            trees.snapshot(*old, record, &mut own, watch)?;
            records.push((*old, trim::without(record, &own, &mut trees, &mut packer, index, &mut streams)?, own));
        }
        trim::flush(&mut packer, &mut streams)?;
        streams.finish()?;
        for (old, record, own) in records {
            let id = trim::new_id(&old)?;
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

fn damage_in(repository: &Repository, index: &Index, catalog: &Catalog, watch: Watch<'_>) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    let mut trees = Trees::new(repository, index, HashMap::new());
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut report, watch)?;
    }
    Ok(report)
}

/// The list is stated anew as it is: records that are new, gone, unreadable, others or back.
fn change_list(repository: &Repository, new: NewRecords, unreadable: Vec<SnapshotId>, report: &mut RepairReport) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here = record_hashes(repository)?;
    let mut change = ListChange { restate: true, ..ListChange::default() };
    for (old, id, hash) in new {
        change.added.push((id, hash));
        if chain.kept.contains(&old) {
            change.marked.push((id, true));
        }
        change.dropped.push(old);
    }
    for (id, listed) in &chain.listed {
        match here.get(id) {
            None => {
                change.dropped.push(*id);
                report.lost(LostPath {
                    snapshot: Some(*id),
                    now: None,
                    path: snapshot_name(&id.0),
                    what: "the whole snapshot: its record is gone".to_owned(),
                    entries: 0,
                });
            }
            // It can be read, and is not the one that was written: it is taken as it is.
            Some(hash) if *hash != listed.record && !unreadable.contains(id) => change.added.push((*id, *hash)),
            Some(_) => {}
        }
    }
    change.dropped.extend(&unreadable);
    let is_needed = !chain.irregularities(&here).is_empty() || !change.dropped.is_empty() || (chain.is_empty() && !here.is_empty());
    if !is_needed {
        return Ok(());
    }
    Chain::change(repository, &change)?;
    Catalog::remove(repository, &change.dropped)?;
    report.mended("list", "the list of snapshots was stated anew, as the snapshots are");
    Ok(())
}

/// Every pack has whole parity of the share that the settings say, or none has.
fn put_parity_right(repository: &Repository, add: Option<u32>, report: &mut RepairReport, watch: Watch<'_>) -> Result<(), Error> {
    let permille = add.unwrap_or(repository.config().parity_permille);
    put_copies_right(repository, permille, report)?;
    let listed = repository.backend().list("packs/").map_err(crate::store::Error::from)?;
    let packs: HashSet<_> = listed.iter().filter_map(|file| pack_id(&file.name)).collect();
    let parities: HashSet<_> = listed.iter().filter_map(|file| parity_pack(&file.name)).collect();
    for id in parities.iter().filter(|id| !packs.contains(*id) || permille == 0) {
        repository.backend().remove(&parity_name(id)).map_err(crate::store::Error::from)?;
        report.mended(parity_name(id), "removed: no pack wants it");
    }
    if permille > 0 {
        watch.progress.phase(Phase::Mend, packs.len() as u64, 0);
        for id in &packs {
            if watch.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            watch.progress.advance(1, 0);
            let is_right = parities.contains(id) && add.is_none() && Parity::read(repository.backend(), id).is_ok_and(|parity| parity.damaged_blocks() == 0);
            if !is_right {
                Parity::write(repository.backend(), id, permille)?;
                report.mended(parity_name(id), "recovery blocks written");
            }
        }
    }
    Ok(repository.backend().sync().map_err(crate::store::Error::from)?)
}
