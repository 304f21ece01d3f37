//! What a text of the server becomes: a path, an id, or a path with ids in it.

use crate::archive::read_guid;
use crate::manifest::Directories;

use super::ids::NewIds;
use super::prefixes::{Prefixes, rest_within};

/// Directories of the server that have a folder for each item, by its id.
#[derive(Clone, Debug, Default)]
pub(super) struct ItemFolders(Vec<String>);

impl ItemFolders {
    /// Those of a server that sees its directories there, also by their tokens.
    pub(super) fn of(places: &Directories) -> ItemFolders {
        let metadata = places
            .get("metadata")
            .into_iter()
            .map(String::as_str)
            .chain(["%MetadataPath%"])
            .map(|dir| format!("{dir}/library"));
        let usual = places
            .get("programdata")
            .map(|data| format!("{}/metadata/library", data.trim_end_matches('/')));
        let data: Vec<&str> =
            places.get("data").into_iter().map(String::as_str).chain(["%AppDataPath%"]).collect();
        let data = data.into_iter().flat_map(|dir| {
            ["attachments", "subtitles", "trickplay"].map(|name| format!("{dir}/{name}"))
        });
        ItemFolders(metadata.chain(usual).chain(data).collect())
    }

    /// The part of a path that is the folder of an item: where it begins, and how long it is.
    fn folder(&self, path: &str) -> Option<(usize, usize)> {
        let rest = self.0.iter().find_map(|root| rest_within(path, root))?.strip_prefix('/')?;
        let (digits, below) = rest.split_once('/')?;
        let name = below.split('/').next()?;
        let is_one = digits.len() == 2 && name.starts_with(digits) && read_guid(name).is_some();
        is_one.then(|| (path.len() - rest.len(), digits.len() + 1 + name.len()))
    }

    /// Whether a path leads into the folder of an item.
    pub(super) fn hold(&self, path: &str) -> bool {
        self.folder(path).is_some()
    }

    /// A path with the folder of an item by its new id, below the first two digits of it:
    /// `0b/0b6b…`.
    pub(super) fn renamed(&self, path: &str, ids: &NewIds) -> Option<String> {
        let (begin, len) = self.folder(path)?;
        let new = ids.in_text(path.get(begin + 3..begin + len)?)?;
        Some(format!("{}{}/{new}{}", path.get(..begin)?, new.get(..2)?, path.get(begin + len..)?))
    }
}

/// What stands between the paths of a list.
const LISTS: [char; 4] = [';', '|', ',', '\n'];

/// Paths and ids, old to new.
#[derive(Debug, Default)]
pub(super) struct Mapping {
    pub prefixes: Prefixes,
    pub ids: NewIds,
    pub folders: ItemFolders,
}

impl Mapping {
    /// The same paths, which become something that no old directory is in: what is named then is
    /// not replaced.
    pub(super) fn without_targets(&self) -> Mapping {
        Mapping { prefixes: self.prefixes.without_targets(), ..Mapping::default() }
    }

    /// A path of the server; nothing where it stays.
    pub(super) fn path(&self, path: &str) -> Option<String> {
        let renamed = self.folders.renamed(path, &self.ids);
        self.prefixes.map(renamed.as_deref().unwrap_or(path)).or(renamed)
    }

    /// A value that is a path, or has ids in it.
    pub(super) fn value(&self, text: &str) -> Option<String> {
        if !text.starts_with(['/', '%']) {
            return self.ids.in_text(text);
        }
        let separator = LISTS.iter().find(|separator| {
            text.contains(**separator)
                && text.split(**separator).all(|part| part.trim_start().starts_with('/'))
        });
        match separator {
            // A directory may have such a character in its name, too: then no part of it is one.
            Some(separator)
                if self.prefixes.map(text).is_none() || self.is_list(text, *separator) =>
            {
                self.list(text, *separator)
            }
            _ => self.path(text),
        }
    }

    /// Whether more than the first part of a text lies in a directory that moves.
    fn is_list(&self, text: &str, separator: char) -> bool {
        text.split(separator).skip(1).any(|part| self.path(part.trim()).is_some())
    }

    /// Paths one after another.
    fn list(&self, text: &str, separator: char) -> Option<String> {
        let mut is_other = false;
        let parts: Vec<String> = text
            .split(separator)
            .map(|part| {
                let new = self.path(part.trim());
                is_other |= new.is_some();
                new.map_or_else(|| part.to_owned(), |new| part.replacen(part.trim(), &new, 1))
            })
            .collect();
        is_other.then(|| parts.join(&separator.to_string()))
    }

    /// Whether a text may have anything in it that changes. Most JSON of items has nothing, and
    /// need not be parsed for that.
    pub(super) fn may_change(&self, text: &str) -> bool {
        // Escaped characters may hide a path.
        text.contains('\\')
            || text.contains('%')
            || self.prefixes.are_named_in(text)
            || self.ids.in_text(text).is_some()
    }

    /// Whether nothing would change.
    pub(super) fn is_identity(&self) -> bool {
        self.prefixes.is_identity() && self.ids.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_items_get_their_new_ids_and_paths_their_new_directories() {
        let ids = NewIds::new(vec![(
            read_guid("0b6b55851baacee5a4a5813b55440a2c").unwrap(),
            read_guid("ff0000000000000000000000000000aa").unwrap(),
        )]);
        let pairs = [("/config", "/var/lib/jellyfin"), ("/media", "/mnt")]
            .map(|(old, new)| (old.to_owned(), new.to_owned()));
        let places = [
            ("programdata", "/config"),
            ("data", "/config/data"),
            ("metadata", "/config/metadata"),
        ];
        let folders =
            ItemFolders::of(&places.map(|(name, dir)| (name.to_owned(), dir.to_owned())).into());
        let mapping = Mapping { prefixes: Prefixes::new(pairs), ids, folders };
        let picture = "/config/metadata/library/0b/0b6b55851baacee5a4a5813b55440a2c/poster.jpg";
        assert_eq!(
            mapping.path(picture).as_deref(),
            Some(
                "/var/lib/jellyfin/metadata/library/ff/ff0000000000000000000000000000aa/poster.jpg"
            )
        );
        let token = "%MetadataPath%/library/0b/0b6b55851baacee5a4a5813b55440a2c/poster.jpg";
        assert_eq!(
            mapping.path(token).as_deref(),
            Some("%MetadataPath%/library/ff/ff0000000000000000000000000000aa/poster.jpg")
        );
        let media = "/config/media/0b/0b6b55851baacee5a4a5813b55440a2c/film.mkv";
        assert_eq!(
            mapping.path(media).as_deref(),
            Some("/var/lib/jellyfin/media/0b/0b6b55851baacee5a4a5813b55440a2c/film.mkv")
        );
        // A folder of the user's that is called like an item is none of the server's.
        assert_eq!(
            mapping.path("/media/0b/0b6b55851baacee5a4a5813b55440a2c").as_deref(),
            Some("/mnt/0b/0b6b55851baacee5a4a5813b55440a2c")
        );
        assert_eq!(
            mapping.value("0b6b55851baacee5a4a5813b55440a2c").as_deref(),
            Some("ff0000000000000000000000000000aa")
        );
        assert_eq!(mapping.value("a word"), None);
    }
}
