//! A slot: the master key, sealed so that one passphrase or recovery key opens it. A small text
//! file that tells nothing but its label.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::Error;
use super::algorithm::Algorithm;
use super::algorithm::{decrypt, encrypt};
use super::kdf::Kdf;
use super::keys::Keys;
use super::recovery::RecoveryKey;
use super::secret::Secret;

/// The layout of slots that this program writes.
const VERSION: u32 = 1;
/// The first line: the hash of all that follows it.
const CHECKSUM: &str = "checksum = \"";
/// What a slot is sealed with, whatever the repository's own cipher is.
const SLOT_CIPHER: Algorithm = Algorithm::ChaCha20Poly1305;
const SEALED_BYTES: usize = 32 + 16;
const LABEL_BYTES_MAX: usize = 200;

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SlotKind {
    /// A passphrase that somebody remembers or a file holds.
    Passphrase,
    /// A recovery key that was printed once.
    RecoveryKey,
    /// A security key (FIDO2 with hmac-secret): reserved.
    Fido2,
    /// A key pair (X25519): reserved.
    X25519,
}

impl std::fmt::Display for SlotKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            SlotKind::Passphrase => "passphrase",
            SlotKind::RecoveryKey => "recovery key",
            SlotKind::Fido2 => "security key",
            SlotKind::X25519 => "key pair",
        })
    }
}

/// One slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    version: u32,
    /// The id of the repository that it is of.
    pub repository: String,
    /// The repository's cipher.
    pub cipher: String,
    /// What opens it.
    pub kind: SlotKind,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    pub created: jiff::Timestamp,
    /// Random bytes, in hex.
    salt: String,
    /// The master key, sealed, in hex.
    sealed: String,
    /// What commits it to the one key that opens it, in hex.
    commitment: String,
    /// How a passphrase becomes a key; a recovery key is one already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdf: Option<Kdf>,
}

/// What opens a new slot.
pub(super) enum Opener<'a> {
    /// A passphrase, with the work that one guess shall be.
    Passphrase(&'a Secret, Kdf),
    /// A recovery key.
    Recovery(&'a RecoveryKey),
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    let wrong = || Error::Key { what: "a value in it is not what it must be".to_owned() };
    data_encoding::HEXLOWER
        .decode(text.as_bytes())
        .map_err(|_| wrong())?
        .try_into()
        .map_err(|_| wrong())
}

impl Slot {
    /// A new slot with these keys in it.
    pub(super) fn seal(keys: &Keys, opener: &Opener<'_>, label: &str) -> Result<Slot, Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|_| Error::Random)?;
        let (kind, kdf) = match opener {
            Opener::Passphrase(_, kdf) => (SlotKind::Passphrase, Some(*kdf)),
            Opener::Recovery(_) => (SlotKind::RecoveryKey, None),
        };
        let root = match opener {
            Opener::Passphrase(secret, kdf) => kdf.derive(secret, &salt)?,
            Opener::Recovery(key) => Zeroizing::new(*key.bytes()),
        };
        let mut slot = Slot {
            version: VERSION,
            repository: keys.repository.clone(),
            cipher: keys.algorithm.name().to_owned(),
            kind,
            label: label.to_owned(),
            created: jiff::Timestamp::from_second(jiff::Timestamp::now().as_second())
                .unwrap_or_default(),
            salt: hex(&salt),
            sealed: String::new(),
            commitment: String::new(),
            kdf,
        };
        let (key, commitment) = wrapping_key(&root, &salt);
        let mut master = Zeroizing::new(keys.master.to_vec());
        let tag = encrypt(SLOT_CIPHER, &key, &[0; 12], &slot.place(), &mut master)
            .map_err(|_| Error::Key { what: "the master key could not be sealed".to_owned() })?;
        slot.sealed = hex(&[master.as_slice(), &tag].concat());
        slot.commitment = hex(&commitment);
        Ok(slot)
    }

    /// The keys in it; nothing where this does not open it.
    ///
    /// # Errors
    /// [`Error::Key`] where it asks for more work than is bearable, or holds values that no slot
    /// has.
    pub fn open(&self, secret: &Secret) -> Result<Option<Keys>, Error> {
        let salt = unhex::<16>(&self.salt)?;
        let root = match (self.kind, self.kdf) {
            (SlotKind::Passphrase, Some(kdf)) if kdf.is_bearable() => kdf.derive(secret, &salt)?,
            (SlotKind::Passphrase, _) => {
                return Err(Error::Key {
                    what: "it asks for more memory or time than a key may, so it was not tried"
                        .to_owned(),
                });
            }
            (SlotKind::RecoveryKey, None) => match RecoveryKey::parse(secret) {
                Ok(Some(key)) => Zeroizing::new(*key.bytes()),
                Ok(None) | Err(_) => return Ok(None),
            },
            _ => return Ok(None),
        };
        let (key, commitment) = wrapping_key(&root, &salt);
        if commitment != unhex::<32>(&self.commitment)? {
            return Ok(None);
        }
        let sealed = unhex::<SEALED_BYTES>(&self.sealed)?;
        let (Some((master, _)), Some((_, tag))) =
            (sealed.split_first_chunk::<32>(), sealed.split_last_chunk::<16>())
        else {
            return Ok(None);
        };
        let mut master = Zeroizing::new(*master);
        let opened = decrypt(SLOT_CIPHER, &key, &[0; 12], &self.place(), &mut *master, tag);
        let algorithm = Algorithm::named(&self.cipher)
            .ok_or_else(|| Error::Cipher { cipher: self.cipher.clone() })?;
        Ok(opened.map(|()| Keys { algorithm, repository: self.repository.clone(), master }))
    }

    /// All that stands in it in the clear: none of it can be changed without the key.
    fn place(&self) -> Vec<u8> {
        let kdf = self.kdf.map_or([0; 3], |kdf| [kdf.memory_kib, kdf.passes, kdf.lanes]);
        let kind = format!("{:?}", self.kind);
        let created = self.created.to_string();
        let mut place = b"jellyvault key slot".to_vec();
        for part in [self.repository.as_str(), &self.cipher, &kind, &self.label, &created] {
            place.extend_from_slice(&(part.len() as u32).to_le_bytes());
            place.extend_from_slice(part.as_bytes());
        }
        kdf.iter().for_each(|number| place.extend_from_slice(&number.to_le_bytes()));
        place
    }

    /// The file's bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let body = toml::to_string(self).map_err(|error| Error::Key { what: error.to_string() })?;
        Ok(framed(&format!(
            "# A key of a jellyvault repository. Without a key nothing in the repository can be read.\n{body}"
        )))
    }

    /// Reads a file's bytes; what is wrong with them otherwise.
    ///
    /// # Errors
    /// [`Error::Key`] with what is wrong, [`Error::Newer`] where a later program wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Slot, Error> {
        #[derive(Deserialize)]
        struct JustVersion {
            version: u32,
        }
        let wrong = |what: &str| Error::Key { what: what.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not a text"))?;
        let (hash, text) = text
            .strip_prefix(CHECKSUM)
            .and_then(|rest| rest.split_once("\"\n"))
            .ok_or_else(|| wrong("it does not begin with a checksum"))?;
        if blake3::hash(text.as_bytes()).to_hex().as_str() != hash {
            return Err(wrong("it does not have its checksum"));
        }
        let JustVersion { version } = toml::from_str(text).map_err(|_| wrong("it is not a key"))?;
        if version > VERSION {
            return Err(Error::Newer { found: version, known: VERSION });
        }
        let slot: Slot = toml::from_str(text).map_err(|error| wrong(error.message()))?;
        let is_label =
            slot.label.len() <= LABEL_BYTES_MAX && !slot.label.chars().any(char::is_control);
        if is_label { Ok(slot) } else { Err(wrong("its label is none")) }
    }

    /// Whether a text can be a label.
    ///
    /// # Errors
    /// [`Error::Key`] where it cannot.
    pub fn check_label(label: &str) -> Result<(), Error> {
        if label.len() > LABEL_BYTES_MAX || label.chars().any(char::is_control) {
            return Err(Error::Key {
                what: format!("a key's label must be one line of at most {LABEL_BYTES_MAX} bytes"),
            });
        }
        Ok(())
    }
}

/// A text behind the line with its checksum.
fn framed(text: &str) -> Vec<u8> {
    format!("{CHECKSUM}{}\"\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes()
}

/// Any text as a slot whose checksum is right: lets a fuzzer reach what lies behind it.
#[doc(hidden)]
pub fn slot_file_for_tests(text: &str) -> Vec<u8> {
    framed(text)
}

/// What seals the master key in one slot, and what commits the slot to it.
fn wrapping_key(root: &[u8; 32], salt: &[u8; 16]) -> (Zeroizing<[u8; 32]>, [u8; 32]) {
    let mut hasher = blake3::Hasher::new_derive_key("jellyvault 2026-12-01 key slot");
    hasher.update(root).update(salt);
    let (mut output, mut key, mut commitment) =
        (hasher.finalize_xof(), Zeroizing::new([0; 32]), [0; 32]);
    output.fill(&mut *key);
    output.fill(&mut commitment);
    (key, commitment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Kdf = Kdf { memory_kib: 64, passes: 1, lanes: 1 };

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec())
    }

    #[test]
    fn a_slot_opens_with_its_passphrase_and_with_nothing_in_it_changed() {
        let keys = Keys::random(Algorithm::Aes256Gcm, "0123456789abcdef0123456789abcdef").unwrap();
        let slot = Slot::seal(&keys, &Opener::Passphrase(&secret("right"), FAST), "mine").unwrap();
        let slot = Slot::decode(&slot.encode().unwrap()).unwrap();
        let opened = slot.open(&secret("right")).unwrap().unwrap();
        assert_eq!(
            (&opened.master, opened.algorithm, &opened.repository),
            (&keys.master, keys.algorithm, &keys.repository)
        );
        assert!(slot.open(&secret("wrong")).unwrap().is_none());
        let changes: [fn(&mut Slot); 6] = [
            |slot| slot.repository.replace_range(0..1, "f"),
            |slot| slot.cipher = "chacha20-poly1305".to_owned(),
            |slot| slot.label.push('!'),
            |slot| slot.created += jiff::Span::new().hours(1),
            |slot| {
                slot.sealed
                    .replace_range(0..1, if slot.sealed.starts_with('0') { "1" } else { "0" })
            },
            |slot| slot.kdf = Some(Kdf { passes: 2, ..FAST }),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = slot.clone();
            change(&mut changed);
            assert!(changed.open(&secret("right")).unwrap().is_none(), "change {number}");
        }
        let greedy = Slot { kdf: Some(Kdf { memory_kib: u32::MAX, ..FAST }), ..slot };
        assert!(greedy.open(&secret("right")).is_err());
    }

    #[test]
    fn a_recovery_key_opens_its_own_slot_alone() {
        let keys =
            Keys::random(Algorithm::ChaCha20Poly1305, "0123456789abcdef0123456789abcdef").unwrap();
        let (ours, other) = (RecoveryKey::random().unwrap(), RecoveryKey::random().unwrap());
        let slot = Slot::seal(&keys, &Opener::Recovery(&ours), "").unwrap();
        assert_eq!(slot.open(&secret(&ours.text().unwrap())).unwrap().unwrap().master, keys.master);
        assert!(slot.open(&secret(&other.text().unwrap())).unwrap().is_none());
        assert!(slot.open(&secret("a passphrase")).unwrap().is_none());
    }

    #[test]
    fn a_damaged_slot_says_so() {
        let keys =
            Keys::random(Algorithm::ChaCha20Poly1305, "0123456789abcdef0123456789abcdef").unwrap();
        let bytes = Slot::seal(&keys, &Opener::Passphrase(&secret("x"), FAST), "mine")
            .unwrap()
            .encode()
            .unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(Slot::decode(&damaged).is_err(), "byte {at}");
        }
    }
}
