//! The keys of a repository, all from one master: for the names of content, for packs, for records, for the settings.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::super::Error;
use super::super::seal::Sealer;
use super::aead::Aead;

/// An authenticated cipher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// ChaCha20-Poly1305: fast on every processor.
    #[serde(rename = "chacha20-poly1305")]
    ChaCha20Poly1305,
    /// AES-256-GCM: faster where the processor has instructions for it, slow elsewhere.
    #[serde(rename = "aes-256-gcm")]
    Aes256Gcm,
}

impl Algorithm {
    /// All, the first of which is slow nowhere.
    pub const ALL: [Algorithm; 2] = [Algorithm::ChaCha20Poly1305, Algorithm::Aes256Gcm];

    /// Its name in the settings.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::ChaCha20Poly1305 => "chacha20-poly1305",
            Algorithm::Aes256Gcm => "aes-256-gcm",
        }
    }

    /// The one with a name.
    pub fn named(name: &str) -> Option<Algorithm> {
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The byte in headers; 0 is no cipher.
    pub(super) fn code(self) -> u8 {
        match self {
            Algorithm::ChaCha20Poly1305 => 1,
            Algorithm::Aes256Gcm => 2,
        }
    }

    /// The faster one on this machine. AES must be much faster: who restores may do it on a small machine without its instructions.
    pub fn fastest() -> Algorithm {
        const PIECE_BYTES: usize = 128 << 10;
        const ROUNDS: usize = 16;
        const GAIN: u32 = 2;
        let mut piece = vec![0; PIECE_BYTES];
        let mut time = |algorithm: Algorithm| {
            let start = Instant::now();
            for round in 0..ROUNDS {
                crate::tolerate(super::aead::encrypt(algorithm, &[7; 32], &[round as u8; 12], b"", &mut piece));
            }
            start.elapsed()
        };
        let (chacha, aes) = (time(Algorithm::ChaCha20Poly1305), time(Algorithm::Aes256Gcm));
        if aes * GAIN < chacha { Algorithm::Aes256Gcm } else { Algorithm::ChaCha20Poly1305 }
    }
}

/// The master key of one repository, and how it is used.
#[derive(Clone)]
pub struct Keys {
    pub(super) algorithm: Algorithm,
    /// The repository's id, 32 hex digits: no key of one repository is a key of another.
    pub(super) repository: String,
    pub(super) master: Zeroizing<[u8; 32]>,
}

impl Keys {
    /// New ones for a repository.
    ///
    /// # Errors
    /// Where there is no randomness.
    pub fn random(algorithm: Algorithm, repository: &str) -> Result<Keys, Error> {
        let mut master = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *master).map_err(|_| Error::Random)?;
        Ok(Keys { algorithm, repository: repository.to_owned(), master })
    }

    /// The same for everybody who knows the repository's id: for tests that look at other things.
    #[cfg(feature = "testing")]
    pub(in crate::store) fn for_tests(algorithm: Algorithm, repository: &str) -> Keys {
        let master = Zeroizing::new(blake3::derive_key("jellyvault tests", repository.as_bytes()));
        Keys { algorithm, repository: repository.to_owned(), master }
    }

    /// The id of the repository that they are for.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The cipher.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// What seals and opens the repository's pieces.
    pub(in crate::store) fn sealer(&self) -> Sealer {
        Sealer::keyed(Arc::new(Aead::new(self)))
    }

    /// A key for one purpose.
    pub(super) fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut material = Zeroizing::new(self.master.to_vec());
        material.extend_from_slice(self.repository.to_ascii_lowercase().as_bytes());
        let key = Zeroizing::new(blake3::derive_key(&format!("jellyvault 2026-12-01 {purpose}"), &material));
        material.zeroize();
        key
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.algorithm.name())
    }
}
