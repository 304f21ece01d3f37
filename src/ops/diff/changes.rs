//! The differences of two trees, kept small: in blocks whose paths share their beginnings, as the
//! manifests themselves keep them.

use crate::manifest::{Difference, Entry, Node};
use crate::source::Category;

use super::super::Error;

/// Differences of one block.
const BLOCK: usize = 64;

/// Differences that follow one another in one category.
struct Block {
    category: Category,
    /// For each, which sides it has: bit 0 before, bit 1 after.
    sides: Vec<u8>,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// All differences, by number.
#[derive(Default)]
pub(super) struct Kept {
    blocks: Vec<Block>,
    open: Vec<Difference>,
    category: Option<Category>,
}

/// A block as it was read last.
#[derive(Default)]
pub(super) struct Opened {
    number: Option<usize>,
    differences: Vec<Difference>,
}

const BEFORE: u8 = 1;
const AFTER: u8 = 2;

impl Kept {
    /// The number that the next difference gets, which is one of this category.
    pub(super) fn next_number(&mut self, category: Category) -> u32 {
        if self.category != Some(category) || self.open.len() == BLOCK {
            self.close();
            self.category = Some(category);
        }
        (self.blocks.len() * BLOCK + self.open.len()) as u32
    }

    /// Keeps a difference under the number that was told last. Those of one category come in path
    /// order.
    pub(super) fn push(&mut self, difference: Difference) {
        self.open.push(difference);
    }

    /// Puts away the block that is being filled.
    pub(super) fn close(&mut self) {
        let Some(category) = self.category.filter(|_| !self.open.is_empty()) else { return };
        let (mut sides, mut before, mut after) =
            (Vec::with_capacity(self.open.len()), Vec::new(), Vec::new());
        for difference in self.open.drain(..) {
            sides.push(
                u8::from(difference.before.is_some()) * BEFORE
                    + u8::from(difference.after.is_some()) * AFTER,
            );
            before.extend(difference.before);
            after.extend(difference.after);
        }
        let encode = |entries: &[Entry]| Node::encode_leaf(entries);
        self.blocks.push(Block { category, sides, before: encode(&before), after: encode(&after) });
    }

    /// One difference. `opened` keeps the block that was read last.
    pub(super) fn get<'o>(
        &self,
        number: u32,
        opened: &'o mut Opened,
    ) -> Result<Option<&'o Difference>, Error> {
        let (block, at) = (number as usize / BLOCK, number as usize % BLOCK);
        if opened.number != Some(block) {
            opened.differences = match self.blocks.get(block) {
                Some(block) => block.decode()?,
                None => Vec::new(),
            };
            opened.number = Some(block);
        }
        Ok(opened.differences.get(at))
    }

    /// The numbers of each category's differences.
    pub(super) fn numbers(&self, category: Category) -> impl Iterator<Item = u32> + '_ {
        let blocks =
            self.blocks.iter().enumerate().filter(move |(_, block)| block.category == category);
        blocks.flat_map(|(number, block)| {
            (0..block.sides.len()).map(move |at| (number * BLOCK + at) as u32)
        })
    }
}

impl Block {
    fn decode(&self) -> Result<Vec<Difference>, Error> {
        let entries = |bytes: &[u8]| match Node::decode(bytes) {
            Ok(Node::Leaf(entries)) => Ok(entries.into_iter()),
            // What was encoded a moment ago can be read, or memory cannot be trusted.
            _ => Err(Error::System { what: "memory that keeps what is written to it" }),
        };
        let (mut before, mut after) = (entries(&self.before)?, entries(&self.after)?);
        let mut next = |side: u8| Difference {
            before: if side & BEFORE != 0 { before.next() } else { None },
            after: if side & AFTER != 0 { after.next() } else { None },
        };
        Ok(self.sides.iter().map(|side| next(*side)).collect())
    }
}
