//! What every server has, and what is empty or gone since the last complete snapshot: a disk that
//! is not mounted below one of the directories, or a deletion by mistake. A snapshot of that must
//! not look like a good one.

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use crate::manifest::display;
use crate::progress::Problem;
use crate::source::{ScanRoot, is_database};

use super::worth::{Before, LIBRARY};

/// Folders right below a root that servers fill and never take away.
const FOLDERS: [(&str, &[&str]); 3] =
    [("metadata", &["library", "People"]), ("metadata-default", &[]), ("root", &["default"])];
/// Roots that every server has, and folders of `data` that it keeps once they are there.
const ROOTS: [&str; 2] = ["root", "config"];
const OF_DATA: [&str; 2] = ["playlists", "collections"];
/// Folders that may become empty in a server's life, though not while there is much in them.
const OF_MANY: [(&str, &str); 5] = [
    ("config", "users"),
    ("data", "attachments"),
    ("data", "collections"),
    ("data", "playlists"),
    ("data", "subtitles"),
];
/// From so many files on an emptied folder is a problem; one of fewer is a remark.
const MANY: usize = 10;
/// Files that every server has, by root, with the name that a later version gives them.
const FILES: [(&str, &str, &str); 4] = [
    ("config", "network.xml", ""),
    ("config", "system.xml", ""),
    ("data", "device.txt", ""),
    ("data", "library.db", "library.db.old"),
];
const FOLDER_IS_EMPTY: &str = "this directory contains no files now, but it did in the last complete snapshot. Is a disk that belongs here not mounted? If \
                               they were deleted on purpose, take a snapshot with --accept-loss";
const FOLDER_IS_GONE: &str = "this directory is missing, but the last complete snapshot has files in it. Restore it from there, unless it was removed on \
                              purpose: then take a snapshot with --accept-loss";
const NO_DATABASE: &str = "this file is not a database any more, but the last complete snapshot has one here, with the library and watch state. The file is \
                           in this snapshot unchanged. Restore the database from the last complete snapshot";

/// What is empty or gone. Whatever cannot be looked at is told by the walk.
pub(super) fn since(
    before: &Before<'_>,
    roots: &[ScanRoot],
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = |name: &str| roots.iter().find(|root| root.logical == name.as_bytes());
    for (name, always) in FOLDERS {
        let Some(root) = root(name) else { continue };
        for folder in folders_without_files(root, always) {
            let path = [name.as_bytes(), b"/", &folder].concat();
            if is_wanted(&path) && before.has_files_in(&path) {
                problems.push(Problem { path: display(&path), what: FOLDER_IS_EMPTY.to_owned() });
            }
        }
    }
    // The folder of plugins has at least their settings in it, once there are any.
    if let Some(at) = root("plugins").and_then(|root| root.at.as_ref())
        && names_in(at, b".", 1).is_some_and(|names| names.is_empty())
        && is_wanted(b"plugins")
        && before.has_files_in(b"plugins")
    {
        let path = "plugins".to_owned();
        problems.push(Problem { path, what: FOLDER_IS_EMPTY.to_owned() });
    }
    let gone_roots = ROOTS
        .iter()
        .filter(|name| root(name).is_none_or(|root| !root.dir.is_dir()))
        .map(|name| (*name).to_owned());
    let is_gone_of_data =
        |name: &&&str| root("data").is_some_and(|data| stat_of(data, name) == Err(Errno::NOENT));
    let gone_of_data = OF_DATA.iter().filter(is_gone_of_data).map(|name| format!("data/{name}"));
    for path in gone_roots.chain(gone_of_data) {
        if is_wanted(path.as_bytes()) && before.has_files_in(path.as_bytes()) {
            problems.push(Problem { path, what: FOLDER_IS_GONE.to_owned() });
        }
    }
    for (folder, files) in emptied_of_many(before, &root, &is_wanted) {
        if files == MANY {
            problems.push(Problem { path: folder, what: FOLDER_IS_EMPTY.to_owned() });
        }
    }
    let library =
        root("data").filter(|data| before.has_file(LIBRARY) && is_no_database(data, "library.db"));
    if library.is_some() && is_wanted(LIBRARY) {
        problems.push(Problem { path: display(LIBRARY), what: NO_DATABASE.to_owned() });
    }
    for (name, file, later) in FILES {
        let (Some(root), path) = (root(name), format!("{name}/{file}").into_bytes()) else {
            continue;
        };
        let is_renamed = !later.is_empty() && !is_gone(root, later);
        if is_wanted(&path) && is_gone(root, file) && !is_renamed && before.has_file(&path) {
            let what = "this file of the server is missing or empty, but the last complete snapshot contains it. Restore it from there, unless it was removed on purpose";
            problems.push(Problem { path: display(&path), what: what.to_owned() });
        }
    }
    problems
}

/// What a folder lost that had few files: a day's work, perhaps, but nobody should miss it.
pub(super) fn remarks(
    before: &Before<'_>,
    roots: &[ScanRoot],
    is_wanted: impl Fn(&[u8]) -> bool,
) -> Vec<String> {
    let root = |name: &str| roots.iter().find(|root| root.logical == name.as_bytes());
    let few = emptied_of_many(before, &root, &is_wanted);
    few.into_iter()
        .filter(|(_, files)| *files < MANY)
        .map(|(folder, files)| {
            let files = if files == 1 { "1 file".to_owned() } else { format!("{files} files") };
            format!("{folder} contains no files now; the last complete snapshot has {files} there")
        })
        .collect()
}

/// Which of these folders are empty or missing, with how many files they had, at most [`MANY`].
fn emptied_of_many<'s>(
    before: &Before<'_>,
    root: &dyn Fn(&str) -> Option<&'s ScanRoot>,
    is_wanted: &dyn Fn(&[u8]) -> bool,
) -> Vec<(String, usize)> {
    let is_empty = |(name, folder): &(&str, &str)| {
        let Some(root) = root(name) else { return false };
        let names = root.at.as_ref().and_then(|at| names_in(at, folder.as_bytes(), 1));
        // One that is missing altogether is told where servers always keep it.
        let is_gone = !OF_DATA.contains(folder) && stat_of(root, folder) == Err(Errno::NOENT);
        names.is_some_and(|names| names.is_empty()) || is_gone
    };
    OF_MANY
        .iter()
        .filter(|place| is_empty(place))
        .map(|(name, folder)| format!("{name}/{folder}"))
        .filter(|path| is_wanted(path.as_bytes()))
        .map(|path| (before.files_in(path.as_bytes(), MANY), path))
        .filter(|(files, _)| *files > 0)
        .map(|(files, path)| (path, files))
        .collect()
}

/// Those of a root's folders that hold nothing, and those of `always` that are not there.
fn folders_without_files(root: &ScanRoot, always: &[&str]) -> Vec<Vec<u8>> {
    let names = |name: &[u8], most| root.at.as_ref().and_then(|at| names_in(at, name, most));
    let Some(here) = names(b".", usize::MAX) else { return Vec::new() };
    let gone =
        always.iter().map(|name| name.as_bytes().to_vec()).filter(|name| !here.contains(name));
    let is_empty = |name: &Vec<u8>| names(name, 1).is_some_and(|below| below.is_empty());
    let mut found: Vec<_> =
        here.iter().filter(|name| is_empty(name)).cloned().chain(gone).collect();
    found.sort_unstable();
    found
}

/// The first names in a directory below an open one; nothing where it is none, or cannot be read.
fn names_in(at: &std::os::fd::OwnedFd, name: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(at, name, flags, Mode::empty()).ok()?;
    let names =
        Dir::new(dir).ok()?.map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
    let is_own = |name: &rustix::io::Result<Vec<u8>>| {
        !name.as_ref().is_ok_and(|name| name == b"." || name == b"..")
    };
    let own = names.filter(is_own);
    own.take(most).collect::<Result<_, _>>().ok()
}

/// Whether a file is not there, or has no bytes.
fn is_gone(root: &ScanRoot, file: &str) -> bool {
    match stat_of(root, file) {
        Ok(size) => size == 0,
        Err(error) => error == Errno::NOENT,
    }
}

/// The size of a file right below a root.
fn stat_of(root: &ScanRoot, name: &str) -> Result<i64, Errno> {
    let at = root.at.as_ref().ok_or(Errno::BADF)?;
    rustix::fs::statat(at, name, AtFlags::empty()).map(|stat| stat.st_size)
}

/// Whether a file that can be read does not begin as a database does.
fn is_no_database(root: &ScanRoot, name: &str) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = root
        .at
        .as_ref()
        .and_then(|at| rustix::fs::openat(at, name, flags, Mode::empty()).ok())
        .map(std::fs::File::from);
    let file =
        file.filter(|file| file.metadata().is_ok_and(|facts| facts.is_file() && facts.len() > 0));
    file.is_some_and(|mut file| is_database(&mut file).is_ok_and(|is_one| !is_one))
}
