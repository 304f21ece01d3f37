//! How is a repository encrypted? A random master key, from which all other keys come, lies in
//! slots that a passphrase or a recovery key opens.
//!
//! `docs/format.md` ("Encryption") has the bytes, `docs/threat-model.md` what this protects and
//! what not. All cryptography is that of libraries.

mod aead;
mod algorithm;
#[cfg(feature = "testing")]
pub(super) mod for_tests;
mod kdf;
mod keys;
mod recovery;
mod secret;
mod slot;
mod slots;
#[cfg(test)]
mod vectors;

pub use aead::comes_back_for_tests;
pub(super) use aead::sealer;
pub use algorithm::Algorithm;
pub use kdf::Kdf;
pub use keys::Keys;
pub use recovery::RecoveryKey;
pub use secret::Secret;
pub use slot::{Slot, SlotKind, slot_file_for_tests};
pub use slots::{KeySlots, NewSlot};
