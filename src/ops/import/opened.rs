//! A zip that is open, with what it says of itself.

use std::fs::File;
use std::path::Path;

use crate::archive::{
    DATABASE_NAME, HISTORY_BYTES_MAX, HISTORY_NAME, History, MANIFEST_BYTES_MAX, MANIFEST_NAME,
    Manifest, Schema, SchemaError, ZipReader, read_history_json,
};
use crate::manifest::zip_key;

use super::super::Error;

/// How far a clock may be ahead, in nanoseconds.
const FUTURE_NS: i128 = 86_400 * 1_000_000_000;

/// What a zip says, before its files are looked at.
pub(super) struct Opened {
    pub zip: ZipReader,
    pub manifest: Manifest,
    pub key: String,
    pub history: History,
    pub schema: Option<&'static Schema>,
    /// Why the tables are kept as they are.
    pub unknown: Option<String>,
    /// The date that its manifest gives, where that has not come yet.
    pub from_the_future: Option<String>,
}

/// Opens a zip and reads what it says of itself.
pub(super) fn open(path: &Path, file: Option<File>) -> Result<Opened, Error> {
    let failed = |source| Error::Zip { path: path.to_path_buf(), source: Box::new(source) };
    let zip = file.map_or_else(|| ZipReader::at(path), ZipReader::open).map_err(failed)?;
    let not_ours = |what: String| Error::NotABackup { path: path.to_path_buf(), what };
    let Some(entry) = zip.find(MANIFEST_NAME) else {
        return Err(not_ours("it does not contain manifest.json".to_owned()));
    };
    let bytes = zip.read_small(entry, MANIFEST_BYTES_MAX).map_err(failed)?;
    let mut manifest = Manifest::read(&bytes).map_err(|error| not_ours(error.to_string()))?;
    let now = jiff::Timestamp::now().as_nanosecond();
    let from_the_future =
        (manifest.created.ns() > now + FUTURE_NS).then(|| manifest.created.json());
    if from_the_future.is_some() {
        // It would be the latest for ever.
        manifest.created = crate::archive::Date::of_ns(now);
    }
    let key = key(&zip);
    let mut history = History::new();
    if let Some(entry) = zip.find(HISTORY_NAME).filter(|_| zip.find(DATABASE_NAME).is_none()) {
        let bytes = zip.read_small(entry, HISTORY_BYTES_MAX).map_err(failed)?;
        history =
            read_history_json(bytes.as_slice()).map_err(|error| not_ours(error.to_string()))?;
    }
    let (schema, unknown) = match Schema::of(&history) {
        Ok(schema) => (Some(schema), None),
        Err(SchemaError::NoHistory) => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    Ok(Opened { zip, manifest, key, history, schema, unknown, from_the_future })
}

/// Names a zip by what is in it, so that a second import of it is known.
fn key(zip: &ZipReader) -> String {
    let mut hasher = blake3::Hasher::new();
    for entry in &zip.entries {
        hasher
            .update(zip.name(entry).as_bytes())
            .update(&[0])
            .update(&entry.size().to_le_bytes())
            .update(&entry.crc().to_le_bytes());
    }
    zip_key(&hasher.finalize().to_hex().chars().take(32).collect::<String>())
}
