//! The directories that are written to, and where each logical path lies in them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::{Entry, OWNER_UNKNOWN};
use crate::source::{DATABASE_PATH, Layout, Stat};
use crate::store::{Location, Repository};

use super::super::Error;
use super::Destination;
use super::owners::OwnerMap;

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
    /// Where the database stands, if not where its logical path says: directory and name.
    pub database: Option<PathBuf>,
}

impl Target {
    /// Opens the directories; makes those that are missing, unless nothing may be changed.
    pub(super) fn open(destination: &Destination, repository: &Repository, dry_run: bool) -> Result<Target, Error> {
        let repository = match repository.location() {
            Location::Folder(folder) => vec![folder.clone()],
            Location::Memory => Vec::new(),
        };
        match destination {
            Destination::Directory(dir) => {
                Ok(Target { roots: vec![open_root(Vec::new(), dir, dry_run)?], repository, owners: OwnerMap::default(), database: None })
            }
            Destination::InPlace(_) | Destination::Arranged(_) => {
                let layout = match destination {
                    Destination::InPlace(target) => Layout::of(&target.instance),
                    Destination::Arranged(instance) => Layout::of(instance),
                    Destination::Directory(dir) => Layout::plain(dir),
                };
                let open = |root: &crate::source::ScanRoot| open_root(root.logical.clone(), &root.dir, dry_run);
                let roots = layout.roots.iter().map(open).collect::<Result<_, _>>()?;
                let database = match (layout.database.clone(), layout.locate(crate::source::DATABASE_PATH)) {
                    (None, Some(usual)) if usual.is_symlink() => Some(behind(&usual)?),
                    (elsewhere, _) => elsewhere,
                };
                Ok(Target { roots, repository, owners: OwnerMap::default(), database })
            }
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
            (entry.uid, entry.gid) = root.and_then(|root| Stat::of(root).ok()).map_or(own, |stat| (stat.uid, stat.gid));
        }
        (entry.uid, entry.gid) = self.owners.of(entry.uid, entry.gid);
        entry
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
            return Some(database.clone());
        }
        let (root, below) = self.place(path)?;
        Some(crate::source::os_path(&self.roots.get(root)?.dir, below))
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
            // A directory opened for searching only cannot be synced.
            let dir = std::fs::File::open(&root.dir).map_err(|source| Error::Target { verb: "open", path: root.dir.clone(), source })?;
            rustix::fs::syncfs(&dir).map_err(|e| Error::Target { verb: "make durable", path: root.dir.clone(), source: e.into() })?;
        }
        Ok(())
    }
}

/// Where the administrator's link to the database leads: the link stays, and what it leads to is restored.
fn behind(link: &Path) -> Result<PathBuf, Error> {
    std::fs::canonicalize(link).map_err(|source| Error::Refused {
        what: format!("{} is a link to {}, which is not there ({source})", link.display(), std::fs::read_link(link).unwrap_or_default().display()),
        hint: "Mount the disk that it leads to. If the database is to lie here from now on, remove the link first.".to_owned(),
    })
}

/// On a file system that nobody can write to, nothing is tried: each file would fail by itself.
fn refuse_read_only(dir: &Path) -> std::io::Result<()> {
    let there = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
    let nearest = there.ancestors().find_map(|dir| rustix::fs::statvfs(dir).ok());
    let is_read_only = nearest.is_some_and(|facts| facts.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    if is_read_only { Err(rustix::io::Errno::ROFS.into()) } else { Ok(()) }
}

fn open_root(logical: Vec<u8>, dir: &Path, dry_run: bool) -> Result<TargetRoot, Error> {
    use rustix::fs::{CWD, Mode, OFlags};
    let failed = |verb| move |source| Error::Target { verb, path: dir.to_path_buf(), source };
    refuse_read_only(dir).map_err(failed("write to"))?;
    if !dry_run {
        std::fs::create_dir_all(dir).map_err(failed("create"))?;
    }
    let fd = match rustix::fs::openat(CWD, dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Some(Arc::new(fd)),
        Err(rustix::io::Errno::NOENT) if dry_run => None,
        Err(error) => return Err(failed("open")(error.into())),
    };
    Ok(TargetRoot { logical, dir: dir.to_path_buf(), fd })
}
