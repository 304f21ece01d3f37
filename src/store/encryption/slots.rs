//! The slots of a repository: `keys/<n>.key`, and each once more as `keys/<n>.copy.key`, for
//! without one nothing can be read.

use std::collections::BTreeMap;

use crate::backend::{Backend, Error as BackendError, Span, write_new};

use super::super::Error;
use super::kdf::Kdf;
use super::keys::Keys;
use super::recovery::RecoveryKey;
use super::secret::Secret;
use super::slot::{Opener, Slot};

const FOLDER: &str = "keys/";
const ENDING: &str = ".key";
const COPY_ENDING: &str = ".copy.key";
const SLOT_BYTES_MAX: usize = 16 << 10;
/// More than anybody uses; a strange repository must not cost a second for each of a million.
const SLOTS_MAX: usize = 64;

/// Slots by their numbers.
#[derive(Clone, Debug, Default)]
pub struct KeySlots {
    /// Those that are whole.
    pub slots: BTreeMap<u32, Slot>,
    /// Files that are damaged or missing, with what is wrong. Of such a slot the other file may be
    /// whole.
    pub damaged: Vec<(String, String)>,
}

/// A slot to be made.
pub struct NewSlot<'a> {
    /// A passphrase; without one the slot is for a recovery key.
    pub secret: Result<&'a Secret, &'a RecoveryKey>,
    /// What its owner calls it.
    pub label: &'a str,
}

fn name(number: u32) -> String {
    format!("{FOLDER}{number}{ENDING}")
}

fn copy_name(number: u32) -> String {
    format!("{FOLDER}{number}{COPY_ENDING}")
}

fn number_of(name: &str) -> Option<u32> {
    let name = name.strip_prefix(FOLDER)?;
    name.strip_suffix(COPY_ENDING).or_else(|| name.strip_suffix(ENDING))?.parse().ok()
}

impl KeySlots {
    /// Those of a repository.
    ///
    /// # Errors
    /// [`Error::Backend`] where the files cannot be listed or read.
    pub fn load(backend: &dyn Backend) -> Result<KeySlots, Error> {
        let mut numbers: Vec<u32> =
            backend.list(FOLDER)?.iter().filter_map(|file| number_of(&file.name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut found = KeySlots::default();
        for number in numbers.into_iter().take(SLOTS_MAX) {
            let mut whole = None;
            for name in [copy_name(number), name(number)] {
                match backend.read(&name, Span::Whole { limit: SLOT_BYTES_MAX }) {
                    Ok(bytes) => match Slot::decode(&bytes) {
                        Ok(slot) => whole = Some(slot),
                        Err(error) => found.damaged.push((name, error.to_string())),
                    },
                    Err(BackendError::Missing { .. }) => {
                        found.damaged.push((name, "it is missing".to_owned()))
                    }
                    Err(BackendError::TooLarge { .. }) => {
                        found.damaged.push((name, "it is larger than a key".to_owned()))
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            found.slots.extend(whole.map(|slot| (number, slot)));
        }
        Ok(found)
    }

    /// Whether a repository has any: one that has is encrypted, whatever its settings say.
    pub fn are_there(backend: &dyn Backend) -> Result<bool, Error> {
        Ok(backend.list(FOLDER)?.iter().any(|file| number_of(&file.name).is_some()))
    }

    /// The keys that a passphrase or recovery key gives, with the number of the slot that it
    /// opened.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`] where it opens none.
    pub fn open(&self, secret: &Secret) -> Result<(u32, Keys), Error> {
        let mut strange = None;
        // A recovery key is told by its form, and costs nothing to try.
        let mut by_cost: Vec<_> = self.slots.iter().collect();
        by_cost.sort_by_key(|(_, slot)| slot.kdf.is_some());
        // What looks like a recovery key with a slip of the pen may be a passphrase.
        let (is_recovery_key, slip) = match RecoveryKey::parse(secret) {
            Ok(key) => (key.is_some(), None),
            Err(slip) => (false, Some(slip)),
        };
        for (number, slot) in by_cost {
            match slot.open(secret) {
                Ok(Some(keys)) => return Ok((*number, keys)),
                Ok(None) => {}
                Err(error) => strange = Some(error),
            }
        }
        match strange.or(slip) {
            Some(error) => Err(error),
            None => Err(Error::WrongPassphrase {
                is_recovery_key,
                tried: self.slots.len(),
                damaged: self.damaged.len(),
            }),
        }
    }

    /// Adds a slot; its number.
    ///
    /// # Errors
    /// Where it cannot be sealed or written.
    pub fn add(backend: &dyn Backend, keys: &Keys, new: &NewSlot<'_>) -> Result<u32, Error> {
        Slot::check_label(new.label)?;
        let opener = match new.secret {
            Ok(secret) => Opener::Passphrase(secret, Kdf::calibrated()?),
            Err(key) => Opener::Recovery(key),
        };
        let slot = Slot::seal(keys, &opener, new.label)?;
        let last = backend
            .list(FOLDER)?
            .iter()
            .filter_map(|file| number_of(&file.name))
            .max()
            .unwrap_or_default();
        let number = last + 1;
        KeySlots::write(backend, number, &slot)?;
        Ok(number)
    }

    /// Writes both files of a slot.
    fn write(backend: &dyn Backend, number: u32, slot: &Slot) -> Result<(), Error> {
        let bytes = slot.encode()?;
        write_new(backend, &copy_name(number), &bytes)?;
        Ok(write_new(backend, &name(number), &bytes)?)
    }

    /// Removes a slot.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove(backend: &dyn Backend, number: u32) -> Result<(), Error> {
        for name in [name(number), copy_name(number)] {
            match backend.remove(&name) {
                Ok(()) | Err(BackendError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(backend.sync()?)
    }

    /// Removes all: of a repository whose making was cut off before it had settings.
    pub(in crate::store) fn clear(backend: &dyn Backend) -> Result<(), Error> {
        let numbers: std::collections::BTreeSet<u32> =
            backend.list(FOLDER)?.iter().filter_map(|file| number_of(&file.name)).collect();
        numbers.into_iter().try_for_each(|number| KeySlots::remove(backend, number))
    }

    /// Makes the slots of a copy the same: those that are new come first, those that are gone go
    /// last.
    ///
    /// # Errors
    /// Where one cannot be written or removed.
    pub fn mirror(&self, target: &dyn Backend) -> Result<(), Error> {
        let theirs = KeySlots::load(target)?;
        for (number, slot) in
            self.slots.iter().filter(|(number, slot)| theirs.slots.get(number) != Some(slot))
        {
            KeySlots::write(target, *number, slot)?;
        }
        // A slot whose files are damaged here may be whole there.
        let is_damaged =
            |number: &u32| self.damaged.iter().any(|(name, _)| number_of(name) == Some(*number));
        for number in theirs.slots.keys().filter(|number| {
            !self.slots.contains_key(number) && !is_damaged(number) && !self.slots.is_empty()
        }) {
            KeySlots::remove(target, *number)?;
        }
        Ok(())
    }

    /// Writes the files again that are damaged, from the whole file of the same slot; the names.
    ///
    /// # Errors
    /// Where one cannot be written.
    pub fn mend(&self, backend: &dyn Backend) -> Result<Vec<String>, Error> {
        let mut mended = Vec::new();
        for (name, _) in &self.damaged {
            if let Some((_, slot)) =
                number_of(name).and_then(|number| self.slots.get_key_value(&number))
            {
                write_new(backend, name, &slot.encode()?)?;
                mended.push(name.clone());
            }
        }
        Ok(mended)
    }
}
