//! `repair`: what is damaged is mended with what is at hand (parity, another copy, the source's unchanged file); what cannot be is
//! named, and taken out of the snapshots that have it. Nothing goes before what takes its place is durable.

mod from_packs;
mod from_source;
mod list;
mod packs;
mod trim;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::manifest::{Catalog, FileHash, SnapshotId, Standing};
use crate::progress::Phase;
use crate::store::{Index, IndexMode, PackStreams, Parity, Repository, pack_id, pack_name, parity_name, parity_pack, snapshot_name};

use super::check::{BadChunks, CheckReport, Trees};
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
    /// Go on though most packs are gone: what they held is given up.
    pub give_up_missing: bool,
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
    let outcome = if options.dry_run {
        look(repository, options, watch)
    } else {
        let _work = super::prune::alone_at_work(repository, options.waiting)?;
        repository.exclusively(options.waiting, || work(repository, options, watch))
    };
    outcome.map_err(|error| match error.unread_file() {
        Some(name) => packs::unread(name),
        None => error,
    })
}

fn examine(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<CheckReport, Error> {
    let read = if options.quick { Share::Nothing } else { Share::All };
    check(repository, &CheckOptions { read, threads: options.threads }, watch)
}

/// What would be done.
fn look(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<RepairReport, Error> {
    let mut report = RepairReport { found: examine(repository, options, watch)?, ..RepairReport::default() };
    if report.found.findings.iter().any(|finding| finding.name == "packs") {
        report.mended("packs", "snapshots can be made of the trees that no snapshot names");
    }
    let known = Index::open(repository, IndexMode::UseAndList)?;
    refuse_absence(repository, &known, options)?;
    let mut bad = HashSet::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(_) => report.mended(pack_name(&id), "its parity can mend it"),
            None if report.found.unread.contains(&pack_name(&id)) => return Err(packs::unread(&pack_name(&id))),
            None => drop(bad.insert(id)),
        }
    }
    let lost_chunks: BadChunks = report.found.bad_chunks.iter().filter(|(pack, ..)| bad.contains(pack)).map(|(_, chunk, what)| (*chunk, *what)).collect();
    let catalog = Catalog::load(repository)?;
    let mut damage = CheckReport::default();
    let mut trees = Trees::new(repository, &known, lost_chunks);
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut damage, watch)?;
    }
    for damage in damage.damage {
        if from_source::could_be_read(repository, &known, &catalog, &damage)? {
            report.mended(damage.path, "can be read again from the source, where it is unchanged");
            continue;
        }
        report.lost(LostPath { snapshot: Some(damage.snapshot), now: None, path: damage.path, what: damage.what, entries: damage.entries });
    }
    report.mended.sort();
    report.mended.dedup();
    Ok(report)
}

fn work(repository: &Repository, options: &RepairOptions<'_>, watch: Watch<'_>) -> Result<RepairReport, Error> {
    super::prune::finish_forgetting(repository)?;
    // What a prune or repair gave up and left behind counts again: it is looked at like all else.
    let known = Index::open(repository, IndexMode::UseAndList)?;
    if !known.condemned().is_empty()
        && let Some(place) = repository.index_place()
    {
        place.remove().map_err(|source| crate::store::Error::Local { verb: "remove", path: place.path.clone(), source })?;
    }
    let mut report = RepairReport { found: examine(repository, options, watch)?, ..RepairReport::default() };
    refuse_absence(repository, &known, options)?;
    refuse_newer(repository, &report.found)?;
    watch.progress.phase(Phase::Mend, 0, 0);
    let config_damage = repository.config_damage();
    if !config_damage.is_empty() || options.add_parity.is_some() {
        repository.rewrite_config(options.add_parity)?;
        config_damage.iter().for_each(|(name, _)| report.mended(*name, "written anew from the other copy of the settings"));
    }

    list::records_from_copies(repository, &mut report)?;

    // Packs: as they were by their parity, or what is left of them into new ones.
    let mut bad = Vec::new();
    for id in report.found.damaged_packs.clone() {
        match packs::mend(repository, &id)? {
            Some(bytes) => {
                packs::replace(repository, &id, &bytes)?;
                report.mended(pack_name(&id), "computed anew from its parity: it is as it was");
            }
            // It could not be read a moment ago: what is read now need not be all of it.
            None if report.found.unread.contains(&pack_name(&id)) => return Err(packs::unread(&pack_name(&id))),
            None => bad.push(packs::examine(repository, &known, &id)?),
        }
    }
    let given_up: HashSet<[u8; 16]> = bad.iter().map(|pack| pack.id).collect();
    let index = Index::open_without(repository, IndexMode::Rebuild, &given_up)?;
    if report.found.findings.iter().any(|finding| finding.name == "index.redb") {
        report.mended("index.redb", "made anew from the packs");
    }
    salvage(repository, &index, &bad, &mut report)?;
    let recovered = from_packs::records(repository, &index, &mut report, watch)?;
    let (snapshots, lost_records) = mend_snapshots(repository, &index, &mut report, watch)?;
    list::change_list(repository, (snapshots, recovered), lost_records, &mut report)?;
    Standing::settle(repository, jiff::Timestamp::now().as_nanosecond() as i64)?;

    // From here on nothing needs the damaged packs.
    if !index.commit_without(&given_up)?
        && let Some(place) = repository.index_place()
    {
        place.remove().map_err(|source| crate::store::Error::Local { verb: "remove", path: place.path.clone(), source })?;
    }
    for pack in &bad {
        super::prune::remove_pack(repository, &pack.id)?;
        let what = if pack.trailer.is_some() { "removed; what could be read of it is in new packs" } else { "removed: nothing in it could be read" };
        report.mended(pack_name(&pack.id), what);
    }
    repository.backend().sync().map_err(crate::store::Error::from)?;
    put_parity_right(repository, options.add_parity, &mut report, watch)?;
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
            hint: "Install a newer jellyvault, and repair with that.".to_owned(),
        }),
    }
}

/// Packs that are gone altogether look like a disk that is not there: nothing is given up for that.
fn refuse_absence(repository: &Repository, known: &Index, options: &RepairOptions<'_>) -> Result<(), Error> {
    let here = repository.backend().list("packs/").map_err(crate::store::Error::from)?.iter().filter(|file| pack_id(&file.name).is_some()).count();
    let gone = known.lost().len();
    let is_absent = gone > here || (here == 0 && !Catalog::ids(repository)?.is_empty());
    if !is_absent || options.give_up_missing {
        return Ok(());
    }
    Err(Error::Refused {
        what: match gone {
            0 => "no pack of the repository is there, though there are snapshots; nothing was changed".to_owned(),
            gone => format!("{gone} packs of the repository are gone and {here} are there; nothing was changed"),
        },
        hint: "Is a disk not mounted, or was the folder copied in part? Bring the packs back. If they are gone for good: jellyvault repair --give-up-missing."
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
            report.mended(pack_name(&pack.id), format!("{saved} of its chunks are whole and were saved"));
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

fn damage_in(repository: &Repository, index: &Index, catalog: &Catalog, watch: Watch<'_>) -> Result<CheckReport, Error> {
    let mut report = CheckReport::default();
    let mut trees = Trees::new(repository, index, HashMap::new());
    for (id, record) in &catalog.snapshots {
        trees.snapshot(*id, record, &mut report, watch)?;
    }
    Ok(report)
}

/// Every pack has whole parity of the share that the settings say, or none has.
fn put_parity_right(repository: &Repository, add: Option<u32>, report: &mut RepairReport, watch: Watch<'_>) -> Result<(), Error> {
    let permille = add.unwrap_or(repository.config().parity_permille);
    list::put_copies_right(repository, permille, report)?;
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
