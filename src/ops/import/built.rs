//! A database of a zip, stored.

use crate::chunk::ChunkId;
use crate::source::DatabaseFacts;

/// A database that is stored.
pub(super) struct Built {
    /// Its identity.
    pub id: ChunkId,
    /// Its length in bytes.
    pub size: u64,
    /// What it tells of its server, where that can be read.
    pub facts: rusqlite::Result<DatabaseFacts>,
}
