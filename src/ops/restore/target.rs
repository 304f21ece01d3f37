//! The directories that are written to, and where each logical path lies in them.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::manifest::{Entry, Kind, OWNER_UNKNOWN, file_name, parent};
use crate::source::{DATABASE_PATH, Layout, LiveFile, Opener, ScanRoot, Stat, open_beneath};
use crate::store::{Location, Repository};

use super::super::Error;
use super::Destination;
use super::owners::OwnerMap;
use super::privileges::Privileges;
use super::trap::trap;

/// Write permission for everybody.
const OTHERS_WRITE: u32 = 0o002;
/// The right of everybody to go through a directory.
const OTHERS_ENTER: u32 = 0o001;
/// What others than the owner may do.
const NOT_OWNER: u32 = 0o077;

/// One directory that is written below.
pub(super) struct TargetRoot {
    pub logical: Vec<u8>,
    pub dir: PathBuf,
    /// Nothing where it is missing and nothing may be changed.
    pub fd: Option<Arc<OwnedFd>>,
}

/// All of them.
pub(super) struct Target {
    pub roots: Vec<TargetRoot>,
    /// The repository's folder, which nothing is removed from.
    pub repository: Vec<PathBuf>,
    /// Who gets what belonged to the snapshot's server.
    owners: OwnerMap,
    /// What of a file's power is restored.
    pub privileges: Privileges,
    /// Where the database stands, if not where its logical path says.
    pub database: Option<LiveFile>,
    /// What `--keep-old` will have moved away: a dry run takes it for gone.
    pub moved: Vec<PathBuf>,
    /// Others may enter the directory that a server's directories come into: theirs are closed.
    pub is_open: bool,
}

impl Target {
    /// Opens the directories; makes those that are missing, unless nothing may be changed.
    pub(super) fn open(
        destination: &Destination,
        repository: &Repository,
        dry_run: bool,
    ) -> Result<Target, Error> {
        let repository = match repository.location() {
            Location::Folder(folder) => vec![folder.clone()],
            Location::Memory => Vec::new(),
        };
        match destination {
            Destination::Directory(dir) => {
                let is_new = !dry_run && !dir.exists();
                let root = open_root(&ScanRoot::new(b"", dir.clone()), &Opener::plain(), dry_run)?;
                if let Some(fd) = root.fd.as_ref().filter(|_| is_new) {
                    // What the source kept from others must not lie open here.
                    let path = Path::new("/proc/self/fd").join(fd.as_raw_fd().to_string());
                    let closed = rustix::fs::chmod(&path, Mode::RWXU);
                    closed.map_err(|error| Error::Target {
                        verb: "keep others out of",
                        path: dir.clone(),
                        source: error.into(),
                    })?;
                }
                Ok(Target {
                    roots: vec![root],
                    repository,
                    owners: OwnerMap::default(),
                    privileges: Privileges::default(),
                    database: None,
                    moved: Vec::new(),
                    is_open: false,
                })
            }
            Destination::InPlace(_) | Destination::Arranged(..) => {
                let layout = match destination {
                    Destination::InPlace(target) => Layout::of(&target.instance),
                    Destination::Arranged(instance, _) => Layout::of(instance),
                    Destination::Directory(dir) => Layout::plain(dir),
                };
                let roots = layout
                    .roots
                    .iter()
                    .map(|root| open_root(root, &layout.opener, dry_run))
                    .collect::<Result<_, _>>()?;
                let database = moved_database(&layout, dry_run)?;
                Ok(Target {
                    roots,
                    repository,
                    owners: OwnerMap::default(),
                    privileges: Privileges::default(),
                    database,
                    moved: Vec::new(),
                    is_open: false,
                })
            }
        }
    }

    /// Keeps others out of a server's directories where they may enter the directory that these
    /// come into: the source's own may have kept them out.
    pub(super) fn close_directories_of(&mut self, destination: &Destination) {
        if let Destination::Directory(_) = destination {
            let root = self.fd(0).and_then(|root| Stat::of(root).ok());
            self.is_open = root.is_some_and(|root| root.permissions() & OTHERS_ENTER != 0);
        }
    }

    /// Sets who gets what belonged to the server; what the user should know of it.
    pub(super) fn set_owners(&mut self, owners: OwnerMap) -> Option<String> {
        self.owners = owners;
        self.owners.words()
    }

    /// Whether owners are set at all.
    pub(super) fn gives_away(&self) -> bool {
        rustix::process::geteuid().is_root() && !self.owners.is_own
    }

    /// An entry whose owner nobody knows belongs to the owner of the directory that it comes into.
    pub(super) fn adopt(&self, mut entry: Entry) -> Entry {
        if entry.uid == OWNER_UNKNOWN {
            let root = self.place(&entry.path).and_then(|(root, _)| self.fd(root));
            let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            (entry.uid, entry.gid) =
                root.and_then(|root| Stat::of(root).ok()).map_or(own, |stat| (stat.uid, stat.gid));
        }
        let was = (entry.uid, entry.gid);
        (entry.uid, entry.gid) = self.owners.of(entry.uid, entry.gid);
        entry.mode = self.privileges.mode(&entry, was, self.owner_after(&entry));
        let is_top = matches!(entry.kind, Kind::Directory) && !entry.path.contains(&b'/');
        if self.is_open && is_top {
            entry.mode &= !NOT_OWNER;
        }
        entry
    }

    /// Refuses a directory of another user's in a folder where everybody can create some: that user
    /// may have made it for us to write into.
    pub(super) fn check_new(&self, destination: &Destination) -> Result<(), Error> {
        let Destination::Directory(path) = destination else { return Ok(()) };
        let own = rustix::process::geteuid().as_raw();
        let above =
            std::path::absolute(path).ok().and_then(|path| Stat::of_path(path.parent()?).ok());
        let is_public = above.is_some_and(|above| above.permissions() & OTHERS_WRITE != 0);
        match self.fd(0).and_then(|root| Stat::of(root).ok()) {
            Some(stat) if is_public && stat.uid != own => Err(Error::Refused {
                what: format!(
                    "{} belongs to another user (number {}), in a directory where every user can create files. Nothing was written to it",
                    path.display(),
                    stat.uid
                ),
                hint: "Give a directory where no other user can create files.".to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Who the entry will belong to: who runs this, where owners are not restored.
    fn owner_after(&self, entry: &Entry) -> (u32, u32) {
        if self.gives_away() {
            (entry.uid, entry.gid)
        } else {
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        }
    }

    /// The root of a logical path and the path below it; nothing where the target has no such root.
    pub(super) fn place<'p>(&self, path: &'p [u8]) -> Option<(usize, &'p [u8])> {
        // A linked folder comes behind the root that it is in.
        self.roots.iter().enumerate().rev().find_map(|(number, root)| {
            if root.logical.is_empty() {
                return Some((number, path));
            }
            match path.strip_prefix(root.logical.as_slice())?.split_first() {
                None => Some((number, b"".as_slice())),
                Some((b'/', below)) => Some((number, below)),
                Some(_) => None,
            }
        })
    }

    /// The file of a logical path, for SQLite and for messages.
    pub(super) fn file(&self, path: &[u8]) -> Option<PathBuf> {
        if path == DATABASE_PATH
            && let Some(database) = &self.database
        {
            return Some(database.shown().to_path_buf());
        }
        let (root, below) = self.place(path)?;
        Some(crate::source::os_path(&self.roots.get(root)?.dir, below))
    }

    /// The place of a link of the snapshot where one of the directories that are written below
    /// stands, which is none here: the link would take the directory's place.
    pub(super) fn directory_for_link(&self, entry: &Entry) -> Option<PathBuf> {
        if !matches!(entry.kind, Kind::Symlink { .. }) {
            return None;
        }
        let file = self.file(&entry.path)?;
        let is_root = |root: &TargetRoot| {
            !root.logical.is_empty() && root.dir == file && root.logical != entry.path
        };
        (self.roots.iter().any(is_root) && !file.is_symlink()).then_some(file)
    }

    /// Whether what stands at a logical path will have been moved away.
    pub(super) fn is_moved(&self, path: &[u8]) -> bool {
        !self.moved.is_empty()
            && self
                .file(path)
                .is_some_and(|file| self.moved.iter().any(|moved| file.starts_with(moved)))
    }

    /// The file of a logical path, held by its directory; nothing where that is not there, or is
    /// behind a link.
    pub(super) fn live(&self, path: &[u8]) -> Option<LiveFile> {
        if self.is_moved(path) {
            return None;
        }
        if path == DATABASE_PATH
            && let Some(database) = &self.database
        {
            return Some(database.clone());
        }
        let (root, below) = self.place(path)?;
        let fd = self.fd(root)?;
        let dir = match parent(below).filter(|above| !above.is_empty()) {
            Some(above) => Arc::new(
                open_beneath(fd, above, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).ok()?,
            ),
            None => fd.clone(),
        };
        Some(LiveFile::new(dir, OsStr::from_bytes(file_name(below)), self.file(path)?))
    }

    /// An open root.
    pub(super) fn fd(&self, root: usize) -> Option<&Arc<OwnedFd>> {
        self.roots.get(root)?.fd.as_ref()
    }

    /// Makes what was written durable; for an instance, whose old state is gone.
    pub(super) fn sync(&self, in_place: bool) -> Result<(), Error> {
        if !in_place {
            return Ok(());
        }
        for root in &self.roots {
            let Some(fd) = &root.fd else { continue };
            // A directory opened for searching only cannot be synced.
            let dir = rustix::fs::openat(
                &**fd,
                ".",
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            let dir = dir.map_err(|error| Error::Target {
                verb: "open",
                path: root.dir.clone(),
                source: error.into(),
            })?;
            rustix::fs::syncfs(&dir).map_err(|e| Error::Target {
                verb: "write to disk",
                path: root.dir.clone(),
                source: e.into(),
            })?;
        }
        Ok(())
    }
}

/// Where the database stands that is not at its usual place: where the configuration says, or where
/// the administrator's link leads. The link stays, and what it leads to is restored.
fn moved_database(layout: &Layout, dry_run: bool) -> Result<Option<LiveFile>, Error> {
    if let Some(path) = &layout.database {
        let missing = || Error::Target {
            verb: "open",
            path: path.clone(),
            source: std::io::ErrorKind::NotFound.into(),
        };
        let (above, name) = path.parent().zip(path.file_name()).ok_or_else(missing)?;
        return match layout.live_file(DATABASE_PATH) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.is_untrusted() => Err(trap(&error.to_string())),
            Err(_) if dry_run && !above.is_dir() => Ok(None),
            // It is not there yet, and neither may its directory be.
            Err(_) => {
                let dir =
                    if dry_run { layout.opener.dir(above) } else { layout.opener.make_dir(above) };
                let dir = dir.map_err(|error| Error::Target {
                    verb: "open",
                    path: above.to_path_buf(),
                    source: error.into(),
                })?;
                Ok(Some(LiveFile::new(Arc::new(dir), name, path.clone())))
            }
        };
    }
    let Some(usual) = layout.locate(DATABASE_PATH).filter(|usual| usual.is_symlink()) else {
        return Ok(None);
    };
    match layout.live_file(DATABASE_PATH) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_untrusted() => Err(trap(&error.to_string())),
        Err(error) => Err(Error::Refused {
            what: format!(
                "{} is a symbolic link to {}, which does not exist ({error})",
                usual.display(),
                std::fs::read_link(&usual).unwrap_or_default().display()
            ),
            hint: "Mount the disk that it points to. If you want the database to be here from now on, delete the link first.".to_owned(),
        }),
    }
}

/// On a file system that nobody can write to, nothing is tried: each file would fail by itself.
fn refuse_read_only(dir: &Path) -> std::io::Result<()> {
    let there = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let nearest = there.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok());
    let is_read_only =
        nearest.is_some_and(|facts| facts.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if is_read_only { Err(rustix::io::Errno::ROFS.into()) } else { Ok(()) }
}

fn open_root(root: &ScanRoot, opener: &Opener, dry_run: bool) -> Result<TargetRoot, Error> {
    let dir = &root.dir;
    let failed = |verb| move |source| Error::Target { verb, path: dir.clone(), source };
    refuse_read_only(dir).map_err(failed("write to"))?;
    let opened = match &root.at {
        Some(fd) => {
            return Ok(TargetRoot {
                logical: root.logical.clone(),
                dir: dir.clone(),
                fd: Some(fd.clone()),
            });
        }
        None if dry_run => opener.dir(dir),
        None => opener.make_dir(dir),
    };
    let fd = match opened {
        Ok(fd) => Some(Arc::new(fd)),
        Err(error) if error.is_missing() && dry_run => None,
        Err(error) if error.is_untrusted() => return Err(trap(&error.to_string())),
        Err(error) => return Err(failed(if dry_run { "open" } else { "create" })(error.into())),
    };
    Ok(TargetRoot { logical: root.logical.clone(), dir: dir.clone(), fd })
}
