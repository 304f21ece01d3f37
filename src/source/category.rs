//! Which category does a path belong to? The table of the command line's contract, as a function of
//! the logical path.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::manifest::is_within;

/// A part of the source with its own manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// The SQLite files.
    Database,
    /// Settings, libraries, users' pictures, playlists, collections.
    Config,
    /// Posters, people, chapter images.
    Metadata,
    /// Extracted subtitles.
    Subtitles,
    /// Preview sheets for seeking.
    Trickplay,
    /// Extracted fonts.
    Attachments,
    /// Plugins and their settings.
    Plugins,
    /// The rest.
    Other,
}

impl Category {
    /// All, in the order of their numbers.
    pub const ALL: [Category; 8] = [
        Category::Database,
        Category::Config,
        Category::Metadata,
        Category::Subtitles,
        Category::Trickplay,
        Category::Attachments,
        Category::Plugins,
        Category::Other,
    ];

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Category::Database => "database",
            Category::Config => "config",
            Category::Metadata => "metadata",
            Category::Subtitles => "subtitles",
            Category::Trickplay => "trickplay",
            Category::Attachments => "attachments",
            Category::Plugins => "plugins",
            Category::Other => "other",
        }
    }

    /// Its number: place in [`Category::ALL`].
    pub fn number(self) -> usize {
        self as usize
    }

    /// The category of a logical path of a Jellyfin instance, as far as its name tells; a SQLite
    /// file in `data/` or `plugins/` belongs to the database whatever this says.
    pub fn of(path: &[u8]) -> Category {
        let within = |folder: &str| is_within(path, folder.as_bytes());
        if path == DATABASE_PATH || within(KEPT_TABLES) {
            Category::Database
        } else if [
            "config",
            "root",
            "data/collections",
            "data/playlists",
            "data/ScheduledTasks",
            "data/livetv",
            "data/device.txt",
        ]
        .into_iter()
        .any(within)
            || path.strip_prefix(b"data/splashscreen").is_some_and(|rest| !rest.contains(&b'/'))
        {
            Category::Config
        } else if within("metadata") || within("metadata-default") {
            Category::Metadata
        } else if within("data/subtitles") {
            Category::Subtitles
        } else if within("data/trickplay") {
            Category::Trickplay
        } else if within("data/attachments") {
            Category::Attachments
        } else if within("plugins") {
            Category::Plugins
        } else {
            Category::Other
        }
    }

    /// Whether a SQLite database among its files belongs to the category database.
    pub fn may_hold_sqlite(self) -> bool {
        matches!(self, Category::Plugins | Category::Other)
    }
}

/// Where the tables of a zip are kept whose schema is not known.
pub const KEPT_TABLES: &str = "data/zip-tables";

/// Where the server's database stands in the logical tree.
pub const DATABASE_PATH: &[u8] = b"data/jellyfin.db";

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that is no category.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown category {0:?}; the categories are database, config, metadata, subtitles, trickplay, attachments, plugins and other"
)]
pub struct UnknownCategory(String);

impl FromStr for Category {
    type Err = UnknownCategory;
    fn from_str(word: &str) -> Result<Category, UnknownCategory> {
        Category::ALL
            .into_iter()
            .find(|category| category.name() == word)
            .ok_or_else(|| UnknownCategory(word.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_in_the_contract_holds() {
        for (path, category) in [
            ("data/jellyfin.db", Category::Database),
            ("config/system.xml", Category::Config),
            ("config/users/Ana/profile.png", Category::Config),
            ("root/default/Films/options.xml", Category::Config),
            ("data/collections/x [boxset]/collection.xml", Category::Config),
            ("data/playlists", Category::Config),
            ("data/ScheduledTasks/a.js", Category::Config),
            ("data/livetv/timers.json", Category::Config),
            ("data/device.txt", Category::Config),
            ("data/splashscreen-upload.png", Category::Config),
            ("data/splashscreen.png", Category::Config),
            ("metadata/library/ab/x/poster.jpg", Category::Metadata),
            ("metadata-default/People", Category::Metadata),
            ("data/subtitles/ab/x/2.srt", Category::Subtitles),
            ("data/trickplay/ab/x/320 - 10x10/0.jpg", Category::Trickplay),
            ("data/attachments/ab/x/font.ttf", Category::Attachments),
            ("plugins/configurations/x.xml", Category::Plugins),
            ("data/subtitles-old/x", Category::Other),
            ("data/.jellyfin-data", Category::Other),
            ("data", Category::Other),
            ("programdata/.jellyfin-data", Category::Other),
        ] {
            assert_eq!(Category::of(path.as_bytes()), category, "{path}");
        }
    }

    #[test]
    fn words_are_categories_and_back() {
        for category in Category::ALL {
            assert_eq!(category.name().parse(), Ok(category));
            assert_eq!(Category::ALL[category.number()], category);
        }
        assert!("images".parse::<Category>().is_err());
    }
}
