//! The user named a directory above or below the one that is meant: `/srv/jellyfin` for
//! `/srv/jellyfin/config`, or `/config/metadata`.

use std::path::{Path, PathBuf};

/// Directories above that are looked at.
const ABOVE: usize = 4;
/// Directories in one, and further below, that are looked at.
const BELOW: usize = 500;

/// The instance above or below a directory that is none itself.
pub(super) fn instance_beside(dir: &Path) -> Option<PathBuf> {
    if is_instance(dir) || is_what_is_left(dir) {
        return None;
    }
    let is_one = |dir: &Path| is_instance(dir) || is_what_is_left(dir);
    let children = directories_in(dir);
    let below = || {
        let further = children.iter().flat_map(|child| directories_in(child));
        children.iter().cloned().chain(further.take(BELOW)).find(|child| is_one(child))
    };
    let above =
        || dir.ancestors().skip(1).take(ABOVE).find(|above| is_one(above)).map(Path::to_path_buf);
    below().or_else(above)
}

/// The directory of linuxserver.io's container of which only the inner `data` was named: its
/// settings lie beside that.
pub(super) fn whole_of_linuxservers(dir: &Path) -> Option<PathBuf> {
    let above = dir.parent().filter(|_| dir.file_name().is_some_and(|name| name == "data"))?;
    let is_whole = above.join("system.xml").is_file()
        && dir.join("data").is_dir()
        && !dir.join("config/system.xml").is_file();
    is_whole.then(|| above.to_path_buf())
}

/// The directories in a directory, sorted; no links.
fn directories_in(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().take(BELOW);
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
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
