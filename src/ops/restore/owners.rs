//! Whose are the restored files? A server that runs as another user now could not open what kept
//! its old numbers.

use rustix::fs::{Mode, OFlags};

use crate::manifest::SnapshotRecord;
use crate::source::{Layout, Stat};
use crate::store::ChunkReader;

use super::super::Error;
use super::super::select::lookup;
use super::{Destination, Owners, RestoreOptions};

/// Who gets what belonged to the snapshot's server. Others keep their numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OwnerMap {
    from: (u32, u32),
    to: Option<(u32, u32)>,
    /// Nothing is given away.
    pub is_own: bool,
}

impl OwnerMap {
    /// The owner and group that stand for these.
    pub(super) fn of(&self, uid: u32, gid: u32) -> (u32, u32) {
        let Some(to) = self.to else { return (uid, gid) };
        (if uid == self.from.0 { to.0 } else { uid }, if gid == self.from.1 { to.1 } else { gid })
    }

    /// What the user should know.
    pub(super) fn words(&self) -> Option<String> {
        let to = self.to.filter(|to| *to != self.from)?;
        Some(format!(
            "files of the server's user ({}:{} in the snapshot) now belong to {}:{}. Use --owner keep to restore the snapshot's owners",
            self.from.0, self.from.1, to.0, to.1
        ))
    }
}

/// Finds out what the options mean.
pub(super) fn of(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    destination: &Destination,
    options: &RestoreOptions,
) -> Result<OwnerMap, Error> {
    let to = match (options.owners, destination) {
        (Owners::Own, _) => return Ok(OwnerMap { is_own: true, ..OwnerMap::default() }),
        (Owners::Keep, _)
        | (Owners::Target, Destination::Directory(_) | Destination::Arranged(..)) => None,
        (Owners::Set(uid, gid), _) => Some((uid, gid)),
        (Owners::Target, Destination::InPlace(target)) => owner_of(&Layout::of(&target.instance)),
    };
    let from = server_of(reader, record)?;
    Ok(match (from, to) {
        (Some(from), Some(to)) if rustix::process::geteuid().is_root() => {
            OwnerMap { from, to: Some(to), is_own: false }
        }
        _ => OwnerMap::default(),
    })
}

/// The user that the snapshot's server ran as: the owner of its data directory.
fn server_of(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
) -> Result<Option<(u32, u32)>, Error> {
    for path in [b"data".as_slice(), b"programdata", b"data/jellyfin.db", b"config"] {
        match lookup(reader, record, path) {
            Ok(Some(found)) => return Ok(Some((found.entry.uid, found.entry.gid))),
            Ok(None) => {}
            // What cannot be read is told when it is restored.
            Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// The owner of the first of these directories that tells one: an empty one that root made for the
/// restore does not.
fn owner_of(layout: &Layout) -> Option<(u32, u32)> {
    ["data", "programdata"].iter().find_map(|name| {
        // By its descriptor: by its path another's link could name somebody else.
        let fd = layout.roots.iter().find(|root| root.logical == name.as_bytes())?.at.as_ref()?;
        let stat = Stat::of(&**fd).ok()?;
        let names = rustix::fs::openat(
            &**fd,
            ".",
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .and_then(rustix::fs::Dir::new);
        // Folders alone may be those that this restore has just made.
        let is_empty = || {
            names.is_ok_and(|names| {
                names.flatten().all(|entry| entry.file_type() == rustix::fs::FileType::Directory)
            })
        };
        (stat.uid != 0 || !is_empty()).then_some((stat.uid, stat.gid))
    })
}
