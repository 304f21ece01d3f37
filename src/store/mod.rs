//! How do chunks become files, and files chunks again? Chunks lie together in extents, extents in
//! packs; an index finds them.

mod access;
mod bytes;
pub mod cells;
mod cells_body;
mod cells_of_recipe;
mod cells_reader;
mod config;
mod coordination;
#[cfg(test)]
mod coordination_tests;
pub mod encryption;
mod extent;
mod extent_head;
mod extent_kind;
mod extent_row;
mod file_names;
mod fresh;
mod group_names;
mod group_positions;
mod guard;
mod index;
mod index_file;
mod index_open;
mod index_walk;
mod known_pack;
mod local_cache;
mod local_files;
mod lock;
mod making;
mod memory_coordination;
mod pack;
mod pack_layout;
mod pack_names;
mod packed_shapes;
mod parity;
mod place;
mod questions;
mod read_ahead;
mod reader;
mod recipe;
mod recipe_cells;
mod recipe_reader;
mod record_file;
mod recover_trailer;
mod redb_file;
mod repository;
mod resolve_cells;
mod run_file;
mod seal;
mod seal_pool;
mod shared_access;
mod shared_index;
mod streams;
mod trailer;
mod whole_extent;
mod without_key;

pub use access::Access;
pub use bytes::{Bytes, Truncated, push_bytes, push_signed, push_varint};
pub use cells_body::{CellsBody, GroupCopy};
pub use cells_of_recipe::{Cells, CellsParts};
pub use cells_reader::Parts;
pub use config::{Cuts, RepoConfig};
pub use coordination::{Coordination, Held as HeldWork, Work};
pub use extent::{ExtentBuilder, FilledExtent};
pub use extent_kind::{Codec, ExtentKind};
pub use extent_row::ExtentRow;
pub use file_names::{pack_id, pack_name, snapshot_copy_name, snapshot_name};
pub use group_names::GroupHashing;
pub use group_positions::GroupPositions;
pub use guard::expects_panics;
pub use index::{ChunkPlace, Index, IndexMode, Located};
pub use index_file::{IndexPlace, Removal};
pub use local_cache::LocalCache;
pub use lock::{RepositoryLock, go_without_locks};
pub use memory_coordination::{MeetingPlace, MemoryCoordination};
pub use pack_layout::TrailerError;
pub use parity::{Parity, parity_name, parity_pack};
pub use questions::Questions;
pub use reader::{Chunk, ChunkReader, Held, KEPT_FOR_ALL};
pub use recipe::{PAGES_EXTENT_BYTES, PagePlace, PageRun, Recipe, RecipeBody, RecipeParts};
pub use recipe_reader::{KnownRecipes, NoneKnown, RecipeChain};
pub use record_file::{
    RecordKind, decode_record, encode_record, is_newer_record, is_record_as_written,
    record_file_for_tests,
};
pub use repository::{Location, Repository};
pub use seal::{Binding, Cipher, NO_CIPHER, Sealer};
pub use shared_access::SharedAccess;
pub use streams::{PackStreams, Stored, Stream, add_missing_parity};
pub use trailer::{ChunkRow, PackTrailer, read_trailer, read_whole_trailer};
pub use whole_extent::{ExtentReader, Proved, chunks_by_extent};
pub use without_key::{PackFault, is_sealed_otherwise, settings_without_key, verify_pack};

use std::path::PathBuf;

/// What can go wrong between a chunk and the files that hold it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The backend failed.
    #[error(transparent)]
    Backend(#[from] crate::backend::Error),
    /// A pack's trailer cannot be right.
    #[error("pack {pack} is damaged")]
    Pack {
        /// The pack's file name.
        pack: String,
        /// What about it.
        #[source]
        source: TrailerError,
    },
    /// An extent's bytes are not the ones that were written.
    #[error("extent {extent} of {pack} is damaged: {what}")]
    Extent {
        /// The pack's file name.
        pack: String,
        /// Number of the extent in the pack, from 0.
        extent: u32,
        /// What about it.
        what: &'static str,
    },
    /// A chunk's bytes do not have its hash.
    #[error("chunk {id} in {pack} is damaged: its bytes do not have its hash")]
    Chunk {
        /// The chunk.
        id: crate::chunk::ChunkId,
        /// The pack's file name.
        pack: String,
    },
    /// A recipe's bytes are not the ones that were written, or lead nowhere.
    #[error("the recipe of database {id} is damaged: {what}")]
    Recipe {
        /// The identity of the database.
        id: crate::chunk::ChunkId,
        /// What about it.
        what: &'static str,
    },
    /// No pack holds this chunk.
    #[error("chunk {id} is in no pack of the repository")]
    Unknown {
        /// The chunk.
        id: crate::chunk::ChunkId,
    },
    /// There is no repository.
    #[error("there is no jellyvault repository at {path}")]
    NoRepository {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The settings are gone, and the data is there.
    #[error(
        "the repository at {path} has lost its settings (repo.toml and its copy); its data is there"
    )]
    NoSettings {
        /// Where.
        path: PathBuf,
    },
    /// A repository is there already.
    #[error("there is a jellyvault repository at {path} already")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{path} is not empty and not a jellyvault repository")]
    NotEmpty {
        /// Where.
        path: PathBuf,
    },
    /// repo.toml cannot be read as one.
    #[error("repo.toml of the repository is damaged: {what}")]
    Config {
        /// What about it.
        what: String,
    },
    /// The repository is of a later format.
    #[error(
        "the repository has format {found}, but this version of jellyvault supports formats only up to {known}"
    )]
    Newer {
        /// The repository's.
        found: u32,
        /// The newest that is known.
        known: u32,
    },
    /// The repository is encrypted in a way that is not known.
    #[error(
        "the repository is encrypted with {cipher:?}, which this version of jellyvault cannot open"
    )]
    Cipher {
        /// The name in repo.toml.
        cipher: String,
    },
    /// The repository is encrypted, and nothing was given that opens it.
    #[error("the repository is encrypted, and no passphrase was given")]
    Locked,
    /// Packs are encrypted, and no key is there that could open them.
    #[error("the repository's packs are encrypted, but its keys are missing (folder keys/)")]
    KeysLost,
    /// What was given opens none of the repository's keys.
    #[error("{}", wrong_passphrase(*.is_recovery_key, *.tried, *.damaged))]
    WrongPassphrase {
        /// Whether it was a recovery key.
        is_recovery_key: bool,
        /// How many keys were tried.
        tried: usize,
        /// Files of keys that could not be read as such.
        damaged: usize,
    },
    /// The settings hide that the repository is encrypted.
    #[error(
        "the settings of the repository {} say that it is not encrypted, but it has keys: somebody changed them",
        folder.display()
    )]
    Forged {
        /// The repository's folder.
        folder: std::path::PathBuf,
    },
    /// The passphrase cannot be had from where it should come.
    #[error("{what}")]
    NoSecret {
        /// Why not.
        what: String,
    },
    /// The cache of an encrypted repository cannot be created.
    #[error("the cache of the encrypted repository cannot be created in {}", folder.display())]
    NoCache {
        /// Where caches are.
        folder: std::path::PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A key or what opens it cannot be used.
    #[error("{what}")]
    Key {
        /// What about it.
        what: String,
    },
    /// A record file cannot be right.
    #[error("{name} is damaged: {what}")]
    Record {
        /// The file.
        name: String,
        /// What about it.
        what: String,
    },
    /// A local file of the repository (lock, index, folder) failed.
    #[error("cannot {verb} {path}")]
    Local {
        /// The verb, as a word for the user.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The index file is damaged; it was deleted, and is rebuilt from the packs.
    #[error(
        "the index {path} was damaged and has been deleted. It will be rebuilt from the packs; no data is lost"
    )]
    IndexDamaged {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the repository exclusively.
    #[error("another jellyvault is deleting or moving data in the repository {path}")]
    Busy {
        /// Where.
        path: PathBuf,
    },
    /// The file system of the repository keeps no locks.
    #[error(
        "the file system of {path} does not support locks, so another jellyvault could delete files while this one works"
    )]
    NoLocks {
        /// The file that was to be locked.
        path: PathBuf,
    },
    /// Chunks that a capture took on and never stored: a fault of this program, found before
    /// anything was published.
    #[error(
        "{chunks} chunks were not stored in a pack, so no snapshot was taken. This is a bug in jellyvault: please report it"
    )]
    Unplaced {
        /// How many.
        chunks: u64,
    },
    /// Recovery blocks could not be had.
    #[error("the parity of pack {pack} failed: {what}")]
    Parity {
        /// The pack's file name.
        pack: String,
        /// What about it.
        what: &'static str,
        /// Why.
        #[source]
        source: reed_solomon_simd::Error,
    },
    /// Randomness could not be had.
    #[error("the operating system did not provide random numbers")]
    Random,
    /// A thread that seals extents ended before its time.
    #[error("a thread that encrypts data ended unexpectedly")]
    SealingEnded,
    /// Compression failed.
    #[error("zstd could not compress an extent")]
    Compress(#[source] std::io::Error),
}

fn wrong_passphrase(is_recovery_key: bool, tried: usize, damaged: usize) -> String {
    let what = if is_recovery_key { "this recovery key" } else { "this passphrase" };
    let keys = match tried {
        0 => "no key of the repository can be read: the files in its folder keys/ are missing or damaged".to_owned(),
        1 => format!("{what} does not open the repository's key"),
        many => format!("{what} opens none of the repository's {many} keys"),
    };
    if damaged == 0 || tried == 0 {
        keys
    } else {
        format!("{keys}; other files in keys/ are damaged")
    }
}

impl Error {
    /// The file whose reading failed or was refused, if that is what went wrong: it says nothing of
    /// the bytes.
    pub fn unread_file(&self) -> Option<&str> {
        match self {
            Error::Backend(crate::backend::Error::Io { verb: "read", name, .. }) => Some(name),
            _ => None,
        }
    }

    /// Whether the error means that stored bytes are missing or wrong, not that an operation
    /// failed.
    pub fn is_damage(&self) -> bool {
        use crate::backend::Error as B;
        matches!(
            self,
            Error::Pack { .. }
                | Error::Extent { .. }
                | Error::Chunk { .. }
                | Error::Recipe { .. }
                | Error::Unknown { .. }
                | Error::Record { .. }
                | Error::Config { .. }
        ) || matches!(
            self,
            Error::Backend(B::Missing { .. } | B::Short { .. } | B::TooLarge { .. })
        )
    }
}
