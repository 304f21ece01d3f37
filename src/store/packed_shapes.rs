//! Shapes in a recipe, compressed: behind those of the recipe that it builds on, from which they
//! hardly differ.

use std::io::{Read, Write};

/// A database with all its recipes kept has a hundred of them: this is worth some care.
const SHAPES_LEVEL: i32 = 9;

/// Room that is made for shapes before any are there, in bytes: those of a database of 2 GB.
const BELIEVED_BYTES_MAX: usize = 32 << 20;

/// Compresses shapes; `before`: those of the recipe that this one builds on.
pub(super) fn pack(shapes: &[u8], before: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder =
        zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), SHAPES_LEVEL, before)?;
    encoder.window_log(window_log(shapes.len() + before.len()))?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(shapes.len() as u64))?;
    encoder.write_all(shapes)?;
    encoder.finish()
}

/// A window in which the older shapes lie, too.
fn window_log(bytes: usize) -> u32 {
    (usize::BITS - bytes.leading_zeros()).clamp(10, 27)
}

pub(super) fn unpack(packed: &[u8], before: &[u8], bytes: usize) -> std::io::Result<Vec<u8>> {
    let decoder = zstd::stream::read::Decoder::with_ref_prefix(packed, before)?;
    // The length is somebody else's claim: room for much more is made only as it comes.
    let mut out = Vec::with_capacity(bytes.min(BELIEVED_BYTES_MAX) + 1);
    // One byte more than there should be tells of too many.
    decoder.take(bytes as u64 + 1).read_to_end(&mut out)?;
    out.shrink_to_fit();
    if out.len() == bytes { Ok(out) } else { Err(std::io::ErrorKind::InvalidData.into()) }
}
