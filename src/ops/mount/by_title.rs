//! Folders named by what people call a thing, with links to the folders that the server names by
//! its id.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::manifest::{
    Entry, Kind, OWNER_UNKNOWN, SnapshotId, SnapshotRecord, Time, Xattrs, compare, parent,
};
use crate::store::{Index, Repository};

use super::super::Error;
use super::super::rows::{Titled, all_titled};

/// The folder of a mounted snapshot in which they are.
pub(super) const TITLES: &[u8] = b"titles";
/// Folders of the server in which those of things lie, two levels deep, and what the links to them
/// are called.
pub(super) const SHELVES: [(&str, &str); 6] = [
    ("metadata/library", "metadata"),
    ("metadata-default/library", "metadata-default"),
    ("metadata/People", "metadata"),
    ("data/trickplay", "trickplay"),
    ("data/subtitles", "subtitles"),
    ("data/attachments", "attachments"),
];
/// Folders of the server in which those of things lie directly.
pub(super) const FLAT: [&str; 9] = [
    "data/playlists",
    "data/collections",
    "root/default",
    "config/users",
    "metadata/artists",
    "metadata/Genre",
    "metadata/MusicGenre",
    "metadata/Studio",
    "metadata/views",
];
/// A name in a directory has at most 255 bytes; room is left for what tells namesakes apart.
const NAME_BYTES: usize = 180;

/// Snapshots whose titles are remembered.
const KEPT: usize = 4;

/// The titles of the snapshots that were asked for last, for all threads.
#[derive(Default)]
pub(super) struct Titles(Mutex<Vec<(usize, Arc<ByTitle>)>>);

impl Titles {
    /// Those of a snapshot. They are read from its database once; other threads that ask meanwhile
    /// wait.
    pub(super) fn of(
        &self,
        snapshot: usize,
        make: impl FnOnce() -> Result<ByTitle, Error>,
    ) -> Result<Arc<ByTitle>, Error> {
        // A thread that panicked here left the list as it was.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = kept.iter().find(|(own, _)| *own == snapshot) {
            return Ok(known.clone());
        }
        let made = Arc::new(make()?);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((snapshot, made.clone()));
        Ok(made)
    }
}

/// The folders and links of one snapshot, by the folder that they are in.
#[derive(Default)]
pub(super) struct ByTitle(BTreeMap<Vec<u8>, Vec<Entry>>);

impl ByTitle {
    /// Of what the snapshot's database names and has one of these folders.
    pub(super) fn of(
        repository: &Repository,
        index: &Index,
        snapshot: &(SnapshotId, SnapshotRecord),
        folders: &HashSet<Vec<u8>>,
    ) -> Result<ByTitle, Error> {
        let mut named: BTreeMap<(&'static str, String), Vec<Titled>> = BTreeMap::new();
        all_titled(repository, index, snapshot, |mut titled| {
            titled.paths.retain(|path| folders.contains(path));
            if !titled.paths.is_empty() {
                named.entry((titled.kinds, name_of(&titled))).or_default().push(titled);
            }
        })?;
        let mtime = taken_at(snapshot.1.time_ns);
        let mut tree = ByTitle(BTreeMap::from([(TITLES.to_vec(), Vec::new())]));
        for ((kinds, name), all) in named {
            for titled in &all {
                let name = if all.len() == 1 {
                    name.clone()
                } else {
                    format!("{name} {:032x}", titled.id)
                };
                tree.add(format!("titles/{kinds}/{name}"), titled, mtime);
            }
        }
        tree.0.values_mut().for_each(|listing| listing.sort_by(|a, b| compare(&a.path, &b.path)));
        Ok(tree)
    }

    /// What lies directly in a folder.
    pub(super) fn listing(&self, path: &[u8]) -> Vec<Entry> {
        self.0.get(path).cloned().unwrap_or_default()
    }

    fn add(&mut self, folder: String, titled: &Titled, mtime: Time) {
        self.folder(folder.clone().into_bytes(), mtime);
        let mut taken = HashSet::new();
        for path in &titled.paths {
            let word = SHELVES
                .iter()
                .find(|(shelf, _)| crate::manifest::is_within(path, shelf.as_bytes()))
                .map_or("files", |(_, word)| word);
            if taken.insert(word) {
                let target = [b"../../../".as_slice(), path].concat();
                self.put(entry(
                    format!("{folder}/{word}").into_bytes(),
                    Kind::Symlink { target },
                    mtime,
                ));
            }
        }
    }

    /// Makes a folder, and those above it.
    fn folder(&mut self, path: Vec<u8>, mtime: Time) {
        if self.0.contains_key(&path) {
            return;
        }
        self.0.insert(path.clone(), Vec::new());
        if let Some(above) = parent(&path) {
            self.folder(above.to_vec(), mtime);
        }
        self.put(entry(path, Kind::Directory, mtime));
    }

    fn put(&mut self, entry: Entry) {
        let above = parent(&entry.path).unwrap_or_default().to_vec();
        self.0.entry(above).or_default().push(entry);
    }
}

/// The folder of titles itself.
pub(super) fn top(mtime: Time) -> Entry {
    entry(TITLES.to_vec(), Kind::Directory, mtime)
}

fn entry(path: Vec<u8>, kind: Kind, mtime: Time) -> Entry {
    let mode = if matches!(kind, Kind::Directory) { 0o755 } else { 0o777 };
    Entry {
        path,
        kind,
        mode,
        uid: OWNER_UNKNOWN,
        gid: OWNER_UNKNOWN,
        mtime,
        xattrs: Xattrs::None,
        link_group: None,
    }
}

/// A snapshot's time as a file's.
pub(super) fn taken_at(time_ns: i64) -> Time {
    Time {
        seconds: time_ns.div_euclid(1_000_000_000),
        nanos: time_ns.rem_euclid(1_000_000_000) as u32,
    }
}

/// `Late Arrival (1999)`, as a name that every directory can have.
fn name_of(titled: &Titled) -> String {
    let mut name: String =
        titled.name.chars().map(|c| if c == '/' || c.is_control() { '_' } else { c }).collect();
    name.truncate(name.floor_char_boundary(NAME_BYTES));
    if let Some(year) = titled.year {
        name = format!("{name} ({year})");
    }
    if matches!(name.as_str(), "" | "." | "..") { "_".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titled(name: &str, year: Option<i64>) -> Titled {
        Titled {
            id: 1,
            name: name.to_owned(),
            kind: "film",
            kinds: "films",
            year,
            media: None,
            paths: Vec::new(),
            is_exact: true,
        }
    }

    #[test]
    fn any_title_is_a_name_that_a_directory_can_have() {
        assert_eq!(name_of(&titled("Late Arrival", Some(1999))), "Late Arrival (1999)");
        assert_eq!(name_of(&titled("../a/b\n", None)), ".._a_b_");
        for bad in ["", ".", ".."] {
            assert_eq!(name_of(&titled(bad, None)), "_");
        }
        assert!(name_of(&titled(&"é".repeat(400), Some(i64::MIN))).len() < 220);
    }
}
