//! What every server has, and what is empty or gone since the last complete snapshot: a disk that is not mounted below one of the directories, or
//! a deletion by mistake. A snapshot of that must not look like a good one.

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use crate::manifest::display;
use crate::progress::Problem;
use crate::source::ScanRoot;

use super::worth::Before;

/// Folders right below a root that servers fill and never take away.
const FOLDERS: [(&str, &[&str]); 3] = [("metadata", &["library", "People"]), ("metadata-default", &[]), ("root", &["default"])];
/// Files that every server has, by root.
const FILES: [(&str, &str); 3] = [("config", "network.xml"), ("config", "system.xml"), ("data", "device.txt")];

/// What is empty or gone. Whatever cannot be looked at is told by the walk.
pub(super) fn since(before: &Before<'_>, roots: &[ScanRoot], is_wanted: impl Fn(&[u8]) -> bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    let root = |name: &str| roots.iter().find(|root| root.logical == name.as_bytes());
    for (name, always) in FOLDERS {
        let Some(root) = root(name) else { continue };
        for folder in folders_without_files(root, always) {
            let path = [name.as_bytes(), b"/", &folder].concat();
            if is_wanted(&path) && before.has_files_in(&path) {
                let what = "this directory contains no files now, but it did in the last complete snapshot. Is a disk that belongs here not mounted? If \
                            they were deleted on purpose, take a snapshot with --accept-loss";
                problems.push(Problem { path: display(&path), what: what.to_owned() });
            }
        }
    }
    for (name, file) in FILES {
        let (Some(root), path) = (root(name), format!("{name}/{file}").into_bytes()) else { continue };
        if is_wanted(&path) && is_gone(root, file) && before.has_file(&path) {
            let what = "this file of the server is missing or empty, but the last complete snapshot contains it. Restore it from there, unless it was removed on purpose";
            problems.push(Problem { path: display(&path), what: what.to_owned() });
        }
    }
    problems
}

/// Those of a root's folders that hold nothing, and those of `always` that are not there.
fn folders_without_files(root: &ScanRoot, always: &[&str]) -> Vec<Vec<u8>> {
    let names = |name: &[u8], most| root.at.as_ref().and_then(|at| names_in(at, name, most));
    let Some(here) = names(b".", usize::MAX) else { return Vec::new() };
    let gone = always.iter().map(|name| name.as_bytes().to_vec()).filter(|name| !here.contains(name));
    let is_empty = |name: &Vec<u8>| names(name, 1).is_some_and(|below| below.is_empty());
    let mut found: Vec<_> = here.iter().filter(|name| is_empty(name)).cloned().chain(gone).collect();
    found.sort_unstable();
    found
}

/// The first names in a directory below an open one; nothing where it is none, or cannot be read.
fn names_in(at: &std::os::fd::OwnedFd, name: &[u8], most: usize) -> Option<Vec<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(at, name, flags, Mode::empty()).ok()?;
    let names = Dir::new(dir).ok()?.map(|entry| entry.map(|entry| entry.file_name().to_bytes().to_vec()));
    let is_own = |name: &rustix::io::Result<Vec<u8>>| !name.as_ref().is_ok_and(|name| name == b"." || name == b"..");
    let own = names.filter(is_own);
    own.take(most).collect::<Result<_, _>>().ok()
}

/// Whether a file is not there, or has no bytes.
fn is_gone(root: &ScanRoot, file: &str) -> bool {
    let Some(at) = &root.at else { return false };
    match rustix::fs::statat(at, file, AtFlags::empty()) {
        Ok(stat) => stat.st_size == 0,
        Err(error) => error == rustix::io::Errno::NOENT,
    }
}
