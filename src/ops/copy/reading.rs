//! What is read of the source while what came before is stored in the target: the two take about as
//! long.

use std::sync::mpsc::SyncSender;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entries, Entry, Kind, Piece};
use crate::store::{ChunkReader, Index, Repository};

use super::super::Error;
use super::super::content::write_content;
use super::super::ingest::packer::SMALL_BYTES;
use super::past::{Known, Past};

/// Entries that are handed over together, and bytes of small files with them.
const BATCH_ENTRIES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait: some 4 MiB.
pub(super) const BATCHES_MAX: usize = 4;

/// A repository with its index.
pub(super) type Place<'r> = (&'r Repository, &'r Index);

/// An entry of the source.
pub(super) struct Read {
    pub entry: Entry,
    /// What an earlier snapshot tells of it.
    pub known: Known,
    /// What a small file holds, where that is not known.
    pub bytes: Option<Vec<u8>>,
}

pub(super) type Batch = Result<Vec<Read>, Error>;

/// One category's tree.
pub(super) struct Tree {
    pub root: ChunkId,
    /// That of an earlier snapshot, here and in the target.
    pub before: Option<(ChunkId, ChunkId)>,
}

impl Tree {
    /// Reads it in order, until nobody listens any more.
    pub(super) fn read(&self, (own, theirs): (Place<'_>, Place<'_>), out: &SyncSender<Batch>) {
        let outcome = self.try_read((own, theirs), out);
        if let Err(error) = outcome {
            // Whoever stopped listening has an error of their own.
            crate::tolerate(out.send(Err(error)));
        }
    }

    fn try_read(
        &self,
        (own, theirs): (Place<'_>, Place<'_>),
        out: &SyncSender<Batch>,
    ) -> Result<(), Error> {
        let reader = |(repository, index)| ChunkReader::new(repository, index);
        let (mut walk, mut files, mut old, mut new) =
            (reader(own), reader(own), reader(own), reader(theirs));
        let mut past =
            self.before.map(|(own, theirs)| Past::new((&mut old, own), (&mut new, theirs)));
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        for entry in Entries::all(&mut walk, self.root) {
            let entry = entry?;
            let known = past.as_mut().map(|past| past.known(&entry)).transpose()?;
            let known = known.unwrap_or_default();
            let bytes = match &entry.kind {
                Kind::File { size, content } if known.content.is_none() => {
                    small(&mut files, content, *size)?
                }
                _ => None,
            };
            batch_bytes += bytes.as_ref().map_or(0, Vec::len);
            batch.push(Read { entry, known, bytes });
            if batch.len() >= BATCH_ENTRIES || batch_bytes >= BATCH_BYTES {
                batch_bytes = 0;
                if out.send(Ok(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
            }
        }
        crate::tolerate(out.send(Ok(batch)));
        Ok(())
    }
}

/// What a small file holds; nothing of a database, or of a file with holes, which are found again
/// in a file that has them.
fn small(
    reader: &mut ChunkReader<'_>,
    content: &Content,
    size: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let is_plain = match content {
        Content::Pages(_) => false,
        Content::Pieces(pieces) => !pieces.iter().any(|piece| matches!(piece, Piece::Hole(_))),
        _ => true,
    };
    if size > SMALL_BYTES || !is_plain {
        return Ok(None);
    }
    let mut bytes = vec![0; size as usize];
    write_content(reader, content, size, |offset, piece| {
        let place = bytes.get_mut(offset as usize..offset as usize + piece.len());
        place.ok_or(Error::System { what: "memory" })?.copy_from_slice(piece);
        Ok(())
    })?;
    Ok(Some(bytes))
}
