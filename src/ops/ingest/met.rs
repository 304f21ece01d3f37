//! What was met at a path: a directory, a link, a file that was read.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::manifest::{Kind, file_name, parent};
use crate::source::{self, Stat};

use super::item::Item;
use super::item::ReadDone;

/// Something that was there when its directory was listed. It may have moved to a place that was
/// passed already, so the source is walked again; only what vanishes each time is told.
pub(in crate::ops) const VANISHED: &str = "it disappeared while the snapshot was taken, and files disappeared at each further attempt too, so it is not in this snapshot";

/// Extended attributes: (name, value).
type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// Takes the words of a problem with the path.
type Tell<'t> = &'t mut dyn FnMut(String);

/// A path as it was read.
pub(in crate::ops) struct Met {
    pub kind: Kind,
    pub stat: Stat,
    pub xattrs: Attributes,
    /// It is what the scan saw: the next capture may believe its stat.
    pub is_settled: bool,
}

impl Met {
    pub(in crate::ops) fn directory(
        root: &OwnedFd,
        below: &[u8],
        item: &Item,
        problem: Tell<'_>,
    ) -> Met {
        let xattrs = xattrs(held(root, below).and_then(|fd| source::xattrs_of_held(&fd)), problem);
        Met { kind: Kind::Directory, stat: item.stat, xattrs, is_settled: true }
    }

    /// Nothing where the link cannot be read.
    pub(in crate::ops) fn link(
        root: &OwnedFd,
        below: &[u8],
        item: &Item,
        problem: Tell<'_>,
    ) -> Option<Met> {
        let read = held_link(root, below)
            .and_then(|link| Ok((rustix::fs::readlinkat(&link, "", Vec::new())?, link)));
        match read {
            Ok((target, link)) => {
                let xattrs = xattrs(source::xattrs_of_held(&link), problem);
                Some(Met {
                    kind: Kind::Symlink { target: target.into_bytes() },
                    stat: item.stat,
                    xattrs,
                    is_settled: true,
                })
            }
            Err(Errno::NOENT) => {
                problem(VANISHED.to_owned());
                None
            }
            Err(error) => {
                problem(format!(
                    "the link could not be read ({}), so it is not in this snapshot",
                    word(error)
                ));
                None
            }
        }
    }

    pub(in crate::ops) fn file(done: ReadDone, item: &Item, problem: Tell<'_>) -> Met {
        if done.moved {
            problem("it changed every time it was read. The version in this snapshot may be a mixture of old and new content".to_owned());
        }
        // Changed between the scan and the reading: the next scan will see a stat that this one did
        // not.
        let is_settled = !done.moved && done.stat.same_content(&item.stat);
        Met {
            kind: Kind::File { size: done.size, content: done.content },
            stat: done.stat,
            xattrs: done.xattrs,
            is_settled,
        }
    }
}

fn xattrs(read: Result<Attributes, Errno>, problem: Tell<'_>) -> Attributes {
    match read {
        Ok(found) => return found,
        Err(Errno::NOENT) => problem(VANISHED.to_owned()),
        Err(error) => {
            problem(format!("its extended attributes could not be read ({})", word(error)))
        }
    }
    Vec::new()
}

/// Why a file is not in the snapshot.
pub(in crate::ops) fn unread(error: &std::io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => VANISHED.to_owned(),
        Some(Errno::LOOP | Errno::INVAL | Errno::XDEV) => {
            "it was replaced by something else while the snapshot was taken, so it is not in this snapshot".to_owned()
        }
        _ => format!("it could not be read ({error}), so it is not in this snapshot"),
    }
}

/// A directory below a root, for its attributes; through no link.
fn held(root: &OwnedFd, below: &[u8]) -> Result<OwnedFd, Errno> {
    source::open_beneath(root, below, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
}

/// A symbolic link itself: its directory is reached through none.
fn held_link(root: &OwnedFd, below: &[u8]) -> Result<OwnedFd, Errno> {
    let above = held(root, parent(below).unwrap_or_default())?;
    rustix::fs::openat(
        &above,
        file_name(below),
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
}

/// An error number in words.
pub(in crate::ops) fn word(error: Errno) -> String {
    std::io::Error::from(error).to_string()
}
