//! What who has no key can verify of an encrypted repository: that its packs are as they were
//! written.

use crate::backend::{Backend, Error as BackendError, Listed, Span};
use crate::limits::CONFIG_BYTES_MAX;

use super::Error;
use super::config::{CONFIG_COPY_NAME, CONFIG_NAME, RepoConfig};
use super::pack_layout::TrailerError;
use super::seal::Sealer;
use super::trailer::{clear_hash, read_trailer};

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 1 << 20;

/// Why a pack is not known to be as it was written.
pub enum PackFault {
    /// It is not.
    Damaged(String),
    /// It could not be read.
    Unread(BackendError),
}

impl From<TrailerError> for PackFault {
    fn from(error: TrailerError) -> PackFault {
        PackFault::Damaged(error.to_string())
    }
}

impl From<BackendError> for PackFault {
    fn from(error: BackendError) -> PackFault {
        match error {
            BackendError::Missing { .. }
            | BackendError::Short { .. }
            | BackendError::TooLarge { .. } => PackFault::Damaged(error.to_string()),
            error => PackFault::Unread(error),
        }
    }
}

/// Reads a pack whole, and holds it against the hash that it has in the clear. `read` is called
/// with the bytes that were read.
///
/// # Errors
/// What is wrong with it, or why it could not be read.
pub fn verify_pack(
    backend: &dyn Backend,
    file: &Listed,
    id: &[u8; 16],
    mut read: impl FnMut(u64),
) -> Result<(), PackFault> {
    let part = |offset, len| backend.read(&file.name, Span::At { offset, len });
    let (end, hash) =
        clear_hash(file.size_bytes, id, |offset, len| Ok::<_, PackFault>(part(offset, len)?))?;
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
    while at < end {
        let len = PIECE_BYTES.min(end - at);
        hasher.update(&part(at, len as usize)?);
        at += len;
        read(len);
    }
    if *hasher.finalize().as_bytes() == hash {
        Ok(())
    } else {
        Err(PackFault::Damaged(
            "its bytes do not have the hash that they had when it was written".to_owned(),
        ))
    }
}

/// The settings as they stand there.
pub struct ReadSettings {
    /// Those of a file that is whole.
    pub config: Option<RepoConfig>,
    /// Files that are not, with what is wrong.
    pub damaged: Vec<(&'static str, String)>,
}

/// What stands in the settings, and what is wrong with either file: without the key nobody can prove
/// them, but they have a checksum and must agree.
///
/// # Errors
/// [`Error::Backend`] where one could not be read.
pub fn settings_without_key(backend: &dyn Backend) -> Result<ReadSettings, Error> {
    let (mut whole, mut damaged) = (Vec::new(), Vec::new());
    for name in [CONFIG_NAME, CONFIG_COPY_NAME] {
        match backend.read(name, Span::Whole { limit: CONFIG_BYTES_MAX }) {
            Ok(bytes) => match RepoConfig::decode(&bytes) {
                Ok(config) => whole.push(config),
                Err(error) => damaged.push((name, error.to_string())),
            },
            Err(BackendError::Missing { .. }) => {
                damaged.push((name, format!("{name} is missing")));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if matches!(whole.as_slice(), [first, second] if first != second) {
        let what = format!("{CONFIG_COPY_NAME} says something else than {CONFIG_NAME}");
        damaged.push((CONFIG_COPY_NAME, what));
    }
    Ok(ReadSettings { config: whole.into_iter().next(), damaged })
}

/// Whether a pack is an encrypted one as it was written, and the repository's keys do not open it:
/// then the keys or the settings are wrong or away, and nothing that is in it is lost.
///
/// # Errors
/// [`Error::Backend`] where it could not be read.
pub fn is_sealed_otherwise(
    backend: &dyn Backend,
    sealer: &Sealer,
    file: &Listed,
    id: &[u8; 16],
) -> Result<bool, Error> {
    match read_trailer(backend, sealer, file, id) {
        Err(error) if error.is_damage() => {}
        Ok(_) => return Ok(false),
        Err(error) => return Err(error),
    }
    // The checksum of its table of contents is over the sealed bytes.
    let part = |offset, len| Ok(backend.read(&file.name, Span::At { offset, len })?);
    match clear_hash(file.size_bytes, id, part) {
        Ok(_) => Ok(true),
        Err(PackFault::Damaged(_)) => Ok(false),
        Err(PackFault::Unread(error)) => Err(error.into()),
    }
}
