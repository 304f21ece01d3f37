//! The folder (or bucket) that holds everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::backend::{Backend, Disk, LocalBackend, RealDisk, Span};
use crate::chunk::Hashing;
use crate::limits::CONFIG_BYTES_MAX;

use super::config::{CONFIG_COPY_NAME, CONFIG_NAME, FORMAT, RepoConfig};
use super::coordination::{Coordination, Held, Work};
use super::encryption::{KeySlots, Keys};
use super::file_names::pack_id;
use super::local_cache::LocalCache;
use super::lock::RepositoryLock;
use super::memory_coordination::MeetingPlace;
use super::seal::Sealer;
use super::shared_index::SharedIndex;
use super::{Access, Error, Index, IndexMode};

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// Nowhere but in memory: tests.
    Memory,
}

/// An open repository: the files, what this machine keeps of them, and what keeps its users out of
/// each other's way.
pub struct Repository {
    backend: Arc<dyn Backend>,
    sealer: Sealer,
    keys: Option<Keys>,
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

/// Settings of a later format, whose layout this program cannot know: both files say so. One of
/// them alone may be damaged.
fn newer_settings(backend: &dyn Backend) -> Option<Error> {
    let format = |name| {
        RepoConfig::named_format(&backend.read(name, Span::Whole { limit: CONFIG_BYTES_MAX }).ok()?)
    };
    let found = format(CONFIG_NAME)?.min(format(CONFIG_COPY_NAME)?);
    (found > FORMAT).then_some(Error::Newer { found, known: FORMAT })
}

impl Repository {
    /// Opens the repository in a folder, beside its other readers and captures.
    pub fn open(root: &Path) -> Result<Repository, Error> {
        Repository::open_as(root, &Access::none())
    }

    /// The same with what opens an encrypted one.
    ///
    /// # Errors
    /// As [`Repository::open_with`]; [`Error::Locked`] and [`Error::WrongPassphrase`] where it is
    /// encrypted.
    pub fn open_as(root: &Path, access: &Access<'_>) -> Result<Repository, Error> {
        let config = root.join(CONFIG_NAME);
        match std::fs::metadata(&config)
            .or_else(|e| std::fs::metadata(root.join(CONFIG_COPY_NAME)).map_err(|_| e))
        {
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let has_packs = LocalBackend::new(root)
                    .names("packs/")
                    .is_ok_and(|names| names.iter().any(|name| pack_id(name).is_some()));
                let path = root.to_path_buf();
                return Err(if has_packs {
                    Error::NoSettings { path }
                } else {
                    Error::NoRepository { path }
                });
            }
            // Not allowed to look is not the same as not there.
            Err(source) => return Err(Error::Local { verb: "open", path: config, source }),
        }
        let lock = RepositoryLock::shared(root, access.waiting)?;
        let backend = LocalBackend::on(Arc::new(RealDisk::default()), root);
        let repository = Repository::open_unlocked(
            Arc::new(backend),
            Box::new(lock),
            access,
            |config, has_keys| {
                if !has_keys {
                    return Ok(Some(LocalCache::in_folder(root)));
                }
                // Names, sizes and copies of databases would lie beside what hides them.
                let Some(home) = &access.cache_home else { return Ok(None) };
                LocalCache::for_remote(home, &config.id, root)
                    .map(Some)
                    .map_err(|source| Error::NoCache { folder: home.clone(), source })
            },
        )?;
        if !repository.config.is_encrypted() && KeySlots::are_there(repository.backend())? {
            return Err(Error::Forged { folder: root.to_path_buf() });
        }
        Ok(Repository { location: Location::Folder(root.to_path_buf()), ..repository })
    }

    /// The settings of the repository in a folder, as they stand there: nobody has proved them.
    pub fn settings_in(root: &Path) -> Option<RepoConfig> {
        let backend = LocalBackend::new(root);
        [CONFIG_NAME, CONFIG_COPY_NAME].iter().find_map(|name| read_config(&backend, name).ok())
    }

    /// Opens a repository that this process alone uses, on any backend; its index is kept in memory
    /// only.
    ///
    /// # Errors
    /// As [`Repository::open_with`].
    pub fn open_on(backend: Box<dyn Backend>) -> Result<Repository, Error> {
        Repository::open_with(Arc::from(backend), Box::new(MeetingPlace::default().join()?), None)
    }

    /// Opens a repository from its parts: the files, what keeps its users out of each other's way,
    /// and where this machine keeps what is derived; in memory where that is nowhere.
    ///
    /// # Errors
    /// [`Error::Newer`] and [`Error::Cipher`] where this program cannot know it, [`Error::Config`]
    /// where its settings are damaged, [`Error::Backend`] where they cannot be read.
    pub fn open_with(
        backend: Arc<dyn Backend>,
        coordination: Box<dyn Coordination>,
        cache: Option<LocalCache>,
    ) -> Result<Repository, Error> {
        Repository::open_unlocked(backend, coordination, &Access::none(), |_, _| Ok(cache))
    }

    /// Opens one; `cache` gives where this machine keeps what is derived, by the settings and by
    /// whether there are slots with keys.
    fn open_unlocked(
        backend: Arc<dyn Backend>,
        coordination: Box<dyn Coordination>,
        access: &Access<'_>,
        cache: impl FnOnce(&RepoConfig, bool) -> Result<Option<LocalCache>, Error>,
    ) -> Result<Repository, Error> {
        let mut keys: Option<Keys> = None;
        let mut has_slots = false;
        let mut unlocked = |name| {
            let bytes = backend.read(name, Span::Whole { limit: CONFIG_BYTES_MAX })?;
            let config = RepoConfig::decode(&bytes)?;
            if config.is_encrypted() && keys.is_none() {
                let slots = KeySlots::load(&*backend)?;
                has_slots = !slots.slots.is_empty() || !slots.damaged.is_empty();
                keys = if has_slots { Some((access.keys)(&slots.of(&config.id))?) } else { None };
            }
            let sealer = config.sealer(keys.as_ref()).map_err(|error| match error {
                // Nothing that the user gives could open it.
                Error::Locked if !has_slots => {
                    Error::WrongPassphrase { is_recovery_key: false, tried: 0, damaged: 0 }
                }
                error => error,
            })?;
            config.is_proved(&bytes, &sealer).map(|()| (config, sealer))
        };
        let mut config_damage = Vec::new();
        let (config, sealer) = match unlocked(CONFIG_NAME) {
            Ok(unlocked) => unlocked,
            Err(error) if error.is_damage() => {
                let copy = match unlocked(CONFIG_COPY_NAME) {
                    Ok(copy) => copy,
                    Err(locked @ (Error::Locked | Error::WrongPassphrase { .. })) => {
                        return Err(locked);
                    }
                    Err(_) => return Err(newer_settings(&*backend).unwrap_or(error)),
                };
                config_damage.push((CONFIG_NAME, error));
                copy
            }
            Err(error) => return Err(error),
        };
        let cache = cache(&config, has_slots)?;
        tracing::debug!(
            repository = config.id,
            encrypted = config.is_encrypted(),
            has_cache = cache.is_some(),
            "opened the repository"
        );
        Ok(Repository {
            backend,
            sealer,
            keys,
            config,
            config_damage,
            location: Location::Memory,
            cache,
            coordination,
            scratch: None,
            shared_index: SharedIndex::default(),
        })
    }

    /// What is wrong with the files of the settings, each with its name. One of them is right, or
    /// the repository were not open.
    pub fn config_damage(&self) -> Vec<(&'static str, String)> {
        let mut found: Vec<_> =
            self.config_damage.iter().map(|(name, error)| (*name, error.to_string())).collect();
        match read_config(self.backend(), CONFIG_COPY_NAME) {
            Ok(copy) if copy == self.config => {}
            Ok(_) => found.push((
                CONFIG_COPY_NAME,
                format!("{CONFIG_COPY_NAME} says something else than {CONFIG_NAME}"),
            )),
            Err(error) => found.push((CONFIG_COPY_NAME, error.to_string())),
        }
        found
    }

    /// Whether the settings were read from their own file, not from the copy.
    pub(super) fn has_whole_config(&self) -> bool {
        self.config_damage.is_empty()
    }

    /// The files, for a thread that outlives its caller.
    pub(super) fn shared_backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    /// Opens a repository in a folder of any disk, its index beside it; without a lock.
    pub fn open_on_disk(disk: Arc<dyn Disk>, root: &Path) -> Result<Repository, Error> {
        let backend = LocalBackend::on(disk.clone(), root);
        Repository::open_with(
            Arc::new(backend),
            Box::new(MeetingPlace::default().join()?),
            Some(LocalCache::on_disk(disk, root)),
        )
    }

    /// Removes what killed processes left in a folder, if nobody else uses the repository now. What
    /// they leave is told by one file, or by what is in `tmp`: all folders are only gone through
    /// where there is some. `tmp` is where its users keep what has no name:
    /// [`Repository::spill_folder`].
    pub fn sweep(root: &Path, tmp: Option<PathBuf>) -> Result<(), Error> {
        RepositoryLock::if_alone(root, || {
            let (backend, tmp) = (LocalBackend::new(root), tmp.unwrap_or_else(|| root.join("tmp")));
            LocalCache::sweep_elsewhere(root, &tmp);
            let is_used = std::fs::read_dir(&tmp).is_ok_and(|mut entries| entries.next().is_some());
            if !is_used && !backend.was_cut_off()? {
                return Ok(());
            }
            // What another user's killed run left may not be removable, and stops nobody.
            crate::tolerate(std::fs::remove_dir_all(tmp));
            Ok(backend.sweep()?)
        })
        .map(drop)
        // Who may not be alone sweeps nothing.
        .or_else(|error| if matches!(error, Error::NoLocks { .. }) { Ok(()) } else { Err(error) })
    }

    /// Removes such files where none tells of them: after a power cut a file may be there and the
    /// one that tells of it not. For who is alone with the repository and writes nothing at the
    /// moment. What cannot be removed now is tried again the next time.
    pub fn sweep_untold(&self) {
        crate::tolerate(
            self.folder().map_or(Ok(Vec::new()), |root| LocalBackend::new(root).sweep_folders()),
        );
    }

    /// The index, for reading. It is opened once and knows at least what every snapshot needs that
    /// was listed before: whoever reads the list of snapshots anew calls
    /// [`Repository::forget_index`] first.
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

    /// Runs `work` while no other process uses the repository; `waiting` is called now and then
    /// with the time that passed, and may give up.
    pub fn exclusively<T, E: From<Error>>(
        &self,
        waiting: &dyn Fn(Duration) -> Result<(), E>,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut given_up = Ok(());
        let mut go_on = |waited| {
            given_up = waiting(waited);
            given_up.is_ok()
        };
        if !self.coordination.begin_alone(&mut go_on)? {
            given_up?;
            return Err(Error::Busy {
                path: self.folder().map(Path::to_path_buf).unwrap_or_default(),
            }
            .into());
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

    /// The slots of an encrypted repository; none of another.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn key_slots(&self) -> Result<KeySlots, Error> {
        if self.config.is_encrypted() {
            KeySlots::load(self.backend())
        } else {
            Ok(KeySlots::default())
        }
    }

    /// The keys of an encrypted repository.
    pub fn keys(&self) -> Option<&Keys> {
        self.keys.as_ref()
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
