//! Names that come from elsewhere (tags of media, clients, files): no order for a terminal, no line
//! of their own, no end that never comes.

/// Longer names are cut, in characters.
const NAME_CHARS: usize = 200;

/// A name as it may be shown.
pub fn clean_name(name: &str) -> String {
    // Control characters, and those that turn the direction of what follows.
    let is_order = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out: String =
        name.chars().take(NAME_CHARS).map(|c| if is_order(c) { '\u{fffd}' } else { c }).collect();
    if name.chars().nth(NAME_CHARS).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_order_a_terminal_about_forge_a_line_or_go_on_for_ever() {
        assert_eq!(
            clean_name("E\x1b[31mvil\nremoved  everything"),
            "E\u{fffd}[31mvil\u{fffd}removed  everything"
        );
        assert_eq!(clean_name("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(clean_name("L’été, 25° Ödön"), "L’été, 25° Ödön");
        assert_eq!(clean_name(&"x".repeat(5000)).chars().count(), NAME_CHARS + 1);
    }
}
