//! The folder (or bucket) that holds everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Backend, Disk, LocalBackend, RealDisk, Span, write_new};
use crate::chunk::Hashing;
use crate::limits::CONFIG_BYTES_MAX;

use super::config::{FORMAT, RepoConfig};
use super::coordination::{Coordination, Held, Work};
use super::file_names::pack_id;
use super::local_cache::LocalCache;
use super::lock::RepositoryLock;
use super::memory_coordination::MeetingPlace;
use super::seal::Sealer;
use super::shared_index::SharedIndex;
use super::{Error, Index, IndexMode};

const CONFIG_NAME: &str = "repo.toml";
/// The same once more: where the one is damaged the other is used, until `repair` writes both anew.
const CONFIG_COPY_NAME: &str = "repo.copy.toml";

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// Nowhere but in memory: tests.
    Memory,
}

/// An open repository: the files, what this machine keeps of them, and what keeps its users out of each other's way.
pub struct Repository {
    backend: Arc<dyn Backend>,
    sealer: Sealer,
    config: RepoConfig,
    /// What is wrong with the settings' files, each with its name.
    config_damage: Vec<(&'static str, Error)>,
    location: Location,
    pub(super) cache: Option<LocalCache>,
    coordination: Box<dyn Coordination>,
    pub(super) scratch: Option<PathBuf>,
    pub(super) shared_index: SharedIndex,
}

fn read_config(backend: &dyn Backend, name: &str) -> Result<RepoConfig, Error> {
    RepoConfig::decode(&backend.read(name, Span::Whole { limit: CONFIG_BYTES_MAX })?)
}

/// Settings of a later format, whose layout this program cannot know: both files say so. One of them alone may be damaged.
fn newer_settings(backend: &dyn Backend) -> Option<Error> {
    let format = |name| RepoConfig::named_format(&backend.read(name, Span::Whole { limit: CONFIG_BYTES_MAX }).ok()?);
    let found = format(CONFIG_NAME)?.min(format(CONFIG_COPY_NAME)?);
    (found > FORMAT).then_some(Error::Newer { found, known: FORMAT })
}

impl Repository {
    /// Makes a repository in a folder that is empty or missing, and opens it.
    pub fn init(root: &Path) -> Result<Repository, Error> {
        Repository::init_folder(root, &RepoConfig::new()?)
    }

    /// The same with these settings.
    pub fn init_folder(root: &Path, config: &RepoConfig) -> Result<Repository, Error> {
        let local = |verb| move |source| Error::Local { verb, path: root.to_path_buf(), source };
        if root.join(CONFIG_NAME).exists() || root.join(CONFIG_COPY_NAME).exists() {
            return Err(Error::Exists { path: root.to_path_buf() });
        }
        match std::fs::read_dir(root) {
            Ok(mut entries) => {
                // What a run leaves that was killed while it made the repository, or is at it now.
                let is_ours = |name: &str| name.starts_with("lock") || name.starts_with(".tmp-");
                if entries.any(|entry| entry.map_or(true, |e| !is_ours(&e.file_name().to_string_lossy()))) {
                    return Err(Error::NotEmpty { path: root.to_path_buf() });
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(local("read")(e)),
        }
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(local("create"))?;
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700)).map_err(local("protect"))?;
        let backend = LocalBackend::new(root);
        let made = RepositoryLock::if_alone(root, || {
            if root.join(CONFIG_NAME).exists() {
                return Err(Error::Exists { path: root.to_path_buf() });
            }
            backend.sweep()?;
            Repository::init_with(&backend, config)
        })?;
        // Somebody else is making it at this moment.
        made.ok_or_else(|| Error::Exists { path: root.to_path_buf() })?;
        Repository::open(root)
    }

    /// Writes a new repository's settings on any backend.
    pub fn init_on(backend: &dyn Backend) -> Result<(), Error> {
        Repository::init_with(backend, &RepoConfig::new()?)
    }

    /// Writes these settings.
    pub fn init_with(backend: &dyn Backend, config: &RepoConfig) -> Result<(), Error> {
        let bytes = config.encode()?;
        write_new(backend, CONFIG_NAME, &bytes)?;
        Ok(write_new(backend, CONFIG_COPY_NAME, &bytes)?)
    }

    /// Opens the repository in a folder, beside its other readers and captures.
    pub fn open(root: &Path) -> Result<Repository, Error> {
        Repository::open_waiting(root, &|| {})
    }

    /// The same; `waiting` is called where another process is reorganising it and has to be waited for.
    pub fn open_waiting(root: &Path, waiting: &dyn Fn()) -> Result<Repository, Error> {
        let config = root.join(CONFIG_NAME);
        match std::fs::metadata(&config).or_else(|e| std::fs::metadata(root.join(CONFIG_COPY_NAME)).map_err(|_| e)) {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let has_packs = LocalBackend::new(root).names("packs/").is_ok_and(|names| names.iter().any(|name| pack_id(name).is_some()));
                let path = root.to_path_buf();
                return Err(if has_packs { Error::NoSettings { path } } else { Error::NoRepository { path } });
            }
            // Not allowed to look is not the same as not there.
            Err(source) => return Err(Error::Local { verb: "open", path: config, source }),
        }
        let lock = RepositoryLock::shared(root, waiting)?;
        let backend = LocalBackend::on(Arc::new(RealDisk::default()), root);
        let repository = Repository::open_with(Arc::new(backend), Box::new(lock), Some(LocalCache::in_folder(root)))?;
        Ok(Repository { location: Location::Folder(root.to_path_buf()), ..repository })
    }

    /// Opens a repository that this process alone uses, on any backend; its index is kept in memory only.
    ///
    /// # Errors
    /// As [`Repository::open_with`].
    pub fn open_on(backend: Box<dyn Backend>) -> Result<Repository, Error> {
        Repository::open_with(Arc::from(backend), Box::new(MeetingPlace::default().join()?), None)
    }

    /// Opens a repository from its parts: the files, what keeps its users out of each other's way, and where this machine keeps what is derived;
    /// in memory where that is nowhere.
    ///
    /// # Errors
    /// [`Error::Newer`] and [`Error::Cipher`] where this program cannot know it, [`Error::Config`] where its settings are damaged,
    /// [`Error::Backend`] where they cannot be read.
    pub fn open_with(backend: Arc<dyn Backend>, coordination: Box<dyn Coordination>, cache: Option<LocalCache>) -> Result<Repository, Error> {
        let mut config_damage = Vec::new();
        let config = match read_config(&*backend, CONFIG_NAME) {
            Ok(config) => config,
            Err(error) if error.is_damage() => {
                let Ok(copy) = read_config(&*backend, CONFIG_COPY_NAME) else { return Err(newer_settings(&*backend).unwrap_or(error)) };
                config_damage.push((CONFIG_NAME, error));
                copy
            }
            Err(error) => return Err(error),
        };
        let sealer = config.sealer()?;
        Ok(Repository {
            backend,
            sealer,
            config,
            config_damage,
            location: Location::Memory,
            cache,
            coordination,
            scratch: None,
            shared_index: SharedIndex::default(),
        })
    }

    /// Writes new settings where both files are gone and packs are there, each of which must say that it is not encrypted. Everything in a
    /// repository but its id and the sizes of new chunks can be read without the old ones.
    pub fn rebuild_config(root: &Path) -> Result<(), Error> {
        let backend = LocalBackend::new(root);
        let made = RepositoryLock::if_alone(root, || {
            for listed in backend.list("packs/")? {
                let Some(id) = pack_id(&listed.name) else { continue };
                match super::read_trailer(&backend, &Sealer::plain(), &listed, &id) {
                    // Parts of it may be damaged: repair goes on to that.
                    Ok(_) => {}
                    Err(error) if error.is_damage() && !matches!(&error, Error::Pack { source: super::TrailerError::Newer(_), .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            Repository::init_with(&backend, &RepoConfig::new()?)
        })?;
        made.ok_or_else(|| Error::Busy { path: root.to_path_buf() })
    }

    /// What is wrong with the files of the settings, each with its name. One of them is right, or the repository were not open.
    pub fn config_damage(&self) -> Vec<(&'static str, String)> {
        let mut found: Vec<_> = self.config_damage.iter().map(|(name, error)| (*name, error.to_string())).collect();
        match read_config(self.backend(), CONFIG_COPY_NAME) {
            Ok(copy) if copy == self.config => {}
            Ok(_) => found.push((CONFIG_COPY_NAME, format!("{CONFIG_COPY_NAME} says something else than {CONFIG_NAME}"))),
            Err(error) => found.push((CONFIG_COPY_NAME, error.to_string())),
        }
        found
    }

    /// Writes the settings' copy where it is missing: a repository of an older program, or one whose making was cut off.
    pub fn complete_config(&self) -> Result<(), Error> {
        match self.backend.read(CONFIG_COPY_NAME, Span::Tail { len: 1 }) {
            Err(crate::backend::Error::Missing { .. }) if self.config_damage.is_empty() => {
                Ok(write_new(self.backend(), CONFIG_COPY_NAME, &self.config.encode()?)?)
            }
            _ => Ok(()),
        }
    }

    /// Writes the settings anew, with another share of parity where one is given. Alone with the repository.
    pub fn rewrite_config(&self, parity_permille: Option<u32>) -> Result<(), Error> {
        let parity_permille = parity_permille.unwrap_or(self.config.parity_permille);
        let bytes = RepoConfig { parity_permille, ..self.config.clone() }.encode()?;
        // One of both is whole at every moment.
        let names = if self.config_damage.is_empty() { [CONFIG_COPY_NAME, CONFIG_NAME] } else { [CONFIG_NAME, CONFIG_COPY_NAME] };
        for name in names {
            write_new(self.backend(), name, &bytes)?;
        }
        Ok(())
    }

    /// The files, for a thread that outlives its caller.
    pub(super) fn shared_backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    /// Opens a repository in a folder of any disk, its index beside it; without a lock.
    pub fn open_on_disk(disk: Arc<dyn Disk>, root: &Path) -> Result<Repository, Error> {
        let backend = LocalBackend::on(disk.clone(), root);
        Repository::open_with(Arc::new(backend), Box::new(MeetingPlace::default().join()?), Some(LocalCache::on_disk(disk, root)))
    }

    /// Removes what killed processes left in a folder, if nobody else uses the repository now. What they leave is told by one file, or by what
    /// is in `tmp`: all folders are only gone through where there is some.
    pub fn sweep(root: &Path) -> Result<(), Error> {
        RepositoryLock::if_alone(root, || {
            let (backend, tmp) = (LocalBackend::new(root), root.join("tmp"));
            let is_used = std::fs::read_dir(&tmp).is_ok_and(|mut entries| entries.next().is_some());
            if !is_used && !backend.was_cut_off()? {
                return Ok(());
            }
            // What another user's killed run left there may not be removable; that must not stop this one.
            crate::tolerate(std::fs::remove_dir_all(tmp));
            Ok(backend.sweep()?)
        })
        .map(drop)
        // Who may not be alone sweeps nothing.
        .or_else(|error| if matches!(error, Error::NoLocks { .. }) { Ok(()) } else { Err(error) })
    }

    /// Removes such files where none tells of them: after a power cut a file may be there and the one that tells of it not. For who is alone with
    /// the repository and writes nothing at the moment. What cannot be removed now is tried again the next time.
    pub fn sweep_untold(&self) {
        crate::tolerate(self.folder().map_or(Ok(Vec::new()), |root| LocalBackend::new(root).sweep_folders()));
    }

    /// The index, for reading. It is opened once and knows at least what every snapshot needs that was listed before: whoever reads the list of
    /// snapshots anew calls [`Repository::forget_index`] first.
    ///
    /// # Errors
    /// Where it cannot be opened, or packs cannot be listed.
    pub fn index(&self) -> Result<Arc<Index>, Error> {
        self.shared_index.get(|| Index::open(self, IndexMode::Use))
    }

    /// The next one who asks for the index gets one that is opened then.
    pub fn forget_index(&self) {
        self.shared_index.forget();
    }

    /// Runs `work` while no other process uses the repository; `waiting` is called now and then with the time that passed, and may give up.
    pub fn exclusively<T, E: From<Error>>(&self, waiting: &dyn Fn(Duration) -> Result<(), E>, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut given_up = Ok(());
        let mut go_on = |waited| {
            given_up = waiting(waited);
            given_up.is_ok()
        };
        if !self.coordination.begin_alone(&mut go_on)? {
            given_up?;
            return Err(Error::Busy { path: self.folder().map(Path::to_path_buf).unwrap_or_default() }.into());
        }
        self.forget_index();
        let outcome = work();
        self.forget_index();
        let back = self.coordination.end_alone();
        let value = outcome?;
        back?;
        Ok(value)
    }

    /// Lets go of the repository for a while. What was read of it may have changed afterwards.
    pub fn step_aside(&self, pause: std::time::Duration) -> Result<(), Error> {
        self.forget_index();
        self.coordination.step_aside(pause)
    }

    /// Whether no other process uses the repository at this moment.
    pub fn is_alone(&self) -> Result<bool, Error> {
        self.coordination.is_alone()
    }

    /// Held while the list of snapshots is changed.
    pub fn lock_list(&self) -> Result<Box<dyn Held>, Error> {
        self.coordination.take(Work::List)
    }

    /// Whether its file system has locks, or the user goes on without them.
    pub fn is_locked(&self) -> bool {
        self.coordination.keeps_others_out()
    }

    /// Held by the one process that prunes or repairs.
    pub fn lock_work(&self) -> Result<Box<dyn Held>, Error> {
        self.coordination.take(Work::Reorganise)
    }

    fn folder(&self) -> Option<&Path> {
        match &self.location {
            Location::Folder(root) => Some(root),
            Location::Memory => None,
        }
    }

    /// The files.
    pub fn backend(&self) -> &dyn Backend {
        &*self.backend
    }

    /// The settings.
    pub fn config(&self) -> &RepoConfig {
        &self.config
    }

    /// What seals and opens its pieces.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Where it is.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// How ids are made in it.
    pub fn hashing(&self) -> Hashing {
        self.sealer.hashing()
    }
}
