//! Very many names in little memory: one behind another in blocks while they come, then sorted,
//! each as what it does not share with the one before.

use crate::store::{Bytes, push_bytes, push_varint};

/// Bytes of a block, as a power of two; 2¹² blocks come to 4 GiB.
const BLOCK_BITS: u32 = 20;

/// Where a name lies.
#[derive(Clone, Copy, Debug)]
struct NameAt {
    start: u32,
    len: u16,
}

/// Names by the number of their coming.
#[derive(Default)]
pub(super) struct Names {
    blocks: Vec<String>,
    places: Vec<NameAt>,
}

impl Names {
    /// Keeps a name of at most 64 KiB and gives it a number; nothing where there is no room for
    /// more.
    pub(super) fn push(&mut self, name: &str) -> Option<u32> {
        let len = u16::try_from(name.len()).ok()?;
        if self.blocks.last().is_none_or(|block| block.len() + name.len() > 1 << BLOCK_BITS) {
            self.blocks.push(String::with_capacity(1 << BLOCK_BITS));
        }
        let number = u32::try_from(self.blocks.len() - 1)
            .ok()
            .filter(|number| *number < 1 << (u32::BITS - BLOCK_BITS))?;
        let block = self.blocks.last_mut()?;
        let start = number << BLOCK_BITS | u32::try_from(block.len()).ok()?;
        block.push_str(name);
        self.places.push(NameAt { start, len });
        u32::try_from(self.places.len() - 1).ok()
    }

    /// The name of a number; empty where there is none, and no path is empty.
    pub(super) fn get(&self, number: u32) -> &str {
        let Some(at) = self.places.get(number as usize) else { return "" };
        let start = (at.start & ((1 << BLOCK_BITS) - 1)) as usize;
        let name = self
            .blocks
            .get((at.start >> BLOCK_BITS) as usize)
            .and_then(|block| block.get(start..start + usize::from(at.len)));
        // Where a name lies is told by `push` alone.
        name.unwrap_or_default()
    }
}

/// Names that each begin like many before them; one of so many stands whole.
const WHOLE_EVERY: usize = 8;

/// Sorted names by number, each as what it does not share with the one before.
#[derive(Default)]
pub(super) struct SortedNames {
    /// Where each name begins that stands whole.
    starts: Vec<u32>,
    bytes: Vec<u8>,
}

impl SortedNames {
    /// Takes names over, in order.
    pub(super) fn of<'n>(
        names: impl ExactSizeIterator<Item = &'n str>,
    ) -> Result<SortedNames, &'static str> {
        let mut sorted = SortedNames {
            starts: Vec::with_capacity(names.len() / WHOLE_EVERY + 1),
            bytes: Vec::new(),
        };
        let mut before = "";
        for (number, name) in names.enumerate() {
            let mut shared =
                before.bytes().zip(name.bytes()).take_while(|(own, other)| own == other).count();
            if number % WHOLE_EVERY == 0 {
                shared = 0;
                sorted.starts.push(
                    u32::try_from(sorted.bytes.len())
                        .map_err(|_| "its names are longer than those of any library")?,
                );
            }
            push_varint(&mut sorted.bytes, shared as u64);
            // What is shared is its beginning.
            push_bytes(&mut sorted.bytes, name.as_bytes().get(shared..).unwrap_or_default());
            before = name;
        }
        sorted.bytes.shrink_to_fit();
        Ok(sorted)
    }

    /// A name; empty where there are not so many, and no path is empty.
    pub(super) fn get(&self, number: u32) -> String {
        let mut name = Vec::new();
        let start = self
            .starts
            .get(number as usize / WHOLE_EVERY)
            .map_or(usize::MAX, |start| *start as usize);
        // Of a number beyond them there are no bytes, which are no name below.
        let mut at = Bytes(self.bytes.get(start..).unwrap_or_default());
        for _ in 0..=number as usize % WHOLE_EVERY {
            let (Ok(shared), Ok(rest)) = (at.length(name.len()), at.prefixed(usize::MAX)) else {
                return String::new();
            };
            name.truncate(shared);
            name.extend_from_slice(rest);
        }
        // What was a text is one again.
        String::from_utf8(name).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_over_the_borders_of_blocks() {
        let mut names = Names::default();
        let text = |n: usize| format!("{n:0width$}", width = n % 4097);
        let kept: Vec<_> = (0..6000).map(|n| names.push(&text(n)).unwrap()).collect();
        assert!(names.blocks.len() > 3);
        for (n, at) in kept.into_iter().enumerate() {
            assert_eq!(names.get(at), text(n));
        }
        assert!(names.push(&"x".repeat(1 << 16)).is_none());
    }

    #[test]
    fn sorted_names_come_back_by_number() {
        let mut names: Vec<String> = (0..1000)
            .map(|n| format!("Data/ü{:x}/{n:08}/poster-{}.jpg", n % 7, "ä".repeat(n % 5)))
            .collect();
        names.sort();
        for count in [0, 1, 7, 8, 9, 1000] {
            let sorted = SortedNames::of(names[..count].iter().map(String::as_str)).unwrap();
            for (number, name) in names.iter().enumerate() {
                assert_eq!(
                    sorted.get(number as u32),
                    if number < count { name.as_str() } else { "" },
                    "{number} of {count}"
                );
            }
        }
        let all = SortedNames::of(names.iter().map(String::as_str)).unwrap();
        assert!(
            all.bytes.len() * 4 < names.iter().map(String::len).sum::<usize>() * 3,
            "{}",
            all.bytes.len()
        );
    }
}
