//! Which server takes the zip: schema, version, directories, and the place where its dashboard
//! looks.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use crate::archive::{History, Schema, SchemaError, Standing, read_history};
use crate::limits::XML_BYTES_MAX;
use crate::manifest::{Directories, Kind, SnapshotId, SnapshotRecord, find};
use crate::progress::Interrupt;
use crate::source::{self, Category, Instance, Layout, Stat, version};
use crate::store::{ChunkReader, Repository};

use super::super::content::write_content;
use super::super::ls::short;
use super::super::restore::{check_same_directories, copy_to_look_at, live_database};
use super::super::{Error, SourceSpec};
use super::database::PrivateDatabase;
use super::{ExportKind, ExportOptions};

/// The only retargeting that is verified: rows of 10.11.0 to 10.11.9 for 10.11.10 and 10.11.11
/// (`docs/zip.md`).
const RETARGETS: [(&str, &str); 1] = [("10.11.0", "10.11.10")];

/// The instance whose dashboard is to list the zip.
#[derive(Clone, Debug)]
pub struct JellyfinTarget {
    /// Its directories.
    pub instance: Instance,
    /// How it was found, and its server.
    pub spec: SourceSpec,
    /// The server sees the same directories as the snapshot's (a container with the same volumes).
    pub same_directories: bool,
}

/// Where a zip is put for a server, and what is known of that server.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its `data/backups`.
    pub folder: PathBuf,
    /// Owner of what is put there, where it can be given.
    pub owner: Option<(u32, u32)>,
    /// The directory that the folder lies in.
    data: Arc<OwnedFd>,
    /// Mode of what is put there.
    pub mode: u32,
    /// The installed server's version, and how it is known.
    server: Option<crate::manifest::Learnt>,
    /// Its database, where it stands elsewhere than usual.
    database: Option<PathBuf>,
    /// Migrations of its database.
    history: History,
    here: Directories,
    seen_here: Directories,
    same_directories: bool,
    /// Whether the server has users.
    pub(super) has_users: bool,
}

impl Place {
    /// The server's version, where it is known exactly.
    pub(super) fn exact_version(&self) -> Option<&str> {
        Some(self.server.as_ref().filter(|version| version.exact)?.value.as_str())
    }

    /// Whether the server keeps its metadata there.
    pub(super) fn has_metadata_at(&self, path: &str) -> bool {
        [&self.seen_here, &self.here]
            .into_iter()
            .any(|directories| directories.get("metadata").is_some_and(|here| here == path))
    }

    /// The folder, made where it is missing, as the server would. It is reached through no link,
    /// and given away by its descriptor.
    pub(super) fn make(&self) -> std::io::Result<OwnedFd> {
        let name = self.folder.file_name().unwrap_or_default();
        let is_new = match rustix::fs::mkdirat(&*self.data, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(&*self.data, name, flags, Mode::empty())?;
        if let Some((uid, gid)) = self.owner.filter(|_| is_new) {
            rustix::fs::fchown(&folder, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(folder)
    }
}

/// The schema of the tables that are to be written; refuses what no server would take.
pub(super) fn schema_of(
    database: &PrivateDatabase,
    (id, record): &(SnapshotId, SnapshotRecord),
    options: &ExportOptions,
) -> Result<&'static Schema, Error> {
    refuse_half(&database.standing, id)?;
    let own = Schema::of(&database.history).map_err(|error| unknown(&error, id))?;
    let Some(target) = &options.target else { return Ok(own) };
    let wanted = Schema::all().iter().find(|schema| covers(schema, target));
    let is_verified = wanted.is_some_and(|wanted| {
        wanted.name == own.name || RETARGETS.contains(&(own.name.as_str(), wanted.name.as_str()))
    });
    let own_version =
        record.server.version.as_ref().map(|version| version.value.as_str()).unwrap_or(&own.first);
    match wanted.filter(|_| is_verified) {
        Some(_) if version::parse(target) < version::parse(own_version) => Err(Error::Refused {
            what: format!(
                "snapshot {} is of Jellyfin {own_version}. The older version {target} does not accept zips of it",
                short(id)
            ),
            hint: format!("Install Jellyfin {own_version} or newer there first."),
        }),
        Some(wanted) => Ok(wanted),
        None => Err(Error::Refused {
            what: format!(
                "snapshot {} has the tables of Jellyfin {}, which cannot be converted for {target}",
                short(id),
                own.versions
            ),
            hint: format!(
                "Use export --exact: the dashboard of any newer server restores everything from it and migrates the database. --for accepts {}.",
                retargets(own)
            ),
        }),
    }
}

/// Refuses tables of a database that is no version's: the server that restores them would have no
/// library, or not start.
fn refuse_half(standing: &Standing, id: &SnapshotId) -> Result<(), Error> {
    match standing {
        Standing::Between { to, .. } => Err(Error::Refused {
            what: format!("the server of snapshot {} was in the middle of its upgrade to {to}: its tables match no version", short(id)),
            hint: format!(
                "Use a snapshot from before or after the upgrade (see jellyvault list). To continue with this one: restore --in-place, then start Jellyfin {to} or newer."
            ),
        }),
        Standing::Legacy => Err(Error::Refused {
            what: format!(
                "snapshot {} is of a server before 10.11, which stores its library in library.db. Zips with tables exist only since Jellyfin 10.11",
                short(id)
            ),
            hint: "Use export --exact: Jellyfin 10.11 and newer restore its zip and migrate the library.".to_owned(),
        }),
        Standing::Unknown | Standing::Whole | Standing::Newer => Ok(()),
    }
}

/// Refuses an exact zip of a server whose database stands elsewhere: the server would put it where
/// it does not look.
pub(super) fn check_database_place(
    (id, record): &(SnapshotId, SnapshotRecord),
    reader: &mut ChunkReader<'_>,
) -> Result<(), Error> {
    let Some(config) = record.category(Category::Config.name()) else { return Ok(()) };
    let Some(entry) = find(reader, config.manifest, b"config/database.xml")? else { return Ok(()) };
    let Kind::File { size, content } = &entry.kind else { return Ok(()) };
    let mut xml = Vec::new();
    if *size <= XML_BYTES_MAX {
        write_content(reader, content, *size, |_, bytes| {
            xml.extend_from_slice(bytes);
            Ok(())
        })?;
    }
    match source::database_settings(&xml).and_then(|settings| settings.path) {
        Some(path) => Err(elsewhere(&format!("the server of snapshot {}", short(id)), &path)),
        None => Ok(()),
    }
}

fn elsewhere(whose: &str, path: &str) -> Error {
    Error::Refused {
        what: format!("{whose} keeps its database in {path} (database.xml). An exact zip restores it to data/jellyfin.db, which that server does not use"),
        hint: "Use export --tables, which restores into the server's own database, or stop the server and use restore --in-place.".to_owned(),
    }
}

/// Whether a version has a schema.
fn covers(schema: &Schema, target: &str) -> bool {
    let wanted = version::parse(target);
    match schema.name.as_str() {
        "10.11.0" => ([10, 11, 0, 0]..[10, 11, 10, 0]).contains(&wanted),
        "10.11.10" => ([10, 11, 10, 0]..[10, 11, 12, 0]).contains(&wanted),
        _ => target == schema.name,
    }
}

fn retargets(own: &Schema) -> String {
    let also = RETARGETS
        .iter()
        .filter(|(from, _)| *from == own.name)
        .filter_map(|(_, to)| Schema::all().iter().find(|schema| schema.name == *to));
    std::iter::once(own)
        .chain(also)
        .map(|schema| schema.versions.as_str())
        .collect::<Vec<_>>()
        .join(", or ")
}

fn unknown(error: &SchemaError, id: &SnapshotId) -> Error {
    let known: Vec<&str> = Schema::all().iter().map(|schema| schema.versions.as_str()).collect();
    Error::Refused {
        what: format!("the tables of snapshot {} cannot be written: {error}. Known versions: {}", short(id), known.join("; ")),
        hint: "Use export --exact, which needs no schema: the dashboard of the same or a newer server restores everything from its zip. Or stop the server and use restore --in-place.".to_owned(),
    }
}

/// The place where a server's dashboard looks for zips, with what is known of the server. Its
/// database is looked at through a private copy.
pub fn place_in(
    target: &JellyfinTarget,
    repository: &Repository,
    interrupt: &Interrupt,
) -> Result<Place, Error> {
    let layout = Layout::of(&target.instance);
    let folder = Path::new(&target.instance.data).join("backups");
    let missing = || Error::Source {
        path: target.instance.data.clone().into(),
        source: std::io::ErrorKind::NotFound.into(),
    };
    let data = layout
        .roots
        .iter()
        .find(|root| root.logical == b"data")
        .and_then(|root| root.at.clone())
        .ok_or_else(missing)?;
    let of_data = Stat::of(&*data).map_err(|error| Error::Source {
        path: target.instance.data.clone().into(),
        source: error.into(),
    })?;
    let of_folder = Stat::at(&*data, "backups").ok().filter(Stat::is_dir);
    let owner = of_folder.map_or((of_data.uid, of_data.gid), |found| (found.uid, found.gid));
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let is_root = own.0 == 0;
    // The server must be able to read it; where the owner cannot be given, everybody may, who may
    // enter the folder.
    let mode = if is_root || own.0 == owner.0 { 0o600 } else { 0o644 };
    let database = live_database(&layout)?;
    let (mut history, mut seen_here, mut server) =
        (History::new(), Directories::new(), target.spec.server.version.clone());
    let mut has_users = false;
    if let Some(file) = database {
        let copy = copy_to_look_at(&file, &repository.scratch_folder(), interrupt).map_err(|why| Error::Refused {
            what: format!("the database of the server here could not be copied for reading ({why}), so it is unknown whether the zip fits"),
            hint: "Free some space on the repository's disk, or write the zip to a file and copy it to data/backups yourself.".to_owned(),
        })?;
        let unreadable = |error: rusqlite::Error| Error::Refused {
            what: format!(
                "the database of the server here cannot be read ({error}), so it is unknown whether the zip fits"
            ),
            hint: "Check the server's database first, or write the zip to a file instead."
                .to_owned(),
        };
        let facts = source::read_facts(&copy.path, interrupt).map_err(unreadable)?;
        has_users = facts.filled_tables.contains(&"Users");
        seen_here = layout.seen_by_server(facts.directories);
        server = server.or_else(|| facts.code_migration.as_ref().map(version::from_history));
        history = source::open_private(&copy.path, interrupt)
            .and_then(|db| read_history(&db))
            .map_err(unreadable)?;
    }
    Ok(Place {
        folder,
        data,
        owner: is_root.then_some(owner),
        mode,
        server,
        database: layout.database.clone(),
        history,
        here: layout.directories(),
        seen_here,
        same_directories: target.same_directories,
        has_users,
    })
}

/// Refuses a zip that would harm the server for whose dashboard it is.
pub fn check_fits(
    (id, record): &(SnapshotId, SnapshotRecord),
    place: &Place,
    kind: ExportKind,
    schema: Option<&Schema>,
    history: Option<&History>,
) -> Result<(), Error> {
    if !place.same_directories {
        check_same_directories(id, record, &place.here, &place.seen_here)?;
    }
    if let (ExportKind::Exact, Some(path)) = (kind, &place.database) {
        return Err(elsewhere("the server here", &path.display().to_string()));
    }
    let snapshot = record.server.version.as_ref().map(|version| version.value.clone());
    let refused = |what: String, hint: &str| Err(Error::Refused { what, hint: hint.to_owned() });
    if let (Some(here), Some(then)) = (&place.server, &snapshot)
        && here.exact
        && version::parse(&here.value) < version::parse(then)
    {
        return refused(
            format!(
                "the server here is {} (known from {}), but snapshot {} is of {then}. An older server does not accept a newer zip",
                here.value,
                here.how,
                short(id)
            ),
            "Install the newer Jellyfin first.",
        );
    }
    // Files alone fit whatever database is there.
    let Some(history) = history else { return Ok(()) };
    if place.history.is_empty() {
        return refused(
            "the server here has no database yet. Restoring a zip now would leave it broken"
                .to_owned(),
            "Start the server once, complete the first page, stop at the setup wizard, and export again.",
        );
    }
    let migrations = |history: &[(String, String)]| -> Vec<String> {
        let ours = history.iter().filter(|(_, version)| version.split('.').count() < 4);
        ours.map(|(id, _)| id.clone()).collect()
    };
    let has = migrations(&place.history);
    let brings = match (kind, schema) {
        (ExportKind::Tables, Some(schema)) => schema.migrations.clone(),
        _ => migrations(history),
    };
    match kind {
        ExportKind::Tables if has != brings => refused(
            format!(
                "the zip has the tables of Jellyfin {}, but the server here has another schema ({}). Restoring them would leave it broken",
                schema.map_or("an unknown version", |schema| &schema.versions),
                has.last().map_or("none", String::as_str)
            ),
            "Use --exact: then a newer server migrates the database itself. Or give the server's version with --for.",
        ),
        ExportKind::Exact if brings.iter().any(|id| !has.contains(id)) => refused(
            "the snapshot's database has a newer schema than the server here, and Jellyfin cannot downgrade".to_owned(),
            "Install the snapshot's version of Jellyfin, or a newer one.",
        ),
        _ => Ok(()),
    }
}
