//! Which names does some file system take for one? exFAT and SMB fold case, others normalise, or
//! drop a dot or blank at the end.

use unicode_normalization::UnicodeNormalization;

/// What is the same for names that some file system takes for one.
fn folded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for part in path.split(|byte| *byte == b'/') {
        let kept =
            part.len() - part.iter().rev().take_while(|byte| matches!(byte, b'.' | b' ')).count();
        let part = part.get(..kept).unwrap_or(part);
        match std::str::from_utf8(part) {
            Ok(text) if !text.is_ascii() => out.extend(
                text.nfkc()
                    .flat_map(char::to_uppercase)
                    .flat_map(char::to_lowercase)
                    .nfkc()
                    .collect::<String>()
                    .bytes(),
            ),
            _ => out.extend(part.iter().map(u8::to_ascii_lowercase)),
        }
        out.push(b'/');
    }
    out
}

/// A number that is the same for paths that some file system takes for one.
pub(super) fn key(path: &[u8]) -> u64 {
    let hash = blake3::hash(&folded(path));
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_file_system_takes_for_one_have_one_key() {
        for (one, other) in [
            ("Poster.jpg", "poster.JPG"),
            ("People/Z/Zoë", "people/z/Zoe\u{308}"),
            ("Straße", "STRASSE"),
            ("a./b", "a/b "),
            ("ﬁlm", "film"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        ] {
            assert_eq!(key(one.as_bytes()), key(other.as_bytes()), "{one} {other}");
        }
        for (one, other) in
            [("a/bc", "ab/c"), ("poster.jpg", "poster.png"), (".hidden", "hidden"), ("Zoë", "Zoe")]
        {
            assert_ne!(key(one.as_bytes()), key(other.as_bytes()), "{one} {other}");
        }
        assert_ne!(key(b"\xff"), key(b"\xfe"));
    }
}
