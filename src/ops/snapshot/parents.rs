//! What does this capture follow? The newest snapshot of the same source, or older ones for the
//! categories that it lacks.

use std::collections::HashMap;

use crate::chunk::ChunkId;
use crate::manifest::{Catalog, CategoryRecord, ListEnd, SnapshotId, SnapshotRecord};
use crate::source::Category;
use crate::store::Repository;

use super::super::Error;

/// Entries of a plain folder that are gone through to find its databases.
const SEARCHED_MAX: u64 = 100_000;

/// The manifests that this capture follows: per category the newest of this source.
pub(in crate::ops) struct Parents {
    /// The end of the list when this capture began.
    pub end: ListEnd,
    /// The newest snapshot of this source.
    pub newest: Option<SnapshotId>,
    /// Its record.
    pub record: Option<SnapshotRecord>,
    pub categories: HashMap<Category, CategoryRecord>,
}

impl Parents {
    /// Those of the source with this key, or of the same server wherever it lay. A zip is nobody's
    /// parent: it knows no owners.
    pub(in crate::ops) fn find(
        repository: &Repository,
        key: &str,
        server: Option<&str>,
        wanted: &[Category],
    ) -> Result<Parents, Error> {
        let is_ours = Parents::is_ours(key, server);
        let end = ListEnd::read(repository);
        let Some((id, record)) = Catalog::newest_of(repository, &end, is_ours)? else {
            return Ok(Parents { end, newest: None, record: None, categories: HashMap::new() });
        };
        let mut categories: HashMap<_, _> =
            wanted.iter().filter_map(|c| Some((*c, record.category(c.name())?.clone()))).collect();
        // A partial snapshot came last: what it lacks is in an older one.
        for category in wanted {
            if !categories.contains_key(category)
                && let Some((_, older)) = Catalog::newest_of(repository, &end, |older| {
                    is_ours(older) && older.category(category.name()).is_some()
                })?
                && let Some(found) = older.category(category.name())
            {
                categories.insert(*category, found.clone());
            }
        }
        Ok(Parents { end, newest: Some(id), record: Some(record), categories })
    }

    /// The newest snapshot of the source that is so.
    pub(super) fn newest_of(
        &self,
        repository: &Repository,
        key: &str,
        server: Option<&str>,
        is_so: impl Fn(&SnapshotRecord) -> bool,
    ) -> Result<Option<SnapshotRecord>, Error> {
        let is_ours = Parents::is_ours(key, server);
        Ok(Catalog::newest_of(repository, &self.end, |record| is_ours(record) && is_so(record))?
            .map(|(_, record)| record))
    }

    /// The newest snapshot of all sources whose clock was believed, where that is not the newest of
    /// this source.
    pub(super) fn last_believed(
        &self,
        repository: &Repository,
    ) -> Result<Option<SnapshotRecord>, Error> {
        if self.newest.is_some() && self.newest == Catalog::last_id(repository)? {
            return Ok(None);
        }
        Ok(Catalog::newest_of(repository, &self.end, |record| !record.has_wrong_clock())?
            .map(|(_, record)| record))
    }

    /// Tells the snapshots of a source from others.
    pub(super) fn is_ours<'k>(
        key: &'k str,
        server: Option<&'k str>,
    ) -> impl Fn(&SnapshotRecord) -> bool + Copy + 'k {
        let is_same_server = move |record: &SnapshotRecord| {
            server.is_some() && record.server.id.as_deref() == server && !record.is_zip()
        };
        move |record| {
            is_same_server(record)
                || (record.source.key == key && (server.is_none() || record.server.id.is_none()))
        }
    }

    /// A manifest with databases whose pages this source's may be made of: its own, or that of
    /// whatever snapshot is newest.
    pub(in crate::ops) fn databases(
        &self,
        repository: &Repository,
    ) -> Result<Option<ChunkId>, Error> {
        // A plain folder's databases lie among its other files: they are looked for where that is
        // cheap.
        let holds = |category: Category, record: &CategoryRecord| {
            category == Category::Database || record.entries <= SEARCHED_MAX
        };
        for category in [Category::Database, Category::Other] {
            if let Some(own) =
                self.categories.get(&category).filter(|own| own.files > 0 && holds(category, own))
            {
                return Ok(Some(own.manifest));
            }
        }
        if self.newest.is_some() {
            return Ok(None);
        }
        let database = |record: &SnapshotRecord| {
            record
                .category(Category::Database.name())
                .filter(|found| found.files > 0)
                .map(|found| found.manifest)
        };
        let newest =
            Catalog::newest_of(repository, &self.end, |record| database(record).is_some())?;
        Ok(newest.and_then(|(_, record)| database(&record)))
    }

    pub(in crate::ops) fn files(&self) -> u64 {
        self.categories.values().map(|category| category.files).sum()
    }

    pub(in crate::ops) fn bytes(&self) -> u64 {
        self.categories.values().map(|category| category.bytes).sum()
    }
}
