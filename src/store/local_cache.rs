//! What is derived from a repository, or private to this machine: the index, what is known of the
//! newest snapshots, scan caches, the log of what checks read, and files that take what does not
//! fit in memory. All of it can be lost at any time, and is made anew.
//!
//! For a repository in a folder it lies in that folder; for one elsewhere in the user's cache
//! directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backend::{Disk, LocalBackend, RealDisk};

use super::index_file::IndexPlace;

/// Where such files are.
#[derive(Clone)]
pub struct LocalCache {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    /// Whether programs and threads can open its files by their paths: not so on a disk that tests
    /// make up.
    has_paths: bool,
}

impl LocalCache {
    /// In a folder of this machine.
    pub fn in_folder(root: &Path) -> LocalCache {
        LocalCache {
            disk: Arc::new(RealDisk::default()),
            root: root.to_path_buf(),
            has_paths: true,
        }
    }

    /// For an encrypted repository with this id in this folder:
    /// `<cache>/jellyvault/<id>-<hash of the path>`, readable by its owner alone. A copy of it has
    /// the same id and other packs, and so a cache of its own.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn for_remote(
        cache_home: &Path,
        repository_id: &str,
        place: &Path,
    ) -> std::io::Result<LocalCache> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::DirBuilderExt;
        let real = std::fs::canonicalize(place)?;
        let hash = blake3::hash(real.as_os_str().as_bytes()).to_hex();
        let root = cache_home
            .join("jellyvault")
            .join(format!("{repository_id}-{}", hash.get(..8).unwrap_or_default()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&root)?;
        Ok(LocalCache::in_folder(&root))
    }

    /// On any disk: the index and the newest snapshots alone.
    pub(super) fn on_disk(disk: Arc<dyn Disk>, root: &Path) -> LocalCache {
        LocalCache { disk, root: root.to_path_buf(), has_paths: false }
    }

    /// Removes what killed processes left where an encrypted repository has its index: in the folder
    /// around `tmp`, if that is not the repository's own.
    pub(super) fn sweep_elsewhere(repository: &Path, tmp: &Path) {
        if let Some(cache) = tmp.parent().filter(|cache| *cache != repository) {
            crate::tolerate(LocalBackend::new(cache).sweep());
        }
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.has_paths.then(|| self.root.join(name))
    }

    /// Where the index is.
    pub(super) fn index_place(&self) -> IndexPlace {
        IndexPlace { disk: self.disk.clone(), path: self.root.join("index.redb") }
    }

    /// The disk, and the file on it, for what is known of the newest snapshots.
    pub(super) fn newest_place(&self) -> (Arc<dyn Disk>, PathBuf) {
        (self.disk.clone(), self.root.join("newest"))
    }

    /// The scan cache of a source.
    pub(super) fn scan_cache_file(&self, source: &str) -> Option<PathBuf> {
        self.path(&format!("scan/{source}.cache"))
    }

    /// The folder with the hashes of databases' pages.
    pub(super) fn page_hashes_folder(&self) -> Option<PathBuf> {
        self.path("pages")
    }

    /// The log of what checks read.
    pub(super) fn read_log_file(&self) -> Option<PathBuf> {
        self.path("checked")
    }

    /// What became of the jobs that are done by themselves.
    pub(super) fn job_log_file(&self) -> Option<PathBuf> {
        self.path("jobs.json")
    }

    /// How far the list of snapshots had come.
    pub(super) fn seen_file(&self) -> Option<PathBuf> {
        self.path("seen")
    }

    /// What happened between snapshots.
    pub(super) fn stories_file(&self) -> Option<PathBuf> {
        self.path("stories.json")
    }

    /// A folder for files without names.
    pub(super) fn spill_folder(&self) -> Option<PathBuf> {
        self.path("tmp")
    }

    /// A folder for private copies of databases; nothing where it cannot be written to.
    pub(super) fn scratch_folder(&self) -> Option<PathBuf> {
        let can_write = rustix::fs::access(&self.root, rustix::fs::Access::WRITE_OK).is_ok();
        self.spill_folder().filter(|_| can_write)
    }
}
