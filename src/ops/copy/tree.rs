//! The trees of one snapshot on their way into another repository.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entries, Entry, Kind, Piece, SnapshotId, SnapshotRecord, Xattrs};
use crate::source::{Category, OpenFile, ScratchFolder};
use crate::store::{ChunkReader, FilledExtent, Index, IndexMode, PackStreams, Repository};

use super::super::content::write_content;
use super::super::ingest::collect::Collector;
use super::super::ingest::known_pages::KnownPages;
use super::super::ingest::leaf_run::LeafRun;
use super::super::ingest::packer::{Packer, ReadFailure, SMALL_BYTES};
use super::super::ingest::page_hashes::PageHashes;
use super::super::ingest::pages::{PagePacker, Past as OldPages};
use super::super::select::categories;
use super::super::{Error, Monitor};
use super::past::{Known, Past};

/// A snapshot's record as it is here, and as it is in the target.
type Pair<'c> = (&'c SnapshotRecord, &'c SnapshotRecord);

/// Copies one snapshot's trees; its record for the target, and how many bytes were stored.
pub(super) fn copy(
    (source, target): (&Repository, &Repository),
    (id, record): &(SnapshotId, SnapshotRecord),
    before: Option<Pair<'_>>,
    monitor: &Monitor,
) -> Result<(SnapshotRecord, u64), Error> {
    let (own, theirs) =
        (Index::open(source, IndexMode::Use)?, Index::open(target, IndexMode::Use)?);
    let config = target.config();
    let packer = || Packer::new(target.hashing(), config.cut, config.compression_level);
    let collector = Collector::new(
        PackStreams::new(target, &theirs, Collector::STREAMS),
        &theirs,
        packer()?,
        None,
        false,
    );
    let scratch = target.scratch_folder();
    let scratch = ScratchFolder::create(&scratch).map_err(|source| Error::Target {
        verb: "create a directory in",
        path: scratch,
        source,
    })?;
    let mut copying = Copying {
        source: ChunkReader::new(source, &own),
        target: ChunkReader::new(target, &theirs),
        index: &theirs,
        repository: target,
        packer: packer()?,
        pages: PagePacker::new(target)?,
        collector,
        scratch,
        databases: HashMap::new(),
        monitor,
    };
    if let Err(error) = copying.categories((source, target), (&own, &theirs), record, before) {
        copying.collector.abandon();
        // What was stored so far is found by the next try; of databases some pages may be missing.
        copying.collector.finish_interrupted()?;
        return Err(error);
    }
    let mut collector = copying.collector;
    let wanted: Vec<Category> = categories(record).map(|(category, _)| category).collect();
    let made = collector.close_trees(&wanted)?;
    let same = |name: &String| {
        let sums = |record: Option<&crate::manifest::CategoryRecord>| {
            record.map(|category| (category.entries, category.files, category.bytes))
        };
        sums(made.get(name)) == sums(record.categories.get(name))
    };
    if made.len() != record.categories.len() || !made.keys().all(same) {
        return Err(Error::Refused {
            what: format!(
                "snapshot {} does not contain what its record says, so it was not copied",
                super::super::ls::short(id)
            ),
            hint: "Run jellyvault check --read-data on the repository.".to_owned(),
        });
    }
    let mut copied = SnapshotRecord { categories: made, ..record.clone() };
    collector.store_record_copy(*id, &copied)?;
    let (stored, _) = collector.finish()?;
    if theirs.unplaced() != 0 {
        return Err(crate::store::Error::Unplaced { chunks: theirs.unplaced() }.into());
    }
    (copied.bytes.new_raw, copied.bytes.new_stored) = (stored.raw_bytes, stored.stored_bytes);
    if stored.packs > 0 || theirs.trailers_read() > 0 {
        theirs.commit()?;
    }
    Ok((copied, stored.stored_bytes))
}

struct Copying<'r> {
    source: ChunkReader<'r>,
    target: ChunkReader<'r>,
    index: &'r Index,
    repository: &'r Repository,
    packer: Packer,
    pages: PagePacker,
    collector: Collector<'r>,
    scratch: ScratchFolder,
    /// Databases that were copied, by their identity here.
    databases: HashMap<ChunkId, Content>,
    monitor: &'r Monitor,
}

impl Copying<'_> {
    fn categories(
        &mut self,
        (source, target): (&Repository, &Repository),
        (own, theirs): (&Index, &Index),
        record: &SnapshotRecord,
        before: Option<Pair<'_>>,
    ) -> Result<(), Error> {
        for (category, root) in categories(record) {
            let (mut walk, mut old, mut new) = (
                ChunkReader::new(source, own),
                ChunkReader::new(source, own),
                ChunkReader::new(target, theirs),
            );
            let root_of = |record: &SnapshotRecord| {
                record.category(category.name()).map(|found| found.manifest)
            };
            let roots = before.and_then(|(own, theirs)| Some((root_of(own)?, root_of(theirs)?)));
            let mut past =
                roots.map(|(own, theirs)| Past::new((&mut old, own), (&mut new, theirs)));
            let mut run = LeafRun::default();
            for entry in Entries::all(&mut walk, root.manifest) {
                if self.monitor.interrupt.is_raised() {
                    return Err(Error::Interrupted);
                }
                let entry = entry?;
                let known = past.as_mut().map(|past| past.known(&entry)).transpose()?;
                let hashing = self.repository.hashing();
                if run.ends_before(&entry.path, &hashing) {
                    run.store(category, &mut self.packer, &mut self.collector, self.index)?;
                }
                let bytes = entry.size();
                run.add(self.entry(category, entry, known)?, &hashing);
                self.monitor.progress.advance(1, bytes);
            }
            let Copying { packer, collector, index, .. } = self;
            run.store(category, packer, collector, index)?;
            packer.flush(&mut |extent| collector.extent(category, extent))?;
        }
        Ok(())
    }

    /// An entry with what it holds in the target.
    fn entry(
        &mut self,
        category: Category,
        entry: Entry,
        known: Option<Known>,
    ) -> Result<Entry, Error> {
        let known = known.unwrap_or(Known { content: None, xattrs: None, database: None });
        let kind = match &entry.kind {
            Kind::File { size, content } => {
                let content = match known.content {
                    Some(content) => content,
                    None => self.content(category, content, *size, known.database)?,
                };
                Kind::File { size: *size, content }
            }
            other => other.clone(),
        };
        let xattrs =
            match (&entry.xattrs, known.xattrs) {
                (_, Some(xattrs)) => xattrs,
                (Xattrs::Chunk(id), None) => {
                    let bytes = self.source.read(id)?;
                    let Copying { packer, collector, index, .. } = self;
                    Xattrs::Chunk(packer.store_list(&bytes, index, &mut |extent| {
                        collector.extent(category, extent)
                    })?)
                }
                (own, None) => own.clone(),
            };
        Ok(Entry { kind, xattrs, ..entry })
    }

    /// Reads what a file holds and stores it.
    fn content(
        &mut self,
        category: Category,
        content: &Content,
        size: u64,
        before: Option<ChunkId>,
    ) -> Result<Content, Error> {
        if let Content::Pages(id) = content {
            if let Some(known) = self.databases.get(id) {
                return Ok(known.clone());
            }
            let copied = self.database(category, content, size, before)?;
            self.databases.insert(*id, copied.clone());
            return Ok(copied);
        }
        // A hole is found again in a file that has it.
        let has_holes = matches!(content, Content::Pieces(pieces) if pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))));
        if size <= SMALL_BYTES && !has_holes {
            let mut bytes = vec![0; size as usize];
            write_content(&mut self.source, content, size, |offset, piece| {
                let place = bytes.get_mut(offset as usize..offset as usize + piece.len());
                place.ok_or(Error::System { what: "memory" })?.copy_from_slice(piece);
                Ok(())
            })?;
            let Copying { packer, collector, index, .. } = self;
            let mut sink = |extent: FilledExtent| collector.extent(category, extent);
            return packer
                .store_stream(&mut bytes.as_slice(), size, index, &mut sink)
                .map(|(content, _)| content)
                .map_err(of_read);
        }
        let open = self.spooled(content, size)?;
        self.whole(category, &open)
    }

    /// A file's content as chunks.
    fn whole(&mut self, category: Category, open: &OpenFile) -> Result<Content, Error> {
        let Copying { packer, collector, index, .. } = self;
        packer
            .store_file(open, index, &mut |extent| collector.extent(category, extent))
            .map(|(content, _)| content)
            .map_err(of_read)
    }

    /// A database by its pages.
    fn database(
        &mut self,
        category: Category,
        content: &Content,
        size: u64,
        before: Option<ChunkId>,
    ) -> Result<Content, Error> {
        let open = self.spooled(content, size)?;
        let page_bytes = open.page_bytes().map_err(|error| failed(&self.scratch.path, error))?;
        if let Some(page_bytes) = page_bytes {
            let known = KnownPages::new(None);
            let past = OldPages {
                before,
                known: &known,
                interrupt: &self.monitor.interrupt,
                page_hashes: &PageHashes::default(),
            };
            let Copying { pages, collector, index, target, .. } = self;
            let stored = pages
                .store(&open.file, (size, page_bytes), &past, index, target, &mut |extent| {
                    collector.extent(category, extent)
                })
                .map_err(of_read)?;
            if let Some(stored) = stored {
                return Ok(Content::Pages(stored.id));
            }
        }
        self.whole(category, &open)
    }

    /// The plain bytes in a private file; holes stay holes.
    fn spooled(&mut self, content: &Content, size: u64) -> Result<OpenFile, Error> {
        let folder = &self.scratch.path;
        self.scratch.check_space(size).map_err(|error| Error::Refused {
            what: format!("there is no room for a file that is copied: {error}"),
            hint: "Free some space on the target's disk, or give another directory with --scratch-dir.".to_owned(),
        })?;
        let file: File = tempfile::tempfile_in(folder).map_err(|error| failed(folder, error))?;
        file.set_len(size).map_err(|error| failed(folder, error))?;
        write_content(&mut self.source, content, size, |offset, piece| {
            file.write_all_at(piece, offset).map_err(|error| failed(folder, error))
        })?;
        let before =
            crate::source::Stat::of(&file).map_err(|error| failed(folder, error.into()))?;
        Ok(OpenFile { file, before })
    }
}

fn failed(folder: &Path, source: std::io::Error) -> Error {
    Error::Target { verb: "write a temporary file in", path: folder.to_path_buf(), source }
}

fn of_read(failure: ReadFailure) -> Error {
    match failure {
        ReadFailure::Fatal(error) => error,
        ReadFailure::Io(source) => Error::Target {
            verb: "read a temporary file in",
            path: "the scratch directory".into(),
            source,
        },
    }
}
