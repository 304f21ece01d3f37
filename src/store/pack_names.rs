//! Which packs are there? Once a day all of their folders are listed; in between those that look
//! different since the index file was written, so that what a command costs does not grow with the
//! packs that were ever written.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::backend::{Backend, FolderMark, Mark, NO_FOLDER};

use super::Error;
use super::file_names::{pack_folder, pack_id};

/// How long a folder that looks the same is taken to hold the same: what a file system's repair
/// took out of it shows in no time of it.
const LISTED_ANEW: Duration = Duration::from_secs(24 * 60 * 60);

/// What the folders of packs looked like when they were listed, as the index file has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// When all were listed, seconds since 1970.
    pub listed_at: u64,
    /// By the first byte of the ids in them.
    pub folders: BTreeMap<u8, FolderMark>,
}

/// The packs that are there, as far as that had to be looked up.
#[derive(Debug, Default)]
pub(super) struct PackNames {
    /// Packs in the folders that were listed.
    pub here: HashSet<[u8; 16]>,
    /// Folders that were not listed, for they look as they did: what the index file says of them is
    /// so.
    unchanged: BTreeSet<u8>,
    /// What the folders looked like before they were listed, or not.
    marks: BTreeMap<u8, Mark>,
    /// Whether the backend can be relied on, as far as is known: a folder looks as the index file
    /// has it, which it wrote for this backend alone.
    had_marks: bool,
    /// When all were listed, seconds since 1970; nothing where not all were.
    listed_at: Option<u64>,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

impl PackNames {
    /// Lists all folders. `known` are the marks that the index file has.
    pub(super) fn all(backend: &dyn Backend, known: &Marks) -> Result<PackNames, Error> {
        let mut names = PackNames { listed_at: Some(now()), ..PackNames::default() };
        // Before they are listed: what comes later makes them look different.
        names.marks = (0..=u8::MAX)
            .filter_map(|folder| Some((folder, backend.mark(&pack_folder(folder))?)))
            .collect();
        names.had_marks = names.marks.iter().any(|(folder, mark)| {
            mark.looks != NO_FOLDER && known.folders.get(folder) == Some(&mark.looks)
        });
        names.here = backend.names("packs/")?.iter().filter_map(|name| pack_id(name)).collect();
        Ok(names)
    }

    /// Lists the folders that look different from what is known, and those `in_doubt`.
    pub(super) fn since(
        backend: &dyn Backend,
        known: &Marks,
        in_doubt: &BTreeSet<u8>,
    ) -> Result<PackNames, Error> {
        if known.folders.is_empty()
            || now().checked_sub(known.listed_at).is_none_or(|age| age > LISTED_ANEW.as_secs())
        {
            return PackNames::all(backend, known);
        }
        let mut names = PackNames::default();
        for folder in 0..=u8::MAX {
            let mark = backend.mark(&pack_folder(folder));
            names.marks.extend(mark.map(|mark| (folder, mark)));
            if mark.is_some_and(|mark| known.folders.get(&folder) == Some(&mark.looks))
                && !in_doubt.contains(&folder)
            {
                names.unchanged.insert(folder);
                names.had_marks |= known.folders.get(&folder) != Some(&NO_FOLDER);
            } else {
                names.here.extend(
                    backend
                        .names(&format!("{}/", pack_folder(folder)))?
                        .iter()
                        .filter_map(|name| pack_id(name)),
                );
            }
        }
        Ok(names)
    }

    /// Takes packs for absent.
    pub(super) fn leave_out(&mut self, excluded: &HashSet<[u8; 16]>) {
        self.here.retain(|id| !excluded.contains(id));
        self.marks.retain(|folder, _| !excluded.iter().any(|id| folder_of(id) == *folder));
    }

    /// The folders that were listed.
    pub(super) fn listed(&self) -> impl Iterator<Item = u8> + '_ {
        (0..=u8::MAX).filter(|folder| !self.unchanged.contains(folder))
    }

    /// Whether only some folders were listed.
    pub(super) fn is_partial(&self) -> bool {
        !self.unchanged.is_empty()
    }

    /// Whether it is worth a commit of its own that all folders were listed: until it is known they
    /// are listed each time.
    pub(super) fn is_due(&self) -> bool {
        self.had_marks && self.listed_at.is_some()
    }

    /// What the index file should know of the folders, once it knows all packs of which `is_known`
    /// is true; nothing where the backend cannot be relied on: a folder into which a pack was
    /// `written` looks as before. Nobody has seen one change yet: that is no reason to rely on it
    /// either.
    pub(super) fn to_remember(
        &self,
        backend: &dyn Backend,
        written: &[[u8; 16]],
        is_known: impl Fn(&[u8; 16]) -> bool,
    ) -> Option<NewMarks> {
        let mut has_seen_change = self.had_marks;
        for id in written {
            let folder = folder_of(id);
            if let Some(before) =
                self.marks.get(&folder).filter(|mark| mark.is_settled && mark.looks != NO_FOLDER)
            {
                if backend
                    .mark(&pack_folder(folder))
                    .is_none_or(|after| after.looks == before.looks)
                {
                    return None;
                }
                has_seen_change = true;
            }
        }
        if !has_seen_change {
            return None;
        }
        let unknown: HashSet<u8> =
            self.here.iter().filter(|id| !is_known(id)).map(folder_of).collect();
        let looks = |folder| {
            self.marks
                .get(&folder)
                .filter(|mark| mark.is_settled && !unknown.contains(&folder))
                .map(|mark| mark.looks)
        };
        let folders = self.listed().map(|folder| (folder, looks(folder))).collect();
        Some(NewMarks { listed_at: self.listed_at, folders })
    }
}

/// What is new about the folders.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NewMarks {
    /// When all were listed, if they were.
    pub listed_at: Option<u64>,
    /// What listed folders look like; nothing for those that are to be listed again.
    pub folders: BTreeMap<u8, Option<FolderMark>>,
}

/// The folder of a pack, by its first byte.
pub(super) fn folder_of(id: &[u8; 16]) -> u8 {
    let [first, ..] = *id;
    first
}

/// All ids whose packs lie in a folder.
pub(super) fn ids_in(folder: u8) -> std::ops::RangeInclusive<[u8; 16]> {
    let (mut first, mut last) = ([0; 16], [u8::MAX; 16]);
    (first[0], last[0]) = (folder, folder);
    first..=last
}

#[cfg(test)]
#[path = "pack_names_tests.rs"]
mod tests;
