//! The one way out for words: names, versions and messages come from files of anybody's, and must
//! not order a terminal about.

use std::borrow::Cow;
use std::io::{self, Write};

/// Longest text of one line of the user's own, in characters.
const ONE_LINE_CHARS: usize = 2_000;

/// Whether a character orders a terminal about, turns the direction of what follows, or begins a
/// line that nobody wrote.
fn is_order(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A text as it may be shown.
pub fn cleaned(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_order) {
        text.chars().map(|c| if is_order(c) { '\u{fffd}' } else { c }).collect::<String>().into()
    } else {
        text.into()
    }
}

/// A value that must stay on its line: a note, a name, a cause.
pub fn in_a_line(text: &str) -> String {
    cleaned(text)
        .chars()
        .map(|c| if matches!(c, '\n' | '\t') { ' ' } else { c })
        .take(ONE_LINE_CHARS)
        .collect()
}

/// Cleans whatever is written through it, a whole text at a time.
pub struct Clean<W>(pub W);

impl<W: Write> Write for Clean<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(cleaned(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_out_orders_a_terminal_about() {
        for (text, shown) in [
            ("a\u{1b}]0;PWNED\u{7}\u{1b}[2J", "a\u{fffd}]0;PWNED\u{fffd}\u{fffd}[2J"),
            ("\u{9b}31mred\r", "\u{fffd}31mred\u{fffd}"),
            (
                "a\u{61c}b\u{200b}\u{feff}\u{ad}\u{e0041}",
                "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("a\u{202e}b\u{2066}", "a\u{fffd}b\u{fffd}"),
            ("L’été\tx\n", "L’été\tx\n"),
        ] {
            assert_eq!(cleaned(text), shown);
            let mut out = Clean(Vec::new());
            out.write_all(text.as_bytes()).unwrap();
            assert_eq!(out.0, shown.as_bytes());
        }
        assert_eq!(in_a_line("one\nForged: two"), "one Forged: two");
    }
}
