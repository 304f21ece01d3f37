//! The user named a directory above or below the one that is meant: `/srv/jellyfin` for
//! `/srv/jellyfin/config`, or `/config/metadata`.

use std::path::{Path, PathBuf};

/// Directories above that are looked at.
const ABOVE: usize = 4;
/// Directories below that are looked at.
const BELOW: usize = 500;

/// The instance above or below a directory that is none itself.
pub(super) fn instance_beside(dir: &Path) -> Option<PathBuf> {
    if is_instance(dir) || is_what_is_left(dir) {
        return None;
    }
    let below = || {
        let mut children: Vec<PathBuf> =
            std::fs::read_dir(dir).ok()?.flatten().take(BELOW).map(|entry| entry.path()).collect();
        children.sort();
        children.into_iter().find(|child| is_instance(child))
    };
    below().or_else(|| {
        dir.ancestors().skip(1).take(ABOVE).find(|above| is_instance(above)).map(Path::to_path_buf)
    })
}

/// Whether a directory holds a server's database where a server has it, or is the `data` that does.
fn is_instance(dir: &Path) -> bool {
    let has =
        |base: &Path| ["jellyfin.db", "library.db"].iter().any(|name| base.join(name).is_file());
    let is_linuxservers = dir.join("system.xml").is_file() && dir.join("data/data").is_dir();
    let is_inner = has(dir)
        && dir.file_name().is_some_and(|name| name == "data")
        && !dir.join("data").is_dir();
    has(&dir.join("data")) || is_linuxservers || is_inner
}

/// Whether it is an instance that lost its database.
fn is_what_is_left(dir: &Path) -> bool {
    dir.join("config/system.xml").is_file()
        && (dir.join("data").is_dir() || dir.join("metadata").is_dir())
        || dir.join("data/.jellyfin-data").is_file()
        || dir.join("metadata/library").is_dir()
}
