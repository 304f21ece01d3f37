//! Deflate: a small file at once, a large one in blocks, each on a thread of its own. The blocks
//! one behind another are one stream.
//!
//! Two libraries: libdeflate is twice as fast for as many bytes, but knows whole contents only
//! (`docs/decisions/0025`).

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

/// Deflate level of blocks.
const LEVEL: u32 = 5;

/// The least of libdeflate's levels that compresses: its `fastest` is 0, which only stores.
const WHOLE_LEVEL: CompressionLvl = match CompressionLvl::new(1) {
    Ok(level) => level,
    Err(_) => panic!("libdeflate has a level 1"),
};

/// Deflates whole contents; one for each thread.
pub(super) struct Deflater {
    compressor: Compressor,
    out: Vec<u8>,
}

impl Deflater {
    pub(super) fn new() -> Deflater {
        Deflater { compressor: Compressor::new(WHOLE_LEVEL), out: Vec::new() }
    }

    /// A content as a whole deflate stream; nothing where that would not be shorter.
    pub(super) fn deflate(&mut self, plain: &[u8]) -> Option<&[u8]> {
        let room = plain.len().checked_sub(1)?;
        if self.out.len() < room {
            self.out.resize(room, 0);
        }
        // It fails only where the room does not suffice.
        let len = self.compressor.deflate_compress(plain, self.out.get_mut(..room)?).ok()?;
        self.out.get(..len)
    }
}

/// Deflates one block. All but the last end at a byte's border without closing the stream.
pub(super) fn deflate_block(bytes: &[u8], is_last: bool) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / 4 + 64);
    let mut deflater = Compress::new(Compression::new(LEVEL), false);
    let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
    let mut rest = bytes;
    loop {
        let before = deflater.total_in();
        let status = deflater.compress_vec(rest, &mut out, flush).map_err(std::io::Error::other)?;
        rest = rest.get((deflater.total_in() - before) as usize..).unwrap_or_default();
        let is_done = match status {
            Status::StreamEnd => true,
            // All was taken and there is room left: the flush is complete.
            _ => !is_last && rest.is_empty() && out.len() < out.capacity(),
        };
        if is_done {
            return Ok(out);
        }
        out.reserve(out.capacity().max(1024));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn what_gets_no_shorter_is_not_deflated() {
        let mut deflater = Deflater::new();
        let noise: Vec<u8> =
            (0..40u32).flat_map(|n| blake3::hash(&n.to_le_bytes()).as_bytes().to_vec()).collect();
        for plain in [&b""[..], b"a", b"ab", &noise] {
            assert_eq!(deflater.deflate(plain), None, "{} bytes", plain.len());
        }
    }

    #[test]
    fn whole_contents_come_back_from_a_buffer_that_was_used() {
        let mut deflater = Deflater::new();
        for len in [64, 4_000_000, 1_000, 70_000] {
            let plain: Vec<u8> = (0..len).map(|n: u32| (n / 7) as u8 & 31).collect();
            let deflated = deflater.deflate(&plain).unwrap();
            assert!(deflated.len() < plain.len());
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(deflated).read_to_end(&mut back).unwrap();
            assert!(back == plain, "{len}");
        }
    }

    #[test]
    fn blocks_one_behind_another_are_one_stream() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes())
            .collect();
        for step in [1, 7, 300, 65_536, text.len()] {
            let text = &text[..text.len().min(step * 3_000)];
            let mut stream = Vec::new();
            for block in text.chunks(step) {
                stream.extend(deflate_block(block, false).unwrap());
            }
            stream.extend(deflate_block(&[], true).unwrap());
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == text, "{step}");
        }
    }
}
