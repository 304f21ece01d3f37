//! Making an encrypted repository, and its keys.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::json;

use crate::ops;
use crate::store::encryption::{Algorithm, KeySlots, Keys, NewSlot, RecoveryKey, Slot, SlotKind};
use crate::store::{Error, RepoConfig, Repository};

use super::context::Context;
use super::failure::Failure;
use super::key_args::{EncryptArgs, KeyCommand, NewPassphrase};
use super::{Exit, json as to_json, output, passphrase, render};

const PASSPHRASE_LABEL: &str = "first passphrase";
const RECOVERY_LABEL: &str = "recovery key";

/// Makes a repository, encrypted where that is asked for.
pub fn init(
    context: &Context,
    path: &Path,
    args: &EncryptArgs,
    parity_permille: u32,
) -> Result<Repository, Failure> {
    let config = RepoConfig { parity_permille, ..RepoConfig::new().map_err(ops::Error::from)? };
    if !args.encrypt {
        return Ok(Repository::init_folder(path, &config).map_err(ops::Error::from)?);
    }
    let secret = passphrase::new(context, None, true)?;
    let recovery = if args.no_recovery_key {
        None
    } else {
        Some(recovery_key(context, args.recovery_key_file.as_deref())?)
    };
    let algorithm = args.cipher.unwrap_or_else(Algorithm::fastest);
    let config = RepoConfig { cipher: algorithm.name().to_owned(), ..config };
    let keys = Keys::random(algorithm, &config.id).map_err(ops::Error::from)?;
    let mut slots = vec![NewSlot { secret: Ok(&secret), label: PASSPHRASE_LABEL }];
    slots.extend(recovery.as_ref().map(|key| NewSlot { secret: Err(key), label: RECOVERY_LABEL }));
    let made = context
        .with_access(|access| Repository::init_locked(path, &config, Some((&keys, &slots)), access))
        .map_err(ops::Error::from)?;
    context.remember_keys(1, &keys);
    let what = if recovery.is_some() {
        "passphrase or the recovery key nobody can read it, not even you. Keep both"
    } else {
        "passphrase nobody can read it, not even you. Keep it"
    };
    context.say(&format!("The repository is encrypted. Without the {what} in a place that you can reach when this machine is gone."));
    Ok(made)
}

/// A new recovery key, which its owner has: in a new file, or written down and confirmed.
fn recovery_key(context: &Context, file: Option<&Path>) -> Result<RecoveryKey, Failure> {
    let key = RecoveryKey::random().map_err(ops::Error::from)?;
    let text = key.text().map_err(ops::Error::from)?;
    if let Some(file) = file {
        let unusable = |error: std::io::Error| {
            Failure::usage(
                &format!(
                    "the recovery key could not be written to {} ({error}); nothing was created",
                    file.display()
                ),
                "Name a new file in a directory that you can write to.",
            )
        };
        let mut new = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map_err(unusable)?;
        new.write_all(format!("Recovery key of a jellyvault repository. Whoever has it can read every snapshot.\n{}\n", *text).as_bytes()).map_err(unusable)?;
        new.sync_all().map_err(unusable)?;
        context.say(&format!("The recovery key is in {}. Move that file to a safe place that is not on this machine.", file.display()));
        return Ok(key);
    }
    if context.global.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "a recovery key must be kept in a safe place, and nobody is here to write it down; nothing was created",
            "Add --recovery-key-file FILE, or --no-recovery-key to go without one.",
        ));
    }
    let failed = |error: std::io::Error| {
        Failure::usage(
            &format!("the terminal failed ({error}); nothing was created"),
            "Add --recovery-key-file FILE.",
        )
    };
    let shown = format!(
        "\nRecovery key: it opens the repository if the passphrase is lost. It is shown only now. Write it down and keep it away from this machine.\n\n    {}\n\n\
         Type its last four characters when you have written it down: ",
        *text
    );
    std::io::stderr().write_all(shown.as_bytes()).map_err(failed)?;
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).map_err(failed)?;
    if text.ends_with(&typed.trim().to_uppercase()) && typed.trim().len() == 4 {
        return Ok(key);
    }
    Err(Failure::usage(
        "these are not the last four characters; nothing was created",
        "Run the same command again. To go without a recovery key, add --no-recovery-key.",
    ))
}

/// `key`.
pub fn run(context: &Context, command: &KeyCommand) -> Result<Exit, Failure> {
    if let KeyCommand::List = command {
        return list(context);
    }
    if let KeyCommand::Recover { recovery_key_file, new } = command {
        return recover(context, recovery_key_file.as_deref(), new);
    }
    let repository = context.open()?;
    let keys = keys_of(&repository)?;
    let _lock = repository.lock_list().map_err(ops::Error::from)?;
    match command {
        KeyCommand::Add { recovery_key: is_recovery, recovery_key_file, new } => {
            let label = new.label.as_deref().unwrap_or_default();
            Slot::check_label(label).map_err(ops::Error::from)?;
            let number = if *is_recovery {
                let key = recovery_key(context, recovery_key_file.as_deref())?;
                add(&repository, keys, &NewSlot { secret: Err(&key), label })?
            } else {
                let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
                add(&repository, keys, &NewSlot { secret: Ok(&secret), label })?
            };
            done(context, number, "added", &format!("Added key {number}."))
        }
        KeyCommand::Remove { number, yes } => remove(context, &repository, *number, *yes),
        KeyCommand::Change { new } => {
            let number = context.opened_slot().unwrap_or_default();
            let slots = KeySlots::load(repository.backend()).map_err(ops::Error::from)?;
            let Some(slot) =
                slots.slots.get(&number).filter(|slot| slot.kind == SlotKind::Passphrase)
            else {
                return Err(Failure::refused(
                    "a recovery key is not changed into a passphrase; nothing was changed",
                    "To set a new passphrase with the recovery key, use jellyvault key recover.",
                ));
            };
            let label = new.label.clone().unwrap_or_else(|| slot.label.clone());
            let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
            // The new one is there before the old one goes.
            let added = add(&repository, keys, &NewSlot { secret: Ok(&secret), label: &label })?;
            KeySlots::remove(repository.backend(), number).map_err(ops::Error::from)?;
            done(
                context,
                added,
                "changed",
                &format!("Changed the passphrase: key {added} replaces key {number}."),
            )
        }
        KeyCommand::List | KeyCommand::Recover { .. } => Ok(Exit::Done),
    }
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
    let slots = KeySlots::load(repository.backend()).map_err(ops::Error::from)?;
    let Some(slot) = slots.slots.get(&number) else {
        return Err(Failure::not_found(
            &format!("there is no key {number}"),
            "Run jellyvault key list to see the keys.",
        ));
    };
    if slots.slots.len() == 1 {
        return Err(Failure::refused(
            "this is the only key: without it nobody could read the repository",
            "Add another key first: jellyvault key add.",
        ));
    }
    if !yes {
        context.ask(&format!(
            "Remove key {number} ({}, {:?})? It will no longer open the repository. [y/N] ",
            slot.kind, slot.label
        ))?;
    }
    KeySlots::remove(repository.backend(), number).map_err(ops::Error::from)?;
    done(
        context,
        number,
        "removed",
        &format!(
            "Removed key {number}. Copies of the repository that were made before still open with it. If somebody else knows it, copy the snapshots into a new repository."
        ),
    )
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
    let (number, keys) = slots.open(&secret).map_err(ops::Error::from)?;
    context.remember_keys(number, &keys);
    let repository = context.open()?;
    let _lock = repository.lock_list().map_err(ops::Error::from)?;
    let secret = passphrase::new(context, new.new_passphrase_file.as_deref(), false)?;
    let label = new.label.as_deref().unwrap_or("set with the recovery key");
    Slot::check_label(label).map_err(ops::Error::from)?;
    let added = add(&repository, &keys, &NewSlot { secret: Ok(&secret), label })?;
    done(
        context,
        added,
        "added",
        &format!(
            "Added key {added}: the new passphrase opens the repository. Remove the lost one: jellyvault key list, then jellyvault key remove NUMBER."
        ),
    )
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let path = context.repository_path()?;
    if !path.join("repo.toml").exists()
        && !path.join("repo.copy.toml").exists()
        && !path.join("keys").exists()
    {
        context.open()?;
    }
    // Labels stand in the clear: the list needs no passphrase.
    let slots =
        KeySlots::load(&crate::backend::LocalBackend::new(&path)).map_err(ops::Error::from)?;
    let is_well = slots.damaged.is_empty();
    if slots.slots.is_empty()
        && is_well
        && Repository::settings_in(&path).is_some_and(|config| config.is_encrypted())
    {
        return Err(ops::Error::from(Error::WrongPassphrase {
            is_recovery_key: false,
            tried: 0,
            damaged: 0,
        })
        .into());
    }
    if context.global.json {
        let keys: Vec<_> = slots
            .slots
            .iter()
            .map(|(number, slot)| json!({"id": number, "kind": slot.kind, "label": slot.label, "created": slot.created, "cipher": slot.cipher}))
            .collect();
        let damaged: Vec<_> =
            slots.damaged.iter().map(|(name, what)| json!({"name": name, "what": what})).collect();
        to_json::print(&json!({"keys": keys, "damaged": damaged}));
        return Ok(if is_well { Exit::Done } else { Exit::Problems });
    }
    let mut out = String::new();
    if slots.slots.is_empty() && is_well {
        out.push_str("The repository is not encrypted, so it has no keys.\n");
    }
    for (number, slot) in &slots.slots {
        let created =
            render::time(slot.created.as_second().saturating_mul(1_000_000_000), &context.zone);
        out.push_str(&format!(
            "{number:>3}  {:<14} {created}  {}\n",
            slot.kind.to_string(),
            super::clean::in_a_line(&slot.label)
        ));
    }
    for (name, what) in &slots.damaged {
        out.push_str(&format!(
            "{name}: {what}. jellyvault repair restores it if its second copy is whole.\n"
        ));
    }
    output::print(&out)?;
    Ok(if is_well { Exit::Done } else { Exit::Problems })
}
