//! The contents of a changed file before and after: bytes for a line-by-line comparison, the size
//! of a picture.

use std::path::PathBuf;

use crate::manifest::{Entry, Kind};
use crate::source::Layout;
use crate::store::{ChunkReader, Index, Repository};

use super::Error;
use super::content::{list_pieces, write_content};

/// Where the contents of a side are read.
pub enum Contents<'r> {
    /// In the repository.
    Stored(ChunkReader<'r>),
    /// In the live source.
    Live(Layout),
}

/// Bytes of a picture's beginning that are enough to find its size in most; where they are not, all
/// of it is read.
const HEAD_BYTES: u64 = 256 << 10;
/// The widest picture that is believed, in pixels.
const DIMENSION_MAX: usize = 1 << 20;
/// The largest picture that is read for its size, in bytes.
const PICTURE_BYTES_MAX: u64 = 64 << 20;

impl<'r> Contents<'r> {
    /// Of snapshots.
    pub fn stored(repository: &'r Repository, index: &'r Index) -> Contents<'r> {
        Contents::Stored(ChunkReader::new(repository, index))
    }

    /// The bytes of a file, as many as `limit` at most.
    pub fn read(&mut self, entry: &Entry, limit: u64) -> Result<Vec<u8>, Error> {
        let Kind::File { size, content } = &entry.kind else { return Ok(Vec::new()) };
        match self {
            Contents::Live(layout) => {
                use std::io::Read;
                let path: PathBuf = layout.locate(&entry.path).unwrap_or_default();
                let failed = |source| Error::Target { verb: "read", path: path.clone(), source };
                let mut bytes = Vec::new();
                let file = layout
                    .live_file(&entry.path)
                    .map_err(std::io::Error::from)
                    .and_then(|file| file.open());
                file.map_err(failed)?.take(limit).read_to_end(&mut bytes).map_err(failed)?;
                Ok(bytes)
            }
            Contents::Stored(reader) if *size <= limit => {
                let mut bytes = vec![0; *size as usize];
                write_content(reader, content, *size, |offset, part| {
                    if let Some(slot) = bytes.get_mut(offset as usize..offset as usize + part.len())
                    {
                        slot.copy_from_slice(part);
                    }
                    Ok(())
                })?;
                Ok(bytes)
            }
            Contents::Stored(reader) => {
                let mut bytes = Vec::new();
                // Only the pieces that are wanted are read.
                list_pieces(reader, content, |reader, piece| {
                    if let (true, crate::manifest::Piece::Chunk(id)) =
                        ((bytes.len() as u64) < limit, piece)
                    {
                        bytes.extend_from_slice(&reader.read(&id)?);
                    }
                    Ok(())
                })?;
                bytes.truncate(limit as usize);
                Ok(bytes)
            }
        }
    }

    /// Width and height of a picture in pixels; nothing where it is none.
    pub fn dimensions(&mut self, entry: &Entry) -> Result<Option<(usize, usize)>, Error> {
        for limit in [HEAD_BYTES, PICTURE_BYTES_MAX] {
            if let Ok(size) = imagesize::blob_size(&self.read(entry, limit)?) {
                // A header that was cut gives sizes that no picture has.
                return Ok(Some((size.width, size.height)).filter(|(width, height)| {
                    (1..=DIMENSION_MAX).contains(width) && (1..=DIMENSION_MAX).contains(height)
                }));
            }
            if entry.size() <= limit {
                break;
            }
        }
        Ok(None)
    }
}
