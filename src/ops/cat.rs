//! `cat`: the bytes of one file of a snapshot.

use std::io::{Read, Write};

use crate::manifest::{Kind, SnapshotId, SnapshotRecord, display};
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::content::write_content;
use super::ls::short;
use super::select::lookup;

/// Writes a file's bytes to `out`, each verified before it is written.
pub fn cat(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    path: &[u8],
    out: &mut impl Write,
) -> Result<u64, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    let selected = lookup(&mut reader, &snapshot.1, path)?
        .ok_or_else(|| Error::NoPath { snapshot: short(&snapshot.0), path: display(path) })?;
    let (size, content) = match &selected.entry.kind {
        Kind::File { size, content } => (*size, content),
        Kind::Directory => return Err(Error::NotAFile { path: display(path), kind: "directory" }),
        Kind::Symlink { .. } => {
            return Err(Error::NotAFile { path: display(path), kind: "symbolic link" });
        }
    };
    let mut at = 0;
    let unreadable = |error: Error| match error {
        error @ Error::Output(_) => error,
        error => Error::Unreadable {
            snapshot: short(&snapshot.0),
            path: display(path),
            source: Box::new(error),
        },
    };
    let fill = |out: &mut dyn Write, at: &mut u64, until: u64| -> Result<(), Error> {
        *at += std::io::copy(&mut std::io::repeat(0).take(until.saturating_sub(*at)), out)
            .map_err(Error::Output)?;
        Ok(())
    };
    write_content(&mut reader, content, size, |offset, bytes| {
        fill(out, &mut at, offset)?;
        out.write_all(bytes).map_err(Error::Output)?;
        at += bytes.len() as u64;
        Ok(())
    })
    .map_err(unreadable)?;
    fill(out, &mut at, size)?;
    out.flush().map_err(Error::Output)?;
    Ok(size)
}
