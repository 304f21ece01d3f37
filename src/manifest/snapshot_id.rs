//! The id of a snapshot.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The id of a snapshot: 6 bytes of milliseconds since 1970 (big-endian, so that ids sort by time),
/// 10 random bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub [u8; 16]);

impl SnapshotId {
    /// A new id for this moment.
    pub fn at(time_ms: u64, random: [u8; 10]) -> SnapshotId {
        let mut id = [0; 16];
        let time = time_ms.to_be_bytes();
        for (slot, byte) in id.iter_mut().zip(time.iter().skip(2).chain(&random)) {
            *slot = *byte;
        }
        SnapshotId(id)
    }

    /// Reads 32 hex digits.
    pub fn of_text(text: &str) -> Option<SnapshotId> {
        let is_id = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        u128::from_str_radix(text, 16).ok().filter(|_| is_id).map(|id| SnapshotId(id.to_be_bytes()))
    }

    /// The moment in it, in milliseconds since 1970.
    pub fn time_ms(&self) -> u64 {
        let [a, b, c, d, e, f, ..] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 32 hex digits for people and programs, 16 bytes in a record.
impl Serialize for SnapshotId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if out.is_human_readable() { out.collect_str(self) } else { self.0.serialize(out) }
    }
}

impl<'de> Deserialize<'de> for SnapshotId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<SnapshotId, D::Error> {
        if !from.is_human_readable() {
            return Ok(SnapshotId(<[u8; 16]>::deserialize(from)?));
        }
        let text = String::deserialize(from)?;
        SnapshotId::of_text(&text)
            .ok_or_else(|| D::Error::custom("a snapshot's id has 32 hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_text_for_programs_and_comes_back() {
        let id = SnapshotId(*b"\0\x01234567890abcd\xff".first_chunk().unwrap());
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<SnapshotId>(&text).unwrap(), id);
        for wrong in ["\"\"", "\"+0000000000000000000000000000001\"", "7", "\"00\""] {
            assert!(serde_json::from_str::<SnapshotId>(wrong).is_err(), "{wrong}");
        }
    }
}
