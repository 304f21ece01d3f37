//! Which path does the kernel mean by a number? Numbers are hashes of snapshot and path, the same
//! in every mount; those that the kernel has let go of are forgotten.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::manifest::Entry;

/// A place in the mounted tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The top, above all snapshots.
    Top,
    /// A path of a snapshot, by its number; the empty path is its root.
    Path { snapshot: usize, path: Vec<u8> },
}

struct Known {
    place: Place,
    /// How often the kernel was told of it.
    lookups: u64,
}

/// The number of the top, which FUSE fixes.
pub(super) const TOP: u64 = 1;

/// All numbers that the kernel knows.
pub(super) struct Inodes(Mutex<HashMap<u64, Known>>);

impl Inodes {
    pub(super) fn new() -> Inodes {
        Inodes(Mutex::default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of a number.
    pub(super) fn place(&self, number: u64) -> Option<Place> {
        if number == TOP {
            return Some(Place::Top);
        }
        self.lock().get(&number).map(|known| known.place.clone())
    }

    /// Remembers a place that the kernel is told of.
    pub(super) fn tell(&self, number: u64, place: Place) {
        if number != TOP {
            self.lock().entry(number).or_insert(Known { place, lookups: 0 }).lookups += 1;
        }
    }

    /// The kernel lets go of a number, so many times as it was told of it.
    pub(super) fn forget(&self, number: u64, lookups: u64) {
        let mut known = self.lock();
        if let Some(entry) = known.get_mut(&number) {
            entry.lookups = entry.lookups.saturating_sub(lookups);
            if entry.lookups == 0 {
                known.remove(&number);
            }
        }
    }
}

/// The number of a path. Names of one file (hard links) have one number.
pub(super) fn number_of(snapshot: &[u8; 16], path: &[u8], entry: Option<&Entry>) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(snapshot);
    match entry.and_then(|entry| entry.link_group) {
        Some(group) => hasher.update(b"link").update(&group.to_le_bytes()),
        None => hasher.update(b"path").update(path),
    };
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    // 0 and the top's are taken.
    u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(TOP + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_forgotten_when_the_kernel_let_go_of_it_as_often_as_it_was_told() {
        let inodes = Inodes::new();
        let place = Place::Path { snapshot: 0, path: b"a/b".to_vec() };
        let number = number_of(&[7; 16], b"a/b", None);
        inodes.tell(number, place.clone());
        inodes.tell(number, place.clone());
        inodes.forget(number, 1);
        assert_eq!(inodes.place(number), Some(place));
        inodes.forget(number, 1);
        assert_eq!(inodes.place(number), None);
        assert_eq!(inodes.place(TOP), Some(Place::Top));
        assert_ne!(number_of(&[8; 16], b"a/b", None), number);
    }
}
