//! `manifest.json`: what a server asks of a zip before it touches anything.

use serde::Deserialize;

use super::lenient::lenient;
use super::schema::Schema;
use super::text::{Date, date_of_json, push_string};

/// The version of the server's backup engine that reads and writes this zip.
pub const ENGINE: &str = "0.2.0";
/// Longest manifest that is read, in bytes.
pub const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// What a zip says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The server's version, in four parts.
    pub server_version: String,
    /// When it was made.
    pub created: Date,
    /// What is in it.
    pub options: Options,
}

/// The server's own choice of parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
#[serde(rename_all(deserialize = "PascalCase"), default)]
pub struct Options {
    /// Metadata.
    pub metadata: bool,
    /// Trickplay sheets.
    pub trickplay: bool,
    /// Extracted subtitles.
    pub subtitles: bool,
    /// The tables are to be restored.
    pub database: bool,
}

/// Why a manifest is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is no JSON, or lacks a key that the server insists on.
    #[error("its manifest.json cannot be read: {0}")]
    Malformed(String),
    /// Another engine made it.
    #[error(
        "it was made by version {0} of Jellyfin's backup engine; only {ENGINE} is known (Jellyfin 10.11 and 12)"
    )]
    Engine(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    server_version: String,
    backup_engine_version: String,
    date_created: String,
    // The server insists on the key and ignores what is in it.
    #[serde(rename = "DatabaseTables")]
    _database_tables: Vec<serde_json::Value>,
    options: Options,
}

impl Manifest {
    /// Reads one as leniently as the server does: a byte order mark and trailing commas pass.
    pub fn read(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let raw: Raw = serde_json::from_reader(lenient(bytes)).map_err(|e| {
            ManifestError::Malformed(format!(
                "it is not a JSON object with the keys that Jellyfin writes ({e})"
            ))
        })?;
        if raw.backup_engine_version != ENGINE {
            return Err(ManifestError::Engine(raw.backup_engine_version));
        }
        let created = date_of_json(&raw.date_created).ok_or_else(|| {
            ManifestError::Malformed(format!("{:?} is not a date", raw.date_created))
        })?;
        // Snapshots are counted from 1970, in 63 bits of nanoseconds.
        if created.ns() < 0 || i64::try_from(created.ns()).is_err() {
            return Err(ManifestError::Malformed(format!(
                "its date {:?} is before 1970 or after 2262",
                raw.date_created
            )));
        }
        let parts: Vec<&str> = raw.server_version.split('.').collect();
        if !(2..=4).contains(&parts.len()) || parts.iter().any(|part| part.parse::<u16>().is_err())
        {
            return Err(ManifestError::Malformed(format!(
                "{:?} is not a server version",
                raw.server_version
            )));
        }
        Ok(Manifest { server_version: raw.server_version, created, options: raw.options })
    }

    /// As the server writes it; with tables of a schema, or none of them in an exact zip.
    pub fn write(&self, schema: Option<&Schema>) -> Vec<u8> {
        let mut out = Vec::new();
        let text = |out: &mut Vec<u8>, key: &str, value: &str| {
            out.extend(key.bytes());
            push_string(out, value);
        };
        text(&mut out, "{\"ServerVersion\":", &self.server_version);
        text(&mut out, ",\"BackupEngineVersion\":", ENGINE);
        // Not through the encoder: the plus of the offset stands there as it is.
        out.extend(
            format!(",\"DateCreated\":\"{}+00:00\"", self.created.json().trim_end_matches('Z'))
                .bytes(),
        );
        out.extend(b",\"DatabaseTables\":[");
        // The server writes the name of a type here, not that of the table, and reads neither.
        if let Some(schema) = schema {
            for _ in &schema.tables {
                push_string(&mut out, "DbSet`1");
                out.push(b',');
            }
            push_string(&mut out, "HistoryRow");
        }
        let Options { metadata, trickplay, subtitles, database } = self.options;
        out.extend(format!("],\"Options\":{{\"Metadata\":{metadata},\"Trickplay\":{trickplay},\"Subtitles\":{subtitles},\"Database\":{database}}}}}").bytes());
        out
    }
}

/// A server's version in the four parts that a manifest needs.
pub fn four_parts(version: &str) -> String {
    let numbers = version.split(['.', '-', '+']).map(|part| part.parse::<u32>().unwrap_or(0));
    numbers
        .chain(std::iter::repeat(0))
        .take(4)
        .map(|part| part.to_string())
        .collect::<Vec<_>>()
        .join(".")
}
