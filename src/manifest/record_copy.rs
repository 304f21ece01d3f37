//! A snapshot's record once more, as a chunk in a pack: so that packs alone bring back when a
//! snapshot was taken, and of what.
//!
//! The pack seals it, so the frame within is plain. It is stored before the capture ends, so what
//! only the end tells (stored bytes, how long it took) is 0 in it.

use crate::chunk::{ChunkId, Hashing};
use crate::limits::LIST_BYTES_MAX;
use crate::store::{RecordKind, Sealer, decode_record, encode_record};

use super::Error;
use super::SnapshotId;
use super::record::SnapshotRecord;

const MAGIC: &[u8; 8] = b"JVCOPY\x01\0";
/// Problems that a copy names at most.
const PROBLEMS_MAX: usize = 1_000;

/// The chunk's bytes. The same record gives the same bytes whenever it is asked.
pub fn encode_record_copy(id: SnapshotId, record: &SnapshotRecord) -> Result<Vec<u8>, Error> {
    let mut early = record.clone();
    (early.bytes.new_raw, early.bytes.new_stored, early.took_ms) = (0, 0, 0);
    early.problems.truncate(PROBLEMS_MAX);
    let frame = |record: &SnapshotRecord| {
        encode_record(RecordKind::Snapshot, &Sealer::plain(), &id.0, record)
            .map_err(|what| Error::Record { what })
    };
    let mut bytes = frame(&early)?;
    if bytes.len() > LIST_BYTES_MAX - MAGIC.len() - id.0.len() {
        early.problems.clear();
        bytes = frame(&early)?;
    }
    Ok([MAGIC.as_slice(), &id.0, &bytes].concat())
}

/// The chunk's id.
pub fn record_copy_id(
    id: SnapshotId,
    record: &SnapshotRecord,
    hashing: &Hashing,
) -> Result<ChunkId, Error> {
    Ok(hashing.id(&encode_record_copy(id, record)?))
}

/// The record in a chunk; nothing where the chunk is something else.
pub fn decode_record_copy(bytes: &[u8]) -> Option<(SnapshotId, SnapshotRecord)> {
    let (id, record) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let record = decode_record(RecordKind::Snapshot, &Sealer::plain(), id, record).ok()?;
    Some((SnapshotId(*id), record))
}
