//! Deflate in blocks, each on a thread of its own: the blocks one behind another are one stream.

use flate2::{Compress, Compression, FlushCompress, Status};

/// Deflate level: what is deflated is little beside the pictures, which are stored.
const LEVEL: u32 = 5;

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
    fn blocks_one_behind_another_are_one_stream() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_string().into_bytes()).collect();
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
