//! What kind of content is this? Told by the content itself: magic bytes first, a short look or
//! trial where there are none.

/// How many bytes of a file are enough to tell its class.
pub const HEAD_BYTES: usize = 512;

/// The class of a file's content: where it is cut and whether it is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A SQLite database file.
    Sqlite,
    /// JPEG, PNG, video, archive: stored as it is, never tried.
    Compressed,
    /// Text and what else is small and compresses: many of them share an extent.
    Text,
    /// Anything else: compressed where a trial gains.
    Other,
}

/// (offset, magic) of formats that are compressed already.
const COMPRESSED: &[(usize, &[u8])] = &[
    (0, b"\xff\xd8\xff"),         // JPEG
    (0, b"\x89PNG\r\n\x1a\n"),    // PNG
    (0, b"GIF8"),                 // GIF
    (8, b"WEBP"),                 // WebP in RIFF
    (4, b"ftyp"),                 // MP4, AVIF, HEIC, M4A
    (0, b"\x1a\x45\xdf\xa3"),     // Matroska, WebM
    (0, b"PK\x03\x04"),           // zip
    (0, b"PK\x05\x06"),           // an empty zip
    (0, b"\x1f\x8b"),             // gzip
    (0, b"\x28\xb5\x2f\xfd"),     // zstd
    (0, b"\xfd7zXZ\0"),           // xz
    (0, b"7z\xbc\xaf\x27\x1c"),   // 7-Zip
    (0, b"BZh"),                  // bzip2
    (0, b"Rar!\x1a\x07"),         // RAR
    (0, b"wOFF"),                 // WOFF
    (0, b"wOF2"),                 // WOFF2
    (0, b"OggS"),                 // Ogg
    (0, b"fLaC"),                 // FLAC
    (0, b"ID3"),                  // MP3
    (0, b"\xff\xfb"),             // MP3 without a tag
    (0, b"\x00\x00\x00\x0cJXL "), // JPEG XL
    (0, b"\xff\x0a"),             // JPEG XL, bare
];

impl Class {
    /// The class of a file that begins with `head` (up to [`HEAD_BYTES`]).
    pub fn of(head: &[u8]) -> Class {
        if sqlite_page_bytes(head).is_some() {
            Class::Sqlite
        } else if COMPRESSED
            .iter()
            .any(|(at, magic)| head.get(*at..*at + magic.len()) == Some(magic))
        {
            Class::Compressed
        } else if looks_like_text(head) {
            Class::Text
        } else {
            Class::Other
        }
    }
}

/// Whether a head reads as text: no NUL, few other control bytes.
fn looks_like_text(head: &[u8]) -> bool {
    // Counted without branches, so that the compiler takes many bytes at once.
    let (odd, nul) = head.iter().fold((0usize, false), |(odd, nul), b| {
        (odd + usize::from(*b < 9) + usize::from(b.wrapping_sub(14) < 18), nul | (*b == 0))
    });
    !nul && odd * 64 <= head.len()
}

/// The page size in bytes that a SQLite header names (SQLite file format, section 1.3.2), if this
/// is such a header.
pub fn sqlite_page_bytes(head: &[u8]) -> Option<u32> {
    let size = head.strip_prefix(b"SQLite format 3\0")?.get(..2)?;
    match u32::from(u16::from_be_bytes([*size.first()?, *size.get(1)?])) {
        1 => Some(65_536),
        bytes @ 512..=32_768 if bytes.is_power_of_two() => Some(bytes),
        _ => None,
    }
}

/// Whether compressing gains at least 3 % on the first 16 KiB of `bytes`.
pub fn gains(bytes: &[u8], compressor: &mut zstd::bulk::Compressor<'_>) -> bool {
    let sample = bytes.get(..16 << 10).unwrap_or(bytes);
    compressor.compress(sample).is_ok_and(|out| out.len() * 100 <= sample.len() * 97)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_is_told_by_content_not_by_name() {
        assert_eq!(Class::of(b"\xff\xd8\xff\xe0rest"), Class::Compressed);
        assert_eq!(Class::of(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Class::Compressed);
        assert_eq!(Class::of("<?xml version=\"1.0\"?><Ö/>".as_bytes()), Class::Text);
        assert_eq!(Class::of(b"MZ\x90\0\x03\0\0\0"), Class::Other);
        assert_eq!(Class::of(b""), Class::Text);
    }

    #[test]
    fn a_sqlite_header_names_its_page_size_or_is_none() {
        let header = |size: [u8; 2]| [b"SQLite format 3\0".as_slice(), &size].concat();
        assert_eq!(sqlite_page_bytes(&header([0x10, 0])), Some(4096));
        assert_eq!(sqlite_page_bytes(&header([0, 1])), Some(65_536));
        assert_eq!(sqlite_page_bytes(&header([0x10, 1])), None);
        assert_eq!(sqlite_page_bytes(b"SQLite format 3\0"), None);
    }
}
