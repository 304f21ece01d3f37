//! Entries of the zip on their way into packs and manifests: read, proved, cut, stored, by several
//! threads.

use std::collections::HashMap;
use std::io::Read;
use std::sync::mpsc::{SyncSender, sync_channel};

use crossbeam_channel::bounded;

use crate::archive::{ZipEntry, ZipReader, of_io};
use crate::limits::NODE_ENTRIES_MAX;
use crate::manifest::{
    Child, Content, Entry, Kind, LeafRef, Node, OWNER_UNKNOWN, Time, Xattrs, starts_node,
};
use crate::source::Category;
use crate::store::{FilledExtent, Index, Repository};

use super::super::ingest::collect::{Collector, Pending};
use super::super::ingest::job::{Counts, Leaf, Part};
use super::super::ingest::packer::{Packer, ReadFailure, SMALL_BYTES};
use super::super::{Error, Monitor};
use super::ImportOptions;
use super::built::Built;
use super::failure::Failure;
use super::plan::{Item, Plan, What, order_of};
use super::spool::spooled;

/// Jobs under way at most, and parts that wait in each.
const JOBS_MAX: usize = 14;
const PARTS_MAX: usize = 4;
/// A job is handed out once it has this many paths or runs.
const JOB_ITEMS: usize = 4096;
const JOB_RUNS: usize = 8;

/// Runs to store, and where their parts go.
type Job = (Vec<Vec<Item>>, SyncSender<Part>);

/// What all threads share.
struct Shared<'a> {
    zip: &'a ZipReader,
    database: Option<&'a Built>,
    created: Time,
    repository: &'a Repository,
    index: &'a Index,
    options: &'a ImportOptions,
    monitor: &'a Monitor,
}

/// Stores everything; leaves come to the collector in order.
#[expect(clippy::too_many_arguments, reason = "each is one part of the import that is under way")]
pub(super) fn store(
    zip: &ZipReader,
    plan: Plan,
    database: Option<&Built>,
    created_ns: i128,
    repository: &Repository,
    index: &Index,
    collector: &mut Collector<'_>,
    options: &ImportOptions,
    monitor: &Monitor,
) -> Result<(), Failure> {
    let shared =
        Shared { zip, database, created: time_of(created_ns), repository, index, options, monitor };
    let threads = if options.threads == 0 {
        std::thread::available_parallelism().map_or(2, Into::into)
    } else {
        options.threads
    };
    // What a thread found wrong with the zip; what it sends through the collector is a word for
    // that.
    let wrong = std::sync::Mutex::new(None);
    let (jobs, taken) = bounded::<Job>(JOBS_MAX + 1);
    let outcome = std::thread::scope(|scope| {
        for _ in 0..threads {
            let (taken, shared, wrong) = (taken.clone(), &shared, &wrong);
            scope.spawn(move || {
                let mut packer = None;
                for (runs, out) in taken {
                    if let Err(failure) = work(shared, &mut packer, runs, &out) {
                        let error = match failure {
                            Failure::Stopped(error) => error,
                            // Tables were loaded before.
                            Failure::Load(_) => Error::Interrupted,
                            Failure::Zip(error) => {
                                if let Ok(mut wrong) = wrong.lock() {
                                    wrong.get_or_insert(error);
                                }
                                Error::Interrupted
                            }
                        };
                        // Nobody listens once the import failed elsewhere.
                        crate::tolerate(out.send(Part::Failed(error)));
                    }
                }
            });
        }
        let mut gatherer = Gatherer {
            jobs: &jobs,
            collector,
            category: None,
            runs: Vec::new(),
            run: Vec::new(),
            count: 0,
        };
        let outcome =
            plan.each(zip, &repository.hashing(), database.is_some(), |category, item| {
                gatherer.take(category, item)
            });
        let outcome = outcome.and_then(|()| gatherer.finish()).and_then(|()| collector.drain());
        drop(jobs);
        if outcome.is_err() {
            collector.abandon();
        }
        outcome
    });
    match wrong.into_inner().ok().flatten() {
        Some(error) => Err(Failure::Zip(error)),
        None => outcome.map_err(Failure::Stopped),
    }
}

/// Cuts each category into the runs that become leaves, and gathers runs into jobs.
struct Gatherer<'g, 'c> {
    jobs: &'g crossbeam_channel::Sender<Job>,
    collector: &'g mut Collector<'c>,
    category: Option<Category>,
    runs: Vec<Vec<Item>>,
    run: Vec<Item>,
    count: usize,
}

impl Gatherer<'_, '_> {
    fn take(&mut self, category: Category, item: Item) -> Result<(), Error> {
        if self.category != Some(category) {
            self.finish()?;
            self.category = Some(category);
        }
        if self.run.len() >= NODE_ENTRIES_MAX || (!self.run.is_empty() && starts_node(&item.key, 0))
        {
            self.runs.push(std::mem::take(&mut self.run));
            if self.count >= JOB_ITEMS || self.runs.len() >= JOB_RUNS {
                self.send()?;
            }
        }
        self.count += 1;
        self.run.push(item);
        Ok(())
    }

    /// Hands out what is left of a category.
    fn finish(&mut self) -> Result<(), Error> {
        if !self.run.is_empty() {
            self.runs.push(std::mem::take(&mut self.run));
        }
        self.send()
    }

    fn send(&mut self) -> Result<(), Error> {
        self.count = 0;
        let (Some(category), false) = (self.category, self.runs.is_empty()) else { return Ok(()) };
        let (out, parts) = sync_channel(PARTS_MAX);
        // The threads listen until this end is dropped.
        self.jobs
            .send((std::mem::take(&mut self.runs), out))
            .map_err(|_| Error::System { what: "threads" })?;
        self.collector.push(Pending::Job(category, parts))
    }
}

/// Stores the runs of one job.
fn work(
    shared: &Shared<'_>,
    packer: &mut Option<Packer>,
    runs: Vec<Vec<Item>>,
    out: &SyncSender<Part>,
) -> Result<(), Failure> {
    let config = shared.repository.config();
    let packer = match packer {
        Some(packer) => packer,
        None => packer.insert(Packer::new(
            shared.repository.hashing(),
            config.cut,
            config.compression_level,
        )?),
    };
    let mut sink = |extent: FilledExtent| {
        if shared.monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        out.send(Part::Extent(extent)).map_err(|_| Error::Interrupted)
    };
    for run in runs {
        if shared.monitor.interrupt.is_raised() {
            return Err(Error::Interrupted.into());
        }
        let path_key = run.first().map(|item| item.key).unwrap_or_default();
        let mut counts = Counts::default();
        let mut entries = Vec::with_capacity(run.len());
        for item in run {
            entries.push(entry(shared, packer, item, &mut counts, &mut sink)?);
        }
        let files =
            entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. })).count() as u64;
        let bytes = entries.iter().map(Entry::size).sum();
        let first = entries.first().map(|entry| entry.path.clone()).unwrap_or_default();
        let id = packer.store_node(&Node::encode_leaf(&entries), shared.index, &mut sink)?;
        let child = Child { first, id, entries: entries.len() as u64, files, bytes };
        let leaf = Leaf {
            leaf: LeafRef { child, path_key },
            fingerprints: Vec::new(),
            counts,
            problems: Vec::new(),
            owners: HashMap::new(),
        };
        out.send(Part::Leaf(Box::new(leaf))).map_err(|_| Error::Interrupted)?;
    }
    Ok(packer.flush(&mut sink)?)
}

/// One path with its content stored.
fn entry(
    shared: &Shared<'_>,
    packer: &mut Packer,
    item: Item,
    counts: &mut Counts,
    sink: &mut dyn FnMut(FilledExtent) -> Result<(), Error>,
) -> Result<Entry, Failure> {
    let (mut mode, mut mtime) = (0o755, shared.created);
    let kind = match item.what {
        What::Directory => Kind::Directory,
        What::Database => {
            let Some(database) = shared.database else {
                return Err(Error::System { what: "database" }.into());
            };
            counts.new += 1;
            // Password hashes are in it.
            mode = 0o600;
            Kind::File { size: database.size, content: Content::Pages(database.id) }
        }
        What::Order => {
            let bytes = order_of(shared.zip)?;
            let (content, _) = packer
                .store_stream(&mut bytes.as_slice(), bytes.len() as u64, shared.index, sink)
                .map_err(of_read)?;
            counts.new += 1;
            Kind::File { size: bytes.len() as u64, content }
        }
        What::Entry(number) => {
            let Some(found) = shared.zip.entries.get(number as usize) else {
                return Err(Error::System { what: "memory" }.into());
            };
            mode = found.mode().unwrap_or(0o644);
            mtime = found
                .modified()
                .and_then(|civil| civil.to_zoned(shared.options.zone.clone()).ok())
                .map_or(mtime, |zoned| time_of(zoned.timestamp().as_nanosecond()));
            let content = content(shared, packer, found, sink)?;
            counts.new += 1;
            counts.reads += 1;
            counts.read_bytes += found.size();
            shared.monitor.progress.advance(1, found.size());
            Kind::File { size: found.size(), content }
        }
    };
    Ok(Entry {
        path: item.path,
        kind,
        mode,
        uid: OWNER_UNKNOWN,
        gid: OWNER_UNKNOWN,
        mtime,
        xattrs: Xattrs::None,
        link_group: None,
    })
}

/// Stores what an entry holds, in the very chunks that a capture of the same file makes.
fn content(
    shared: &Shared<'_>,
    packer: &mut Packer,
    found: &ZipEntry,
    sink: &mut dyn FnMut(FilledExtent) -> Result<(), Error>,
) -> Result<Content, Failure> {
    let mut reader = shared.zip.read(found)?;
    if found.size() <= SMALL_BYTES {
        let (content, _) =
            packer.store_stream(&mut reader, found.size(), shared.index, sink).map_err(of_read)?;
        // The end is where length and checksum are held against the directory's.
        reader.read(&mut [0]).map_err(of_io)?;
        return Ok(content);
    }
    let open =
        spooled(&mut reader, &shared.repository.scratch_folder(), &shared.monitor.interrupt)?;
    let (content, _) = packer.store_file(&open, shared.index, sink).map_err(of_read)?;
    Ok(content)
}

/// What was found wrong while content was stored.
pub(super) fn of_read(failure: ReadFailure) -> Failure {
    match failure {
        ReadFailure::Fatal(error) => Failure::Stopped(error),
        ReadFailure::Io(error) => Failure::Zip(of_io(error)),
    }
}

/// A moment as an entry holds it.
pub(super) fn time_of(ns: i128) -> Time {
    let seconds = ns.div_euclid(1_000_000_000);
    Time {
        seconds: i64::try_from(seconds).unwrap_or_default(),
        nanos: ns.rem_euclid(1_000_000_000) as u32,
    }
}
