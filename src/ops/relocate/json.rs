//! The strings of a JSON text, replaced one by one; all else stays byte for byte.

use serde::de::IgnoredAny;

use crate::archive::push_string;

/// The text with new values in place of those strings for which `replace` has one. Names of members
/// are no values. Nothing where all stay; an error where the text is no JSON.
pub(super) fn replace_strings(
    json: &str,
    mut replace: impl FnMut(&str) -> Option<String>,
) -> Result<Option<String>, serde_json::Error> {
    let _: IgnoredAny = serde_json::from_str(json)?;
    let (mut out, mut copied, mut at) = (Vec::new(), 0, 0);
    let bytes = json.as_bytes();
    while let Some(begin) = bytes
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == b'"'))
        .map(|found| at + found)
    {
        let end = end_of_string(bytes, begin);
        at = end;
        let is_name =
            bytes.get(end..).into_iter().flatten().find(|byte| !byte.is_ascii_whitespace())
                == Some(&b':');
        let Some(literal) = json.get(begin..end).filter(|_| !is_name) else { continue };
        let value: String = serde_json::from_str(literal)?;
        if let Some(new) = replace(&value) {
            out.extend_from_slice(bytes.get(copied..begin).unwrap_or_default());
            push_as(&mut out, &new, literal);
            copied = end;
        }
    }
    if copied == 0 {
        return Ok(None);
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Ok(String::from_utf8(out).ok())
}

/// The place behind a string's closing quote.
fn end_of_string(bytes: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    loop {
        match bytes.get(at) {
            Some(b'\\') => at += 2,
            Some(b'"') | None => return (at + 1).min(bytes.len()),
            Some(_) => at += 1,
        }
    }
}

/// Escaped as the old one was: as .NET does unless told otherwise, or only where JSON demands it.
fn push_as(out: &mut Vec<u8>, new: &str, old: &str) {
    let is_relaxed = old
        .bytes()
        .any(|byte| !byte.is_ascii() || matches!(byte, b'\'' | b'<' | b'>' | b'&' | b'+' | b'`'));
    match serde_json::to_string(new) {
        Ok(relaxed) if is_relaxed => out.extend(relaxed.bytes()),
        _ => push_string(out, new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_all_else_stays() {
        let replace =
            |text: &str| text.strip_prefix("/media").map(|rest| format!("/mnt/A & \"B\"{rest}"));
        let json =
            r#"{ "/media/name" : ["/media/\u00C4\u0026",1.50,{"a":"x\"/media"}], "b":"/media" }"#;
        let new = replace_strings(json, replace).unwrap().unwrap();
        assert_eq!(
            new,
            r#"{ "/media/name" : ["/mnt/A \u0026 \u0022B\u0022/\u00C4\u0026",1.50,{"a":"x\"/media"}], "b":"/mnt/A \u0026 \u0022B\u0022" }"#
        );
        assert_eq!(
            replace_strings(r#"["/media/Ä"]"#, replace).unwrap().unwrap(),
            r#"["/mnt/A & \"B\"/Ä"]"#
        );
        assert_eq!(replace_strings(r#"{"a":1}"#, replace).unwrap(), None);
        assert!(replace_strings("{\"a\":", replace).is_err());
    }
}
