//! Records that were read already. They never change, so a program that runs for days reads each of
//! them once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::SnapshotId;
use super::record::SnapshotRecord;

/// Records that are remembered, at most: some 20 MiB. Others are read each time.
const RECORDS_MAX: usize = 5000;

/// Records of one repository, by id.
#[derive(Default)]
pub struct RecordCache(Mutex<HashMap<SnapshotId, SnapshotRecord>>);

impl RecordCache {
    /// A record that was read before, or one that `read` gives.
    pub(super) fn get<E>(
        &self,
        id: SnapshotId,
        read: impl FnOnce() -> Result<SnapshotRecord, E>,
    ) -> Result<SnapshotRecord, E> {
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = known().get(&id) {
            return Ok(record.clone());
        }
        let record = read()?;
        let mut known = known();
        if known.len() < RECORDS_MAX {
            known.insert(id, record.clone());
        }
        Ok(record)
    }

    /// Forgets those that are not listed any more.
    pub(super) fn keep_listed(&self, listed: &[(SnapshotId, SnapshotRecord)]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() > listed.len() {
            let listed: std::collections::HashSet<_> = listed.iter().map(|(id, _)| *id).collect();
            known.retain(|id, _| listed.contains(id));
        }
    }
}
