//! Is what differs in a manifest the same for a person? Contents may be written down in more than one way.

use crate::chunk::ChunkId;
use crate::manifest::{Content, Difference, Entry, Kind, OWNER_UNKNOWN, Piece};
use crate::store::ChunkReader;

use super::super::Error;
use super::super::content::write_content;

/// Whether two entries hold the same: bytes, or where a link leads.
pub(super) fn holds_the_same(before: &Kind, after: &Kind) -> bool {
    match (before, after) {
        (Kind::File { size, content }, Kind::File { size: other_size, content: other }) => size == other_size && content == other,
        (before, after) => before == after,
    }
}

/// What is left of a difference when what is the same to a person is taken out: the same bytes written down in two ways (with holes and
/// without, as pages and as a whole), and owners of which one side does not know. Contents are read only where their ways differ.
pub(super) fn without_sameness(
    mut difference: Difference,
    reader: &mut ChunkReader<'_>,
    other_reader: &mut ChunkReader<'_>,
) -> Result<Option<Difference>, Error> {
    let (Some(before), Some(after)) = (&mut difference.before, &mut difference.after) else { return Ok(Some(difference)) };
    learn_owners(before, after);
    if let (Kind::File { size, content }, Kind::File { size: other_size, content: other }) = (&before.kind, &after.kind)
        && size == other_size
        && content != other
        && way(content) != way(other)
        && same_bytes((content, reader), (other, other_reader), *size)?
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
        Content::Pieces(pieces) => Way::Pieces { holes: pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))) },
        // A list may name holes; whoever has one is long.
        Content::Listed(_) => Way::Pieces { holes: true },
    }
}

fn same_bytes(before: (&Content, &mut ChunkReader<'_>), after: (&Content, &mut ChunkReader<'_>), size: u64) -> Result<bool, Error> {
    let hash = |(content, reader): (&Content, &mut ChunkReader<'_>)| -> Result<Option<ChunkId>, Error> {
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0u64);
        let outcome = write_content(reader, content, size, |offset, bytes| {
            push_zeros(&mut hasher, offset.saturating_sub(at));
            hasher.update(bytes);
            at = offset + bytes.len() as u64;
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            // What is not in the repository (a live file) or damaged is not the same.
            Err(error) if error.kind() == "damaged" => return Ok(None),
            Err(error) => return Err(error),
        }
        push_zeros(&mut hasher, size.saturating_sub(at));
        Ok(Some(ChunkId(*hasher.finalize().as_bytes())))
    };
    let first = hash(before)?;
    Ok(first.is_some() && first == hash(after)?)
}

fn push_zeros(hasher: &mut blake3::Hasher, mut bytes: u64) {
    const ZEROS: [u8; 4096] = [0; 4096];
    while bytes > 0 {
        let step = bytes.min(ZEROS.len() as u64);
        hasher.update(ZEROS.get(..step as usize).unwrap_or_default());
        bytes -= step;
    }
}
