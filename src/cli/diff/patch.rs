//! `--patch`: what changed inside a file. Lines of texts, width and height of pictures.

use similar::{ChangeTag, TextDiff};

use crate::manifest::{Kind, display};
use crate::ops::{self, Change, ChangeKind, Contents, image_word_of_file, lines_without_secrets};

use super::super::render;

/// Larger texts are not compared line by line, in bytes.
const TEXT_BYTES_MAX: u64 = 4 << 20;

/// Width and height before and after.
pub type Dimensions = (Option<(usize, usize)>, Option<(usize, usize)>);

/// Sizes of a picture on both sides; nothing for what is no picture.
pub fn dimensions(
    change: &Change,
    before: &mut Contents<'_>,
    after: &mut Contents<'_>,
) -> Result<Option<Dimensions>, ops::Error> {
    let name = String::from_utf8_lossy(crate::manifest::file_name(change.path())).into_owned();
    if image_word_of_file(&name).is_none()
        || matches!(change.kind, ChangeKind::Metadata | ChangeKind::Moved)
    {
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
    let one =
        |size: Option<(usize, usize)>| size.map(|(width, height)| format!("{width} × {height}"));
    match (one(dimensions.0), one(dimensions.1)) {
        (Some(before), Some(after)) if before != after => format!("{before} → {after} pixels"),
        (Some(size), _) | (None, Some(size)) => format!("{size} pixels"),
        (None, None) => String::new(),
    }
}

/// How long lines are looked for that two texts have in common; then the rest counts as replaced.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// A unified diff of a text; nothing for what is none, did not change inside, or is too large.
pub fn unified(
    change: &Change,
    before: &mut Contents<'_>,
    after: &mut Contents<'_>,
    shows_secrets: bool,
) -> Result<Option<String>, ops::Error> {
    if matches!(change.kind, ChangeKind::Metadata | ChangeKind::Moved) {
        return Ok(None);
    }
    let text = |entry: &Option<crate::manifest::Entry>,
                contents: &mut Contents<'_>|
     -> Result<Option<String>, ops::Error> {
        match entry {
            None => Ok(Some(String::new())),
            Some(entry)
                if !matches!(entry.kind, Kind::File { .. }) || entry.size() > TEXT_BYTES_MAX =>
            {
                Ok(None)
            }
            Some(entry) => {
                let bytes = contents.read(entry, TEXT_BYTES_MAX)?;
                Ok(if bytes.contains(&0) { None } else { String::from_utf8(bytes).ok() })
            }
        }
    };
    let (Some(old), Some(new)) = (text(&change.before, before)?, text(&change.after, after)?)
    else {
        return Ok(None);
    };
    if old == new {
        return Ok(None);
    }
    let name = |entry: &Option<crate::manifest::Entry>, side: &str| {
        entry.as_ref().map_or_else(
            || "/dev/null".to_owned(),
            |entry| format!("{side}/{}", display(&entry.path)),
        )
    };
    let mut out = format!("--- {}\n+++ {}\n", name(&change.before, "a"), name(&change.after, "b"));
    // Compared as they are, shown without their secrets: so that one that changed is told, and not
    // what it is.
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&old, &new);
    let path = display(change.path());
    let lines = |text: &str| {
        if shows_secrets {
            text.split('\n').map(str::to_owned).collect()
        } else {
            lines_without_secrets(&path, text)
        }
    };
    let (old_shown, new_shown) = (lines(&old), lines(&new));
    for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
        out.push_str(&format!("{}\n", hunk.header()));
        for line in hunk.iter_changes() {
            let mark = match line.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let shown = match (line.old_index(), line.new_index()) {
                (_, Some(at)) => new_shown.get(at),
                (Some(at), None) => old_shown.get(at),
                (None, None) => None,
            };
            out.push_str(&format!(
                "{mark}{}\n",
                clean(shown.map_or("", |text| text.trim_end_matches('\r')))
            ));
            if line.missing_newline() {
                out.push_str("\\ No newline at end of file\n");
            }
        }
    }
    Ok(Some(out))
}

/// Without what a terminal would take for an order.
fn clean(line: &str) -> String {
    line.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// The line that says a picture's sizes.
pub fn picture_line(change: &Change, dimensions: Dimensions) -> String {
    let bytes = |entry: &Option<crate::manifest::Entry>| {
        entry.as_ref().map_or_else(|| "nothing".to_owned(), |entry| render::size(entry.size()))
    };
    format!(
        "{}: {}, {} → {}\n",
        display(change.path()),
        dimension_words(dimensions),
        bytes(&change.before),
        bytes(&change.after)
    )
}
