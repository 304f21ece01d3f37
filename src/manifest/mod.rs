//! What did one category hold at one moment? A sorted list of entries, kept as a tree of
//! content-addressed nodes, so that two moments share what did not change; and the snapshot records
//! that name those trees.

mod builder;
mod catalog;
mod chain;
mod cursor;
mod diff;
mod entry;
mod given_name;
mod link;
mod link_names;
mod moment;
mod newest;
mod node;
mod path;
mod record;
mod record_cache;
mod record_copy;
mod record_facts;
mod records;
mod retention;
mod seen;
mod server_keys;
mod since;
mod snapshot_id;

pub use builder::{LeafRef, TreeBuilder, starts_node};
pub use catalog::{Catalog, ListEnd};
pub use chain::{Chain, Irregularity, ListChange};
pub use cursor::{Entries, children, find, leaves, read_leaf, read_node};
pub use diff::{Difference, Scope, differences};
pub use entry::{
    Content, Entry, Kind, OWNER_UNKNOWN, Piece, Time, XattrPairs, Xattrs, decode_pieces,
    decode_xattrs, encode_pieces, encode_xattrs,
};
pub use given_name::NameError;
pub use link::{FileHash, Link, Listed, file_hash};
pub use node::{Child, Node};
pub use path::{compare, display, file_name, is_valid, is_within, parent, typed_path};
pub use record::{
    Bytes as ByteCounts, CategoryRecord, Directories, Files, Learnt, Owners, ServerRecord,
    SnapshotRecord, SourceRecord,
};
pub use record_cache::RecordCache;
pub use record_copy::{decode_record_copy, encode_record_copy, record_copy_id};
pub use record_facts::{
    CLOCK, HALF_MOVED, NOT_IN_ZIP, ONLY_MARKERS, RECOVERED_KEY, TABLES_KEPT, UPGRADE,
    upgrade_words, zip_key,
};
pub use retention::{Count, Policy, Verdict, instance_of, judge};
pub use seen::{WentBack, accept as accept_list, went_back};
pub use since::Standing;
pub use snapshot_id::SnapshotId;

/// What can be wrong with a manifest or a snapshot record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// A node's bytes are no node, though they have their hash.
    #[error("manifest node {id} is damaged: {what}")]
    Node {
        /// The node.
        id: crate::chunk::ChunkId,
        /// What about it.
        what: &'static str,
    },
    /// The record cannot be written.
    #[error("the snapshot's record cannot be written: {what}")]
    Record {
        /// Why.
        what: String,
    },
}

impl From<crate::backend::Error> for Error {
    fn from(error: crate::backend::Error) -> Error {
        Error::Store(error.into())
    }
}

impl Error {
    /// Whether the error means that stored bytes are missing or wrong.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Store(error) => error.is_damage(),
            Error::Node { .. } => true,
            Error::Record { .. } => false,
        }
    }
}
