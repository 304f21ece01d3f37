//! Names what a small file contains, the same in every snapshot: what was fetched under such a name
//! never changes.

use std::fmt;
use std::str::FromStr;

use crate::chunk::ChunkId;
use crate::manifest::{Content, Entry, Kind, Piece};
use crate::store::ChunkReader;

use super::{Error, Session};

/// Chunks of a file that still has a name.
const CHUNKS_MAX: usize = 8;
/// Hexadecimal digits of a chunk's id.
const ID_DIGITS: usize = 64;

/// The ids of a file's chunks. As text, they are joined by `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentKey(Vec<ChunkId>);

impl ContentKey {
    /// Of an entry: `None` for what is not a file, is empty, has holes, or has too many chunks.
    pub fn of(entry: &Entry) -> Option<ContentKey> {
        let Kind::File { content: Content::Pieces(pieces), .. } = &entry.kind else { return None };
        if !(1..=CHUNKS_MAX).contains(&pieces.len()) {
            return None;
        }
        let id = |piece: &Piece| match piece {
            Piece::Chunk(id) => Some(*id),
            Piece::Hole(_) => None,
        };
        pieces.iter().map(id).collect::<Option<_>>().map(ContentKey)
    }
}

impl fmt::Display for ContentKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&words.join("-"))
    }
}

impl FromStr for ContentKey {
    type Err = ();

    fn from_str(text: &str) -> Result<ContentKey, ()> {
        let id = |word: &str| {
            let is_whole = word.len() == ID_DIGITS;
            let bytes = data_encoding::HEXLOWER.decode(word.as_bytes()).ok();
            bytes.filter(|_| is_whole).and_then(|bytes| bytes.try_into().ok()).map(ChunkId)
        };
        let ids: Option<Vec<ChunkId>> = text.split('-').take(CHUNKS_MAX + 1).map(id).collect();
        ids.filter(|ids| ids.len() <= CHUNKS_MAX).map(ContentKey).ok_or(())
    }
}

impl Session {
    /// The bytes that a key names: `None` if the repository does not have all of them, or if they
    /// are more than `most`.
    ///
    /// # Errors
    /// Where a chunk cannot be read, or is damaged.
    pub fn read_content(&self, key: &ContentKey, most: usize) -> Result<Option<Vec<u8>>, Error> {
        let index = self.repository().index()?;
        let mut reader = ChunkReader::of(self.repository())?;
        let mut size = 0;
        for id in &key.0 {
            if !index.contains(id)? {
                return Ok(None);
            }
            size += u64::from(reader.len_of(id)?);
        }
        if size > most as u64 {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(size as usize);
        for id in &key.0 {
            bytes.extend_from_slice(&reader.read(id)?);
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn keys_are_read_back(ids in proptest::collection::vec(proptest::prelude::any::<[u8; 32]>(), 1..=CHUNKS_MAX)) {
            let key = ContentKey(ids.into_iter().map(ChunkId).collect());
            proptest::prop_assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn one_key_has_one_name() {
        let id = "ab".repeat(32);
        assert!(id.parse::<ContentKey>().is_ok());
        for other in [
            id.to_uppercase(),
            id[1..].to_owned(),
            format!("{id}a"),
            format!("{id}-"),
            format!("-{id}"),
            format!("{id}--{id}"),
            format!("{id} "),
            String::new(),
        ] {
            assert!(other.parse::<ContentKey>().is_err(), "{other}");
        }
    }

    #[test]
    fn too_many_are_none() {
        let id = "ab".repeat(32);
        assert!(vec![id.clone(); CHUNKS_MAX].join("-").parse::<ContentKey>().is_ok());
        assert!(vec![id; CHUNKS_MAX + 1].join("-").parse::<ContentKey>().is_err());
    }
}
