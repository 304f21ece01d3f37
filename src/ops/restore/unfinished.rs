//! A server whose paths were changed halfway must not start: its library scan would delete what it
//! does not find. A marker file keeps Jellyfin 10.11 and later from starting: they refuse a data
//! directory that has another marker than their own, and name it in their log.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Mode, OFlags};

use crate::manifest::SnapshotId;
use crate::source::{Instance, Layout, UNFINISHED, open_beneath};

use super::super::Error;

const WORDS: &str = "A move of this server was interrupted. Jellyfin must not start before it is finished or undone: its library scan would delete items.\n\
                     Run the same jellyvault command again, or undo it: jellyvault move --undo\n";

/// What stands before the id of the snapshot that has the state before.
const BEFORE: &str = "The state before is in snapshot ";

/// Sets the marker, with the snapshot that has the state before.
pub(super) fn mark(instance: &Instance, before: Option<SnapshotId>) -> Result<(), Error> {
    // The first interruption knows the state before.
    let before = state_before(instance).or(before);
    let layout = Layout::of(instance);
    let dir = layout.opener.make_dir(instance.program_data.as_ref()).map_err(std::io::Error::from);
    let written = dir.and_then(|dir| write(&dir, before));
    written.map_err(|source| Error::Target {
        verb: "write a marker file to",
        path: instance.program_data.clone().into(),
        source,
    })
}

/// It is there with all that it says, or not at all, also after a power cut.
fn write(dir: &OwnedFd, before: Option<SnapshotId>) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let temp = format!(".jellyvault-{:x}-unfinished", std::process::id());
    // One of a killed process with the same number.
    crate::tolerate(rustix::fs::unlinkat(dir, temp.as_str(), AtFlags::empty()));
    let mut file = File::from(rustix::fs::openat(
        dir,
        temp.as_str(),
        flags,
        Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH,
    )?);
    let before = before.map(|id| format!("{BEFORE}{id}\n")).unwrap_or_default();
    file.write_all(format!("{WORDS}{before}").as_bytes())?;
    file.sync_all()?;
    rustix::fs::renameat(dir, temp.as_str(), dir, UNFINISHED)?;
    // A directory that is open by its name alone cannot be synced.
    let dir = rustix::fs::openat(
        dir,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    Ok(rustix::fs::fsync(dir)?)
}

/// Takes it away.
pub(super) fn clear(instance: &Instance) -> Result<(), Error> {
    let layout = Layout::of(instance);
    let Ok(dir) = layout.opener.dir(instance.program_data.as_ref()) else { return Ok(()) };
    match rustix::fs::unlinkat(&dir, UNFINISHED, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(Error::Target {
            verb: "delete the marker file in",
            path: instance.program_data.clone().into(),
            source: error.into(),
        }),
    }
}

/// The snapshot that the marker names. Whoever may write to the data directory could have written
/// it.
pub fn state_before(instance: &Instance) -> Option<SnapshotId> {
    let layout = Layout::of(instance);
    let dir = layout.opener.dir(instance.program_data.as_ref()).ok()?;
    let file = open_beneath(
        &dir,
        UNFINISHED.as_bytes(),
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
        Mode::empty(),
    )
    .ok()?;
    let mut text = String::new();
    File::from(file).take(4096).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix(BEFORE)).and_then(SnapshotId::of_text)
}

/// Whether a change of this server's paths was interrupted.
pub fn is_unfinished(instance: &Instance) -> bool {
    Layout::of(instance).is_unfinished()
}
