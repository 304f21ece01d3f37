//! Where a sequence of cells is cut into groups: by their content, so that a row more or less
//! changes the group that it is in and no other.

use xxhash_rust::xxh3::xxh3_64;

/// A group has at least so many bytes, unless its tree ends …
const GROUP_BYTES_MIN: usize = 512;
/// … and takes no further cell from so many on.
const GROUP_BYTES_SOFT: usize = 8 << 10;
/// Beyond the least size one cell in eight ends its group.
const MASK: u64 = 7;
/// Largest group, in bytes: one that took one more of the largest cells.
pub const GROUP_BYTES_MAX: usize = GROUP_BYTES_SOFT + (64 << 10);

/// Counts the bytes of a group.
#[derive(Debug, Default)]
pub struct Cutter {
    len: usize,
}

impl Cutter {
    /// Takes a cell; whether it ends its group.
    pub fn take(&mut self, cell: &[u8]) -> bool {
        self.len += cell.len();
        self.len >= GROUP_BYTES_SOFT || (self.len >= GROUP_BYTES_MIN && xxh3_64(cell) & MASK == 0)
    }

    /// Takes bytes that are known not to end their group.
    pub fn go_on(&mut self, bytes: usize) {
        self.len += bytes;
    }

    /// Ends the group; its length in bytes, where there is one.
    pub fn end(&mut self) -> Option<usize> {
        Some(std::mem::take(&mut self.len)).filter(|len| *len > 0)
    }
}
