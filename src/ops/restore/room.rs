//! The room that a restore needs on each file system. Holes need none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::manifest::{Content, Piece};
use crate::store::ChunkReader;

use super::super::content::list_pieces;
use super::super::{Error, ErrorKind, Monitor};

/// A file takes whole blocks.
pub(super) const BLOCK_BYTES: u64 = 4096;
/// Room that stays free: a full disk hurts whatever else lives on it.
const RESERVE_BYTES: u64 = 8 << 20;
/// From this size on the list of a file's pieces is read where the room would not do, in bytes.
const LARGE_BYTES: u64 = 64 << 20;
/// Large files whose holes are looked for; what others have counts as filled.
const LARGE_MAX: usize = 10_000;

/// What one file system must take.
#[derive(Default)]
pub(super) struct Need {
    pub bytes: u64,
    pub files: u64,
    /// The most that one file takes twice: it is written beside the one that it replaces.
    largest: u64,
    /// A directory that is on it.
    folder: PathBuf,
    /// Files that may have holes in the lists of their pieces.
    large: Vec<(Content, New)>,
}

/// A file that is to be written.
#[derive(Clone, Copy)]
pub(super) struct New {
    /// Its length in bytes.
    pub size: u64,
    /// Bytes that the file in its place sets free.
    pub old: u64,
    /// Whether it is written whole before the old one goes.
    pub is_beside: bool,
}

/// What each file system must take, by device.
#[derive(Default)]
pub(super) struct Room(BTreeMap<u64, Need>);

impl Room {
    /// The need of the file system that `folder` is on.
    pub fn on(&mut self, device: u64, folder: &Path) -> &mut Need {
        self.0
            .entry(device)
            .or_insert_with(|| Need { folder: folder.to_path_buf(), ..Need::default() })
    }

    /// What does not fit, in words for the user.
    pub fn obstacles(
        self,
        reader: &mut ChunkReader<'_>,
        keeps_old: bool,
        monitor: &Monitor,
    ) -> Result<Vec<String>, Error> {
        let mut obstacles = Vec::new();
        for mut need in self.0.into_values() {
            let Ok(disk) = rustix::fs::statvfs(&need.folder) else { continue };
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if need.total() > free {
                need.leave_out_holes(reader, monitor)?;
            }
            if need.bytes > 0 && need.total() > free {
                let kept =
                    if keeps_old { ", because --keep-old keeps the old files too" } else { "" };
                obstacles.push(format!(
                    "the disk of {} has {} free, but the restore needs about {}{kept}. Free some space there",
                    need.folder.display(),
                    mebibytes(free),
                    mebibytes(need.total())
                ));
            }
            if disk.f_files > 0 && need.files > disk.f_favail {
                obstacles.push(format!(
                    "the disk of {} has room for {} more files, but the restore creates {}",
                    need.folder.display(),
                    disk.f_favail,
                    need.files
                ));
            }
        }
        Ok(obstacles)
    }
}

impl Need {
    pub fn file(&mut self, content: &Content, new: New) {
        let holes = match content {
            Content::Pieces(pieces) => pieces.iter().fold(0, plus_hole),
            Content::Listed(_) | Content::Pages(_) => 0,
        };
        if !new.is_beside {
            self.largest = self.largest.max(new.old.min(new.blocks(holes)));
        }
        self.bytes = self.bytes.saturating_add(new.taken(holes));
        if matches!(content, Content::Listed(_))
            && new.size >= LARGE_BYTES
            && self.large.len() < LARGE_MAX
        {
            self.large.push((content.clone(), new));
        }
    }

    fn total(&self) -> u64 {
        self.bytes.saturating_add(self.largest).saturating_add(RESERVE_BYTES)
    }

    /// Reads the lists of the large files' pieces. The restore itself names those that are damaged.
    fn leave_out_holes(
        &mut self,
        reader: &mut ChunkReader<'_>,
        monitor: &Monitor,
    ) -> Result<(), Error> {
        for (content, new) in std::mem::take(&mut self.large) {
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            let mut holes = 0;
            let read = list_pieces(reader, &content, |_, piece| {
                holes = plus_hole(holes, &piece);
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::Damaged => continue,
                Err(error) => return Err(error),
            }
            self.bytes = self.bytes.saturating_sub(new.taken(0) - new.taken(holes));
        }
        Ok(())
    }
}

impl New {
    /// Bytes that it takes more than before.
    fn taken(self, holes: u64) -> u64 {
        self.blocks(holes).saturating_sub(if self.is_beside { 0 } else { self.old })
    }

    fn blocks(self, holes: u64) -> u64 {
        self.size.saturating_sub(holes).div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
    }
}

/// A foreign repository may say anything: sums do not overflow.
fn plus_hole(sum: u64, piece: &Piece) -> u64 {
    match piece {
        Piece::Hole(bytes) => sum.saturating_add(*bytes),
        Piece::Chunk(_) => sum,
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}
