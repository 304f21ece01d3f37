//! A server whose paths were changed halfway must not start: its library scan would delete what it does not find. A marker file keeps Jellyfin 10.11
//! and later from starting: they refuse a data directory that has another marker than their own, and name it in their log.

use std::io::{Read, Write};

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::manifest::SnapshotId;
use crate::source::{Instance, Layout, open_beneath};

use super::super::Error;

/// The file in the data directory. Its name is what a server's log shows.
pub const UNFINISHED: &str = ".jellyfin-unfinished-move-see-jellyvault-move-undo";

const WORDS: &str = "A move of this server was interrupted. Jellyfin must not start before it is finished or undone: its library scan would delete items.\n\
                     Run the same jellyvault command again, or undo it: jellyvault move --undo\n";

/// What stands before the id of the snapshot that has the state before.
const BEFORE: &str = "The state before is in snapshot ";

/// Sets the marker, with the snapshot that has the state before.
pub(super) fn mark(instance: &Instance, before: Option<SnapshotId>) -> Result<(), Error> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let layout = Layout::of(instance);
    let dir = layout.opener.make_dir(instance.program_data.as_ref()).map_err(std::io::Error::from);
    let file = dir.and_then(|dir| Ok(rustix::fs::openat(&dir, UNFINISHED, flags, Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH)?));
    let written = file.and_then(|file| {
        let mut file = std::fs::File::from(file);
        let before = before.map(|id| format!("{BEFORE}{id}\n")).unwrap_or_default();
        file.set_len(0)?;
        file.write_all(format!("{WORDS}{before}").as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| Error::Target { verb: "write a marker file to", path: instance.program_data.clone().into(), source })
}

/// Takes it away.
pub(super) fn clear(instance: &Instance) -> Result<(), Error> {
    let layout = Layout::of(instance);
    let Ok(dir) = layout.opener.dir(instance.program_data.as_ref()) else { return Ok(()) };
    match rustix::fs::unlinkat(&dir, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::Target { verb: "delete the marker file in", path: instance.program_data.clone().into(), source: error.into() }),
    }
}

/// The snapshot that the marker names. Whoever may write to the data directory could have written it.
pub fn state_before(instance: &Instance) -> Option<SnapshotId> {
    let layout = Layout::of(instance);
    let dir = layout.opener.dir(instance.program_data.as_ref()).ok()?;
    let file = open_beneath(&dir, UNFINISHED.as_bytes(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, Mode::empty()).ok()?;
    let mut text = String::new();
    std::fs::File::from(file).take(4096).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(BEFORE)).and_then(SnapshotId::of_text)
}

/// Whether a change of this server's paths was interrupted.
pub fn is_unfinished(instance: &Instance) -> bool {
    let layout = Layout::of(instance);
    let dir = layout.opener.dir(instance.program_data.as_ref()).ok();
    dir.is_some_and(|dir| rustix::fs::statat(&dir, UNFINISHED, AtFlags::SYMLINK_NOFOLLOW).is_ok())
}
