//! The slots of a repository: `keys/<n>.key`, and each once more as `keys/<n>.copy.key`, for
//! without one nothing can be read. `keys/<n>.removed` says which slot its owner took away, so that
//! a copy takes that away, too, and nothing that was merely lost.

use std::collections::{BTreeMap, BTreeSet};

use crate::backend::{Backend, Error as BackendError, Span, write_new};

use super::super::Error;
use super::kdf::Kdf;
use super::keys::Keys;
use super::recovery::RecoveryKey;
use super::secret::Secret;
use super::slot::{Opener, Slot, SlotKind};

const FOLDER: &str = "keys/";
const ENDING: &str = ".key";
const COPY_ENDING: &str = ".copy.key";
const REMOVED_ENDING: &str = ".removed";
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
    /// Second files that are whole and hold another key than the first.
    others: Vec<(u32, Slot)>,
    /// Which slot was removed under a number: the hash of its file, in hex.
    removed: BTreeMap<u32, String>,
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

fn removed_name(number: u32) -> String {
    format!("{FOLDER}{number}{REMOVED_ENDING}")
}

/// The number of a slot's file.
fn number_of(name: &str) -> Option<u32> {
    let name = name.strip_prefix(FOLDER)?;
    name.strip_suffix(COPY_ENDING).or_else(|| name.strip_suffix(ENDING))?.parse().ok()
}

fn removed_number_of(name: &str) -> Option<u32> {
    name.strip_prefix(FOLDER)?.strip_suffix(REMOVED_ENDING)?.parse().ok()
}

/// The numbers of slots that have files, and of those that were removed.
fn numbers(backend: &dyn Backend) -> Result<(BTreeSet<u32>, BTreeSet<u32>), Error> {
    let files = backend.list(FOLDER)?;
    let names = || files.iter().map(|file| file.name.as_str());
    Ok((names().filter_map(number_of).collect(), names().filter_map(removed_number_of).collect()))
}

/// What a file of a slot holds, or what is wrong with it.
fn read_slot(backend: &dyn Backend, name: &str) -> Result<Result<Slot, String>, Error> {
    match backend.read(name, Span::Whole { limit: SLOT_BYTES_MAX }) {
        Ok(bytes) => Ok(Slot::decode(&bytes).map_err(|error| error.to_string())),
        Err(BackendError::Missing { .. }) => Ok(Err("it is missing".to_owned())),
        Err(BackendError::TooLarge { .. }) => Ok(Err("it is larger than a key".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// What tells a slot from all others.
fn hash_of(slot: &Slot) -> Result<String, Error> {
    Ok(blake3::hash(&slot.encode()?).to_hex().to_string())
}

impl KeySlots {
    /// Those of a repository.
    ///
    /// # Errors
    /// [`Error::Backend`] where the files cannot be listed or read.
    pub fn load(backend: &dyn Backend) -> Result<KeySlots, Error> {
        let (there, removed) = numbers(backend)?;
        let mut found = KeySlots::default();
        for number in removed {
            let name = removed_name(number);
            match backend.read(&name, Span::Whole { limit: SLOT_BYTES_MAX }) {
                Ok(bytes) => {
                    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                    found.removed.insert(number, text);
                }
                Err(BackendError::Missing { .. } | BackendError::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for number in there {
            found.load_one(backend, number)?;
            if found.slots.len() >= SLOTS_MAX {
                break;
            }
        }
        Ok(found)
    }

    fn load_one(&mut self, backend: &dyn Backend, number: u32) -> Result<(), Error> {
        let names = [name(number), copy_name(number)];
        let read = [read_slot(backend, &names[0])?, read_slot(backend, &names[1])?];
        if let Some(removed) = self.removed.get(&number) {
            let is_removed = |slot: &Result<Slot, String>| match slot {
                Ok(slot) => hash_of(slot).is_ok_and(|hash| hash == *removed),
                Err(_) => true,
            };
            // A removal was cut off between the two files.
            if read.iter().all(is_removed) {
                return Ok(());
            }
        }
        match read {
            [Ok(first), Ok(second)] if first != second => {
                self.damaged.push((
                    names[1].clone(),
                    format!("it holds another key than {}; both are tried", names[0]),
                ));
                self.slots.insert(number, first);
                self.others.push((number, second));
            }
            read => {
                for (name, slot) in names.into_iter().zip(read) {
                    match slot {
                        Ok(slot) => drop(self.slots.insert(number, slot)),
                        Err(what) => self.damaged.push((name, what)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Those that are of a repository with this id; all where none is.
    #[must_use]
    pub fn of(&self, repository: &str) -> KeySlots {
        let mut own = self.clone();
        own.slots.retain(|_, slot| slot.repository == repository);
        own.others.retain(|(_, slot)| slot.repository == repository);
        if own.slots.is_empty() && own.others.is_empty() { self.clone() } else { own }
    }

    /// The numbers of slots that are of another repository than the one with this id.
    pub fn foreign(&self, repository: &str) -> Vec<u32> {
        let foreign = self.slots.iter().filter(|(_, slot)| slot.repository != repository);
        foreign.map(|(number, _)| *number).collect()
    }

    /// The numbers of slots that can open the repository with this id.
    pub fn usable(&self, repository: &str) -> Vec<u32> {
        let is_known =
            |slot: &Slot| matches!(slot.kind, SlotKind::Passphrase | SlotKind::RecoveryKey);
        let own =
            self.slots.iter().filter(|(_, slot)| slot.repository == repository && is_known(slot));
        own.map(|(number, _)| *number).collect()
    }

    /// Whether there are files of a slot with this number that are damaged.
    pub fn is_damaged(&self, number: u32) -> bool {
        self.damaged.iter().any(|(name, _)| number_of(name) == Some(number))
    }

    /// Whether a damaged file can be written again, from the other file of its slot.
    pub fn is_mendable(&self, name: &str) -> bool {
        number_of(name).is_some_and(|number| {
            self.slots.contains_key(&number) && !self.others.iter().any(|(n, _)| *n == number)
        })
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
        let others = self.others.iter().map(|(number, slot)| (number, slot));
        let mut by_cost: Vec<_> = self.slots.iter().chain(others).collect();
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
        let number = free_number(backend)?;
        KeySlots::write(backend, number, &slot)?;
        Ok(number)
    }

    /// Writes both files of a slot.
    fn write(backend: &dyn Backend, number: u32, slot: &Slot) -> Result<(), Error> {
        let bytes = slot.encode()?;
        write_new(backend, &copy_name(number), &bytes)?;
        Ok(write_new(backend, &name(number), &bytes)?)
    }

    /// Removes a slot, damaged or not, and notes that, so that copies of the repository remove it,
    /// too.
    ///
    /// # Errors
    /// Where it cannot be removed.
    pub fn remove(&self, backend: &dyn Backend, number: u32) -> Result<(), Error> {
        let hash = self.slots.get(&number).map(hash_of).transpose()?;
        // What it was is unknown of a damaged one: copies keep theirs.
        let note = format!("{}\n", hash.unwrap_or_else(|| "damaged".to_owned()));
        match backend.remove(&removed_name(number)) {
            Ok(()) | Err(BackendError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        write_new(backend, &removed_name(number), note.as_bytes())?;
        remove_files(backend, number)
    }

    /// Removes all: of a repository whose making was cut off before it had settings.
    pub(in crate::store) fn clear(backend: &dyn Backend) -> Result<(), Error> {
        let (there, _) = numbers(backend)?;
        there.into_iter().try_for_each(|number| remove_files(backend, number))
    }

    /// Brings the slots of a copy up to date: those that are new come first, those that were removed
    /// here go last. A slot that was made at the copy stays, and one that was removed there does not
    /// come back.
    ///
    /// # Errors
    /// Where one cannot be written or removed.
    pub fn mirror(&self, target: &dyn Backend) -> Result<(), Error> {
        let theirs = KeySlots::load(target)?;
        let is_whole_there = |slot: &Slot| {
            theirs.slots.iter().any(|(number, own)| own == slot && !theirs.is_damaged(*number))
        };
        for (number, slot) in self.slots.iter().filter(|(_, slot)| !is_whole_there(slot)) {
            let hash = hash_of(slot)?;
            if theirs.removed.values().any(|removed| *removed == hash) {
                continue;
            }
            let (there, removed) = numbers(target)?;
            let half = theirs.slots.iter().find(|(_, own)| *own == slot);
            // What is damaged there and whole here is the same slot.
            let is_free = !there.contains(number) && !removed.contains(number);
            let is_damaged = !theirs.slots.contains_key(number) && there.contains(number);
            let number = match half {
                Some((number, _)) => *number,
                None if is_free || is_damaged => *number,
                None => free_number(target)?,
            };
            KeySlots::write(target, number, slot)?;
        }
        for (number, slot) in &theirs.slots {
            let hash = hash_of(slot)?;
            if self.removed.values().any(|removed| *removed == hash) && !self.slots.is_empty() {
                theirs.remove(target, *number)?;
            }
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
            let slot = number_of(name).and_then(|number| self.slots.get(&number));
            if let Some(slot) = slot.filter(|_| self.is_mendable(name)) {
                write_new(backend, name, &slot.encode()?)?;
                mended.push(name.clone());
            }
        }
        Ok(mended)
    }
}

/// Removes both files of a slot.
fn remove_files(backend: &dyn Backend, number: u32) -> Result<(), Error> {
    for name in [name(number), copy_name(number)] {
        match backend.remove(&name) {
            Ok(()) | Err(BackendError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(backend.sync()?)
}

/// A number that no slot has or had.
fn free_number(backend: &dyn Backend) -> Result<u32, Error> {
    let (there, removed) = numbers(backend)?;
    if there.len() >= SLOTS_MAX {
        let what = format!("the repository has {SLOTS_MAX} keys already: remove one first");
        return Err(Error::Key { what });
    }
    let used = |number: &u32| there.contains(number) || removed.contains(number);
    let last = there.iter().chain(&removed).max().copied().unwrap_or_default();
    let behind = last.checked_add(1).or_else(|| (1..u32::MAX).find(|number| !used(number)));
    behind.ok_or_else(|| Error::Key { what: "there is no number left for a key".to_owned() })
}
