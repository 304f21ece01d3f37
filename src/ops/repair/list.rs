//! The list of snapshots and its records, put right.

use std::collections::HashMap;

use crate::backend::{Span, write_new};
use crate::limits::RECORD_BYTES_MAX;
use crate::manifest::{Catalog, Chain, FileHash, ListChange, SnapshotId, file_hash};
use crate::store::{Repository, snapshot_copy_name, snapshot_name};

use super::super::Error;
use super::super::check::record_hashes;
use super::{LostPath, NewRecords, RepairReport};

/// Records that are damaged or gone are written again from their second copies or from wherever
/// their file went, where the list's chain says that they should be there.
pub(super) fn records_from_copies(
    repository: &Repository,
    report: &mut RepairReport,
) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here = record_hashes(repository)?;
    let mut by_hash: HashMap<FileHash, Vec<u8>> = Catalog::copies(repository)?
        .into_iter()
        .map(|(_, bytes)| (file_hash(&bytes), bytes))
        .collect();
    for file in repository.backend().list("snapshots/").map_err(crate::store::Error::from)? {
        match repository
            .backend()
            .read(&file.name, Span::Tail { len: RECORD_BYTES_MAX })
            .map_err(crate::store::Error::from)
        {
            Ok(bytes) => drop(by_hash.insert(file_hash(&bytes), bytes)),
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (id, listed) in
        chain.listed.iter().filter(|(id, listed)| here.get(id) != Some(&listed.record))
    {
        if let Some(bytes) =
            by_hash.get(&listed.record).filter(|bytes| Catalog::is_record(repository, *id, bytes))
        {
            write_new(repository.backend(), &snapshot_name(&id.0), bytes)
                .map_err(crate::store::Error::from)?;
            report.mended(
                snapshot_name(&id.0),
                "restored: its record was found in a second copy or under another name",
            );
        }
    }
    // Records that the list does not know, because a link of it is gone too.
    let unknown = |id: &SnapshotId| !chain.listed.contains_key(id) && !chain.dropped.contains(id);
    for (id, bytes) in Catalog::copies(repository)?
        .into_iter()
        .filter(|(id, _)| unknown(id) && here.contains_key(id))
    {
        if Catalog::is_record(repository, id, &bytes) && here.get(&id) != Some(&file_hash(&bytes)) {
            write_new(repository.backend(), &snapshot_name(&id.0), &bytes)
                .map_err(crate::store::Error::from)?;
            report.mended(snapshot_name(&id.0), "restored from its second copy");
        }
    }
    Ok(())
}

/// Each record has its second copy where there is parity, and none is left over.
pub(super) fn put_copies_right(
    repository: &Repository,
    permille: u32,
    report: &mut RepairReport,
) -> Result<(), Error> {
    let copies: HashMap<SnapshotId, FileHash> = Catalog::copies(repository)?
        .into_iter()
        .map(|(id, bytes)| (id, file_hash(&bytes)))
        .collect();
    let here = record_hashes(repository)?;
    for (id, hash) in here.iter().filter(|_| permille > 0) {
        if copies.get(id) != Some(hash) {
            let span = Span::Whole { limit: RECORD_BYTES_MAX };
            let bytes = repository
                .backend()
                .read(&snapshot_name(&id.0), span)
                .map_err(crate::store::Error::from)?;
            write_new(repository.backend(), &snapshot_copy_name(&id.0), &bytes)
                .map_err(crate::store::Error::from)?;
            report.mended(snapshot_copy_name(&id.0), "second copy of the record written");
        }
    }
    for id in copies.keys().filter(|id| permille == 0 || !here.contains_key(*id)) {
        repository
            .backend()
            .remove(&snapshot_copy_name(&id.0))
            .map_err(crate::store::Error::from)?;
    }
    Ok(())
}

/// The list is stated anew as it is: records that are new, gone, unreadable, others or back.
pub(super) fn change_list(
    repository: &Repository,
    (new, recovered): (NewRecords, Vec<(SnapshotId, FileHash)>),
    unreadable: Vec<SnapshotId>,
    report: &mut RepairReport,
) -> Result<(), Error> {
    let chain = Chain::load(repository)?;
    let here = record_hashes(repository)?;
    let mut change = ListChange { restate: true, added: recovered, ..ListChange::default() };
    for (old, id, hash) in new {
        change.added.push((id, hash));
        if chain.kept.contains(&old) {
            change.marked.push((id, true));
        }
        change.dropped.push(old);
    }
    for (id, listed) in &chain.listed {
        match here.get(id) {
            None => {
                change.dropped.push(*id);
                report.lost(LostPath {
                    snapshot: Some(*id),
                    now: None,
                    path: snapshot_name(&id.0),
                    what: "the whole snapshot: its record is missing".to_owned(),
                    entries: 0,
                });
            }
            // It can be read, and is not the one that was written: it is taken as it is.
            Some(hash) if *hash != listed.record && !unreadable.contains(id) => {
                change.added.push((*id, *hash))
            }
            Some(_) => {}
        }
    }
    change.dropped.extend(&unreadable);
    let is_needed = !chain.irregularities(&here).is_empty()
        || !change.dropped.is_empty()
        || (chain.is_empty() && !here.is_empty());
    if !is_needed {
        return Ok(());
    }
    let was_irregular = !chain.irregularities(&here).is_empty();
    Chain::change(repository, &change)?;
    Catalog::remove(repository, &change.dropped)?;
    if was_irregular {
        report.mended("list", "the list of snapshots was rebuilt from the snapshots' records");
    }
    Ok(())
}
