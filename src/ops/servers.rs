//! Which servers are the snapshots of? A server is known by its id, wherever it lies; what has
//! none, by the machine and its directories.

use crate::manifest::{Catalog, SnapshotRecord, instance_of};
use crate::source::xml_element;
use crate::store::{ChunkReader, Repository};

use super::content::write_content;
use super::select::lookup;
use super::{Error, source_name};

/// Largest `system.xml` that is read for a server's name, in bytes.
const SETTINGS_BYTES_MAX: u64 = 1 << 20;

/// A server, or another source, of a repository's snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownServer {
    /// What tells its snapshots from others'.
    pub identity: String,
    /// Its id, where it is a server's.
    pub id: Option<String>,
    /// Its name, where its settings give one.
    pub name: Option<String>,
    /// The directory that its newest snapshot was taken of.
    pub directory: String,
    /// The machine.
    pub host: String,
    /// Its snapshots.
    pub snapshots: u64,
    /// When the newest of them was taken, in nanoseconds since 1970.
    pub newest_ns: i64,
    /// Not a plain folder, or a zip that does not tell its server.
    pub is_server: bool,
}

/// All servers of a catalogue, the one with the newest snapshot last.
pub fn servers(repository: &Repository, catalog: &Catalog) -> Result<Vec<KnownServer>, Error> {
    let known = unnamed_servers(catalog);
    // One needs no name to be told from others.
    if known.len() < 2 {
        Ok(known.into_iter().map(|(known, _)| known).collect())
    } else {
        with_names(repository, known)
    }
}

/// The same with their names, even where there is only one.
pub fn named_servers(
    repository: &Repository,
    catalog: &Catalog,
) -> Result<Vec<KnownServer>, Error> {
    with_names(repository, unnamed_servers(catalog))
}

/// A server, and its newest snapshot that has the settings: one of the database alone does not know
/// the name.
type WithSettings<'c> = (KnownServer, Option<&'c SnapshotRecord>);

fn unnamed_servers(catalog: &Catalog) -> Vec<WithSettings<'_>> {
    let mut found: Vec<WithSettings<'_>> = Vec::new();
    for (_, record) in &catalog.snapshots {
        let identity = instance_of(record);
        let before = found
            .iter()
            .position(|(known, _)| known.identity == identity)
            .map(|at| found.remove(at));
        let snapshots = before.as_ref().map_or(0, |(before, _)| before.snapshots) + 1;
        let has_settings = record.category("config").is_some_and(|settings| settings.files > 0);
        let settings =
            if has_settings { Some(record) } else { before.and_then(|(_, settings)| settings) };
        let known = KnownServer {
            identity: identity.to_owned(),
            id: record.server.id.clone(),
            name: None,
            directory: source_name(record),
            host: record.source.host.clone(),
            snapshots,
            newest_ns: record.time_ns,
            is_server: record.is_of_a_server(),
        };
        found.push((known, settings));
    }
    found
}

fn with_names(
    repository: &Repository,
    found: Vec<WithSettings<'_>>,
) -> Result<Vec<KnownServer>, Error> {
    let index = repository.index()?;
    let mut reader = ChunkReader::new(repository, &index);
    Ok(found
        .into_iter()
        .map(|(known, record)| KnownServer {
            name: record.and_then(|record| name_in(record, &mut reader)),
            ..known
        })
        .collect())
}

/// `ServerName` of a snapshot's settings. A name that cannot be had is no reason to fail.
fn name_in(record: &SnapshotRecord, reader: &mut ChunkReader<'_>) -> Option<String> {
    let entry = lookup(reader, record, b"config/system.xml").ok()??.entry;
    let content = entry.content().filter(|_| entry.size() <= SETTINGS_BYTES_MAX)?;
    let mut bytes = Vec::new();
    write_content(reader, content, entry.size(), |_, part| {
        bytes.extend_from_slice(part);
        Ok(())
    })
    .ok()?;
    xml_element(&bytes, "ServerName")
}

impl KnownServer {
    /// Whether a user may mean it by this: its name, its directory, or its id or a beginning of it.
    pub fn is_called(&self, wanted: &str) -> bool {
        let path = |text: &str| text.trim_end_matches('/').to_owned();
        self.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(wanted))
            || path(&self.directory) == path(wanted)
            || (wanted.len() >= 4
                && self.identity.to_ascii_lowercase().starts_with(&wanted.to_ascii_lowercase()))
    }
}
