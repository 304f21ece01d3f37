//! One batch of runs, worked through by one thread: what changed is read and stored, each run becomes a leaf.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use rustix::io::Errno;

use crate::limits::XATTRS_INLINE_BYTES_MAX;
use crate::manifest::{Child, Content, Entry, Kind, LeafRef, Node, Xattrs, display, encode_xattrs};
use crate::progress::{Interrupt, Problem, Progress};
use crate::source::{self, DatabaseCopy, Fingerprint, OpenFile, Run, ScanCache, ScanRoot, Stat, os_path};
use crate::store::{ChunkReader, FilledExtent, Index, Repository};

use super::super::Error;
use super::known_pages::KnownPages;
use super::old::OldEntries;
use super::packer::{Packer, ReadFailure, Sink};
use super::pages::{PagePacker, Past, StoredPages};

/// A path that the scan found, on its way into a manifest.
pub(in crate::ops) struct Item {
    pub root: usize,
    pub path: Vec<u8>,
    pub stat: Stat,
    pub key: [u8; 16],
    pub fingerprint: Fingerprint,
    pub link_group: Option<u64>,
    pub bytes_from: BytesFrom,
}

/// Where a file's bytes are read.
pub(in crate::ops) enum BytesFrom {
    /// The file itself.
    Itself,
    /// They are stored already: a database.
    Stored(Box<ReadDone>),
    /// A SQLite file that may be in use: `Databases` stores it from a private copy, unless nothing was written to it.
    Database(PathBuf),
}

/// One run, as the planner left it.
pub(in crate::ops) enum Plan {
    /// Nothing in it changed: the parent's leaf stays.
    Keep { run: Run, items: Vec<Item> },
    /// Something may have.
    Build { items: Vec<Item>, old: Vec<Run> },
}

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
    pub scan_start_ns: i128,
    /// Where private copies of databases are made.
    pub scratch: &'a std::path::Path,
    pub known_pages: KnownPages,
    pub progress: &'a dyn Progress,
    pub interrupt: &'a Interrupt,
    pub dry_run: bool,
}

/// What one thread keeps between jobs.
pub(in crate::ops) struct Worker<'a> {
    packer: Packer,
    pages: PagePacker,
    pub reader: ChunkReader<'a>,
}

impl<'a> Worker<'a> {
    pub(in crate::ops) fn new(shared: &Shared<'a>) -> Result<Worker<'a>, Error> {
        let config = shared.repository.config();
        let packer = Packer::new(shared.repository.hashing(), config.cut, config.compression_level)?;
        let pages = PagePacker::new(shared.repository.hashing(), config.compression_level)?;
        Ok(Worker { packer, pages, reader: ChunkReader::new(shared.repository, shared.index) })
    }

    /// Works through a batch; parts go out as they are ready.
    pub(in crate::ops) fn run(&mut self, shared: &Shared<'a>, plans: Vec<Plan>, out: &SyncSender<Part>) {
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
        let outcome = outcome.and_then(|()| self.packer.flush(&mut |extent| send(out, Part::Extent(extent))));
        if let Err(error) = outcome {
            // Where nobody listens any more the capture failed already, with a reason of its own.
            crate::tolerate(out.send(Part::Failed(error)));
        }
    }

    /// Hands out what still waits for company.
    pub(in crate::ops) fn flush(&mut self, sink: Sink<'_>) -> Result<(), Error> {
        self.packer.flush(sink)
    }

    fn build(&mut self, shared: &Shared<'a>, items: Vec<Item>, old: &[Run], out: &SyncSender<Part>) -> Result<Leaf, Error> {
        let mut old = OldEntries::read(old, shared.cache, &mut self.reader)?;
        let path_key = items.first().map(|item| item.key).unwrap_or_default();
        let (mut entries, mut fingerprints) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let (mut counts, mut problems, mut owners) = (Counts::default(), Vec::new(), HashMap::new());
        for item in items {
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
        let mut leaf = Child { first, id: crate::chunk::ChunkId([0; 32]), entries: entries.len() as u64, files, bytes };
        if !entries.is_empty() {
            leaf.id = self.packer.store_node(&Node::encode_leaf(&entries), shared.index, &mut |extent| send(out, Part::Extent(extent)))?;
        }
        Ok(Leaf { leaf: LeafRef { child: leaf, path_key }, fingerprints, counts, problems, owners })
    }

    /// A path's entry with its content stored; nothing where it cannot be captured, which is told as a problem.
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
        let mut fingerprint = if item.stat.is_racy(shared.scan_start_ns) { Fingerprint::NEVER } else { item.fingerprint };
        let Some((root, root_fd)) = shared.roots.get(item.root) else { return Ok(None) };
        let prefix = if root.logical.is_empty() { 0 } else { root.logical.len() + 1 };
        let below = item.path.get(prefix..).unwrap_or_default();
        let mut stat = item.stat;
        let mut xattrs = Vec::new();
        let kind = if stat.is_dir() {
            match source::xattrs_of_link(&os_path(&root.dir, below)) {
                Ok(found) => xattrs = found,
                Err(error) => problem(format!("its extended attributes could not be read ({})", word(error))),
            }
            Kind::Directory
        } else if stat.is_symlink() {
            let path = os_path(&root.dir, below);
            match std::fs::read_link(&path) {
                Ok(target) => {
                    use std::os::unix::ffi::OsStrExt;
                    match source::xattrs_of_link(&path) {
                        Ok(found) => xattrs = found,
                        Err(error) => problem(format!("its extended attributes could not be read ({})", word(error))),
                    }
                    Kind::Symlink { target: target.as_os_str().as_bytes().to_vec() }
                }
                Err(error) => {
                    problem(format!("the link could not be read ({error}); it is not in this snapshot"));
                    return Ok(None);
                }
            }
        } else {
            let sink: Sink<'_> = &mut |extent| send(out, Part::Extent(extent));
            let read = match &item.bytes_from {
                BytesFrom::Itself => self.read_file(shared, root_fd, below, before, sink),
                BytesFrom::Stored(done) => Ok(done.as_ref().clone()),
                BytesFrom::Database(_) => {
                    problem("the database was not copied; it is not in this snapshot".to_owned());
                    return Ok(None);
                }
            };
            match read {
                Ok(done) => {
                    counts.read_bytes += done.size;
                    counts.reads += 1;
                    if done.moved {
                        problem("it changed each time it was read; what was read last is in this snapshot and may be a mixture".to_owned());
                        fingerprint = Fingerprint::NEVER;
                    } else if !done.stat.same_content(&item.stat) {
                        // Changed between the scan and the reading: the next scan will see a stat that this one did not.
                        fingerprint = Fingerprint::NEVER;
                    }
                    stat = done.stat;
                    xattrs = done.xattrs;
                    Kind::File { size: done.size, content: done.content }
                }
                Err(ReadFailure::Fatal(error)) => return Err(error),
                Err(ReadFailure::Io(error)) => {
                    problem(match Errno::from_io_error(&error) {
                        Some(Errno::NOENT) => "it vanished while the capture ran; it is not in this snapshot".to_owned(),
                        Some(Errno::LOOP | Errno::INVAL | Errno::XDEV) => {
                            "it turned into something else while the capture ran; it is not in this snapshot".to_owned()
                        }
                        _ => format!("it could not be read ({error}); it is not in this snapshot"),
                    });
                    return Ok(None);
                }
            }
        };
        let xattrs = self.store_xattrs(shared, xattrs, out)?;
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

    fn store_xattrs(&mut self, shared: &Shared<'a>, xattrs: Vec<(Vec<u8>, Vec<u8>)>, out: &SyncSender<Part>) -> Result<Xattrs, Error> {
        if xattrs.is_empty() {
            return Ok(Xattrs::None);
        }
        let bytes = encode_xattrs(&xattrs);
        if bytes.len() <= XATTRS_INLINE_BYTES_MAX {
            return Ok(Xattrs::Inline(xattrs));
        }
        Ok(Xattrs::Chunk(self.packer.store_list(&bytes, shared.index, &mut |extent| send(out, Part::Extent(extent)))?))
    }

    /// Reads a file, again where it moved meanwhile.
    fn read_file(&mut self, shared: &Shared<'a>, root: &OwnedFd, below: &[u8], before: Option<&Content>, sink: Sink<'_>) -> Result<ReadDone, ReadFailure> {
        for pause_ms in [0, 20, 150] {
            std::thread::sleep(Duration::from_millis(pause_ms));
            let open = OpenFile::open(root, below).map_err(std::io::Error::from)?;
            let (content, size) = self.store(shared, &open, before, sink)?;
            let xattrs = source::xattrs_of_file(&open.file).map_err(std::io::Error::from)?;
            let moved = size != open.before.size || !open.held_still().map_err(std::io::Error::from)?;
            if !moved || pause_ms == 150 {
                return Ok(ReadDone { content, size, stat: open.before, xattrs, moved, pages: None });
            }
        }
        Err(ReadFailure::Io(std::io::ErrorKind::Other.into()))
    }

    /// Stores what a file holds, page by page where it is a database.
    fn store(&mut self, shared: &Shared<'a>, open: &OpenFile, before: Option<&Content>, sink: Sink<'_>) -> Result<(Content, u64), ReadFailure> {
        match self.store_pages(shared, open, before, sink)? {
            Some(stored) => Ok((Content::Pages(stored.id), open.before.size)),
            None => self.packer.store_file(open, shared.index, sink),
        }
    }

    fn store_pages(&mut self, shared: &Shared<'a>, open: &OpenFile, before: Option<&Content>, sink: Sink<'_>) -> Result<Option<StoredPages>, ReadFailure> {
        let size = open.before.size;
        let Some(page_bytes) = open.page_bytes()? else { return Ok(None) };
        let before = match before {
            Some(Content::Pages(id)) => Some(*id),
            _ => None,
        };
        let past = Past { before, known: &shared.known_pages };
        self.pages.store(&open.file, (size, page_bytes), &past, shared.index, &mut self.reader, sink)
    }

    /// Stores a private copy of a database, while SQLite checks it; its metadata are the original's.
    pub(in crate::ops) fn read_copy(
        &mut self,
        shared: &Shared<'a>,
        copy: &DatabaseCopy,
        (original, stat): (&Path, &Stat),
        before: Option<&Content>,
        problem: &mut impl FnMut(String),
        sink: Sink<'_>,
    ) -> Result<ReadDone, ReadFailure> {
        let open = OpenFile::open_path(&copy.path).map_err(std::io::Error::from)?;
        let (stored, check) = std::thread::scope(|scope| {
            let check = scope.spawn(|| source::quick_check(&copy.path));
            let stored = self.store_pages(shared, &open, before, sink);
            (stored, check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        if let Err(damage) = check {
            problem(format!("SQLite finds the database damaged ({damage}); its bytes are in this snapshot as they are"));
        }
        let pages = stored?;
        let (content, size) = match pages {
            Some(stored) => (Content::Pages(stored.id), open.before.size),
            None => self.packer.store_file(&open, shared.index, sink)?,
        };
        // By its path: the original itself must not be opened while a server may have it open.
        let original = std::fs::canonicalize(original)?;
        let xattrs = source::xattrs_of_link(&original).map_err(std::io::Error::from)?;
        Ok(ReadDone { content, size, stat: *stat, xattrs, moved: false, pages })
    }
}

/// A file's bytes, stored.
#[derive(Clone, Debug)]
pub(in crate::ops) struct ReadDone {
    pub content: Content,
    pub size: u64,
    pub stat: Stat,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// It changed while it was read.
    pub moved: bool,
    /// What became of its pages, where it is a database.
    pub pages: Option<StoredPages>,
}

/// The leaf of a run that did not change.
pub(in crate::ops) fn kept(run: Run, items: &[Item]) -> Leaf {
    let child = Child { first: run.first, id: run.leaf, entries: run.entries, files: run.files, bytes: run.bytes };
    let path_key = items.first().map(|item| item.key).unwrap_or_default();
    let counts = Counts { unchanged: run.files, met: run.files, ..Counts::default() };
    let owners = items.iter().map(|item| ((item.stat.uid, item.stat.gid), ())).collect();
    Leaf { leaf: LeafRef { child, path_key }, fingerprints: items.iter().map(|item| item.fingerprint).collect(), counts, problems: Vec::new(), owners }
}

fn totals(entries: &[Entry]) -> (u64, u64) {
    let files = entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }));
    files.fold((0, 0), |(files, bytes), entry| (files + 1, bytes + entry.size()))
}

fn send(out: &SyncSender<Part>, part: Part) -> Result<(), Error> {
    // Nobody listens once the capture failed elsewhere.
    out.send(part).map_err(|_| Error::Interrupted)
}

/// An error number in words.
pub(in crate::ops) fn word(error: Errno) -> String {
    std::io::Error::from(error).to_string()
}
