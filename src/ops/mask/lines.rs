//! Secrets in lines of any kind: all that stands behind a name that says so, and the deeper lines below it.

use super::super::secrets::{HIDDEN, is_harmless, is_secret};

/// The text with the rest of each line hidden behind a name that says so, and lines that belong to it.
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

/// Lines without what stands between the lines of a private key's armour, whatever the format around it.
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

/// Where the secret of a line begins: behind the first separator whose left side is a name that says so.
fn secret_from(line: &str) -> Option<usize> {
    let separators = line.match_indices([':', '=', '>']);
    for (at, separator) in separators {
        let name = line.get(..at)?.trim_end().trim_end_matches(['"', '\'']);
        let name = name.rsplit(['"', '\'', '{', ',', ' ', '<', ';', '\t', '[', '&', '?', '=', ':', '>']).next().unwrap_or(name);
        let value = line.get(at + separator.len()..).unwrap_or_default();
        let value = value.split("</").next().unwrap_or_default().trim_matches(['"', '\'', ',', ';', ' ', '\t', '\r', '{', '}']);
        if is_secret(name) && (value.is_empty() || !is_harmless(name, value)) {
            return Some(at + separator.len());
        }
    }
    None
}
