//! Links that stand in the target where the snapshot has whole folders: nothing is written through
//! them unasked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::manifest::{Entry, Kind, display, is_within};
use crate::progress::Problem;
use crate::source::{Layout, Linked, linked_folders};

use super::Destination;

/// The links, each with the number of entries that were not written for it.
pub(super) struct Links(Vec<(Linked, AtomicU64)>);

impl Links {
    /// Those of an instance whose links are not followed.
    pub(super) fn of(destination: &Destination) -> Links {
        let linked = if let Destination::InPlace(target) = destination {
            linked_folders(&Layout::of(&target.instance))
        } else {
            Vec::new()
        };
        Links(linked.into_iter().map(|linked| (linked, AtomicU64::new(0))).collect())
    }

    /// Whether an entry belongs into a folder that is a link here; counts it.
    pub(super) fn hold(&self, entry: &Entry) -> bool {
        self.behind(entry).is_some_and(|(_, count)| {
            count.fetch_add(1, Ordering::Relaxed);
            true
        })
    }

    /// The same without counting.
    pub(super) fn behind(&self, entry: &Entry) -> Option<&(Linked, AtomicU64)> {
        let is_folder = matches!(entry.kind, Kind::Directory);
        self.0.iter().find(|(linked, _)| {
            is_within(&entry.path, &linked.logical) && (is_folder || entry.path != linked.logical)
        })
    }

    /// One problem for each link that something belongs behind.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.0.iter().filter_map(|(linked, count)| {
            let count = count.load(Ordering::Relaxed);
            let what = format!(
                "it is a symbolic link to {}, but in the snapshot it is a directory with {count} entries; nothing was written through it. \
                 Add --follow-roots to write into the directory that it points to",
                linked.dir.display()
            );
            (count > 0).then(|| Problem { path: display(&linked.logical), what })
        })
    }
}
