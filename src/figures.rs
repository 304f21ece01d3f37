//! Sizes, counts, moments and ids as people read them, on a terminal and in a browser.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::manifest::SnapshotId;

/// A size in binary units.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// A count with thin groups: 95,523.
pub fn count(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// "1 file", "2 files".
pub fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// A path as a shell takes it for one argument.
pub fn argument(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain =
        text.chars().all(|c| c.is_alphanumeric() || "/._-+=:,@%~".contains(c)) && !text.is_empty();
    if is_plain { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A moment. 64 bits of nanoseconds are 292 years around 1970, all of which a timestamp can hold.
pub fn moment(time_ns: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(time_ns)
}

/// An id as people type it: as long as it takes to tell snapshots of different milliseconds apart.
pub fn short(id: &SnapshotId) -> String {
    id.to_string().chars().take(12).collect()
}

/// How long something took.
pub fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}
