//! The logical tree over an instance's directories: which folder on disk stands where. Each is
//! opened once, by the rules of an opener, and reached by that descriptor from then on.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::manifest::{Directories, file_name, parent};

use super::beneath::{open_dir_path, open_file};
use super::category::DATABASE_PATH;
use super::found::{Instance, Linked};
use super::live_file::LiveFile;
use super::opener::{OpenError, Opener};
use super::rules::UNFINISHED;
use super::scan::{closed_dirs, os_path};
use super::scan_root::ScanRoot;
use super::stat::Stat;

/// The roots of a source, by logical path.
#[derive(Clone, Debug)]
pub struct Layout {
    /// All roots that a capture scans or a restore writes to, sorted by logical path.
    pub roots: Vec<ScanRoot>,
    /// The database's file, where it stands somewhere else than its logical path says.
    pub database: Option<PathBuf>,
    /// Where the server sees the places that its settings name.
    pub named_by_settings: Directories,
    /// A Jellyfin instance (or a plain folder).
    pub is_instance: bool,
    /// Directories that are never entered.
    pub passing: Vec<PathBuf>,
    /// Roots that could be traps and were not opened, each with the reason.
    pub refused: Vec<(ScanRoot, String)>,
    /// How its places are opened.
    pub opener: Arc<Opener>,
}

impl Layout {
    /// An instance's.
    pub fn of(instance: &Instance) -> Layout {
        let opener = Arc::new(opener_of(instance));
        let mut layout = Layout {
            roots: Vec::new(),
            database: None,
            named_by_settings: instance.named_by_settings.clone(),
            is_instance: true,
            passing: instance.passing.iter().map(PathBuf::from).collect(),
            refused: Vec::new(),
            opener,
        };
        let named = [
            ("config", instance.config.as_ref()),
            ("data", Some(&instance.data)),
            ("metadata", Some(&instance.metadata)),
            ("metadata-default", instance.metadata_default.as_ref()),
            ("plugins", Some(&instance.plugins)),
            ("programdata", Some(&instance.program_data)),
            ("root", Some(&instance.root)),
        ];
        for (logical, dir) in named {
            if let Some(dir) = dir.map(PathBuf::from) {
                layout.add(logical.as_bytes(), dir.clone(), &dir);
            }
        }
        let usual = Path::new(&instance.data).join("jellyfin.db");
        layout.database =
            instance.database.as_ref().map(PathBuf::from).filter(|path| *path != usual);
        for Linked { logical, link, dir } in &instance.linked {
            layout.add(logical, dir.clone(), link);
        }
        layout.roots.sort_by(|a, b| a.logical.cmp(&b.logical));
        layout
    }

    /// A plain folder's.
    pub fn plain(folder: &Path) -> Layout {
        let opener = Arc::new(Opener::plain());
        let (passing, refused) = (Vec::new(), Vec::new());
        let mut layout = Layout {
            roots: Vec::new(),
            database: None,
            named_by_settings: Directories::new(),
            is_instance: false,
            passing,
            refused,
            opener,
        };
        layout.add(b"", folder.to_path_buf(), folder);
        layout
    }

    /// Opens a root by the way that leads to it. One that is missing stays without a descriptor;
    /// one that could be a trap is kept apart.
    fn add(&mut self, logical: &[u8], dir: PathBuf, way: &Path) {
        let mut root = ScanRoot::new(logical, dir);
        if self.opener.is_wary() && !self.opener.is_named(way) {
            let why = format!("{} is named only by a file of the server's user", way.display());
            return self.refused.push((root, why));
        }
        match self.opener.dir(way) {
            Ok(fd) => root.at = Some(Arc::new(fd)),
            Err(error) if error.is_untrusted() => {
                return self.refused.push((root, error.to_string()));
            }
            Err(error) if self.opener.is_wary() && !error.is_missing() => {
                let why = format!(
                    "{} could not be opened as a directory of the server ({error})",
                    way.display()
                );
                return self.refused.push((root, why));
            }
            // Missing, or not to be looked at: whoever needs it finds out.
            Err(_) => {}
        }
        self.roots.push(root);
    }

    /// The roots that are there.
    pub fn present(&self) -> Vec<ScanRoot> {
        // One that was not there is not opened by its path later: another could stand there by
        // then.
        let is_there =
            |root: &&ScanRoot| root.at.is_some() || (!self.opener.is_wary() && root.dir.is_dir());
        self.roots.iter().filter(is_there).cloned().collect()
    }

    /// Whether a place was not opened because it could be a trap.
    pub fn has_traps(&self) -> bool {
        !self.refused.is_empty()
            || self.live_file(DATABASE_PATH).is_err_and(|error| error.is_untrusted())
    }

    /// Whether a change of the server's paths was interrupted: some of its files have the old paths
    /// and some the new.
    pub fn is_unfinished(&self) -> bool {
        let data = self
            .roots
            .iter()
            .find(|root| root.logical == b"programdata")
            .and_then(|root| root.at.as_ref());
        data.is_some_and(|data| Stat::at(data, OsStr::new(UNFINISHED)).is_ok())
    }

    /// What a scan must not enter: each root from within another, what passes, and `also`.
    pub fn closed(&self, also: &[PathBuf]) -> std::collections::HashSet<(u64, u64)> {
        let roots = self
            .roots
            .iter()
            .filter_map(|root| Stat::of(root.at.as_ref()?).ok())
            .map(|stat| (stat.dev, stat.ino));
        let missing =
            self.roots.iter().filter(|root| root.at.is_none()).map(|root| root.dir.as_path());
        let paths = missing
            .chain(self.passing.iter().map(PathBuf::as_path))
            .chain(also.iter().map(PathBuf::as_path));
        roots.chain(closed_dirs(paths)).collect()
    }

    /// The file of a logical path, for messages and comparisons.
    pub fn locate(&self, logical: &[u8]) -> Option<PathBuf> {
        if logical == DATABASE_PATH
            && let Some(database) = &self.database
        {
            return Some(database.clone());
        }
        let (root, below) = self.place(logical)?;
        Some(os_path(&root.dir, below))
    }

    /// The root that a logical path lies in, and the path below it.
    fn place<'p>(&self, logical: &'p [u8]) -> Option<(&ScanRoot, &'p [u8])> {
        // A linked folder comes behind the root that it is in.
        self.roots.iter().rev().find_map(|root| {
            if root.logical.is_empty() {
                return Some((root, logical));
            }
            match logical.strip_prefix(root.logical.as_slice())?.split_first() {
                None => Some((root, b"".as_slice())),
                Some((b'/', below)) => Some((root, below)),
                Some(_) => None,
            }
        })
    }

    /// The file of a logical path, held by its directory, which is reached through no link below
    /// its root.
    pub fn live_file(&self, logical: &[u8]) -> Result<LiveFile, OpenError> {
        if logical == DATABASE_PATH {
            return self.main_database();
        }
        self.beneath(logical)
    }

    /// The place of a logical path below its root, whatever stands there: a link, too.
    pub(crate) fn beneath(&self, logical: &[u8]) -> Result<LiveFile, OpenError> {
        let missing = || OpenError::from(rustix::io::Errno::NOENT);
        let (root, below) = self.place(logical).ok_or_else(missing)?;
        let fd = root.at.as_ref().ok_or_else(missing)?;
        let dir: Arc<OwnedFd> = match parent(below).filter(|above| !above.is_empty()) {
            Some(above) => Arc::new(open_dir_path(fd, above)?),
            None => fd.clone(),
        };
        Ok(LiveFile::new(dir, OsStr::from_bytes(file_name(below)), os_path(&root.dir, below)))
    }

    /// The server's database. It may be a link of the administrator's, and lie where `database.xml`
    /// or the user says.
    fn main_database(&self) -> Result<LiveFile, OpenError> {
        if let Some(path) = &self.database {
            if self.opener.is_wary() && !self.opener.is_named(path) {
                let what = "is named only by a file of the server's user (database.xml)".to_owned();
                return Err(OpenError::Untrusted { path: path.display().to_string(), what });
            }
            return LiveFile::by(&self.opener, path);
        }
        let file = self.beneath(DATABASE_PATH)?;
        match file.stat() {
            Ok(stat) if stat.is_symlink() => LiveFile::by(&self.opener, file.shown()),
            _ => Ok(file),
        }
    }

    /// Opens the file of a logical path for reading, below its root through no link; nothing where
    /// that cannot be done.
    pub fn open(&self, logical: &[u8]) -> Option<File> {
        let (root, below) = self.place(logical)?;
        open_file(root.at.as_ref()?, below).ok().map(File::from)
    }

    /// Adds what the settings name to what the database tells of where the server sees its
    /// directories. Its paths count first: they are what must be right.
    pub fn add_named_by_settings(&self, seen: &mut Directories) {
        for (name, place) in &self.named_by_settings {
            seen.entry(name.clone()).or_insert_with(|| place.clone());
        }
    }

    /// Where the server sees its directories; nothing where the database tells nothing.
    pub fn seen_by_server(&self, told_by_database: Directories) -> Directories {
        let mut seen = told_by_database;
        if !seen.is_empty() {
            self.add_named_by_settings(&mut seen);
        }
        seen
    }

    /// The directories by name, linked folders by their logical path, for the snapshot's record.
    pub fn directories(&self) -> Directories {
        let named = self.roots.iter().map(|root| {
            let name = String::from_utf8_lossy(&root.logical).into_owned();
            (
                if name.is_empty() { "folder".to_owned() } else { name },
                root.dir.to_string_lossy().into_owned(),
            )
        });
        // A place that was not opened is none that a later snapshot could be told to know.
        let database = self
            .database
            .iter()
            .filter(|path| !self.opener.is_wary() || self.opener.is_named(path));
        named
            .chain(
                database.map(|path| ("database".to_owned(), path.to_string_lossy().into_owned())),
            )
            .collect()
    }
}

/// The rules for an instance's places: what the user named is trusted, and so are root and the
/// owners of the data.
fn opener_of(instance: &Instance) -> Opener {
    let named: Vec<PathBuf> = instance.trusted.iter().map(PathBuf::from).collect();
    let euid = rustix::process::geteuid().as_raw();
    if euid != 0 {
        return Opener::plain();
    }
    // Only whose they are and who may write there is asked; nothing is opened by these paths.
    let own = [&instance.program_data, &instance.data, &instance.plugins, &instance.root];
    // A place outside may be one that only a file of the server's user names.
    let metadata = Some(&instance.metadata)
        .filter(|metadata| Path::new(metadata).starts_with(&instance.program_data));
    let asked = own
        .into_iter()
        .chain(metadata)
        .chain(&instance.config)
        .chain(&instance.trusted)
        .map(Path::new);
    // The owner of a link in one of them decides what it leads to.
    let links = instance.linked.iter().map(|linked| linked.link.as_path());
    let stats: Vec<Stat> = asked.chain(links).filter_map(stat_of).collect();
    let owners: Vec<u32> = stats.iter().map(|stat| stat.uid).collect();
    let mut opener = Opener::of(named, &owners, instance.follows_links, euid);
    let outside = stat_of(Path::new(&instance.metadata));
    let is_open = |stat: &Stat| stat.is_dir() && stat.permissions() & NOT_OWNER_WRITES != 0;
    if stats.iter().any(is_open) || outside.is_some_and(|stat| stat.uid != 0 || is_open(&stat)) {
        opener.beware();
    }
    opener.walk_to(instance.walked.iter().map(PathBuf::from));
    opener
}

/// Write permission for the group and for others.
const NOT_OWNER_WRITES: u32 = 0o022;

/// Facts of a directory, or of the link in its place.
fn stat_of(dir: &Path) -> Option<Stat> {
    let (above, name) = (dir.parent()?, dir.file_name()?);
    let flags =
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let above =
        rustix::fs::openat(rustix::fs::CWD, above, flags, rustix::fs::Mode::empty()).ok()?;
    Stat::at(above, name).ok()
}
