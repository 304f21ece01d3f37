//! Follows the sequence of cells of the state before. A leaf that is the same byte for byte, where
//! that sequence has come to, needs neither be read nor taken apart: its shape is known, and the
//! groups that end in it are.

use super::before::{At, Before, KnownLeaf, Piece};
use super::layout::{self, Parsed};
use super::shape::PageShape;
use super::walk::{Host, Walk};

impl<H: Host> Walk<'_, H> {
    /// Passes over a leaf, if that can be done. Its page was not read.
    pub(super) fn pass_leaf(
        &mut self,
        page: u32,
        is_index: Option<bool>,
    ) -> Result<bool, H::Error> {
        let Some(before) = self.before.filter(|_| !self.reads_schema) else { return Ok(false) };
        let Some(KnownLeaf { start, bytes, shape, encoded }) = before.leaf(page) else {
            return Ok(false);
        };
        let is_other_tree = is_index.is_some_and(|expected| expected != shape.kind.is_index());
        let pages = shape.chains.iter().flat_map(|chain| &chain.pages);
        if is_other_tree
            || pages.clone().any(|page| self.is_taken(*page))
            || !self.comes_to(start)
            || !self.can_pass(bytes)
        {
            return Ok(false);
        }
        let patches: usize = shape
            .patches
            .iter()
            .chain(
                shape
                    .chains
                    .iter()
                    .flat_map(|chain| chain.patches.iter().flat_map(|(_, patches)| patches)),
            )
            .map(|patch| patch.bytes.len() + 4)
            .sum();
        if patches > self.patches_left {
            return Ok(false);
        }
        self.patches_left -= patches;
        pages.for_each(|page| self.take(*page, true));
        self.take(page, true);
        if PageShape::encode_again(encoded, (page, self.before_page), &mut self.shapes).is_err() {
            // It was read from these bytes a moment ago.
            return Err(self.host.changed());
        }
        self.before_page = page;
        self.pass(Piece::Leaf(page), bytes)?;
        Ok(true)
    }

    /// Passes over a cell of an inner page of an index, if that can be done.
    pub(super) fn pass_cell(
        &mut self,
        page: u32,
        cell: usize,
        parsed: &Parsed,
    ) -> Result<bool, H::Error> {
        let known = self
            .before
            .filter(|_| !self.reads_schema)
            .and_then(|before| before.inner_cell(page, cell, parsed.shape.chain_of(cell)));
        match known {
            Some((start, bytes))
                if self.at.as_ref().is_some_and(|at| at.position == start)
                    && self.can_pass(bytes) =>
            {
                self.pass(Piece::Cell(page, cell), bytes)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Whether the sequence before has come to a position: it did all the way, or a group begins
    /// here as one did there.
    fn comes_to(&mut self, start: u64) -> bool {
        if self.at.as_ref().is_some_and(|at| at.position == start) {
            return true;
        }
        let Some(group) =
            self.before.filter(|_| self.is_fresh).and_then(|before| before.group_at(start))
        else {
            return false;
        };
        self.at = Some(At { position: start, group, passed: Vec::new() });
        true
    }

    /// Whether all groups that end in the next bytes can be named.
    fn can_pass(&self, bytes: u64) -> bool {
        let (Some(before), Some(at)) = (self.before, &self.at) else { return false };
        let end = at.position + bytes;
        // A group that ended there may have done so for its tree's sake alone.
        !before.ends_tree(end)
            && (at.group..)
                .take_while(|group| before.end_of(*group) <= end)
                .all(|group| (before.is_there)(group))
    }

    fn pass(&mut self, piece: Piece, bytes: u64) -> Result<(), H::Error> {
        let (Some(before), Some(at)) = (self.before, &mut self.at) else { return Ok(()) };
        let start = at.position;
        at.position += bytes;
        let mut has_ended = false;
        while before.end_of(at.group) <= at.position {
            self.host.known(at.group)?;
            at.group += 1;
            has_ended = true;
        }
        let open = before.start_of(at.group);
        if has_ended {
            at.passed.clear();
        }
        if at.position > open {
            at.passed.push((start, piece));
        }
        self.is_fresh = at.position == open;
        Ok(())
    }

    /// Tells of what was passed over of the open group: what follows is not what followed before,
    /// or has to be looked at.
    pub(super) fn catch_up(&mut self) -> Result<(), H::Error> {
        let (Some(before), Some(at)) = (self.before, &mut self.at) else { return Ok(()) };
        let open = before.start_of(at.group);
        for (start, piece) in std::mem::take(&mut at.passed) {
            let content = self.content_of(&piece, before)?;
            let known = usize::try_from(open.saturating_sub(start)).unwrap_or(usize::MAX);
            match content.get(known..) {
                Some(rest) => self.host.resume(rest)?,
                None => return Err(self.host.changed()),
            }
        }
        Ok(())
    }

    /// The cells that were passed over.
    fn content_of(&mut self, piece: &Piece, before: &Before<'_>) -> Result<Vec<u8>, H::Error> {
        let (mut page, mut overflow, mut out) = (Vec::new(), Vec::new(), Vec::new());
        let (Piece::Leaf(number) | Piece::Cell(number, _)) = *piece;
        self.host.page(number, &mut page)?;
        let (Some(parsed), Some(shape)) =
            (layout::parse(&page, number, self.usable), before.shape(number))
        else {
            return Err(self.host.changed());
        };
        for (cell, (at, size)) in parsed.cells.iter().enumerate() {
            if matches!(piece, Piece::Cell(_, only) if *only != cell) {
                continue;
            }
            let Some(content) = page.get(*at..at + size.content) else {
                return Err(self.host.changed());
            };
            out.extend_from_slice(content);
            let Some(chain) = shape.chain_of(cell) else { continue };
            let mut left = chain.bytes as usize;
            for page in &chain.pages {
                self.host.page(*page, &mut overflow)?;
                let len = left.min(self.usable - 4);
                let Some(content) = overflow.get(4..4 + len) else {
                    return Err(self.host.changed());
                };
                out.extend_from_slice(content);
                left -= len;
            }
        }
        Ok(out)
    }

    /// A leaf is looked at: where its cells began before, if that is known and the sequences have
    /// not parted.
    pub(super) fn begin_leaf(
        &mut self,
        page: u32,
        parsed: &Parsed,
    ) -> Result<Option<u64>, H::Error> {
        self.catch_up()?;
        let known = self.before.and_then(|before| before.leaf(page));
        // What is in overflow pages counts only where the same pages hang together in both states.
        let start =
            known.filter(|leaf| leaf.shape.chains == parsed.shape.chains).map(|leaf| leaf.start);
        if !start.is_some_and(|start| self.comes_to(start)) {
            self.at = None;
        }
        Ok(start)
    }

    /// The same of a cell of an inner page.
    pub(super) fn begin_cell(
        &mut self,
        page: u32,
        cell: usize,
        parsed: &Parsed,
    ) -> Result<Option<u64>, H::Error> {
        self.catch_up()?;
        let start = self
            .before
            .and_then(|before| before.inner_cell(page, cell, parsed.shape.chain_of(cell)))
            .map(|(start, _)| start);
        if !start.is_some_and(|start| self.comes_to(start)) {
            self.at = None;
        }
        Ok(start)
    }

    /// Tells of a cell, or a part of one. `start`: where it began before.
    pub(super) fn tell(&mut self, bytes: &[u8], start: Option<u64>) -> Result<(), H::Error> {
        let has_ended = self.host.cell(bytes)?;
        self.is_fresh = has_ended;
        let Some(before) = self.before else { return Ok(()) };
        let end = start.map(|start| start + bytes.len() as u64);
        let group = if has_ended { end.and_then(|end| before.group_at(end)) } else { None };
        self.at = match (self.at.take(), end) {
            // Whatever it was before, here both begin a group.
            (_, Some(position)) if group.is_some() => {
                group.map(|group| At { position, group, passed: Vec::new() })
            }
            (Some(at), Some(position))
                if !has_ended
                    && at.position + bytes.len() as u64 == position
                    && position < before.end_of(at.group) =>
            {
                Some(At { position, ..at })
            }
            _ => None,
        };
        Ok(())
    }

    /// A tree ends.
    pub(super) fn boundary(&mut self) -> Result<(), H::Error> {
        if !self.is_fresh {
            self.catch_up()?;
            self.at = None;
        }
        self.is_fresh = true;
        self.host.boundary()
    }
}
