//! `repo.toml`: format version, id, cut sizes, cipher. Small, plain text, written once.

use serde::{Deserialize, Serialize};

use crate::chunk::{Class, CutParams};

use super::Error;
use super::encryption::{Algorithm, Keys};
use super::seal::{NO_CIPHER, Sealer};

/// The newest format that this program writes and reads.
pub const FORMAT: u32 = 2;

/// Cut sizes by class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cuts {
    /// Files that are compressed already.
    pub compressed: CutParams,
    /// SQLite files.
    pub sqlite: CutParams,
    /// Everything else.
    pub other: CutParams,
}

impl Cuts {
    /// The sizes for a class.
    pub fn for_class(&self, class: Class) -> &CutParams {
        match class {
            Class::Compressed => &self.compressed,
            Class::Sqlite => &self.sqlite,
            Class::Text | Class::Other => &self.other,
        }
    }
}

/// What `repo.toml` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepoConfig {
    /// Format version of the whole repository.
    pub format: u32,
    /// 32 hex digits, drawn when it was made.
    pub id: String,
    /// How its bytes are sealed: `none`, or the name of a cipher.
    pub cipher: String,
    /// A pack is closed once it holds this many bytes.
    pub pack_bytes: u64,
    /// zstd level.
    pub compression_level: i32,
    /// Recovery blocks beside each pack, in thousandths of its size; none where it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub parity_permille: u32,
    /// What proves that the rest was written by somebody with the key, in hex; nothing in a
    /// repository that is not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Where large files are cut.
    pub cut: Cuts,
}

fn cipher_of_new_repositories() -> &'static str {
    #[cfg(feature = "testing")]
    if let Some(algorithm) = super::encryption::for_tests::cipher_of_new_repositories() {
        return algorithm.name();
    }
    NO_CIPHER
}

/// The tag that a file of settings must have: over its text as it stands, without the line of its
/// checksum and that of the tag.
fn proof(text: &str, sealer: &Sealer) -> Option<String> {
    let proved: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(CHECKSUM) && !line.starts_with(TAG))
        .collect();
    sealer.tag(proved.as_bytes()).map(|tag| blake3::Hash::from_bytes(tag).to_hex().to_string())
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// The settings of a repository.
pub(super) const CONFIG_NAME: &str = "repo.toml";
/// The same once more: where the one is damaged the other is used, until `repair` writes both anew.
pub(super) const CONFIG_COPY_NAME: &str = "repo.copy.toml";

/// The first line of a repository that was made before there was a checksum.
const OLD_HEADER: &str =
    "# A jellyvault repository. Written once; changing it makes the repository unreadable.\n";
/// The first line: the hash of all that follows it. Older repositories have none.
const CHECKSUM: &str = "checksum = \"";
const TAG: &str = "tag = \"";

impl RepoConfig {
    /// A new repository's settings.
    pub fn new() -> Result<RepoConfig, Error> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|_| Error::Random)?;
        Ok(RepoConfig {
            format: FORMAT,
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            cipher: cipher_of_new_repositories().to_owned(),
            pack_bytes: 32 << 20,
            compression_level: 1,
            parity_permille: 0,
            tag: None,
            cut: Cuts {
                compressed: CutParams::default_for(Class::Compressed),
                sqlite: CutParams::default_for(Class::Sqlite),
                other: CutParams::default_for(Class::Other),
            },
        })
    }

    /// What names of groups of cells are salted with: the bytes of the repository's id, which is 32
    /// hex digits wherever it was read or made.
    pub fn salt(&self) -> [u8; 16] {
        u128::from_str_radix(&self.id, 16).unwrap_or_default().to_be_bytes()
    }

    /// The file's bytes, with what proves that these keys wrote them.
    ///
    /// # Errors
    /// [`Error::Config`] where they cannot be written as text.
    pub(super) fn encode(&self, sealer: &Sealer) -> Result<Vec<u8>, Error> {
        let tag = proof(&RepoConfig { tag: None, ..self.clone() }.text()?, sealer);
        let text = RepoConfig { tag, ..self.clone() }.text()?;
        Ok(format!("{CHECKSUM}{}\"\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes())
    }

    fn text(&self) -> Result<String, Error> {
        let body = toml::to_string(self).map_err(|e| Error::Config { what: e.to_string() })?;
        Ok(format!(
            "# A jellyvault repository. Changing this file makes the repository unreadable.\n{body}"
        ))
    }

    /// The sealer with the keys of this repository, whoever wrote the settings.
    ///
    /// # Errors
    /// [`Error::Cipher`] where the cipher is not known, [`Error::Locked`] where there are no keys,
    /// [`Error::Config`] where they are not this repository's.
    pub(super) fn sealer(&self, keys: Option<&Keys>) -> Result<Sealer, Error> {
        if !self.is_encrypted() {
            return Ok(Sealer::plain());
        }
        let algorithm = Algorithm::named(&self.cipher)
            .ok_or_else(|| Error::Cipher { cipher: self.cipher.clone() })?;
        #[cfg(feature = "testing")]
        if let Some(keys) =
            super::encryption::for_tests::keys(algorithm, &self.id).filter(|_| keys.is_none())
        {
            return Ok(super::encryption::sealer(&keys));
        }
        let keys = keys.ok_or(Error::Locked)?;
        if !keys.repository().eq_ignore_ascii_case(&self.id) || keys.algorithm() != algorithm {
            return Err(Error::Config {
                what: "its id or cipher is not that of the repository's keys".to_owned(),
            });
        }
        Ok(super::encryption::sealer(keys))
    }

    /// Whether somebody with the keys wrote these bytes, of which these settings were read.
    pub(super) fn is_proved(&self, bytes: &[u8], sealer: &Sealer) -> Result<(), Error> {
        if self.tag == proof(&String::from_utf8_lossy(bytes), sealer) {
            return Ok(());
        }
        Err(Error::Config { what: "it was not written with the repository's key".to_owned() })
    }

    /// Whether the repository is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.cipher != NO_CIPHER
    }

    /// The format that a file names, whatever else is wrong with it.
    pub(super) fn named_format(bytes: &[u8]) -> Option<u32> {
        let text = String::from_utf8_lossy(bytes);
        text.lines().find_map(|line| {
            line.strip_prefix("format")?.trim_start().strip_prefix('=')?.trim().parse().ok()
        })
    }

    /// Reads the file's bytes; refuses a later format before it looks at anything else.
    pub fn decode(bytes: &[u8]) -> Result<RepoConfig, Error> {
        #[derive(Deserialize)]
        struct JustFormat {
            format: u32,
        }
        let damaged = |e: &dyn std::fmt::Display| Error::Config {
            what: e.to_string().lines().next().unwrap_or_default().to_owned(),
        };
        let text = std::str::from_utf8(bytes).map_err(|e| damaged(&e))?;
        let mut is_old = true;
        let text = match text.strip_prefix(CHECKSUM) {
            None => {
                is_old = text.starts_with(OLD_HEADER);
                text
            }
            Some(rest) => {
                let (hash, text) = rest
                    .split_once("\"\n")
                    .ok_or_else(|| damaged(&"its first line is cut short"))?;
                if blake3::hash(text.as_bytes()).to_hex().as_str() != hash {
                    return Err(damaged(&"it does not have its checksum"));
                }
                text
            }
        };
        let first: JustFormat = toml::from_str(text).map_err(|e| damaged(&e.message()))?;
        if first.format > FORMAT {
            return Err(Error::Newer { found: first.format, known: FORMAT });
        }
        if !is_old {
            return Err(damaged(
                &"its first line is neither a checksum nor what older programs wrote",
            ));
        }
        let config: RepoConfig = toml::from_str(text).map_err(|e| damaged(&e.message()))?;
        let cuts = [config.cut.compressed, config.cut.sqlite, config.cut.other];
        let sane = (1..=FORMAT).contains(&config.format)
            && config.id.len() == 32
            && config.id.bytes().all(|b| b.is_ascii_hexdigit())
            && (1 << 16..=1 << 30).contains(&config.pack_bytes)
            && (-7..=22).contains(&config.compression_level)
            && config.parity_permille <= 1000
            && cuts.iter().all(CutParams::are_valid);
        if sane {
            Ok(config)
        } else {
            Err(Error::Config { what: "a value is outside what it may be".to_owned() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_format_is_refused_by_its_number_and_never_repaired() {
        let bytes = b"format = 9\nsomething_new = true\n";
        assert!(matches!(RepoConfig::decode(bytes), Err(Error::Newer { found: 9, known: FORMAT })));
    }

    #[test]
    fn what_is_written_is_read_and_impossible_sizes_are_not() {
        let config = RepoConfig::new().unwrap();
        let bytes = config.encode(&Sealer::plain()).unwrap();
        assert_eq!(RepoConfig::decode(&bytes).unwrap(), config);
        let text = String::from_utf8(bytes).unwrap().replace("max = 4194304", "max = 4194305");
        assert!(matches!(RepoConfig::decode(text.as_bytes()), Err(Error::Config { .. })));
        let (_, without_checksum) = text.split_once('\n').unwrap();
        assert!(matches!(
            RepoConfig::decode(without_checksum.as_bytes()),
            Err(Error::Config { .. })
        ));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found_and_so_is_a_cut() {
        let bytes = RepoConfig { parity_permille: 30, ..RepoConfig::new().unwrap() }
            .encode(&Sealer::plain())
            .unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(RepoConfig::decode(&damaged).is_err(), "bit {bit} of byte {at}");
            }
            assert!(RepoConfig::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn settings_of_a_later_layout_are_told_as_such_by_both_files() {
        use crate::backend::{MemoryBackend, write_new};
        let later = b"sum = \"blake4:00\"\nformat = 7\nsomething = 1\n";
        let of_ours = RepoConfig::new().unwrap().encode(&Sealer::plain()).unwrap();
        for (copy, is_newer) in
            [(later.as_slice(), true), (b"damaged".as_slice(), false), (of_ours.as_slice(), false)]
        {
            let backend = MemoryBackend::default();
            write_new(&backend, "repo.toml", b"sum = \"blake4:00\"\nsomething else\nformat = 7\n")
                .unwrap();
            write_new(&backend, "repo.copy.toml", copy).unwrap();
            let opened = super::super::Repository::open_on(Box::new(backend));
            assert_eq!(matches!(&opened, Err(Error::Newer { found: 7, .. })), is_newer);
            assert_eq!(opened.is_ok(), copy == of_ours);
        }
    }
}
