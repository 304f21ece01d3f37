//! The hashes of a database's pages, kept on this machine from one capture to the next: pages that
//! are the same need not be taken apart again. What is lost or wrong costs time alone, for the
//! hashes must be those that the state's identity was made of.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::backend::{CacheFile, Disk, RealDisk, open_to_read};
use crate::chunk::{ChunkId, Hashing, PageHash};
use crate::limits::PAGES_MAX;
use crate::progress::Interrupt;
use crate::store::Recipe;

use super::super::Error;
use super::packer::ReadFailure;

const HASH_BYTES: usize = size_of::<PageHash>();
/// Bytes that are read at once; a multiple of every page size.
const WINDOW_BYTES: usize = 1 << 20;
/// Databases with fewer pages are taken apart in no time.
const PAGES_MIN: usize = 1024;
/// States whose hashes are kept, most.
const KEPT_MAX: usize = 32;

/// Where they are kept.
#[derive(Clone, Debug, Default)]
pub(in crate::ops) struct PageHashes {
    /// Nothing where this machine keeps nothing of the repository.
    pub folder: Option<PathBuf>,
    /// Whether this capture is a snapshot: a look leaves nothing.
    pub keeps: bool,
}

impl PageHashes {
    fn file(&self, id: &ChunkId) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(id.to_hex()))
    }

    /// Those of a state, if they are there and are right.
    pub(super) fn read(
        &self,
        id: &ChunkId,
        recipe: &Recipe,
        hashing: &Hashing,
    ) -> Option<Vec<PageHash>> {
        let pages = recipe.pages();
        if !(PAGES_MIN..=PAGES_MAX).contains(&pages) {
            return None;
        }
        let mut bytes = Vec::with_capacity(pages * HASH_BYTES + 1);
        open_to_read(&self.file(id)?)
            .ok()?
            .take((pages * HASH_BYTES) as u64 + 1)
            .read_to_end(&mut bytes)
            .ok()?;
        let hashes: Vec<PageHash> =
            bytes.chunks_exact(HASH_BYTES).filter_map(|hash| hash.try_into().ok()).collect();
        (bytes.len() == pages * HASH_BYTES && hashing.database(recipe.page_bytes, &hashes) == *id)
            .then_some(hashes)
    }

    /// Keeps those of a state for the next capture, in place of those of the state before.
    pub(super) fn write(&self, id: &ChunkId, hashes: &[PageHash], before: Option<ChunkId>) {
        let Some(file) = self.file(id).filter(|_| self.keeps && hashes.len() >= PAGES_MIN) else {
            return;
        };
        let written = CacheFile::begin(&file)
            .and_then(|mut new| new.append(&hashes.concat()).and(new.finish()));
        // Without them the next capture takes everything apart.
        crate::tolerate(written);
        let disk = RealDisk::default();
        if let Some(old) =
            before.filter(|before| before != id).and_then(|before| self.file(&before))
        {
            crate::tolerate(disk.remove(&old));
        }
        self.sweep(&disk);
    }

    /// States that no capture came back to.
    fn sweep(&self, disk: &RealDisk) {
        let Some(folder) = &self.folder else { return };
        // A folder that cannot be listed is swept another time.
        let mut files: Vec<_> =
            disk.list(folder).unwrap_or_default().into_iter().map(|(name, _)| name).collect();
        if files.len() > KEPT_MAX {
            files.sort_unstable();
            // Any of them is as good as another.
            files
                .iter()
                .skip(KEPT_MAX / 2)
                .for_each(|name| crate::tolerate(disk.remove(&folder.join(name))));
        }
    }
}

/// Hashes all pages of a file, by two threads; nothing where it shrinks meanwhile.
pub(super) fn hash_pages(
    file: &File,
    (count, page_bytes): (usize, usize),
    hashing: &Hashing,
    interrupt: &Interrupt,
) -> Result<Option<Vec<PageHash>>, ReadFailure> {
    let mut hashes = vec![PageHash::default(); count];
    let half = count.div_ceil(2).next_multiple_of(WINDOW_BYTES / page_bytes).min(count);
    let (first, second) = hashes.split_at_mut(half);
    let part = |from: usize, out: &mut [PageHash]| {
        hash_part(file, from, page_bytes, out, hashing, interrupt)
    };
    let is_whole = std::thread::scope(|scope| {
        let other = scope.spawn(|| part(half, second));
        let own = part(0, first);
        let other = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, ReadFailure>(own? && other?)
    })?;
    Ok(is_whole.then_some(hashes))
}

fn hash_part(
    file: &File,
    from: usize,
    page_bytes: usize,
    out: &mut [PageHash],
    hashing: &Hashing,
    interrupt: &Interrupt,
) -> Result<bool, ReadFailure> {
    let mut window = vec![0; WINDOW_BYTES];
    let mut at = from as u64 * page_bytes as u64;
    for hashes in out.chunks_mut(WINDOW_BYTES / page_bytes) {
        if interrupt.is_raised() {
            return Err(Error::Interrupted.into());
        }
        window.truncate(hashes.len() * page_bytes);
        match file.read_exact_at(&mut window, at) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        at += window.len() as u64;
        hashes
            .iter_mut()
            .zip(window.chunks_exact(page_bytes))
            .for_each(|(hash, page)| *hash = hashing.page(page));
    }
    Ok(true)
}
