//! The logical tree over an instance's directories: which folder on disk stands where.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::manifest::Directories;

use super::beneath::open_file;
use super::instance::Instance;
use super::scan::{ScanRoot, closed_dirs, os_path};

/// The roots of a source, by logical path.
#[derive(Clone, Debug)]
pub struct Layout {
    /// All roots that a capture scans or a restore writes to, sorted by logical path.
    pub roots: Vec<ScanRoot>,
    /// The database's file, where it stands somewhere else than its logical path says.
    pub database: Option<PathBuf>,
    /// A Jellyfin instance (or a plain folder).
    pub is_instance: bool,
    /// Directories that are never entered.
    pub passing: Vec<PathBuf>,
}

impl Layout {
    /// An instance's.
    pub fn of(instance: &Instance) -> Layout {
        let root = |logical: &str, dir: &str| ScanRoot { logical: logical.as_bytes().to_vec(), dir: PathBuf::from(dir) };
        let mut roots: Vec<ScanRoot> = instance.config.iter().map(|config| root("config", config)).collect();
        roots.push(root("data", &instance.data));
        roots.push(root("metadata", &instance.metadata));
        roots.extend(instance.metadata_default.iter().map(|dir| root("metadata-default", dir)));
        roots.push(root("plugins", &instance.plugins));
        roots.push(root("programdata", &instance.program_data));
        roots.push(root("root", &instance.root));
        let usual = Path::new(&instance.data).join("jellyfin.db");
        let database = instance.database.as_ref().map(PathBuf::from).filter(|path| *path != usual);
        let mut layout = Layout { roots, database, is_instance: true, passing: instance.passing.iter().map(PathBuf::from).collect() };
        layout.follow(&instance.linked);
        layout
    }

    /// A plain folder's.
    pub fn plain(folder: &Path) -> Layout {
        Layout { roots: vec![ScanRoot { logical: Vec::new(), dir: folder.to_path_buf() }], database: None, is_instance: false, passing: Vec::new() }
    }

    /// The roots that are there.
    pub fn present(&self) -> Vec<ScanRoot> {
        self.roots.iter().filter(|root| root.dir.is_dir()).cloned().collect()
    }

    /// What a scan must not enter: each root from within another, what passes, and `also`.
    pub fn closed(&self, also: &[PathBuf]) -> std::collections::HashSet<(u64, u64)> {
        let roots = self.roots.iter().map(|root| root.dir.as_path());
        closed_dirs(roots.chain(self.passing.iter().map(PathBuf::as_path)).chain(also.iter().map(PathBuf::as_path)))
    }

    /// The file of a logical path.
    pub fn locate(&self, logical: &[u8]) -> Option<PathBuf> {
        if logical == super::category::DATABASE_PATH
            && let Some(database) = &self.database
        {
            return Some(database.clone());
        }
        // A linked folder comes behind the root that it is in.
        self.roots.iter().rev().find_map(|root| {
            if root.logical.is_empty() {
                return Some(os_path(&root.dir, logical));
            }
            let rest = logical.strip_prefix(root.logical.as_slice())?;
            match rest.split_first() {
                None => Some(root.dir.clone()),
                Some((b'/', below)) => Some(os_path(&root.dir, below)),
                Some(_) => None,
            }
        })
    }

    /// Opens the file of a logical path for reading, below its root through no link; nothing where that cannot be done.
    pub fn open(&self, logical: &[u8]) -> Option<File> {
        let (root, below) = self.roots.iter().rev().find_map(|root| {
            if root.logical.is_empty() {
                return Some((root, logical));
            }
            Some((root, logical.strip_prefix(root.logical.as_slice())?.strip_prefix(b"/")?))
        })?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::openat(CWD, &root.dir, flags, Mode::empty()).ok()?;
        open_file(&dir, below).ok().map(File::from)
    }

    /// The directories by name, linked folders by their logical path, for the snapshot's record.
    pub fn directories(&self) -> Directories {
        let named = self.roots.iter().map(|root| {
            let name = String::from_utf8_lossy(&root.logical).into_owned();
            (if name.is_empty() { "folder".to_owned() } else { name }, root.dir.to_string_lossy().into_owned())
        });
        named.chain(self.database.iter().map(|path| ("database".to_owned(), path.to_string_lossy().into_owned()))).collect()
    }
}
