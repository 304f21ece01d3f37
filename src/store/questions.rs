//! Very many chunks asked for together: sorted, on disk where they are too many, and held against
//! the index in one pass. Each by itself would be a way down the index's tree.

use std::collections::HashSet;
use std::iter::Peekable;
use std::path::PathBuf;

use redb::{ReadableTable, ReadableTableMetadata};

use crate::chunk::ChunkId;

use super::index::{ChunkPlace, Index};
use super::place::Place;
use super::place::decode_place;
use super::run_file::RowFile;
use super::{Error, Repository};

/// Questions that are kept in memory. Some 50 MB.
const IN_MEMORY_MAX: usize = 1_000_000;
/// A pass over so many chunks of the index takes about as long as looking for one.
const PASSED_PER_LOOKUP: u64 = 8;

/// Chunks that are asked for, each with the place where it is thought to be.
pub struct Questions {
    rows: Vec<(ChunkId, Place)>,
    sorted: Vec<RowFile>,
    /// Where files are made; nothing where none can be.
    folder: Option<PathBuf>,
    in_memory_max: usize,
}

type Rows<'a> = Box<dyn Iterator<Item = std::io::Result<(ChunkId, Place)>> + 'a>;

impl Questions {
    /// None yet.
    pub fn new(repository: &Repository) -> Questions {
        Questions {
            rows: Vec::new(),
            sorted: Vec::new(),
            folder: repository.spill_folder(),
            in_memory_max: IN_MEMORY_MAX,
        }
    }

    /// Asks for a chunk. True where there is no room for more: they are to be answered now.
    #[must_use]
    pub fn push(
        &mut self,
        id: ChunkId,
        ChunkPlace { pack, extent, offset, len }: ChunkPlace,
    ) -> bool {
        self.rows.push((id, Place { pack, extent, offset, len }));
        self.rows.len() >= self.in_memory_max && !self.spill()
    }

    /// Puts what is in memory into a file; false where that cannot be done: a read-only repository,
    /// or a full disk.
    fn spill(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        self.rows.sort_unstable_by_key(|(id, _)| *id);
        match std::fs::create_dir_all(folder)
            .and_then(|()| RowFile::write(folder, self.rows.iter().copied(), |_| {}))
        {
            Ok(file) => {
                self.sorted.push(file);
                self.rows.clear();
                true
            }
            Err(_) => {
                self.folder = None;
                false
            }
        }
    }

    fn len(&self) -> u64 {
        self.sorted.iter().map(|file| file.len() as u64).sum::<u64>() + self.rows.len() as u64
    }

    /// Answers them in the order of their ids: `each` gets the chunk, where it is thought to be,
    /// and where the index has it. None are left then.
    pub fn answer(
        &mut self,
        index: &Index,
        mut each: impl FnMut(&ChunkId, ChunkPlace, Option<ChunkPlace>),
    ) -> Result<(), Error> {
        let count = self.len();
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|(id, _)| *id);
        let files = std::mem::take(&mut self.sorted);
        let mut sources: Vec<Peekable<Rows<'_>>> =
            files.iter().map(|file| (Box::new(file.all()) as Rows<'_>).peekable()).collect();
        sources.push((Box::new(rows.drain(..).map(Ok)) as Rows<'_>).peekable());
        let mut pass = index.pass(count)?;
        while let Some(row) = least(&mut sources) {
            let (id, place) = row.map_err(|source| index.spilled("read in", source))?;
            let found = match &mut pass {
                Some(pass) => pass.find(&id)?,
                None => index.place_of(&id)?,
            };
            each(&id, place.into(), found);
        }
        drop(sources);
        // The room is used again.
        self.rows = rows;
        Ok(())
    }
}

/// One pass over an index, in the order of ids.
struct Pass<'i> {
    index: &'i Index,
    rows: redb::Range<'i, [u8; 32], [u8; 16]>,
    /// The row that was reached.
    at: Option<(ChunkId, Place)>,
    /// Numbers of packs that are there.
    packs: HashSet<u32>,
}

impl Index {
    /// A pass, if that is less work than looking for so many chunks one by one.
    fn pass(&self, questions: u64) -> Result<Option<Pass<'_>>, Error> {
        let Some(base) = &self.base else { return Ok(None) };
        if self.ask(|| base.chunks.len())? > questions.saturating_mul(PASSED_PER_LOOKUP) {
            return Ok(None);
        }
        let packs = self.packs()?.into_iter().map(|(number, _)| number).collect();
        let mut pass =
            Pass { index: self, rows: self.ask(|| base.chunks.iter())?, at: None, packs };
        pass.go_on()?;
        Ok(Some(pass))
    }
}

impl Pass<'_> {
    fn go_on(&mut self) -> Result<(), Error> {
        let rows = &mut self.rows;
        self.at = self.index.ask(|| {
            rows.next().transpose().map(|row| {
                row.map(|(id, place)| (ChunkId(id.value()), decode_place(&place.value())))
            })
        })?;
        Ok(())
    }

    /// Where a chunk lies, whose id is not before one that was asked for earlier.
    fn find(&mut self, id: &ChunkId) -> Result<Option<ChunkPlace>, Error> {
        // What the index file does not know, or knows otherwise.
        if let Some(place) = self.index.fresh_place(id)? {
            return Ok(Some(place));
        }
        while self.at.as_ref().is_some_and(|(at, _)| at < id) {
            self.go_on()?;
        }
        let found = self.at.filter(|(at, place)| at == id && self.packs.contains(&place.pack));
        Ok(found.map(|(_, place)| place.into()))
    }
}

/// The row with the smallest id of sorted sources.
fn least(sources: &mut [Peekable<Rows<'_>>]) -> Option<std::io::Result<(ChunkId, Place)>> {
    let mut found: Option<(usize, ChunkId)> = None;
    for (at, source) in sources.iter_mut().enumerate() {
        match source.peek() {
            Some(Ok((id, _))) if found.is_none_or(|(_, least)| *id < least) => {
                found = Some((at, *id))
            }
            Some(Ok(_)) | None => {}
            Some(Err(_)) => return source.next(),
        }
    }
    sources.get_mut(found?.0)?.next()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::{ExtentBuilder, ExtentKind, IndexMode, PackStreams};

    fn id(n: u32) -> ChunkId {
        crate::chunk::Hashing::default().id(&n.to_le_bytes())
    }

    fn store(repository: &Repository, index: &Index, chunks: std::ops::Range<u32>) {
        let mut streams = PackStreams::new(repository, index, 1);
        let mut builder = ExtentBuilder::new(ExtentKind::Data);
        for n in chunks {
            assert!(index.claim(&id(n)).unwrap());
            builder.push(id(n), &[0; 8]);
        }
        streams.append(0, builder.fill(None).unwrap().unwrap()).unwrap();
        streams.finish().unwrap();
    }

    #[test]
    fn every_question_is_answered_as_if_it_were_asked_alone_in_order_and_once() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init(&dir.path().join("repository")).unwrap();
        let index = Index::open(&repository, IndexMode::Use).unwrap();
        store(&repository, &index, 0..2000);
        assert!(index.commit().unwrap());
        // Some that the index file does not know.
        let index = Index::open(&repository, IndexMode::Use).unwrap();
        store(&repository, &index, 2000..2100);
        let passes = std::cell::Cell::new(0);
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(64));
        // From few, which are looked up, to many, for which the index is gone through; and no room
        // on disk, where they are answered in parts.
        let cases = (proptest::collection::vec(0..2300u32, 0..1500), any::<bool>());
        runner
            .run(&cases, |(asked, has_room)| {
                let mut questions = Questions { in_memory_max: 100, ..Questions::new(&repository) };
                if !has_room {
                    questions.folder = None;
                }
                let mut answered = Vec::new();
                let mut answer = |questions: &mut Questions| {
                    let from = answered.len();
                    questions
                        .answer(&index, |id, asked, found| answered.push((*id, asked.len, found)))
                        .unwrap();
                    assert!(answered[from..].is_sorted_by_key(|(id, ..)| *id));
                };
                let mut parts = 0;
                for n in &asked {
                    if questions.push(id(*n), ChunkPlace { pack: 0, extent: 0, offset: 0, len: *n })
                    {
                        answer(&mut questions);
                        parts += 1;
                    }
                }
                passes
                    .set(passes.get() + u32::from(index.pass(questions.len()).unwrap().is_some()));
                answer(&mut questions);
                prop_assert_eq!(parts, if has_room { 0 } else { asked.len() / 100 });
                for (id, n, found) in &answered {
                    prop_assert_eq!((*id, *found), (self::id(*n), index.place_of(id).unwrap()));
                    prop_assert_eq!(found.is_some(), *n < 2100);
                }
                let (mut numbers, mut asked) =
                    (answered.iter().map(|(_, n, _)| *n).collect::<Vec<_>>(), asked);
                numbers.sort_unstable();
                asked.sort_unstable();
                prop_assert_eq!(numbers, asked);
                Ok(())
            })
            .unwrap();
        assert!((1..64).contains(&passes.get()), "{passes:?} of 64 by a pass");
        assert_eq!(
            std::fs::read_dir(dir.path().join("repository/tmp")).unwrap().count(),
            0,
            "its files have no names"
        );
    }
}
