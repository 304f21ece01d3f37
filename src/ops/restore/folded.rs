//! Two names that are one to the target: exFAT and SMB fold case, others normalise, or drop a dot or blank at the end. Of two such files
//! only one is left, and nothing fails on the way. Names that may meet are noted while they are written, and looked for afterwards.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use crate::manifest::{CategoryRecord, Entries, Kind, display};
use crate::source::{Category, open_dir};
use crate::store::ChunkReader;

use super::super::same_names::key;
use super::super::{Error, Monitor};
use super::target::Target;
use super::{RestoreOptions, Tally};

/// The names of one restore, as 64 bits each: one that is there already is looked into, whoever it is.
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
        let mut groups: std::collections::BTreeMap<u64, Vec<Vec<u8>>> = std::collections::BTreeMap::new();
        let mut files = HashSet::new();
        for (category, root) in selected {
            // What cannot be read was told when it was to be written.
            for entry in Entries::all(reader, root.manifest).flatten().filter(|entry| options.selection.takes(*category, &entry.path)) {
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
            let gone = lost(group, |path| names_beside(target, path));
            for path in gone {
                let others: Vec<_> = group.iter().filter(|other| *other != path).map(|other| display(other)).collect();
                let what = format!(
                    "this file system treats its name and that of {} as the same, so only one of them can exist. Restore it to another file system (restore --to DIR --path …) and rename it",
                    others.join(" and ")
                );
                tally.problem(monitor, path, what);
                // It was written, and then written over; where both have the same content neither was.
                if files.contains(path) {
                    tally.files.update(Ordering::Relaxed, Ordering::Relaxed, |count| count.saturating_sub(1));
                }
            }
        }
        Ok(())
    }
}

/// Those of names that may have met which are not there.
fn lost(group: &[Vec<u8>], names_beside: impl Fn(&[u8]) -> Option<HashSet<Vec<u8>>>) -> Vec<&Vec<u8>> {
    group.iter().filter(|path| names_beside(path).is_some_and(|names| !names.contains(file_name(path)))).collect()
}

/// All names in the directory of a path; nothing where it cannot be listed, which was told.
fn names_beside(target: &Target, path: &[u8]) -> Option<HashSet<Vec<u8>>> {
    let (root, below) = target.place(path)?;
    let parent = below.iter().rposition(|byte| *byte == b'/').map_or(b"".as_slice(), |at| below.get(..at).unwrap_or_default());
    let dir = rustix::fs::Dir::new(open_dir(target.fd(root)?, parent).ok()?).ok()?;
    Some(dir.flatten().map(|entry| entry.file_name().to_bytes().to_vec()).collect())
}

fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_not_there_are_lost() {
        let group = [b"d/Poster.jpg".to_vec(), b"d/poster.jpg".to_vec()];
        let beside = |names: &'static [&'static str]| move |_: &[u8]| Some(names.iter().map(|name| name.as_bytes().to_vec()).collect());
        assert_eq!(lost(&group, beside(&["Poster.jpg", "poster.jpg", "x"])), Vec::<&Vec<u8>>::new());
        assert_eq!(lost(&group, beside(&["Poster.jpg"])), [b"d/poster.jpg"]);
        assert_eq!(lost(&group, beside(&[])).len(), 2);
        assert_eq!(lost(&group, |_| None), Vec::<&Vec<u8>>::new());
    }
}
