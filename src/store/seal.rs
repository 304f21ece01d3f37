//! The place of encryption in the format. Only the cipher `none` is known so far: sealed bytes are the plain bytes.
//!
//! Extents, trailers and records pass through here on their way out and in, with what binds them to their place.

use serde::{Deserialize, Serialize};

/// How a repository's bytes are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cipher {
    /// Not at all.
    #[default]
    None,
}

/// What a sealed piece is bound to: the additional data of the AEAD that a later cipher will use.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "the cipher `none` binds nothing; the fields are what the next cipher will authenticate")]
pub(super) struct Binding<'a> {
    /// `extent`, `trailer` or `record`.
    pub kind: &'static str,
    /// The pack's or record's id.
    pub id: &'a [u8],
    /// Number of the extent in its pack.
    pub position: u32,
}

impl Cipher {
    /// The byte in headers.
    pub(super) fn code(self) -> u8 {
        match self {
            Cipher::None => 0,
        }
    }

    /// The cipher of a header's byte.
    pub(super) fn from_code(code: u8) -> Option<Cipher> {
        (code == 0).then_some(Cipher::None)
    }

    /// Seals plain bytes.
    pub(super) fn seal(self, _binding: Binding<'_>, plain: Vec<u8>) -> Vec<u8> {
        match self {
            Cipher::None => plain,
        }
    }

    /// Opens sealed bytes without taking them; nothing where they were not sealed for this place.
    pub(super) fn open_ref<'a>(self, _binding: Binding<'_>, sealed: &'a [u8]) -> Option<std::borrow::Cow<'a, [u8]>> {
        match self {
            Cipher::None => Some(sealed.into()),
        }
    }

    /// Opens sealed bytes; nothing where they were not sealed for this place.
    pub(super) fn open(self, _binding: Binding<'_>, sealed: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Cipher::None => Some(sealed),
        }
    }
}
