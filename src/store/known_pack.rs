//! A pack that the index knows.

use super::extent_row::ExtentRow;

/// One pack by its number.
#[derive(Clone, Debug)]
pub(super) struct KnownPack {
    pub id: [u8; 16],
    /// Whether a prune gave it up and was cut off before it removed it: it counts as gone.
    pub is_condemned: bool,
    /// Whether it was written through this index.
    pub is_written: bool,
    /// Its extents, where the index file does not hold them.
    pub extents: Option<Vec<ExtentRow>>,
}
