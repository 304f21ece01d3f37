//! The recovery key: 256 random bits as thirteen groups of four characters that can be written
//! down, and one group that finds slips of the pen.

use data_encoding::{Encoding, Specification};
use zeroize::{Zeroize, Zeroizing};

use super::super::Error;
use super::secret::Secret;

const KEY_BYTES: usize = 32;
/// Characters of the key, and of the group behind it.
const KEY_CHARS: usize = 52;
const CHECK_CHARS: usize = 4;
const GROUP_CHARS: usize = 4;

/// A recovery key.
#[derive(Clone)]
pub struct RecoveryKey(Zeroizing<[u8; KEY_BYTES]>);

/// Crockford's digits: none that is taken for another. Capitals and what people write for 0 and 1
/// are understood.
fn digits() -> Result<Encoding, Error> {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789abcdefghjkmnpqrstvwxyz");
    spec.translate.from.push_str("ABCDEFGHJKMNPQRSTVWXYZoOiIlL");
    spec.translate.to.push_str("abcdefghjkmnpqrstvwxyz001111");
    spec.ignore.push_str(" -\t\r\n");
    spec.check_trailing_bits = false;
    spec.encoding().map_err(|error| Error::Key { what: error.to_string() })
}

impl RecoveryKey {
    /// A new one.
    pub fn random() -> Result<RecoveryKey, Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(|_| Error::Random)?;
        Ok(RecoveryKey(key))
    }

    /// As it is written down.
    pub fn text(&self) -> Result<Zeroizing<String>, Error> {
        let digits = digits()?;
        let mut all = Zeroizing::new(digits.encode(&*self.0));
        all.push_str(&self.check_group(&digits));
        let mut out = Zeroizing::new(String::with_capacity(all.len() * 5 / 4));
        for (at, char) in all.chars().enumerate() {
            if at > 0 && at % GROUP_CHARS == 0 {
                out.push('-');
            }
            out.push(char.to_ascii_uppercase());
        }
        Ok(out)
    }

    /// The secret that opens its slot.
    pub(super) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Reads one; nothing where a text is none, an error where it was meant as one and is wrong.
    pub fn parse(secret: &Secret) -> Result<Option<RecoveryKey>, Error> {
        let Some(text) = secret.text() else { return Ok(None) };
        let chars: Zeroizing<String> =
            Zeroizing::new(text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect());
        if chars.chars().count() != KEY_CHARS + CHECK_CHARS || !chars.is_ascii() {
            return Ok(None);
        }
        let digits = digits()?;
        let (key, check) = chars.split_at(KEY_CHARS);
        let Ok(mut bytes) = digits.decode(key.as_bytes()) else { return Ok(None) };
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let is_whole = bytes.len() == KEY_BYTES;
        key.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
        bytes.zeroize();
        let found = RecoveryKey(key);
        let is_right = is_whole && plain_digits(check) == found.check_group(&digits);
        if is_right {
            Ok(Some(found))
        } else {
            Err(Error::Key {
                what:
                    "the recovery key has a typing mistake: its last group does not fit the others"
                        .to_owned(),
            })
        }
    }

    fn check_group(&self, digits: &Encoding) -> String {
        digits
            .encode(&blake3::derive_key(
                "jellyvault 2026-12-01 check group of a recovery key",
                &*self.0,
            ))
            .chars()
            .take(CHECK_CHARS)
            .collect()
    }
}

/// Digits as they are encoded: small, and with what people write for 0 and 1.
fn plain_digits(text: &str) -> String {
    let plain = |char: char| match char.to_ascii_lowercase() {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    };
    text.chars().map(plain).collect()
}

impl std::fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecoveryKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_as_people_write_it_and_slips_are_found() {
        let key = RecoveryKey(Zeroizing::new(std::array::from_fn(|at| at as u8)));
        let text = key.text().unwrap();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [4; 14]);
        let parse = |text: &str| RecoveryKey::parse(&Secret::new(text.as_bytes().to_vec()));
        for written in [
            text.to_string(),
            text.to_lowercase(),
            text.replace('-', " "),
            text.replace('-', ""),
            text.replace('0', "O").replace('1', "l"),
        ] {
            assert_eq!(parse(&written).unwrap().unwrap().bytes(), key.bytes(), "{written}");
        }
        for at in (0..text.len()).filter(|at| text.as_bytes()[*at] != b'-') {
            let mut wrong = text.to_string();
            let other = if text.as_bytes()[at] == b'7' { "8" } else { "7" };
            wrong.replace_range(at..=at, other);
            assert!(parse(&wrong).is_err(), "{wrong}");
        }
        for none in ["", "a passphrase", &text[..text.len() - 1], "correct horse battery staple"] {
            assert!(parse(none).unwrap().is_none(), "{none}");
        }
    }
}
