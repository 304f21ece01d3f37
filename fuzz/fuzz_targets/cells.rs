//! A database from any bytes, taken apart and put together: each page comes back.
#![no_main]

use std::ops::Range;

use jellyvault::store::cells::{Content, Cutter, Host, Shapes, walk};
use libfuzzer_sys::fuzz_target;

const PAGE_BYTES: usize = 512;

struct Memory<'f> {
    file: &'f [u8],
    sequence: Vec<u8>,
    cutter: Cutter,
}

impl Host for Memory<'_> {
    type Error = std::convert::Infallible;

    fn page(&mut self, number: u32, out: &mut Vec<u8>) -> Result<(), Self::Error> {
        out.clear();
        out.extend_from_slice(&self.file[(number as usize - 1) * PAGE_BYTES..][..PAGE_BYTES]);
        Ok(())
    }

    fn cell(&mut self, bytes: &[u8]) -> Result<bool, Self::Error> {
        self.sequence.extend_from_slice(bytes);
        let ends = self.cutter.take(bytes);
        if ends {
            self.boundary()?;
        }
        Ok(ends)
    }

    fn changed(&self) -> Self::Error {
        unreachable!("nothing is read twice")
    }

    fn boundary(&mut self) -> Result<(), Self::Error> {
        assert!(self.cutter.end().is_none_or(|len| len <= self.sequence.len()));
        Ok(())
    }
}

struct Sequence<'s>(&'s [u8]);

impl Content for Sequence<'_> {
    fn bytes(&self, range: Range<u64>) -> Option<&[u8]> {
        self.0.get(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
    }
}

/// A sound database of three tables, two indexes and overflow pages.
const SOUND: &[u8] = include_bytes!("../seeds/cells/sound.db");

fn comes_back(file: &[u8]) {
    let pages = file.len() / PAGE_BYTES;
    if pages == 0 {
        return;
    }
    let mut memory = Memory { file, sequence: Vec::new(), cutter: Cutter::default() };
    let encoded = walk(&mut memory, &file[..PAGE_BYTES], pages as u32).unwrap();
    let shapes = Shapes::decode(encoded, PAGE_BYTES, pages).unwrap();
    assert_eq!(shapes.sequence_bytes(), memory.sequence.len() as u64);
    let mut out = vec![0; PAGE_BYTES];
    for (number, page) in file.chunks_exact(PAGE_BYTES).enumerate() {
        shapes.build(&shapes.plan(number).unwrap(), &Sequence(&memory.sequence), &mut out).unwrap();
        assert_eq!(out, page);
    }
}

fuzz_target!(|bytes: &[u8]| {
    comes_back(bytes);
    // Patches of a sound one reach deeper than bytes out of nowhere: (place, new byte) again and
    // again.
    let mut patched = SOUND.to_vec();
    for patch in bytes.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([patch[0], patch[1]])) % patched.len();
        patched[at] = patch[2];
    }
    comes_back(&patched);
});
