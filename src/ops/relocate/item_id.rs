//! The id that Jellyfin gives to an item: a hash of its type and its path (`docs/moving.md`,
//! "Ids").

use md5::{Digest, Md5};

use crate::archive::{Guid, guid_of_bytes, push_guid};

use super::prefixes::rest_within;

/// Where a server sees its directories, and how it spells keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Formula {
    /// Jellyfin's data directory.
    pub program_data: String,
    /// Its `data`: `%AppDataPath%`.
    pub data: String,
    /// `%MetadataPath%`.
    pub metadata: String,
    /// `EnableCaseSensitiveItemIds`, true where nothing is said.
    pub case_sensitive: bool,
    /// `EnableNormalizedItemByNameIds`, true where nothing is said.
    pub normalized_by_name: bool,
}

/// How the key of an item is spelt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As the path is.
    Exact,
    /// In lower case.
    Lower,
}

/// Types whose items are told by a name, where their folders lie in the metadata directory. An
/// artist's folder in the media is told by its path like any other.
const BY_NAME: [&str; 6] =
    ["Audio.MusicArtist", "Audio.MusicGenre", "Genre", "Person", "Studio", "Year"];

impl Formula {
    /// A path with its token replaced.
    pub(super) fn expand(&self, path: &str) -> String {
        for (token, dir) in [("%AppDataPath%", &self.data), ("%MetadataPath%", &self.metadata)] {
            if let Some(rest) = path.strip_prefix(token) {
                return format!("{dir}{rest}");
            }
        }
        path.to_owned()
    }

    /// How a server with these settings spells the key of an item of a type, at an expanded path.
    pub(super) fn spelling(&self, kind: &str, path: &str) -> Spelling {
        let is_by_name = kind
            .strip_prefix("MediaBrowser.Controller.Entities.")
            .is_some_and(|kind| BY_NAME.contains(&kind))
            && rest_within(path, &self.metadata).is_some();
        if !self.case_sensitive || (is_by_name && self.normalized_by_name) {
            Spelling::Lower
        } else {
            Spelling::Exact
        }
    }

    /// The id of the item of a type at an expanded path.
    pub(super) fn id_of_path(&self, kind: &str, path: &str, spelling: Spelling) -> Guid {
        // The server looks at the beginning alone: no separator needs to follow.
        match path.strip_prefix(self.program_data.as_str()) {
            Some(below) => {
                id_of_key(kind, &below.trim_start_matches(['/', '\\']).replace('/', "\\"), spelling)
            }
            None => id_of_key(kind, path, spelling),
        }
    }
}

/// The id of a season that has no folder.
pub(super) fn id_of_season(
    kind: &str,
    series: &Guid,
    index: Option<i64>,
    name: &str,
    spelling: Spelling,
) -> Guid {
    let mut key = Vec::with_capacity(64);
    push_guid(&mut key, series, false);
    let series: String = key.into_iter().map(char::from).collect();
    id_of_key(kind, &format!("{series}{}{name}", index.unwrap_or(-1)), spelling)
}

/// MD5 of the type and the key in UTF-16, its bytes read as .NET reads a GUID.
fn id_of_key(kind: &str, key: &str, spelling: Spelling) -> Guid {
    let mut hash = Md5::new();
    let mut push = |c: char| {
        c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| hash.update(unit.to_le_bytes()))
    };
    kind.chars().for_each(&mut push);
    for c in key.chars() {
        push(if spelling == Spelling::Lower { lower(c) } else { c });
    }
    guid_of_bytes(&hash.finalize()).unwrap_or_default()
}

/// .NET's invariant lower case: one character for one, U+0130 as it is.
fn lower(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{read_guid, stored_guid};

    fn formula() -> Formula {
        let dir = |name: &str| format!("/config{name}");
        Formula {
            program_data: dir(""),
            data: dir("/data"),
            metadata: dir("/metadata"),
            case_sensitive: true,
            normalized_by_name: true,
        }
    }

    /// Ids of a real server (`tests/fixtures/attic`).
    #[test]
    fn ids_of_a_real_server_come_out() {
        let episode = "MediaBrowser.Controller.Entities.TV.Episode";
        let path = "/media/shows/Distant Garden Chronicles 0/Season 01/Distant Garden Chronicles 0 S01E01.mkv";
        let id = formula().id_of_path(episode, path, formula().spelling(episode, path));
        assert_eq!(stored_guid(&id), "0B6B5585-1BAA-CEE5-A4A5-813B55440A2C");
    }

    #[test]
    fn what_lies_in_the_data_directory_keeps_its_id_wherever_that_is() {
        let elsewhere = Formula {
            program_data: "/var/lib/jellyfin".into(),
            data: "/var/lib/jellyfin/data".into(),
            ..formula()
        };
        let ids = [formula(), elsewhere].map(|at| {
            at.id_of_path("Folder", &at.expand("%AppDataPath%/collections"), Spelling::Exact)
        });
        assert_eq!(ids[0], ids[1]);
        // What only begins like it counts as being in it, too.
        let beside = |dir: &str| {
            Formula { program_data: dir.into(), ..formula() }.id_of_path(
                "Folder",
                &format!("{dir}-x/lib"),
                Spelling::Exact,
            )
        };
        assert_eq!(beside("/config"), beside("/data"));
    }

    #[test]
    fn lower_case_is_that_of_dotnet() {
        assert_eq!("İΣßÄ".chars().map(lower).collect::<String>(), "İσßä");
        let (upper, small) = (
            id_of_key("Person", "/M/Ä", Spelling::Lower),
            id_of_key("Person", "/m/ä", Spelling::Exact),
        );
        assert_eq!(upper, small);
        assert!(read_guid("0B6B5585-1BAA-CEE5-A4A5-813B55440A2C").is_some());
    }

    #[test]
    fn only_what_lies_in_the_metadata_directory_is_told_by_its_name() {
        let spelling = |kind: &str, path: &str| {
            formula().spelling(&format!("MediaBrowser.Controller.Entities.{kind}"), path)
        };
        assert_eq!(spelling("Person", "/config/metadata/People/A/Ana"), Spelling::Lower);
        assert_eq!(spelling("TV.Series", "/media/shows/Ana"), Spelling::Exact);
        let artist = "Audio.MusicArtist";
        assert_eq!(spelling(artist, "/config/metadata/artists/abba"), Spelling::Lower);
        assert_eq!(spelling(artist, "/media/music/abba"), Spelling::Exact);
    }
}
