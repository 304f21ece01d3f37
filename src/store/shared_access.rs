//! What opens an encrypted repository for pages and threads: the keys that somebody found.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::encryption::{KeySlots, Keys};
use super::{Access, Error, Repository};

/// Opens a repository again and again, from any thread, with the keys that somebody found.
#[derive(Clone, Default)]
pub struct SharedAccess {
    /// As in [`Access`].
    pub cache_home: Option<PathBuf>,
    /// The keys, with the number of the slot that they came from, once they are found.
    pub keys: Arc<OnceLock<(u32, Keys)>>,
}

impl SharedAccess {
    /// The keys, where they are those of a repository with these slots.
    pub fn keys_for(&self, slots: &KeySlots) -> Option<Keys> {
        let (_, keys) = self.keys.get()?;
        let is_of = slots.slots.values().any(|slot| slot.repository == keys.repository());
        is_of.then(|| keys.clone())
    }

    /// Opens the repository in a folder.
    ///
    /// # Errors
    /// As [`Repository::open_as`]; [`Error::Locked`] where nobody has found its keys yet.
    pub fn open(&self, folder: &Path) -> Result<Repository, Error> {
        let keys = |slots: &KeySlots| self.keys_for(slots).ok_or(Error::Locked);
        let cache_home = self.cache_home.clone();
        Repository::open_as(folder, &Access { keys: &keys, cache_home, waiting: &|| {} })
    }
}
