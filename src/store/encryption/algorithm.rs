//! The ciphers, as their libraries have them.

use std::time::Instant;

use aes_gcm::Aes256Gcm;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use serde::{Deserialize, Serialize};

pub(super) const TAG_BYTES: usize = 16;

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

    /// The faster one on this machine. AES must be much faster: who restores may do it on a small
    /// machine without its instructions.
    pub fn fastest() -> Algorithm {
        const PIECE_BYTES: usize = 128 << 10;
        const ROUNDS: usize = 16;
        const GAIN: u32 = 2;
        let mut piece = vec![0; PIECE_BYTES];
        let mut time = |algorithm: Algorithm| {
            let start = Instant::now();
            for round in 0..ROUNDS {
                crate::tolerate(encrypt(algorithm, &[7; 32], &[round as u8; 12], b"", &mut piece));
            }
            start.elapsed()
        };
        let (chacha, aes) = (time(Algorithm::ChaCha20Poly1305), time(Algorithm::Aes256Gcm));
        if aes * GAIN < chacha { Algorithm::Aes256Gcm } else { Algorithm::ChaCha20Poly1305 }
    }
}

/// Encrypts in place; the tag.
pub(super) fn encrypt(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; 12],
    place: &[u8],
    bytes: &mut [u8],
) -> Result<[u8; TAG_BYTES], chacha20poly1305::Error> {
    let tag = match algorithm {
        Algorithm::ChaCha20Poly1305 => ChaCha20Poly1305::new(key.into()).encrypt_inout_detached(
            nonce.into(),
            place,
            bytes.into(),
        )?,
        Algorithm::Aes256Gcm => {
            Aes256Gcm::new(key.into()).encrypt_inout_detached(nonce.into(), place, bytes.into())?
        }
    };
    Ok(tag.into())
}

/// Decrypts in place; nothing where a byte of it, of its place or its tag is not as it was.
pub(super) fn decrypt(
    algorithm: Algorithm,
    key: &[u8; 32],
    nonce: &[u8; 12],
    place: &[u8],
    bytes: &mut [u8],
    tag: &[u8; TAG_BYTES],
) -> Option<()> {
    match algorithm {
        Algorithm::ChaCha20Poly1305 => ChaCha20Poly1305::new(key.into()).decrypt_inout_detached(
            nonce.into(),
            place,
            bytes.into(),
            tag.into(),
        ),
        Algorithm::Aes256Gcm => Aes256Gcm::new(key.into()).decrypt_inout_detached(
            nonce.into(),
            place,
            bytes.into(),
            tag.into(),
        ),
    }
    .ok()
}
