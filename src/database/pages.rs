//! The pages of one state of a database: from a recipe of the repository, or from a file.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::chunk::{ChunkId, Hashing, PageHash};
use crate::store::{ChunkReader, Recipe};

use super::Error;
use super::groups::Groups;

/// A page's bytes.
pub(super) type Page = Arc<Vec<u8>>;

/// Pages that are kept, in bytes; a batch beyond that is let go of as a whole.
const KEPT_BYTES: usize = 16 << 20;
/// Pages that are read at once, in bytes: extents that lie scattered are read once for so many.
const BATCH_BYTES: usize = 4 << 20;

enum Backing<'r> {
    Recipe { reader: ChunkReader<'r>, id: ChunkId, recipe: Arc<Recipe> },
    File { file: File, hashing: Hashing },
}

/// Pages by number, from 1; those of the repository are verified.
pub struct Pages<'r> {
    backing: Backing<'r>,
    page_bytes: usize,
    count: u32,
    /// Hashes of all pages, where they are known.
    hashes: Option<Arc<Vec<PageHash>>>,
    /// Groups of cells, where they are known.
    groups: Option<Groups>,
    kept: HashMap<u32, Page>,
    kept_bytes: usize,
    /// Pages that were read so far.
    pub read: u64,
}

impl<'r> Pages<'r> {
    /// A state that the repository holds, by its id and its recipe.
    pub fn of_recipe(reader: ChunkReader<'r>, id: ChunkId, recipe: Arc<Recipe>) -> Pages<'r> {
        let (page_bytes, count) = (recipe.page_bytes as usize, recipe.pages() as u32);
        let groups = Groups::of_recipe(&recipe);
        let hashes = if groups.is_some() { None } else { Some(Arc::new(recipe.hashes.clone())) };
        Pages::new(Backing::Recipe { reader, id, recipe }, page_bytes, count, (hashes, groups))
    }

    /// A private copy that nobody writes to.
    pub fn of_file(file: File, hashing: &Hashing) -> Result<Pages<'r>, Error> {
        let mut head = [0; 100];
        let no_database = Error::Page { page: 1, what: "it is not the first page of a database" };
        let size = file.metadata()?.len();
        if size < head.len() as u64 {
            return Err(no_database);
        }
        file.read_exact_at(&mut head, 0)?;
        let page_bytes = crate::chunk::sqlite_page_bytes(&head).ok_or(no_database)? as usize;
        let count = u32::try_from(size / page_bytes as u64).unwrap_or(u32::MAX);
        Ok(Pages::new(
            Backing::File { file, hashing: hashing.clone() },
            page_bytes,
            count,
            (None, None),
        ))
    }

    fn new(
        backing: Backing<'r>,
        page_bytes: usize,
        count: u32,
        (hashes, groups): (Option<Arc<Vec<PageHash>>>, Option<Groups>),
    ) -> Pages<'r> {
        Pages {
            backing,
            page_bytes,
            count,
            hashes,
            groups,
            kept: HashMap::new(),
            kept_bytes: 0,
            read: 0,
        }
    }

    /// Another reader of the same state, with nothing kept.
    pub fn sibling(&self) -> Result<Pages<'r>, Error> {
        let backing = match &self.backing {
            Backing::Recipe { reader, id, recipe } => {
                Backing::Recipe { reader: reader.sibling(), id: *id, recipe: recipe.clone() }
            }
            Backing::File { file, hashing } => {
                Backing::File { file: file.try_clone()?, hashing: hashing.clone() }
            }
        };
        Ok(Pages::new(
            backing,
            self.page_bytes,
            self.count,
            (self.hashes.clone(), self.groups.clone()),
        ))
    }

    /// A file of our own, taken apart as a snapshot of it would be.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn by_groups(mut self) -> Result<Pages<'r>, Error> {
        if let Backing::File { file, hashing } = &self.backing {
            self.groups = Groups::of_file(file, self.page_bytes, self.count, hashing, [0; 16])?;
        }
        Ok(self)
    }

    /// Finds out by what two states can be compared: the names of their groups of cells, or else
    /// the hashes of their pages.
    pub(super) fn prepare(
        &mut self,
        other: &mut Pages<'_>,
    ) -> Result<Option<(Groups, Groups)>, Error> {
        self.find_groups(other.groups.as_ref())?;
        other.find_groups(self.groups.as_ref())?;
        match (&self.groups, &other.groups) {
            (Some(own), Some(others)) if own.salt() == others.salt() => {
                Ok(Some((own.clone(), others.clone())))
            }
            _ => {
                self.find_hashes()?;
                other.find_hashes()?;
                Ok(None)
            }
        }
    }

    /// A file beside a state that is kept as cells is taken apart like that one.
    fn find_groups(&mut self, other: Option<&Groups>) -> Result<(), Error> {
        if let (Backing::File { file, hashing }, Some(other), None) =
            (&self.backing, other, &self.groups)
        {
            self.groups =
                Groups::of_file(file, self.page_bytes, self.count, hashing, other.salt())?;
        }
        Ok(())
    }

    fn find_hashes(&mut self) -> Result<(), Error> {
        if self.hashes.is_some() {
            return Ok(());
        }
        let batch = self.batch();
        let mut hashes = Vec::with_capacity(self.count as usize);
        let mut bytes = Vec::new();
        for first in (0..self.count as usize).step_by(batch) {
            let last = (first + batch).min(self.count as usize);
            match &mut self.backing {
                Backing::Recipe { reader, id, recipe } => {
                    reader.read_pages(id, recipe, first..last, &mut bytes)?;
                    hashes.extend(
                        bytes.chunks_exact(self.page_bytes).map(|page| reader.hashing().page(page)),
                    );
                }
                Backing::File { file, hashing } => {
                    bytes.resize((last - first) * self.page_bytes, 0);
                    file.read_exact_at(&mut bytes, (first * self.page_bytes) as u64)?;
                    hashes
                        .extend(bytes.chunks_exact(self.page_bytes).map(|page| hashing.page(page)));
                }
            }
        }
        self.hashes = Some(Arc::new(hashes));
        Ok(())
    }

    /// Whether a page of both is known to be the same.
    fn is_same_page(&self, other: &Pages<'_>, number: u32) -> bool {
        match (&self.groups, &other.groups) {
            (Some(own), Some(others)) => own.is_same_page(others, number),
            _ => self.hash(number).is_some() && self.hash(number) == other.hash(number),
        }
    }

    /// Bytes of a page.
    pub fn page_bytes(&self) -> usize {
        self.page_bytes
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The hash of a page; nothing beyond the end, or where hashes are not known.
    pub(super) fn hash(&self, number: u32) -> Option<PageHash> {
        self.hashes.as_ref()?.get((number as usize).checked_sub(1)?).copied()
    }

    /// One page.
    pub(super) fn page(&mut self, number: u32) -> Result<Page, Error> {
        if let Some(page) = self.kept.get(&number) {
            return Ok(page.clone());
        }
        self.load(&[number])?;
        self.kept
            .get(&number)
            .cloned()
            .ok_or(Error::Page { page: number, what: "it lies beyond the end of the database" })
    }

    /// How many pages are read ahead at most.
    pub(super) fn batch(&self) -> usize {
        (BATCH_BYTES / self.page_bytes).max(1)
    }

    /// Reads pages ahead that will be asked for, as many as fit.
    pub(super) fn read_ahead(&mut self, numbers: &[u32]) -> Result<usize, Error> {
        let batch = numbers.get(..self.batch()).unwrap_or(numbers);
        let missing: Vec<u32> =
            batch.iter().copied().filter(|number| !self.kept.contains_key(number)).collect();
        self.load(&missing)?;
        Ok(batch.len())
    }

    /// Takes over the pages that another state keeps, where they are the same.
    pub fn adopt(&mut self, other: &Pages<'_>) {
        for (number, page) in &other.kept {
            if self.kept_bytes <= KEPT_BYTES
                && !self.kept.contains_key(number)
                && self.is_same_page(other, *number)
            {
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
            return Err(Error::Page {
                page: *number,
                what: "something leads to it, but it lies beyond the end of the database",
            });
        }
        self.read += numbers.len() as u64;
        self.kept_bytes += numbers.len() * self.page_bytes;
        match &mut self.backing {
            Backing::Recipe { reader, id, recipe } => {
                let zero_based: Vec<usize> =
                    numbers.iter().map(|number| *number as usize - 1).collect();
                let kept = &mut self.kept;
                reader.read_some_pages(id, recipe, &zero_based, |page, bytes| {
                    kept.insert(page as u32 + 1, Arc::new(bytes.to_vec()));
                })?;
            }
            Backing::File { file, .. } => {
                for number in numbers {
                    let mut page = vec![0; self.page_bytes];
                    file.read_exact_at(
                        &mut page,
                        (u64::from(*number) - 1) * self.page_bytes as u64,
                    )?;
                    self.kept.insert(*number, Arc::new(page));
                }
            }
        }
        Ok(())
    }
}
