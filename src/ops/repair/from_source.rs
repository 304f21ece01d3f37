//! What is lost of the repository may still stand in the source: a file that did not change since
//! is read and stored again.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rustix::io::Errno;

use crate::manifest::{Catalog, Content, Entry, Kind, SnapshotRecord, display, find};
use crate::source::{OpenFile, Opener, Stat};
use crate::store::{ChunkReader, Index, PackStreams, Repository};

use super::super::check::CheckReport;
use super::super::ingest::packer::Packer;
use super::super::select::{Selected, categories, root_of};
use super::super::snapshot::ReadFailure;
use super::super::{Damage, Error, Monitor};
use super::RepairReport;
use super::packs::STREAMS;

/// The file of a snapshot's path where it stood when the snapshot was taken, through no link that
/// somebody else could have made since.
fn open_of(record: &SnapshotRecord, path: &[u8]) -> Option<rustix::io::Result<OpenFile>> {
    let directories = &record.source.directories;
    if let Some(folder) = directories.get("folder") {
        let root = Opener::plain().dir(Path::new(folder)).ok()?;
        return Some(OpenFile::open(&root, path));
    }
    let root = root_of(path);
    let directory = Path::new(directories.get(std::str::from_utf8(root).ok()?)?);
    let data = Path::new(directories.get("programdata")?);
    // Its own, not that of what a link leads to.
    let owner = Stat::at(rustix::fs::CWD, data).ok().filter(Stat::is_dir)?.uid;
    let outside = if directory.starts_with(data) { None } else { Some(directory.to_path_buf()) };
    let named = outside.into_iter().chain([data.to_path_buf()]).collect();
    let opener = Opener::of(named, &[owner], false, rustix::process::geteuid().as_raw());
    Some(OpenFile::open(&opener.dir(directory).ok()?, path.get(root.len() + 1..)?))
}

/// Stores again what damaged files of snapshots lack, from files that are what they were then.
pub(super) fn store_again(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    damage: &CheckReport,
    report: &mut RepairReport,
    monitor: &Monitor,
) -> Result<(), Error> {
    let config = repository.config();
    let mut packer = Packer::new(repository.hashing(), config.cut, config.compression_level)?;
    let mut streams = PackStreams::new(repository, index, STREAMS);
    let mut reader = ChunkReader::new(repository, index);
    let mut asked = HashSet::new();
    let records: HashMap<_, _> =
        catalog.snapshots.iter().map(|(id, record)| (*id, record)).collect();
    // The newest first: they are likeliest to be what the source still is.
    for damage in damage.damage.iter().rev().filter(|damage| !damage.logical.is_empty()) {
        if monitor.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let Some(record) = records.get(&damage.snapshot) else { continue };
        let Some(selected) = entry_of(&mut reader, record, &damage.logical)? else { continue };
        let mtime = (selected.entry.mtime.seconds, selected.entry.mtime.nanos);
        if asked.insert((damage.logical.clone(), mtime))
            && restore_chunks(record, &selected, &mut packer, index, &mut streams)?
        {
            report.mended(
                damage.path.clone(),
                "read again from the server, where the file is unchanged",
            );
        }
    }
    packer.flush(&mut |extent| Ok(streams.append(0, extent)?))?;
    streams.finish()?;
    Ok(())
}

/// The entry of a path; nothing where what leads to it cannot be read either.
fn entry_of(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    path: &[u8],
) -> Result<Option<Selected>, Error> {
    for (category, root) in categories(record) {
        match find(reader, root.manifest, path) {
            Ok(Some(entry)) => return Ok(Some(Selected { category, entry })),
            Ok(None) => {}
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// The file of the source that an entry was read from, if it is what it was then. A database is
/// captured by pages, from a copy: the next snapshot stores it anew.
fn unchanged_file(record: &SnapshotRecord, entry: &Entry) -> Result<Option<OpenFile>, Error> {
    let Kind::File { size, content } = &entry.kind else { return Ok(None) };
    if matches!(content, Content::Pages(_)) {
        return Ok(None);
    }
    let Some(opened) = open_of(record, &entry.path) else { return Ok(None) };
    match opened {
        Ok(open) => {
            Ok((open.before.size == *size && open.before.mtime == entry.mtime).then_some(open))
        }
        Err(
            error @ (Errno::IO | Errno::STALE | Errno::TIMEDOUT | Errno::NOTCONN | Errno::HOSTDOWN),
        ) => Err(unread(record, entry, error.into())),
        // Gone, another thing, or not to be looked at: then the source does not have it.
        Err(_) => Ok(None),
    }
}

/// The source could be whole, and does not say so.
fn unread(record: &SnapshotRecord, entry: &Entry, source: std::io::Error) -> Error {
    let directory = record
        .source
        .directories
        .get("programdata")
        .or(record.source.directories.get("folder"))
        .cloned()
        .unwrap_or_default();
    Error::Refused {
        what: format!(
            "{} is damaged in the repository, and the file on the server, which could replace it, cannot be read ({source}). Nothing was removed from any snapshot",
            display(&entry.path)
        ),
        hint: format!(
            "Check the disk of {directory}, then run the same command again. If that disk is lost, unmount it: then the repair goes on without the files on it."
        ),
    }
}

/// Whether the source still has what is damaged; nothing is read of it.
pub(super) fn could_be_read(
    repository: &Repository,
    index: &Index,
    catalog: &Catalog,
    damage: &Damage,
) -> Result<bool, Error> {
    let Some((_, record)) = catalog
        .snapshots
        .iter()
        .find(|(id, _)| *id == damage.snapshot)
        .filter(|_| !damage.logical.is_empty())
    else {
        return Ok(false);
    };
    let mut reader = ChunkReader::new(repository, index);
    Ok(entry_of(&mut reader, record, &damage.logical)?
        .map_or(Ok(None), |selected| unchanged_file(record, &selected.entry))?
        .is_some())
}

/// Reads a file of the source again, if it is what the snapshot knows; whether it was.
fn restore_chunks(
    record: &SnapshotRecord,
    selected: &Selected,
    packer: &mut Packer,
    index: &Index,
    streams: &mut PackStreams<'_>,
) -> Result<bool, Error> {
    let Some(open) = unchanged_file(record, &selected.entry)? else { return Ok(false) };
    match packer.store_file(&open, index, &mut |extent| Ok(streams.append(0, extent)?)) {
        Ok((found, _)) => Ok(selected.entry.content() == Some(&found)),
        // What cannot be read now may be read later: until then nothing is given up.
        Err(ReadFailure::Io(error)) => Err(unread(record, &selected.entry, error)),
        Err(ReadFailure::Fatal(error)) => Err(error),
    }
}
