//! The instance on this machine, and what can be learnt of its server without opening its database.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::limits::XML_BYTES_MAX;
use crate::manifest::{Catalog, Directories, SnapshotRecord};
use crate::progress::Problem;
use crate::source::{
    self, FindError, Instance, Layout, MissingPath, Named, Platform, Surroundings, version,
    xml_element,
};
use crate::store::Repository;

use super::snapshot::{Server, SourceSpec};
use super::{Error, nearby, odd_places, processes};

/// The operating system's files, and the variables that the command line hands in.
#[derive(Clone, Debug, Default)]
pub struct OsSurroundings {
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// Directories that this user may not look into, as far as they were asked for.
    denied: RefCell<BTreeSet<PathBuf>>,
}

impl OsSurroundings {
    /// With these variables.
    pub fn new(variables: BTreeMap<String, String>) -> OsSurroundings {
        OsSurroundings { variables, denied: RefCell::default() }
    }

    fn facts(&self, path: &str) -> Option<std::fs::Metadata> {
        std::fs::metadata(path)
            .inspect_err(|error| {
                if error.kind() == std::io::ErrorKind::PermissionDenied {
                    let closed = Path::new(path).ancestors().find(|dir| dir.is_dir());
                    self.denied.borrow_mut().extend(closed.map(Path::to_path_buf));
                }
            })
            .ok()
    }
}

impl Surroundings for OsSurroundings {
    fn variable(&self, name: &str) -> Option<String> {
        self.variables.get(name).cloned()
    }
    fn is_dir(&self, path: &str) -> bool {
        self.facts(path).is_some_and(|facts| facts.is_dir())
    }
    fn is_file(&self, path: &str) -> bool {
        self.facts(path).is_some_and(|facts| facts.is_file())
    }
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let is_small = self.facts(path).is_some_and(|m| m.is_file() && m.len() <= XML_BYTES_MAX);
        if is_small {
            source::read_regular_of_others(Path::new(path), XML_BYTES_MAX).ok()
        } else {
            None
        }
    }
    fn is_same_place(&self, a: &str, b: &str) -> bool {
        let real = |path: &str| std::fs::canonicalize(path).ok();
        a == b || (real(a).is_some() && real(a) == real(b))
    }
}

/// Longest `device.txt` that is read, in bytes.
const ID_BYTES_MAX: u64 = 4096;

/// The server's id in the text of `device.txt`.
pub(super) fn server_id(text: &str) -> Option<String> {
    let id = text.trim_start_matches('\u{feff}').trim();
    (id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())).then(|| id.to_owned())
}

/// The id of the server whose directories these are.
pub fn server_id_of(instance: &Instance) -> Option<String> {
    let file = Layout::of(instance).live_file(b"data/device.txt").ok()?;
    server_id(&String::from_utf8_lossy(&file.read(ID_BYTES_MAX).ok()?))
}

/// The server's version as log, installed files and the running server tell it, best first.
pub fn server_version(instance: &Instance) -> Server {
    let layout = Layout::of(instance);
    let small =
        |path: &[u8], limit| layout.live_file(path).ok().and_then(|file| file.read(limit).ok());
    let id = server_id_of(instance);
    let network = small(b"config/network.xml", XML_BYTES_MAX);
    let setting = |name| network.as_deref().and_then(|xml| xml_element(xml, name));
    let port = setting("InternalHttpPort")
        .or_else(|| setting("InternalHttpPortNumber"))
        .and_then(|port| port.parse().ok())
        .unwrap_or(8096);
    let base = setting("BaseUrl").unwrap_or_default();
    let running = id.as_deref().and_then(|id| version::from_server(port, &base, id));
    // Installed files tell of this machine's server, which is this instance's only where packages
    // put both.
    let is_packaged = instance.program_data == "/var/lib/jellyfin"
        || instance.program_data.starts_with("/config");
    let installed = || {
        is_packaged
            .then(|| {
                version::INSTALL_FOLDERS
                    .iter()
                    .find_map(|folder| version::from_install(Path::new(folder)))
            })
            .flatten()
    };
    let found = running.or_else(|| version::from_logs(Path::new(&instance.log))).or_else(installed);
    Server { version: found, id }
}

/// Finds the instance that the user means and says what a capture must know of it.
pub fn find_instance(
    platform: Platform,
    named: &Named,
    surroundings: &OsSurroundings,
) -> Result<(Instance, SourceSpec), Error> {
    let mut named = named.clone();
    if let Some(data) = &named.data {
        // A relative path is the user's shorthand; records and comparisons need the place itself.
        let absolute = std::fs::canonicalize(data).map_err(|source| match source.kind() {
            std::io::ErrorKind::PermissionDenied => Error::Source { path: data.into(), source },
            _ => FindError::Missing { path: data.clone() }.into(),
        })?;
        let whole = || {
            let is_alone = named.config.is_none() && !named.is_known_place;
            is_alone.then(|| nearby::whole_of_linuxservers(&absolute)).flatten()
        };
        if let Some(found) = nearby::instance_beside(&absolute).or_else(whole) {
            return Err(FindError::Nearby {
                path: data.clone(),
                found: found.to_string_lossy().into_owned(),
            }
            .into());
        }
        named.data = Some(absolute.to_string_lossy().into_owned());
    }
    let instance = match source::find(platform, &named, surroundings) {
        Err(error @ (FindError::None { .. } | FindError::Several { .. })) => {
            of_running_server(platform, &mut named, surroundings, error)?
        }
        found => found?,
    };
    let linked = if named.follow_roots {
        source::linked_folders(&Layout::of(&instance))
    } else {
        Vec::new()
    };
    let instance = Instance { linked, ..instance };
    let mut problems = problems_of(&instance);
    let server = server_version(&instance);
    if server.id.is_none()
        && Layout::of(&instance).live_file(b"data/device.txt").is_ok_and(|file| {
            file.stat().is_ok_and(|stat| !stat.is_symlink() && (stat.size > 0 || !stat.is_file()))
        })
    {
        let what = "it does not contain a server id, so it cannot tell this snapshot from those of another server".to_owned();
        problems.push(Problem { path: "data/device.txt".to_owned(), what });
    }
    let config_is_real = instance
        .config
        .as_ref()
        .is_some_and(|config| Path::new(config).join("system.xml").is_file());
    let spec = SourceSpec {
        layout: Layout::of(&instance),
        how: instance.how.clone(),
        server,
        problems,
        expects_database: config_is_real
            && instance.database_plugin.is_none()
            && instance.missing.is_empty(),
    };
    Ok((instance, spec))
}

/// What a snapshot of the instance would lack, though it may seem to be there.
fn problems_of(instance: &Instance) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for missing in &instance.missing {
        let (path, option) = match missing.what {
            MissingPath::Metadata => ("metadata", "--metadata-dir"),
            MissingPath::Database => ("data/jellyfin.db", "--database"),
        };
        let what = format!(
            "{} contains the path {}, which does not exist on this machine, so it is not in this snapshot (if it is at another path here, give it with {option})",
            missing.what.setting(),
            missing.path
        );
        problems.push(Problem { path: path.to_owned(), what });
    }
    if let Some(plugin) = instance.database_plugin.as_ref().filter(|_| instance.database.is_none())
    {
        let what = format!(
            "the plugin {plugin} stores the database (PLUGIN_PROVIDER in database.xml), so users, watch state and library are not in this snapshot. Back up that database with its own tool"
        );
        problems.push(Problem { path: "data/jellyfin.db".to_owned(), what });
    }
    for path in &instance.unread_settings {
        let what = "it is not valid XML, so the server's paths in it are unknown: pictures or a database at other paths may be missing here. \
                    Give them with --metadata-dir and --database, and let the server write the file again"
            .to_owned();
        problems.push(Problem { path: path.clone(), what });
    }
    for (setting, path) in &instance.strange_caches {
        let holds = instance.passing.contains(path);
        let done = if holds {
            "because it is a cache, it is not in this snapshot"
        } else {
            "it is captured anyway, because it does not contain only a cache"
        };
        let what = format!(
            "{setting} is {path}, which is among the server's own directories; {done}. Correct the setting in the dashboard, or remove it"
        );
        problems.push(Problem { path: "config".to_owned(), what });
    }
    problems.extend(odd_places::huge_settings(instance));
    problems.extend(odd_places::linked_caches(instance));
    problems.extend(odd_places::misplaced_pictures(instance));
    let has_database = instance.database.as_ref().is_some_and(|path| Path::new(path).is_file());
    if has_database && instance.config.is_none() {
        let what = "no configuration directory was found, so settings and users' pictures are not in this snapshot (give it with --config-dir)".to_owned();
        problems.push(Problem { path: "config".to_owned(), what });
    }
    problems
}

/// The instance of the server that runs here. What may not be looked at must not be taken for
/// nothing.
fn of_running_server(
    platform: Platform,
    named: &mut Named,
    surroundings: &OsSurroundings,
    error: FindError,
) -> Result<Instance, Error> {
    let (ours, others): (Vec<_>, Vec<_>) =
        processes::servers().into_iter().partition(|server| server.owns_its_data());
    if let [server] = ours.as_slice() {
        named.data = Some(server.data.to_string_lossy().into_owned());
        named.is_proposal = true;
        if let (None, Some(config)) = (&named.config, &server.config) {
            // A process can say anything: unasked it is believed only in what belongs to its own
            // user.
            named.config_is_proposal = true;
            named.config = Some(config.to_string_lossy().into_owned());
            if server.owns(config) {
                named.known.push(config.to_string_lossy().into_owned());
            }
        }
        let mut instance = source::find(platform, named, surroundings)?;
        instance.how = server.words();
        return Ok(instance);
    }
    match error {
        FindError::None { looked } => {
            if let Some(path) = surroundings.denied.borrow().first() {
                return Err(Error::Source {
                    path: path.clone(),
                    source: std::io::ErrorKind::PermissionDenied.into(),
                });
            }
            let found: Vec<(String, String)> = ours
                .iter()
                .chain(&others)
                .map(|server| (server.data.to_string_lossy().into_owned(), server.words()))
                .collect();
            // One that runs is one that was found, though it is not taken unasked.
            Err(if found.is_empty() {
                FindError::None { looked }
            } else {
                FindError::Several { found }
            }
            .into())
        }
        FindError::Several { mut found } => {
            found.extend(
                ours.iter()
                    .chain(&others)
                    .map(|server| (server.data.to_string_lossy().into_owned(), server.words())),
            );
            found.sort();
            found.dedup_by(|a, b| a.0 == b.0);
            Err(FindError::Several { found }.into())
        }
        error => Err(error.into()),
    }
}

/// The directories of the newest snapshot of an instance of this machine, where the repository is
/// root's own or of who runs this.
pub fn directories_of(
    repository: &Repository,
    host: &str,
    program_data: &str,
) -> Result<Directories, Error> {
    let crate::store::Location::Folder(folder) = repository.location() else {
        return Ok(Directories::new());
    };
    let own = rustix::process::geteuid().as_raw();
    if !source::Stat::of_path(folder).is_ok_and(|stat| stat.uid == own || stat.uid == 0) {
        return Ok(Directories::new());
    }
    let is_it = |record: &SnapshotRecord| {
        record.source.host == host
            && record.source.directories.get("programdata").is_some_and(|data| data == program_data)
    };
    let Some((_, mut record)) = Catalog::newest(repository, is_it)? else {
        return Ok(Directories::new());
    };
    if may_have_refused_database(&record) {
        record.source.directories.remove("database");
    }
    Ok(record.source.directories)
}

/// A database that was not captured was perhaps refused.
fn may_have_refused_database(record: &SnapshotRecord) -> bool {
    record.problems.iter().any(|problem| problem.path.as_bytes() == source::DATABASE_PATH)
}

/// Where one of the directories (or the database) of an instance of this machine lies: as the newest
/// snapshot says that names a place which is there. A disk that was away for a while leaves
/// snapshots that say otherwise. Whether the repository may be believed is the caller's to know.
///
/// # Errors
/// [`Error::Manifest`] where the snapshots cannot be read.
pub fn place_that_is_there(
    repository: &Repository,
    host: &str,
    program_data: &str,
    name: &str,
) -> Result<Option<PathBuf>, Error> {
    let place = |record: &SnapshotRecord| {
        let directories = &record.source.directories;
        let is_it = record.source.host == host
            && directories.get("programdata").is_some_and(|data| data == program_data)
            && !(name == "database" && may_have_refused_database(record));
        let path = PathBuf::from(directories.get(name).filter(|_| is_it)?);
        let is_there = if name == "database" { path.is_file() } else { path.is_dir() };
        is_there.then_some(path)
    };
    let newest = Catalog::newest(repository, |record| place(record).is_some())?;
    Ok(newest.and_then(|(_, record)| place(&record)))
}

/// Those of them that do not lie in the data directory.
pub fn places_of(
    repository: &Repository,
    host: &str,
    program_data: &str,
) -> Result<Vec<String>, Error> {
    let directories = directories_of(repository, host, program_data)?;
    let named = ["config", "metadata", "metadata-default", "database"]
        .iter()
        .filter_map(|name| directories.get(*name).cloned());
    // What lies in the data directory is reached from there.
    Ok(named.filter(|place| !Path::new(place).starts_with(program_data)).collect())
}

impl SourceSpec {
    /// A plain folder.
    pub fn plain(folder: &Path) -> Result<SourceSpec, Error> {
        let folder: PathBuf = std::fs::canonicalize(folder)
            .map_err(|source| Error::Source { path: folder.to_path_buf(), source })?;
        if !folder.is_dir() {
            return Err(Error::Source {
                path: folder,
                source: std::io::ErrorKind::NotADirectory.into(),
            });
        }
        Ok(SourceSpec {
            layout: Layout::plain(&folder),
            how: "a plain directory".to_owned(),
            server: Server::default(),
            problems: Vec::new(),
            expects_database: false,
        })
    }
}
