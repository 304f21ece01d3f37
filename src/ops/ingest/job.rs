//! One batch of runs, worked through by one thread: what changed is read and stored, each run
//! becomes a leaf.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::mpsc::SyncSender;

use crate::limits::XATTRS_INLINE_BYTES_MAX;
use crate::manifest::{Child, Content, Entry, Kind, LeafRef, Node, Xattrs, display, encode_xattrs};
use crate::progress::{Interrupt, Problem, Progress};
use crate::source::{Fingerprint, Layout, Run, ScanCache, ScanRoot};
use crate::store::{ChunkReader, FilledExtent, Index, Repository};

use super::super::Error;
use super::item::{BytesFrom, Item, Plan};
use super::known_pages::KnownPages;
use super::met::{Met, unread};
use super::old::OldEntries;
use super::packer::{Packer, ReadFailure, Sink};
use super::page_hashes::PageHashes;
use super::pages::PagePacker;

/// What a job tells, in order.
pub(in crate::ops) enum Part {
    Extent(FilledExtent),
    Leaf(Box<Leaf>),
    Failed(Error),
}

/// A finished leaf with what the scan cache will know of it.
pub(in crate::ops) struct Leaf {
    pub leaf: LeafRef,
    pub fingerprints: Vec<Fingerprint>,
    pub counts: Counts,
    pub problems: Vec<Problem>,
    pub owners: HashMap<(u32, u32), ()>,
}

/// Files of a run against the parent.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ops) struct Counts {
    pub new: u64,
    pub changed: u64,
    pub unchanged: u64,
    /// Files of the parent that were met again.
    pub met: u64,
    pub read_bytes: u64,
    pub reads: u64,
}

/// What all jobs share.
pub(in crate::ops) struct Shared<'a> {
    pub repository: &'a Repository,
    pub index: &'a Index,
    pub cache: Option<&'a ScanCache>,
    pub roots: &'a [(ScanRoot, OwnedFd)],
    pub layout: &'a Layout,
    pub scan_start_ns: i128,
    /// Where private copies of databases are made.
    pub scratch: &'a std::path::Path,
    pub known_pages: KnownPages,
    pub page_hashes: PageHashes,
    pub progress: &'a dyn Progress,
    pub interrupt: &'a Interrupt,
    pub dry_run: bool,
}

/// What one thread keeps between jobs.
pub(in crate::ops) struct Worker<'a> {
    pub(in crate::ops) packer: Packer,
    pub(in crate::ops) pages: PagePacker,
    pub reader: ChunkReader<'a>,
    /// Files that were not what the scan saw: after a few, none is taken for that.
    pub(in crate::ops) unlike_scan: u8,
}

impl<'a> Worker<'a> {
    pub(in crate::ops) fn new(shared: &Shared<'a>) -> Result<Worker<'a>, Error> {
        let config = shared.repository.config();
        let packer =
            Packer::new(shared.repository.hashing(), config.cut, config.compression_level)?;
        let pages = PagePacker::new(shared.repository)?;
        Ok(Worker {
            packer,
            pages,
            reader: ChunkReader::new(shared.repository, shared.index),
            unlike_scan: 0,
        })
    }

    /// Works through a batch; parts go out as they are ready.
    pub(in crate::ops) fn run(
        &mut self,
        shared: &Shared<'a>,
        plans: Vec<Plan>,
        out: &SyncSender<Part>,
    ) {
        let outcome = plans.into_iter().try_for_each(|plan| {
            if shared.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let leaf = match plan {
                Plan::Keep { run, items } => kept(run, &items),
                Plan::Build { items, old } => self.build(shared, items, &old, out)?,
            };
            send(out, Part::Leaf(Box::new(leaf)))
        });
        let outcome =
            outcome.and_then(|()| self.packer.flush(&mut |extent| send(out, Part::Extent(extent))));
        if let Err(error) = outcome {
            // Where nobody listens any more the capture failed already, with a reason of its own.
            crate::tolerate(out.send(Part::Failed(error)));
        }
    }

    /// Hands out what still waits for company.
    pub(in crate::ops) fn flush(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        self.packer.flush(sink)
    }

    fn build(
        &mut self,
        shared: &Shared<'a>,
        items: Vec<Item>,
        old: &[Run],
        out: &SyncSender<Part>,
    ) -> Result<Leaf, Error> {
        let mut old = OldEntries::read(old, shared.cache, &mut self.reader)?;
        let path_key = items.first().map(|item| item.key).unwrap_or_default();
        let (mut entries, mut fingerprints) =
            (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let (mut counts, mut problems, mut owners) =
            (Counts::default(), Vec::new(), HashMap::new());
        for item in items {
            if shared.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let before = old.take(&item.path);
            let is_file = u64::from(item.stat.is_file());
            if before.as_ref().is_some_and(|(entry, _)| matches!(entry.kind, Kind::File { .. })) {
                counts.met += 1;
            }
            if let Some((entry, known)) = &before
                && known.is_trusted()
                && *known == item.fingerprint
            {
                counts.unchanged += is_file;
                shared.progress.advance(is_file, entry.size());
                owners.insert((entry.uid, entry.gid), ());
                entries.push(entry.clone());
                fingerprints.push(item.fingerprint);
                continue;
            }
            if shared.dry_run {
                let counter = if before.is_some() { &mut counts.changed } else { &mut counts.new };
                *counter += is_file;
                counts.read_bytes += is_file * item.stat.size;
                continue;
            }
            let content = before.as_ref().and_then(|(entry, _)| entry.content());
            match self.capture(shared, &item, content, &mut counts, &mut problems, out)? {
                Some((entry, fingerprint)) => {
                    let counter = match &before {
                        None => &mut counts.new,
                        Some((before, _)) if *before == entry => &mut counts.unchanged,
                        Some(_) => &mut counts.changed,
                    };
                    *counter += is_file;
                    shared.progress.advance(is_file, entry.size());
                    owners.insert((entry.uid, entry.gid), ());
                    entries.push(entry);
                    fingerprints.push(fingerprint);
                }
                None => debug_assert!(!problems.is_empty(), "a path was left out without a word"),
            }
        }
        problems.iter().for_each(|problem| shared.progress.problem(problem));
        let (files, bytes) = totals(&entries);
        let first = entries.first().map(|entry| entry.path.clone()).unwrap_or_default();
        let mut leaf = Child {
            first,
            id: crate::chunk::ChunkId([0; 32]),
            entries: entries.len() as u64,
            files,
            bytes,
        };
        if !entries.is_empty() {
            leaf.id = self.packer.store_node(
                &Node::encode_leaf(&entries),
                shared.index,
                &mut |extent| send(out, Part::Extent(extent)),
            )?;
        }
        Ok(Leaf { leaf: LeafRef { child: leaf, path_key }, fingerprints, counts, problems, owners })
    }

    /// A path's entry with its content stored; nothing where it cannot be captured, which is told
    /// as a problem.
    fn capture(
        &mut self,
        shared: &Shared<'a>,
        item: &Item,
        before: Option<&Content>,
        counts: &mut Counts,
        problems: &mut Vec<Problem>,
        out: &SyncSender<Part>,
    ) -> Result<Option<(Entry, Fingerprint)>, Error> {
        let mut problem = |what: String| problems.push(Problem { path: display(&item.path), what });
        let Some((root, root_fd)) = shared.roots.get(item.root) else { return Ok(None) };
        let prefix = if root.logical.is_empty() { 0 } else { root.logical.len() + 1 };
        let below = item.path.get(prefix..).unwrap_or_default();
        let met = if item.stat.is_dir() {
            Met::directory(root_fd, below, item, &mut problem)
        } else if item.stat.is_symlink() {
            match Met::link(root_fd, below, item, &mut problem) {
                Some(met) => met,
                None => return Ok(None),
            }
        } else {
            // A large file is stopped between two extents.
            let sink: Sink<'_> = &mut |extent| {
                if shared.interrupt.is_raised() {
                    Err(Error::Interrupted)
                } else {
                    send(out, Part::Extent(extent))
                }
            };
            let read = match &item.bytes_from {
                BytesFrom::Itself => {
                    self.read_file(shared, root_fd, below, &item.stat, before, sink)
                }
                BytesFrom::Stored(done) => Ok(done.as_ref().clone()),
                BytesFrom::Database => {
                    problem(
                        "the database was not copied, so it is not in this snapshot".to_owned(),
                    );
                    return Ok(None);
                }
            };
            match read {
                Ok(done) => {
                    counts.read_bytes += done.size;
                    counts.reads += 1;
                    Met::file(done, item, &mut problem)
                }
                Err(ReadFailure::Fatal(error)) => return Err(error),
                Err(ReadFailure::Io(error)) => {
                    problem(unread(&error));
                    return Ok(None);
                }
            }
        };
        let fingerprint = if met.is_settled && !item.stat.is_racy(shared.scan_start_ns) {
            item.fingerprint
        } else {
            Fingerprint::NEVER
        };
        let xattrs = self.store_xattrs(shared, met.xattrs, out)?;
        let Met { kind, stat, .. } = met;
        let entry = Entry {
            path: item.path.clone(),
            kind,
            mode: stat.permissions(),
            uid: stat.uid,
            gid: stat.gid,
            mtime: stat.mtime,
            xattrs,
            link_group: item.link_group,
        };
        Ok(Some((entry, fingerprint)))
    }

    fn store_xattrs(
        &mut self,
        shared: &Shared<'a>,
        xattrs: Vec<(Vec<u8>, Vec<u8>)>,
        out: &SyncSender<Part>,
    ) -> Result<Xattrs, Error> {
        if xattrs.is_empty() {
            return Ok(Xattrs::None);
        }
        let bytes = encode_xattrs(&xattrs);
        if bytes.len() <= XATTRS_INLINE_BYTES_MAX {
            return Ok(Xattrs::Inline(xattrs));
        }
        Ok(Xattrs::Chunk(
            self.packer
                .store_list(&bytes, shared.index, &mut |extent| send(out, Part::Extent(extent)))?,
        ))
    }
}

/// The leaf of a run that did not change.
pub(in crate::ops) fn kept(run: Run, items: &[Item]) -> Leaf {
    let child = Child {
        first: run.first,
        id: run.leaf,
        entries: run.entries,
        files: run.files,
        bytes: run.bytes,
    };
    let path_key = items.first().map(|item| item.key).unwrap_or_default();
    let counts = Counts { unchanged: run.files, met: run.files, ..Counts::default() };
    let owners = items.iter().map(|item| ((item.stat.uid, item.stat.gid), ())).collect();
    Leaf {
        leaf: LeafRef { child, path_key },
        fingerprints: items.iter().map(|item| item.fingerprint).collect(),
        counts,
        problems: Vec::new(),
        owners,
    }
}

fn totals(entries: &[Entry]) -> (u64, u64) {
    let files = entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }));
    files.fold((0, 0), |(files, bytes), entry| (files + 1, bytes + entry.size()))
}

fn send(out: &SyncSender<Part>, part: Part) -> Result<(), Error> {
    // Nobody listens once the capture failed elsewhere.
    out.send(part).map_err(|_| Error::Interrupted)
}
