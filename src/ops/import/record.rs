//! The record of a snapshot that comes from a zip.

use std::path::Path;

use crate::archive::ZipReader;
use crate::manifest::{
    ByteCounts, Directories, Learnt, NOT_IN_ZIP, Owners, ServerRecord, SnapshotRecord,
    SourceRecord, TABLES_KEPT,
};
use crate::source::{Category, DatabaseFacts, history_hash, version};

use super::super::ingest::collect::Collector;
use super::super::{Error, find_instance};
use super::ImportOptions;
use super::opened::Opened;

/// The record but for what only the end of the import knows: categories, what was stored.
pub(super) fn record_of(
    path: &Path,
    opened: &Opened,
    facts: DatabaseFacts,
    wanted: &[Category],
    collector: &mut Collector<'_>,
    options: &ImportOptions,
) -> Result<SnapshotRecord, Error> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(SnapshotRecord {
        // The manifest's reading lets no year pass that this does not hold.
        time_ns: i64::try_from(opened.manifest.created.ns()).unwrap_or_default(),
        parent: None,
        label: options.label.clone(),
        note: options.note.clone(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        source: SourceRecord {
            key: opened.key.clone(),
            host: "a zip".to_owned(),
            how: format!("imported from {name}"),
            directories: Directories::new(),
            seen_by_server: facts.directories,
        },
        server: ServerRecord {
            version: Some(Learnt {
                value: version::display(&server_version(opened)).to_owned(),
                how: "the zip's manifest".to_owned(),
                // Our own zips, which alone hold the server's id, may say no more than a lower
                // bound.
                exact: opened.zip.find("Data/device.txt").is_none(),
            }),
            id: server_id(&opened.zip).map_err(|source| Error::Zip {
                path: path.to_path_buf(),
                source: Box::new(source),
            })?,
            schema: facts.schema.or_else(|| newest(&opened.history, false)),
            code_migration: facts
                .code_migration
                .map(|(id, _)| id)
                .or_else(|| newest(&opened.history, true)),
            history: facts.history.or_else(|| history_hash(&opened.history)),
        },
        categories: Default::default(),
        files: collector.files,
        bytes: ByteCounts { source: 0, read: collector.read_bytes, new_raw: 0, new_stored: 0 },
        took_ms: 0,
        excluded: Vec::new(),
        problems: std::mem::take(&mut collector.problems),
        problem_count: collector.problem_count,
        remarks: remarks(opened, wanted),
        owners: Owners::default(),
    })
}

/// The newest migration of the schema, or of the code.
fn newest(history: &[(String, String)], code: bool) -> Option<String> {
    history
        .iter()
        .filter(|(_, version)| (version.split('.').count() == 4) == code)
        .map(|(id, _)| id.clone())
        .max()
}

/// The version that the zip says; where its tables are of a newer one, that.
fn server_version(opened: &Opened) -> String {
    let said = &opened.manifest.server_version;
    match opened.schema {
        Some(schema) if version::parse(&schema.first) > version::parse(said) => {
            schema.first.clone()
        }
        _ => said.clone(),
    }
}

/// `Data/device.txt`, which only our own zips hold.
fn server_id(zip: &ZipReader) -> Result<Option<String>, crate::archive::ZipError> {
    let Some(entry) = zip.find("Data/device.txt") else { return Ok(None) };
    Ok(find_instance::server_id(&String::from_utf8_lossy(&zip.read_small(entry, 4096)?)))
}

/// What no zip, or not this one, holds.
fn remarks(opened: &Opened, wanted: &[Category]) -> Vec<String> {
    let mut missing = vec!["plugins"];
    if opened.schema.is_some() {
        missing.push("home sections");
    }
    if opened.zip.find("Data/device.txt").is_none() {
        missing.push("the server's id");
    }
    let expected =
        [Category::Metadata, Category::Subtitles, Category::Trickplay, Category::Attachments];
    missing.extend(
        expected.into_iter().filter(|category| !wanted.contains(category)).map(Category::name),
    );
    let kept = opened.unknown.as_ref().map(|why| {
        format!(
            "{TABLES_KEPT}{why}. You can list, compare and export them byte for byte. jellyvault schema learn, or a newer jellyvault, can build a database from them"
        )
    });
    kept.into_iter().chain([format!("{NOT_IN_ZIP}{}", missing.join(", "))]).collect()
}
