//! Very many names in little memory: one behind another in blocks, six bytes beside those of each.

/// Bytes of a block, as a power of two; 2¹² blocks come to 4 GiB.
const BLOCK_BITS: u32 = 20;

/// Where a name lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameAt {
    start: u32,
    len: u16,
}

/// The names.
#[derive(Default)]
pub(super) struct Names {
    blocks: Vec<String>,
}

impl Names {
    /// Keeps a name of at most 64 KiB; nothing where there is no room for more.
    pub(super) fn push(&mut self, name: &str) -> Option<NameAt> {
        let len = u16::try_from(name.len()).ok()?;
        if self.blocks.last().is_none_or(|block| block.len() + name.len() > 1 << BLOCK_BITS) {
            self.blocks.push(String::with_capacity(1 << BLOCK_BITS));
        }
        let number = u32::try_from(self.blocks.len() - 1).ok().filter(|number| *number < 1 << (u32::BITS - BLOCK_BITS))?;
        let block = self.blocks.last_mut()?;
        let start = number << BLOCK_BITS | u32::try_from(block.len()).ok()?;
        block.push_str(name);
        Some(NameAt { start, len })
    }

    /// A name that was kept here.
    pub(super) fn get(&self, at: NameAt) -> &str {
        let start = (at.start & ((1 << BLOCK_BITS) - 1)) as usize;
        let name = self.blocks.get((at.start >> BLOCK_BITS) as usize).and_then(|block| block.get(start..start + usize::from(at.len)));
        // Where a name lies is told by `push` alone; of another's there is none, and no path is empty.
        name.unwrap_or_default()
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
}
