//! What a text of the server becomes: a path, an id, or a path with ids in it.

use super::ids::NewIds;
use super::prefixes::{Prefixes, rest_within};

/// Tokens that stand for the server's own directories.
const TOKENS: [&str; 2] = ["%AppDataPath%", "%MetadataPath%"];

/// Paths and ids, old to new.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    pub prefixes: Prefixes,
    pub ids: NewIds,
    /// The server's own directories, as it sees them: folders in them have the ids of items as names.
    pub own: Vec<String>,
}

impl Mapping {
    /// A path of the server; nothing where it stays.
    pub(super) fn path(&self, path: &str) -> Option<String> {
        let is_own = TOKENS.iter().any(|token| rest_within(path, token).is_some()) || self.own.iter().any(|dir| rest_within(path, dir).is_some());
        let renamed = if is_own { renamed(path, &self.ids) } else { None };
        self.prefixes.map(renamed.as_deref().unwrap_or(path)).or(renamed)
    }

    /// A value that is a path, or has ids in it.
    pub(super) fn value(&self, text: &str) -> Option<String> {
        if text.starts_with(['/', '%']) { self.path(text) } else { self.ids.in_text(text) }
    }

    /// Whether nothing would change.
    pub(super) fn is_identity(&self) -> bool {
        self.prefixes.is_identity() && self.ids.len() == 0
    }
}

/// A path with the folder of an item by its new id, below the first two digits of it: `0b/0b6b…`.
pub(super) fn renamed(path: &str, ids: &NewIds) -> Option<String> {
    let at = folder_of_item(path)?;
    let mut parts: Vec<&str> = path.split('/').collect();
    let new = ids.in_text(parts.get(at + 1)?)?;
    *parts.get_mut(at)? = new.get(..2)?;
    *parts.get_mut(at + 1)? = &new;
    Some(parts.join("/"))
}

/// Which component of a path is the folder of two digits that the folder of an item lies in.
pub(super) fn folder_of_item(path: &str) -> Option<usize> {
    let mut last = "";
    for (at, part) in path.split('/').enumerate() {
        if last.len() == 2 && part.starts_with(last) && crate::archive::read_guid(part).is_some() {
            return at.checked_sub(1);
        }
        last = part;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::read_guid;

    #[test]
    fn folders_of_items_get_their_new_ids_and_paths_their_new_directories() {
        let ids = NewIds::new(vec![(read_guid("0b6b55851baacee5a4a5813b55440a2c").unwrap(), read_guid("ff0000000000000000000000000000aa").unwrap())]);
        let pairs = [("/config", "/var/lib/jellyfin"), ("/media", "/mnt")].map(|(old, new)| (old.to_owned(), new.to_owned()));
        let mapping = Mapping { prefixes: Prefixes::new(pairs), ids, own: vec!["/config".into()] };
        let picture = "/config/metadata/library/0b/0b6b55851baacee5a4a5813b55440a2c/poster.jpg";
        assert_eq!(mapping.path(picture).as_deref(), Some("/var/lib/jellyfin/metadata/library/ff/ff0000000000000000000000000000aa/poster.jpg"));
        let token = "%MetadataPath%/library/0b/0b6b55851baacee5a4a5813b55440a2c/poster.jpg";
        assert_eq!(mapping.path(token).as_deref(), Some("%MetadataPath%/library/ff/ff0000000000000000000000000000aa/poster.jpg"));
        // A folder of the user's that is called like an item is none of the server's.
        assert_eq!(mapping.path("/media/0b/0b6b55851baacee5a4a5813b55440a2c").as_deref(), Some("/mnt/0b/0b6b55851baacee5a4a5813b55440a2c"));
        assert_eq!(mapping.value("0b6b55851baacee5a4a5813b55440a2c").as_deref(), Some("ff0000000000000000000000000000aa"));
        assert_eq!(mapping.value("a word"), None);
    }
}
