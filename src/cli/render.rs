//! Numbers, times and tables for people.

use std::path::Path;

use jiff::tz::TimeZone;
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
    let is_plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+=:,@%~".contains(c)) && !text.is_empty();
    if is_plain { text.into_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// A moment. 64 bits of nanoseconds are 292 years around 1970, all of which a timestamp can hold.
pub fn moment(time_ns: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_nanos(time_ns)
}

/// A moment in the user's zone, to the second.
pub fn time(time_ns: i64, zone: &TimeZone) -> String {
    moment(time_ns).to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// An id as people type it: as long as it takes to tell snapshots of different milliseconds apart.
pub fn short(id: &SnapshotId) -> String {
    id.to_string().chars().take(12).collect()
}

/// How long something took.
pub fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}

/// A table whose columns line up; numbers (columns named in `right`) to the right.
pub fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(|c| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let sep = if column == 0 { "" } else { "  " };
            line.push_str(&if right.contains(&column) { format!("{sep}{pad}{cell}") } else { format!("{sep}{cell}{pad}") });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}
