//! What stands in an entry's way, and how that is told: one entry's problem, or the end of the
//! restore.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;

use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::progress::Problem;
use crate::source::Stat;

use super::super::Error;

/// Markers of Jellyfin's directories: a server does not start where the wrong one lies.
const MARKER_PREFIX: &[u8] = b".jellyfin-";
const MARKERS: [&str; 7] = [
    ".jellyfin-config",
    ".jellyfin-log",
    ".jellyfin-plugin",
    ".jellyfin-data",
    ".jellyfin-cache",
    ".jellyfin-root",
    ".jellyfin-transcode",
];

/// How the problem begins of an entry that is there with its content.
pub(super) const UNDRESSED: &str = "it is restored, but not its ";
const IN_THE_WAY: &str = "a directory that is not empty is in its place; nothing was changed";
/// As many entries with the same words are named one by one.
const ALIKE_NAMED: usize = 3;

/// A file system without modes or owners fails each entry alike: that is one problem.
pub(super) fn gathered(problems: Vec<Problem>) -> Vec<Problem> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for problem in problems.iter().filter(|problem| problem.what.starts_with(UNDRESSED)) {
        *alike.entry(problem.what.clone()).or_default() += 1;
    }
    let mut kept = Vec::new();
    for mut problem in problems {
        match alike.get_mut(&problem.what) {
            Some(0) => continue,
            Some(count) if *count > ALIKE_NAMED => {
                problem.what.push_str(&format!("; so it is with {} more files and directories: the file system there keeps no such facts", *count - 1));
                *count = 0;
            }
            _ => {}
        }
        kept.push(problem);
    }
    kept
}

/// Why an entry is not where it belongs.
pub(super) enum Failure {
    /// This one only: a problem.
    Entry(String),
    /// The restore cannot go on.
    Fatal(Error),
}

pub(super) fn no_place() -> Failure {
    Failure::Entry("the target has no directory for this category".to_owned())
}

pub(super) fn obstacle(error: Errno, what: &str) -> Failure {
    match error {
        Errno::LOOP | Errno::NOTDIR => Failure::Entry("a link or a file is in the place of a directory of its path; nothing was written through it".to_owned()),
        error => full_or(error, what),
    }
}

/// A full disk ends the restore; anything else is this entry's problem.
pub(super) fn full_or(error: Errno, what: &str) -> Failure {
    let source = std::io::Error::from(error);
    match error {
        Errno::NOSPC | Errno::DQUOT => {
            Failure::Fatal(Error::Target { verb: "write to", path: "the target".into(), source })
        }
        _ => Failure::Entry(format!("{what} ({source})")),
    }
}

pub(super) fn stat_in(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Stat>, Failure> {
    match Stat::at(dir, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(Failure::Entry(format!(
            "the existing file could not be examined ({})",
            std::io::Error::from(error)
        ))),
    }
}

/// What [`clear_way`] would say.
pub(super) fn would_clear(
    dir: BorrowedFd<'_>,
    name: &[u8],
    existing: Option<Stat>,
) -> Result<(), Failure> {
    let is_empty = |dir: rustix::fd::OwnedFd| {
        rustix::fs::Dir::new(dir).is_ok_and(|names| {
            names.flatten().all(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
        })
    };
    let in_the_way = existing.is_some_and(|stat| stat.is_dir())
        && !crate::source::open_dir(dir, name).is_ok_and(is_empty);
    if in_the_way { Err(Failure::Entry(IN_THE_WAY.to_owned())) } else { Ok(()) }
}

/// A rename replaces files and links; an empty directory is taken away for it, a full one is not.
pub(super) fn clear_way(
    dir: BorrowedFd<'_>,
    name: &[u8],
    existing: Option<Stat>,
) -> Result<(), Failure> {
    if existing.is_some_and(|stat| stat.is_dir())
        && rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR).is_err()
    {
        return Err(Failure::Entry(IN_THE_WAY.to_owned()));
    }
    Ok(())
}

/// Whether this is a marker of Jellyfin's beside which another one lies.
pub(super) fn is_second_marker(dir: BorrowedFd<'_>, name: &[u8]) -> bool {
    name.starts_with(MARKER_PREFIX)
        && MARKERS.iter().any(|marker| marker.as_bytes() != name && Stat::at(dir, *marker).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_alike_for_all_is_told_once() {
        let problem =
            |path: &str, what: &str| Problem { path: path.to_owned(), what: what.to_owned() };
        let mode = format!("{UNDRESSED}mode (Operation not permitted)");
        let mut many: Vec<Problem> = (0..50).map(|n| problem(&n.to_string(), &mode)).collect();
        many.extend([
            problem("x", "it could not be put in place"),
            problem("y", "it could not be put in place"),
        ]);
        many.extend((0..3).map(|n| problem(&format!("o{n}"), &format!("{UNDRESSED}owner"))));
        let told = gathered(many);
        assert_eq!(
            told.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(),
            ["0", "x", "y", "o0", "o1", "o2"]
        );
        assert!(told[0].what.starts_with(&mode) && told[0].what.contains("49 more"), "{told:?}");
    }
}
