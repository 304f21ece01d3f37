//! `stats`: what the snapshots hold, what the repository takes, and how it grew.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::manifest::{Catalog, SnapshotId};
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::databases::DatabaseCosts;

/// One category over all snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CategoryStats {
    /// Files in the newest snapshot that has it.
    pub files: u64,
    /// Bytes in the newest snapshot that has it.
    pub bytes: u64,
    /// Bytes of all snapshots added up, as if each were a full copy.
    pub bytes_in_all_snapshots: u64,
}

/// What one snapshot added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// The snapshot.
    pub id: SnapshotId,
    /// When, nanoseconds since 1970.
    #[serde(rename = "time", serialize_with = "time_of")]
    pub time_ns: i64,
    /// Stored bytes that its capture wrote.
    pub new_stored: u64,
    /// Bytes of content that were new, before compression.
    pub new_raw: u64,
    /// Stored bytes that no older snapshot needs for its databases.
    pub database_stored: u64,
}

/// A repository in numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Snapshots.
    pub snapshots: u64,
    /// Packs.
    pub packs: u64,
    /// Bytes of the packs.
    pub pack_bytes: u64,
    /// Bytes of content before compression, each chunk once.
    pub content_raw: u64,
    /// Bytes of content as stored.
    pub content_stored: u64,
    /// Bytes of manifests as stored.
    pub manifests_stored: u64,
    /// Bytes of all snapshots added up, as if each were a full copy.
    pub bytes_in_all_snapshots: u64,
    /// How many times the content would be larger if each snapshot were a full copy.
    pub deduplication: f64,
    /// How many times it would be larger uncompressed.
    pub compression: f64,
    /// By category.
    pub categories: BTreeMap<String, CategoryStats>,
    /// By snapshot, oldest first.
    pub growth: Vec<Growth>,
    /// Snapshots whose databases cannot be read back: what they cost is not known.
    pub unreadable: Vec<SnapshotId>,
}

/// Adds everything up.
pub fn stats(repository: &Repository, catalog: &Catalog) -> Result<Stats, Error> {
    let index = repository.index()?;
    let mut stats = Stats { snapshots: catalog.snapshots.len() as u64, ..Stats::default() };
    for listed in repository.backend().list("packs/").map_err(crate::store::Error::from)? {
        stats.packs += u64::from(listed.name.ends_with(".pack"));
        stats.pack_bytes += listed.size_bytes;
    }
    index.for_each_extent(|extent| {
        if extent.kind.is_content() {
            stats.content_raw += u64::from(extent.raw_bytes);
            stats.content_stored += u64::from(extent.stored_bytes);
        } else {
            stats.manifests_stored += u64::from(extent.stored_bytes);
        }
    })?;
    let mut reader = ChunkReader::new(repository, &index);
    let mut costs = DatabaseCosts::default();
    for (id, record) in &catalog.snapshots {
        let database_stored = match costs.next(record, &mut reader, &index) {
            Ok(databases) => databases.iter().map(|database| database.new_stored).sum(),
            Err(error) if error.kind() == crate::ops::ErrorKind::Damaged => {
                stats.unreadable.push(*id);
                0
            }
            Err(error) => return Err(error),
        };
        for (name, category) in &record.categories {
            let row = stats.categories.entry(name.clone()).or_default();
            (row.files, row.bytes) = (category.files, category.bytes);
            row.bytes_in_all_snapshots += category.bytes;
            stats.bytes_in_all_snapshots += category.bytes;
        }
        stats.growth.push(Growth {
            id: *id,
            time_ns: record.time_ns,
            new_stored: record.bytes.new_stored,
            new_raw: record.bytes.new_raw,
            database_stored,
        });
    }
    stats.deduplication = ratio(stats.bytes_in_all_snapshots, stats.content_raw);
    stats.compression = ratio(stats.content_raw, stats.content_stored);
    Ok(stats)
}

fn ratio(whole: u64, part: u64) -> f64 {
    if part == 0 { 1.0 } else { whole as f64 / part as f64 }
}

fn time_of<S: Serializer>(time_ns: &i64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&super::moment::time(*time_ns))
}
