//! The end of a capture: what it found becomes a record, and with that a snapshot.

use std::sync::atomic::Ordering;

use crate::manifest::{
    ByteCounts, Catalog, Directories, ServerRecord, SnapshotId, SnapshotRecord, SourceRecord,
    display, find, is_within,
};
use crate::progress::{Phase, Problem};
use crate::source::{
    Category, DATABASE_PATH, GENERATED, ScanCacheWriter, ScanRoot, Verdicts, version,
};
use crate::store::{ChunkReader, Held, Index};

use super::super::Error;
use super::super::ingest::collect::{Collector, finish_cache};
use super::captured::Remarks;
use super::owners::names_of;
use super::run::{Purpose, Run};
use super::{SnapshotReport, emptied, unlisted, worth};

/// What the walk found, beside what the collector has.
pub(super) struct Walked {
    /// (files, bytes)
    pub seen: (u64, u64),
    /// Files that are no markers of Jellyfin's.
    pub others_seen: u64,
    pub verdicts: Verdicts,
    pub server: ServerRecord,
    pub seen_by_server: Directories,
    pub remarks: Remarks,
}

/// A capture whose parts are all in packs; nothing names them yet.
pub(super) struct Closed {
    id: SnapshotId,
    record: SnapshotRecord,
    notices: Vec<String>,
    files_unknown: u64,
    reads: u64,
    packs: u64,
    held: Held,
    cache: Option<ScanCacheWriter>,
    verdicts: Verdicts,
}

/// Closes the manifests and makes everything durable but the record.
pub(super) fn close(
    run: &Run<'_>,
    index: &Index,
    mut collector: Collector<'_>,
    mut walked: Walked,
    (roots, earlier): (&[ScanRoot], &worth::Before<'_>),
) -> Result<Closed, Error> {
    run.monitor.progress.phase(Phase::Commit, 0, 0);
    let categories = if run.options.dry_run {
        Default::default()
    } else {
        collector.close_trees(&run.wanted)?
    };
    let (others_seen, verdicts) = (walked.others_seen, std::mem::take(&mut walked.verdicts));
    let details = std::mem::take(&mut walked.remarks.details);
    let mut record = record(run, &mut collector, walked);
    // Below what could not be listed nothing is known to be gone.
    let files_unknown =
        unlisted::files_below(&collector.unlisted, &run.parents, (run.repository, index))
            .min(record.files.gone);
    record.files.gone -= files_unknown;
    record.categories = categories;
    if !run.options.dry_run {
        record.bytes.source = record.categories.values().map(|category| category.bytes).sum();
        record.files.total = record.categories.values().map(|category| category.files).sum();
    }
    tell_again(run, index, &mut collector);
    if run.spec.layout.is_instance {
        tell_losses(run, &mut collector, &mut record, others_seen, (roots, earlier));
    }
    let notices = record.remarks.clone();
    record.remarks.extend(details);
    (record.problems, record.problem_count) =
        (std::mem::take(&mut collector.problems), collector.problem_count);
    let (reads, held) = (collector.reads, Held::from(std::mem::take(&mut collector.held)));
    let id = new_id(run)?;
    let copy_bytes = collector.store_record_copy(id, &record)?;
    let (stored, cache) = collector.finish()?;
    // Looked at before anything is published: a chunk that is known but in no pack would make every
    // snapshot after this one lie.
    if index.unplaced() != 0 && run.purpose == Purpose::Keep {
        return Err(crate::store::Error::Unplaced { chunks: index.unplaced() }.into());
    }
    (record.bytes.new_raw, record.bytes.new_stored) =
        (stored.raw_bytes - copy_bytes, stored.stored_bytes);
    Ok(Closed {
        id,
        record,
        notices,
        files_unknown,
        reads,
        packs: stored.packs,
        held,
        cache,
        verdicts,
    })
}

impl Closed {
    /// Makes it a snapshot; of a look, tells what it would hold.
    pub(super) fn publish(
        self,
        run: &Run<'_>,
        index: Index,
    ) -> Result<(SnapshotReport, Held), Error> {
        let Closed { id, mut record, notices, files_unknown, reads, packs, held, cache, verdicts } =
            self;
        let took_ms = || run.begun.elapsed().as_millis() as u64;
        if !run.keeps() {
            record.took_ms = took_ms();
            return Ok((
                SnapshotReport {
                    id: None,
                    record,
                    notices,
                    files_unknown,
                    reads,
                    packs: 0,
                    index_is_current: true,
                },
                held,
            ));
        }
        let index_is_current = if packs > 0 || index.trailers_read() > 0 || index.is_due() {
            index.commit()?
        } else {
            true
        };
        record.took_ms = took_ms();
        Catalog::publish(run.repository, id, &record, run.options.is_kept)?;
        if let Some(last) = last_of_version(run, &record) {
            super::super::keep(run.repository, &[last], true)?;
        }
        finish_cache(cache, &record.categories, verdicts);
        Ok((
            SnapshotReport {
                id: Some(id),
                record,
                notices,
                files_unknown,
                reads,
                packs,
                index_is_current,
            },
            held,
        ))
    }
}

/// What was wrong with a database is wrong with it still, as long as it was not written to. The
/// main one is told by its capture.
fn tell_again(run: &Run<'_>, index: &Index, collector: &mut Collector<'_>) {
    let Some(databases) = run
        .parents
        .categories
        .get(&Category::Database)
        .filter(|_| run.rules.wants(Category::Database))
    else {
        return;
    };
    let known = run.parents.record.iter().flat_map(|record| &record.problems);
    let mut reader = ChunkReader::new(run.repository, index);
    let mut is_unchanged = |problem: &&Problem| {
        let path = problem.path.as_bytes();
        path != DATABASE_PATH
            && !(run.options.accept_loss && problem.what == worth::NO_ITEMS)
            && !collector.copied.contains(path)
            && run
                .spec
                .layout
                .live_file(path)
                .is_ok_and(|file| file.stat().is_ok_and(|stat| stat.is_file()))
            && find(&mut reader, databases.manifest, path).is_ok_and(|entry| entry.is_some())
    };
    for problem in known.filter(|problem| is_unchanged(problem)).cloned().collect::<Vec<_>>() {
        run.monitor.progress.problem(&problem);
        collector.problem(problem);
    }
}

/// The snapshot before, where it is the last one of another version: after an upgrade that went
/// wrong it is the one to go back to.
fn last_of_version(run: &Run<'_>, record: &SnapshotRecord) -> Option<SnapshotId> {
    let before = run
        .parents
        .record
        .as_ref()
        .filter(|before| before.is_complete() && !before.is_safety() && !record.is_safety())?;
    let (then, now) = (before.server.version.as_ref()?, record.server.version.as_ref()?);
    let is_other = version::parse(&then.value) != version::parse(&now.value);
    // A version that is only the least possible one says something where the database itself was
    // changed.
    let is_told = (then.exact && now.exact) || before.server.history != record.server.history;
    (is_other && is_told).then_some(run.parents.newest).flatten()
}

/// Tells what earlier snapshots had and this one lacks, where that is more than a day's work.
fn tell_losses(
    run: &Run<'_>,
    collector: &mut Collector<'_>,
    record: &mut SnapshotRecord,
    others_seen: u64,
    (roots, earlier): (&[ScanRoot], &worth::Before<'_>),
) {
    let mut losses = worth::of_source(
        &record.categories,
        &collector.problems,
        others_seen,
        (roots, !run.options.exclude.is_empty()),
        earlier,
    );
    if collector.library_is_empty && earlier.has_library_items() {
        losses.push(Problem { path: display(worth::LIBRARY), what: worth::NO_ITEMS.to_owned() });
    }
    // What is told of a whole category need not be told of each of its folders.
    let is_told = |path: &[u8]| {
        losses
            .iter()
            .chain(&collector.problems)
            .any(|problem| is_within(path, problem.path.as_bytes()))
    };
    let is_asked =
        |path: &[u8]| others_seen > 0 && run.rules.wants(Category::of(path)) && !is_told(path);
    let emptied = emptied::since(earlier, roots, is_asked);
    record.remarks.extend(emptied::remarks(earlier, roots, is_asked));
    losses.extend(emptied);
    for problem in losses {
        run.monitor.progress.problem(&problem);
        collector.problem(problem);
    }
}

/// The record but for what only the end of the capture knows: categories, problems, what was
/// stored.
fn record(run: &Run<'_>, collector: &mut Collector<'_>, walked: Walked) -> SnapshotRecord {
    let (options, spec, parents) = (run.options, run.spec, &run.parents);
    let mut files = collector.files;
    files.total = walked.seen.0.min(files.new + files.changed + files.unchanged);
    files.gone = parents.files().saturating_sub(collector.met);
    let left_out = std::mem::take(&mut collector.left_out);
    let mut remarks = walked.remarks.notices;
    remarks.extend(run.rules.globs.unused().map(|glob| {
        format!("nothing was left out for --exclude {glob}: no name or path matches it")
    }));
    remarks.extend(
        left_out.iter().map(|glob| format!("{glob} was left out: it is on another file system")),
    );
    let generated: Vec<String> = if run.rules.has_left_generated.load(Ordering::Relaxed) {
        GENERATED.map(str::to_owned).to_vec()
    } else {
        Vec::new()
    };
    let mut server = walked.server;
    // A server that lost its id in this place is the same still.
    server.id = server
        .id
        .or_else(|| run.server.clone())
        .or_else(|| parents.record.as_ref()?.server.id.clone());
    let mut record = SnapshotRecord {
        time_ns: i64::try_from(run.scan_start_ns).unwrap_or(i64::MAX),
        parent: parents.newest,
        label: options.label.clone(),
        note: options.note.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: SourceRecord {
            key: run.key.clone(),
            host: options.host.clone(),
            how: spec.how.clone(),
            directories: spec.layout.directories(),
            seen_by_server: walked.seen_by_server,
        },
        server,
        categories: Default::default(),
        files,
        bytes: ByteCounts {
            source: walked.seen.1,
            read: collector.read_bytes,
            new_raw: 0,
            new_stored: 0,
        },
        took_ms: 0,
        excluded: [options.exclude.as_slice(), &left_out, &generated].concat(),
        problems: Vec::new(),
        problem_count: 0,
        remarks,
        owners: names_of(&collector.owners),
    };
    if options.is_safety {
        record.mark_safety();
    }
    record
}

/// An id behind all others: the order of the list is that in which snapshots were taken, whatever
/// the clock said.
fn new_id(run: &Run<'_>) -> Result<SnapshotId, Error> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| Error::System { what: "random numbers" })?;
    let last_ms = Catalog::last_id(run.repository)?.map_or(0, |last| last.time_ms());
    let now_ms = u64::try_from(run.scan_start_ns / 1_000_000).unwrap_or_default();
    Ok(SnapshotId::at(now_ms.max(last_ms.saturating_add(1)), random))
}
