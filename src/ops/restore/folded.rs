//! Two names that are one to the target: exFAT and SMB fold case, others normalise, or drop a dot
//! or blank at the end. Of two such files only one is left, and nothing fails on the way. Names
//! that may meet are noted while they are written, and looked for afterwards.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use crate::manifest::{CategoryRecord, Entries, Kind, display};
use crate::source::{Category, open_dir};
use crate::store::ChunkReader;

use super::super::same_names::key;
use super::super::{Error, Monitor};
use super::target::Target;
use super::{RestoreOptions, Tally};

/// The names of one restore, as 64 bits each: one that is there already is looked into, whoever it
/// is.
#[derive(Default)]
pub(super) struct Names {
    seen: HashSet<u64>,
    doubtful: HashSet<u64>,
}

impl Names {
    /// Notes what is about to be written.
    pub(super) fn note(&mut self, path: &[u8]) {
        let key = key(path);
        if !self.seen.insert(key) {
            self.doubtful.insert(key);
        }
    }

    /// Looks for the names that may have met, and tells of those that did.
    pub(super) fn tell(
        self,
        reader: &mut ChunkReader<'_>,
        selected: &[(Category, &CategoryRecord)],
        target: &Target,
        (options, tally): (&RestoreOptions, &Tally),
        monitor: &Monitor,
    ) -> Result<(), Error> {
        if self.doubtful.is_empty() || options.dry_run {
            return Ok(());
        }
        let mut groups: std::collections::BTreeMap<u64, Vec<Vec<u8>>> =
            std::collections::BTreeMap::new();
        let mut files = HashSet::new();
        for (category, root) in selected {
            // What cannot be read was told when it was to be written.
            for entry in Entries::all(reader, root.manifest)
                .flatten()
                .filter(|entry| options.selection.takes(*category, &entry.path))
            {
                let key = key(&entry.path);
                if self.doubtful.contains(&key) {
                    if matches!(entry.kind, Kind::File { .. }) {
                        files.insert(entry.path.clone());
                    }
                    groups.entry(key).or_default().push(entry.path);
                }
            }
        }
        for group in groups.values() {
            let gone = lost(group, |path, end| names_beside(target, path, end));
            for path in gone {
                let others: Vec<_> = group
                    .iter()
                    .filter(|other| *other != path)
                    .map(|other| display(other))
                    .collect();
                let what = format!(
                    "this file system treats its name and that of {} as the same, so only one of them can exist. Restore it to another file system (restore --to DIR --path …) and rename it",
                    others.join(" and ")
                );
                tally.problem(monitor, path, what);
                // It was written, and then written over; where both have the same content neither
                // was.
                if files.contains(path) {
                    tally.files.update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                        count.saturating_sub(1)
                    });
                }
            }
        }
        Ok(())
    }
}

/// Those of names that may have met which are not there: the name itself, or that of a directory
/// that it is in.
fn lost(
    group: &[Vec<u8>],
    names_beside: impl Fn(&[u8], usize) -> Option<HashSet<Vec<u8>>>,
) -> Vec<&Vec<u8>> {
    let is_missing = |path: &[u8], start: usize, end: usize| {
        let name = path.get(start..end).unwrap_or_default();
        names_beside(path, start.saturating_sub(1)).is_some_and(|names| !names.contains(name))
    };
    let is_lost = |path: &&Vec<u8>| {
        let ends = path
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte == b'/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        let mut start = 0;
        ends.into_iter().any(|end| is_missing(path, std::mem::replace(&mut start, end + 1), end))
    };
    group.iter().filter(is_lost).collect()
}

/// All names in the directory that the first `end` bytes of a path name; nothing where it cannot be
/// listed, which was told, or lies above a root.
fn names_beside(target: &Target, path: &[u8], end: usize) -> Option<HashSet<Vec<u8>>> {
    let (root, below) = target.place(path)?;
    // What is above a root of the target has other names there.
    let above = path.len().checked_sub(below.len())?;
    if end + 1 < above {
        return None;
    }
    let parent = path.get(above..end.max(above))?;
    let dir = rustix::fs::Dir::new(open_dir(target.fd(root)?, parent).ok()?).ok()?;
    Some(dir.flatten().map(|entry| entry.file_name().to_bytes().to_vec()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_not_there_are_lost() {
        let group = [b"d/Poster.jpg".to_vec(), b"d/poster.jpg".to_vec()];
        let beside = |names: &'static [&'static str]| {
            move |_: &[u8], end: usize| {
                Some(if end == 0 {
                    HashSet::from([b"d".to_vec()])
                } else {
                    names.iter().map(|name| name.as_bytes().to_vec()).collect()
                })
            }
        };
        assert_eq!(
            lost(&group, beside(&["Poster.jpg", "poster.jpg", "x"])),
            Vec::<&Vec<u8>>::new()
        );
        assert_eq!(lost(&group, beside(&["Poster.jpg"])), [b"d/poster.jpg"]);
        assert_eq!(lost(&group, beside(&[])).len(), 2);
        assert_eq!(lost(&group, |_, _| None), Vec::<&Vec<u8>>::new());
        // Two directories that are one: the files in them have met, whatever they are called.
        let group = [b"Show/a.jpg".to_vec(), b"show/a.jpg".to_vec()];
        let beside = |_: &[u8], end: usize| {
            Some(HashSet::from([if end == 0 { b"Show".to_vec() } else { b"a.jpg".to_vec() }]))
        };
        assert_eq!(lost(&group, beside), [b"show/a.jpg"]);
    }
}
