//! Arguments for encryption: how a repository is made, and its keys.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// How a new repository is encrypted.
#[derive(Clone, Debug, Default, Args)]
pub struct EncryptArgs {
    /// Encrypt the new repository. Asks for a passphrase, and prints a recovery key once
    #[arg(long)]
    pub encrypt: bool,
    /// Write the recovery key to this new file, instead of showing it. Move the file to a safe
    /// place elsewhere
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "encrypt", conflicts_with = "no_recovery_key")]
    pub recovery_key_file: Option<PathBuf>,
    /// Create no recovery key. If you lose the passphrase, nobody can read the snapshots again
    #[arg(long, requires = "encrypt")]
    pub no_recovery_key: bool,
    /// Cipher: chacha20-poly1305 or aes-256-gcm [default: aes-256-gcm if it is twice as fast on
    /// this machine]
    #[arg(long, value_name = "NAME", requires = "encrypt", value_parser = cipher)]
    pub cipher: Option<crate::store::encryption::Algorithm>,
}

fn cipher(name: &str) -> Result<crate::store::encryption::Algorithm, String> {
    crate::store::encryption::Algorithm::named(name)
        .ok_or_else(|| "the ciphers are chacha20-poly1305 and aes-256-gcm".to_owned())
}

/// A passphrase to be set.
#[derive(Debug, Args)]
pub struct NewPassphrase {
    /// Read the new passphrase from this file, instead of asking for it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub new_passphrase_file: Option<PathBuf>,
    /// A name for the key, for example "NAS" or "Ana"
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
}

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys: passphrases and recovery keys
    List,
    /// Add a passphrase, or a recovery key
    Add {
        /// Add a recovery key instead of a passphrase
        #[arg(long, conflicts_with = "new_passphrase_file")]
        recovery_key: bool,
        /// Write the recovery key to this new file, instead of showing it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "recovery_key", conflicts_with = "new_passphrase_file")]
        recovery_key_file: Option<PathBuf>,
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Remove a key
    ///
    /// An old copy of the repository can still be opened with the removed passphrase.
    Remove {
        /// The key's number, as jellyvault key list shows it
        #[arg(value_name = "NUMBER")]
        number: u32,
        /// Do not ask before the key is removed
        #[arg(long)]
        yes: bool,
    },
    /// Replace the passphrase that you give with a new one
    Change {
        #[command(flatten)]
        new: NewPassphrase,
    },
    /// Set a new passphrase with the recovery key
    Recover {
        /// Read the recovery key from this file, instead of asking for it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        recovery_key_file: Option<PathBuf>,
        #[command(flatten)]
        new: NewPassphrase,
    },
}
