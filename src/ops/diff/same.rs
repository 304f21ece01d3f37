//! Is what differs in a manifest the same for a person? Contents may be written down in more than
//! one way.

use std::os::unix::fs::FileExt;

use crate::chunk::{ChunkId, Hashing, PageHash, sqlite_page_bytes};
use crate::manifest::{Content, Difference, Entry, Kind, OWNER_UNKNOWN, Piece};
use crate::source::Layout;
use crate::store::ChunkReader;

use super::super::Error;
use super::super::content::write_content;

/// Whether two entries hold the same: bytes, or where a link leads.
pub(super) fn holds_the_same(before: &Kind, after: &Kind) -> bool {
    match (before, after) {
        (Kind::File { size, content }, Kind::File { size: other_size, content: other }) => {
            size == other_size && content == other
        }
        (before, after) => before == after,
    }
}

/// Length of a SQLite database's header, in bytes.
const HEADER_BYTES: usize = 100;

/// Where the contents of a side are read: in the repository, or in the directories of a live
/// source.
type Side<'s, 'r> = (&'s mut ChunkReader<'r>, Option<&'s Layout>);

/// What is left of a difference when what is the same to a person is taken out: the same bytes
/// written down in two ways (with holes and without, as pages and as a whole), and owners of which
/// one side does not know. Contents are read only where their ways differ.
pub(super) fn without_sameness(
    mut difference: Difference,
    (mut own_side, mut other_side): (Side<'_, '_>, Side<'_, '_>),
) -> Result<Option<Difference>, Error> {
    let (Some(before), Some(after)) = (&mut difference.before, &mut difference.after) else {
        return Ok(Some(difference));
    };
    learn_owners(before, after);
    if let (Kind::File { size, content }, Kind::File { size: other_size, content: other }) =
        (&before.kind, &after.kind)
        && size == other_size
        && content != other
        && way(content) != way(other)
        && same_bytes((before, content, &mut own_side), (after, other, &mut other_side), *size)?
    {
        before.kind = after.kind.clone();
    }
    Ok((before != after).then_some(difference))
}

/// An owner that one side does not know is taken to be the other's.
fn learn_owners(before: &mut Entry, after: &mut Entry) {
    for (own, other) in [(&mut before.uid, &mut after.uid), (&mut before.gid, &mut after.gid)] {
        if *own == OWNER_UNKNOWN {
            *own = *other;
        } else if *other == OWNER_UNKNOWN {
            *other = *own;
        }
    }
}

#[derive(PartialEq, Eq)]
enum Way {
    Pages,
    Pieces { holes: bool },
}

fn way(content: &Content) -> Way {
    match content {
        Content::Pages(_) => Way::Pages,
        Content::Pieces(pieces) => {
            Way::Pieces { holes: pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))) }
        }
        // A list may name holes; whoever has one is long.
        Content::Listed(_) => Way::Pieces { holes: true },
    }
}

type Stored<'s, 'x, 'r> = (&'s Entry, &'s Content, &'s mut Side<'x, 'r>);

fn same_bytes(
    before: Stored<'_, '_, '_>,
    after: Stored<'_, '_, '_>,
    size: u64,
) -> Result<bool, Error> {
    // The pages of a live database are in no pack, and its file may lack what lies in its log: it
    // is told by its identity.
    match (before, after) {
        (other, (_, Content::Pages(id), (_, Some(_)))) => is_database(other, id, size),
        ((_, Content::Pages(id), (_, Some(_))), other) => is_database(other, id, size),
        (before, after) => {
            let first = hash(before, size)?;
            Ok(first.is_some() && first == hash(after, size)?)
        }
    }
}

/// The hash of a file's bytes; nothing where they cannot be had.
fn hash(
    (entry, content, side): Stored<'_, '_, '_>,
    size: u64,
) -> Result<Option<blake3::Hash>, Error> {
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0u64);
    let is_read = for_each_part(entry, content, side, size, |offset, bytes| {
        push_zeros(&mut hasher, offset.saturating_sub(at));
        hasher.update(bytes);
        at = offset + bytes.len() as u64;
    })?;
    push_zeros(&mut hasher, size.saturating_sub(at));
    Ok(is_read.then(|| hasher.finalize()))
}

/// Whether a file's bytes are the database with this identity.
fn is_database(
    (entry, content, side): Stored<'_, '_, '_>,
    id: &ChunkId,
    size: u64,
) -> Result<bool, Error> {
    let mut pages = PageHashes {
        hashing: side.0.hashing().clone(),
        page_bytes: None,
        waiting: Vec::new(),
        hashes: Vec::new(),
        taken: 0,
    };
    let is_read = for_each_part(entry, content, side, size, |offset, bytes| {
        pages.zeros_up_to(offset);
        pages.push(bytes);
    })?;
    pages.zeros_up_to(size);
    Ok(is_read
        && pages.waiting.is_empty()
        && pages
            .page_bytes
            .is_some_and(|bytes| pages.hashing.database(bytes, &pages.hashes) == *id))
}

/// The hashes of a database's pages, from bytes that come in order.
struct PageHashes {
    hashing: Hashing,
    page_bytes: Option<u32>,
    waiting: Vec<u8>,
    hashes: Vec<PageHash>,
    taken: u64,
}

impl PageHashes {
    fn push(&mut self, bytes: &[u8]) {
        self.taken += bytes.len() as u64;
        self.waiting.extend_from_slice(bytes);
        if self.page_bytes.is_none() {
            self.page_bytes = self.waiting.get(..HEADER_BYTES).and_then(sqlite_page_bytes);
            if self.page_bytes.is_none() && self.waiting.len() >= HEADER_BYTES {
                // No database: nothing is gathered for it.
                self.waiting.clear();
            }
        }
        if let Some(page_bytes) = self.page_bytes {
            let whole = self.waiting.len() - self.waiting.len() % page_bytes as usize;
            let pages = self.waiting.drain(..whole);
            self.hashes.extend(
                pages
                    .as_slice()
                    .chunks_exact(page_bytes as usize)
                    .map(|page| self.hashing.page(page)),
            );
        }
    }

    fn zeros_up_to(&mut self, end: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        while self.taken < end {
            let step = (end - self.taken).min(ZEROS.len() as u64);
            self.push(ZEROS.get(..step as usize).unwrap_or_default());
        }
    }
}

/// Hands a file's bytes to `each` as (offset, bytes), holes left out; false where they cannot be
/// had.
fn for_each_part(
    entry: &Entry,
    content: &Content,
    (reader, live): &mut Side<'_, '_>,
    size: u64,
    mut each: impl FnMut(u64, &[u8]),
) -> Result<bool, Error> {
    if let Some(layout) = live {
        let Some(file) = layout.open(&entry.path) else { return Ok(false) };
        let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
        while at < size {
            let step = buffer.len().min(usize::try_from(size - at).unwrap_or(usize::MAX));
            let Some(part) = buffer.get_mut(..step) else { return Ok(false) };
            if file.read_exact_at(part, at).is_err() {
                // It changed since it was looked at.
                return Ok(false);
            }
            each(at, part);
            at += step as u64;
        }
        return Ok(true);
    }
    match write_content(reader, content, size, |offset, bytes| {
        each(offset, bytes);
        Ok(())
    }) {
        Ok(()) => Ok(true),
        // What is damaged is not the same; `check` names it.
        Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => Ok(false),
        Err(error) => Err(error),
    }
}

fn push_zeros(hasher: &mut blake3::Hasher, mut bytes: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while bytes > 0 {
        let step = bytes.min(ZEROS.len() as u64);
        hasher.update(ZEROS.get(..step as usize).unwrap_or_default());
        bytes -= step;
    }
}
