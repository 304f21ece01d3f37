//! A new recovery key: its owner has it before anything is opened by it, and nothing is left of one
//! that opens nothing.

use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::ops;
use crate::store::encryption::RecoveryKey;

use super::context::Context;
use super::failure::Failure;

/// A recovery key that its owner has, in a new file or on paper.
pub struct NewRecoveryKey {
    key: RecoveryKey,
    /// The file with it, which goes unless the key is [kept](NewRecoveryKey::keep).
    file: Option<PathBuf>,
}

impl NewRecoveryKey {
    /// Makes one; `other_way` is advised to who can neither write it down nor name a file.
    pub fn make(
        context: &Context,
        file: Option<&Path>,
        other_way: &str,
    ) -> Result<NewRecoveryKey, Failure> {
        let key = RecoveryKey::random().map_err(ops::Error::from)?;
        let Some(file) = file else {
            confirm(context, &key, other_way)?;
            return Ok(NewRecoveryKey { key, file: None });
        };
        let unusable = |error: std::io::Error| {
            Failure::usage(
                &format!(
                    "the recovery key could not be written to {} ({error}); nothing was created",
                    file.display()
                ),
                "Name a new file in a directory that you can write to.",
            )
        };
        let text = key.text().map_err(ops::Error::from)?;
        let mut new = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map_err(unusable)?;
        let made = NewRecoveryKey { key, file: Some(file.to_path_buf()) };
        new.write_all(format!("Recovery key of a jellyvault repository. Whoever has it can read every snapshot.\n{}\n", *text).as_bytes()).map_err(unusable)?;
        new.sync_all().map_err(unusable)?;
        Ok(made)
    }

    /// The key.
    pub fn key(&self) -> &RecoveryKey {
        &self.key
    }

    /// It opens a repository now.
    pub fn keep(mut self, context: &Context) {
        if let Some(file) = self.file.take() {
            context.say(&format!("The recovery key is in {}. Move that file to a safe place that is not on this machine.", file.display()));
        }
    }
}

impl Drop for NewRecoveryKey {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            crate::tolerate(std::fs::remove_file(file));
        }
    }
}

/// Shows it, and asks whether it was written down.
fn confirm(context: &Context, key: &RecoveryKey, other_way: &str) -> Result<(), Failure> {
    if context.global.json || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Failure::usage(
            "a recovery key must be kept in a safe place, and nobody is here to write it down; nothing was created",
            &format!("Add --recovery-key-file FILE{other_way}."),
        ));
    }
    let failed = |error: std::io::Error| {
        Failure::usage(
            &format!("the terminal failed ({error}); nothing was created"),
            "Add --recovery-key-file FILE.",
        )
    };
    let text = key.text().map_err(ops::Error::from)?;
    let shown = format!(
        "\nRecovery key: it opens the repository if the passphrase is lost. It is shown only now. Write it down and keep it away from this machine.\n\n    {}\n\n\
         Type its last four characters when you have written it down: ",
        *text
    );
    std::io::stderr().write_all(shown.as_bytes()).map_err(failed)?;
    let mut typed = String::new();
    std::io::stdin().read_line(&mut typed).map_err(failed)?;
    if text.ends_with(&typed.trim().to_uppercase()) && typed.trim().len() == 4 {
        return Ok(());
    }
    Err(Failure::usage(
        "these are not the last four characters; nothing was created",
        &format!("Run the same command again, or add --recovery-key-file FILE{other_way}."),
    ))
}
