//! When was each pack read, and found whole? A small file that a check leaves for the next one;
//! where it is lost, all counts as unread.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::backend::{CacheFile, open_to_read};
use crate::store::Repository;

const MAGIC: &[u8; 8] = b"JVREAD\x01\x00";
const ROW_BYTES: usize = 24;
const HASH_BYTES: usize = 32;
/// Longer is none of ours: that many packs no repository has.
const BYTES_MAX: u64 = 256 << 20;

/// The log.
#[derive(Debug, Default)]
pub struct ReadLog {
    path: Option<PathBuf>,
    /// Seconds since 1970, by pack.
    read: HashMap<[u8; 16], u64>,
}

/// Now, in seconds since 1970.
pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?.take(BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl ReadLog {
    /// Reads what earlier checks left.
    pub fn open(repository: &Repository) -> ReadLog {
        let path = repository.read_log_file();
        let read = path
            .as_ref()
            .and_then(|path| read(path).ok())
            .and_then(|bytes| decode(&bytes))
            .unwrap_or_default();
        ReadLog { path, read }
    }

    /// When a pack was read last; 0 where that is not known.
    pub fn last(&self, pack: &[u8; 16]) -> u64 {
        self.read.get(pack).copied().unwrap_or_default()
    }

    /// Notes that a pack was read just now and is whole.
    pub fn note(&mut self, pack: [u8; 16]) {
        self.read.insert(pack, now());
    }

    /// Leaves it for the next check, with the packs that are there.
    pub fn save(mut self, packs: impl Fn(&[u8; 16]) -> bool) -> std::io::Result<()> {
        self.read.retain(|pack, _| packs(pack));
        let Some(path) = self.path else { return Ok(()) };
        let mut file = CacheFile::begin(&path)?;
        file.append(&encode(&self.read))?;
        file.finish()
    }
}

fn encode(read: &HashMap<[u8; 16], u64>) -> Vec<u8> {
    let mut rows: Vec<_> = read.iter().collect();
    rows.sort_unstable();
    let mut out = MAGIC.to_vec();
    for (pack, seconds) in rows {
        out.extend_from_slice(pack);
        out.extend_from_slice(&seconds.to_le_bytes());
    }
    let hash = blake3::hash(&out);
    out.extend_from_slice(hash.as_bytes());
    out
}

fn decode(bytes: &[u8]) -> Option<HashMap<[u8; 16], u64>> {
    let (body, hash) = bytes.split_at_checked(bytes.len().checked_sub(HASH_BYTES)?)?;
    if blake3::hash(body).as_bytes() != hash {
        return None;
    }
    let rows = body.strip_prefix(MAGIC)?.chunks_exact(ROW_BYTES);
    Some(
        rows.filter_map(|row| Some((*row.first_chunk()?, u64::from_le_bytes(*row.last_chunk()?))))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_golden_bytes_and_a_damaged_one_is_none() {
        let read = HashMap::from([([1; 16], 1_790_000_000), ([2; 16], 7)]);
        let bytes = encode(&read);
        assert_eq!(bytes.get(..8), Some(b"JVREAD\x01\x00".as_slice()));
        assert_eq!(
            bytes.get(8..32),
            Some([[1; 16].as_slice(), &1_790_000_000u64.to_le_bytes()].concat().as_slice())
        );
        assert_eq!(bytes.len(), 8 + 2 * 24 + 32);
        assert_eq!(decode(&bytes), Some(read));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(decode(&damaged), None);
            assert_eq!(decode(bytes.get(..at).unwrap_or_default()), None);
        }
    }
}
