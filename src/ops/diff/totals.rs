//! How much changed? Counts of one category.

use crate::manifest::{CategoryRecord, Kind};

use super::{Change, ChangeKind};

/// Counts of files and links (directories apart), and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files that are new.
    pub added: u64,
    /// Files that are gone.
    pub removed: u64,
    /// Files that hold something else.
    pub modified: u64,
    /// Files that lay elsewhere.
    pub moved: u64,
    /// Files that hold the same, with other mode, owner, time or attributes.
    pub metadata: u64,
    /// Directories of which anything changed.
    pub directories: u64,
    /// Of these, directories of which nothing but the time changed.
    pub directory_times: u64,
    /// Bytes of the whole category before …
    pub size_before: u64,
    /// … and after.
    pub size_after: u64,
    /// Bytes of the changed files before …
    pub changed_before: u64,
    /// … and after.
    pub changed_after: u64,
    /// Stored bytes of the repository that only the side before needs …
    pub stored_before: u64,
    /// … and only the side after.
    pub stored_after: u64,
}

impl Totals {
    pub(super) fn of(before: &CategoryRecord, after: &CategoryRecord) -> Totals {
        Totals { size_before: before.bytes, size_after: after.bytes, ..Totals::default() }
    }

    pub(super) fn add(&mut self, change: &Change) {
        let is_directory = |entry: &crate::manifest::Entry| matches!(entry.kind, Kind::Directory);
        let all = [&change.before, &change.after];
        if all.iter().all(|entry| entry.as_ref().is_none_or(is_directory)) {
            self.directories += 1;
            self.directory_times += u64::from(change.is_only_a_directorys_time());
            return;
        }
        let counter = match change.kind {
            ChangeKind::Added => &mut self.added,
            ChangeKind::Removed => &mut self.removed,
            ChangeKind::Modified => &mut self.modified,
            ChangeKind::Moved => &mut self.moved,
            ChangeKind::Metadata => &mut self.metadata,
        };
        *counter += 1;
        if !matches!(change.kind, ChangeKind::Moved | ChangeKind::Metadata) {
            self.changed_before += change.before.as_ref().map_or(0, |entry| entry.size());
            self.changed_after += change.after.as_ref().map_or(0, |entry| entry.size());
        }
    }

    pub(super) fn plus(self, other: &Totals) -> Totals {
        Totals {
            added: self.added + other.added,
            removed: self.removed + other.removed,
            modified: self.modified + other.modified,
            moved: self.moved + other.moved,
            metadata: self.metadata + other.metadata,
            directories: self.directories + other.directories,
            directory_times: self.directory_times + other.directory_times,
            size_before: self.size_before + other.size_before,
            size_after: self.size_after + other.size_after,
            changed_before: self.changed_before + other.changed_before,
            changed_after: self.changed_after + other.changed_after,
            stored_before: self.stored_before + other.stored_before,
            stored_after: self.stored_after + other.stored_after,
        }
    }

    /// Files and directories of which anything changed.
    pub fn changes(&self) -> u64 {
        self.added + self.removed + self.modified + self.moved + self.metadata + self.directories
    }
}
