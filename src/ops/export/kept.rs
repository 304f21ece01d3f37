//! A zip whose tables were kept as they are: they go out again byte for byte.

use crate::archive::{
    HISTORY_NAME, History, MANIFEST_NAME, Manifest, Options as Parts, read_history_json,
};
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::version;
use crate::store::ChunkReader;

use super::super::Error;
use super::super::kept_tables::{kept_bytes, kept_entry, kept_names};
use super::super::ls::short;
use super::item::Item;
use super::item::mtime_ns;
use super::pour::Pourer;
use super::{ExportKind, ExportOptions};

/// What the zip said of itself, and its entries.
pub(super) struct Kept {
    names: Vec<String>,
    manifest_bytes: Vec<u8>,
    manifest: Manifest,
    /// Its migrations.
    pub history: History,
}

impl Kept {
    /// Those of a snapshot that has them; refuses what cannot be made of them.
    pub(super) fn of(
        (id, record): &(SnapshotId, SnapshotRecord),
        reader: &mut ChunkReader<'_>,
        options: &ExportOptions,
    ) -> Result<Option<Kept>, Error> {
        if !record.has_kept_tables() {
            return Ok(None);
        }
        let refused = |what: &str| {
            Err(Error::Refused {
                what: format!("snapshot {} contains only the tables of a zip, because their schema is unknown; {what}", short(id)),
                hint: "Export it without --exact and --for: the zip then contains the same tables, byte for byte. Once the schema is known (jellyvault schema learn), they become a database."
                    .to_owned(),
            })
        };
        if options.kind == ExportKind::Exact {
            return refused("there is no database yet for an exact zip");
        }
        if options.target.is_some() {
            return refused("they cannot be converted for another version");
        }
        let malformed = |what: String| Error::NotABackup {
            path: format!("the zip that snapshot {} was imported from", short(id)).into(),
            what,
        };
        let manifest_bytes = kept_bytes(reader, record, MANIFEST_NAME)?;
        let manifest =
            Manifest::read(&manifest_bytes).map_err(|error| malformed(error.to_string()))?;
        let history = read_history_json(kept_bytes(reader, record, HISTORY_NAME)?.as_slice())
            .map_err(|error| malformed(error.to_string()))?;
        Ok(Some(Kept { names: kept_names(reader, record)?, manifest_bytes, manifest, history }))
    }

    /// The versions that take it, for the user.
    pub(super) fn versions(&self) -> String {
        format!(
            "{} (of another version only where its tables are the same)",
            version::display(&self.manifest.server_version)
        )
    }

    /// The manifest: the very bytes where all goes out again, or one that says what does.
    pub(super) fn manifest(&self, parts: Parts, is_all: bool) -> Vec<u8> {
        if is_all {
            self.manifest_bytes.clone()
        } else {
            Manifest { options: parts, ..self.manifest.clone() }.write(None)
        }
    }

    /// The version that the manifest names.
    pub(super) fn server_version(&self) -> &str {
        &self.manifest.server_version
    }

    /// Pours them, in the order of the zip.
    pub(super) fn pour(
        &self,
        pourer: &mut Pourer<'_>,
        record: &SnapshotRecord,
        reader: &mut ChunkReader<'_>,
    ) -> Result<(), Error> {
        for name in self.names.iter().filter(|name| *name != MANIFEST_NAME) {
            let entry = kept_entry(reader, record, name)?;
            let Some(content) = entry.content().cloned() else { continue };
            let item = Item {
                name: name.clone(),
                logical: crate::manifest::display(&entry.path),
                size: entry.size(),
                content,
                mode: entry.mode,
                mtime_ns: mtime_ns(&entry),
            };
            pourer.file(item, reader)?;
        }
        Ok(())
    }
}
