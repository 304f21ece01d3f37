//! A cipher that protects nothing, for the tests: a stream from BLAKE3 is laid over the bytes, and a keyed hash over place and bytes follows them.
//!
//! It stands where a real AEAD will stand. A whole repository that is sealed with it, and passes every suite, shows that all pieces go through the
//! sealer and that each is bound to its place.

use std::sync::Arc;

use crate::chunk::Hashing;

use super::seal::{Binding, Cipher, Sealer};

/// Its name in the settings.
pub(super) const NAME: &str = "toy-for-tests";
const MAC_BYTES: usize = 16;

struct Toy {
    stream: [u8; 32],
    mac: [u8; 32],
    ids: [u8; 32],
}

/// The sealer of the repository with this id: its keys come from nothing else.
pub(super) fn sealer(repository_id: &str) -> Sealer {
    let key = |purpose: &str| blake3::derive_key(purpose, repository_id.as_bytes());
    Sealer::keyed(Arc::new(Toy { stream: key("jellyvault toy stream"), mac: key("jellyvault toy mac"), ids: key("jellyvault toy ids") }))
}

/// The cipher of new repositories, where a test run asks for the toy.
pub(super) fn of_new_repositories() -> Option<&'static str> {
    std::env::var_os("JELLYVAULT_TEST_CIPHER").is_some_and(|name| name == "toy").then_some(NAME)
}

fn place(hasher: &mut blake3::Hasher, binding: Binding<'_>) {
    hasher.update(binding.kind.as_bytes()).update(&[0]).update(&(binding.id.len() as u64).to_le_bytes());
    hasher.update(binding.id).update(&binding.position.to_le_bytes());
}

impl Toy {
    fn lay_over(&self, binding: Binding<'_>, bytes: &mut [u8]) {
        let mut hasher = blake3::Hasher::new_keyed(&self.stream);
        place(&mut hasher, binding);
        let (mut reader, mut block) = (hasher.finalize_xof(), [0; 4096]);
        for part in bytes.chunks_mut(block.len()) {
            reader.fill(&mut block);
            part.iter_mut().zip(&block).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    fn mac(&self, binding: Binding<'_>, sealed: &[u8]) -> [u8; MAC_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.mac);
        place(&mut hasher, binding);
        let mut mac = [0; MAC_BYTES];
        hasher.update(sealed).finalize_xof().fill(&mut mac);
        mac
    }
}

impl Cipher for Toy {
    fn code(&self) -> u8 {
        0x7f
    }

    fn hashing(&self) -> Hashing {
        Hashing { key: Some(self.ids) }
    }

    fn seal(&self, binding: Binding<'_>, mut plain: Vec<u8>) -> Vec<u8> {
        self.lay_over(binding, &mut plain);
        let mac = self.mac(binding, &plain);
        plain.extend_from_slice(&mac);
        plain
    }

    fn open(&self, binding: Binding<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (sealed, mac) = sealed.split_last_chunk::<MAC_BYTES>()?;
        let mut plain = (self.mac(binding, sealed) == *mac).then(|| sealed.to_vec())?;
        self.lay_over(binding, &mut plain);
        Some(plain)
    }

    fn tag(&self, settings: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.mac, settings).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_opens_in_its_own_place_with_its_own_key_and_unchanged() {
        let (ours, other) = (sealer("one"), sealer("another"));
        let at = |kind, id, position| Binding { kind, id, position };
        let sealed = ours.seal(at("extent", b"pack", 3), b"plain bytes".to_vec());
        assert_ne!(sealed, b"plain bytes");
        assert_eq!(ours.open(at("extent", b"pack", 3), sealed.clone()).as_deref(), Some(b"plain bytes".as_slice()));
        for wrong in [at("head", b"pack", 3), at("extent", b"pack", 4), at("extent", b"pacl", 3)] {
            assert_eq!(ours.open(wrong, sealed.clone()), None, "{wrong:?}");
        }
        assert_eq!(other.open(at("extent", b"pack", 3), sealed.clone()), None);
        for byte in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[byte] ^= 1;
            assert_eq!(ours.open(at("extent", b"pack", 3), changed), None, "byte {byte}");
            assert_eq!(ours.open(at("extent", b"pack", 3), sealed[..byte].to_vec()), None, "cut at {byte}");
        }
    }
}
