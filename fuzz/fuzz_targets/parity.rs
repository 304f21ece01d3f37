//! A parity file from any bytes, and any bytes as what is left of its pack: never a panic, and what
//! is mended has the pack's sums.
#![no_main]

use jellyvault::store::{PackTrailer, Parity, Sealer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // What a damaged pack's table of contents is found in.
    if let Some(trailer) = PackTrailer::recover_written(bytes, &Sealer::plain()) {
        assert!(trailer.chunks.iter().all(|chunk| (chunk.extent as usize) < trailer.extents.len()));
    }
    let (head, rest) = bytes.split_at(bytes.len() / 2);
    if let Ok(parity) = Parity::decode(head)
        && let Some(mended) = parity.mend(rest)
    {
        assert!(parity.wrong_blocks(&mended).is_empty());
    }
    // A real one for these bytes, with some of them lost.
    if !rest.is_empty() && rest.len() < 20_000 {
        let parity = Parity::of(&[7; 16], rest, 100).expect("recovery blocks of any bytes");
        let mut damaged = rest.to_vec();
        let at = head.first().map_or(0, |byte| *byte as usize % rest.len());
        damaged[at] ^= 1;
        assert_eq!(parity.mend(&damaged).as_deref(), Some(rest));
        assert_eq!(Parity::decode(&parity.encode()), Ok(parity));
    }
});
