//! Shapes from any bytes, as a hostile recipe has them: an error or some pages, never a panic,
//! never much memory.
#![no_main]

use std::ops::Range;

use jellyvault::store::cells::{Content, Shapes};
use libfuzzer_sys::fuzz_target;

const PAGE_BYTES: usize = 512;
const PAGES: usize = 40;

/// A sequence that is as long as anybody wants it.
struct Sequence(Vec<u8>);

impl Content for Sequence {
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        self.0.get(..usize::try_from(range.end.checked_sub(range.start)?).ok()?)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((content, encoded)) = bytes.split_at_checked(bytes.len() / 2) else { return };
    let Ok(shapes) = Shapes::decode(encoded.to_vec(), PAGE_BYTES, PAGES) else { return };
    let sequence = Sequence(content.iter().copied().cycle().take(if content.is_empty() { 0 } else { 4096 }).collect());
    let mut out = vec![0; PAGE_BYTES];
    for page in 0..PAGES {
        let Some(plan) = shapes.plan(page) else { continue };
        assert!(plan.ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= PAGE_BYTES as u64);
        if shapes.build(&plan, &sequence, &mut out).is_some() {
            assert_eq!(out.len(), PAGE_BYTES);
        }
        let _starts = shapes.cell_starts(page, &out);
        let _parts = shapes.overflow(page);
    }
});
