//! Making an encrypted repository, and its keys.

use std::path::Path;

use serde_json::json;

use crate::ops;
use crate::store::encryption::{
    Algorithm, KeySlots, Keys, NewSlot, RecoveryKey, Secret, Slot, SlotKind,
};
use crate::store::{Error, RepoConfig, Repository};

use super::context::Context;
use super::failure::Failure;
use super::key_args::{EncryptArgs, KeyCommand, NewPassphrase};
use super::key_list::list;
use super::known::Known;
use super::recovery_key::NewRecoveryKey;
use super::{Exit, json as to_json, output, passphrase};

const PASSPHRASE_LABEL: &str = "first passphrase";
const RECOVERY_LABEL: &str = "recovery key";
const OR_NONE: &str = ", or --no-recovery-key to go without one";

/// Makes a repository, encrypted where that is asked for.
pub fn init(
    context: &Context,
    path: &Path,
    args: &EncryptArgs,
    parity_permille: u32,
) -> Result<Repository, Failure> {
    let config = RepoConfig { parity_permille, ..RepoConfig::new().map_err(ops::Error::from)? };
    // Nobody is asked for a passphrase, and no recovery key is made, for nothing.
    if Repository::settings_in(path).is_some() {
        return Err(ops::Error::from(Error::Exists { path: path.to_path_buf() }).into());
    }
    if !args.encrypt {
        refuse_in_the_clear(context, path)?;
        return Ok(Repository::init_folder(path, &config).map_err(ops::Error::from)?);
    }
    let secret = passphrase::new(context, None, true)?;
    let recovery = if args.no_recovery_key {
        None
    } else {
        Some(NewRecoveryKey::make(context, args.recovery_key_file.as_deref(), OR_NONE)?)
    };
    let algorithm = args.cipher.unwrap_or_else(Algorithm::fastest);
    let config = RepoConfig { cipher: algorithm.name().to_owned(), ..config };
    let keys = Keys::random(algorithm, &config.id).map_err(ops::Error::from)?;
    let mut slots = vec![NewSlot { secret: Ok(&secret), label: PASSPHRASE_LABEL }];
    slots.extend(
        recovery.as_ref().map(|key| NewSlot { secret: Err(key.key()), label: RECOVERY_LABEL }),
    );
    let made = context
        .with_access(|access| Repository::init_locked(path, &config, Some((&keys, &slots)), access))
        .map_err(ops::Error::from)?;
    context.remember_keys(1, &keys);
    let what = if let Some(key) = recovery {
        key.keep(context);
        "passphrase or the recovery key nobody can read it, not even you. Keep both"
    } else {
        "passphrase nobody can read it, not even you. Keep it"
    };
    context.say(&format!("The repository is encrypted. Without the {what} in a place that you can reach when this machine is gone."));
    Ok(made)
}

/// Who names a passphrase wants an encrypted repository, and so does who had one there.
fn refuse_in_the_clear(context: &Context, path: &Path) -> Result<(), Failure> {
    // A configuration that cannot be read names no passphrase. Commands that need it report that.
    if passphrase::is_named(context).unwrap_or(false) {
        return Err(Failure::usage(
            "a passphrase is given, but the new repository would not be encrypted; nothing was created",
            "To encrypt it, run jellyvault init --encrypt once (with --recovery-key-file FILE or --no-recovery-key where nobody is at the terminal). \
             To create one that is not encrypted, leave out the passphrase (see [encryption] in the configuration file).",
        ));
    }
    if Known::load().was_encrypted(path) {
        return Err(Failure::refused(
            &format!(
                "the repository at {} was encrypted when you last used it, and the new one would not be; nothing was created",
                path.display()
            ),
            "If its disk is not mounted, mount it. To create a new encrypted repository, add --encrypt. To create one that is not encrypted, remove the path from \
             ~/.local/state/jellyvault/repositories.toml first.",
        ));
    }
    Ok(())
}

/// `key`.
pub fn run(context: &Context, command: &KeyCommand) -> Result<Exit, Failure> {
    passphrase::protect_memory();
    if let KeyCommand::List = command {
        return list(context);
    }
    if let KeyCommand::Recover { recovery_key_file, new } = command {
        return recover(context, recovery_key_file.as_deref(), new);
    }
    let repository = context.open()?;
    let keys = keys_of(&repository)?;
    match command {
        KeyCommand::Add { recovery_key: is_recovery, recovery_key_file, new } => {
            let label = new.label.as_deref().unwrap_or_default();
            Slot::check_label(label).map_err(ops::Error::from)?;
            let number = if *is_recovery {
                let key = NewRecoveryKey::make(context, recovery_key_file.as_deref(), "")?;
                let slot = NewSlot { secret: Err(key.key()), label };
                let number = locked(&repository, || add(&repository, keys, &slot))?;
                key.keep(context);
                number
            } else {
                let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
                refuse_known(&repository, &secret)?;
                let slot = NewSlot { secret: Ok(&secret), label };
                locked(&repository, || add(&repository, keys, &slot))?
            };
            done(context, number, "added", &format!("Added key {number}."))
        }
        KeyCommand::Remove { number, yes } => remove(context, &repository, *number, *yes),
        KeyCommand::Change { new } => change(context, &repository, keys, new),
        KeyCommand::List | KeyCommand::Recover { .. } => Ok(Exit::Done),
    }
}

/// Runs what changes the keys, while no other process does. Nobody waits for what somebody types.
fn locked<T>(
    repository: &Repository,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let _lock = repository.lock_list().map_err(ops::Error::from)?;
    work()
}

fn slots_of(repository: &Repository) -> Result<KeySlots, Failure> {
    Ok(KeySlots::load(repository.backend()).map_err(ops::Error::from)?)
}

/// The same passphrase in two keys: who removes or changes one would believe it gone.
fn refuse_known(repository: &Repository, secret: &Secret) -> Result<(), Failure> {
    match slots_of(repository)?.open(secret) {
        Ok((number, _)) => Err(Failure::usage(
            &format!(
                "this passphrase opens the repository already: it is key {number}; nothing was changed"
            ),
            "Choose another passphrase.",
        )),
        // It opens none of them, or one of them cannot be tried: the new key does not depend on that.
        Err(_) => Ok(()),
    }
}

fn change(
    context: &Context,
    repository: &Repository,
    keys: &Keys,
    new: &NewPassphrase,
) -> Result<Exit, Failure> {
    let number = context.opened_slot().unwrap_or_default();
    let slots = slots_of(repository)?;
    let gone = || {
        Failure::refused(
            &format!(
                "key {number} was removed or changed by another command meanwhile; nothing was changed"
            ),
            "Run jellyvault key list to see the keys.",
        )
    };
    let slot = slots.slots.get(&number).ok_or_else(gone)?;
    if slot.kind != SlotKind::Passphrase {
        return Err(Failure::refused(
            "a recovery key is not changed into a passphrase; nothing was changed",
            "To set a new passphrase with the recovery key, use jellyvault key recover.",
        ));
    }
    let label = new.label.clone().unwrap_or_else(|| slot.label.clone());
    Slot::check_label(&label).map_err(ops::Error::from)?;
    let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
    refuse_known(repository, &secret)?;
    let added = locked(repository, || {
        let slots = slots_of(repository)?;
        if slots.slots.get(&number) != Some(slot) {
            return Err(gone());
        }
        // The new one is there before the old one goes.
        let added = add(repository, keys, &NewSlot { secret: Ok(&secret), label: &label })?;
        slots.remove(repository.backend(), number).map_err(ops::Error::from)?;
        Ok(added)
    })?;
    done(
        context,
        added,
        "changed",
        &format!("Changed the passphrase: key {added} replaces key {number}."),
    )
}

fn keys_of(repository: &Repository) -> Result<&Keys, Failure> {
    repository.keys().ok_or_else(|| {
        Failure::usage(
            "the repository is not encrypted, so it has no keys",
            "To encrypt your snapshots, make an encrypted repository (jellyvault init --encrypt) and copy them into it: jellyvault copy --to REPOSITORY.",
        )
    })
}

fn add(repository: &Repository, keys: &Keys, slot: &NewSlot<'_>) -> Result<u32, Failure> {
    Ok(KeySlots::add(repository.backend(), keys, slot).map_err(ops::Error::from)?)
}

fn done(context: &Context, number: u32, what: &str, words: &str) -> Result<Exit, Failure> {
    if context.global.json {
        to_json::print(&json!({"key": {"id": number, "outcome": what}}));
    } else if !context.global.quiet {
        output::print_done(&format!("{words}\n"), words)?;
    }
    Ok(Exit::Done)
}

fn remove(
    context: &Context,
    repository: &Repository,
    number: u32,
    yes: bool,
) -> Result<Exit, Failure> {
    let slots = slots_of(repository)?;
    if !slots.slots.contains_key(&number) && !slots.is_damaged(number) {
        return Err(Failure::not_found(
            &format!("there is no key {number}"),
            "Run jellyvault key list to see the keys.",
        ));
    }
    refuse_last(repository, &slots, number)?;
    if !yes {
        let what = slots.slots.get(&number).map_or_else(
            || "damaged".to_owned(),
            |slot| format!("{}, {:?}", slot.kind, slot.label),
        );
        context.ask(&format!(
            "Remove key {number} ({what})? It will no longer open the repository. [y/N] "
        ))?;
    }
    locked(repository, || {
        let slots = slots_of(repository)?;
        refuse_last(repository, &slots, number)?;
        Ok(slots.remove(repository.backend(), number).map_err(ops::Error::from)?)
    })?;
    done(
        context,
        number,
        "removed",
        &format!(
            "Removed key {number}. Copies of the repository that were made before still open with it. If somebody else knows it, copy the snapshots into a new repository."
        ),
    )
}

/// Without a key that opens it nobody could read the repository.
fn refuse_last(repository: &Repository, slots: &KeySlots, number: u32) -> Result<(), Failure> {
    if slots.usable(&repository.config().id).iter().any(|other| *other != number) {
        return Ok(());
    }
    Err(Failure::refused(
        "this is the only key that opens the repository: without it nobody could read it",
        "Add another key first: jellyvault key add.",
    ))
}

fn recover(context: &Context, file: Option<&Path>, new: &NewPassphrase) -> Result<Exit, Failure> {
    let secret = match file {
        Some(file) => passphrase::of_file(context, file)
            .map_err(|what| Failure::usage(&what, "Give the file that has the recovery key."))?,
        None => passphrase::ask(context, "Recovery key: ").map_err(ops::Error::from)?.ok_or_else(
            || {
                Failure::usage(
                    "no recovery key was given",
                    "Run the command in a terminal, or give it with --recovery-key-file FILE.",
                )
            },
        )?,
    };
    if RecoveryKey::parse(&secret).map_err(ops::Error::from)?.is_none() {
        return Err(Failure::usage(
            "this is not a recovery key",
            "A recovery key has 14 groups of four characters, such as 7K2M-…",
        ));
    }
    let path = context.repository_path()?;
    let slots =
        KeySlots::load(&crate::backend::LocalBackend::new(&path)).map_err(ops::Error::from)?;
    if slots.slots.is_empty() && slots.damaged.is_empty() {
        // Says that there is no repository, or that it has no keys.
        keys_of(&context.open()?)?;
    }
    let (number, keys) = slots.open(&secret).map_err(ops::Error::from)?;
    context.remember_keys(number, &keys);
    let repository = context.open()?;
    let label = new.label.as_deref().unwrap_or("set with the recovery key");
    Slot::check_label(label).map_err(ops::Error::from)?;
    let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
    let slot = NewSlot { secret: Ok(&secret), label };
    let added = locked(&repository, || add(&repository, &keys, &slot))?;
    done(
        context,
        added,
        "added",
        &format!(
            "Added key {added}: the new passphrase opens the repository. Remove the lost one: jellyvault key list, then jellyvault key remove NUMBER."
        ),
    )
}
