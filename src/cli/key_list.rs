//! `key list`.

use serde_json::json;

use crate::ops;
use crate::store::encryption::KeySlots;
use crate::store::{Error, Repository};

use super::context::Context;
use super::failure::Failure;
use super::{Exit, json as to_json, output, render};

pub fn list(context: &Context) -> Result<Exit, Failure> {
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
    let id = Repository::settings_in(&path).map(|config| config.id);
    let foreign = id.map(|id| slots.foreign(&id)).unwrap_or_default();
    let is_well = slots.damaged.is_empty() && foreign.is_empty();
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
            .map(|(number, slot)| json!({"id": number, "kind": slot.kind, "label": slot.label, "created": slot.created, "cipher": slot.cipher, "foreign": foreign.contains(number)}))
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
        let note = if foreign.contains(number) {
            format!(
                "  (of another repository: it opens nothing here. Remove it: jellyvault key remove {number})"
            )
        } else {
            String::new()
        };
        out.push_str(&format!(
            "{number:>3}  {:<14} {created}  {}{note}\n",
            slot.kind.to_string(),
            super::clean::in_a_line(&slot.label)
        ));
    }
    for (name, what) in &slots.damaged {
        let todo = if slots.is_mendable(name) {
            "jellyvault repair restores it from its second copy"
        } else {
            "It cannot be restored: if another key opens the repository, remove this one with jellyvault key remove, and add it again"
        };
        out.push_str(&format!("{name}: {what}. {todo}.\n"));
    }
    output::print(&out)?;
    Ok(if is_well { Exit::Done } else { Exit::Problems })
}
