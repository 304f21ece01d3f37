//! What is known of an extent without reading it.

use super::extent_kind::{Codec, ExtentKind};

/// What a trailer says of one extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtentRow {
    /// Offset of its stored bytes in the pack.
    pub offset: u64,
    /// Stored length in bytes.
    pub stored_bytes: u32,
    /// Length before compression, in bytes.
    pub raw_bytes: u32,
    /// How it is stored.
    pub codec: Codec,
    /// What its chunks are.
    pub kind: ExtentKind,
    /// Checksum of the stored bytes.
    pub checksum: [u8; 16],
}

impl ExtentRow {
    /// Where its stored bytes end in the pack.
    pub fn end(&self) -> u64 {
        self.offset + u64::from(self.stored_bytes)
    }
}
