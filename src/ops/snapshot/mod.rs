//! `snapshot`: source → repository. Copy the database, walk the source once, store what changed, publish the record last.

mod clock;
pub(super) mod collect;
mod content_of;
mod database;
pub(super) mod job;
pub(super) mod known_pages;
mod old;
mod owners;
pub(super) mod packer;
pub(super) mod pages;
mod parents;
mod plan;
pub(super) mod read_file;
mod survey;
mod walk;
mod worth;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::manifest::{ByteCounts, Catalog, ServerRecord, SnapshotId, SnapshotRecord, SourceRecord, Standing};
use crate::progress::{Phase, Problem};
use crate::source::{Category, Layout, Rules, ScanCache, ScanCacheWriter, ScanRoot};
use crate::store::{ChunkReader, Held, Index, IndexMode, PackStreams, Repository};

use self::collect::{Collector, finish_cache};
use self::database::Databases;
use self::job::Shared;
use self::known_pages::KnownPages;
use self::old::OldRuns;
use self::owners::names_of;
use self::packer::Packer;
use self::parents::Parents;
use self::plan::Planner;
use self::walk::walk;
use super::find_instance::Server;
use super::{Error, Watch};

pub(super) use content_of::content_of;
pub(super) use packer::ReadFailure;
pub use survey::{Survey, survey};

/// What is captured.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its directories.
    pub layout: Layout,
    /// How it was found, for the user.
    pub how: String,
    /// What is known of the server already.
    pub server: Server,
    /// What is known to be wrong before anything is read: directories that are not here, a database kept elsewhere.
    pub problems: Vec<Problem>,
    /// Whether a database is expected.
    pub expects_database: bool,
}

/// How it is captured.
#[derive(Clone, Debug, Default)]
pub struct SnapshotOptions {
    /// Categories; empty means all.
    pub only: Vec<Category>,
    /// Globs to leave out.
    pub exclude: Vec<String>,
    /// A name for the snapshot.
    pub label: Option<String>,
    /// Words for the snapshot.
    pub note: Option<String>,
    /// Mark it: no rule of `forget` drops it.
    pub is_kept: bool,
    /// It is taken before something replaces what is there.
    pub is_safety: bool,
    /// Look, but store nothing.
    pub dry_run: bool,
    /// Do not enter other file systems.
    pub one_file_system: bool,
    /// What is gone since the last complete snapshot was deleted on purpose.
    pub accept_loss: bool,
    /// Where the private copy of a database is made, instead of the repository's own disk.
    pub scratch: Option<PathBuf>,
    /// The machine's name.
    pub host: String,
    /// Threads; 0 means one for each core.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct SnapshotReport {
    /// The snapshot's id; nothing after a dry run.
    pub id: Option<SnapshotId>,
    /// Its record.
    pub record: SnapshotRecord,
    /// Files that were opened and read.
    pub reads: u64,
    /// Packs that were written.
    pub packs: u64,
    /// Whether the index file knows everything now.
    pub index_is_current: bool,
}

/// How often the source is walked where something vanishes from under the walk: an upgrade moves whole folders.
const WALKS_MAX: usize = 3;

/// What a capture is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// A snapshot.
    Keep,
    /// To know what a snapshot would hold: the manifests stay in memory, contents are let go of once they are hashed.
    Look,
}

/// Takes a snapshot.
pub fn snapshot(repository: &Repository, spec: &SourceSpec, options: &SnapshotOptions, watch: Watch<'_>) -> Result<SnapshotReport, Error> {
    for walks_left in (0..WALKS_MAX).rev() {
        if let Some((report, _)) = capture(repository, spec, options, Purpose::Keep, walks_left > 0, watch)? {
            return Ok(report);
        }
    }
    Err(Error::Interrupted)
}

/// What a snapshot would hold now: its record, and those nodes of its manifests that the repository lacks. Stores nothing.
pub(super) fn look(repository: &Repository, spec: &SourceSpec, options: &SnapshotOptions, watch: Watch<'_>) -> Result<(SnapshotRecord, Held), Error> {
    let Some((report, held)) = capture(repository, spec, options, Purpose::Look, false, watch)? else { return Err(Error::Interrupted) };
    Ok((report.record, held))
}

/// Captures the source; nothing where something vanished from under the walk, and it may be walked again.
fn capture(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    purpose: Purpose,
    may_walk_again: bool,
    watch: Watch<'_>,
) -> Result<Option<(SnapshotReport, Held)>, Error> {
    let begun = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let scan_start_ns = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
    let key = source_key(&options.host, &spec.layout);
    let rules = rules(repository, spec, options)?;
    let wanted: Vec<Category> = Category::ALL.into_iter().filter(|c| rules.wants(*c) && (spec.layout.is_instance || *c == Category::Other)).collect();

    if purpose == Purpose::Keep && !options.dry_run {
        repository.complete_config()?;
    }
    let parents = Parents::find(repository, &key, spec.server.id.as_deref(), &wanted)?;
    // Where this source has a snapshot there is a list.
    let lost_list = if purpose == Purpose::Keep && !options.dry_run && parents.newest.is_none() { begin_list(repository, scan_start_ns)? } else { None };
    let clock = if purpose == Purpose::Keep { clock::problem(scan_start_ns, parents.record.as_ref(), repository) } else { None };
    let index = Index::open(repository, IndexMode::Use)?;
    let cache_file = repository.scan_cache_file(&key);
    // What the cache lets skip must be there: where packs may be missing, everything is read again.
    let cache = cache_file.as_deref().filter(|_| index.is_sure()).and_then(ScanCache::open);
    let mut reader = ChunkReader::new(repository, &index);
    let old: HashMap<Category, OldRuns> =
        parents.categories.iter().map(|(category, record)| (*category, OldRuns::load(*category, record, cache.as_ref(), &mut reader))).collect();
    drop(reader);

    let roots = spec.layout.present();
    if let Some(scratch) = options.scratch.as_deref().filter(|_| !options.dry_run) {
        check_scratch(scratch, &roots)?;
    }
    let scratch = options.scratch.clone().unwrap_or_else(|| repository.scratch_folder());
    let opened = open_roots(&roots)?;
    let shared = Shared {
        repository,
        index: &index,
        cache: cache.as_ref(),
        roots: &opened,
        layout: &spec.layout,
        scan_start_ns,
        scratch: &scratch,
        known_pages: KnownPages::new(parents.databases(repository)?),
        progress: watch.progress,
        interrupt: watch.interrupt,
        dry_run: options.dry_run,
    };
    let writer = if options.dry_run || purpose == Purpose::Look { None } else { cache_file.as_deref().and_then(|path| ScanCacheWriter::create(path).ok()) };
    let config = repository.config();
    let packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut collector = Collector::new(PackStreams::new(repository, &index, Collector::STREAMS), &index, packer, writer, options.dry_run);
    collector.holds = purpose == Purpose::Look;
    let earlier = if options.accept_loss { worth::Before::nothing(repository, &index) } else { worth::Before::find(repository, &index, &parents, &key, spec)? };
    let mut databases = Databases::new(&shared)?;
    let main = if rules.wants(Category::Database) && spec.layout.is_instance {
        let sink: packer::Sink<'_> = &mut |extent| collector.extent(Category::Database, extent);
        database::capture(spec, &shared, &mut databases, (&parents, &earlier), watch, sink)?
    } else {
        database::Captured::of(spec)
    };
    watch.progress.phase(Phase::Capture, parents.files(), parents.bytes());
    let mut planner = Planner::new(&rules, &spec.layout, old, cache.as_ref().map(|cache| &cache.verdicts), main.item);
    let missing = (index.missing() > 0).then(|| Problem {
        path: "packs".to_owned(),
        what: format!(
            "{} of the repository's packs are missing or damaged: files of older snapshots are lost; everything was read anew, so that this snapshot is whole",
            index.missing()
        ),
    });
    // Who wants the database alone is not told of pictures.
    let about_it = spec.problems.iter().filter(|problem| rules.wants(Category::of(problem.path.as_bytes())));
    let mut unfollowed = walk::unfollowed(&spec.layout, &rules);
    unfollowed.extend(walk::refused(&spec.layout, &rules));
    for problem in about_it.cloned().chain(main.problems).chain(missing).chain(lost_list).chain(clock).chain(unfollowed) {
        watch.progress.problem(&problem);
        collector.problem(problem);
    }
    let mut remarks = main.remarks;
    let threads = if options.threads == 0 { std::thread::available_parallelism().map_or(2, Into::into) } else { options.threads };
    let walked = walk(&shared, &roots, &rules, threads, &mut planner, &mut databases, &mut collector, &mut remarks);
    drop(databases);
    if let Err(error) = walked {
        collector.abandon();
        if matches!(error, Error::Interrupted) {
            // What was stored is made durable, so that the next run uses it.
            collector.finish_interrupted()?;
        }
        return Err(error);
    }
    let is_done = !may_walk_again || (collector.vanished == 0 && !database::has_moved_on(spec, &shared, main.server.history.as_deref()));
    if !is_done {
        // What was stored is found again.
        collector.finish_interrupted()?;
        return Ok(None);
    }
    if planner.seen.0 == 0 && (wanted.len() > 1 || !spec.layout.is_instance) {
        let path = roots.first().map(|root| root.dir.display().to_string()).unwrap_or_default();
        return Err(Error::EmptySource { path });
    }

    watch.progress.phase(Phase::Commit, 0, 0);
    let categories = if options.dry_run { Default::default() } else { collector.close_trees(&wanted)? };
    let verdicts = std::mem::take(&mut planner.verdicts);
    let mut files = collector.files;
    files.total = planner.seen.0.min(files.new + files.changed + files.unchanged);
    files.gone = parents.files().saturating_sub(collector.met);
    if spec.layout.is_instance && purpose == Purpose::Keep && !options.dry_run {
        for problem in worth::of_source(&categories, &collector.problems, planner.others_seen, &roots, &earlier) {
            watch.progress.problem(&problem);
            collector.problem(problem);
        }
    }
    let (problems, problem_count) = (std::mem::take(&mut collector.problems), collector.problem_count);
    let (owners, left_out) = (names_of(&collector.owners), std::mem::take(&mut collector.left_out));
    remarks.extend(rules.globs.unused().map(|glob| format!("nothing was left out for --exclude {glob}: no name and no path fits it")));
    remarks.extend(left_out.iter().map(|glob| format!("{glob} was left out: it is on another file system")));
    let (read_bytes, reads) = (collector.read_bytes, collector.reads);
    let held: Held = std::mem::take(&mut collector.held).into();
    let mut server: ServerRecord = main.server;
    // A server that lost its id in this place is the same still.
    server.id = server.id.or_else(|| parents.record.as_ref()?.server.id.clone());
    let mut record = SnapshotRecord {
        time_ns: i64::try_from(scan_start_ns).unwrap_or(i64::MAX),
        parent: parents.newest,
        label: options.label.clone(),
        note: options.note.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: SourceRecord {
            key,
            host: options.host.clone(),
            how: spec.how.clone(),
            directories: spec.layout.directories(),
            seen_by_server: main.seen_by_server,
        },
        server,
        categories,
        files,
        bytes: ByteCounts { source: planner.seen.1, read: read_bytes, new_raw: 0, new_stored: 0 },
        took_ms: 0,
        excluded: [options.exclude.as_slice(), &left_out].concat(),
        problems,
        problem_count,
        remarks,
        owners,
    };
    if !options.dry_run {
        record.bytes.source = record.categories.values().map(|category| category.bytes).sum();
        record.files.total = record.categories.values().map(|category| category.files).sum();
    }
    if options.is_safety {
        record.mark_safety();
    }
    let id = new_id(repository, now.as_millis() as u64)?;
    let copy_bytes = collector.store_record_copy(id, &record)?;
    let (stored, cache_writer) = collector.finish()?;
    // Looked at before anything is published: a chunk that is known but in no pack would make every snapshot after this one lie.
    if index.unplaced() != 0 && purpose == Purpose::Keep {
        return Err(crate::store::Error::Unplaced { chunks: index.unplaced() }.into());
    }
    (record.bytes.new_raw, record.bytes.new_stored) = (stored.raw_bytes - copy_bytes, stored.stored_bytes);
    if options.dry_run || purpose == Purpose::Look {
        record.took_ms = begun.elapsed().as_millis() as u64;
        return Ok(Some((SnapshotReport { id: None, record, reads, packs: 0, index_is_current: true }, held)));
    }
    let index_is_current = if stored.packs > 0 || index.trailers_read() > 0 || index.is_due() { index.commit()? } else { true };
    record.took_ms = begun.elapsed().as_millis() as u64;
    Catalog::publish(repository, id, &record, options.is_kept)?;
    finish_cache(cache_writer, &record.categories, verdicts);
    Ok(Some((SnapshotReport { id: Some(id), record, reads, packs: stored.packs, index_is_current }, held)))
}

/// An id behind all others: the order of the list is that in which snapshots were taken, whatever the clock said.
fn new_id(repository: &Repository, now_ms: u64) -> Result<SnapshotId, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    let last_ms = Catalog::last_id(repository)?.map_or(0, |last| last.time_ms());
    Ok(SnapshotId::at(now_ms.max(last_ms.saturating_add(1)), random))
}

/// Begins the list of a new repository; a problem where the list of an old one is gone.
pub(super) fn begin_list(repository: &Repository, now_ns: i128) -> Result<Option<Problem>, Error> {
    let standing = Standing::begin(repository, i64::try_from(now_ns).unwrap_or(i64::MAX))?;
    Ok((standing == Standing::Lost).then(|| Problem {
        path: "list".to_owned(),
        what: "the repository's list of snapshots is missing, though the repository holds data. Older snapshots are not listed. Run jellyvault repair to \
               bring them back; until then prune keeps their data"
            .to_owned(),
    }))
}

/// A directory that the user names for private copies must be there, writable, and none of the source's.
fn check_scratch(scratch: &std::path::Path, roots: &[ScanRoot]) -> Result<(), Error> {
    let failed = |source| Error::Target { verb: "make a private copy in", path: scratch.to_path_buf(), source };
    let real = std::fs::canonicalize(scratch).map_err(failed)?;
    let is_within = |root: &ScanRoot| std::fs::canonicalize(&root.dir).is_ok_and(|root| real.starts_with(root));
    if roots.iter().any(is_within) {
        return Err(Error::Refused {
            what: format!("{} lies in the source, which is never written to", scratch.display()),
            hint: "Name a directory elsewhere with --scratch-dir, or leave it out: then the copy is made in the repository.".to_owned(),
        });
    }
    drop(crate::source::ScratchFolder::create(&real).map_err(failed)?);
    Ok(())
}

fn open_roots(roots: &[ScanRoot]) -> Result<Vec<(ScanRoot, OwnedFd)>, Error> {
    let open = |root: &ScanRoot| -> Result<(ScanRoot, OwnedFd), Error> {
        let fd = root.open(rustix::fs::OFlags::PATH);
        Ok((root.clone(), fd.map_err(|error| Error::Source { path: root.dir.clone(), source: error.into() })?))
    };
    roots.iter().map(open).collect()
}

fn rules(repository: &Repository, spec: &SourceSpec, options: &SnapshotOptions) -> Result<Rules, Error> {
    let own = match repository.location() {
        crate::store::Location::Folder(folder) => vec![folder.clone()],
        crate::store::Location::Memory => Vec::new(),
    };
    let mut rules = Rules {
        is_instance: spec.layout.is_instance,
        closed: spec.layout.closed(&own),
        categories: options.only.clone(),
        one_file_system: options.one_file_system,
        ..Rules::default()
    };
    if !spec.layout.is_instance {
        // A plain folder's own root is its only one.
        rules.closed = crate::source::closed_dirs(own.iter().map(PathBuf::as_path));
    }
    rules.exclude(&options.exclude).map_err(|source| Error::Glob { glob: source.glob().unwrap_or_default().to_owned(), source })?;
    Ok(rules)
}

/// Names a source: the machine and the directories. What follows one another under this name has one scan cache.
fn source_key(host: &str, layout: &Layout) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(host.as_bytes());
    // A link that is followed from now on makes no other source.
    let mut directories = layout.directories();
    // Nor does one that is not followed.
    directories.extend(layout.refused.iter().map(|(root, _)| (String::from_utf8_lossy(&root.logical).into_owned(), root.dir.to_string_lossy().into_owned())));
    for (name, path) in directories.iter().filter(|(name, _)| !name.contains('/')) {
        hasher.update(&[0]).update(name.as_bytes()).update(&[0]).update(path.as_bytes());
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}
