//! Small versions of pictures, so that a page of posters does not load megabytes. They are kept in
//! memory only: an encrypted repository must leave nothing readable on the disk.

use std::collections::{HashMap, VecDeque};
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};

/// The widths that pages ask for, in pixels.
pub const WIDTHS: [u32; 3] = [160, 320, 640];
/// Bytes of small pictures that are kept.
const KEPT_BYTES: usize = 16 << 20;
/// Pictures with more pixels are not made small, because they take too much memory.
const PIXELS_MAX: u64 = 16 << 20;
/// Bytes that a decoder may take.
const DECODER_BYTES_MAX: u64 = 80 << 20;
const QUALITY: u8 = 82;

/// Small pictures that were made before, by content and width.
#[derive(Default)]
pub struct Smalls(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    pictures: HashMap<(String, u32), Bytes>,
    /// The oldest first.
    order: VecDeque<(String, u32)>,
    bytes: usize,
}

impl Smalls {
    /// A picture that was made before.
    pub fn get(&self, key: &(String, u32)) -> Option<Bytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pictures.get(key).cloned()
    }

    /// Keeps a picture; the oldest ones make room.
    pub fn keep(&self, key: (String, u32), picture: Bytes) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += picture.len();
        if let Some(same) = kept.pictures.insert(key.clone(), picture) {
            kept.bytes -= same.len();
        } else {
            kept.order.push_back(key);
        }
        while kept.bytes > KEPT_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.bytes -= kept.pictures.remove(&oldest).map_or(0, |picture| picture.len());
        }
    }
}

/// A picture of this width as JPEG. `None` if it is better sent as it is: it is small, transparent,
/// of a kind that is not read here, damaged or too large.
pub fn smaller(bytes: &[u8], width: u32) -> Option<Vec<u8>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().ok()?;
    let (wide, high) = decoder.dimensions();
    if wide <= width || u64::from(wide) * u64::from(high) > PIXELS_MAX {
        return None;
    }
    let orientation = decoder.orientation().ok()?;
    let mut picture = opaque(DynamicImage::from_decoder(decoder).ok()?)?;
    picture.apply_orientation(orientation);
    let (wide, high) = (picture.width(), picture.height());
    let height = (u64::from(width) * u64::from(high)).div_ceil(u64::from(wide.max(1)));
    let small = image::imageops::thumbnail(
        picture.as_rgb8()?,
        width,
        u32::try_from(height).ok().filter(|height| *height <= high)?,
    );
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, QUALITY).encode_image(&small).ok()?;
    Some(out)
}

/// The picture with three bytes a pixel, if nothing of it is transparent.
fn opaque(picture: DynamicImage) -> Option<DynamicImage> {
    if !picture.color().has_alpha() {
        return Some(picture.into_rgb8().into());
    }
    let picture = picture.into_rgba8();
    let is_opaque = picture.pixels().all(|pixel| pixel.0[3] == u8::MAX);
    is_opaque.then(|| DynamicImage::from(picture).into_rgb8().into())
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

    use super::*;

    fn written(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn poster(wide: u32, high: u32) -> DynamicImage {
        RgbImage::from_fn(wide, high, |x, y| {
            // The left half is red, the right one blue.
            if x * 2 < wide { Rgb([200, 10, (y % 7) as u8]) } else { Rgb([10, 10, 200]) }
        })
        .into()
    }

    #[test]
    fn pictures_of_each_kind_become_small() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let small = smaller(&written(&poster(1000, 1500), format), 160).unwrap();
            let small = image::load_from_memory(&small).unwrap().into_rgb8();
            assert_eq!(small.dimensions(), (160, 240));
            let (left, right) = (small.get_pixel(20, 100), small.get_pixel(140, 100));
            assert!(left.0[0] > 150 && left.0[2] < 60 && right.0[2] > 150, "{left:?} {right:?}");
        }
    }

    #[test]
    fn what_is_small_transparent_or_no_picture_stays_as_it_is() {
        assert_eq!(smaller(&written(&poster(160, 9), ImageFormat::Png), 160), None);
        let mut logo = RgbaImage::from_pixel(400, 200, Rgba([1, 2, 3, 255]));
        assert!(smaller(&written(&logo.clone().into(), ImageFormat::Png), 160).is_some());
        logo.put_pixel(7, 7, Rgba([1, 2, 3, 254]));
        assert_eq!(smaller(&written(&logo.into(), ImageFormat::Png), 160), None);
        // A line stays a line.
        let line = smaller(&written(&poster(4000, 1), ImageFormat::Png), 160).unwrap();
        assert_eq!(image::load_from_memory(&line).unwrap().height(), 1);
        for broken in [&b""[..], b"\xff\xd8\xff", b"<svg/>", b"RIFF\0\0\0\0WEBPVP8 "] {
            assert_eq!(smaller(broken, 160), None);
        }
    }

    #[test]
    fn huge_pictures_are_not_decoded() {
        // A PNG of 60,000 × 60,000 pixels by its head alone.
        let mut head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        head.extend([0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60, 8, 2, 0, 0, 0]);
        head.extend(crc32fast::hash(&head[12..]).to_be_bytes());
        assert_eq!(smaller(&head, 160), None);
    }

    #[test]
    fn damaged_pictures_are_no_end_of_the_service() {
        let whole = written(&poster(400, 600), ImageFormat::Jpeg);
        for at in (0..whole.len()).step_by(97) {
            let mut broken = whole.clone();
            broken[at] ^= 0x55;
            // Whatever it is then, it is answered.
            let small = smaller(&broken, 160);
            assert!(small.is_none_or(|small| small.starts_with(b"\xff\xd8")));
            assert!(smaller(&whole[..at], 160).is_none_or(|small| small.starts_with(b"\xff\xd8")));
        }
    }

    #[test]
    fn the_oldest_make_room() {
        let smalls = Smalls::default();
        let picture = Bytes::from(vec![0; KEPT_BYTES / 4]);
        for number in 0..6 {
            smalls.keep((number.to_string(), 160), picture.clone());
            smalls.keep((number.to_string(), 160), picture.clone());
        }
        let kept: Vec<bool> =
            (0..6).map(|number| smalls.get(&(number.to_string(), 160)).is_some()).collect();
        assert_eq!(kept, [false, false, true, true, true, true]);
        assert!(smalls.0.lock().unwrap().bytes <= KEPT_BYTES);
    }
}
