//! What would stop a restore half-way? Everything that can be known is looked at before the first
//! change: room, rights, mount points, files that must not be changed.

use std::collections::{HashMap, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;

use crate::manifest::{CategoryRecord, Entries, Entry, Kind, file_name, parent};
use crate::source::{Category, DATABASE_PATH, Layout, LiveFile, Stat, os_path};
use crate::store::ChunkReader;

use super::super::{Error, Monitor};
use super::room::{BLOCK_BYTES, New, Room};
use super::target::Target;
use super::{Destination, RestoreOptions};

/// Obstacles that are named; more say nothing new.
const NAMED_MAX: usize = 12;

/// A directory of the target, or the nearest one above it that is there.
#[derive(Clone)]
struct Folder {
    path: PathBuf,
    device: u64,
    is_there: bool,
}

struct Ahead<'t> {
    target: &'t Target,
    options: &'t RestoreOptions,
    in_place: bool,
    folders: HashMap<(usize, Vec<u8>), Folder>,
    room: Room,
    /// Groups of hard links that were met.
    groups: HashSet<u64>,
    obstacles: Vec<String>,
    obstacle_count: usize,
}

/// Refuses where something is known to be in the way. Changes nothing.
pub(super) fn look_ahead(
    reader: &mut ChunkReader<'_>,
    selected: &[(Category, &CategoryRecord)],
    destination: &Destination,
    target: &Target,
    options: &RestoreOptions,
    monitor: &Monitor,
) -> Result<(), Error> {
    let in_place = matches!(destination, Destination::InPlace(_));
    let mut ahead = Ahead {
        target,
        options,
        in_place,
        folders: HashMap::new(),
        room: Room::default(),
        groups: HashSet::new(),
        obstacles: Vec::new(),
        obstacle_count: 0,
    };
    if let Destination::InPlace(instance) = destination
        && options.keep_old
    {
        super::keep_old::to_be_moved(instance, options)?
            .iter()
            .for_each(|file| ahead.moved(file.shown()));
        ahead.linked_database(&Layout::of(&instance.instance));
    }
    let parts = options.selection.roots();
    for (category, root, part) in selected
        .iter()
        .flat_map(|(category, root)| parts.iter().map(move |part| (category, root, part)))
    {
        for entry in Entries::within(reader, root.manifest, part) {
            let entry = match entry {
                Ok(entry) => entry,
                // What cannot be read is told when it is restored.
                Err(error) if error.is_damage() => continue,
                Err(error) => return Err(error.into()),
            };
            if monitor.interrupt.is_raised() {
                return Err(Error::Interrupted);
            }
            if options.selection.takes(*category, &entry.path) {
                ahead.entry(*category, &entry);
            }
        }
    }
    let room = std::mem::take(&mut ahead.room);
    for obstacle in room.obstacles(reader, options.keep_old, monitor)? {
        ahead.obstacle(obstacle);
    }
    ahead.verdict()
}

impl Ahead<'_> {
    fn obstacle(&mut self, what: String) {
        self.obstacle_count += 1;
        if self.obstacles.len() < NAMED_MAX && !self.obstacles.contains(&what) {
            self.obstacles.push(what);
        }
    }

    /// Something that `--keep-old` moves away.
    fn moved(&mut self, path: &Path) {
        if let Some(mount) = mount_point_in(path) {
            let what = if mount == path {
                "is a mount point".to_owned()
            } else {
                format!("contains the mount point {}", mount.display())
            };
            self.obstacle(format!(
                "{} {what}, which --keep-old cannot rename. Leave out --keep-old: a snapshot of the current state is taken first anyway",
                path.display()
            ));
        }
        let Some(above) = path.parent() else { return };
        self.may_change(above);
        if is_immutable(path) {
            self.obstacle(fixed("", path));
        }
    }

    /// A database behind a link: the link would be moved away, and what it leads to would stay.
    fn linked_database(&mut self, layout: &Layout) {
        let place = layout.beneath(DATABASE_PATH).ok();
        let is_link = |place: &LiveFile| place.stat().is_ok_and(|stat| stat.is_symlink());
        let Some(link) = place.filter(is_link) else { return };
        if self.options.selection.touches(Category::Database, DATABASE_PATH) {
            self.obstacle(format!(
                "{} is a link to the database in another place, which --keep-old would leave behind. Leave out --keep-old: a snapshot of the current state is taken first anyway",
                link.shown().display()
            ));
        }
    }

    fn entry(&mut self, category: Category, entry: &Entry) {
        let Some(path) = self.target.file(&entry.path) else { return };
        let Some((number, below)) = self.target.place(&entry.path) else { return };
        let is_moved_database =
            self.target.database.as_ref().is_some_and(|moved| moved.shown() == path);
        let folder = if is_moved_database {
            self.folder_at(path.parent().unwrap_or(Path::new("/")))
        } else {
            self.folder(number, parent(below).unwrap_or_default())
        };
        let has = if folder.is_there && !self.options.keep_old { facts(&path) } else { None };
        let need = self.room.on(folder.device, &folder.path);
        match &entry.kind {
            Kind::File { size, content } => {
                let is_right = has.as_ref().is_some_and(|has| {
                    has.stat.is_file() && has.stat.size == *size && has.stat.mtime == entry.mtime
                });
                if is_right {
                    return;
                }
                let old = has
                    .as_ref()
                    .filter(|has| has.stat.is_file() && has.stat.nlink == 1)
                    .map_or(0, |has| has.stat.blocks * 512);
                let is_first = entry.link_group.is_none_or(|group| self.groups.insert(group));
                if is_first {
                    // A new database is written whole before the old one goes.
                    let is_beside = category == Category::Database;
                    need.file(content, New { size: *size, old, is_beside });
                }
                need.files += u64::from(has.is_none());
            }
            Kind::Directory | Kind::Symlink { .. } if has.is_none() => {
                need.bytes += BLOCK_BYTES;
                need.files += 1;
            }
            _ => return,
        }
        if has.is_some_and(|has| has.is_immutable) {
            self.obstacle(fixed("", &path));
        }
        self.may_change(&folder.path);
    }

    /// The directory that a path is in.
    fn folder(&mut self, number: usize, below: &[u8]) -> Folder {
        if let Some(known) = self.folders.get(&(number, below.to_vec())) {
            return known.clone();
        }
        let root = self.target.roots.get(number).map(|root| root.dir.clone()).unwrap_or_default();
        let path = os_path(&root, below);
        let folder = match Stat::of_path(&path) {
            Ok(stat) => Folder { device: stat.dev, is_there: true, path },
            Err(_) if below.is_empty() => Folder { is_there: false, ..self.folder_at(&path) },
            Err(_) => {
                Folder { is_there: false, ..self.folder(number, parent(below).unwrap_or_default()) }
            }
        };
        self.folders.insert((number, below.to_vec()), folder.clone());
        folder
    }

    /// The nearest directory above a path that is there.
    fn folder_at(&self, path: &Path) -> Folder {
        let found = path.ancestors().find_map(|above| Some((above, Stat::of_path(above).ok()?)));
        let (path, device) = found.map_or((Path::new("/"), 0), |(above, stat)| (above, stat.dev));
        Folder { path: path.to_path_buf(), device, is_there: true }
    }

    fn may_change(&mut self, folder: &Path) {
        // The system calls an immutable directory one without permission.
        let what = match rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) | Err(Errno::ACCESS | Errno::PERM) if is_immutable(folder) => {
                fixed("the directory ", folder)
            }
            Ok(()) => return,
            Err(Errno::ROFS) => {
                format!("{} is on a file system that is mounted read-only", folder.display())
            }
            Err(Errno::ACCESS | Errno::PERM) => {
                format!("you have no permission to write to the directory {}", folder.display())
            }
            // What else there is shows when it is written to.
            Err(_) => return,
        };
        self.obstacle(what);
    }

    fn verdict(self) -> Result<(), Error> {
        if self.obstacles.is_empty() {
            return Ok(());
        }
        let more = self.obstacle_count.saturating_sub(self.obstacles.len());
        let more = if more > 0 { format!("; and {more} more like these") } else { String::new() };
        Err(Error::Refused {
            what: format!(
                "the restore would fail halfway: {}{more}. Nothing was changed",
                self.obstacles.join("; ")
            ),
            hint: if self.in_place {
                "Fix this and run the same command again. Add --dry-run to test without changing anything.".to_owned()
            } else {
                "Fix this, or give another directory with --to.".to_owned()
            },
        })
    }
}

/// What not even root may change, and the command that allows it.
fn fixed(what: &str, path: &Path) -> String {
    let quoted = path.display().to_string().replace('\'', r"'\''");
    format!(
        "{what}{} is immutable or append-only. Allow changes with: chattr -ia '{quoted}'",
        path.display()
    )
}

/// What stands at a path.
struct Facts {
    stat: Stat,
    is_immutable: bool,
}

fn facts(path: &Path) -> Option<Facts> {
    let (dir, name) = (path.parent()?, path.file_name()?);
    let stat = rustix::fs::openat(
        CWD,
        dir,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    );
    let dir = stat.ok()?;
    let stat = Stat::at(&dir, file_name(name.as_bytes())).ok()?;
    Some(Facts { stat, is_immutable: is_immutable(path) })
}

/// Whether files can be made in a directory, as far as that can be known.
pub(super) fn is_changeable(folder: &Path) -> bool {
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok() && !is_immutable(folder)
}

/// Whether a file may not be changed, replaced or removed, even by root.
pub(super) fn is_immutable(path: &Path) -> bool {
    let found = rustix::fs::statx(
        CWD,
        path,
        AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT,
        StatxFlags::TYPE,
    );
    found.is_ok_and(|found| {
        found.stx_attributes.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND)
    })
}

/// A mount point at a path, or below it.
fn mount_point_in(path: &Path) -> Option<PathBuf> {
    let real = std::fs::canonicalize(path).ok()?;
    let mounts = std::fs::read("/proc/self/mountinfo").ok()?;
    mounts
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .find_map(|mount| {
            let mount = PathBuf::from(std::ffi::OsStr::from_bytes(&unescape(mount)));
            mount.starts_with(&real).then_some(mount)
        })
}

/// A path of `mountinfo`, in which blanks are written as octal numbers.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                rest = behind.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn octal_numbers_of_mountinfo_are_read() {
        assert_eq!(super::unescape(br"/mnt/a\040b\134c"), br"/mnt/a b\c");
        assert_eq!(super::unescape(br"/mnt\04"), br"/mnt\04");
    }
}
