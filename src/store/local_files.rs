//! Where a repository keeps what is derived, or this machine's alone.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::Disk;

use super::index_file::IndexPlace;
use super::local_cache::LocalCache;
use super::repository::Repository;

impl Repository {
    /// Where the index file is, if there is a place for one.
    pub fn index_place(&self) -> Option<IndexPlace> {
        self.cache.as_ref().map(LocalCache::index_place)
    }

    /// The scan cache of a source, where there is a place for one.
    pub fn scan_cache_file(&self, source: &str) -> Option<PathBuf> {
        self.cache.as_ref().and_then(|cache| cache.scan_cache_file(source))
    }

    /// The disk, and the file on it, for what is remembered of the newest snapshots, where there is
    /// a place for it.
    pub fn newest_place(&self) -> Option<(Arc<dyn Disk>, PathBuf)> {
        self.cache.as_ref().map(LocalCache::newest_place)
    }

    /// The folder with the hashes of databases' pages.
    pub fn page_hashes_folder(&self) -> Option<PathBuf> {
        self.cache.as_ref().and_then(LocalCache::page_hashes_folder)
    }

    /// The log of what checks read, where there is a place for it.
    pub fn read_log_file(&self) -> Option<PathBuf> {
        self.cache.as_ref().and_then(LocalCache::read_log_file)
    }

    /// What became of the jobs that are done by themselves.
    pub fn job_log_file(&self) -> Option<PathBuf> {
        self.cache.as_ref().and_then(LocalCache::job_log_file)
    }

    /// Where what happened between snapshots is kept; nothing where there is no folder of this
    /// machine's.
    pub fn stories_file(&self) -> Option<PathBuf> {
        self.cache.as_ref().and_then(LocalCache::stories_file)
    }

    /// Where it is noted how far the list of an encrypted repository had come. In one that is not
    /// encrypted it would lie beside the list, and go back with it.
    pub fn seen_file(&self) -> Option<PathBuf> {
        self.keys()?;
        self.cache.as_ref().and_then(LocalCache::seen_file)
    }

    /// A folder for files without names that take what does not fit in memory, where there is a
    /// place for them.
    pub fn spill_folder(&self) -> Option<PathBuf> {
        self.cache.as_ref().and_then(LocalCache::spill_folder)
    }

    /// A folder for the private copy of a database: the one that was named, or one beside the
    /// index. Where that cannot be written to, the system's temporary directory.
    pub fn scratch_folder(&self) -> PathBuf {
        let own = || self.cache.as_ref().and_then(LocalCache::scratch_folder);
        self.scratch.clone().or_else(own).unwrap_or_else(std::env::temp_dir)
    }

    /// Names the folder for private copies.
    pub fn use_scratch(&mut self, dir: PathBuf) {
        self.scratch = Some(dir);
    }
}
