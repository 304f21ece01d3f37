//! Tables that were kept as they are become a database once their schema is known.

use crate::archive::{HISTORY_NAME, Schema, read_history_json};
use crate::manifest::{Catalog, Chain, SnapshotId, SnapshotRecord, TABLES_KEPT};
use crate::source::{Category, ScratchFolder};
use crate::store::{ChunkReader, Repository};

use super::super::export::{ExportKind, ExportOptions, export};
use super::super::kept_tables::kept_bytes;
use super::super::{Error, Monitor};
use super::{ImportOptions, make, open};

/// Makes the databases of all snapshots whose tables were kept and whose schema is known by now:
/// (the snapshot, the one in its place).
pub fn build_known(
    repository: &Repository,
    monitor: &Monitor,
) -> Result<Vec<(SnapshotId, SnapshotId)>, Error> {
    let catalog = Catalog::load(repository)?;
    let waiting: Vec<_> =
        catalog.snapshots.iter().filter(|(_, record)| record.has_kept_tables()).collect();
    let mut built = Vec::new();
    if waiting.is_empty() {
        return Ok(built);
    }
    let kept = Chain::kept(repository)?;
    for snapshot in waiting {
        if is_known(repository, &snapshot.1)? {
            built.push((
                snapshot.0,
                build(repository, snapshot, kept.contains(&snapshot.0), monitor)?,
            ));
        }
    }
    Ok(built)
}

fn is_known(repository: &Repository, record: &SnapshotRecord) -> Result<bool, Error> {
    let index = repository.index()?;
    let bytes = kept_bytes(&mut ChunkReader::new(repository, &index), record, HISTORY_NAME)?;
    // One that cannot be read is of no known schema.
    Ok(read_history_json(bytes.as_slice()).is_ok_and(|history| Schema::of(&history).is_ok()))
}

/// Makes the database of a snapshot that holds the tables of a zip as they are, now that their
/// schema is known. The snapshot that has it takes the place of the other.
fn build(
    repository: &Repository,
    snapshot: &(SnapshotId, SnapshotRecord),
    is_kept: bool,
    monitor: &Monitor,
) -> Result<SnapshotId, Error> {
    let (old, record) = snapshot;
    let place = repository.scratch_folder();
    let folder = ScratchFolder::create(&place).map_err(|source| Error::Target {
        verb: "create a folder in",
        path: place,
        source,
    })?;
    let zip = folder.path.join("tables.zip");
    let zone = jiff::tz::TimeZone::UTC;
    let only = vec![Category::Database];
    let out = ExportOptions {
        kind: ExportKind::Tables,
        only,
        target: None,
        zone: zone.clone(),
        as_server: false,
        force: false,
        threads: 0,
    };
    export(repository, snapshot, &zip, None, &out, monitor)?;
    let opened = open(&zip, None)?;
    if opened.schema.is_none() {
        return Err(Error::Refused {
            what: opened
                .unknown
                .unwrap_or_else(|| "the tables have no migration history".to_owned()),
            hint: "Run jellyvault schema learn to learn the schema.".to_owned(),
        });
    }
    let options = ImportOptions {
        label: record.label.clone(),
        note: record.note.clone(),
        zone,
        force: true,
        threads: 0,
    };
    let merge = |made: SnapshotRecord| {
        let mut merged = record.clone();
        if let Some(database) = made.category(Category::Database.name()) {
            merged.categories.insert(Category::Database.name().to_owned(), database.clone());
        }
        merged.source.seen_by_server = made.source.seen_by_server;
        (merged.server.schema, merged.server.code_migration, merged.server.history) =
            (made.server.schema, made.server.code_migration, made.server.history);
        merged.remarks.retain(|remark| !remark.starts_with(TABLES_KEPT));
        merged.problem_count += made.problem_count;
        merged.problems.extend(made.problems);
        merged.bytes.source = merged.categories.values().map(|category| category.bytes).sum();
        merged.files.total = merged.categories.values().map(|category| category.files).sum();
        merged
    };
    let (id, merged) = make(repository, &zip, opened, &options, merge, monitor)?;
    Catalog::replace(repository, &[*old], id, &merged, is_kept)?;
    Ok(id)
}
