//! `--patch`: what changed inside a file. Lines of texts, width and height of pictures.

use similar::{ChangeTag, TextDiff};

use crate::manifest::{Kind, display};
use crate::ops::{self, Change, ChangeKind, Contents, HIDDEN, image_word_of_file, is_secret};

use super::super::render;

/// Larger texts are not compared line by line, in bytes.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Width and height before and after.
pub type Dimensions = (Option<(usize, usize)>, Option<(usize, usize)>);

/// Sizes of a picture on both sides; nothing for what is no picture.
pub fn dimensions(change: &Change, before: &mut Contents<'_>, after: &mut Contents<'_>) -> Result<Option<Dimensions>, ops::Error> {
    let name = String::from_utf8_lossy(crate::manifest::file_name(change.path())).into_owned();
    if image_word_of_file(&name).is_none() || matches!(change.kind, ChangeKind::Metadata | ChangeKind::Moved) {
        return Ok(None);
    }
    let of = |entry: &Option<crate::manifest::Entry>, contents: &mut Contents<'_>| match entry {
        Some(entry) if matches!(entry.kind, Kind::File { .. }) => contents.dimensions(entry),
        _ => Ok(None),
    };
    let found = (of(&change.before, before)?, of(&change.after, after)?);
    Ok((found != (None, None)).then_some(found))
}

/// "320 × 180 → 640 × 360".
pub fn dimension_words(dimensions: Dimensions) -> String {
    let one = |size: Option<(usize, usize)>| size.map(|(width, height)| format!("{width} × {height}"));
    match (one(dimensions.0), one(dimensions.1)) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after} pixels"),
        (Some(size), _) | (None, Some(size)) => format!("{size} pixels"),
        (None, None) => String::new(),
    }
}

/// A unified diff of a text; nothing for what is none, did not change inside, or is too large.
pub fn unified(change: &Change, before: &mut Contents<'_>, after: &mut Contents<'_>) -> Result<Option<String>, ops::Error> {
    if matches!(change.kind, ChangeKind::Metadata | ChangeKind::Moved) {
        return Ok(None);
    }
    let text = |entry: &Option<crate::manifest::Entry>, contents: &mut Contents<'_>| -> Result<Option<String>, ops::Error> {
        match entry {
            None => Ok(Some(String::new())),
            Some(entry) if !matches!(entry.kind, Kind::File { .. }) || entry.size() > TEXT_BYTES_MAX => Ok(None),
            Some(entry) => {
                let bytes = contents.read(entry, TEXT_BYTES_MAX)?;
                Ok(if bytes.contains(&0) { None } else { String::from_utf8(bytes).ok() })
            }
        }
    };
    let (Some(old), Some(new)) = (text(&change.before, before)?, text(&change.after, after)?) else { return Ok(None) };
    if old == new {
        return Ok(None);
    }
    let name = |entry: &Option<crate::manifest::Entry>, side: &str| {
        entry.as_ref().map_or_else(|| "/dev/null".to_owned(), |entry| format!("{side}/{}", display(&entry.path)))
    };
    let mut out = format!("--- {}\n+++ {}\n", name(&change.before, "a"), name(&change.after, "b"));
    let diff = TextDiff::from_lines(&old, &new);
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push_str(&format!("{}\n", hunk.header()));
        for line in hunk.iter_changes() {
            let mark = match line.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let text = line.value().trim_end_matches(['\n', '\r']);
            out.push_str(&format!("{mark}{}\n", clean(&hide(text))));
            if line.missing_newline() {
                out.push_str("\\ No newline at end of file\n");
            }
        }
    }
    Ok(Some(out))
}

/// A line without the values of secrets: of an XML element, or behind a key of JSON or of an INI file.
fn hide(line: &str) -> String {
    if let Some(start) = line.find('<')
        && let Some((name, rest)) = line.get(start + 1..).and_then(|rest| rest.split_once('>'))
        && is_secret(name.split_whitespace().next().unwrap_or(name).trim_start_matches('/'))
        && !name.starts_with('/')
    {
        let end = rest.rfind("</").and_then(|at| rest.get(at..)).unwrap_or_default();
        return format!("{}<{name}>{HIDDEN}{end}", line.get(..start).unwrap_or_default());
    }
    let mut out = line.to_owned();
    // Several keys may stand on one line of JSON: from the last on, so that places before stay right.
    let marks: Vec<usize> = line.match_indices([':', '=']).map(|(at, _)| at).collect();
    for at in marks.into_iter().rev() {
        let key = line.get(..at).unwrap_or_default().trim_end().trim_end_matches('"');
        let key = key.rsplit(['"', '{', ',', ' ', '<', ';']).next().unwrap_or(key);
        if !is_secret(key) {
            continue;
        }
        let value = line.get(at + 1..).unwrap_or_default();
        let lead = value.len() - value.trim_start().len();
        let value = value.trim_start();
        let len = match value.strip_prefix('"') {
            Some(quoted) => quoted.find('"').map_or(value.len(), |end| end + 2),
            None => value.find([',', '}', ' ', '>']).unwrap_or(value.len()),
        };
        let from = at + 1 + lead;
        if value.get(..len).is_some_and(|value| !matches!(value, "" | "null" | "true" | "false" | "\"\"")) {
            out.replace_range(from..from + len, HIDDEN);
        }
    }
    out
}

/// Without what a terminal would take for an order.
fn clean(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The line that says a picture's sizes.
pub fn picture_line(change: &Change, dimensions: Dimensions) -> String {
    let bytes = |entry: &Option<crate::manifest::Entry>| entry.as_ref().map_or_else(|| "nothing".to_owned(), |entry| render::size(entry.size()));
    format!("{}: {}, {} → {}\n", display(change.path()), dimension_words(dimensions), bytes(&change.before), bytes(&change.after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_in_lines_of_every_kind() {
        assert_eq!(hide("  <CertificatePassword>s3cret</CertificatePassword>"), "  <CertificatePassword>(secret)</CertificatePassword>");
        assert_eq!(hide("{\"Name\":\"x\",\"ApiKey\":\"abc\",\"Days\":3}"), "{\"Name\":\"x\",\"ApiKey\":(secret),\"Days\":3}");
        assert_eq!(hide("  \"access_token\" : \"abc\","), "  \"access_token\" : (secret),");
        assert_eq!(hide("password = hunter2"), "password = (secret)");
        assert_eq!(hide("  <Days>5</Days>"), "  <Days>5</Days>");
        assert_eq!(hide("<a Token=\"x\" b=\"c\">"), "<a Token=(secret) b=\"c\">");
    }
}
