//! What of the snapshot before lies below directories that could not be listed? That is neither
//! gone nor there: it is unknown.

use crate::manifest::{Entries, Kind, is_within};
use crate::store::{ChunkReader, Index, Repository};

use super::parents::Parents;

/// How many files the parents have below some directories. What cannot be read says nothing.
pub(super) fn files_below(
    directories: &[Vec<u8>],
    parents: &Parents,
    (repository, index): (&Repository, &Index),
) -> u64 {
    let mut sorted: Vec<&[u8]> = directories.iter().map(Vec::as_slice).collect();
    // Before what is below it.
    sorted.sort_by_key(|path| path.len());
    let mut outermost: Vec<&[u8]> = Vec::new();
    for path in sorted {
        if !outermost.iter().any(|above| is_within(path, above)) {
            outermost.push(path);
        }
    }
    let mut reader = ChunkReader::new(repository, index);
    let mut count = 0;
    for record in parents.categories.values() {
        for path in &outermost {
            count += Entries::within(&mut reader, record.manifest, path)
                .map_while(Result::ok)
                .filter(|entry| matches!(entry.kind, Kind::File { .. }))
                .count() as u64;
        }
    }
    count
}
