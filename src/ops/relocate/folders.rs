//! Folders that have the id of an item as their name: posters and chapters, trickplay sheets,
//! subtitles, fonts.

use std::collections::{HashMap, HashSet};

use crate::chunk::ChunkId;
use crate::manifest::{Entries, Entry, Kind, compare, display};
use crate::progress::Interrupt;
use crate::store::ChunkReader;

use super::super::Error;
use super::ids::NewIds;
use super::plan::Named;

/// Where they lie, each below the first two digits of its id.
const ROOTS: [&str; 5] = [
    "data/attachments",
    "data/subtitles",
    "data/trickplay",
    "metadata-default/library",
    "metadata/library",
];

/// What becomes of one category's folders.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// What is moved, under its new paths, in order.
    pub moved: Vec<Entry>,
    /// Folders of digits that have nothing left in them.
    emptied: HashSet<Vec<u8>>,
    /// Folders of items that are moved, by their new path.
    taken: HashSet<Vec<u8>>,
}

/// A path below one of the roots.
struct Place<'p> {
    /// The folder of two digits.
    digits: &'p [u8],
    /// The folder of the item, where the path is that or lies in it.
    item: Option<&'p [u8]>,
}

fn place_of(path: &[u8]) -> Option<Place<'_>> {
    let root = ROOTS.iter().find(|root| {
        path.strip_prefix(root.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"))
    })?;
    let mut ends =
        (root.len() + 1..=path.len()).filter(|at| path.get(*at).is_none_or(|byte| *byte == b'/'));
    let digits = path.get(..ends.next()?)?;
    (digits.len() == root.len() + 3)
        .then(|| Place { digits, item: ends.next().and_then(|end| path.get(..end)) })
}

/// The path with the new id in it.
fn renamed(path: &[u8], ids: &NewIds) -> Option<Vec<u8>> {
    let place = place_of(path)?;
    let item = place.item?;
    let root = place.digits.get(..place.digits.len() - 3)?;
    let name = std::str::from_utf8(item.get(place.digits.len() + 1..)?).ok()?;
    // One that lies below other digits is none of the server's.
    if !name.as_bytes().starts_with(place.digits.get(place.digits.len() - 2..)?) {
        return None;
    }
    let new = ids.in_text(name).filter(|new| new.len() == name.len())?;
    Some(
        [root, b"/", new.get(..2)?.as_bytes(), b"/", new.as_bytes(), path.get(item.len()..)?]
            .concat(),
    )
}

impl Folders {
    /// Goes through a category's tree.
    pub(super) fn of(
        reader: &mut ChunkReader<'_>,
        root: ChunkId,
        ids: &NewIds,
        interrupt: &Interrupt,
    ) -> Result<Folders, Error> {
        let mut folders = Folders::default();
        let mut digits: HashMap<Vec<u8>, Entry> = HashMap::new();
        let (mut left, mut stay) = (HashSet::new(), HashSet::new());
        let mut needed: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        for entry in Entries::all(reader, root) {
            if interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let entry = entry?;
            let Some(place) = place_of(&entry.path) else { continue };
            match renamed(&entry.path, ids) {
                Some(path) => {
                    let now = place_of(&path).map(|place| {
                        (place.digits.to_vec(), place.item.unwrap_or_default().to_vec())
                    });
                    let (new_digits, item) = now.unwrap_or_default();
                    left.insert(place.digits.to_vec());
                    needed.entry(new_digits).or_insert_with(|| place.digits.to_vec());
                    folders.taken.insert(item);
                    folders.moved.push(Entry { path, ..entry });
                }
                None if place.item.is_none() => {
                    digits.insert(entry.path.clone(), entry);
                }
                None => {
                    stay.insert(place.digits.to_vec());
                }
            }
        }
        for (path, like) in &needed {
            if let (None, Some(like)) = (digits.get(path), digits.get(like)) {
                folders.moved.push(Entry { path: path.clone(), ..like.clone() });
            }
        }
        folders.emptied = left
            .into_iter()
            .filter(|path| !stay.contains(path) && !needed.contains_key(path))
            .collect();
        folders.moved.sort_by(|a, b| compare(&a.path, &b.path));
        Ok(folders)
    }

    /// How many folders of items get a new name.
    pub(super) fn count(&self) -> u64 {
        self.taken.len() as u64
    }

    /// Whether an entry stays where it is. What lies in the new folder of an item was left over by
    /// another that is in the library no more.
    pub(super) fn stays(&self, entry: &Entry, ids: &NewIds, leftovers: &mut Named) -> bool {
        let Some(place) = place_of(&entry.path) else { return true };
        if self.emptied.contains(&entry.path) || renamed(&entry.path, ids).is_some() {
            return false;
        }
        let is_left_over = place.item.is_some_and(|item| self.taken.contains(item));
        if is_left_over && matches!(entry.kind, Kind::File { .. }) {
            leftovers.add(|| display(&entry.path));
        }
        !is_left_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::read_guid;

    #[test]
    fn folders_of_items_are_known_where_they_lie() {
        let ids = NewIds::new(vec![(
            read_guid("0b6b55851baacee5a4a5813b55440a2c").unwrap(),
            read_guid("ff0000000000000000000000000000aa").unwrap(),
        )]);
        let renamed = |path: &str| {
            renamed(path.as_bytes(), &ids).map(|path| String::from_utf8(path).unwrap())
        };
        let new = "metadata/library/ff/ff0000000000000000000000000000aa";
        assert_eq!(
            renamed("metadata/library/0b/0b6b55851baacee5a4a5813b55440a2c").as_deref(),
            Some(new)
        );
        assert_eq!(
            renamed("metadata/library/0b/0b6b55851baacee5a4a5813b55440a2c/a/b.jpg"),
            Some(format!("{new}/a/b.jpg"))
        );
        let sheet = renamed("data/trickplay/0b/0b6b5585-1baa-cee5-a4a5-813b55440a2c/320/0.jpg");
        assert_eq!(
            sheet.as_deref(),
            Some("data/trickplay/ff/ff000000-0000-0000-0000-0000000000aa/320/0.jpg")
        );
        for path in [
            "metadata/library/0b",
            "metadata/library",
            "metadata/People/0b/0b6b55851baacee5a4a5813b55440a2c",
            "metadata/library/0b6b55851baacee5a4a5813b55440a2c/x",
            "metadata/library/zz/0b6b55851baacee5a4a5813b55440a2c",
        ] {
            assert_eq!(renamed(path), None, "{path}");
        }
        assert_eq!(
            place_of(b"data/subtitles/0b")
                .map(|place| (place.digits.to_vec(), place.item.is_none())),
            Some((b"data/subtitles/0b".to_vec(), true))
        );
    }
}
