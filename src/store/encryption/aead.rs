//! Sealing one piece: padded, encrypted and authenticated together with the place that it is for
//! (`docs/format.md`, "Encryption").
//!
//! No nonce is random. A pack has a key of its own, derived from its random id, and its pieces are
//! numbered. A record has a key of its own, derived from its name and from a keyed hash of its
//! bytes. Behind each piece follows what commits it to its key: these ciphers alone do not.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::chunk::Hashing;

use super::super::seal::{Binding, Cipher, Sealer};
use super::algorithm::{Algorithm, TAG_BYTES, decrypt, encrypt};
use super::keys::Keys;

const COMMITMENT_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// What a padding begins with; zeros follow.
const PADDING: u8 = 0x80;

/// What seals and opens the pieces of a repository.
pub fn sealer(keys: &Keys) -> Sealer {
    Sealer::keyed(Arc::new(Aead::new(keys)))
}

/// The keys of one repository, each for its purpose.
struct Aead {
    algorithm: Algorithm,
    repository: String,
    packs: Zeroizing<[u8; 32]>,
    records: Zeroizing<[u8; 32]>,
    salts: Zeroizing<[u8; 32]>,
    settings: Zeroizing<[u8; 32]>,
    names: Zeroizing<[u8; 32]>,
    cuts: Zeroizing<[u8; 32]>,
}

/// What is needed for one piece.
struct Piece {
    key: Zeroizing<[u8; 32]>,
    commitment: [u8; COMMITMENT_BYTES],
    nonce: [u8; 12],
    /// What the piece is authenticated with besides itself.
    place: Vec<u8>,
}

impl Aead {
    fn new(keys: &Keys) -> Aead {
        Aead {
            algorithm: keys.algorithm,
            repository: keys.repository.to_ascii_lowercase(),
            packs: keys.derive("packs"),
            records: keys.derive("records"),
            salts: keys.derive("salts of records"),
            settings: keys.derive("settings"),
            names: keys.derive("names of content"),
            cuts: keys.derive("cuts of files"),
        }
    }

    /// The key of a pack's piece, by its number; that of a record by its salt.
    fn piece(&self, binding: Binding<'_>, salt: Option<&[u8; SALT_BYTES]>) -> Piece {
        let mut hasher =
            blake3::Hasher::new_keyed(if salt.is_some() { &self.records } else { &self.packs });
        if let Some(salt) = salt {
            hasher.update(binding.kind.as_bytes()).update(&[0]).update(salt);
        }
        hasher.update(binding.id);
        let (mut output, mut key, mut commitment) =
            (hasher.finalize_xof(), Zeroizing::new([0; 32]), [0; COMMITMENT_BYTES]);
        output.fill(&mut *key);
        output.fill(&mut commitment);
        let mut nonce = [0; 12];
        let (kind, number) = nonce.split_at_mut(8);
        kind.iter_mut().zip(binding.kind.bytes()).for_each(|(to, byte)| *to = byte);
        number.copy_from_slice(&binding.position.to_le_bytes());
        Piece { key, commitment, nonce, place: self.place(binding) }
    }

    fn place(&self, binding: Binding<'_>) -> Vec<u8> {
        let mut place = b"jellyvault 2".to_vec();
        place.push(self.algorithm.code());
        for part in [self.repository.as_bytes(), binding.kind.as_bytes(), binding.id] {
            place.extend_from_slice(&(part.len() as u32).to_le_bytes());
            place.extend_from_slice(part);
        }
        place.extend_from_slice(&binding.position.to_le_bytes());
        place
    }

    /// The same bytes in the same place have the same salt, other bytes another: no key is used for
    /// two texts.
    fn salt(&self, binding: Binding<'_>, plain: &[u8]) -> [u8; SALT_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.salts);
        hasher.update(&self.place(binding)).update(plain);
        let mut salt = [0; SALT_BYTES];
        hasher.finalize_xof().fill(&mut salt);
        salt
    }
}

impl Cipher for Aead {
    fn code(&self) -> u8 {
        self.algorithm.code()
    }

    fn hashing(&self) -> Hashing {
        let [a, b, c, d, e, f, g, h, ..] = *self.cuts;
        // Zero would be no seed at all.
        Hashing {
            key: Some(*self.names),
            cut_seed: u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1),
        }
    }

    fn seal(&self, binding: Binding<'_>, plain: Vec<u8>) -> Vec<u8> {
        let salt = is_record(binding).then(|| self.salt(binding, &plain));
        let piece = self.piece(binding, salt.as_ref());
        let mut out = plain;
        let padded = padded_len(binding.kind, out.len());
        out.reserve_exact(padded - out.len() + TAG_BYTES + COMMITMENT_BYTES + SALT_BYTES);
        out.push(PADDING);
        out.resize(padded, 0);
        // It fails only for more than 64 GB at once, and pieces are far smaller. What could not be
        // encrypted is not stored: nothing opens again.
        let Ok(tag) = encrypt(self.algorithm, &piece.key, &piece.nonce, &piece.place, &mut out)
        else {
            return Vec::new();
        };
        out.extend_from_slice(&tag);
        out.extend_from_slice(&piece.commitment);
        out.extend_from_slice(salt.as_ref().map_or(&[], |salt| salt.as_slice()));
        out
    }

    fn open(&self, binding: Binding<'_>, sealed: &[u8]) -> Option<Vec<u8>> {
        let (sealed, salt) = if is_record(binding) {
            let (before, salt) = sealed.split_last_chunk::<SALT_BYTES>()?;
            (before, Some(salt))
        } else {
            (sealed, None)
        };
        let (sealed, commitment) = sealed.split_last_chunk::<COMMITMENT_BYTES>()?;
        let (sealed, tag) = sealed.split_last_chunk::<TAG_BYTES>()?;
        let piece = self.piece(binding, salt);
        if piece.commitment != *commitment {
            return None;
        }
        let mut plain = sealed.to_vec();
        decrypt(self.algorithm, &piece.key, &piece.nonce, &piece.place, &mut plain, tag)?;
        let end = plain
            .iter()
            .rposition(|byte| *byte != 0)
            .filter(|end| plain.get(*end) == Some(&PADDING))?;
        plain.truncate(end);
        Some(plain)
    }

    fn tag(&self, settings: &[u8]) -> [u8; 32] {
        *blake3::keyed_hash(&self.settings, settings).as_bytes()
    }
}

/// Whether bytes, as a piece of this kind, come back when they are sealed, and are refused when
/// they are not: for a fuzzer.
#[doc(hidden)]
pub fn comes_back_for_tests(algorithm: Algorithm, kind: u8, bytes: &[u8]) -> bool {
    const KINDS: [&str; 5] = ["extent", "head", "trailer", "snapshot", "link"];
    let keys = Keys { algorithm, repository: "00".repeat(16), master: Zeroizing::new([9; 32]) };
    let (aead, id) = (Aead::new(&keys), [7; 16]);
    let binding = Binding {
        kind: KINDS.get(usize::from(kind) % KINDS.len()).unwrap_or(&"extent"),
        id: &id,
        position: u32::from(kind),
    };
    let sealed = aead.seal(binding, bytes.to_vec());
    aead.open(binding, bytes).is_none() && aead.open(binding, &sealed).as_deref() == Some(bytes)
}

/// Whether a piece stands in a file of its own, which may be written again with other bytes; a
/// pack's piece never is.
fn is_record(binding: Binding<'_>) -> bool {
    matches!(binding.kind, "snapshot" | "link")
}

/// The length that a piece is padded to, in bytes: so that sizes say little. Steps of between a
/// sixty-fourth and a thirty-second of its size, at least 256 bytes.
fn padded_len(kind: &str, len: usize) -> usize {
    const STEP_MIN: usize = 256;
    const STEPS: usize = 32;
    let with_mark = len + 1;
    let step = if kind == "head" {
        STEP_MIN
    } else {
        (with_mark.next_power_of_two() / 2 / STEPS).max(STEP_MIN)
    };
    with_mark.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aead(algorithm: Algorithm, repository: &str) -> Aead {
        Aead::new(&Keys {
            algorithm,
            repository: repository.to_owned(),
            master: Zeroizing::new([5; 32]),
        })
    }

    #[test]
    fn a_piece_opens_in_its_own_place_with_its_own_key_and_unchanged() {
        let at = |kind, id, position| Binding { kind, id, position };
        for algorithm in Algorithm::ALL {
            let (ours, other) = (aead(algorithm, "01"), aead(algorithm, "02"));
            for kind in ["extent", "head", "trailer", "snapshot", "link"] {
                let place = at(kind, b"0123456789abcdef", 3);
                for plain in
                    [b"".to_vec(), b"plain bytes".to_vec(), vec![0; 700], vec![PADDING; 255]]
                {
                    let sealed = ours.seal(place, plain.clone());
                    assert_eq!(ours.open(place, &sealed), Some(plain.clone()));
                    assert_eq!(
                        ours.seal(place, plain.clone()),
                        sealed,
                        "the same bytes in the same place"
                    );
                    assert_eq!(other.open(place, &sealed), None);
                    for wrong in [
                        at("other", place.id, 3),
                        at(kind, place.id, 4),
                        at(kind, b"1123456789abcdef", 3),
                    ] {
                        assert_eq!(ours.open(wrong, &sealed), None, "{wrong:?}");
                    }
                }
                let sealed = ours.seal(place, b"plain bytes".to_vec());
                for byte in 0..sealed.len() {
                    let mut changed = sealed.clone();
                    changed[byte] ^= 1;
                    assert_eq!(ours.open(place, &changed), None, "byte {byte}");
                    assert_eq!(ours.open(place, &sealed[..byte]), None, "cut at {byte}");
                }
            }
        }
        let place = at("extent", b"0123456789abcdef", 0);
        let sealed = aead(Algorithm::ChaCha20Poly1305, "01").seal(place, b"x".to_vec());
        assert_eq!(aead(Algorithm::Aes256Gcm, "01").open(place, &sealed), None);
    }

    #[test]
    fn a_record_that_is_written_again_has_another_key() {
        let ours = aead(Algorithm::ChaCha20Poly1305, "01");
        let place = Binding { kind: "link", id: b"7", position: 0 };
        let (one, other) = (ours.seal(place, vec![0; 64]), ours.seal(place, vec![1; 64]));
        let mask: Vec<u8> = one.iter().zip(&other).take(64).map(|(a, b)| a ^ b).collect();
        assert_ne!(mask, vec![1; 64], "the stream of one would open the other");
    }

    #[test]
    fn sizes_come_in_few_steps_and_cost_little() {
        for len in [0, 1, 255, 256, 5_000, 190_000, 1 << 20, 4 << 20] {
            let padded = padded_len("extent", len);
            assert!(padded > len && padded <= len + len / 16 + 256, "{len} {padded}");
        }
        let steps: std::collections::BTreeSet<_> =
            (150_000..200_000).map(|len| padded_len("extent", len)).collect();
        assert!(steps.len() <= 14, "{} sizes of posters can be told apart", steps.len());
    }
}
