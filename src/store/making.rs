//! Making a repository, and writing its settings: `repo.toml`, and the same once more as
//! `repo.copy.toml`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::backend::{Backend, LocalBackend, Span, write_new};

use super::config::{CONFIG_COPY_NAME, CONFIG_NAME};
use super::encryption::{KeySlots, Keys, NewSlot};
use super::lock::RepositoryLock;
use super::seal::Sealer;
use super::{Access, Error, RepoConfig, Repository, is_sealed_otherwise, pack_id};

impl Repository {
    /// Makes a repository in a folder that is empty or missing, and opens it.
    pub fn init(root: &Path) -> Result<Repository, Error> {
        Repository::init_folder(root, &RepoConfig::new()?)
    }

    /// The same with these settings.
    pub fn init_folder(root: &Path, config: &RepoConfig) -> Result<Repository, Error> {
        Repository::init_locked(root, config, None, &Access::none())
    }

    /// The same, encrypted with these keys, which these slots give.
    ///
    /// # Errors
    /// Where something is there already, or cannot be written.
    pub fn init_locked(
        root: &Path,
        config: &RepoConfig,
        keys: Option<(&Keys, &[NewSlot<'_>])>,
        access: &Access<'_>,
    ) -> Result<Repository, Error> {
        let sealer = config.sealer(keys.map(|(keys, _)| keys))?;
        Repository::make(root, config, &sealer, |backend| {
            // Whoever finds settings finds a key, too.
            for slot in keys.iter().flat_map(|(_, slots)| *slots) {
                keys.map_or(Ok(0), |(keys, _)| KeySlots::add(backend, keys, slot))?;
            }
            Ok(())
        })?;
        Repository::open_with_keys(root, keys.map(|(keys, _)| keys), access)
    }

    /// Makes an empty copy of a repository in a folder that is empty or missing: the same id,
    /// settings and keys.
    ///
    /// # Errors
    /// Where something is there already, or cannot be written.
    pub fn init_copy(
        root: &Path,
        of: &Repository,
        access: &Access<'_>,
    ) -> Result<Repository, Error> {
        Repository::make(root, of.config(), of.sealer(), |backend| {
            of.key_slots()?.mirror(backend)
        })?;
        Repository::open_with_keys(root, of.keys(), access)
    }

    /// Opens a repository whose keys are known.
    ///
    /// # Errors
    /// As [`Repository::open_as`].
    pub fn open_with_keys(
        root: &Path,
        keys: Option<&Keys>,
        access: &Access<'_>,
    ) -> Result<Repository, Error> {
        let keys = |slots: &KeySlots| keys.cloned().map_or_else(|| (access.keys)(slots), Ok);
        Repository::open_as(
            root,
            &Access { keys: &keys, cache_home: access.cache_home.clone(), waiting: access.waiting },
        )
    }

    /// Makes one; `keys` writes its slots.
    fn make(
        root: &Path,
        config: &RepoConfig,
        sealer: &Sealer,
        keys: impl FnOnce(&LocalBackend) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let local = |verb| move |source| Error::Local { verb, path: root.to_path_buf(), source };
        if root.join(CONFIG_NAME).exists() || root.join(CONFIG_COPY_NAME).exists() {
            return Err(Error::Exists { path: root.to_path_buf() });
        }
        match std::fs::read_dir(root) {
            Ok(mut entries) => {
                // What a run leaves that was killed while it made the repository, or is at it now.
                let is_ours = |name: &str| {
                    name.starts_with("lock") || name.starts_with(".tmp-") || name == "keys"
                };
                if entries
                    .any(|entry| entry.map_or(true, |e| !is_ours(&e.file_name().to_string_lossy())))
                {
                    return Err(Error::NotEmpty { path: root.to_path_buf() });
                }
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(local("read")(e)),
        }
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(local("create"))?;
        std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o700))
            .map_err(local("protect"))?;
        let backend = LocalBackend::new(root);
        let made = RepositoryLock::if_alone(root, || {
            if root.join(CONFIG_NAME).exists() {
                return Err(Error::Exists { path: root.to_path_buf() });
            }
            backend.sweep()?;
            KeySlots::clear(&backend)?;
            keys(&backend)?;
            Repository::write_config(&backend, config, sealer)
        })?;
        // Somebody else is making it at this moment.
        made.ok_or_else(|| Error::Exists { path: root.to_path_buf() })
    }

    /// Writes a new repository's settings on any backend.
    pub fn init_on(backend: &dyn Backend) -> Result<(), Error> {
        Repository::init_with(backend, &RepoConfig::new()?)
    }

    /// Writes these settings.
    pub fn init_with(backend: &dyn Backend, config: &RepoConfig) -> Result<(), Error> {
        Repository::write_config(backend, config, &config.sealer(None)?)
    }

    fn write_config(
        backend: &dyn Backend,
        config: &RepoConfig,
        sealer: &Sealer,
    ) -> Result<(), Error> {
        let bytes = config.encode(sealer)?;
        write_new(backend, CONFIG_NAME, &bytes)?;
        Ok(write_new(backend, CONFIG_COPY_NAME, &bytes)?)
    }

    /// Writes new settings where both files are gone and packs are there. In a repository that has
    /// keys, these say what it was; in another each pack must say that it is not encrypted.
    /// Everything but a plain repository's id and the sizes of new chunks can be read without the
    /// old ones.
    pub fn rebuild_config(root: &Path, access: &Access<'_>) -> Result<(), Error> {
        let backend = LocalBackend::new(root);
        let made = RepositoryLock::if_alone(root, || {
            if KeySlots::are_there(&backend)? {
                let (config, sealer) = settings_of_keys(&backend, access)?;
                return Repository::write_config(&backend, &config, &sealer);
            }
            Repository::refuse_lost_keys(root)?;
            for listed in backend.list("packs/")? {
                let Some(id) = pack_id(&listed.name) else { continue };
                match super::read_trailer(&backend, &Sealer::plain(), &listed, &id) {
                    // Parts of it may be damaged: repair goes on to that.
                    Ok(_) => {}
                    Err(error)
                        if error.is_damage()
                            && !matches!(
                                &error,
                                Error::Pack { source: super::TrailerError::Newer(_), .. }
                            ) => {}
                    Err(error) => return Err(error),
                }
            }
            Repository::init_with(&backend, &RepoConfig::new()?)
        })?;
        made.ok_or_else(|| Error::Busy { path: root.to_path_buf() })
    }

    /// Refuses to go on without settings and keys where packs are encrypted.
    ///
    /// # Errors
    /// [`Error::KeysLost`], and [`Error::Backend`] where packs cannot be read.
    pub fn refuse_lost_keys(root: &Path) -> Result<(), Error> {
        let backend = LocalBackend::new(root);
        if KeySlots::are_there(&backend)? {
            return Ok(());
        }
        for listed in backend.list("packs/")? {
            if let Some(id) = pack_id(&listed.name)
                && is_sealed_otherwise(&backend, &Sealer::plain(), &listed, &id)?
            {
                return Err(Error::KeysLost);
            }
        }
        Ok(())
    }

    /// Writes the settings' copy where it is missing: a repository of an older program, or one
    /// whose making was cut off.
    pub fn complete_config(&self) -> Result<(), Error> {
        match self.backend().read(CONFIG_COPY_NAME, Span::Tail { len: 1 }) {
            Err(crate::backend::Error::Missing { .. }) if self.has_whole_config() => Ok(write_new(
                self.backend(),
                CONFIG_COPY_NAME,
                &self.config().encode(self.sealer())?,
            )?),
            _ => Ok(()),
        }
    }

    /// Writes the settings anew, with another share of parity where one is given. Alone with the
    /// repository.
    pub fn rewrite_config(&self, parity_permille: Option<u32>) -> Result<(), Error> {
        let parity_permille = parity_permille.unwrap_or(self.config().parity_permille);
        let bytes =
            RepoConfig { parity_permille, ..self.config().clone() }.encode(self.sealer())?;
        // One of both is whole at every moment.
        let names = if self.has_whole_config() {
            [CONFIG_COPY_NAME, CONFIG_NAME]
        } else {
            [CONFIG_NAME, CONFIG_COPY_NAME]
        };
        for name in names {
            write_new(self.backend(), name, &bytes)?;
        }
        Ok(())
    }
}

/// The settings that keys lead to. Keys of another repository may lie among them: what is in the
/// packs must open.
fn settings_of_keys(
    backend: &dyn Backend,
    access: &Access<'_>,
) -> Result<(RepoConfig, Sealer), Error> {
    let slots = KeySlots::load(backend)?;
    let listed = backend.list("packs/")?;
    let pack = listed.iter().find_map(|listed| Some((listed, pack_id(&listed.name)?)));
    let ids: BTreeSet<&str> = slots.slots.values().map(|slot| slot.repository.as_str()).collect();
    let mut failed = Error::WrongPassphrase { is_recovery_key: false, tried: 0, damaged: 0 };
    for id in ids {
        let keys = match (access.keys)(&slots.of(id)) {
            Ok(keys) => keys,
            Err(error @ (Error::WrongPassphrase { .. } | Error::Key { .. })) => {
                failed = error;
                continue;
            }
            Err(error) => return Err(error),
        };
        let config = RepoConfig {
            id: keys.repository().to_owned(),
            cipher: keys.algorithm().name().to_owned(),
            ..RepoConfig::new()?
        };
        let sealer = config.sealer(Some(&keys))?;
        match pack {
            Some((listed, id)) if is_sealed_otherwise(backend, &sealer, listed, &id)? => {
                failed = Error::KeysLost;
            }
            _ => return Ok((config, sealer)),
        }
    }
    Err(failed)
}
