//! A database's cells on their way into extents: groups that are known stay where they are, new
//! ones are compressed together, and the recipe tells which groups follow one another and how pages
//! are built from them. What SQLite's VACUUM moves costs nothing then.

use std::fs::File;

use crate::chunk::PageHash;
use crate::store::cells::Cutter;
use crate::store::{CellsParts, ChunkReader, GroupPositions, Index, Recipe};

use super::draft::Draft;
use super::namer::Namer;
use super::packer::{ReadFailure, Sink};
use super::page_hashes::hash_pages;
use super::pages::{PagePacker, Past, SMALL_BYTES};
use super::placer::{Gathered, Placer, Stop};

/// A database that was taken apart.
pub(in crate::ops) struct Placed {
    pub draft: Draft,
    /// The hash of each page.
    pub pages: Vec<PageHash>,
    /// Where the groups of the state before stand, if that was looked for.
    pub positions: Option<GroupPositions>,
}

impl PagePacker {
    /// Stores the new cells of a database; nothing where it shrinks meanwhile, or has too many.
    #[expect(clippy::too_many_arguments, reason = "one database's facts and where its parts go")]
    pub(in crate::ops) fn place_groups(
        &mut self,
        file: &File,
        (size, page_bytes): (u64, u32),
        past: &Past<'_>,
        (base, old_pages): (Option<&Recipe>, Option<Vec<PageHash>>),
        salt: [u8; 16],
        index: &Index,
        reader: &mut ChunkReader<'_>,
        sink: Sink<'_>,
    ) -> Result<Option<Placed>, ReadFailure> {
        let count = (size / u64::from(page_bytes)) as usize;
        let base_cells = base.and_then(|base| base.cells.as_deref());
        let salt = base_cells.map_or(salt, |cells| cells.salt);
        let mut draft = Draft::new(page_bytes);
        let mut present = Vec::new();
        if let Some(base) = base {
            present = draft.build_on(base, index)?;
        }
        let lens = Vec::with_capacity(draft.recipe.hashes.capacity());
        let mut now = None;
        if old_pages.is_some() {
            let Some(hashes) =
                hash_pages(file, (count, page_bytes as usize), &self.hashing, past.interrupt)?
            else {
                return Ok(None);
            };
            now = Some(hashes);
        }
        let is_same = same_pages(old_pages.as_deref(), now.as_deref());
        let names = self.hashing.groups(&salt);
        let hashing = self.hashing.clone();
        let outcome = std::thread::scope(|scope| {
            let mut placer = Placer {
                file,
                page_bytes: page_bytes as usize,
                namer: Namer::start(scope, names, hashing, page_bytes as usize),
                hashing: self.hashing.clone(),
                pages: now.map_or_else(
                    || vec![None; count],
                    |hashes| hashes.into_iter().map(Some).collect(),
                ),
                cutter: Cutter::default(),
                draft,
                lens,
                base,
                present,
                next: 0,
                positions: None,
                strange: 0,
                gathered: Gathered::default(),
                is_small: size <= SMALL_BYTES,
                extent: &mut self.extent,
                compressor: &mut self.compressor,
                careful: &mut self.careful,
                past,
                index,
                reader,
                sink,
            };
            let shapes = placer.run(count, &is_same)?;
            let Placer { draft, lens, pages, positions, .. } = placer;
            match pages.into_iter().collect::<Option<Vec<PageHash>>>() {
                Some(pages) => Ok((shapes, draft, lens, pages, positions)),
                None => Err(Stop::Changed),
            }
        });
        let (shapes, mut draft, lens, pages, positions) = match outcome {
            Ok(placed) => placed,
            Err(Stop::Changed | Stop::TooMany) => return Ok(None),
            Err(Stop::Failed(failure)) => return Err(failure),
        };
        let parts = CellsParts { page_bytes, pages: count as u32, salt, shapes, lens };
        // What does not hold together is kept as bytes; no database is known to come to this.
        let Ok(recipe) = std::mem::take(&mut draft.recipe).with_cells(parts) else {
            return Ok(None);
        };
        draft.recipe = recipe;
        Ok(Some(Placed { draft, pages, positions }))
    }
}

/// Which pages are what they were; nothing where that is not known.
fn same_pages(before: Option<&[PageHash]>, now: Option<&[PageHash]>) -> Vec<bool> {
    let (before, now) = (before.unwrap_or_default(), now.unwrap_or_default());
    before.iter().zip(now).map(|(before, now)| before == now).collect()
}
