//! A pack's header, trailer and footer from any bytes: an error or a table that agrees with the
//! file, never a panic, never a read beyond it. Checksums are mended first, so that what lies
//! behind them is reached.
#![no_main]

use jellyvault::store::{PackTrailer, Sealer, TrailerError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, Vec<u8>)| {
    let (mend, mut bytes) = input;
    if mend {
        PackTrailer::mend_for_tests(&mut bytes);
    }
    let size = bytes.len() as u64;
    let decoded = PackTrailer::decode::<TrailerError>(size, &Sealer::plain(), |offset, len| {
        assert!(len <= bytes.len(), "asked for {len} bytes of {size}");
        let start = usize::try_from(offset).map_err(|_| TrailerError::Lengths)?;
        bytes.get(start..start.saturating_add(len)).map(<[u8]>::to_vec).ok_or(TrailerError::Lengths)
    });
    if let Ok(trailer) = decoded {
        for extent in &trailer.extents {
            assert!(extent.offset + u64::from(extent.stored_bytes) <= size);
        }
        for chunk in &trailer.chunks {
            let extent = &trailer.extents[chunk.extent as usize];
            assert!(chunk.offset + chunk.len <= extent.raw_bytes);
        }
    }
});
