//! Tables of a zip whose schema is not known: kept as files, exported as they came, a database once
//! the schema is known.

use crate::manifest::{Catalog, CategoryRecord, Entry, SnapshotRecord, find};
use crate::source::{Category, KEPT_TABLES};
use crate::store::{ChunkReader, Repository};

use super::Error;
use super::content::write_content;

/// The file that names the entries that are kept, in the order of the zip.
pub const ORDER_NAME: &str = ".order.json";
/// Longest list of entries, in bytes.
const ORDER_BYTES_MAX: u64 = 4 << 20;

/// The logical path of an entry that is kept.
pub fn kept_path(name: &str) -> String {
    format!("{KEPT_TABLES}/{name}")
}

/// Names of the entries that are kept, in the order of the zip.
pub fn kept_names(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
) -> Result<Vec<String>, Error> {
    let bytes = kept_bytes(reader, record, ORDER_NAME)?;
    serde_json::from_slice(&bytes).map_err(|_| Error::System { what: "the list of a zip's tables" })
}

/// An entry that is kept.
pub fn kept_entry(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    name: &str,
) -> Result<Entry, Error> {
    let path = kept_path(name);
    let category: Option<&CategoryRecord> = record.category(Category::Database.name());
    let entry = category
        .map(|category| find(reader, category.manifest, path.as_bytes()))
        .transpose()?
        .flatten();
    entry.ok_or(Error::NoPath { snapshot: "that was imported".to_owned(), path })
}

/// The bytes of a small one.
pub fn kept_bytes(
    reader: &mut ChunkReader<'_>,
    record: &SnapshotRecord,
    name: &str,
) -> Result<Vec<u8>, Error> {
    let entry = kept_entry(reader, record, name)?;
    let (size, mut bytes) = (entry.size(), Vec::new());
    let Some(content) = entry.content().filter(|_| size <= ORDER_BYTES_MAX) else {
        return Err(Error::System { what: "the list of a zip's tables" });
    };
    write_content(reader, content, size, |_, part| {
        bytes.extend_from_slice(part);
        Ok(())
    })?;
    Ok(bytes)
}

/// How many snapshots of a repository hold tables as they are.
pub fn count_kept_tables(repository: &Repository) -> Result<usize, Error> {
    Ok(Catalog::load(repository)?
        .snapshots
        .iter()
        .filter(|(_, record)| record.has_kept_tables())
        .count())
}
