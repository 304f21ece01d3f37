//! Secrets of a JSON text: values whose keys say so, all below them, and values beside such a name.

use std::ops::Range;

use super::super::secrets::{is_harmless, is_like_a_token, is_plain, is_secret};
use super::holds_secret;
use super::xml::{is_name, is_value};

/// An object or a list that is open.
#[derive(Default)]
struct Open {
    is_object: bool,
    /// All in it is secret.
    secret: bool,
    key: String,
    /// What names it says so.
    named: bool,
    values: Vec<Range<usize>>,
}

/// Stands for a key that is no text: what it names is hidden.
const UNREADABLE_KEY: &str = "secret";

/// Where they stand; nothing where the text is no JSON.
pub(super) fn secrets(text: &str, is_strict: bool) -> Option<Vec<Range<usize>>> {
    // What a parser does not take is masked line by line.
    serde_json::from_str::<serde::de::IgnoredAny>(text.trim_start_matches('\u{feff}')).ok()?;
    let bytes = text.as_bytes();
    let (mut found, mut stack, mut at): (Vec<Range<usize>>, Vec<Open>, usize) =
        (Vec::new(), Vec::new(), 0);
    let mut is_key = false;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'{' | b'[' => {
                let above = stack.last();
                let secret = above
                    .is_some_and(|open| open.secret || (open.is_object && is_secret(&open.key)));
                stack.push(Open { is_object: *byte == b'{', secret, ..Open::default() });
                is_key = *byte == b'{';
            }
            b'}' | b']' => {
                if let Some(open) = stack.pop().filter(|open| open.named) {
                    found.extend(open.values);
                }
                is_key = false;
            }
            b',' => is_key = stack.last().is_some_and(|open| open.is_object),
            b':' => is_key = false,
            b'"' => {
                while let Some(inner) = bytes.get(at) {
                    at += match inner {
                        b'\\' => 2,
                        _ => 1,
                    };
                    if *inner == b'"' {
                        break;
                    }
                }
                // `"\u0041piKey"` is a key like any other.
                let plain = spoken(text.get(start..at).unwrap_or_default());
                let Some(open) = stack.last_mut() else { continue };
                if is_key {
                    if is_strict && plain.as_deref().is_none_or(is_like_a_token) {
                        found.push(start..at);
                    }
                    open.key = plain.unwrap_or_else(|| UNREADABLE_KEY.to_owned());
                } else {
                    open.named |= open.is_object
                        && is_name(&open.key)
                        && plain.is_none_or(|plain| is_secret(&plain));
                    value(text, open, start..at, is_strict, &mut found);
                }
            }
            b'-' | b'0'..=b'9' | b'a'..=b'z' => {
                while bytes.get(at).is_some_and(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')
                }) {
                    at += 1;
                }
                if let Some(open) = stack.last_mut() {
                    value(text, open, start..at, is_strict, &mut found);
                }
            }
            _ => {}
        }
    }
    Some(found)
}

/// What a string with its quotes says; nothing where it is no text, such as half of a pair of code
/// units.
fn spoken(quoted: &str) -> Option<String> {
    serde_json::from_str(quoted).ok()
}

fn value(
    text: &str,
    open: &mut Open,
    range: Range<usize>,
    is_strict: bool,
    found: &mut Vec<Range<usize>>,
) {
    let word = text.get(range.clone()).unwrap_or_default().trim_matches('"');
    // What stands in it may be JSON or XML itself.
    let raw = text.get(range.clone()).unwrap_or_default();
    let inner = if raw.starts_with('"') { spoken(raw) } else { Some(String::new()) };
    // What cannot be decoded cannot be looked into either.
    if inner.is_none_or(|inner| holds_secret(&inner))
        || open.secret
        || (is_strict && !is_plain(&open.key, word))
        || (open.is_object && is_secret(&open.key) && !is_harmless(&open.key, word))
    {
        found.push(range);
    } else if open.is_object && is_value(&open.key) {
        open.values.push(range);
    }
}
