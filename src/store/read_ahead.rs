//! Extents that lie side by side are read together where a call of the backend takes long, one
//! after another where it does not.

use super::extent_row::ExtentRow;
use super::index::{Index, Located};
use super::{Error, Repository, pack_name};
use crate::backend::Span;

/// Extents that are remembered as read.
const LAST: usize = 4;

/// Reads the sealed bytes of extents.
#[derive(Default)]
pub(super) struct ExtentBytes {
    /// Where the extents end that were read last: a folder's pictures and texts lie in extents of
    /// their own, which are read in turn.
    last: [Option<([u8; 16], u64)>; LAST],
    next: usize,
    /// Bytes that came along: of this pack, from this offset on.
    along: Option<([u8; 16], u64, Vec<u8>)>,
}

impl ExtentBytes {
    /// The sealed bytes of an extent, into `out`. `number` is that of its pack in the index.
    pub(super) fn read(
        &mut self,
        repository: &Repository,
        index: &Index,
        number: u32,
        located: &Located,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (pack, row) = (located.pack, &located.row);
        // Threads that share a restore read every second or third extent: these follow one another,
        // too.
        let ahead = repository.backend().read_ahead() as u64;
        let is_before = |(last, end): &([u8; 16], u64)| {
            *last == pack && row.offset.checked_sub(*end).is_some_and(|apart| apart <= ahead)
        };
        let follows = self.last.iter().flatten().any(is_before);
        self.next = (self.next + 1) % LAST;
        if let Some(slot) = self.last.get_mut(self.next) {
            *slot = Some((pack, row.end()));
        }
        if let Some(bytes) = self.came_along(&pack, row) {
            out.clear();
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let end = if ahead > 0 && follows {
            end_of_run(&index.extents_of(number)?, row, ahead)
        } else {
            row.end()
        };
        let span = Span::At { offset: row.offset, len: (end - row.offset) as usize };
        repository.backend().read_into(&pack_name(&pack), span, out)?;
        let own = row.stored_bytes as usize;
        self.along = (out.len() > own).then(|| (pack, row.end(), out.split_off(own)));
        Ok(())
    }

    fn came_along(&self, pack: &[u8; 16], row: &ExtentRow) -> Option<&[u8]> {
        let (of, start, bytes) = self.along.as_ref()?;
        let at = usize::try_from(row.offset.checked_sub(*start)?).ok()?;
        if of == pack { bytes.get(at..at.checked_add(row.stored_bytes as usize)?) } else { None }
    }
}

/// Where the last extent ends that lies wholly within `ahead` bytes behind an extent.
fn end_of_run(rows: &[ExtentRow], from: &ExtentRow, ahead: u64) -> u64 {
    let within = rows
        .iter()
        .map(ExtentRow::end)
        .filter(|end| (from.end()..=from.end() + ahead).contains(end));
    within.max().unwrap_or(from.end())
}
