//! `--patch`: what changed inside a file. Lines of texts, width and height of pictures.

use std::ops::Range;
use std::time::{Duration, Instant};

use similar::algorithms::{Capture, Compact, Replace, myers};
use similar::{DiffOp, DiffTag, group_diff_ops};

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
const PATIENCE: Duration = Duration::from_secs(5);
/// Lines that are shown around a change.
const CONTEXT: usize = 3;

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
    let path = display(change.path());
    let side = |text: &str| Side {
        shown: if shows_secrets {
            text.split('\n').map(str::to_owned).collect()
        } else {
            lines_without_secrets(&path, text)
        },
        lines: text.split_inclusive('\n').count(),
        ends: text.ends_with('\n'),
    };
    let sides = (side(&old), side(&new));
    for hunk in group_diff_ops(lines_that_differ(&old, &new), CONTEXT) {
        write_hunk(&hunk, &sides, &mut out);
    }
    Ok(Some(out))
}

/// What became of the lines of a text.
fn lines_that_differ(old: &str, new: &str) -> Vec<DiffOp> {
    let lines = |text| str::split_inclusive(text, '\n').collect::<Vec<_>>();
    let (old, new) = (lines(old), lines(new));
    let (old, new) = (old.as_slice(), new.as_slice());
    let mut found = Compact::new(Replace::new(Capture::new()), old, new);
    let until = Instant::now() + PATIENCE;
    let Ok(()) =
        myers::diff_deadline(&mut found, old, 0..old.len(), new, 0..new.len(), Some(until));
    found.into_inner().into_inner().into_ops()
}

/// One side of a comparison as it is shown.
struct Side {
    shown: Vec<String>,
    lines: usize,
    /// Whether its last line ends with a line break.
    ends: bool,
}

impl Side {
    fn write(&self, mark: char, lines: Range<usize>, out: &mut String) {
        for at in lines {
            let text = self.shown.get(at).map_or("", |text| text.trim_end_matches('\r'));
            out.push_str(&format!("{mark}{}\n", clean(text)));
            if at + 1 == self.lines && !self.ends {
                out.push_str("\\ No newline at end of file\n");
            }
        }
    }
}

fn write_hunk(hunk: &[DiffOp], (old, new): &(Side, Side), out: &mut String) {
    let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { return };
    out.push_str(&format!(
        "@@ -{} +{} @@\n",
        range_words(first.old_range().start..last.old_range().end),
        range_words(first.new_range().start..last.new_range().end)
    ));
    for op in hunk {
        if op.tag() == DiffTag::Equal {
            new.write(' ', op.new_range(), out);
        } else {
            old.write('-', op.old_range(), out);
            new.write('+', op.new_range(), out);
        }
    }
}

/// Lines as a unified diff names them: the first, counted from 1, and how many. No lines lie behind
/// the one that is named.
fn range_words(lines: Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => (lines.start + 1).to_string(),
        len => format!("{},{len}", lines.start + 1),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn side(text: &str) -> Side {
        Side {
            shown: text.split('\n').map(str::to_owned).collect(),
            lines: text.split_inclusive('\n').count(),
            ends: text.ends_with('\n'),
        }
    }

    fn unified_of(old: &str, new: &str) -> String {
        let (sides, mut out) = ((side(old), side(new)), String::new());
        for hunk in group_diff_ops(lines_that_differ(old, new), CONTEXT) {
            write_hunk(&hunk, &sides, &mut out);
        }
        out
    }

    #[test]
    fn a_change_is_shown_as_diff_u_shows_it() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\n";
        assert_eq!(
            unified_of(old, "a\nb\nc\nd\nE\nf\ng\nh"),
            "@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+E\n f\n g\n-h\n+h\n\\ No newline at end of file\n"
        );
        assert_eq!(unified_of("", "x\n"), "@@ -0,0 +1 @@\n+x\n");
        assert_eq!(unified_of("x\n", ""), "@@ -1 +0,0 @@\n-x\n");
        assert_eq!(unified_of(old, old), "");
    }

    /// The new text from the old one and the hunks.
    fn patched(old: &str, hunks: &str) -> Vec<String> {
        let mut left = old.split_inclusive('\n').map(|line| line.trim_end_matches('\n').to_owned());
        let (mut out, mut at) = (Vec::new(), 0usize);
        for line in hunks.lines().filter(|line| !line.starts_with('\\')) {
            if let Some(header) = line.strip_prefix("@@ -") {
                let range = header.split(' ').next().unwrap();
                let (start, len) = range.split_once(',').unwrap_or((range, "1"));
                let first = start.parse::<usize>().unwrap() - usize::from(len != "0");
                out.extend(left.by_ref().take(first - at));
                at = first;
                continue;
            }
            let (mark, text) = line.split_at(1);
            if mark != "+" {
                assert_eq!(left.next().as_deref(), Some(text));
                at += 1;
            }
            if mark != "-" {
                out.push(text.to_owned());
            }
        }
        out.extend(left);
        out
    }

    proptest::proptest! {
        #[test]
        fn hunks_make_the_new_text_of_the_old_one(
            old in proptest::collection::vec("[abc]", 0..40),
            new in proptest::collection::vec("[abc]", 0..40),
        ) {
            let text = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let hunks = unified_of(&text(&old), &text(&new));
            proptest::prop_assert_eq!(patched(&text(&old), &hunks), new);
        }
    }
}
