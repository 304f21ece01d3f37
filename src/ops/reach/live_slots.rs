//! Which pages, or groups of cells, of an extent does any database still have?

use std::collections::BTreeMap;

/// What an extent holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SlotUnit {
    /// Groups of cells; a slot is the first byte of one.
    Groups,
    /// Pages of so many bytes; a slot is the number of one.
    Pages(u32),
    /// Databases with different page sizes share it: all of it counts as live.
    #[default]
    Mixed,
}

/// The slots of one extent that are live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSlots {
    /// What the slots are.
    pub unit: SlotUnit,
    /// Of pages: a bit for each.
    bits: Vec<u64>,
    /// Of groups: length by first byte.
    groups: BTreeMap<u32, u32>,
}

impl LiveSlots {
    /// No slot yet.
    pub fn new(unit: SlotUnit) -> LiveSlots {
        LiveSlots { unit, ..LiveSlots::default() }
    }

    /// Marks a group, in an extent that may hold something else.
    pub fn add_group(&mut self, slot: u32, bytes: u32) {
        if self.unit != SlotUnit::Groups {
            self.unit = SlotUnit::Mixed;
        }
        self.groups.entry(slot).and_modify(|known| *known = bytes.max(*known)).or_insert(bytes);
    }

    /// Marks a slot; `bytes` is its length.
    pub fn insert(&mut self, slot: u32, bytes: u32) {
        if self.unit == SlotUnit::Groups {
            return self.add_group(slot, bytes);
        }
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
        if self.unit != other.unit {
            self.unit = SlotUnit::Mixed;
        }
        self.bits.resize(self.bits.len().max(other.bits.len()), 0);
        for (bits, others) in self.bits.iter_mut().zip(&other.bits) {
            *bits |= others;
        }
        for (slot, bytes) in &other.groups {
            self.groups
                .entry(*slot)
                .and_modify(|known| *known = (*bytes).max(*known))
                .or_insert(*bytes);
        }
    }

    /// Whether none is marked.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.bits.iter().all(|bits| *bits == 0)
    }

    /// The marked slots, in order: slot, first byte, length.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let page_bytes = if let SlotUnit::Pages(bytes) = self.unit { bytes } else { 0 };
        let marked = |(first, bits): (u32, &u64)| {
            let bits = *bits;
            (0..64).filter(move |bit| bits >> bit & 1 == 1).map(move |bit| first + bit)
        };
        let pages = (0u32..)
            .step_by(64)
            .zip(&self.bits)
            .flat_map(marked)
            .map(move |slot| (slot, slot.saturating_mul(page_bytes), page_bytes));
        pages.chain(self.groups.iter().map(|(first, bytes)| (*first, *first, *bytes)))
    }

    /// Bytes of an extent of `raw_bytes` that are live.
    pub fn live_bytes(&self, raw_bytes: u32) -> u32 {
        match self.unit {
            SlotUnit::Mixed => raw_bytes,
            _ => self
                .iter()
                .fold(0u32, |sum, (_, _, bytes)| sum.saturating_add(bytes))
                .min(raw_bytes),
        }
    }

    /// Whether so few are live that it pays to move them to another extent: at most half of the
    /// bytes.
    pub fn is_sparse(&self, raw_bytes: u32) -> bool {
        u64::from(self.live_bytes(raw_bytes)) * 2 <= u64::from(raw_bytes)
    }
}
