//! Sorted places of chunks that no longer fit in memory: on disk, with eight bytes of each id kept
//! here to find them by.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::chunk::ChunkId;

use super::place::Place;
use super::place::{decode_place, encode_place};

const ROW_BYTES: usize = 48;
/// Rows that are read at once when all are wanted.
const BATCH_ROWS: usize = 1365;

/// Rows of (id, place) in a file without a name: it goes with the process.
#[derive(Debug)]
pub(super) struct RowFile {
    file: File,
    len: usize,
}

impl RowFile {
    /// Writes rows to a file in `folder`; `seen` is called with each id.
    pub(super) fn write(
        folder: &Path,
        rows: impl Iterator<Item = (ChunkId, Place)>,
        mut seen: impl FnMut(&ChunkId),
    ) -> io::Result<RowFile> {
        let mut out = BufWriter::with_capacity(256 << 10, tempfile::tempfile_in(folder)?);
        let mut len = 0;
        for (id, place) in rows {
            out.write_all(&id.0)?;
            out.write_all(&encode_place(&place))?;
            len += 1;
            seen(&id);
        }
        Ok(RowFile { file: out.into_inner().map_err(io::IntoInnerError::into_error)?, len })
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    fn rows(&self, first: usize, count: usize) -> io::Result<Vec<(ChunkId, Place)>> {
        let mut bytes = vec![0; count * ROW_BYTES];
        self.file.read_exact_at(&mut bytes, (first * ROW_BYTES) as u64)?;
        let row =
            |row: &[u8]| Some((ChunkId(*row.first_chunk()?), decode_place(row.last_chunk()?)));
        Ok(bytes.chunks_exact(ROW_BYTES).filter_map(row).collect())
    }

    /// All rows in order.
    pub(super) fn all(&self) -> impl Iterator<Item = io::Result<(ChunkId, Place)>> + '_ {
        (0..self.len).step_by(BATCH_ROWS).flat_map(move |first| {
            match self.rows(first, BATCH_ROWS.min(self.len - first)) {
                Ok(rows) => rows.into_iter().map(Ok).collect::<Vec<_>>(),
                Err(error) => vec![Err(error)],
            }
        })
    }
}

/// A sorted run in which single ids are found.
#[derive(Debug)]
pub(super) struct RunFile {
    rows: RowFile,
    /// The first eight bytes of each id, as numbers that sort like the ids.
    prefixes: Vec<u64>,
    /// Where the ids with the same first two bytes begin.
    starts: Vec<u32>,
}

fn prefix(id: &ChunkId) -> u64 {
    u64::from_be_bytes(id.low64().to_le_bytes())
}

impl RunFile {
    /// Writes rows, which must come sorted by id, to a file in `folder`.
    pub(super) fn write(
        folder: &Path,
        rows: impl Iterator<Item = (ChunkId, Place)>,
    ) -> io::Result<RunFile> {
        let mut prefixes = Vec::new();
        let rows = RowFile::write(folder, rows, |id| prefixes.push(prefix(id)))?;
        let mut starts = vec![0u32; (1 << 16) + 1];
        for prefix in &prefixes {
            if let Some(start) = starts.get_mut((prefix >> 48) as usize + 1) {
                *start += 1;
            }
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Ok(RunFile { rows, prefixes, starts })
    }

    /// Where a chunk lies, if it is in this run.
    pub(super) fn find(&self, id: &ChunkId) -> io::Result<Option<Place>> {
        let wanted = prefix(id);
        let bucket = (wanted >> 48) as usize;
        let (Some(start), Some(end)) = (self.starts.get(bucket), self.starts.get(bucket + 1))
        else {
            return Ok(None);
        };
        for at in *start as usize..*end as usize {
            if self.prefixes.get(at) == Some(&wanted) {
                let row = self.rows.rows(at, 1)?.pop();
                if let Some((found, place)) = row.filter(|(found, _)| found == id) {
                    debug_assert_eq!(found, *id);
                    return Ok(Some(place));
                }
            }
        }
        Ok(None)
    }

    /// All rows in order.
    pub(super) fn all(&self) -> impl Iterator<Item = io::Result<(ChunkId, Place)>> + '_ {
        self.rows.all()
    }
}
