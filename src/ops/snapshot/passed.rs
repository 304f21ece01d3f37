//! What came to a place that the walk had passed: a folder that moves there from one that was not
//! listed yet is in neither listing, and nothing is missing where it is looked for. An upgrade of
//! the server moves whole folders.

use std::os::fd::OwnedFd;

use rustix::fs::{Dir, Mode, OFlags};

use crate::manifest::{Time, display};
use crate::progress::{Interrupt, Problem};
use crate::source::{Found, Rules, ScanRoot, Stat, open_beneath};

use super::clock::now_ns;

/// Components of the folders that are looked at again. The folders of single items, which the
/// server moves, are in those of three (`metadata/library/ab`); those of the items are many more,
/// and each costs a system call.
const DEPTH_MAX: usize = 3;

/// Folders that the walk has passed.
pub(super) struct Passed {
    begun_ns: i128,
    folders: Vec<PassedFolder>,
}

struct PassedFolder {
    /// Number of the root.
    root: usize,
    /// Path below it.
    below: Vec<u8>,
    /// Logical path.
    path: Vec<u8>,
    /// Its times before it was listed; those of the first are not known.
    times: Option<(Time, Time)>,
}

impl PassedFolder {
    /// Whether nothing came to a folder that was stamped by a clock that has been put back since:
    /// its times are later than any that a change would give it now.
    fn is_untouched(&self, stat: &Stat, now_ns: i128) -> bool {
        stat.is_of_future(now_ns)
            && self.times.is_none_or(|times| times == (stat.mtime, stat.ctime))
    }
}

impl Passed {
    /// The walk begins now.
    pub(super) fn begin() -> Passed {
        let first = PassedFolder { root: 0, below: Vec::new(), path: Vec::new(), times: None };
        Passed { begun_ns: now_ns(), folders: vec![first] }
    }

    pub(super) fn note(&mut self, found: &Found<'_>) {
        if found.stat.is_dir()
            && found.path.iter().filter(|byte| **byte == b'/').count() < DEPTH_MAX
        {
            self.folders.push(PassedFolder {
                root: found.root,
                below: found.below.to_vec(),
                path: found.path.to_vec(),
                times: Some((found.stat.mtime, found.stat.ctime)),
            });
        }
    }

    /// Paths that came, since the walk began, to folders that it passed. The walk may have seen
    /// them all the same.
    pub(super) fn came(
        &self,
        roots: &[(ScanRoot, OwnedFd)],
        rules: &Rules,
        interrupt: &Interrupt,
    ) -> Vec<Vec<u8>> {
        let (mut came, now_ns) = (Vec::new(), now_ns());
        for folder in &self.folders {
            let PassedFolder { root: number, below, path, .. } = folder;
            // The first stands for a plain folder, which is not among what is found.
            let Some((root, fd)) =
                roots.get(*number).filter(|(root, _)| !path.is_empty() || root.logical.is_empty())
            else {
                continue;
            };
            let stat = if below.is_empty() {
                root.open(OFlags::PATH).and_then(Stat::of)
            } else {
                Stat::at(fd, below.as_slice())
            };
            // What cannot be looked at was told by the walk, or is gone.
            let may_have_more =
                |stat: Stat| stat.is_racy(self.begun_ns) && !folder.is_untouched(&stat, now_ns);
            if stat.is_ok_and(may_have_more) && !interrupt.is_raised() {
                self.came_to(fd, below, path, rules, &mut came);
            }
        }
        came
    }

    fn came_to(
        &self,
        root: &OwnedFd,
        below: &[u8],
        path: &[u8],
        rules: &Rules,
        came: &mut Vec<Vec<u8>>,
    ) {
        let Ok(dir) = open_beneath(root, below, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
        else {
            return;
        };
        let Ok(names) = Dir::read_from(&dir) else { return };
        for name in names.flatten() {
            let name = name.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = Stat::at(&dir, name) else { continue };
            let path = if path.is_empty() {
                name.to_bytes().to_vec()
            } else {
                [path, name.to_bytes()].join(&b'/')
            };
            if stat.was_moved_since(self.begun_ns)
                && stat.special().is_none()
                && !rules.leaves_out(&path, &stat)
                && rules.wants(rules.category(&path))
            {
                came.push(path);
            }
        }
    }
}

/// Told where it happens at each walk.
pub(super) fn problem(path: &[u8]) -> Problem {
    Problem {
        path: display(path),
        what: "it was moved here while the snapshot was taken, and things moved at each further attempt too, so some of its files may be missing from this \
               snapshot. The next snapshot, taken when nothing is being moved, contains them"
            .to_owned(),
    }
}
