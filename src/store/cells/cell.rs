//! Cells as they lie in pages ("B-tree Cell Format" of SQLite's file format,
//! <https://www.sqlite.org/fileformat2.html>).

/// What a page of a B-tree is (its first byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageKind {
    LeafTable,
    LeafIndex,
    InnerTable,
    InnerIndex,
}

impl PageKind {
    const ALL: [PageKind; 4] =
        [PageKind::LeafTable, PageKind::LeafIndex, PageKind::InnerTable, PageKind::InnerIndex];

    pub(crate) fn from_byte(byte: u8) -> Option<PageKind> {
        PageKind::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            PageKind::LeafTable => 13,
            PageKind::LeafIndex => 10,
            PageKind::InnerTable => 5,
            PageKind::InnerIndex => 2,
        }
    }

    /// Its number in shapes.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    pub(super) fn from_code(code: u8) -> Option<PageKind> {
        PageKind::ALL.get(usize::from(code)).copied()
    }

    pub(crate) fn is_leaf(self) -> bool {
        matches!(self, PageKind::LeafTable | PageKind::LeafIndex)
    }

    pub(crate) fn is_index(self) -> bool {
        matches!(self, PageKind::LeafIndex | PageKind::InnerIndex)
    }

    /// Bytes of the page's header, before the cells' pointers.
    pub(super) fn header_bytes(self) -> usize {
        if self.is_leaf() { 8 } else { 12 }
    }
}

/// A big-endian number of 1 to 9 bytes, and what comes behind it.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        if at == 8 {
            return Some(((value << 8) | u64::from(*byte), bytes.get(9..)?));
        }
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The shortest bytes of a number.
pub(super) fn shortest(value: u64) -> Vec<u8> {
    if value >> 56 != 0 {
        // Nine bytes: the last one has eight bits.
        return (0..8)
            .rev()
            .map(|at| (value >> (8 + 7 * at)) as u8 & 0x7f | 0x80)
            .chain([value as u8])
            .collect();
    }
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    (0..groups)
        .rev()
        .map(|at| (value >> (7 * at)) as u8 & 0x7f | if at > 0 { 0x80 } else { 0 })
        .collect()
}

/// How much of a payload of so many bytes lies in the page itself.
pub(crate) fn local_bytes(is_index: bool, usable: usize, payload: usize) -> usize {
    let most = if is_index { (usable - 12) * 64 / 255 - 23 } else { usable - 35 };
    if payload <= most {
        return payload;
    }
    let least = (usable - 12) * 32 / 255 - 23;
    let fitting = least + (payload - least) % (usable - 4);
    if fitting <= most { fitting } else { least }
}

/// Longest payload that is believed, in bytes: SQLite's own limit.
const PAYLOAD_MAX: u64 = 1 << 31;

/// What a cell takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellSize {
    /// Bytes of its lengths, its row number and the part of its payload that lies in the page.
    pub content: usize,
    /// Bytes of its payload that lie in overflow pages.
    pub overflow: usize,
}

/// Measures a cell; `bytes` begins behind its child pointer. Not for the inner pages of tables,
/// whose cells have nothing else but a number.
pub(super) fn measure(kind: PageKind, usable: usize, bytes: &[u8]) -> Option<CellSize> {
    let (payload, mut rest) = varint(bytes)?;
    if kind == PageKind::LeafTable {
        rest = varint(rest)?.1;
    }
    let payload = usize::try_from(payload).ok().filter(|_| payload <= PAYLOAD_MAX)?;
    let local = local_bytes(kind.is_index(), usable, payload);
    let content = bytes.len() - rest.len() + local;
    (content <= bytes.len()).then_some(CellSize { content, overflow: payload - local })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_sqlites() {
        assert_eq!(varint(&[0x7f, 1]), Some((127, [1].as_slice())));
        assert_eq!(varint(&[0x81, 0x00]), Some((128, [].as_slice())));
        assert_eq!(varint(&[0xff; 9]), Some((u64::MAX, [].as_slice())));
        assert_eq!(varint(&[0x80]), None);
        assert_eq!(varint(&[0x80; 8]), None);
    }

    proptest::proptest! {
        #[test]
        fn numbers_come_back(value: u64, shift in 0..64u32) {
            let value = value >> shift;
            let mut out = shortest(value);
            out.push(7);
            proptest::prop_assert_eq!(varint(&out), Some((value, [7].as_slice())));
        }
    }
}
