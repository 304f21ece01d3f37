//! What is lost of the repository may still stand in the source: a file that did not change since is read and stored again.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use crate::manifest::{Catalog, Content, Kind, SnapshotRecord};
use crate::source::{OpenFile, os_path};
use crate::store::{Index, PackStreams, Repository};

use super::super::check::CheckReport;
use super::super::select::{Selected, lookup, root_of};
use super::super::snapshot::ReadFailure;
use super::super::snapshot::packer::Packer;
use super::super::{Error, Watch};
use super::RepairReport;
use super::packs::STREAMS;

/// Where a path of a snapshot stood when it was taken.
fn place_of(record: &SnapshotRecord, path: &[u8]) -> Option<PathBuf> {
    let directories = &record.source.directories;
    if let Some(folder) = directories.get("folder") {
        return Some(os_path(&PathBuf::from(folder), path));
    }
    let root = root_of(path);
    let directory = directories.get(std::str::from_utf8(root).ok()?)?;
    let below = path.get(root.len() + 1..)?;
    Some(os_path(&PathBuf::from(directory), below))
}

/// Stores again what damaged files of snapshots lack, from files that are what they were then.
pub(super) fn store_again(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    damage: &CheckReport,
    report: &mut RepairReport,
    watch: Watch<'_>,
) -> Result<(), Error> {
    let config = repository.config();
    let mut packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut streams = PackStreams::new(repository, index, STREAMS);
    let mut reader = crate::store::ChunkReader::new(repository, index);
    let mut asked = HashSet::new();
    let records: HashMap<_, _> = catalog.snapshots.iter().map(|(id, record)| (*id, record)).collect();
    // The newest first: they are likeliest to be what the source still is.
    for damage in damage.damage.iter().rev().filter(|damage| !damage.logical.is_empty()) {
        if watch.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let Some(record) = records.get(&damage.snapshot) else { continue };
        let Some(selected) = lookup(&mut reader, record, &damage.logical)? else { continue };
        let mtime = (selected.entry.mtime.seconds, selected.entry.mtime.nanos);
        if asked.insert((damage.logical.clone(), mtime)) && restore_chunks(record, &selected, &mut packer, index, &mut streams)? {
            report.mended(damage.path.clone(), "read again from the source, where it is unchanged");
        }
    }
    packer.flush(&mut |extent| Ok(streams.append(0, extent)?))?;
    streams.finish()?;
    Ok(())
}

/// Reads a file of the source again, if it is what the snapshot knows; whether it was.
fn restore_chunks(record: &SnapshotRecord, selected: &Selected, packer: &mut Packer, index: &Index, streams: &mut PackStreams<'_>) -> Result<bool, Error> {
    let entry = &selected.entry;
    let Kind::File { size, content } = &entry.kind else { return Ok(false) };
    // A database is captured by pages, from a copy; the next snapshot stores it anew.
    if matches!(content, Content::Pages(_)) {
        return Ok(false);
    }
    let Some(open) = place_of(record, &entry.path).and_then(|path| OpenFile::open_path(&path).ok()) else { return Ok(false) };
    if open.before.size != *size || open.before.mtime != entry.mtime {
        return Ok(false);
    }
    match packer.store_file(&open, index, &mut |extent| Ok(streams.append(0, extent)?)) {
        Ok((found, _)) => Ok(found == *content),
        // The source's own trouble is not the repository's.
        Err(ReadFailure::Io(_)) => Ok(false),
        Err(ReadFailure::Fatal(error)) => Err(error),
    }
}
