//! Which snapshots are there, and which one does the user mean?

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::backend::{Span, write_new};
use crate::limits::RECORD_BYTES_MAX;
use crate::store::{
    self, RecordKind, Repository, decode_record, encode_record, is_newer_record,
    snapshot_copy_name, snapshot_name,
};

use super::Error;
use super::SnapshotId;
use super::chain::{Chain, ListChange};
use super::given_name::{NameError, back_from_latest, id_of_digits};
use super::link::{FileHash, file_hash};
use super::moment::moment;
use super::newest::Newest;
use super::record::SnapshotRecord;
use super::record_cache::RecordCache;
use super::records::{self, id_of, load, was_forgotten};
use super::server_keys::{server_key, server_keys};
use super::since::Standing;

/// All snapshots of a repository, oldest first.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Those that can be read.
    pub snapshots: Vec<(SnapshotId, SnapshotRecord)>,
    /// Those that cannot, with the reason.
    pub damaged: Vec<(String, store::Error)>,
}

/// The end of the list of snapshots, as far as it is remembered: for one command, which need not
/// ask again.
#[derive(Clone, Debug)]
pub struct ListEnd(Option<Newest>);

impl ListEnd {
    /// As it is now.
    pub fn read(repository: &Repository) -> ListEnd {
        ListEnd(Newest::read_for_nothing(repository))
    }
}

impl Catalog {
    /// Reads all records. A damaged one is named, the others stay usable.
    pub fn load(repository: &Repository) -> Result<Catalog, Error> {
        Catalog::load_with(repository, None)
    }

    /// The same with the help of what was read before.
    pub fn load_with(
        repository: &Repository,
        cache: Option<&RecordCache>,
    ) -> Result<Catalog, Error> {
        repository.forget_index();
        let (snapshots, damaged) = records::load_all(repository, cache)?;
        Ok(Catalog { snapshots, damaged })
    }

    /// The records that these names can mean, where their files' names tell: `latest`, `latest~N`,
    /// an id of at least twelve digits. What such a name costs does not grow with the snapshots.
    /// For any other name all are read.
    pub fn load_named(repository: &Repository, names: &[&str]) -> Result<Catalog, Error> {
        repository.forget_index();
        // Where only the last few are meant, the others need not be listed.
        let furthest = names
            .iter()
            .map(|name| back_from_latest(name))
            .collect::<Option<Vec<_>>>()
            .and_then(|back| back.into_iter().max());
        let last = Newest::read_for_nothing(repository)
            .filter(|last| last.is_all() || furthest.is_some_and(|back| back < last.ids.len()));
        let is_all = last.as_ref().is_none_or(Newest::is_all);
        let catalog = Catalog::load_of(
            repository,
            last.map_or_else(|| Catalog::ids(repository), |last| Ok(last.ids))?,
            names,
        )?;
        // One of the last few is damaged or gone: another one is meant.
        if is_all || furthest.is_some_and(|back| back < catalog.ordinary()) {
            Ok(catalog)
        } else {
            Catalog::load_of(repository, Catalog::ids(repository)?, names)
        }
    }

    /// The same of these snapshots.
    fn load_of(
        repository: &Repository,
        ids: Vec<SnapshotId>,
        names: &[&str],
    ) -> Result<Catalog, Error> {
        let (mut newest, mut wanted) = (0, BTreeSet::new());
        for name in names {
            match (back_from_latest(name), id_of_digits(name, &ids)) {
                (Some(back), _) => newest = newest.max(back.saturating_add(1)),
                (None, Some(id)) => drop(wanted.insert(id)),
                (None, None) => return Catalog::load(repository),
            }
        }
        let mut catalog = Catalog::default();
        for id in ids.into_iter().rev() {
            if catalog.ordinary() >= newest && !wanted.contains(&id) {
                continue;
            }
            match load(repository, id) {
                Ok(record) => catalog.snapshots.push((id, record)),
                // With the others beside it the message is the better one.
                Err(error) if error.is_damage() && wanted.contains(&id) => {
                    return Catalog::load(repository);
                }
                Err(error) if was_forgotten(&error) => {}
                Err(error) if error.is_damage() => {
                    catalog.damaged.push((snapshot_name(&id.0), error))
                }
                Err(error) => return Err(error.into()),
            }
        }
        catalog.snapshots.reverse();
        Ok(catalog)
    }

    /// How many of them `latest~N` can mean.
    fn ordinary(&self) -> usize {
        self.snapshots.iter().filter(|(_, record)| !record.is_safety()).count()
    }

    /// Whether a name is a time, which means the newest snapshot at or before it.
    pub fn is_time(name: &str, zone: &TimeZone) -> bool {
        moment(name, zone).is_some()
    }

    /// The newest readable snapshot that `wanted` accepts; reads no older ones.
    ///
    /// # Errors
    /// [`Error::Store`] where a record cannot be read; one that is damaged is passed over.
    pub fn newest(
        repository: &Repository,
        wanted: impl Fn(&SnapshotRecord) -> bool,
    ) -> Result<Option<(SnapshotId, SnapshotRecord)>, Error> {
        Catalog::newest_of(repository, &ListEnd::read(repository), wanted)
    }

    /// The same for who asks several times.
    ///
    /// # Errors
    /// As [`Catalog::newest`].
    pub fn newest_of(
        repository: &Repository,
        end: &ListEnd,
        wanted: impl Fn(&SnapshotRecord) -> bool,
    ) -> Result<Option<(SnapshotId, SnapshotRecord)>, Error> {
        repository.forget_index();
        let mut last = end.0.clone();
        loop {
            let is_all = last.as_ref().is_none_or(Newest::is_all);
            for id in last
                .map_or_else(|| Catalog::ids(repository), |last| Ok(last.ids))?
                .into_iter()
                .rev()
            {
                match load(repository, id) {
                    Ok(record) if wanted(&record) => return Ok(Some((id, record))),
                    Ok(_) => {}
                    Err(error) if error.is_damage() => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if is_all {
                return Ok(None);
            }
            // None of those that are remembered: all are gone through.
            last = None;
        }
    }

    /// The snapshots whose records are there, readable or not.
    pub fn ids(repository: &Repository) -> Result<Vec<SnapshotId>, Error> {
        Ok(records::ids(repository)?)
    }

    /// The last snapshot of the list.
    ///
    /// # Errors
    /// [`Error::Store`] where the list cannot be had.
    pub fn last_id(repository: &Repository) -> Result<Option<SnapshotId>, Error> {
        match Newest::read_for_nothing(repository) {
            Some(newest) => Ok(newest.ids.last().copied()),
            None => Ok(Catalog::ids(repository)?.last().copied()),
        }
    }

    /// Makes a snapshot's record durable, which lists it; then the list's chain takes it in.
    pub fn publish(
        repository: &Repository,
        id: SnapshotId,
        record: &SnapshotRecord,
        is_kept: bool,
    ) -> Result<(), Error> {
        Catalog::replace(repository, &[], id, record, is_kept)
    }

    /// The same in the place of others, which go.
    pub fn replace(
        repository: &Repository,
        dropped: &[SnapshotId],
        id: SnapshotId,
        record: &SnapshotRecord,
        is_kept: bool,
    ) -> Result<(), Error> {
        // One who checks the list sees both or none.
        let _lock = repository.lock_list()?;
        let before = if dropped.is_empty() { Newest::take(repository) } else { None };
        let hash = Catalog::write(repository, id, record)?;
        let (added, marked) =
            (vec![(id, hash)], is_kept.then_some((id, true)).into_iter().collect());
        let change = ListChange {
            added,
            dropped: dropped.to_vec(),
            marked,
            server: server_key(record),
            ..ListChange::default()
        };
        Chain::change_locked(repository, &change, before)?;
        if dropped.is_empty() { Ok(()) } else { Catalog::remove(repository, dropped) }
    }

    /// Makes a record durable; the hash of its file.
    pub fn write(
        repository: &Repository,
        id: SnapshotId,
        record: &SnapshotRecord,
    ) -> Result<FileHash, Error> {
        repository.forget_index();
        let bytes = encode_record(RecordKind::Snapshot, repository.sealer(), &id.0, record)
            .map_err(|what| Error::Record { what })?;
        Newest::forget(repository);
        if repository.config().parity_permille > 0 {
            write_new(repository.backend(), &snapshot_copy_name(&id.0), &bytes)?;
        }
        write_new(repository.backend(), &snapshot_name(&id.0), &bytes)?;
        Ok(file_hash(&bytes))
    }

    /// Drops snapshots: the chain says so first, then their records go.
    pub fn drop(repository: &Repository, ids: &[SnapshotId]) -> Result<(), Error> {
        let _lock = repository.lock_list()?;
        Newest::forget(repository);
        Chain::change_locked(
            repository,
            &ListChange { dropped: ids.to_vec(), ..ListChange::default() },
            None,
        )?;
        Catalog::remove(repository, ids)
    }

    /// Removes records with their copies; those that are gone already are fine: another forget was
    /// faster.
    pub fn remove(repository: &Repository, ids: &[SnapshotId]) -> Result<(), Error> {
        Newest::forget(repository);
        for name in ids.iter().flat_map(|id| [snapshot_name(&id.0), snapshot_copy_name(&id.0)]) {
            match repository.backend().remove(&name) {
                Ok(()) | Err(crate::backend::Error::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(repository.backend().sync()?)
    }

    /// The second copies of records that are there: (snapshot, the bytes that its record should
    /// have).
    pub fn copies(repository: &Repository) -> Result<Vec<(SnapshotId, Vec<u8>)>, Error> {
        let mut copies = Vec::new();
        for name in repository.backend().names("copies/")? {
            let Some(id) = id_of(&name.replacen("copies/", "snapshots/", 1)) else { continue };
            let bytes = repository.backend().read(&name, Span::Tail { len: RECORD_BYTES_MAX })?;
            copies.push((id, bytes));
        }
        Ok(copies)
    }

    /// The name of a record that a later program wrote, if there is one.
    pub fn newer(repository: &Repository) -> Result<Option<String>, Error> {
        for id in Catalog::ids(repository)? {
            let name = snapshot_name(&id.0);
            let bytes = repository.backend().read(&name, Span::Tail { len: RECORD_BYTES_MAX })?;
            if is_newer_record(RecordKind::Snapshot, &id.0, &bytes) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Whether bytes are the record of a snapshot.
    pub fn is_record(repository: &Repository, id: SnapshotId, bytes: &[u8]) -> bool {
        decode_record::<SnapshotRecord>(RecordKind::Snapshot, repository.sealer(), &id.0, bytes)
            .is_ok()
    }

    /// Whether a repository without records had some: its packs hold data, and its list names
    /// snapshots or is gone itself.
    ///
    /// # Errors
    /// [`Error::Store`] where the repository cannot be read.
    pub fn is_lost(repository: &Repository) -> Result<bool, Error> {
        Ok(Standing::of(repository)? != Standing::Complete
            || !Chain::load(repository)?.listed.is_empty())
    }

    /// Whether all snapshots are of one server; true where there is none.
    pub fn has_one_server(repository: &Repository) -> Result<bool, Error> {
        if let Some(servers) = Newest::read(repository).map(|newest| newest.servers) {
            return Ok(servers.len() < 2);
        }
        Ok(server_keys(&Catalog::load(repository)?.snapshots).len() < 2)
    }

    /// The snapshot that a name means: `latest`, `latest~N`, an id or a unique beginning of one, a
    /// label that only one has, or a time (the newest at or before it; a date means its end).
    pub fn resolve(
        &self,
        name: &str,
        zone: &TimeZone,
    ) -> Result<&(SnapshotId, SnapshotRecord), NameError> {
        self.resolve_of(name, zone, |_| true)
    }

    /// The same among the snapshots that `is_meant` accepts; an id means its snapshot whatever that
    /// says.
    pub fn resolve_of(
        &self,
        name: &str,
        zone: &TimeZone,
        is_meant: impl Fn(&SnapshotRecord) -> bool,
    ) -> Result<&(SnapshotId, SnapshotRecord), NameError> {
        let none = || NameError::None { name: name.to_owned() };
        let meant = || self.snapshots.iter().filter(|(_, record)| is_meant(record));
        if self.snapshots.is_empty() {
            return Err(NameError::Empty);
        }
        if name.starts_with("latest") {
            let back = back_from_latest(name).ok_or_else(none)?;
            return meant()
                .rev()
                .filter(|(_, record)| !record.is_safety())
                .nth(back)
                .ok_or_else(none);
        }
        let labelled: Vec<_> =
            meant().filter(|(_, record)| record.label.as_deref() == Some(name)).collect();
        match labelled.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                return Err(NameError::Several {
                    name: name.to_owned(),
                    candidates: several.iter().map(|(id, _)| *id).collect(),
                });
            }
        }
        if let Some(until) = moment(name, zone) {
            // In the order of the list times may go back: a clock once was wrong.
            let fits = |(_, record): &&(SnapshotId, SnapshotRecord)| {
                i128::from(record.time_ns) <= until.as_nanosecond() && !record.has_wrong_clock()
            };
            return meant()
                .filter(fits)
                .max_by_key(|(id, record)| (record.time_ns, *id))
                .ok_or_else(none);
        }
        let prefix = name.to_ascii_lowercase();
        let mut fitting = self
            .snapshots
            .iter()
            .filter(|(id, _)| !prefix.is_empty() && id.to_string().starts_with(&prefix));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(none()),
            (Some(_), Some(_)) => {
                let candidates = self
                    .snapshots
                    .iter()
                    .map(|(id, _)| *id)
                    .filter(|id| id.to_string().starts_with(&prefix))
                    .collect();
                Err(NameError::Several { name: name.to_owned(), candidates })
            }
        }
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
