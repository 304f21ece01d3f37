//! Is the list of snapshots what it was? It is written down in links, each naming the hash of the
//! one before, so that a record that something else than `forget` removed, swapped or put back is
//! noticed (`docs/format.md`, "The list of snapshots").

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::backend::Span;
use crate::limits::{LINKS_MAX, RECORD_BYTES_MAX};
use crate::store::{self, Repository, snapshot_name};

use super::Error;
use super::SnapshotId;
use super::link::{FileHash, Link, Listed, file_hash, read_link, write_link};
use super::link_names::{link_name, links_in};
use super::newest::Newest;
use super::records;
use super::server_keys::server_keys;

/// Something about the list that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Irregularity {
    /// The file.
    pub name: String,
    /// The snapshot, where it is one.
    pub id: Option<SnapshotId>,
    /// What is the matter.
    pub what: String,
}

/// The list, put together from its links.
#[derive(Debug, Default)]
pub struct Chain {
    /// The snapshots that should be there.
    pub listed: BTreeMap<SnapshotId, Listed>,
    /// Snapshots that were dropped, as far as the links remember.
    pub dropped: HashSet<SnapshotId>,
    /// Those that are marked to be kept.
    pub kept: HashSet<SnapshotId>,
    /// Hashes of the links' files.
    hashes: Vec<FileHash>,
    /// Files of links.
    files: Vec<String>,
    newest: Option<(u64, FileHash)>,
    irregular: Vec<Irregularity>,
}

/// What becomes of the list.
#[derive(Clone, Debug, Default)]
pub struct ListChange {
    /// Snapshots that came, with the hashes of their records' files.
    pub added: Vec<(SnapshotId, FileHash)>,
    /// Snapshots that go.
    pub dropped: Vec<SnapshotId>,
    /// Snapshots whose mark changes.
    pub marked: Vec<(SnapshotId, bool)>,
    /// What tells the server of a snapshot that came from others.
    pub server: Option<u64>,
    /// Whether the list is stated anew even where that is not due: after something else changed it,
    /// and was found out.
    pub restate: bool,
}

fn sum_of<'a>(ids: impl Iterator<Item = &'a SnapshotId>) -> (u64, [u8; 16]) {
    let (count, sum) =
        ids.fold((0, 0u128), |(count, sum), id| (count + 1, sum ^ u128::from_be_bytes(id.0)));
    (count, sum.to_be_bytes())
}

impl Chain {
    /// Reads all links. What is wrong with them is kept for [`Chain::irregularities`].
    pub fn load(repository: &Repository) -> Result<Chain, Error> {
        let mut chain = Chain::default();
        let (mut before, mut replaced) = (HashMap::new(), HashSet::new());
        for (number, name) in links_in(repository.backend().names("list/")?) {
            chain.files.push(name.clone());
            match read_link(repository, &name, number) {
                Ok((hash, link)) => {
                    chain.hashes.push(hash);
                    chain.newest = Some((number, hash));
                    before.extend(link.previous.map(|previous| (previous, name)));
                    chain.take(link, &mut replaced);
                }
                Err(error) if error.is_damage() => {
                    chain.newest =
                        Some((number, chain.newest.map(|(_, hash)| hash).unwrap_or_default()));
                    chain.irregular.push(Irregularity { name, id: None, what: error.to_string() });
                }
                Err(error) => return Err(error.into()),
            }
        }
        let here: HashSet<_> = chain.hashes.iter().copied().collect();
        for (previous, name) in before {
            if !here.contains(&previous)
                && !replaced.contains(&previous)
                && chain.irregular.is_empty()
            {
                let what =
                    "the previous link of the list of snapshots is missing or does not match"
                        .to_owned();
                chain.irregular.push(Irregularity { name, id: None, what });
            }
        }
        Ok(chain)
    }

    fn take(&mut self, link: Link, replaced: &mut HashSet<FileHash>) {
        if let Some(links) = link.replaced {
            replaced.extend(links);
            self.listed.clear();
        }
        self.listed.extend(link.added.into_iter().map(|listed| (listed.id, listed)));
        for id in link.dropped {
            self.listed.remove(&id);
            self.dropped.insert(id);
        }
        self.kept = link.kept.into_iter().collect();
    }

    /// The snapshots that are marked to be kept; reads the newest link alone.
    pub fn kept(repository: &Repository) -> Result<HashSet<SnapshotId>, Error> {
        let links = links_in(repository.backend().names("list/")?);
        let Some((number, name)) = links.last() else { return Ok(HashSet::new()) };
        match read_link(repository, name, *number) {
            Ok((_, link)) => Ok(link.kept.into_iter().collect()),
            Err(error) if error.is_damage() => Ok(Chain::load(repository)?.kept),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the repository has no link at all.
    pub fn is_absent(repository: &Repository) -> Result<bool, Error> {
        Ok(links_in(repository.backend().names("list/")?).is_empty())
    }

    /// Whether what is left of the links does not go back to the list's beginning.
    pub fn is_broken(&self) -> bool {
        !self.irregular.is_empty()
    }

    /// Whether there is no link at all.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What something else than `forget` did to the list: links or records that are gone, others,
    /// or back. `records` are the hashes of the records that are there.
    pub fn irregularities(&self, records: &BTreeMap<SnapshotId, FileHash>) -> Vec<Irregularity> {
        let mut found = self.irregular.clone();
        let of = |id: &SnapshotId, what: &str| Irregularity {
            name: snapshot_name(&id.0),
            id: Some(*id),
            what: what.to_owned(),
        };
        for (id, listed) in &self.listed {
            match records.get(id) {
                None => found.push(of(
                    id,
                    "the snapshot's record is missing, and it was not deleted by forget",
                )),
                Some(hash) if *hash != listed.record => {
                    found.push(of(id, "the snapshot's record was replaced by another one"))
                }
                Some(_) => {}
            }
        }
        for id in records.keys().filter(|id| !self.listed.contains_key(id)) {
            found.push(of(
                id,
                if self.dropped.contains(id) {
                    "the snapshot was forgotten, but its record is back. Its data may have been deleted meanwhile"
                } else {
                    "the snapshot is not in the list: it was interrupted at the very end, or a link of the list is missing, or the record was added from elsewhere"
                },
            ));
        }
        found
    }

    /// Changes the list, under its lock.
    pub fn change(repository: &Repository, change: &ListChange) -> Result<(), Error> {
        let _lock = repository.lock_list()?;
        Newest::forget(repository);
        Chain::change_locked(repository, change, None)
    }

    /// The same for who holds the lock: the record of what is added is durable already. `before` is
    /// what was remembered of the list without it.
    pub(super) fn change_locked(
        repository: &Repository,
        change: &ListChange,
        before: Option<Newest>,
    ) -> Result<(), Error> {
        let time_ns = jiff::Timestamp::now().as_nanosecond() as i64;
        let is_simple = !change.restate && change.dropped.is_empty() && !change.added.is_empty();
        let mut newest = match before.filter(|_| is_simple) {
            // A link is never written over, whatever is remembered.
            Some(newest)
                if newest.is_listed(repository)
                    || !Chain::has_link(repository, newest.link + 1)? =>
            {
                newest
            }
            _ => Chain::survey(repository, change)?,
        };
        let link = if is_simple && (1..LINKS_MAX as u64).contains(&newest.links) {
            Chain::link(repository, newest.link)?
        } else {
            None
        };
        let Some((hash, link)) =
            link.filter(|(_, link)| (link.count, link.sum) == (newest.count, newest.sum))
        else {
            return Chain::load(repository)?.restate(
                repository,
                change,
                &records::ids(repository)?,
                time_ns,
            );
        };
        let mut kept: HashSet<_> = link.kept.into_iter().collect();
        mark(&mut kept, change);
        let added = change
            .added
            .iter()
            .map(|(id, record)| Listed { id: *id, record: *record, is_adopted: false })
            .collect();
        change.added.iter().for_each(|(id, _)| newest.add(*id, change.server));
        (newest.link, newest.links) = (newest.link + 1, newest.links + 1);
        let (count, sum) = (newest.count, newest.sum);
        let next = Link {
            time_ns,
            previous: Some(hash),
            replaced: None,
            added,
            dropped: Vec::new(),
            kept: sorted(kept),
            count,
            sum,
        };
        write_link(repository, newest.link, &next)?;
        let record = change.added.first().map_or_else(String::new, |(id, _)| snapshot_name(&id.0));
        newest.write(repository, [&record, &link_name(newest.link)]);
        Ok(())
    }

    /// The end of the list as its files tell it, without what is added now.
    fn survey(repository: &Repository, change: &ListChange) -> Result<Newest, Error> {
        let links = links_in(repository.backend().names("list/")?);
        let mut ids = records::ids(repository)?;
        ids.retain(|id| !change.added.iter().any(|(added, _)| added == id));
        let (count, sum) = sum_of(ids.iter());
        // Without a link there is no number to go on from: the list is stated anew.
        let link = links.last().map_or(0, |(number, _)| *number);
        // Of no use where it cannot be remembered.
        let mut snapshots = if repository.newest_place().is_some() {
            records::load_all(repository, None)?.0
        } else {
            Vec::new()
        };
        snapshots.retain(|(id, _)| ids.binary_search(id).is_ok());
        Ok(Newest {
            link,
            links: links.len() as u64,
            count,
            sum,
            servers: server_keys(&snapshots),
            ids: Newest::last_of(&ids),
            looks: None,
        })
    }

    /// Whether there is a link with this number.
    fn has_link(repository: &Repository, number: u64) -> Result<bool, Error> {
        match repository.backend().read(&link_name(number), Span::Tail { len: 1 }) {
            Ok(_) => Ok(true),
            Err(crate::backend::Error::Missing { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// One link; nothing where it is damaged, or gone.
    fn link(repository: &Repository, number: u64) -> Result<Option<(FileHash, Link)>, Error> {
        match read_link(repository, &link_name(number), number) {
            Ok(found) => Ok(Some(found)),
            Err(store::Error::Backend(crate::backend::Error::Missing { .. })) => Ok(None),
            Err(error) if error.is_damage() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// States the whole list anew, and removes the links that it takes the place of.
    fn restate(
        mut self,
        repository: &Repository,
        change: &ListChange,
        records: &[SnapshotId],
        time_ns: i64,
    ) -> Result<(), Error> {
        let known: HashMap<_, _> = change.added.iter().copied().collect();
        for id in
            records.iter().filter(|id| !self.dropped.contains(id) && !change.dropped.contains(id))
        {
            if !self.listed.contains_key(id) || known.contains_key(id) {
                let record = match known.get(id) {
                    Some(hash) => *hash,
                    None => match repository
                        .backend()
                        .read(&snapshot_name(&id.0), Span::Whole { limit: RECORD_BYTES_MAX })
                    {
                        Ok(bytes) => file_hash(&bytes),
                        Err(
                            crate::backend::Error::Missing { .. }
                            | crate::backend::Error::TooLarge { .. },
                        ) => continue,
                        Err(error) => return Err(error.into()),
                    },
                };
                self.listed
                    .insert(*id, Listed { id: *id, record, is_adopted: !known.contains_key(id) });
            }
        }
        for id in &change.dropped {
            self.listed.remove(id);
        }
        mark(&mut self.kept, change);
        let listed = &self.listed;
        self.kept.retain(|id| listed.contains_key(id));
        let (count, sum) = sum_of(self.listed.keys());
        let mut dropped = change.dropped.clone();
        // Those that were dropped a moment ago, by a run that was cut off before their records were
        // gone.
        dropped.extend(records.iter().filter(|id| self.dropped.contains(id)));
        dropped.sort_unstable();
        dropped.dedup();
        let next = Link {
            time_ns,
            previous: self.newest.map(|(_, hash)| hash).filter(|hash| self.hashes.contains(hash)),
            replaced: Some(self.hashes),
            added: self.listed.into_values().collect(),
            dropped,
            kept: sorted(self.kept),
            count,
            sum,
        };
        write_link(repository, self.newest.map_or(0, |(number, _)| number + 1), &next)?;
        for file in self.files {
            repository.backend().remove(&file)?;
        }
        Ok(repository.backend().sync()?)
    }
}

fn mark(kept: &mut HashSet<SnapshotId>, change: &ListChange) {
    for (id, is_kept) in &change.marked {
        if *is_kept {
            kept.insert(*id);
        } else {
            kept.remove(id);
        }
    }
}

fn sorted(ids: HashSet<SnapshotId>) -> Vec<SnapshotId> {
    let mut ids: Vec<_> = ids.into_iter().collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
