//! `snapshot`: source → repository. Copy the database, walk the source once, store what changed,
//! publish the record last.

mod captured;
mod clock;
mod content_of;
mod database;
mod emptied;
mod owners;
mod parents;
mod passed;
mod plan;
mod publish;
mod run;
mod spec;
mod survey;
mod unlisted;
mod walk;
mod worth;

use std::time::Duration;

use crate::manifest::SnapshotRecord;
use crate::progress::Phase;
use crate::source::{ScanCache, ScanRoot};
use crate::store::{Held, Index, IndexMode, Repository};

use self::database::Databases;
use self::plan::Planner;
use self::publish::{Walked, close};
use self::run::{Purpose, Run, open_roots};
use self::walk::walk;
use super::ingest::collect::Collector;
use super::ingest::job::Shared;
use super::ingest::known_pages::KnownPages;
use super::ingest::page_hashes::PageHashes;
use super::{Error, Monitor};

pub(super) use super::ingest::packer::ReadFailure;
pub(super) use content_of::content_of;
pub(super) use run::begin_list;
pub use spec::{Server, SnapshotOptions, SnapshotReport, SourceSpec};
pub use survey::{Survey, survey};

/// How often the source is walked where something vanishes or moves while it is walked: an upgrade
/// moves whole folders.
const WALKS_MAX: usize = 3;

/// What was moved before the walk is told from what moves during it once the file system's clock
/// went on.
const PAUSE: Duration = Duration::from_millis(25);

/// Takes a snapshot.
pub fn snapshot(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    monitor: &Monitor,
) -> Result<SnapshotReport, Error> {
    Ok(capture_at_rest(repository, spec, options, Purpose::Keep, monitor)?.0)
}

/// What a snapshot would hold now: its record, and those nodes of its manifests that the repository
/// lacks. Stores nothing.
pub(super) fn look(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    monitor: &Monitor,
) -> Result<(SnapshotRecord, Held), Error> {
    let (report, held) = capture_at_rest(repository, spec, options, Purpose::Look, monitor)?;
    Ok((report.record, held))
}

/// Captures the source, and once more as long as something vanishes or moves from under the walk,
/// up to a limit.
fn capture_at_rest(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    purpose: Purpose,
    monitor: &Monitor,
) -> Result<(SnapshotReport, Held), Error> {
    for walks_left in (0..WALKS_MAX).rev() {
        if let Some(captured) =
            capture(repository, spec, options, purpose, walks_left > 0, monitor)?
        {
            return Ok(captured);
        }
        tracing::info!(
            walks_left,
            "something moved while the source was read, so it is read again"
        );
        std::thread::sleep(PAUSE);
    }
    Err(Error::Interrupted)
}

/// Captures the source; nothing where something vanished from under the walk, and it may be walked
/// again.
fn capture(
    repository: &Repository,
    spec: &SourceSpec,
    options: &SnapshotOptions,
    purpose: Purpose,
    may_walk_again: bool,
    monitor: &Monitor,
) -> Result<Option<(SnapshotReport, Held)>, Error> {
    let run = Run::begin(repository, spec, options, purpose, monitor)?;
    let index = Index::open(repository, IndexMode::Use)?;
    let cache_file = repository.scan_cache_file(&run.key);
    // What the cache lets skip must be there: where packs may be missing, everything is read again.
    let cache = cache_file.as_deref().filter(|_| index.is_sure()).and_then(ScanCache::open);
    let old = run.old_runs(cache.as_ref(), &index);
    let roots = spec.layout.present();
    let scratch = run.scratch(&roots)?;
    let opened = open_roots(&roots)?;
    let shared = Shared {
        repository,
        index: &index,
        cache: cache.as_ref(),
        roots: &opened,
        layout: &spec.layout,
        scan_start_ns: run.scan_start_ns,
        scratch: &scratch,
        known_pages: KnownPages::new(run.parents.databases(repository)?),
        page_hashes: PageHashes { folder: repository.page_hashes_folder(), keeps: run.keeps() },
        progress: &*monitor.progress,
        interrupt: &monitor.interrupt,
        dry_run: options.dry_run,
    };
    let mut collector = run.collector(&index, cache_file.as_deref())?;
    let earlier = run.earlier(&index)?;
    let mut databases = Databases::new(&shared)?;
    let main = run.main_database(&shared, &mut databases, &earlier, &mut collector)?;
    monitor.progress.phase(Phase::Capture, run.parents.files(), run.parents.bytes());
    let verdicts = cache.as_ref().map(|cache| &cache.verdicts);
    let mut planner = Planner::new(&run.rules, &spec.layout, old, verdicts, main.item);
    run.tell_known(main.problems, index.missing(), &mut collector);
    let mut remarks = main.remarks;
    let walked = walk(
        &shared,
        &roots,
        &run.rules,
        options.threads,
        &mut planner,
        &mut databases,
        &mut collector,
        &mut remarks.notices,
    );
    drop(databases);
    if let Err(error) = walked {
        return Err(given_up(collector, error));
    }
    let moved = planner.passed.came(&opened, &run.rules, &monitor.interrupt);
    if may_walk_again
        && (collector.vanished > 0
            || !moved.is_empty()
            || database::has_moved_on(spec, &shared, main.server.history.as_deref()))
    {
        // What was stored is found again.
        collector.finish_interrupted()?;
        return Ok(None);
    }
    moved.iter().for_each(|path| collector.problem(passed::problem(path)));
    if planner.seen.0 == 0 && (run.wanted.len() > 1 || !spec.layout.is_instance) {
        return Err(empty_source(&roots));
    }
    let Planner { seen, others_seen, verdicts, .. } = planner;
    let mut seen_by_server = main.seen_by_server;
    spec.layout.add_named_by_settings(&mut seen_by_server);
    let walked =
        Walked { seen, others_seen, verdicts, server: main.server, seen_by_server, remarks };
    let closed = close(&run, &index, collector, walked, (&roots, &earlier))?;
    closed.publish(&run, index).map(Some)
}

fn empty_source(roots: &[ScanRoot]) -> Error {
    let path = roots.first().map(|root| root.dir.display().to_string()).unwrap_or_default();
    Error::EmptySource { path }
}

/// Ends a capture that failed; the error that it failed with, or that of the end. What an
/// interrupted one stored is made durable: the next uses it.
fn given_up(mut collector: Collector<'_>, error: Error) -> Error {
    collector.abandon();
    match error {
        Error::Interrupted => collector.finish_interrupted().err().unwrap_or(error),
        error => error,
    }
}
