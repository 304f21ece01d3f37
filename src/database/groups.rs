//! Which groups of cells do pages hold? States that are kept as cells are compared by groups: rows
//! of those that both have are skipped unread, also where a VACUUM moved them to other pages.

use std::collections::HashSet;
use std::fs::File;
use std::hash::BuildHasherDefault;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::chunk::{ChunkIdHasher, Hashing, PageHash};
use crate::store::cells::{Cutter, Host, PagePlan, Shapes, walk};
use crate::store::{Cells, CellsParts, GroupHashing, Recipe};

use super::Error;

/// A state's groups. Its recipe may have no places.
#[derive(Clone)]
pub(super) struct Groups {
    recipe: Arc<Recipe>,
    cells: Arc<Cells>,
}

/// Names of groups.
pub(super) type GroupSet = HashSet<PageHash, BuildHasherDefault<ChunkIdHasher>>;

impl Groups {
    /// Those of a recipe of cells.
    pub(super) fn of_recipe(recipe: &Arc<Recipe>) -> Option<Groups> {
        let cells = recipe.cells.clone()?;
        // Damaged shapes are reported when the first page is read.
        cells.shapes().is_ok().then(|| Groups { recipe: recipe.clone(), cells })
    }

    /// Takes a file apart, as a snapshot would. Nothing where that is not possible.
    pub(super) fn of_file(
        file: &File,
        page_bytes: usize,
        pages: u32,
        hashing: &Hashing,
        salt: [u8; 16],
    ) -> Result<Option<Groups>, Error> {
        let mut taking = Taking {
            file,
            page_bytes,
            names: hashing.groups(&salt),
            cutter: Cutter::default(),
            group: Vec::new(),
            hashes: Vec::new(),
            lens: Vec::new(),
        };
        let mut first = Vec::new();
        taking.page(1, &mut first)?;
        let shapes = walk(&mut taking, &first, pages)?;
        let recipe = Recipe { hashes: taking.hashes, ..Recipe::default() };
        let parts =
            CellsParts { page_bytes: page_bytes as u32, pages, salt, shapes, lens: taking.lens };
        // Without groups the pages are compared by their hashes, which takes longer and finds the
        // same.
        Ok(recipe.with_cells(parts).ok().and_then(|recipe| Groups::of_recipe(&Arc::new(recipe))))
    }

    /// What the names are salted with: only those with the same can be compared.
    pub(super) fn salt(&self) -> [u8; 16] {
        self.cells.salt
    }

    fn shapes(&self) -> Option<&Shapes> {
        self.cells.shapes().ok()
    }

    fn at(&self, position: u64) -> usize {
        self.cells.starts.partition_point(|start| *start <= position).saturating_sub(1)
    }

    fn name(&self, group: usize) -> Option<PageHash> {
        self.recipe.hashes.get(group).copied()
    }

    /// Names of the groups that parts of the sequence lie in.
    fn names<'g>(&'g self, ranges: &'g [Range<u64>]) -> impl Iterator<Item = PageHash> + 'g {
        let groups = |range: &Range<u64>| self.at(range.start)..self.at(range.end - 1) + 1;
        ranges
            .iter()
            .filter(|range| !range.is_empty())
            .flat_map(groups)
            .filter_map(|group| self.name(group))
    }

    fn plan(&self, page: u32) -> Option<PagePlan> {
        self.shapes()?.plan((page as usize).checked_sub(1)?)
    }

    /// The parts of the sequence that a page's cells lie in, what is in overflow pages left out.
    /// Pages count from 1.
    fn ranges(&self, page: u32) -> Vec<Range<u64>> {
        self.plan(page).map_or(Vec::new(), |plan| plan.ranges)
    }

    /// The parts of the sequence that lie in overflow pages of a page's cells.
    fn overflow(&self, page: u32) -> Vec<Range<u64>> {
        let overflow = || Some(self.shapes()?.overflow((page as usize).checked_sub(1)?));
        overflow().unwrap_or_default()
    }

    /// All groups that rows on these pages lie in.
    pub(super) fn of_pages(&self, pages: &[u32]) -> GroupSet {
        let mut all = GroupSet::with_capacity_and_hasher(pages.len(), ChunkIdHasher::build());
        for page in pages {
            all.extend(self.names(&self.ranges(*page)));
            for part in self.overflow(*page) {
                all.extend(self.names(std::slice::from_ref(&part)));
                all.extend(self.tail(&part));
            }
        }
        all
    }

    /// A row's beginning together with its end: the same groups may be put together in another way.
    fn tail(&self, part: &Range<u64>) -> Option<PageHash> {
        let mut names = self.name(self.at(part.start.saturating_sub(1)))?.to_vec();
        self.names(std::slice::from_ref(part)).for_each(|name| names.extend_from_slice(&name));
        Some(Hashing::default().page(&names))
    }

    /// Where the end of a row lies in one of these groups, its beginning counts, too.
    pub(super) fn add_beginnings(&self, pages: &[u32], groups: &mut GroupSet) {
        for page in pages {
            for part in self.overflow(*page) {
                let is_touched = self
                    .names(std::slice::from_ref(&part))
                    .chain(self.tail(&part))
                    .any(|name| groups.contains(&name));
                if let (true, Some(name)) =
                    (is_touched, self.name(self.at(part.start.saturating_sub(1))))
                {
                    groups.insert(name);
                }
            }
        }
    }

    /// Groups on pages of which it is not known where all rows end.
    pub(super) fn add_unknown(&self, pages: &[u32], groups: &mut GroupSet) {
        let is_unknown = |page: u32| {
            self.shapes()
                .zip((page as usize).checked_sub(1))
                .is_none_or(|(shapes, page)| shapes.has_unknown_ends(page))
        };
        for page in pages.iter().filter(|page| is_unknown(**page)) {
            groups.extend(self.names(&self.ranges(*page)));
        }
    }

    /// Of these pages those with cells in one of these groups; and those that are no pages of the
    /// database, which reading tells of.
    pub(super) fn pages_in(&self, pages: Vec<u32>, groups: &GroupSet) -> Vec<u32> {
        let counts = |page: u32| {
            self.plan(page)
                .is_none_or(|plan| self.names(&plan.ranges).any(|name| groups.contains(&name)))
        };
        pages.into_iter().filter(|page| counts(*page)).collect()
    }

    /// For each cell of a page whether it lies in one of these groups.
    pub(super) fn cells_in(&self, page: u32, bytes: &[u8], groups: &GroupSet) -> Option<Vec<bool>> {
        let starts = self.shapes()?.cell_starts((page as usize).checked_sub(1)?, bytes)?;
        Some(
            starts
                .into_iter()
                .map(|start| self.name(self.at(start)).is_none_or(|name| groups.contains(&name)))
                .collect(),
        )
    }

    /// Whether a page of two states is the same.
    pub(super) fn is_same_page(&self, other: &Groups, page: u32) -> bool {
        let (Some(shapes), Some(other_shapes)) = (self.shapes(), other.shapes()) else {
            return false;
        };
        let (Some(own), Some(others)) = (self.plan(page), other.plan(page)) else { return false };
        let parts = |groups: &Groups, ranges: &[Range<u64>]| -> Vec<(Option<PageHash>, u64, u64)> {
            let within = |range: &Range<u64>| {
                let first = groups.at(range.start);
                (
                    groups.name(first),
                    range.start - groups.cells.starts.get(first).copied().unwrap_or(0),
                    range.end - range.start,
                )
            };
            ranges.iter().map(within).collect()
        };
        self.salt() == other.salt()
            && shapes.are_alike(&own, other_shapes, &others)
            && parts(self, &own.ranges) == parts(other, &others.ranges)
            && self.names(&own.ranges).eq(other.names(&others.ranges))
    }
}

/// Names the groups of a file.
struct Taking<'f> {
    file: &'f File,
    page_bytes: usize,
    names: GroupHashing,
    cutter: Cutter,
    group: Vec<u8>,
    hashes: Vec<PageHash>,
    lens: Vec<u32>,
}

impl Host for Taking<'_> {
    type Error = Error;

    fn page(&mut self, number: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        out.resize(self.page_bytes, 0);
        Ok(self.file.read_exact_at(out, (u64::from(number) - 1) * self.page_bytes as u64)?)
    }

    fn cell(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        self.group.extend_from_slice(bytes);
        let ends = self.cutter.take(bytes);
        if ends {
            self.boundary()?;
        }
        Ok(ends)
    }

    fn changed(&self) -> Error {
        std::io::Error::from(std::io::ErrorKind::InvalidData).into()
    }

    fn boundary(&mut self) -> Result<(), Error> {
        if let Some(len) = self.cutter.end() {
            self.hashes.push(self.names.hash(&self.group));
            self.lens.push(len as u32);
            self.group.clear();
        }
        Ok(())
    }
}
