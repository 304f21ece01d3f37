//! `--keep-old`: what is there is moved to `NAME.bak-TIME` first, as the documented manual restore
//! does. Everything is moved by its open directory: nobody can put another in its place.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::source::{Category, DATABASE_PATH, Layout, LiveFile, ScanRoot, Stat};

use super::super::Error;
use super::moved::Moved;
use super::trap::trap;
use super::{InstanceTarget, RestoreOptions};

/// As many restores of one second find a name.
const TRIES_MAX: usize = 100;
/// Deepest directory that is taken away again.
const DEPTH_MAX: usize = 256;

/// Moves aside what the restore will write.
pub(super) fn move_aside(
    target: &InstanceTarget,
    options: &RestoreOptions,
) -> Result<Vec<Moved>, Error> {
    let mut moves: Vec<Moved> = Vec::new();
    for from in to_be_moved(target, options)? {
        let to = unused_name(&from, &options.stamp);
        if !options.dry_run
            && let Err(error) = rename(&from, &to)
        {
            let source = Box::new(Error::Target {
                verb: "rename",
                path: from.shown().to_path_buf(),
                source: error.into(),
            });
            let what = match move_back(&moves) {
                Ok(()) => "nothing was changed: the directories that --keep-old had renamed have their old names again".to_owned(),
                Err((left, why)) => format!("--keep-old failed, and not all directories could be renamed back ({why}): {}", words(&left)),
            };
            return Err(Error::HalfDone { what, source });
        }
        moves.push(Moved { from, to });
    }
    Ok(moves)
}

/// The name that it gets: one that an earlier restore did not use.
fn unused_name(from: &LiveFile, stamp: &str) -> LiveFile {
    let first = format!("{}.bak-{stamp}", from.name().to_string_lossy());
    let named = |name: &str| {
        LiveFile::new(from.dir().clone(), OsStr::new(name), from.shown().with_file_name(name))
    };
    let later = (2..TRIES_MAX).map(|number| named(&format!("{first}-{number}")));
    std::iter::once(named(&first))
        .chain(later)
        .find(|to| to.stat().is_err())
        .unwrap_or_else(|| named(&first))
}

fn rename(from: &LiveFile, to: &LiveFile) -> rustix::io::Result<()> {
    rustix::fs::renameat(&**from.dir(), from.name(), &**to.dir(), to.name())
}

/// Where what was moved is now.
pub(super) fn words(moves: &[Moved]) -> String {
    let all: Vec<String> = moves
        .iter()
        .map(|moved| {
            format!("{} is now {}", moved.from.shown().display(), moved.to.shown().display())
        })
        .collect();
    all.join("; ")
}

/// Puts back what was moved aside; what could not be, and why. All that stands in its place was
/// written by the restore that failed.
pub(super) fn move_back(moves: &[Moved]) -> Result<(), (Vec<Moved>, std::io::Error)> {
    let (mut left, mut why) = (Vec::new(), None);
    for moved in moves.iter().rev() {
        if let Err(error) = remove(&moved.from, 0).and_then(|()| rename(&moved.to, &moved.from)) {
            left.push(moved.clone());
            why.get_or_insert(error.into());
        }
    }
    why.map_or(Ok(()), |why| Err((left, why)))
}

/// Takes away what stands at a place, a directory with all that is in it; no link is followed.
fn remove(place: &LiveFile, depth: usize) -> rustix::io::Result<()> {
    let stat = match Stat::at(&**place.dir(), place.name()) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    if !stat.is_dir() {
        return rustix::fs::unlinkat(&**place.dir(), place.name(), AtFlags::empty());
    }
    if depth > DEPTH_MAX {
        return Err(Errno::NAMETOOLONG);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = Arc::new(rustix::fs::openat(&**place.dir(), place.name(), flags, Mode::empty())?);
    let names: Vec<Vec<u8>> = rustix::fs::Dir::read_from(&*dir)?
        .map(|entry| Ok(entry?.file_name().to_bytes().to_vec()))
        .collect::<rustix::io::Result<_>>()?;
    for name in names.iter().filter(|name| !matches!(name.as_slice(), b"." | b"..")) {
        use std::os::unix::ffi::OsStrExt;
        remove(&LiveFile::new(dir.clone(), OsStr::from_bytes(name), PathBuf::new()), depth + 1)?;
    }
    rustix::fs::unlinkat(&**place.dir(), place.name(), AtFlags::REMOVEDIR)
}

/// What would be moved.
pub(super) fn to_be_moved(
    target: &InstanceTarget,
    options: &RestoreOptions,
) -> Result<Vec<LiveFile>, Error> {
    let layout = Layout::of(&target.instance);
    Ok(units(&layout, options)?
        .into_iter()
        .flat_map(|unit| whole_or_parts(&layout, unit))
        .collect())
}

/// The directories and files that hold what is selected.
fn units(layout: &Layout, options: &RestoreOptions) -> Result<Vec<LiveFile>, Error> {
    let selection = &options.selection;
    let mut found = Vec::new();
    let mut take = |path: &[u8]| -> Result<(), Error> {
        let place = match layout.roots.iter().find(|root| root.logical == path) {
            Some(root) => root_as_file(layout, root),
            None => layout.live_file(path).map_err(Some),
        };
        match place {
            Ok(file) => found.extend(Some(file).filter(|file| file.stat().is_ok())),
            Err(Some(error)) if error.is_untrusted() => return Err(trap(&error.to_string())),
            Err(_) => {}
        }
        Ok(())
    };
    if !selection.paths.is_empty() {
        selection.paths.iter().try_for_each(|path| take(path))?;
        return Ok(found);
    }
    if selection.is_all() {
        // The data directory itself stays: the others lie in it, and a container cannot move it.
        layout
            .roots
            .iter()
            .filter(|root| root.logical != b"programdata")
            .try_for_each(|root| take(&root.logical))?;
        if layout.database.is_some() {
            take(DATABASE_PATH)?;
        }
        return Ok(found);
    }
    for category in &selection.categories {
        let logical: &[&str] = match category {
            Category::Database => &["data/jellyfin.db"],
            Category::Config => &[
                "config",
                "root",
                "data/collections",
                "data/playlists",
                "data/ScheduledTasks",
                "data/livetv",
                "data/device.txt",
            ],
            Category::Metadata => &["metadata", "metadata-default"],
            Category::Subtitles => &["data/subtitles"],
            Category::Trickplay => &["data/trickplay"],
            Category::Attachments => &["data/attachments"],
            Category::Plugins => &["plugins"],
            Category::Other => &[],
        };
        logical.iter().try_for_each(|path| take(path.as_bytes()))?;
    }
    if selection.categories.contains(&Category::Database)
        && let Ok(database) = layout.live_file(DATABASE_PATH)
    {
        found.extend(
            ["-wal", "-shm"]
                .map(|ending| database.side(ending))
                .into_iter()
                .filter(|log| log.stat().is_ok()),
        );
    }
    Ok(found)
}

/// A root by its name in the directory that it lies in.
fn root_as_file(
    layout: &Layout,
    root: &ScanRoot,
) -> Result<LiveFile, Option<crate::source::OpenError>> {
    let (above, name) = root.dir.parent().zip(root.dir.file_name()).ok_or(None)?;
    let dir = layout.opener.dir(above).map_err(Some)?;
    Ok(LiveFile::new(Arc::new(dir), name, root.dir.clone()))
}

/// A directory that another root lies in (linuxserver.io's) is moved child by child.
fn whole_or_parts(layout: &Layout, unit: LiveFile) -> Vec<LiveFile> {
    let holds_root = |path: &Path| {
        layout.roots.iter().any(|root| root.dir != path && root.dir.starts_with(path))
    };
    let stays = |path: &Path| {
        layout.roots.iter().any(|root| root.dir == path)
            || layout.passing.iter().any(|dir| dir == path)
    };
    if !holds_root(unit.shown()) {
        return vec![unit];
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(dir) = rustix::fs::openat(&**unit.dir(), unit.name(), flags, Mode::empty()) else {
        return Vec::new();
    };
    let Ok(entries) = rustix::fs::Dir::read_from(&dir) else { return Vec::new() };
    let dir = Arc::new(dir);
    let names = entries
        .flatten()
        .map(|entry| entry.file_name().to_bytes().to_vec())
        .filter(|name| !matches!(name.as_slice(), b"." | b".."));
    let children = names.map(|name| {
        use std::os::unix::ffi::OsStrExt;
        let name = OsStr::from_bytes(&name);
        LiveFile::new(dir.clone(), name, unit.shown().join(name))
    });
    children.filter(|child| !stays(child.shown()) && !holds_root(child.shown())).collect()
}
