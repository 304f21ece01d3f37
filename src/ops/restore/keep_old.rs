//! `--keep-old`: what is there is moved to `NAME.bak-TIME` first, as the documented manual restore does.

use std::path::{Path, PathBuf};

use crate::source::{Category, DATABASE_PATH, Layout, side_file};

use super::super::Error;
use super::{InstanceTarget, RestoreOptions};

/// Moves aside what the restore will write; from and to of each move.
pub(super) fn move_aside(target: &InstanceTarget, options: &RestoreOptions) -> Result<Vec<(PathBuf, PathBuf)>, Error> {
    let mut moves = Vec::new();
    for path in to_be_moved(target, options) {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let to = path.with_file_name(format!("{name}.bak-{}", options.stamp));
        if !options.dry_run
            && let Err(error) = rustix::fs::rename(&path, &to)
        {
            let source = Box::new(Error::Target { verb: "move aside", path: path.clone(), source: error.into() });
            let what = match move_back(&moves) {
                Ok(()) => "nothing was changed: what --keep-old had moved away is back".to_owned(),
                Err((left, why)) => {
                    let left: Vec<String> = left.iter().map(|(from, to)| format!("{} is now {}", from.display(), to.display())).collect();
                    format!("--keep-old failed, and not everything could be put back ({why}): {}", left.join("; "))
                }
            };
            return Err(Error::HalfDone { what, source });
        }
        moves.push((path, to));
    }
    Ok(moves)
}

/// Puts back what was moved aside; what could not be, and why. All that stands in its place was written by the restore that failed.
pub(super) fn move_back(moves: &[(PathBuf, PathBuf)]) -> Result<(), (Vec<(PathBuf, PathBuf)>, std::io::Error)> {
    let (mut left, mut why) = (Vec::new(), None);
    for (from, to) in moves.iter().rev() {
        let cleared = match std::fs::symlink_metadata(from) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(from),
            Ok(_) => std::fs::remove_file(from),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = cleared.and_then(|()| rustix::fs::rename(to, from).map_err(Into::into)) {
            left.push((from.clone(), to.clone()));
            why.get_or_insert(error);
        }
    }
    why.map_or(Ok(()), |why| Err((left, why)))
}

/// What would be moved.
pub(super) fn to_be_moved(target: &InstanceTarget, options: &RestoreOptions) -> Vec<PathBuf> {
    let layout = Layout::of(&target.instance);
    units(&layout, options).into_iter().flat_map(|unit| whole_or_parts(&layout, unit)).collect()
}

/// The directories and files that hold what is selected.
fn units(layout: &Layout, options: &RestoreOptions) -> Vec<PathBuf> {
    let selection = &options.selection;
    if !selection.paths.is_empty() {
        return selection.paths.iter().filter_map(|path| layout.locate(path)).filter(|path| path.exists()).collect();
    }
    if selection.is_all() {
        // The data directory itself stays: the others lie in it, and a container cannot move it.
        let roots = layout.roots.iter().filter(|root| root.logical != b"programdata").map(|root| root.dir.clone());
        return roots.chain(layout.database.clone()).filter(|path| path.exists()).collect();
    }
    let logical = selection.categories.iter().flat_map(|category| match category {
        Category::Database => vec!["data/jellyfin.db"],
        Category::Config => vec!["config", "root", "data/collections", "data/playlists", "data/ScheduledTasks", "data/livetv", "data/device.txt"],
        Category::Metadata => vec!["metadata", "metadata-default"],
        Category::Subtitles => vec!["data/subtitles"],
        Category::Trickplay => vec!["data/trickplay"],
        Category::Attachments => vec!["data/attachments"],
        Category::Plugins => vec!["plugins"],
        Category::Other => vec![],
    });
    let mut found: Vec<PathBuf> = logical.filter_map(|path| layout.locate(path.as_bytes())).collect();
    if selection.categories.contains(&Category::Database)
        && let Some(database) = layout.locate(DATABASE_PATH)
    {
        found.extend(["-wal", "-shm"].map(|ending| side_file(&database, ending)));
    }
    found.retain(|path| path.exists());
    found
}

/// A directory that another root lies in (linuxserver.io's) is moved child by child.
fn whole_or_parts(layout: &Layout, unit: PathBuf) -> Vec<PathBuf> {
    let holds_root = |path: &Path| layout.roots.iter().any(|root| root.dir != path && root.dir.starts_with(path));
    let stays = |path: &Path| layout.roots.iter().any(|root| root.dir == path) || layout.passing.iter().any(|dir| dir == path);
    if !holds_root(&unit) {
        return vec![unit];
    }
    let Ok(children) = std::fs::read_dir(&unit) else { return Vec::new() };
    children.flatten().map(|child| child.path()).filter(|path| !stays(path) && !holds_root(path)).collect()
}
