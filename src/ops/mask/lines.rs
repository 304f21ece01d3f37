//! Secrets in lines of any kind: all that stands behind a name that says so, and the deeper lines
//! below it.

use super::super::secrets::{HIDDEN, is_harmless, is_plain, is_secret};

/// The text with the rest of each line hidden behind a name that says so, and lines that belong to
/// it.
pub(super) fn masked(text: &str) -> String {
    let mut out = Vec::new();
    // How deep the line stands whose value goes on below it.
    let mut below: Option<usize> = None;
    for line in text.split('\n') {
        let depth = line.len() - line.trim_start().len();
        if let Some(above) = below.filter(|_| !line.trim().is_empty()) {
            if depth > above || (depth == above && line.trim_start().starts_with("- ")) {
                out.push(format!("{}{HIDDEN}", line.get(..depth).unwrap_or_default()));
                continue;
            }
            below = None;
        }
        match secret_from(line) {
            Some(from) => {
                out.push(format!("{} {HIDDEN}", line.get(..from).unwrap_or_default()));
                below = Some(depth);
            }
            None => out.push(line.to_owned()),
        }
    }
    out.join("\n")
}

/// The text with everything hidden but names and what is plainly harmless.
pub(super) fn masked_but_plain(text: &str) -> String {
    let line = |line: &str| {
        let trimmed = line.trim();
        let is_section = trimmed.starts_with('[')
            && trimmed.ends_with(']')
            && !trimmed.contains(['=', ':', ',']);
        if trimmed.is_empty() || is_section || trimmed.chars().all(|c| c.is_ascii_punctuation()) {
            return line.to_owned();
        }
        match line.split_once([':', '=']) {
            Some((name, value))
                if is_plain(
                    name.trim().trim_matches('"'),
                    value.trim().trim_matches(['"', ',', ';']),
                ) =>
            {
                line.to_owned()
            }
            Some((name, _)) => format!(
                "{name}{} {HIDDEN}",
                line.get(name.len()..name.len() + 1).unwrap_or_default()
            ),
            None => HIDDEN.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// Lines without what stands between the lines of a private key's armour, whatever the format
/// around it.
pub(super) fn without_keys(text: &str) -> Vec<String> {
    let mut in_key = false;
    let line = |line: &str| {
        let begins = line.find("-----BEGIN ").filter(|_| line.contains("PRIVATE KEY"));
        let ends = line.rfind("-----END ");
        let was_in_key = in_key;
        in_key = (was_in_key || begins.is_some()) && ends.is_none();
        match (was_in_key, begins, ends) {
            (false, None, _) => line.to_owned(),
            (false, Some(from), _) => format!("{}{HIDDEN}", line.get(..from).unwrap_or_default()),
            (true, _, Some(from)) => line.get(from..).unwrap_or_default().to_owned(),
            (true, _, None) => HIDDEN.to_owned(),
        }
    };
    text.split('\n').map(line).collect()
}

/// Where the secret of a line begins: behind the first separator whose left side is a name that
/// says so.
fn secret_from(line: &str) -> Option<usize> {
    let separators = line.match_indices([':', '=', '>']);
    for (at, separator) in separators {
        let name = line.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let name = name
            .rsplit(['"', '\'', '{', ',', ' ', '<', ';', '\t', '[', '&', '?', '=', ':', '>'])
            .next()
            .unwrap_or(name);
        let may_be_key = name.eq_ignore_ascii_case("key") && *separator == *"=";
        if !may_be_key && !is_secret(name) {
            continue;
        }
        let value = beginning(line.get(at + separator.len()..).unwrap_or_default());
        let value = value
            .split("</")
            .next()
            .unwrap_or_default()
            .trim_matches(['"', '\'', ',', ';', ' ', '\t', '\r', '{', '}']);
        let is_key = may_be_key && is_word(value);
        if is_key || (is_secret(name) && (value.is_empty() || !is_harmless(name, value))) {
            return Some(at + separator.len());
        }
    }
    spoken_from(line)
}

/// The beginning of a value: nothing that is longer is harmless.
fn beginning(value: &str) -> &str {
    let end = value.char_indices().nth(VALUE_CHARS_MAX).map_or(value.len(), |(at, _)| at);
    value.get(..end).unwrap_or(value)
}

/// Characters of a value that are looked at.
const VALUE_CHARS_MAX: usize = 1_000;

/// Whether a value is one word that may be a key: no path, and not as short as a choice.
fn is_word(value: &str) -> bool {
    value.len() >= KEY_CHARS_MIN && !value.contains([' ', '/', '\\'])
}

/// Keys are no shorter.
const KEY_CHARS_MIN: usize = 8;

/// Where the secret begins that stands behind its name with a blank between, as in `.netrc` and in
/// the arguments of a program.
fn spoken_from(line: &str) -> Option<usize> {
    let mut at = 0;
    let mut is_next = false;
    for word in line.split_inclusive(char::is_whitespace) {
        let plain = word.trim().trim_matches(['"', '\'']);
        if is_next && !plain.is_empty() {
            return Some(at);
        }
        let is_argument = plain.starts_with("--") && !plain.contains('=');
        let last = plain.rsplit(['>', '"', '\'', ':', '=']).next().unwrap_or(plain);
        let is_short = ["password", "passwd", "passphrase", "secret", "token", "bearer"]
            .iter()
            .any(|word| [plain, last].iter().any(|plain| plain.eq_ignore_ascii_case(word)));
        // Prose speaks of passwords too; what is hidden there is no loss.
        is_next = (is_argument
            && (is_secret(plain.trim_start_matches('-')) || plain.eq_ignore_ascii_case("--key")))
            || is_short;
        at += word.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_gone_through_once_and_a_long_value_is_hidden() {
        let long = "<a>".repeat(300_000);
        assert_eq!(masked(&long), long);
        let secret = format!("{long}password: {}", "x ".repeat(5_000));
        assert!(masked(&secret).ends_with(HIDDEN) && masked(&secret).len() < secret.len() - 5_000);
    }
}
