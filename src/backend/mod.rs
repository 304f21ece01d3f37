//! Where do the bytes of a repository live? Behind a few verbs on named files: read (a part, a
//! tail, the whole), ask for a size, write new, list (with or without sizes), tell whether a folder
//! changed, remove, and make removals durable.
//!
//! Each file is written once, except `repo.toml` and its copy, which are replaced, and derived
//! files, which can be rebuilt at any time. Nothing above this room may assume a local file system.
//! A name is a relative path with `/`, such as `packs/3f/3f….pack`.

mod crash;
mod crash_image;
mod disk;
mod durable;
mod local;
mod memory;

pub use crash::{CrashDisk, Fault, Recording};
pub use crash_image::Survival;
pub use disk::{Disk, RandomFile, RealDisk, open_to_read};
pub use durable::CacheFile;
pub(crate) use durable::temp_name;
pub use local::LocalBackend;
pub use memory::{MemoryBackend, Verb};

/// Which bytes of a file to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// `len` bytes from `offset`; an error where the file is shorter.
    At {
        /// First byte.
        offset: u64,
        /// How many bytes.
        len: usize,
    },
    /// The last `len` bytes, or the whole file where it is shorter.
    Tail {
        /// How many bytes at most.
        len: usize,
    },
    /// The whole file; an error where it is longer than `limit` bytes.
    Whole {
        /// Longest file that is accepted.
        limit: usize,
    },
}

/// One file of a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Full name.
    pub name: String,
    /// Length in bytes.
    pub size_bytes: u64,
}

/// What a folder looks like: while it looks the same, no name came into it and none went.
pub type FolderMark = [u8; 32];

/// What a folder that is not there looks like.
pub const NO_FOLDER: FolderMark = [0; 32];

/// A folder's looks at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What it looks like.
    pub looks: FolderMark,
    /// Whether any change to come will make it look different. It may not where the folder changed
    /// a moment ago: the times of a file system go in steps.
    pub is_settled: bool,
}

/// The verbs. `tests/suite/backends.rs` holds every backend to what stands here.
pub trait Backend: Send + Sync {
    /// Reads part of a file.
    fn read(&self, name: &str, span: Span) -> Result<Vec<u8>, Error>;
    /// The same into a buffer that is used again; after an error what is in it means nothing.
    fn read_into(&self, name: &str, span: Span, out: &mut Vec<u8>) -> Result<(), Error> {
        *out = self.read(name, span)?;
        Ok(())
    }
    /// Length of a file in bytes.
    fn size(&self, name: &str) -> Result<u64, Error> {
        let found = self.list(name)?.into_iter().find(|listed| listed.name == name);
        found
            .map(|listed| listed.size_bytes)
            .ok_or_else(|| Error::Missing { name: name.to_owned() })
    }
    /// Begins a file; until [`NewFile::finish`] returns, the name is what it was: nothing, or the
    /// file of before, whole.
    fn create(&self, name: &str) -> Result<Box<dyn NewFile>, Error>;
    /// Lists all files in a folder and below it, sorted; `prefix` is its name with a `/` behind it,
    /// or nothing for all. A folder that is not there has none.
    fn list(&self, prefix: &str) -> Result<Vec<Listed>, Error>;
    /// The same without their lengths, each of which is a system call.
    fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        Ok(self.list(prefix)?.into_iter().map(|listed| listed.name).collect())
    }
    /// How many bytes behind those that are asked for a read may bring along: as many as come in
    /// the time that a call takes. None from a disk.
    fn read_ahead(&self) -> usize {
        0
    }
    /// How many files may be finished at the same time: one on a disk, which is no faster with
    /// more.
    fn parallel_writes(&self) -> usize {
        1
    }
    /// What a folder looks like now, so that it need not be listed again while it looks the same;
    /// nothing where the backend cannot tell.
    fn mark(&self, _folder: &str) -> Option<Mark> {
        None
    }
    /// Removes a file; one that is not there is an error.
    fn remove(&self, name: &str) -> Result<(), Error>;
    /// Makes removals durable.
    fn sync(&self) -> Result<(), Error>;
}

/// A file that is being written. Dropped without `finish`, it never existed.
pub trait NewFile: Send {
    /// Appends all of `bytes`, now or before `finish` returns; an error may be told by a later
    /// call.
    fn append(&mut self, bytes: Vec<u8>) -> Result<(), Error>;
    /// Makes the file durable and visible under its name, in this order.
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// Writes a whole small file.
pub fn write_new(backend: &dyn Backend, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let mut file = backend.create(name)?;
    file.append(bytes.to_vec())?;
    file.finish()
}

/// What an error means to who must go on from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The file is not there.
    Missing,
    /// The file is there, and is not what it must be.
    Damaged,
    /// It was not allowed: rights, a disk that is mounted read-only.
    Denied,
    /// There is no room.
    Full,
    /// Nothing is known of the file: the disk, the network or the system failed. Another try may
    /// succeed.
    Transient,
}

/// What a verb can fail with; each names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system said no.
    #[error("cannot {verb} {name} in the repository")]
    Io {
        /// The verb, as a word for the user.
        verb: &'static str,
        /// The file.
        name: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is no such file.
    #[error("{name} is missing from the repository")]
    Missing {
        /// The file.
        name: String,
    },
    /// The file ends before the bytes that it should hold.
    #[error("{name} is truncated: bytes {offset} to {end} are not all there")]
    Short {
        /// The file.
        name: String,
        /// First byte wanted.
        offset: u64,
        /// End of the bytes wanted.
        end: u64,
    },
    /// The file is larger than such a file can be.
    #[error("{name} is too large: {size} bytes, at most {limit} are expected")]
    TooLarge {
        /// The file.
        name: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Error {
    /// What it means. Only [`ErrorClass::Missing`] and [`ErrorClass::Damaged`] say anything of what
    /// is stored.
    pub fn class(&self) -> ErrorClass {
        use std::io::ErrorKind::{
            PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
        };
        match self {
            Error::Missing { .. } => ErrorClass::Missing,
            Error::Short { .. } | Error::TooLarge { .. } => ErrorClass::Damaged,
            Error::Io { source, .. } => match source.kind() {
                StorageFull | QuotaExceeded => ErrorClass::Full,
                PermissionDenied | ReadOnlyFilesystem => ErrorClass::Denied,
                _ => ErrorClass::Transient,
            },
        }
    }

    /// Whether the cause is a full disk.
    pub fn is_disk_full(&self) -> bool {
        self.class() == ErrorClass::Full
    }
}
