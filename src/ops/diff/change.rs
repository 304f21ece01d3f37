//! One path that is not the same on both sides.

use crate::manifest::{Entry, Kind};
use crate::source::Category;

use super::same;

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It holds something else, or is something else.
    Modified,
    /// What it holds lay elsewhere.
    Moved,
    /// It holds the same; mode, owner, time or attributes are others.
    Metadata,
}

impl ChangeKind {
    /// What happened to a path that is on both sides.
    pub(super) fn between(before: &Entry, after: &Entry) -> ChangeKind {
        if same::holds_the_same(&before.kind, &after.kind) {
            ChangeKind::Metadata
        } else {
            ChangeKind::Modified
        }
    }

    /// The word of the contract.
    pub fn word(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::Modified => "modified",
            ChangeKind::Moved => "moved",
            ChangeKind::Metadata => "metadata",
        }
    }
}

/// One path that is not the same.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Its category; that of the new place where it moved.
    pub category: Category,
    /// Before; another path where it moved.
    pub before: Option<Entry>,
    /// After.
    pub after: Option<Entry>,
}

impl Change {
    /// Where it is told: the new place, or the old one of what is gone.
    pub fn path(&self) -> &[u8] {
        self.after
            .as_ref()
            .or(self.before.as_ref())
            .map(|entry| entry.path.as_slice())
            .unwrap_or_default()
    }

    /// Whether it is a directory of which nothing but its times changed: what changed inside is
    /// told by itself.
    pub fn is_only_a_directorys_time(&self) -> bool {
        let (Some(before), Some(after)) = (&self.before, &self.after) else { return false };
        matches!((&before.kind, &after.kind), (Kind::Directory, Kind::Directory))
            && Entry { mtime: after.mtime, ..before.clone() } == *after
    }
}
