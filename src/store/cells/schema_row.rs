//! Where a tree begins, as its row in the schema table says.

use super::varint;

/// The root page in a row of the schema table: its fourth column, where it is there in the page.
pub(super) fn root_in_schema(cell: &[u8]) -> Option<u32> {
    let (_, rest) = varint(cell)?;
    let (_, record) = varint(rest)?;
    let (header, mut types) = varint(record)?;
    let mut at = usize::try_from(header).ok()?;
    for column in 0..4 {
        let (kind, behind) = varint(types)?;
        types = behind;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            kind => usize::try_from(kind.checked_sub(12)? / 2).ok()?,
        };
        let end = at.checked_add(len)?;
        if column == 3 {
            return match kind {
                9 => Some(1),
                1..=6 => record
                    .get(at..end)?
                    .iter()
                    .try_fold(0u64, |value, byte| {
                        value.checked_mul(256)?.checked_add(u64::from(*byte))
                    })
                    .and_then(|n| u32::try_from(n).ok()),
                _ => None,
            };
        }
        at = end;
    }
    None
}
