//! Which repositories has this user used? One that was there and is gone is a disk that is not
//! mounted, not a wish for a new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backend::CacheFile;

/// The date is written again only when it is older than this: snapshots come every few minutes.
const FRESH_SECONDS: i64 = 600;

/// The memory: one small file of the user's.
pub struct Known {
    file: Option<PathBuf>,
    held: Held,
    /// Why what was remembered is not known.
    pub trouble: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
struct Held {
    #[serde(default)]
    repositories: BTreeMap<String, Use>,
    /// Repositories that this user made, by their ids.
    #[serde(default)]
    made: BTreeMap<String, Use>,
    /// Directories that restores made.
    #[serde(default)]
    restored: BTreeMap<String, Made>,
}

/// A directory that a restore made, or filled when it was empty.
#[derive(Clone, Serialize, Deserialize)]
struct Made {
    last_used: jiff::Timestamp,
    /// The id of the repository that it came from.
    #[serde(default)]
    repository: String,
    /// Device and number: another disk at this path is another directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<(u64, u64)>,
}

/// A repository's last use.
#[derive(Clone, Serialize, Deserialize)]
struct Use {
    last_used: jiff::Timestamp,
    /// Whether it was an encrypted repository.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    encrypted: bool,
}

impl Use {
    fn now() -> Use {
        Use { last_used: jiff::Timestamp::now(), encrypted: false }
    }
}

impl Known {
    /// The user's memory; an empty one where there is none. One that cannot be read is empty too,
    /// and says so.
    pub fn load() -> Known {
        let file = state_dir().map(|dir| dir.join("repositories.toml"));
        let (held, trouble) = match file.as_deref().map(read) {
            Some(Ok(held)) => (held, None),
            Some(Err(trouble)) => (Held::default(), Some(trouble)),
            None => (Held::default(), None),
        };
        Known { file, held, trouble }
    }

    /// When the repository at this path was last used.
    pub fn last_used(&self, path: &Path) -> Option<jiff::Timestamp> {
        Some(self.held.repositories.get(&key(path))?.last_used)
    }

    /// Whether the repository at this path was encrypted when it was last used.
    pub fn was_encrypted(&self, path: &Path) -> bool {
        self.held.repositories.get(&key(path)).is_some_and(|last| last.encrypted)
    }

    /// Remembers that it was used now. Where nothing can be written, nothing is remembered: that
    /// must not keep anyone from a snapshot.
    pub fn remember(&mut self, path: &Path, encrypted: bool) {
        let now = jiff::Timestamp::now();
        if self.was_encrypted(path) == encrypted
            && self
                .last_used(path)
                .is_some_and(|last| (now.as_second() - last.as_second()).abs() < FRESH_SECONDS)
        {
            return;
        }
        self.held.repositories.insert(key(path), Use { last_used: now, encrypted });
        crate::tolerate(self.write());
    }

    /// Whether this user made the repository with this id.
    pub fn has_made(&self, id: &str) -> bool {
        self.held.made.contains_key(id)
    }

    /// Remembers that this user made one.
    pub fn remember_made(&mut self, id: &str) {
        self.held.made.insert(id.to_owned(), Use::now());
        crate::tolerate(self.write());
    }

    /// Whether a restore of this repository made this directory: nothing in it is anybody else's.
    pub fn has_restored(&self, dir: &Path, repository: &str) -> bool {
        let made = self.held.restored.get(&key(dir)).filter(|made| made.repository == repository);
        made.is_some_and(|made| made.place.is_none() || made.place == place_of(dir))
    }

    /// Remembers that one makes it: before, so that one that is stopped can go on, and afterwards,
    /// when it is there. One that had something in it before the first restore is not remembered,
    /// unless the user had all of that deleted.
    pub fn remember_restored(&mut self, dir: &Path, repository: &str, has_nothing_else: bool) {
        let is_empty = std::fs::read_dir(dir).map_or_else(
            |error| error.kind() == std::io::ErrorKind::NotFound,
            |mut names| names.next().is_none(),
        );
        if has_nothing_else || is_empty || self.has_restored(dir, repository) {
            let made = Made {
                last_used: jiff::Timestamp::now(),
                repository: repository.to_owned(),
                place: place_of(dir),
            };
            self.held.restored.insert(key(dir), made);
            crate::tolerate(self.write());
        }
    }

    fn write(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let text = toml::to_string(&self.held).map_err(std::io::Error::other)?;
        let mut new = CacheFile::begin(file)?;
        new.append(text.as_bytes())?;
        new.finish()
    }
}

fn read(file: &Path) -> Result<Held, String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{} cannot be read ({error})", file.display());
    match std::fs::read_to_string(file) {
        Ok(text) => toml::from_str(&text).map_err(|error| failed(&error.message())),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Held::default())
        }
        Err(error) => Err(failed(&error)),
    }
}

fn place_of(dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(dir).ok().map(|facts| (facts.dev(), facts.ino()))
}

/// The path as the user means it, whether something is there or not.
fn key(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let mut plain = PathBuf::new();
    // The disk may be away, so the path is taken as it is written: `a/../b` is `b`.
    for part in absolute.components() {
        if part == std::path::Component::ParentDir {
            plain.pop();
        } else {
            plain.push(part);
        }
    }
    plain.to_string_lossy().trim_end_matches('/').to_owned()
}

/// Where a user's programs keep what they remember. Jellyfin's service user has none: its home is
/// the server's data directory.
pub fn state_dir() -> Option<PathBuf> {
    let named =
        std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let home = || {
        std::env::home_dir()
            .filter(|home| home.is_absolute() && jellyfins_directory(home).is_none())
            .map(|home| home.join(".local/state"))
    };
    named.or_else(home).map(|dir| dir.join("jellyvault"))
}

/// The directory of Jellyfin's that a path lies in.
pub fn jellyfins_directory(path: &Path) -> Option<&Path> {
    path.ancestors().find(|dir| {
        dir.join("data/jellyfin.db").exists()
            || dir.join("data/library.db").exists()
            || *dir == Path::new("/var/lib/jellyfin")
    })
}
