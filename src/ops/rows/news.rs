//! A piece of news: what happened to whom, with the count and the first names.

use super::view::Id;

/// What a piece of news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Films, series, pictures, playlists.
    Library,
    /// Who watched what, who is new.
    Users,
    /// Devices, keys, the server's own work.
    Server,
    /// What a migration did.
    Upgrade,
}

impl Section {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Section::Library => "library",
            Section::Users => "users",
            Section::Server => "server",
            Section::Upgrade => "upgrade",
        }
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Where it belongs.
    pub section: Section,
    /// Whom or what it is about: a library, a user; empty where nobody in particular.
    pub about: String,
    /// What happened, with the count.
    pub what: String,
    /// How many.
    pub count: u64,
    /// Names, the first ones.
    pub names: Vec<String>,
}

/// A picture of an item that is another file now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureFile {
    /// The item.
    pub item: Id,
    /// What it shows.
    pub word: &'static str,
    /// Whether the file is new, gone or changed: there before, there after.
    pub sides: (bool, bool),
}
