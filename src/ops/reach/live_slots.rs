//! Which pages of an extent does any database still have?

/// The slots of one extent that are live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSlots {
    /// Bytes of a page; 0 where databases with different page sizes share the extent, which then counts as live altogether.
    pub page_bytes: u32,
    bits: Vec<u64>,
}

impl LiveSlots {
    /// No slot yet.
    pub fn new(page_bytes: u32) -> LiveSlots {
        LiveSlots { page_bytes, bits: Vec::new() }
    }

    /// Marks a slot.
    pub fn insert(&mut self, slot: u32) {
        let word = slot as usize / 64;
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= 1 << (slot % 64);
        }
    }

    /// Marks what another has marked.
    pub fn join(&mut self, other: &LiveSlots) {
        if self.page_bytes != other.page_bytes {
            self.page_bytes = 0;
        }
        self.bits.resize(self.bits.len().max(other.bits.len()), 0);
        for (bits, others) in self.bits.iter_mut().zip(&other.bits) {
            *bits |= others;
        }
    }

    /// The marked slots, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0u32..).step_by(64).zip(&self.bits).flat_map(|(first, bits)| (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| first + bit))
    }

    /// Bytes of an extent of `raw_bytes` that are live.
    pub fn live_bytes(&self, raw_bytes: u32) -> u32 {
        if self.page_bytes == 0 {
            return raw_bytes;
        }
        let slots: u32 = self.bits.iter().map(|bits| bits.count_ones()).sum();
        slots.saturating_mul(self.page_bytes).min(raw_bytes)
    }

    /// Whether so few pages are live that it pays to store them anew elsewhere: at most half of them.
    pub fn is_sparse(&self, raw_bytes: u32) -> bool {
        u64::from(self.live_bytes(raw_bytes)) * 2 <= u64::from(raw_bytes)
    }
}
