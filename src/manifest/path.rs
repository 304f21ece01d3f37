//! Paths inside a snapshot: bytes with `/` between components, no leading `/`, compared component
//! by component.

use std::cmp::Ordering;
use std::fmt::Write;

use crate::limits::PATH_BYTES_MAX;

/// Component order: a directory's contents follow it at once, before any sibling whose name
/// continues its own (`a`, `a/x`, `a.b`).
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // Most that are compared begin alike: sixteen bytes at once.
    let alike =
        a.as_chunks::<16>().0.iter().zip(b.as_chunks::<16>().0).take_while(|(x, y)| x == y).count()
            * 16;
    let (a, b) = (a.get(alike..).unwrap_or_default(), b.get(alike..).unwrap_or_default());
    let differ = a.iter().zip(b).position(|(x, y)| x != y);
    match differ.and_then(|at| Some((*a.get(at)?, *b.get(at)?))) {
        // `/` sorts below every byte that a name can hold.
        Some((b'/', _)) => Ordering::Less,
        Some((_, b'/')) => Ordering::Greater,
        Some((x, y)) => x.cmp(&y),
        None => a.len().cmp(&b.len()),
    }
}

/// Whether the bytes are a path that may be written below a target: no empty, `.` or `..`
/// component, no NUL, not too long.
pub fn is_valid(path: &[u8]) -> bool {
    if path.len() > PATH_BYTES_MAX || path.contains(&0) {
        return false;
    }
    // Nearly none has a component that begins with a dot, or is empty: looked for without a branch,
    // many bytes at once. Behind an empty path there is nothing, and it is not plain.
    let behind = path.get(1..).unwrap_or_default();
    let is_odd = |slash: u8, next: u8| (slash == b'/') & ((next == b'/') | (next == b'.'));
    let has_odd =
        path.iter().zip(behind).fold(false, |found, (slash, next)| found | is_odd(*slash, *next));
    let is_plain =
        !has_odd && !matches!(path.first(), None | Some(b'/' | b'.')) && path.last() != Some(&b'/');
    is_plain || path.split(|b| *b == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Whether `path` is `folder` or lies below it; everything lies below the empty path.
pub fn is_within(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty()
        || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The path above; nothing above a path of one component.
pub fn parent(path: &[u8]) -> Option<&[u8]> {
    path.iter().rposition(|b| *b == b'/').and_then(|at| path.get(..at))
}

/// The last component.
pub fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

/// For people: UTF-8 as it is, control characters and other bytes as `\xNN`, and so is a backslash
/// that would look like the begin of one. [`typed_path`] turns it back.
pub fn display(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path.utf8_chunks() {
        for (at, c) in part.valid().char_indices() {
            if c.is_control() || escape(part.valid().as_bytes(), at).is_some() {
                let mut bytes = [0; 4];
                c.encode_utf8(&mut bytes).bytes().for_each(|b| push_escape(&mut out, b));
            } else {
                out.push(c);
            }
        }
        part.invalid().iter().for_each(|b| push_escape(&mut out, *b));
    }
    out
}

fn push_escape(out: &mut String, byte: u8) {
    crate::tolerate(write!(out, "\\x{byte:02x}"));
}

/// The byte that `\xNN` at a place of a text stands for.
fn escape(text: &[u8], at: usize) -> Option<u8> {
    let hex = text.get(at..at + 4)?.strip_prefix(b"\\x")?;
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(hex.first()?)? * 16 + digit(hex.get(1)?)?).ok()
}

/// A path as the user types it, or as [`display`] shows it: `\xNN` stands for a byte.
pub fn typed_path(path: &str) -> Vec<u8> {
    let bytes = path.strip_prefix("./").unwrap_or(path).trim_matches('/').as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = escape(bytes, at);
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 4 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_component() {
        let mut paths: Vec<&[u8]> = vec![b"a.b", b"a/x", b"a", b"b", b"a/x/y", b"a-b", b"a/x.y"];
        paths.sort_by(|a, b| compare(a, b));
        assert_eq!(paths, [b"a".as_slice(), b"a/x", b"a/x/y", b"a/x.y", b"a-b", b"a.b", b"b"]);
    }

    #[test]
    fn paths_that_could_leave_a_target_are_not_valid() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "a/./b", "a\0b"] {
            assert!(!is_valid(bad.as_bytes()), "{bad:?}");
        }
        for good in ["a", "..a", "a..", "...", "a/..b/c", "-rf", "a\nb"] {
            assert!(is_valid(good.as_bytes()), "{good:?}");
        }
        // All paths of up to seven of these bytes, against what is meant.
        let mut paths = vec![Vec::new()];
        for _ in 0..7 {
            paths = paths
                .iter()
                .flat_map(|path: &Vec<u8>| {
                    b"/.a\0".iter().map(move |byte| [path.as_slice(), &[*byte]].concat())
                })
                .collect();
            for path in &paths {
                let meant = !path.contains(&0)
                    && path
                        .split(|byte| *byte == b'/')
                        .all(|part| !part.is_empty() && part != b"." && part != b"..");
                assert_eq!(is_valid(path), meant, "{path:?}");
            }
        }
    }

    #[test]
    fn odd_names_are_shown_without_control_characters() {
        assert_eq!(display(b"a\nb\xff \xc3\x96"), "a\\x0ab\\xff Ö");
        assert_eq!(display(br"C:\x \x4 \x41 \xZZ"), r"C:\x \x4 \x5cx41 \xZZ");
        assert_eq!(typed_path("/config/"), b"config");
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_can_be_typed(path in "([^/]|\\\\x[0-9a-fA-F]{0,3}|/[a-z]){1,8}", ends in proptest::collection::vec(1u8..47, 0..4)) {
            let path = [b"a", path.as_bytes(), &ends, &[0xff], &ends].concat();
            proptest::prop_assert_eq!(typed_path(&display(&path)), path);
        }
    }
}
