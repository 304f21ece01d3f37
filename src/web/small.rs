//! Small versions of JPEG pictures, so that a page of posters does not load megabytes. They are kept
//! in memory only: an encrypted repository must leave nothing readable on the disk. Other kinds are
//! shown whole, because their decoders cannot be held to a limit of memory.

use std::collections::{HashMap, VecDeque};
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{DynamicImage, ImageDecoder};

/// The widths that pages ask for, in pixels.
pub const WIDTHS: [u32; 3] = [160, 320, 640];
/// Bytes of small pictures that are kept.
const KEPT_BYTES: usize = 16 << 20;
/// Larger files are shown whole.
pub const FILE_BYTES_MAX: usize = 8 << 20;
/// So are pictures with more pixels: a decoder takes up to twelve bytes for each.
const PIXELS_MAX: u64 = 9 << 20;
/// Marks metadata in several parts. The decoder puts them together again and again, which takes
/// hours for a file that was made for that.
const PARTED_METADATA: &[u8] = b"http://ns.adobe.com/xmp/extension/";
/// How a JPEG begins.
const JPEG_HEAD: &[u8] = b"\xff\xd8\xff";
/// Counted for a picture that stays as it is, in bytes.
const WHOLE_BYTES: usize = 256;
const QUALITY: u8 = 82;

/// Small pictures that were made before, by content and width.
#[derive(Default)]
pub struct Smalls(Mutex<Kept>);

/// A picture that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Small {
    /// As small as was wanted.
    Made(Bytes),
    /// Better shown as it is.
    Whole,
}

impl Small {
    fn bytes(&self) -> usize {
        match self {
            Small::Made(bytes) => bytes.len(),
            Small::Whole => WHOLE_BYTES,
        }
    }
}

#[derive(Default)]
struct Kept {
    pictures: HashMap<(String, u32), Small>,
    /// The oldest first.
    order: VecDeque<(String, u32)>,
    bytes: usize,
}

impl Smalls {
    /// A picture that was looked at before.
    pub fn get(&self, key: &(String, u32)) -> Option<Small> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pictures.get(key).cloned()
    }

    /// Keeps a picture; the oldest ones make room.
    pub fn keep(&self, key: (String, u32), picture: Small) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += picture.bytes();
        if let Some(same) = kept.pictures.insert(key.clone(), picture) {
            kept.bytes -= same.bytes();
        } else {
            kept.order.push_back(key);
        }
        while kept.bytes > KEPT_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.bytes -= kept.pictures.remove(&oldest).map_or(0, |picture| picture.bytes());
        }
    }
}

/// A picture of this width. [`Small::Whole`] if it is not a JPEG, is small already, damaged or too
/// large.
pub fn smaller(bytes: &[u8], width: u32) -> Small {
    let made = made(bytes, width).filter(|made| made.len() < bytes.len());
    made.map_or(Small::Whole, |made| Small::Made(made.into()))
}

fn made(bytes: &[u8], width: u32) -> Option<Vec<u8>> {
    let is_parted = || bytes.windows(PARTED_METADATA.len()).any(|part| part == PARTED_METADATA);
    if bytes.len() > FILE_BYTES_MAX || !bytes.starts_with(JPEG_HEAD) || is_parted() {
        return None;
    }
    let mut decoder = JpegDecoder::new(Cursor::new(bytes)).ok()?;
    let (wide, high) = decoder.dimensions();
    if wide <= width || u64::from(wide) * u64::from(high) > PIXELS_MAX {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture: DynamicImage = DynamicImage::from_decoder(decoder).ok()?.into_rgb8().into();
    picture.apply_orientation(orientation);
    let (wide, high) = (picture.width(), picture.height());
    let height = (u64::from(width) * u64::from(high)).div_ceil(u64::from(wide.max(1)));
    let height = u32::try_from(height).ok().filter(|height| *height <= high)?;
    let small = image::imageops::thumbnail(picture.as_rgb8()?, width, height);
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&small).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, ImageFormat, Rgb, RgbImage};

    use super::*;

    fn written(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.into().write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    /// The left half is red, the right one blue, and all of it is noisy.
    fn poster(wide: u32, high: u32) -> RgbImage {
        RgbImage::from_fn(wide, high, |x, y| {
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) as u8 / 8;
            if x * 2 < wide { Rgb([200, 10, noise]) } else { Rgb([noise, 10, 200]) }
        })
    }

    fn decoded(small: Small) -> RgbImage {
        let Small::Made(bytes) = small else { panic!("it was not made small") };
        image::load_from_memory(&bytes).unwrap().into_rgb8()
    }

    #[test]
    fn a_poster_becomes_small() {
        let small = decoded(smaller(&written(poster(1000, 1500), ImageFormat::Jpeg), 160));
        assert_eq!(small.dimensions(), (160, 240));
        let (left, right) = (small.get_pixel(20, 100), small.get_pixel(140, 100));
        assert!(left.0[0] > 150 && left.0[2] < 60 && right.0[2] > 150, "{left:?} {right:?}");
        let grey = written(
            GrayImage::from_fn(400, 200, |x, y| image::Luma([(x ^ y) as u8])),
            ImageFormat::Jpeg,
        );
        assert_eq!(decoded(smaller(&grey, 160)).dimensions(), (160, 80));
        // A line stays a line.
        let line = written(poster(4000, 1), ImageFormat::Jpeg);
        assert_eq!(decoded(smaller(&line, 160)).dimensions(), (160, 1));
    }

    #[test]
    fn what_is_small_or_no_jpeg_stays_as_it_is() {
        assert_eq!(smaller(&written(poster(160, 90), ImageFormat::Jpeg), 160), Small::Whole);
        assert_eq!(smaller(&written(poster(400, 200), ImageFormat::Png), 160), Small::Whole);
        for broken in [&b""[..], b"\xff\xd8\xff", b"<svg/>", b"RIFF\0\0\0\0WEBPVP8 "] {
            assert_eq!(smaller(broken, 160), Small::Whole);
        }
    }

    #[test]
    fn what_would_take_much_memory_or_time_is_not_decoded() {
        let of_size = |wide, high| written(GrayImage::new(wide, high), ImageFormat::Jpeg);
        let most = (PIXELS_MAX / 4096) as u32;
        let fits = of_size(4096, most);
        assert_eq!(decoded(smaller(&fits, 160)).width(), 160);
        assert_eq!(smaller(&of_size(4096, most + 1), 160), Small::Whole);
        // Metadata in parts, and a file that is too long: both behind a picture that would do.
        let parted = [&fits[..2], b"\xff\xe1\0\x24", PARTED_METADATA, &fits[2..]].concat();
        assert_eq!(smaller(&parted, 160), Small::Whole);
        let long = [fits.as_slice(), &vec![0; FILE_BYTES_MAX]].concat();
        assert_eq!(smaller(&long, 160), Small::Whole);
    }

    #[test]
    fn damaged_pictures_are_no_end_of_the_service() {
        let whole = written(poster(400, 600), ImageFormat::Jpeg);
        let is_answered = |small| match small {
            Small::Made(bytes) => bytes.starts_with(JPEG_HEAD),
            Small::Whole => true,
        };
        for at in (0..whole.len()).step_by(whole.len() / 500) {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            assert!(is_answered(smaller(&broken, 160)) && is_answered(smaller(&whole[..at], 160)));
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let smalls = Smalls::default();
        let picture = Small::Made(vec![0; KEPT_BYTES / 4].into());
        for number in 0..6 {
            smalls.keep((number.to_string(), 160), picture.clone());
            smalls.keep((number.to_string(), 160), picture.clone());
        }
        let kept: Vec<bool> =
            (0..6).map(|number| smalls.get(&(number.to_string(), 160)).is_some()).collect();
        assert_eq!(kept, [false, false, true, true, true, true]);
        for number in 0..100_000 {
            smalls.keep((number.to_string(), 320), Small::Whole);
        }
        let kept = smalls.0.lock().unwrap();
        assert!(kept.bytes <= KEPT_BYTES && kept.pictures.len() <= KEPT_BYTES / WHOLE_BYTES);
    }
}
