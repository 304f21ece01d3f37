//! The trees of a moved snapshot: those of the old one, with other names, and other bytes where
//! paths were written.

use std::collections::BTreeMap;
use std::fs::File;
use std::iter::Peekable;

use crate::manifest::{
    CategoryRecord, Content, Entries, Entry, Kind, SnapshotId, SnapshotRecord, compare,
};
use crate::source::{Category, OpenFile, Stat};
use crate::store::{ChunkReader, Index, Repository, Stored};

use super::super::ingest::collect::Collector;
use super::super::ingest::known_pages::KnownPages;
use super::super::ingest::leaf_run::LeafRun;
use super::super::ingest::packer::{Packer, ReadFailure};
use super::super::ingest::page_hashes::PageHashes;
use super::super::ingest::pages::{PagePacker, Past};
use super::super::select::categories;
use super::super::{Error, Monitor};
use super::folders::Folders;
use super::plan::Named;
use super::prepare::{Prepared, is_database};

/// Categories whose trees have other entries after a move.
fn changes(category: Category, prepared: &Prepared) -> bool {
    match category {
        Category::Database => !prepared.plan.rows.is_empty(),
        Category::Config | Category::Plugins => {
            prepared.documents.keys().any(|path| Category::of(path) == category)
        }
        category => prepared.folders.get(&category).is_some_and(|folders| folders.count() > 0),
    }
}

/// What is stored for the moved snapshot.
pub(super) struct Storing<'r> {
    repository: &'r Repository,
    index: &'r Index,
    packer: Packer,
    pages: PagePacker,
    collector: Collector<'r>,
    prepared: &'r Prepared,
    monitor: &'r Monitor,
}

impl<'r> Storing<'r> {
    pub(super) fn new(
        repository: &'r Repository,
        index: &'r Index,
        prepared: &'r Prepared,
        monitor: &'r Monitor,
    ) -> Result<Storing<'r>, Error> {
        let config = repository.config();
        let packer = || Packer::new(repository.hashing(), config.cut, config.compression_level);
        let streams = crate::store::PackStreams::new(repository, index, Collector::STREAMS);
        let collector = Collector::new(streams, index, packer()?, None, false);
        Ok(Storing {
            repository,
            index,
            packer: packer()?,
            pages: PagePacker::new(repository)?,
            collector,
            prepared,
            monitor,
        })
    }

    /// Stores the trees that change; all trees of the moved snapshot.
    pub(super) fn trees(
        &mut self,
        record: &SnapshotRecord,
    ) -> Result<BTreeMap<String, CategoryRecord>, Error> {
        let mut wanted = Vec::new();
        for (category, root) in
            categories(record).filter(|(category, _)| changes(*category, self.prepared))
        {
            self.tree(category, root)?;
            wanted.push(category);
        }
        let mut all = record.categories.clone();
        all.extend(self.collector.close_trees(&wanted)?);
        Ok(all)
    }

    fn tree(&mut self, category: Category, root: &CategoryRecord) -> Result<(), Error> {
        let mut reader = ChunkReader::new(self.repository, self.index);
        let none = Folders::default();
        let folders = self.prepared.folders.get(&category).unwrap_or(&none);
        let ids = &self.prepared.mapping.ids;
        let mut moved = folders.moved.iter().peekable();
        let mut run = LeafRun::default();
        for entry in Entries::all(&mut reader, root.manifest) {
            if self.monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let entry = entry?;
            while let Some(before) = next_before(&mut moved, &entry.path) {
                self.add(category, before.clone(), &mut run)?;
            }
            self.monitor.progress.advance(1, entry.size());
            if folders.stays(&entry, ids, &mut Named::default()) {
                let entry = self.entry(category, entry)?;
                self.add(category, entry, &mut run)?;
            }
        }
        for entry in moved {
            self.add(category, entry.clone(), &mut run)?;
        }
        let Storing { packer, collector, index, .. } = self;
        run.store(category, packer, collector, index)?;
        packer.flush(&mut |extent| collector.extent(category, extent))
    }

    fn add(&mut self, category: Category, entry: Entry, run: &mut LeafRun) -> Result<(), Error> {
        let hashing = self.repository.hashing();
        if run.ends_before(&entry.path, &hashing) {
            run.store(category, &mut self.packer, &mut self.collector, self.index)?;
        }
        run.add(entry, &hashing);
        Ok(())
    }

    /// An entry with what it holds after the move.
    fn entry(&mut self, category: Category, entry: Entry) -> Result<Entry, Error> {
        let Kind::File { content, .. } = &entry.kind else { return Ok(entry) };
        if category == Category::Database && is_database(&entry.path) {
            let kind = self.database(category, content)?;
            return Ok(Entry { kind, ..entry });
        }
        let Some(bytes) = self.prepared.documents.get(&entry.path) else { return Ok(entry) };
        let size = bytes.len() as u64;
        let Storing { packer, collector, index, .. } = self;
        let stored = packer.store_stream(&mut bytes.as_slice(), size, index, &mut |extent| {
            collector.extent(category, extent)
        });
        let (content, _) = stored.map_err(|failure| self.of_read(failure))?;
        Ok(Entry { kind: Kind::File { size, content }, ..entry })
    }

    /// The rewritten database, by its pages.
    fn database(&mut self, category: Category, before: &Content) -> Result<Kind, Error> {
        let path = &self.prepared.database.path;
        let failed = |source| Error::Target { verb: "read", path: path.clone(), source };
        let file = File::open(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let stat = Stat::of(&file).map_err(|error| failed(error.into()))?;
        let open = OpenFile { file, before: stat };
        let Storing { packer, pages, collector, index, repository, monitor, .. } = self;
        let mut sink = |extent| collector.extent(category, extent);
        if let Some(page_bytes) = open.page_bytes().map_err(failed)? {
            let before = if let Content::Pages(id) = before { Some(*id) } else { None };
            let known = KnownPages::new(None);
            let past = Past {
                before,
                known: &known,
                interrupt: &monitor.interrupt,
                page_hashes: &PageHashes::default(),
            };
            let mut reader = ChunkReader::new(repository, index);
            let stored =
                pages.store(&open.file, (size, page_bytes), &past, index, &mut reader, &mut sink);
            if let Some(stored) = stored.map_err(|failure| of_read(failure, path))? {
                return Ok(Kind::File { size, content: Content::Pages(stored.id) });
            }
        }
        let (content, _) =
            packer.store_file(&open, index, &mut sink).map_err(|failure| of_read(failure, path))?;
        Ok(Kind::File { size, content })
    }

    fn of_read(&self, failure: ReadFailure) -> Error {
        of_read(failure, &self.prepared.database.path)
    }

    /// Makes all durable, with a copy of the record.
    pub(super) fn finish(
        mut self,
        id: SnapshotId,
        record: &SnapshotRecord,
    ) -> Result<Stored, Error> {
        self.collector.store_record_copy(id, record)?;
        let (stored, _) = self.collector.finish()?;
        if self.index.unplaced() != 0 {
            return Err(crate::store::Error::Unplaced { chunks: self.index.unplaced() }.into());
        }
        Ok(stored)
    }

    /// Gives up; what was stored is of use to the next try.
    pub(super) fn abandon(mut self) -> Result<(), Error> {
        self.collector.abandon();
        self.collector.finish_interrupted()
    }
}

/// The next moved entry, if it comes before a path or is in its place.
fn next_before<'e>(
    moved: &mut Peekable<std::slice::Iter<'e, Entry>>,
    path: &[u8],
) -> Option<&'e Entry> {
    moved.next_if(|entry| compare(&entry.path, path).is_le())
}

fn of_read(failure: ReadFailure, path: &std::path::Path) -> Error {
    match failure {
        ReadFailure::Fatal(error) => error,
        ReadFailure::Io(source) => Error::Target { verb: "read", path: path.to_path_buf(), source },
    }
}
