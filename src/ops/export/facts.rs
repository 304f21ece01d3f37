//! What can be said of a zip before and after it is written: which server takes it, and what its
//! restore does not bring back.

use crate::archive::{Options as Parts, Schema, Standing, four_parts};
use crate::manifest::{SnapshotId, SnapshotRecord};
use crate::source::{Category, version as versions};

use super::super::Error;
use super::database::PrivateDatabase;
use super::kept::Kept;
use super::walk::Unplaced;
use super::{ExportKind, ExportOptions, Place, fit};

/// What the database tells before anything is written.
pub(super) struct Facts {
    /// Schema of the tables that are written.
    pub schema: Option<&'static Schema>,
    /// Version that the manifest names.
    pub server_version: String,
    /// Versions that take it, for the user.
    pub versions: String,
    /// What the manifest says is in it.
    pub parts: Parts,
}

impl Facts {
    /// Of a snapshot and its database.
    pub(super) fn of(
        snapshot: &(SnapshotId, SnapshotRecord),
        (database, kept): (Option<&PrivateDatabase>, Option<&Kept>),
        options: &ExportOptions,
    ) -> Result<Facts, Error> {
        let (_, record) = snapshot;
        let known = record.server.version.as_ref().map(|version| version.value.clone());
        let has = |category: Category| {
            (options.only.is_empty() || options.only.contains(&category))
                && record
                    .category(category.name())
                    .is_some_and(|found| found.files > 0 || !options.only.is_empty())
        };
        let tables = options.kind == ExportKind::Tables;
        let parts = Parts {
            metadata: has(Category::Metadata),
            trickplay: has(Category::Trickplay),
            subtitles: has(Category::Subtitles),
            database: tables && (database.is_some() || kept.is_some()),
        };
        let named = |schema: Option<&Schema>| {
            known.clone().or_else(|| schema.map(|schema| schema.first.clone()))
        };
        if let Some(kept) = kept {
            return Ok(Facts {
                schema: None,
                server_version: kept.server_version().to_owned(),
                versions: kept.versions(),
                parts,
            });
        }
        let schema = match database {
            Some(database) if tables => Some(fit::schema_of(database, snapshot, options)?),
            Some(database) => database.schema,
            None => None,
        };
        // A server takes a zip of its own version or an older one: where none is known, the oldest
        // is the one that every server takes.
        let known = named(schema);
        let version = known.clone().unwrap_or_else(|| {
            Schema::all().first().map_or_else(String::new, |oldest| oldest.first.clone())
        });
        let shown = known.map_or_else(
            || "of the snapshot's version".to_owned(),
            |version| versions::display(&version).to_owned(),
        );
        let versions = match (options.kind, schema) {
            (ExportKind::Exact, _) => exact_versions(database, record, &shown),
            // Its tables are of a known schema, but a server of that schema need not know what was
            // done to them since.
            (ExportKind::Tables, Some(_))
                if database.is_some_and(|database| database.standing == Standing::Newer) =>
            {
                format!("{shown} or newer with the same tables")
            }
            (ExportKind::Tables, Some(schema)) => versions_from(schema, &version),
            (ExportKind::Tables, None) => format!("{shown} or newer"),
        };
        Ok(Facts {
            schema: schema.filter(|_| tables),
            server_version: four_parts(&version),
            versions,
            parts,
        })
    }
}

/// The versions that take an exact zip.
fn exact_versions(
    database: Option<&PrivateDatabase>,
    record: &SnapshotRecord,
    shown: &str,
) -> String {
    match database.map(|database| &database.standing) {
        Some(Standing::Legacy) => "10.11 or newer".to_owned(),
        // Others may take it up as well; nobody tried.
        Some(Standing::Between { to, .. }) => to.clone(),
        Some(Standing::Newer)
            if !record.server.version.as_ref().is_some_and(|version| version.exact) =>
        {
            format!("the version that wrote it, or newer (later than {shown})")
        }
        _ => format!("{shown} or newer"),
    }
}

/// The versions of a schema that take a zip of this version: no server takes one that is newer than
/// itself.
fn versions_from(schema: &Schema, version: &str) -> String {
    let (first, last) = schema
        .versions
        .split_once(" to ")
        .or_else(|| schema.versions.split_once(" and "))
        .unwrap_or((&schema.versions, ""));
    let shown = versions::display(version);
    match (versions::parse(version) > versions::parse(first), last.is_empty()) {
        (true, false) if versions::parse(version) >= versions::parse(last) => shown.to_owned(),
        (true, false) => format!("{shown} to {last}"),
        _ => schema.versions.clone(),
    }
}

fn files(count: u64) -> String {
    if count == 1 { "one file".to_owned() } else { format!("{count} files") }
}

/// What is odd about the snapshot's database.
pub(super) fn remarks(
    record: &SnapshotRecord,
    database: Option<&PrivateDatabase>,
    place: Option<&Place>,
) -> Vec<String> {
    let has_none = database.is_some_and(|database| database.history.is_empty());
    let what = "the database has no migration history, which every Jellyfin server writes. No server is known to start with it";
    let mut remarks: Vec<String> = has_none.then(|| what.to_owned()).into_iter().collect();
    if database.is_some_and(|database| database.was_locked) {
        remarks.push("a lock that a migration left in the database was removed from the zip, because it would keep the server from starting".to_owned());
    }
    if let Some(database) = database {
        remarks.extend(standing_words(database));
    }
    if place.is_some_and(|place| place.mode & 0o004 != 0) {
        remarks.push(
            "the zip's owner could not be set to the server's user, so everybody with access to its directory can read it. It contains password hashes and access tokens"
                .to_owned(),
        );
    }
    if record.source.directories.is_empty() && record.source.seen_by_server.is_empty() {
        remarks.push(
            "the snapshot does not contain its server's directories. They must be the same where the zip is restored, or the next library scan deletes everything"
                .to_owned(),
        );
    }
    remarks
}

/// What must be known of a database that is no known version's.
fn standing_words(database: &PrivateDatabase) -> Option<String> {
    match &database.standing {
        Standing::Legacy => Some(
            "the server that restores this zip migrates the library at its next start, which takes a while. Then restart it once more: until then, signing in fails with error 401"
                .to_owned(),
        ),
        Standing::Between { to, .. } => {
            Some(format!("the server was in the middle of its upgrade to {to}. The server that restores this zip continues the upgrade at its next start"))
        }
        Standing::Newer => Some("the database is of a later version than this version of jellyvault knows".to_owned()),
        Standing::Unknown | Standing::Whole => None,
    }
}

/// What a restore of the zip will not bring back.
pub(super) fn missing(
    record: &SnapshotRecord,
    options: &ExportOptions,
    (database, has_kept_tables): (Option<&PrivateDatabase>, bool),
    has_home_sections: bool,
    unplaced: &Unplaced,
) -> Vec<String> {
    let mut missing = Vec::new();
    if options.kind == ExportKind::Tables && has_home_sections {
        missing.push(
            "home sections: each user's choice for the home screen (export --exact includes it)"
                .to_owned(),
        );
    }
    let has =
        |category: Category| record.category(category.name()).is_some_and(|found| found.files > 0);
    let expected = [
        Category::Database,
        Category::Metadata,
        Category::Subtitles,
        Category::Trickplay,
        Category::Attachments,
    ];
    for category in expected
        .into_iter()
        .filter(|category| options.only.is_empty() && record.category(category.name()).is_none())
    {
        missing.push(format!("{category}: the snapshot was taken without it"));
    }
    if database.is_none()
        && !has_kept_tables
        && options.only.is_empty()
        && record.category(Category::Database.name()).is_some()
    {
        missing.push("the database: the snapshot does not contain one".to_owned());
    }
    if database.is_some() && unplaced.databases > 0 {
        missing.push("databases of plugins (use restore --only database)".to_owned());
    }
    if unplaced.files > 0 {
        let named = unplaced.named.join(", ");
        missing.push(format!(
            "{} of the configuration that the zip format does not support, for example {named} (use restore --only config)",
            files(unplaced.files)
        ));
    }
    if let Some(what) = record.not_in_zip() {
        missing.push(format!("not in the zip that this snapshot was imported from: {what}"));
    }
    if has(Category::Plugins) {
        missing.push("plugins and their settings: Jellyfin's zips never contain them (use restore --only plugins)".to_owned());
    }
    if has(Category::Other) {
        missing
            .push("other files in Jellyfin's data directory (use restore --only other)".to_owned());
    }
    missing
}
