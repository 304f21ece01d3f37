//! Where a chunk lies.

/// Where a chunk lies, by numbers that the index gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub pack: u32,
    pub extent: u32,
    pub offset: u32,
    pub len: u32,
}

pub(super) fn encode_place(place: &Place) -> [u8; 16] {
    let mut out = [0; 16];
    for (slot, value) in
        out.chunks_exact_mut(4).zip([place.pack, place.extent, place.offset, place.len])
    {
        slot.copy_from_slice(&value.to_le_bytes());
    }
    out
}

pub(super) fn decode_place(bytes: &[u8; 16]) -> Place {
    let number = |at: usize| {
        bytes.get(at..at + 4).and_then(|part| part.try_into().ok()).map_or(0, u32::from_le_bytes)
    };
    Place { pack: number(0), extent: number(4), offset: number(8), len: number(12) }
}
