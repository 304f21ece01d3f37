//! Reads packs and proves every byte of them, several at a time.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use crate::backend::{Listed, Span};
use crate::chunk::ChunkId;
use crate::progress::{Phase, Problem};
use crate::store::{
    Error as StoreError, ExtentReader, PackTrailer, Proved, Repository, chunks_by_extent,
    pack_name, read_trailer,
};

use super::super::moment::moment_of;
use super::super::{Error, Monitor};
use super::packs::PackFile;
use super::read_log::{ReadLog, now};
use super::{CheckOptions, CheckReport, Finding, Share};

/// How much is read at once, in bytes: what was copied from the page cache is hashed while it is in
/// the processor's own.
const RUN_BYTES: usize = 256 << 10;

/// What is told of bytes that the disk does not give: they may be right.
const UNREAD: &str = "the disk cannot read its bytes";

/// Chunks whose bytes are wrong, each with what is wrong.
pub type BadChunks = HashMap<ChunkId, &'static str>;

/// Extents of a pack that are wrong: the chunks of each, and why.
type BadExtents = Vec<(Vec<ChunkId>, &'static str)>;

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadReport {
    /// Packs that were read.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packs that could have been read.
    pub of_packs: u64,
    /// Their bytes.
    pub of_bytes: u64,
    /// Packs that no check ever read whole.
    pub never_read: u64,
    /// Seconds since 1970 at which the pack was read that was not read for longest, of those that
    /// ever were; 0 where none was.
    #[serde(serialize_with = "moment_of")]
    pub oldest: u64,
}

/// Reads a share of the packs; the chunks that are not what they should be.
pub fn read_packs(
    repository: &Repository,
    packs: Vec<PackFile>,
    options: &CheckOptions,
    report: &mut CheckReport,
    monitor: &Monitor,
) -> Result<BadChunks, Error> {
    let mut log = ReadLog::open(repository);
    let all: HashSet<[u8; 16]> = packs.iter().map(|pack| pack.id).collect();
    (report.read.of_packs, report.read.of_bytes) =
        (packs.len() as u64, packs.iter().map(|pack| pack.bytes).sum());
    let chosen = choose(packs, options.read, &log, report.read.of_bytes);
    monitor.progress.phase(
        Phase::Read,
        chosen.len() as u64,
        chosen.iter().map(|pack| pack.bytes).sum(),
    );
    for (pack, bad) in read_all(repository, &chosen, options, monitor)? {
        report.read.packs += 1;
        report.read.bytes += pack.bytes;
        if bad.is_empty() && pack.trailer.is_none() {
            log.note(pack.id);
        } else if bad.is_empty() {
            // Told by its table of contents already.
        } else {
            let what = bad_words(&bad);
            report.findings.push(Finding { name: pack_name(&pack.id), what });
            if bad.iter().any(|(_, what)| *what == UNREAD) {
                report.unread.insert(pack_name(&pack.id));
            }
            if !report.damaged_packs.contains(&pack.id) {
                report.damaged_packs.push(pack.id);
            }
        }
        let all = bad
            .into_iter()
            .flat_map(|(chunks, what)| chunks.into_iter().map(move |chunk| (pack.id, chunk, what)));
        report.bad_chunks.extend(all);
    }
    let found = report.bad_chunks.iter().map(|(_, chunk, what)| (*chunk, *what)).collect();
    report.read.never_read = all.iter().filter(|pack| log.last(pack) == 0).count() as u64;
    report.read.oldest =
        all.iter().map(|pack| log.last(pack)).filter(|last| *last > 0).min().unwrap_or_default();
    if log.save(|pack| all.contains(pack)).is_err() && options.read != Share::Nothing {
        report.remarks.push("which data was read could not be recorded for the next check, because the repository is not writable".to_owned());
    }
    if monitor.interrupt.is_raised() { Err(Error::Interrupted) } else { Ok(found) }
}

/// Reads packs on several threads, as many as time allows.
fn read_all(
    repository: &Repository,
    chosen: &[PackFile],
    options: &CheckOptions,
    monitor: &Monitor,
) -> Result<Vec<(PackFile, BadExtents)>, Error> {
    let deadline =
        if let Share::For(time) = options.read { Instant::now().checked_add(time) } else { None };
    let threads = if options.threads == 0 {
        std::thread::available_parallelism().map_or(2, Into::into)
    } else {
        options.threads
    };
    let (next, read, outcome) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(Ok(())));
    let work = || -> Result<(), Error> {
        let (mut extents, mut buffer) = (ExtentReader::new(repository)?, Vec::new());
        while let Some(pack) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            if monitor.interrupt.is_raised()
                || deadline.is_some_and(|deadline| Instant::now() > deadline)
            {
                break;
            }
            let bad = read_pack(repository, pack, &mut extents, &mut buffer)?;
            if let Some((_, what)) = bad.first() {
                monitor
                    .progress
                    .problem(&Problem { path: pack_name(&pack.id), what: (*what).to_owned() });
            }
            monitor.progress.advance(1, pack.bytes);
            read.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((pack.clone(), bad));
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(chosen.len()) {
            scope.spawn(|| {
                if let Err(error) = work() {
                    *outcome.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Err(error);
                }
            });
        }
    });
    outcome.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    Ok(read.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// What is wrong with a pack.
fn bad_words(bad: &[(Vec<ChunkId>, &'static str)]) -> String {
    let chunks: usize = bad.iter().map(|(chunks, _)| chunks.len()).sum();
    let mut reasons: Vec<_> = bad.iter().map(|(_, what)| *what).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let count = |count: usize, one: &str, many: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {many}") }
    };
    format!(
        "{}, with {}: {}",
        count(bad.len(), "damaged extent", "damaged extents"),
        count(chunks, "chunk", "chunks"),
        reasons.join("; ")
    )
}

/// The packs that are read: those first that were not read for longest.
fn choose(mut packs: Vec<PackFile>, share: Share, log: &ReadLog, total: u64) -> Vec<PackFile> {
    packs.sort_by_key(|pack| (log.last(&pack.id), pack.id));
    let up_to = |limit: u64, packs: Vec<PackFile>| {
        let mut sum = 0u64;
        packs
            .into_iter()
            .take_while(|pack| {
                let before = sum;
                sum = sum.saturating_add(pack.bytes);
                before < limit
            })
            .collect()
    };
    match share {
        Share::Nothing => Vec::new(),
        Share::All | Share::For(_) => packs,
        Share::Percent(percent) => up_to((total as f64 * percent / 100.0).ceil() as u64, packs),
        Share::Bytes(bytes) => up_to(bytes, packs),
        Share::UnreadFor(time) => packs
            .into_iter()
            .filter(|pack| log.last(&pack.id) <= now().saturating_sub(time.as_secs()))
            .collect(),
    }
}

/// Whether every byte of a pack is as it was written.
///
/// # Errors
/// Where it cannot be read.
pub fn is_whole_pack(repository: &Repository, id: &[u8; 16], bytes: u64) -> Result<bool, Error> {
    let pack = PackFile { id: *id, bytes, trailer: None };
    Ok(read_pack(repository, &pack, &mut ExtentReader::new(repository)?, &mut Vec::new())?
        .is_empty())
}

/// The extents of a pack that are wrong: their chunks, and why.
fn read_pack(
    repository: &Repository,
    pack: &PackFile,
    extents: &mut ExtentReader<'_>,
    buffer: &mut Vec<u8>,
) -> Result<BadExtents, Error> {
    let name = pack_name(&pack.id);
    if let Some(trailer) = &pack.trailer {
        return bad_of_index(pack, trailer, extents);
    }
    let trailer = match read_trailer(
        repository.backend(),
        repository.sealer(),
        &Listed { name: name.clone(), size_bytes: pack.bytes },
        &pack.id,
    ) {
        Ok(trailer) => trailer,
        // It was right a moment ago.
        Err(error) if error.is_damage() => {
            return Ok(vec![(Vec::new(), "its trailer (table of contents) cannot be read")]);
        }
        Err(error) => return Err(error.into()),
    };
    let chunks = chunks_by_extent(&trailer);
    let mut bad = Vec::new();
    let mut first = 0;
    while first < trailer.extents.len() {
        let run = run_of(&trailer, first);
        let rows = trailer.extents.get(first..run).unwrap_or_default();
        // With the heads before them.
        let start = trailer.head_start(first);
        let len = rows.last().map_or(0, |row| row.end().saturating_sub(start)) as usize;
        match repository.backend().read_into(&name, Span::At { offset: start, len }, buffer) {
            Ok(()) => {
                for (number, row) in (first..).zip(rows) {
                    let at = (row.offset - start) as usize;
                    let stored = buffer.get(at..at + row.stored_bytes as usize).unwrap_or_default();
                    let head = buffer
                        .get((trailer.head_start(number) - start) as usize..at)
                        .unwrap_or_default();
                    let chunks = chunks.get(number).map(Vec::as_slice).unwrap_or_default();
                    if !trailer.is_head_of(number, chunks, head, repository.sealer()) {
                        bad.push((Vec::new(), "the header of an extent is damaged"));
                    }
                    bad.extend(extents.faults(&pack.id, number as u32, row, chunks, stored));
                }
            }
            // One bad sector must not hide what lies beside it.
            Err(crate::backend::Error::Io { .. } | crate::backend::Error::Short { .. }) => {
                for (number, row) in (first..).zip(rows) {
                    let chunks = chunks.get(number).cloned().unwrap_or_default();
                    let ids = chunks.iter().map(|(id, _)| *id).collect();
                    match extents.read(&pack.id, number as u32, row, chunks) {
                        Ok(Proved::Whole(_)) => {}
                        Ok(Proved::Damaged(ids, what)) => bad.push((ids, what)),
                        Err(error) if error.unread_file().is_some() => bad.push((ids, UNREAD)),
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            Err(error) => return Err(StoreError::from(error).into()),
        }
        first = run;
    }
    Ok(bad)
}

/// The same for a pack whose table of contents is damaged, by what the index knows of it.
fn bad_of_index(
    pack: &PackFile,
    trailer: &PackTrailer,
    extents: &mut ExtentReader<'_>,
) -> Result<BadExtents, Error> {
    let mut bad = Vec::new();
    for (number, row) in (0..).zip(&trailer.extents) {
        let chunks: Vec<_> =
            trailer.chunks.iter().filter(|chunk| chunk.extent == number).copied().collect();
        let good: HashSet<ChunkId> =
            match extents.good_chunks((&pack.id, &trailer.pack), number, row, &chunks) {
                Ok(good) => good.into_iter().map(|(id, _)| id).collect(),
                Err(error) if error.unread_file().is_some() => {
                    bad.push((chunks.iter().map(|chunk| chunk.id).collect(), UNREAD));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
        let lost: Vec<ChunkId> =
            chunks.iter().map(|chunk| chunk.id).filter(|id| !good.contains(id)).collect();
        if !lost.is_empty() {
            bad.push((lost, "content does not match its hash"));
        }
    }
    Ok(bad)
}

/// The end of the extents that are read together from `first` on.
fn run_of(trailer: &PackTrailer, first: usize) -> usize {
    let mut bytes = 0;
    let mut end = first;
    while let Some(row) = trailer.extents.get(end) {
        bytes += row.stored_bytes as usize;
        if end > first && bytes > RUN_BYTES {
            break;
        }
        end += 1;
    }
    end
}
