//! Sealing: what is done to each piece of a repository on its way out, and undone on its way in.
//!
//! Extents, trailers, records, links and the settings pass through the repository's [`Sealer`]. The
//! only cipher so far is `none`, whose sealed bytes are the plain bytes. The tests seal whole
//! repositories with a toy, so that nothing can be stored beside the sealer unnoticed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::chunk::Hashing;

/// The name of the cipher of a repository that is not encrypted.
pub const NO_CIPHER: &str = "none";
const NO_CIPHER_CODE: u8 = 0;

/// The place that a sealed piece is bound to: the additional data of an AEAD. A piece that was
/// moved to another place must not open.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    /// `extent`, `trailer`, `snapshot` or `link`.
    pub kind: &'static str,
    /// The pack's or record's id.
    pub id: &'a [u8],
    /// Number of the extent in its pack, from 0; [`u32::MAX`] for a trailer.
    pub position: u32,
}

/// An authenticated cipher with the keys of one repository.
pub trait Cipher: Send + Sync {
    /// The byte in headers; 0 is `none`.
    fn code(&self) -> u8;
    /// How ids are made: with a key, so that they tell nothing of the content.
    fn hashing(&self) -> Hashing;
    /// Seals plain bytes.
    fn seal(&self, binding: Binding<'_>, plain: Vec<u8>) -> Vec<u8>;
    /// Opens sealed bytes; nothing where they were changed, or sealed with another key or for
    /// another place.
    fn open(&self, binding: Binding<'_>, sealed: &[u8]) -> Option<Vec<u8>>;
    /// What proves that the settings were written by somebody with the key.
    fn tag(&self, settings: &[u8]) -> [u8; 32];
}

/// A repository's cipher, handed to whatever reads or writes a piece of it.
#[derive(Clone, Default)]
pub struct Sealer {
    cipher: Option<Arc<dyn Cipher>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer(cipher {})", self.code())
    }
}

impl Sealer {
    /// The cipher `none`.
    pub fn plain() -> Sealer {
        Sealer { cipher: None }
    }

    /// A cipher with its keys.
    pub fn keyed(cipher: Arc<dyn Cipher>) -> Sealer {
        Sealer { cipher: Some(cipher) }
    }

    /// The sealer that a repository's settings ask for.
    ///
    /// # Errors
    /// [`Error::Cipher`] where this program does not know the cipher.
    /// The byte in headers. A file with another was not written for this repository.
    pub(super) fn code(&self) -> u8 {
        self.cipher.as_ref().map_or(NO_CIPHER_CODE, |cipher| cipher.code())
    }

    /// Whether stored bytes differ from plain ones.
    pub(super) fn is_keyed(&self) -> bool {
        self.cipher.is_some()
    }

    /// How ids are made.
    pub fn hashing(&self) -> Hashing {
        self.cipher.as_ref().map_or_else(Hashing::default, |cipher| cipher.hashing())
    }

    /// Seals plain bytes.
    pub(super) fn seal(&self, binding: Binding<'_>, plain: Vec<u8>) -> Vec<u8> {
        match &self.cipher {
            None => plain,
            Some(cipher) => cipher.seal(binding, plain),
        }
    }

    /// Opens sealed bytes; nothing where they were not sealed for this place.
    pub(super) fn open(&self, binding: Binding<'_>, sealed: Vec<u8>) -> Option<Vec<u8>> {
        match &self.cipher {
            None => Some(sealed),
            Some(cipher) => cipher.open(binding, &sealed),
        }
    }

    /// The same without taking them.
    pub(super) fn open_ref<'a>(
        &self,
        binding: Binding<'_>,
        sealed: &'a [u8],
    ) -> Option<Cow<'a, [u8]>> {
        match &self.cipher {
            None => Some(sealed.into()),
            Some(cipher) => cipher.open(binding, sealed).map(Cow::Owned),
        }
    }

    /// What proves that the settings were written by somebody with the key; nothing without one.
    pub(super) fn tag(&self, settings: &[u8]) -> Option<[u8; 32]> {
        self.cipher.as_ref().map(|cipher| cipher.tag(settings))
    }
}
