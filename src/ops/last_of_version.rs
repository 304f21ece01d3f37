//! Which snapshot is the last one before its server was another version: the way back after an
//! upgrade.

use crate::manifest::{SnapshotRecord, instance_of};
use crate::source::version;

use super::Snapshot;

/// The version of which a snapshot, by its number among all in order, is the server's last one;
/// nothing where that server was not upgraded after it.
pub fn last_of_version(all: &[Snapshot], at: usize) -> Option<&str> {
    let is_in_line = |record: &SnapshotRecord| !record.is_safety() && !record.is_zip();
    let (_, record) = all.get(at).filter(|(_, record)| is_in_line(record))?;
    let (_, next) = all
        .iter()
        .skip(at + 1)
        .find(|(_, next)| is_in_line(next) && instance_of(next) == instance_of(record))?;
    let (then, now) = (record.server.version.as_ref()?, next.server.version.as_ref()?);
    (version::parse(&then.value) != version::parse(&now.value)).then_some(then.value.as_str())
}
