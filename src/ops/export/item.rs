//! A file on its way into a zip.

use crate::manifest::{Content, Entry};

/// A file on its way into the zip.
pub(super) struct Item {
    pub name: String,
    pub logical: String,
    pub size: u64,
    pub content: Content,
    pub mode: u32,
    pub mtime_ns: i64,
}

/// An entry's last modification, nanoseconds since 1970.
pub(super) fn mtime_ns(entry: &Entry) -> i64 {
    entry.mtime.seconds.saturating_mul(1_000_000_000).saturating_add(entry.mtime.nanos.into())
}
