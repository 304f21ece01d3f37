//! The pages of one state of a database: from a recipe of the repository, or from a file.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::chunk::{ChunkId, Hashing, PageHash};
use crate::store::{ChunkReader, Recipe};

use super::Error;

/// A page's bytes.
pub(super) type Page = Arc<Vec<u8>>;

/// Pages that are kept, in bytes; a batch beyond that is let go of as a whole.
const KEPT_BYTES: usize = 16 << 20;
/// Pages that are read at once, in bytes: extents that lie scattered are read once for so many.
const BATCH_BYTES: usize = 4 << 20;

enum Backing<'r> {
    Recipe { reader: ChunkReader<'r>, id: ChunkId, recipe: Arc<Recipe> },
    File { file: File, hashes: Arc<Vec<PageHash>> },
}

/// Pages by number, from 1, each verified against its hash.
pub struct Pages<'r> {
    backing: Backing<'r>,
    page_bytes: usize,
    kept: HashMap<u32, Page>,
    kept_bytes: usize,
    /// Pages that were read so far.
    pub read: u64,
}

impl<'r> Pages<'r> {
    /// A state that the repository holds, by its id and its recipe.
    pub fn of_recipe(reader: ChunkReader<'r>, id: ChunkId, recipe: Arc<Recipe>) -> Pages<'r> {
        let page_bytes = recipe.page_bytes as usize;
        Pages { backing: Backing::Recipe { reader, id, recipe }, page_bytes, kept: HashMap::new(), kept_bytes: 0, read: 0 }
    }

    /// A private copy that nobody writes to; every page is hashed once.
    pub fn of_file(file: File, hashing: &Hashing) -> Result<Pages<'r>, Error> {
        let mut head = [0; 100];
        let no_database = Error::Page { page: 1, what: "it is not the first page of a database" };
        if file.metadata()?.len() < head.len() as u64 {
            return Err(no_database);
        }
        file.read_exact_at(&mut head, 0)?;
        let page_bytes = crate::chunk::sqlite_page_bytes(&head).ok_or(no_database)? as usize;
        let size = file.metadata()?.len();
        let mut hashes = Vec::with_capacity((size / page_bytes as u64) as usize);
        let mut buffer = vec![0; (1 << 20) / page_bytes * page_bytes];
        let whole = size / page_bytes as u64 * page_bytes as u64;
        let mut at = 0;
        while at < whole {
            let step = (buffer.len() as u64).min(whole - at) as usize;
            let bytes = buffer.get_mut(..step).unwrap_or_default();
            file.read_exact_at(bytes, at)?;
            hashes.extend(bytes.chunks_exact(page_bytes).map(|page| hashing.page(page)));
            at += step as u64;
        }
        Ok(Pages { backing: Backing::File { file, hashes: Arc::new(hashes) }, page_bytes, kept: HashMap::new(), kept_bytes: 0, read: 0 })
    }

    /// Another reader of the same state, with nothing kept.
    pub fn sibling(&self) -> Result<Pages<'r>, Error> {
        let backing = match &self.backing {
            Backing::Recipe { reader, id, recipe } => Backing::Recipe { reader: reader.sibling(), id: *id, recipe: recipe.clone() },
            Backing::File { file, hashes } => Backing::File { file: file.try_clone()?, hashes: hashes.clone() },
        };
        Ok(Pages { backing, page_bytes: self.page_bytes, kept: HashMap::new(), kept_bytes: 0, read: 0 })
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.hashes().len() as u32
    }

    pub(super) fn hashes(&self) -> &[PageHash] {
        match &self.backing {
            Backing::Recipe { recipe, .. } => &recipe.hashes,
            Backing::File { hashes, .. } => hashes,
        }
    }

    /// The hash of a page; nothing beyond the end.
    pub(super) fn hash(&self, number: u32) -> Option<PageHash> {
        self.hashes().get((number as usize).checked_sub(1)?).copied()
    }

    /// One page.
    pub(super) fn page(&mut self, number: u32) -> Result<Page, Error> {
        if let Some(page) = self.kept.get(&number) {
            return Ok(page.clone());
        }
        self.load(&[number])?;
        self.kept.get(&number).cloned().ok_or(Error::Page { page: number, what: "it lies beyond the end of the database" })
    }

    /// How many pages are read ahead at most.
    pub(super) fn batch(&self) -> usize {
        (BATCH_BYTES / self.page_bytes).max(1)
    }

    /// Reads pages ahead that will be asked for, as many as fit.
    pub(super) fn read_ahead(&mut self, numbers: &[u32]) -> Result<usize, Error> {
        let batch = numbers.get(..self.batch()).unwrap_or(numbers);
        let missing: Vec<u32> = batch.iter().copied().filter(|number| !self.kept.contains_key(number)).collect();
        self.load(&missing)?;
        Ok(batch.len())
    }

    /// Takes over the pages that another state keeps, where they are the same.
    pub fn adopt(&mut self, other: &Pages<'_>) {
        for (number, page) in &other.kept {
            let is_same = self.hash(*number).is_some() && self.hash(*number) == other.hash(*number);
            if is_same && self.kept_bytes <= KEPT_BYTES && !self.kept.contains_key(number) {
                self.kept.insert(*number, page.clone());
                self.kept_bytes += self.page_bytes;
            }
        }
    }

    fn load(&mut self, numbers: &[u32]) -> Result<(), Error> {
        if self.kept_bytes > KEPT_BYTES {
            self.kept.clear();
            self.kept_bytes = 0;
        }
        let count = self.count();
        if let Some(number) = numbers.iter().find(|number| **number == 0 || **number > count) {
            return Err(Error::Page { page: *number, what: "something leads to it, but it lies beyond the end of the database" });
        }
        self.read += numbers.len() as u64;
        self.kept_bytes += numbers.len() * self.page_bytes;
        match &mut self.backing {
            Backing::Recipe { reader, id, recipe } => {
                let zero_based: Vec<usize> = numbers.iter().map(|number| *number as usize - 1).collect();
                let kept = &mut self.kept;
                reader.read_some_pages(id, recipe, &zero_based, |page, bytes| {
                    kept.insert(page as u32 + 1, Arc::new(bytes.to_vec()));
                })?;
            }
            Backing::File { file, .. } => {
                for number in numbers {
                    let mut page = vec![0; self.page_bytes];
                    file.read_exact_at(&mut page, (u64::from(*number) - 1) * self.page_bytes as u64)?;
                    self.kept.insert(*number, Arc::new(page));
                }
            }
        }
        Ok(())
    }
}
