//! The keys of an encrypted repository: are their files whole, and its own?

use crate::store::Repository;
use crate::store::encryption::KeySlots;

use super::super::Error;
use super::Finding;

/// What is wrong with the keys of a repository that is open.
///
/// # Errors
/// Where they cannot be read.
pub(super) fn check(repository: &Repository) -> Result<Vec<Finding>, Error> {
    let slots = repository.key_slots()?;
    let mut found = damaged(&slots, ". jellyvault repair restores it from its second copy");
    found.extend(foreign(&slots, &repository.config().id));
    Ok(found)
}

/// Files of keys that are damaged, with `todo` behind those that `repair` can restore.
pub(super) fn damaged(slots: &KeySlots, todo: &str) -> Vec<Finding> {
    let lost = ". If another key opens the repository, remove this one: jellyvault key remove NUMBER, and add it again";
    let words = |(name, what): &(String, String)| Finding {
        name: name.clone(),
        what: format!(
            "this file of a key is damaged: {what}{}",
            if slots.is_mendable(name) { todo } else { lost }
        ),
    };
    slots.damaged.iter().map(words).collect()
}

/// Keys that are of another repository than the one with this id.
pub(super) fn foreign(slots: &KeySlots, repository: &str) -> Vec<Finding> {
    let words = |number: u32| Finding {
        name: format!("keys/{number}.key"),
        what: format!(
            "this key is of another repository and opens nothing here. Remove it: jellyvault key remove {number}"
        ),
    };
    slots.foreign(repository).into_iter().map(words).collect()
}
