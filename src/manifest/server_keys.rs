//! Whose is a snapshot? Servers in a few bytes each, for the list.

use std::collections::BTreeSet;

use super::SnapshotId;
use super::newest::SERVERS_MAX;
use super::record::SnapshotRecord;
use super::retention::instance_of;

/// What tells servers apart, in few bytes each.
pub(super) fn server_key(record: &SnapshotRecord) -> Option<u64> {
    let hash = blake3::hash(instance_of(record).as_bytes());
    hash.as_bytes()
        .first_chunk()
        .filter(|_| record.is_of_a_server())
        .map(|first| u64::from_le_bytes(*first))
}

/// Those of snapshots.
pub(super) fn server_keys(snapshots: &[(SnapshotId, SnapshotRecord)]) -> Vec<u64> {
    let keys: BTreeSet<u64> =
        snapshots.iter().filter_map(|(_, record)| server_key(record)).collect();
    keys.into_iter().take(SERVERS_MAX).collect()
}
