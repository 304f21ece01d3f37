//! `[encryption]` of the configuration: where the passphrase of an encrypted repository comes from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ops::HIDDEN;

/// Where the passphrase comes from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EncryptionConfig {
    /// A file that has it.
    pub passphrase_file: Option<PathBuf>,
    /// A command that prints it.
    pub passphrase_command: Option<String>,
}

impl EncryptionConfig {
    /// Whether it can be used.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.passphrase_file.is_some() && self.passphrase_command.is_some() {
            return Err(
                "passphrase_file and passphrase_command are both set, and only one can be used"
                    .to_owned(),
            );
        }
        Ok(())
    }

    /// It as it may be shown: a command may have a passphrase in its words.
    pub(super) fn masked(&self) -> EncryptionConfig {
        EncryptionConfig {
            passphrase_command: self.passphrase_command.as_ref().map(|_| HIDDEN.to_owned()),
            ..self.clone()
        }
    }
}
