//! What opens a slot, as the user has it. It is overwritten in memory when it is no longer needed,
//! and never shown.

use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A passphrase, or a recovery key as text.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// A passphrase as it was typed or read: without the line break at its end, and the same
    /// however a keyboard composes its letters.
    pub fn new(bytes: Vec<u8>) -> Secret {
        let bytes = Zeroizing::new(bytes);
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let plain = match std::str::from_utf8(line) {
            Ok(text) => text.nfc().collect::<String>().into_bytes(),
            Err(_) => line.to_vec(),
        };
        Secret(Zeroizing::new(plain))
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its text, where it is one.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are the same.
    pub fn is_same(&self, other: &Secret) -> bool {
        // Hashes, so that the time taken tells nothing of where they differ.
        blake3::hash(&self.0) == blake3::hash(&other.0)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_the_same_from_a_file_and_from_any_keyboard() {
        let typed = Secret::new("Zoë's key".as_bytes().to_vec());
        for same in ["Zoë's key\n", "Zoë's key\r\n", "Zoe\u{308}'s key"] {
            assert!(Secret::new(same.as_bytes().to_vec()).is_same(&typed), "{same:?}");
        }
        for other in ["Zoe's key", "Zoë's key ", "Zoë's key\n\n"] {
            assert!(!Secret::new(other.as_bytes().to_vec()).is_same(&typed), "{other:?}");
        }
        assert_eq!(format!("{typed:?}"), "Secret");
    }
}
