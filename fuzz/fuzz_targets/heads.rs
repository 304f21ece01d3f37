//! A pack whose table of contents is lost: whatever stands in it, its extents are looked for and
//! nothing but whole ones are taken.
#![no_main]

use jellyvault::store::{PackTrailer, Sealer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let sealer = Sealer::plain();
    let pack = [7; 16];
    // The sums of heads cannot be guessed: they are put right.
    let mut mended = bytes.to_vec();
    PackTrailer::mend_heads_for_tests(&pack, &mut mended);
    for bytes in [bytes, &mended] {
        if let Some(trailer) = PackTrailer::from_heads(&pack, bytes, &sealer) {
            for extent in &trailer.extents {
                assert!(extent.end() <= bytes.len() as u64, "an extent beyond the end");
            }
            for chunk in &trailer.chunks {
                let extent = &trailer.extents[chunk.extent as usize];
                assert!(chunk.offset + chunk.len <= extent.raw_bytes, "a chunk beyond its extent");
            }
        }
        if PackTrailer::recover_written(bytes, &sealer).is_some() {}
    }
});
