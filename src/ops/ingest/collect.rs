//! Where the parts of all batches come together again, in order: extents into packs, leaves into
//! trees, runs into the scan cache.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, TryRecvError};

use crate::chunk::ChunkId;
use crate::limits::{PROBLEM_BYTES_MAX, PROBLEMS_NAMED_BYTES_MAX, PROBLEMS_NAMED_MAX};
use crate::manifest::{
    CategoryRecord, Files, SnapshotId, SnapshotRecord, TreeBuilder, display, encode_record_copy,
};
use crate::progress::Problem;
use crate::source::{Category, ScanCacheWriter, Verdicts};
use crate::store::{ExtentKind, FilledExtent, Index, PackStreams};

use super::super::Error;
use super::job::{Leaf, Part};
use super::met::VANISHED;
use super::packer::Packer;

/// A batch that was handed out or needs no work.
pub(in crate::ops) enum Pending {
    Job(Category, Receiver<Part>),
    Done(Category, Vec<Leaf>),
}

/// Batches under way at most; each holds some MiB.
const PENDING_MAX: usize = 12;

/// Collects.
pub(in crate::ops) struct Collector<'a> {
    streams: PackStreams<'a>,
    index: &'a Index,
    packer: Packer,
    queue: VecDeque<Pending>,
    trees: Vec<TreeBuilder>,
    pub cache: Option<ScanCacheWriter>,
    pub files: Files,
    pub read_bytes: u64,
    pub reads: u64,
    pub met: u64,
    pub problems: Vec<Problem>,
    pub problem_count: u64,
    /// Those of what was gone before it was read.
    pub vanished: u64,
    problem_bytes: usize,
    /// Directories that could not be listed.
    pub unlisted: Vec<Vec<u8>>,
    pub owners: HashMap<(u32, u32), ()>,
    /// Databases beside the main one that were copied now.
    pub copied: HashSet<Vec<u8>>,
    /// The library of a server before 10.11 has no items.
    pub library_is_empty: bool,
    /// Globs of what was not entered.
    pub left_out: Vec<String>,
    is_dry: bool,
    /// Keeps manifest nodes and lists in memory, and nothing else: for a look that stores nothing.
    pub holds: bool,
    pub held: HashMap<ChunkId, std::sync::Arc<Vec<u8>>>,
}

/// The stream of manifest nodes and lists, behind those of the categories.
const NODE_STREAM: usize = Category::ALL.len();

impl<'a> Collector<'a> {
    pub(in crate::ops) fn new(
        streams: PackStreams<'a>,
        index: &'a Index,
        packer: Packer,
        cache: Option<ScanCacheWriter>,
        is_dry: bool,
    ) -> Collector<'a> {
        Collector {
            streams,
            index,
            packer,
            queue: VecDeque::new(),
            trees: Category::ALL.iter().map(|_| TreeBuilder::default()).collect(),
            cache,
            files: Files::default(),
            read_bytes: 0,
            reads: 0,
            met: 0,
            problems: Vec::new(),
            problem_count: 0,
            vanished: 0,
            problem_bytes: 0,
            unlisted: Vec::new(),
            owners: HashMap::new(),
            copied: HashSet::new(),
            library_is_empty: false,
            left_out: Vec::new(),
            is_dry,
            holds: false,
            held: HashMap::new(),
        }
    }

    /// How many streams there are.
    pub(in crate::ops) const STREAMS: usize = NODE_STREAM + 1;

    /// Takes a batch; works off the oldest ones where many wait or they are ready.
    pub(in crate::ops) fn push(&mut self, pending: Pending) -> Result<(), Error> {
        self.queue.push_back(pending);
        while self.queue.len() > PENDING_MAX {
            self.pop()?;
        }
        self.poll()
    }

    /// Works off what is ready, without waiting.
    pub(in crate::ops) fn poll(&mut self) -> Result<(), Error> {
        loop {
            match self.queue.front() {
                Some(Pending::Done(..)) => self.pop()?,
                Some(Pending::Job(category, parts)) => {
                    let category = *category;
                    match parts.try_recv() {
                        Ok(part) => self.take(category, part)?,
                        Err(TryRecvError::Empty) => return Ok(()),
                        Err(TryRecvError::Disconnected) => drop(self.queue.pop_front()),
                    }
                }
                None => return Ok(()),
            }
        }
    }

    fn pop(&mut self) -> Result<(), Error> {
        match self.queue.pop_front() {
            Some(Pending::Job(category, parts)) => {
                parts.into_iter().try_for_each(|part| self.take(category, part))
            }
            Some(Pending::Done(category, leaves)) => {
                leaves.into_iter().try_for_each(|leaf| self.leaf(category, leaf))
            }
            None => Ok(()),
        }
    }

    fn take(&mut self, category: Category, part: Part) -> Result<(), Error> {
        match part {
            Part::Extent(extent) => self.extent(category, extent),
            Part::Leaf(leaf) => self.leaf(category, *leaf),
            Part::Failed(error) => Err(error),
        }
    }

    /// Takes an extent to where those of its kind lie.
    pub(in crate::ops) fn extent(
        &mut self,
        category: Category,
        extent: FilledExtent,
    ) -> Result<(), Error> {
        if self.holds {
            return hold(&mut self.held, extent);
        }
        match extent.kind {
            ExtentKind::Data | ExtentKind::Pages => {
                Ok(self.streams.append(category.number(), extent)?)
            }
            ExtentKind::Node | ExtentKind::List => Ok(self.streams.append(NODE_STREAM, extent)?),
            ExtentKind::Recipe { .. } => Ok(self.streams.append_last(extent)?),
        }
    }

    fn leaf(&mut self, category: Category, leaf: Leaf) -> Result<(), Error> {
        self.files.new += leaf.counts.new;
        self.files.changed += leaf.counts.changed;
        self.files.unchanged += leaf.counts.unchanged;
        self.met += leaf.counts.met;
        self.read_bytes += leaf.counts.read_bytes;
        self.reads += leaf.counts.reads;
        for problem in leaf.problems {
            self.problem(problem);
        }
        self.owners.extend(leaf.owners);
        let child = &leaf.leaf.child;
        if child.entries == 0 || self.is_dry {
            return Ok(());
        }
        if let Some(cache) = &mut self.cache
            && cache
                .push(
                    category,
                    child.first.clone(),
                    child.id,
                    (child.files, child.bytes),
                    &leaf.fingerprints,
                )
                .is_err()
        {
            // A cache that cannot be written costs the next scan its time, nothing else.
            self.cache = None;
        }
        let Collector { streams, index, packer, trees, holds, held, .. } = self;
        let mut sink = |extent| {
            if *holds {
                hold(held, extent)
            } else {
                Ok::<_, Error>(streams.append(NODE_STREAM, extent)?)
            }
        };
        let mut store = |bytes: Vec<u8>| packer.store_node(&bytes, index, &mut sink);
        match trees.get_mut(category.number()) {
            Some(tree) => tree.push(leaf.leaf, &mut store),
            None => Ok(()),
        }
    }

    /// Notes a directory on another file system: what lies in it is left out, as if the user had
    /// said so.
    pub(in crate::ops) fn elsewhere(&mut self, path: &[u8]) {
        match std::str::from_utf8(path) {
            Ok(path) => self.left_out.push(format!("{}/**", globset::escape(path))),
            Err(_) => self.problem(Problem {
                path: display(path),
                what: "it is on another file system, so its contents are not in this snapshot"
                    .to_owned(),
            }),
        }
    }

    /// Keeps a problem; by name as long as there are not too many.
    pub(in crate::ops) fn problem(&mut self, mut problem: Problem) {
        if problem.what.len() > PROBLEM_BYTES_MAX {
            problem.what =
                problem.what.chars().take(PROBLEM_BYTES_MAX / 4).chain("…".chars()).collect();
        }
        self.problem_count += 1;
        self.vanished += u64::from(problem.what == VANISHED);
        self.problem_bytes += problem.path.len() + problem.what.len();
        if self.problems.len() < PROBLEMS_NAMED_MAX
            && self.problem_bytes <= PROBLEMS_NAMED_BYTES_MAX
        {
            self.problems.push(problem);
        }
    }

    /// Waits for all batches.
    pub(in crate::ops) fn drain(&mut self) -> Result<(), Error> {
        while !self.queue.is_empty() {
            self.pop()?;
        }
        Ok(())
    }

    /// Lets go of all batches: their workers stop.
    pub(in crate::ops) fn abandon(&mut self) {
        self.queue.clear();
    }

    /// Closes the trees of the categories that were captured; their manifests.
    pub(in crate::ops) fn close_trees(
        &mut self,
        wanted: &[Category],
    ) -> Result<BTreeMap<String, CategoryRecord>, Error> {
        let mut records = BTreeMap::new();
        let Collector { streams, index, packer, trees, holds, held, .. } = self;
        let mut sink = |extent| {
            if *holds {
                hold(held, extent)
            } else {
                Ok::<_, Error>(streams.append(NODE_STREAM, extent)?)
            }
        };
        let mut store = |bytes: Vec<u8>| packer.store_node(&bytes, index, &mut sink);
        for (category, tree) in Category::ALL.iter().zip(std::mem::take(trees)) {
            if wanted.contains(category) {
                let root = tree.finish(&mut store)?;
                records.insert(
                    category.name().to_owned(),
                    CategoryRecord {
                        manifest: root.id,
                        entries: root.entries,
                        files: root.files,
                        bytes: root.bytes,
                    },
                );
            }
        }
        packer.flush(&mut sink)?;
        Ok(records)
    }

    /// Stores a copy of the record beside the trees that it names. Where nothing else was stored no
    /// pack is written for it alone, unless the user gave the snapshot a name. Its bytes, which are
    /// no content.
    pub(in crate::ops) fn store_record_copy(
        &mut self,
        id: SnapshotId,
        record: &SnapshotRecord,
    ) -> Result<u64, Error> {
        let is_named = record.label.is_some() || record.note.is_some();
        if self.holds || self.is_dry || (self.streams.stored().raw_bytes == 0 && !is_named) {
            return Ok(0);
        }
        let bytes = encode_record_copy(id, record)?;
        let Collector { streams, index, packer, .. } = self;
        let mut sink = |extent| Ok::<_, Error>(streams.append(NODE_STREAM, extent)?);
        packer.store_list(&bytes, index, &mut sink)?;
        packer.flush(&mut sink)?;
        Ok(bytes.len() as u64)
    }

    /// Makes durable what was stored, but no recipe: some of its pages may have been let go of.
    pub(in crate::ops) fn finish_interrupted(mut self) -> Result<(), Error> {
        self.streams.forget_last();
        self.streams.finish()?;
        Ok(())
    }

    /// Makes all packs durable.
    pub(in crate::ops) fn finish(
        self,
    ) -> Result<(crate::store::Stored, Option<ScanCacheWriter>), Error> {
        Ok((self.streams.finish()?, self.cache))
    }
}

/// Keeps what describes, lets go of what is described.
fn hold(
    held: &mut HashMap<ChunkId, std::sync::Arc<Vec<u8>>>,
    extent: FilledExtent,
) -> Result<(), Error> {
    if matches!(extent.kind, ExtentKind::Node | ExtentKind::List) {
        held.extend(
            extent.into_chunks()?.into_iter().map(|(id, bytes)| (id, std::sync::Arc::new(bytes))),
        );
    }
    Ok(())
}

/// The cache beside the manifests of this capture.
pub(in crate::ops) fn finish_cache(
    cache: Option<ScanCacheWriter>,
    records: &BTreeMap<String, CategoryRecord>,
    verdicts: Verdicts,
) {
    let manifests: HashMap<Category, ChunkId> = records
        .iter()
        .filter_map(|(name, record)| Some((name.parse().ok()?, record.manifest)))
        .collect();
    // A cache that cannot be written costs the next scan its time, nothing else.
    if cache.is_some_and(|cache| cache.finish(&manifests, verdicts).is_err()) {}
}
